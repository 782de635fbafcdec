"""What a mark says: its bits, their code, its keys and the claim they stand for."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from animate.errors import AnimateError
from animate.watermark import TOOLKIT_KEY, Claim, Mark, Payload
from animate.watermark.carriers import carried
from animate.watermark.payload import (
    BODY_BITS,
    BODY_CODE,
    code_signs,
    decode,
    decode_others,
    encode,
    read_body,
    read_tag,
)

CLAIM = Claim("animate 0", "model", "a" * 64, "b" * 64, "c" * 64, "2026-01-01T00:00:00Z", "given")
MARK = Mark(Payload.of(CLAIM))
SECRET = b"a key that nobody else has"


@given(st.tuples(*(st.integers(0, (1 << width) - 1) for width in (4, 12, 32, 16))))
@settings(max_examples=15, deadline=None)
def test_every_payload_survives_its_code(fields: tuple[int, int, int, int]) -> None:
    payload = Payload(*fields)
    tag, body = (decode(code) for code in encode(payload))
    assert read_tag(tag) == (payload.key_id, payload.nonce)
    assert read_body(body, payload.key_id, payload.version) == payload
    assert len(str(payload)) == 16


def test_the_code_corrects_noise_that_flips_many_signs() -> None:
    rng = np.random.default_rng(0)
    code = encode(MARK.payload)[1]
    soft = code + rng.normal(0, 0.9, BODY_CODE)
    assert np.mean(np.sign(soft) != code) > 0.1
    assert read_body(decode(soft), MARK.payload.key_id, MARK.payload.version) == MARK.payload


def test_the_next_best_words_differ_from_the_best_where_they_should() -> None:
    rng = np.random.default_rng(0)
    soft = encode(MARK.payload)[1] + rng.normal(0, 0.9, BODY_CODE)
    best, others = decode(soft), decode_others(soft)
    assert (np.diag(others) != best).all()
    fit = [soft @ code_signs(word) for word in (best, *others)]
    assert max(fit) == fit[0]
    assert min(fit) > 0.5 * fit[0]


def test_the_code_is_linear_and_far_apart() -> None:
    ones = [np.eye(BODY_BITS, dtype=int)[i] for i in range(0, BODY_BITS, 11)]
    for word in ones:
        assert np.sum(code_signs(word) < 0) >= 20  # one set bit touches most of 36 signs
    assert np.array_equal(code_signs(ones[0]) * code_signs(ones[1]), code_signs(ones[0] ^ ones[1]))


def test_a_payload_is_authentic_under_its_own_key_only() -> None:
    payload = Payload.of(CLAIM, SECRET)
    assert payload.authentic(SECRET)
    assert not payload.authentic(TOOLKIT_KEY)
    with pytest.raises(AnimateError, match="key"):
        Payload.of(CLAIM, b"short")
    with pytest.raises(AnimateError, match="fit"):
        Payload(16, 0, 0, 0)


def test_files_of_one_key_share_pilot_and_tag_but_no_body() -> None:
    """Averaging many files of a key leaves what is public anyway."""
    marks = [Payload(1, 7, content, content % 977) for content in range(40)]
    _, signs_of = zip(*(carried(payload, SECRET) for payload in marks), strict=True)
    waves, mean = carried(marks[0], SECRET)[0], np.mean(signs_of, axis=0)
    assert np.allclose(np.abs(mean[waves.slot == 0]), np.sqrt(2))
    assert np.abs(mean[waves.slot > 80]).mean() < 0.3


# ---------------------------------------------------------------- claims


def test_a_claim_is_itself_after_json_and_its_id_follows_its_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert Claim.from_json(CLAIM.json()) == CLAIM
    reordered = json.dumps(dict(reversed(json.loads(CLAIM.json()).items())), indent=1)
    assert Claim.from_json(reordered).content_id() == CLAIM.content_id()
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    words = {k: v for k, v in json.loads(CLAIM.json()).items() if k != "created"}
    assert Claim.now(**words).created == "2023-11-14T22:13:20Z"
    assert Claim.now(**words).content_id() != CLAIM.content_id()
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    with pytest.raises(AnimateError, match="SOURCE_DATE_EPOCH"):
        Claim.now(**words)


def test_claims_of_earlier_versions_keep_their_id() -> None:
    assert CLAIM.json() == (
        '{"clip_sha256":"' + "c" * 64 + '","consent":"given","created":"2026-01-01T00:00:00Z",'
        '"generator":"animate 0","model":"model","model_sha256":"' + "a" * 64 + '",'
        '"photo_sha256":"' + "b" * 64 + '"}'
    )
    assert f"{CLAIM.content_id():08x}" == "92dbf211"


def test_a_claim_names_provider_detector_and_the_id_that_the_pixels_carry() -> None:
    claim = replace(CLAIM, provider="acme", detector="https://acme.example/check")
    value = json.loads(claim.json())
    assert Claim.from_json(claim.json()) == claim
    assert str(Payload.of(claim))[4:12] == value["identifier"][:8]
    rest = {name: text for name, text in value.items() if name != "identifier"}
    whole = json.dumps(rest, sort_keys=True, separators=(",", ":")).encode()
    assert hashlib.sha256(whole).hexdigest() == value["identifier"]


@pytest.mark.parametrize("name", ["identifier", "provider", "detector", "consent"])
def test_an_edited_claim_has_another_id(name: str) -> None:
    claim = replace(CLAIM, provider="acme", detector="https://acme.example/check")
    value = json.loads(claim.json())
    for text in ("0" * 64, ""):
        edited = Claim.from_json(json.dumps({**value, name: text}))
        assert edited.content_id() != claim.content_id()
        assert edited != claim
        assert json.loads(edited.json()) == {**value, name: text}
    with pytest.raises(AnimateError, match="not a claim"):
        Claim.from_json(json.dumps({k: v for k, v in value.items() if k != name}))


@pytest.mark.parametrize("text", ["", "Lavf60", "[]", "{}", '{"model": 1}', "[" * 100_000])
def test_other_comments_are_no_claims(text: str) -> None:
    with pytest.raises(AnimateError, match="not a claim"):
        Claim.from_json(text)
    with pytest.raises(AnimateError, match="text"):
        Claim.from_json(CLAIM.json().replace('"given"', "1"))
