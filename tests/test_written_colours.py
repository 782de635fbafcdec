"""Results say which colours their numbers are, so that every player shows the photo's."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.video.reformatter import VideoReformatter
from conftest import draw_frames
from PIL import Image

from animate.media import clips
from animate.media.photo_colours import srgb_profile
from animate.provenance.aigc import Aigc
from animate.publish.containers import STILLS, VIDEOS
from animate.publish.still import encode_still
from animate.publish.tags import Texts
from animate.publish.video import encode_video

PATCHES = np.array([(250, 250, 250), (40, 40, 40), (200, 150, 120), (90, 20, 30)], np.uint8)
TEXTS = Texts("{}", Aigc.first("p", "0" * 64), "none")
BICUBIC, FULL_CHROMA, ACCURATE = 4, 1 << 13, 1 << 18  # SWS_BICUBIC and so on


def flat(height: int, width: int = 320) -> np.ndarray:
    return PATCHES.repeat(width // 4, 0)[None].repeat(height, 0)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm"])
@pytest.mark.parametrize(("height", "matrix"), [(240, 6), (720, 1)])
def test_a_video_says_what_its_colours_are(
    tmp_path: Path, suffix: str, height: int, matrix: int
) -> None:
    """In ITU-T H.273's numbers, BT.709 is 1, the matrix of BT.601 is 6; range 1 is limited."""
    out = tmp_path / f"v{suffix}"
    encode_video(out, iter([flat(height)] * 3), out, VIDEOS[out.suffix], TEXTS, Fraction(25), None)
    with av.open(str(out)) as container:
        told: Any = container.streams.video[0].codec_context
        shown: Any = next(container.decode(video=0))
    for one in (told, shown):
        seen = (one.color_primaries, one.color_trc, one.colorspace, one.color_range)
        assert seen == (1, 1, matrix, 1)
    if suffix == ".mp4":
        assert b"colrnclx" + bytes([0, 1, 0, 1, 0, matrix, 0]) in out.read_bytes()
    if suffix == ".mov":
        assert b"colrnclc" + bytes([0, 1, 0, 1, 0, matrix]) in out.read_bytes()


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
@pytest.mark.parametrize(("height", "unmarked"), [(240, "ITU601"), (720, "ITU709")])
def test_players_that_heed_the_tags_and_those_that_do_not_agree(
    tmp_path: Path, suffix: str, height: int, unmarked: str
) -> None:
    out = tmp_path / f"v{suffix}"
    encode_video(out, iter([flat(height)] * 3), out, VIDEOS[out.suffix], TEXTS, Fraction(25), None)
    for rule in (None, unmarked):
        with av.open(str(out)) as container:
            frame = next(container.decode(video=0))
        seen: Any = VideoReformatter().reformat(
            frame, None, None, "rgb24", rule, None, BICUBIC | FULL_CHROMA | ACCURATE
        )
        middle = seen.to_ndarray()[height // 2, 40::80].astype(int)
        assert np.abs(middle - PATCHES).max() <= 1


@pytest.mark.parametrize("suffix", STILLS)
def test_a_still_says_that_it_is_srgb(tmp_path: Path, suffix: str) -> None:
    out, frame = tmp_path / f"s{suffix}", draw_frames(1)[0]
    encode_still(out, iter([frame]), out, STILLS[suffix], TEXTS)
    with Image.open(out) as picture:
        told = picture.info.get("icc_profile") == srgb_profile()
        assert told or picture.info.get("srgb") == 0
    if suffix == ".png":
        assert (clips.read_photo(out) == frame).all()
