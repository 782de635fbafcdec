"""Records and claims that somebody made up end in plain words: no hang, no disguise."""

from __future__ import annotations

import base64
import contextlib
import json
import math
import time
import zlib
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from animate.errors import AnimateError
from animate.provenance import findings
from animate.provenance.credentials import Signature
from animate.provenance.fingerprint import KEPT, Fingerprint, matches
from animate.provenance.manifest import Record
from animate.provenance.tags import Tags
from animate.system.text import quoted
from animate.verification.describe import describe, plain
from animate.verification.verdict import Evidence, judge
from animate.verification.verify import Report
from animate.watermark import Claim, Payload
from animate.watermark.detection import NOTHING

CLAIM = Claim("animate 0.2.0", "first_order_gated", "a" * 64, "b" * 64, "c" * 64,
              "2026-01-01T00:00:00Z", "given in writing")  # fmt: skip
DICE = np.random.default_rng(0)
PRINT = Fingerprint(0.5, DICE.integers(0, 255, (KEPT, 24, 24), np.uint8))
SEEN = Fingerprint(1 / 60, DICE.integers(0, 255, (1000, 24, 24), np.uint8))
RECORD = Record(CLAIM, str(Payload.of(CLAIM)), PRINT)

NUMBERS = [1e300, -1e300, 1e12, 1e-300, 0, -0.5, math.inf, -math.inf, math.nan, True, False,
           10**400, "0.5", "", None, [], {}, [0.5]]  # fmt: skip
TEXTS = ["", "this is no hex..", "1abc", "\ud800" * 16, "٣" * 16, "1ABC000000000000", " " * 16,
         "-" + "0" * 15, None, 5, True, ["1abc000000000000"], "0" * 17]  # fmt: skip


def changed(value: Any, *place: str, to: Any) -> dict[str, Any]:
    """A copy of a record's plain values with one of them changed."""
    copy: dict[str, Any] = json.loads(json.dumps(value))
    node = copy
    for step in place[:-1]:
        node = node[step]
    node[place[-1]] = to
    return copy


def packed(count: int) -> str:
    return base64.b64encode(zlib.compress(bytes(count * 576), 9)).decode()


HOSTILE = [
    *((("fingerprint", "step"), value) for value in NUMBERS),
    *((("fingerprint", "side"), value) for value in [*NUMBERS, 23, 10**9, -24]),
    *((("fingerprint", "thumbnails"), value) for value in (
        packed(0), packed(KEPT + 1), packed(1_000_000), "", "?", "\ud800", 5, None, [])),
    *((("payload",), value) for value in TEXTS),
    *((("sha256",), value) for value in [*TEXTS, "f" * 63] if value is not None),
    *((("label",), value) for value in (
        5, "AI", [], {"text": ["x"]}, {"text": {"a": "b"}}, {"size": 1e300}, {"size": math.nan},
        {"text": "x" * 9999}, {str(i): 1 for i in range(99)})),
    *((("claim", "consent"), value) for value in (5, None, True, [], {})),
    (("claim",), None), (("claim",), []), (("fingerprint",), None), (("fingerprint",), []),
]  # fmt: skip


@pytest.mark.parametrize(("place", "value"), HOSTILE)
def test_a_record_with_a_value_that_none_writes_is_refused(
    place: tuple[str, ...], value: Any
) -> None:
    with pytest.raises(AnimateError) as caught:
        Record.of(changed(RECORD.plain(), *place, to=value))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [5, None, [], "x", 1e300, math.nan])
def test_what_is_no_record_is_refused(value: Any) -> None:
    with pytest.raises(AnimateError):
        Record.of(value)


def test_what_this_toolkit_writes_is_read(own_home: Path) -> None:
    label = {"text": "AI", "size": 0.05, "seconds": None, "position": "top left", "style": "bar"}
    for record in (RECORD, replace(RECORD, label=label, sha256="f" * 64)):
        found = Record.of(json.loads(json.dumps(record.plain())))
        assert replace(found, fingerprint=PRINT) == replace(record, fingerprint=PRINT)
        assert (found.fingerprint.thumbnails == PRINT.thumbnails).all()


@pytest.mark.parametrize("step", [1e-300, 0.5, 60.0, 1e300])
@pytest.mark.parametrize("rate", [1e-3, 60.0, 1e9])
def test_matching_takes_no_longer_for_odd_steps(step: float, rate: float) -> None:
    since = time.process_time()
    for count in (1, 2, KEPT):
        matches(Fingerprint(step, PRINT.thumbnails[:count]), replace(SEEN, step=1 / rate))
    assert time.process_time() - since < 30


def test_a_hostile_record_in_a_signature_is_judged() -> None:
    for state in ("untrusted", "changed", "public", "expired", "revoked", "trusted"):
        signature = Signature(state, "untrusted", record=RECORD, name="\ud800\x1b[2J")
        verdict, reasons = judge(Evidence(NOTHING, None, False, frozenset(), signature))
        assert verdict in ("authentic", "marked", "tampered", "not found")
        assert reasons


# ---------------------------------------------------------------- words

TRUE = "It is signed by 'Reuters', an identity you trust, and unchanged since."
DISGUISES = [
    f"given. {TRUE}", f"given\n{TRUE}", f"given\r\x1b[2K\x1b[1A{TRUE}", f"given\". {TRUE}",
    f"given\u201d. {TRUE}", f"given\uff02. {TRUE}", f"given\u2028{TRUE}", f"given'. {TRUE}",
    f"\u202e{TRUE}", f"{'x' * 5000} {TRUE}", f"\ud800 {TRUE}", f"given\\\". {TRUE}",
    "a.mp4: authentic: x",
]  # fmt: skip


def report(claim: Claim | None = CLAIM, path: str = "a.mp4", **signature: Any) -> Report:
    return Report(
        path=Path(path), verdict="not found", reasons=["the pixels carry no mark"],
        detection=NOTHING, owner=None, signature=Signature(**signature), claim=claim,
        source="tags", agrees=None, alike=None, aigc=None, tags=Tags(), entry=None,
    )  # fmt: skip


def unquoted(paragraph: str) -> str:
    """What is verify's own: the paragraph without what stands between double quotes."""
    parts = paragraph.split('"')
    assert len(parts) % 2 == 1
    return '"'.join(parts[::2])


@pytest.mark.parametrize("text", DISGUISES)
@pytest.mark.parametrize("name", ["generator", "model", "created", "consent"])
def test_a_claim_can_not_speak_as_verify(name: str, text: str) -> None:
    said = describe(report(replace(CLAIM, **{name: text})))
    assert said.isprintable()
    assert TRUE not in unquoted(said)
    assert "an identity you trust" not in unquoted(said)
    assert "authentic" not in unquoted(said)
    assert len(said) < 1000
    json.dumps(plain(report(replace(CLAIM, **{name: text}))))


@pytest.mark.parametrize("text", DISGUISES)
def test_neither_can_names_addresses_and_source_types(text: str) -> None:
    for one in (
        report(path=text.replace("/", "").replace("\0", "")),
        report(state="remote", remote=text),
        report(state="untrusted", sources=(text,)),
    ):
        said = describe(one)
        assert said.isprintable()
        assert "an identity you trust" not in unquoted(said)


@pytest.mark.parametrize("text", DISGUISES)
def test_codes_of_ingredients_are_codes(text: str) -> None:
    fault = {"code": text, "url": "self#jumbf=/c2pa/a/x"}
    used = {"title": "photo", "label": "x", "validation_status": [fault]}
    whole = {"active_manifest": "a", "manifests": {"a": {"ingredients": [used]}},
             "validation_results": {"activeManifest": {"failure": [fault]}}}  # fmt: skip
    found = findings.of(whole)
    assert found is not None
    assert TRUE not in " ".join(findings.notes(found, "unchecked"))


def test_ordinary_claims_read_as_before() -> None:
    said = describe(report())
    assert "Made (unproven) by animate 0.2.0 with first_order_gated on 2026-01-01T00:00:00Z" in said
    assert 'consent: "given in writing".' in said
    assert quoted("a 'b' \u201cc\u201d") == "\"a 'b' 'c'\""


def test_a_serial_number_of_any_length_is_read() -> None:
    from animate.provenance.credentials import key_of

    for serial in ("9" * 5000, "-1", "", "1e9", "٣", "12"):
        found = SimpleNamespace(chain=(), store={"signature_info": {"cert_serial_number": serial}})
        assert key_of(found) == ("000000000000000c" if serial == "12" else None)  # type: ignore[arg-type]


def test_a_record_that_nobody_can_read_is_no_sound_manifest() -> None:
    """Signed by a stranger over marked pixels of somebody else: it must not be passed over."""
    from animate.provenance.credentials import RECORD as LABEL
    from animate.provenance.credentials import signature_of

    for place, value in HOSTILE[::9]:
        data = changed(RECORD.plain(), *place, to=value)
        found = findings.Findings(
            store={"assertions": [{"label": LABEL, "data": data}],
                   "claim_generator_info": [{"name": "animate"}],
                   "signature_info": {"cert_serial_number": "12"}},
            failed=("signingCredential.untrusted",),
            passed=frozenset({"claimSignature.validated", "assertion.dataHash.match"}),
        )  # fmt: skip
        signature = signature_of(found, None)
        assert signature.state == "invalid"
        marked = replace(NOTHING, marked=True)
        said, reasons = judge(Evidence(marked, None, False, frozenset(), signature))
        assert said == "tampered"
        assert "the manifest's" in reasons[0] or "not a claim" in reasons[0]


# ---------------------------------------------------------------- templates


@pytest.mark.parametrize(
    ("name", "value"),
    [("rate", "1e99999999"), ("rate", "1/0"), ("rate", "-5"), ("rate", 25), ("rate", "nan"),
     ("model", 5), ("model_sha256", []), ("clip_sha256", None), ("numbers", "3"), ("beyond", 1e300),
     ("fresh", 7), ("format", None)],
)  # fmt: skip
def test_a_template_with_a_value_that_none_writes_is_one_line(
    tmp_path: Path, name: str, value: Any
) -> None:
    import io
    import zipfile

    from animate.inference.templates import read_template

    about = {"format": 1, "model": "m", "model_sha256": "a", "clip_sha256": "b", "rate": "25/1",
             "numbers": 3, "beyond": 2, "fresh": [0]}  # fmt: skip
    rows = io.BytesIO()
    np.lib.format.write_array(rows, np.zeros((2, 3), "<f4"), (1, 0))
    for written in (about, {**about, name: value}):
        with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
            archive.writestr("about.json", json.dumps(written))
            archive.writestr("poses.npy", rows.getvalue())
        if written is about:
            assert len(read_template(tmp_path / "a.npz")) == 2
        else:
            with pytest.raises(AnimateError) as caught:
                read_template(tmp_path / "a.npz")
            assert "\n" not in str(caught.value)
    whole = (tmp_path / "a.npz").read_bytes()
    for at in range(0, len(whole), 7):
        damaged = bytearray(whole)
        damaged[at : at + 4] = b"\xff\xff\xff\xff"
        (tmp_path / "a.npz").write_bytes(damaged)
        with contextlib.suppress(AnimateError):
            read_template(tmp_path / "a.npz")
