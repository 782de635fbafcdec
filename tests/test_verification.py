"""`verify` says what pixels and tags prove together, for every container, and no more than that."""

from __future__ import annotations

import dataclasses
import subprocess
from pathlib import Path

import numpy as np
import pytest
from conftest import draw_face
from PIL import Image, PngImagePlugin

from animate.errors import AnimateError
from animate.verification import read_claim, verify
from animate.watermark import Claim, Embedder, Mark, Payload

CLAIM = Claim("animate 0", "model", "a" * 64, "b" * 64, "c" * 64, "2026-01-01T00:00:00Z", "given")
OTHER = dataclasses.replace(CLAIM, consent="never asked")
SECRET = b"a key that nobody else has"


def picture(mark: Mark | None = None) -> np.ndarray:
    """A soft picture of 256 x 256, marked or not."""
    plain = np.asarray(Image.fromarray(draw_face(64)).resize((256, 256), Image.Resampling.BICUBIC))
    plain = (plain * 0.5 + 60).astype(np.uint8)
    return plain if mark is None else Embedder(mark, 256, 256)(plain)


def mark(claim: Claim = CLAIM, **key: bytes) -> Mark:
    return Mark(Payload.of(claim, *key.values()), **key)


def write(path: Path, image: np.ndarray, claim: Claim | None = CLAIM) -> Path:
    """A still, or a clip of 12 frames of growing noise, with the claim as its comment."""
    text = "" if claim is None else claim.json()
    if path.suffix == ".png":
        info = PngImagePlugin.PngInfo()
        if text:
            info.add_text("Comment", text)
        Image.fromarray(image).save(path, pnginfo=info)
    elif path.suffix in (".jpg", ".gif"):
        Image.fromarray(image).save(path, quality=90, comment=text.encode())
    else:
        import imageio_ffmpeg

        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-f", "rawvideo", "-r", "25"]
        command += ["-pix_fmt", "rgb24", "-s", "256x256", "-i", "-", "-pix_fmt", "yuv420p"]
        command += ["-metadata", f"comment={text}", str(path)]
        noise = np.random.default_rng(0)
        frames = [image + noise.normal(0, 0.5 * i, image.shape) for i in range(12)]
        data = b"".join(frame.clip(0, 255).astype(np.uint8).tobytes() for frame in frames)
        subprocess.run(command, input=data, check=True)
    return path


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.gif", "a.mp4", "a.mov", "a.mkv", "a.webm"])
def test_a_marked_file_is_marked_and_its_claim_agrees(tmp_path: Path, name: str) -> None:
    report = verify(write(tmp_path / name, picture(mark())))
    assert report.verdict == "marked"
    assert report.claim == CLAIM
    assert report.agrees is True
    assert report.detection.p_value <= 1e-6
    assert report.detection.payload == Payload.of(CLAIM)


@pytest.mark.parametrize("name", ["a.png", "a.mp4"])
def test_an_unmarked_file_is_not_found_whatever_it_claims(tmp_path: Path, name: str) -> None:
    report = verify(write(tmp_path / name, picture()))
    assert report.verdict == "not found"
    assert report.claim == CLAIM
    assert report.agrees is None
    assert report.detection.payload is None


@pytest.mark.parametrize("name", ["a.jpg", "a.mp4"])
def test_another_claim_in_the_tags_is_tampering(tmp_path: Path, name: str) -> None:
    report = verify(write(tmp_path / name, picture(mark()), OTHER))
    assert (report.verdict, report.agrees) == ("tampered", False)


def test_a_lost_claim_leaves_the_mark(tmp_path: Path) -> None:
    report = verify(write(tmp_path / "a.mp4", picture(mark()), None))
    assert (report.verdict, report.agrees, report.claim) == ("marked", None, None)


def test_only_a_secret_key_makes_authentic(tmp_path: Path) -> None:
    path = write(tmp_path / "a.png", picture(mark(key=SECRET)))
    assert verify(path, SECRET).verdict == "authentic"
    assert verify(path).verdict == "marked"
    path = write(tmp_path / "b.png", picture(mark(key=SECRET)), OTHER)
    assert verify(path, SECRET).verdict == "tampered"


def test_the_name_of_a_file_does_not_matter(tmp_path: Path) -> None:
    path = write(tmp_path / "a.png", picture(mark()))
    assert verify(path.rename(tmp_path / "a.mp4")).verdict == "marked"
    path = write(tmp_path / "b.mp4", picture(mark()))
    assert verify(path.rename(tmp_path / "b")).verdict == "marked"


def test_a_clip_cut_in_the_middle_is_judged_by_the_rest(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mkv", picture(mark()))
    path.write_bytes(path.read_bytes()[: -path.stat().st_size // 20])
    assert verify(path).verdict == "marked"


@pytest.mark.parametrize("name", ["a.mp4", "a.png", "a.txt", "a.gif"])
@pytest.mark.parametrize("content", [b"", b"no picture\n", b"\x89PNG\r\n\x1a\n", b"GIF89a"])
def test_what_is_no_picture_is_a_user_error(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(AnimateError):
        verify(path)
    assert read_claim(path) is None


def test_a_missing_file_and_a_folder_are_user_errors(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.mp4", tmp_path):
        with pytest.raises(AnimateError, match="not a file"):
            verify(path)
