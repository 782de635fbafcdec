"""Words on consent, which may name persons, are signed apart from the claim, and found again."""

from __future__ import annotations

import json
from pathlib import Path

import c2pa
import numpy as np
import pytest
from conftest import draw_face
from PIL import Image

from animate.cli import main
from animate.options import Statement
from animate.provenance import ledger
from animate.provenance.consent import LABEL, words_in
from animate.provenance.manifest import RECORD
from animate.publish import publish
from animate.verification.describe import describe, plain
from animate.verification.verify import verify
from animate.watermark import APART, Claim, Mark, Payload

WORDS = 'Ada Example, "signed" on 2 May; é, 日本'


@pytest.fixture
def published(own_home: Path, tmp_path: Path) -> Path:
    face = np.asarray(Image.fromarray(draw_face(64)).resize((192, 192), Image.Resampling.BICUBIC))
    claim = Claim("animate 0", "none", *["0" * 64] * 3, "2026-01-02T03:04:05Z", APART, "acme", "x")
    mark = Mark(Payload.of(claim))
    return publish(
        tmp_path / "a.png", [face], mark=mark, claim=claim, rate=None, consent=WORDS
    ).path


def test_a_name_stands_in_one_assertion_and_nowhere_else(published: Path) -> None:
    with c2pa.Reader(str(published)) as reader:
        whole = json.loads(reader.json())
    assertions = whole["manifests"][whole["active_manifest"]]["assertions"]
    holding = [each["label"] for each in assertions if "Ada" in json.dumps(each)]
    assert holding == [LABEL]
    assert RECORD in [each["label"] for each in assertions]
    assert published.read_bytes().count(b"Ada Example") == 1
    (entry,) = ledger.entries()
    assert "Ada" not in entry.claim


def test_the_words_are_told_by_signed_files_and_by_the_ledger(
    published: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.open(published).convert("RGB").save(tmp_path / "bare.png")
    for path, source in ((published, "manifest"), (tmp_path / "bare.png", "ledger")):
        report = verify(path)
        assert report.source == source
        assert plain(report)["claim"]["consent"] == WORDS
        assert plain(report)["claim"]["provider"] == "acme"
        assert "Ada Example, 'signed' on 2 May; é, 日本" in describe(report)
    assert main(["ledger", "find", str(published)]) == 0
    assert json.loads(capsys.readouterr().out)["consent"] == WORDS


@pytest.mark.parametrize("data", [None, 5, [], {}, {"animate:consent": 5}, {"consent": WORDS}])
def test_what_is_no_statement_is_none(data: object) -> None:
    assert words_in([{"label": LABEL, "data": data}]) is None


def test_without_words_nothing_is_kept_apart() -> None:
    assert Statement().words is None
    assert Statement(consent="yes").words == "yes"
