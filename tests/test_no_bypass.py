"""The mark can't be switched off, left out or made too weak by a setting or an argument."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
from conftest import tiny

from animate.cli import main
from animate.errors import AnimateError

OVERRIDES = [
    "~watermark",
    "~watermark.strength",
    "watermark=null",
    "watermark=none",
    "watermark=off",
    "watermark={}",
    "watermark.strength=0",
    "watermark.strength=-3",
    "watermark.strength=0.01",
    "watermark.strength=null",
    "watermark.strength=nan",
    "watermark.strength=1e9",
    "watermark.strength=inf",
    "watermark.strength=false",
    "watermark.enabled=false",
    "+watermark.enabled=false",
    "++watermark.enabled=false",
    "++watermark.strength=0",
    "+publish=plain",
    "clip.watermark=false",
]


@pytest.mark.parametrize("override", OVERRIDES)
def test_no_override_gets_round_the_mark(
    override: str, world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.mp4"
    arguments = [str(world / "photo.png"), str(world / "clip.mp4"), "-o", str(out)]
    assert main(["run", *arguments, *tiny(world), override]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_the_writer_has_no_default_for_mark_and_claim() -> None:
    from animate.publish import publish

    parameters = inspect.signature(publish).parameters
    for name in ("mark", "claim"):
        assert parameters[name].default is inspect.Parameter.empty
    assert not any(p.kind is p.VAR_KEYWORD for p in parameters.values())


def test_a_mark_refuses_what_it_does_not_know() -> None:
    from animate.watermark import Claim, Mark, Payload

    payload = Payload.of(Claim("a", "b", "c", "d", "e", "2026-01-01T00:00:00Z", "f"))
    with pytest.raises(TypeError):
        Mark(payload, enabled=False)  # type: ignore[call-arg]
    with pytest.raises(AnimateError):
        Mark(payload, strength=0)


def test_a_portrait_can_not_be_asked_for_without_a_mark(world: Path, tmp_path: Path) -> None:
    from animate import portrait

    names = inspect.signature(portrait).parameters
    assert not {"mark", "watermark", "claim", "marked"} & set(names)
    with pytest.raises(AnimateError, match="strength"):
        portrait(
            world / "photo.png",
            world / "clip.mp4",
            tmp_path / "out.mp4",
            checkpoint=world / "tiny.safetensors",
            strength=0,
        )
    assert not list(tmp_path.iterdir())
