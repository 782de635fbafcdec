"""`verify` says what pixels, signature, tags and ledger prove together, and no more than that."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from conftest import draw_face
from PIL import Image, PngImagePlugin

from animate.errors import AnimateError
from animate.provenance import keys, tags
from animate.publish import Published, publish
from animate.verification.describe import describe, plain
from animate.verification.verify import verify
from animate.watermark import Claim, Embedder, Mark, Payload

CLAIM = Claim("animate 0", "model", "a" * 64, "b" * 64, "c" * 64, "2026-01-01T00:00:00Z", "given")
OTHER = dataclasses.replace(CLAIM, consent="never asked")
SECRET = b"a key that nobody else has"


def picture(mark: Mark | None = None, move: float = 0.0) -> np.ndarray:
    """A soft picture of 256 x 256, marked or not."""
    face = Image.fromarray(draw_face(64, move, 0.3 + 2 * move))
    plain = np.asarray(face.resize((256, 256), Image.Resampling.BICUBIC))
    plain = (plain * 0.5 + 60).astype(np.uint8)
    return plain if mark is None else Embedder(mark, 256, 256)(plain)


def foreign(count: int) -> list[np.ndarray]:
    """Other pictures: another ground, another face."""
    y, x = np.mgrid[:256, :256] / 256
    flow = [np.stack([120 + 60 * np.sin(6 * x + i / 9), 110 + 50 * y, 130 - 40 * x * y], -1)
            for i in range(count)]  # fmt: skip
    return [frame.astype(np.uint8) for frame in flow]


def mark(claim: Claim = CLAIM, **key: bytes) -> Mark:
    return Mark(Payload.of(claim, *key.values()), **key)


def write(path: Path, image: np.ndarray, claim: Claim | None = CLAIM) -> Path:
    """A still, or a clip of 12 frames of growing noise, with the claim as its comment; unsigned."""
    text = "" if claim is None else claim.json()
    if path.suffix == ".png":
        info = PngImagePlugin.PngInfo()
        if text:
            info.add_text("Comment", text)
        Image.fromarray(image).save(path, pnginfo=info)
    elif path.suffix in (".jpg", ".gif"):
        Image.fromarray(image).save(path, quality=90, comment=text.encode())
    else:
        noise = np.random.default_rng(0)
        encode(path, [image + noise.normal(0, 0.5 * i, image.shape) for i in range(12)],
               "-metadata", f"comment={text}")  # fmt: skip
    return path


def encode(path: Path, frames: list[np.ndarray], *options: str) -> Path:
    """Frames as a video, by ffmpeg and not by the writer."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-f", "rawvideo", "-r", "25"]
    command += ["-pix_fmt", "rgb24", "-s", "256x256", "-i", "-", "-pix_fmt", "yuv420p"]
    data = b"".join(frame.clip(0, 255).astype(np.uint8).tobytes() for frame in frames)
    subprocess.run([*command, *options, str(path)], input=data, check=True)
    return path


def convert(source: Path, out: Path, *options: str) -> Path:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", "-i", str(source)]
    subprocess.run([*command, *options, str(out)], check=True)
    return out


def published(out: Path, claim: Claim = CLAIM, seconds: float = 1) -> Published:
    """A signed clip (or still) of a face that moves, by the current key."""
    signer = keys.signer()
    still = out.suffix in (".png", ".jpg", ".webp")
    frames = [
        picture(move=0.05 * np.sin(i / 4)) for i in range(1 if still else round(25 * seconds))
    ]
    return publish(
        out, frames, mark=Mark(Payload.of(claim, signer.mark_key), signer.mark_key), claim=claim,
        rate=None if still else Fraction(25), signer=signer,
    )  # fmt: skip


@pytest.fixture(autouse=True)
def alone(own_home: Path) -> None:
    """Without the ledger's entries of other tests, which publish the same claim."""


# ---------------------------------------------------------------- pixels and unsigned tags


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.gif", "a.mp4", "a.mov", "a.mkv", "a.webm"])
def test_a_marked_file_is_marked_and_its_claim_agrees(tmp_path: Path, name: str) -> None:
    report = verify(write(tmp_path / name, picture(mark())))
    assert report.verdict == "marked"
    assert (report.claim, report.source) == (CLAIM, "tags")
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


def test_a_secret_mark_alone_is_marked(tmp_path: Path) -> None:
    """It may have been lifted off another file: nothing here binds it to these pictures."""
    path = write(tmp_path / "a.png", picture(mark(key=SECRET)))
    assert verify(path, SECRET).verdict == "marked"
    assert verify(path, SECRET).detection.authentic
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
    assert tags.read(path) == tags.Tags()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"%PDF-1.4\n1 0 obj", "a PDF"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "a drawing (SVG)"),
        ("k\u00f6nnte l\u00e4nger sein\r\n".encode() * 999, "a text"),
        (b"\0\0\x42\0jumb\0\0\0\x1ejumdc2pa", "a C2PA manifest without its file"),
        (b"ID3\4\0\0\0\0", "sound without pictures"),
        (b"RIFF\x24\0\0\0WAVEfmt ", "sound without pictures"),
        (b"PK\3\4" + bytes(99), "a ZIP archive"),
    ],
)
def test_what_is_neither_picture_nor_video_is_named(
    tmp_path: Path, data: bytes, words: str
) -> None:
    for name in ("a", "a.mp4", "a.png"):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(AnimateError, match=re.escape(f"{name} is {words}, neither a picture")):
            verify(tmp_path / name)


def test_a_missing_file_and_a_folder_are_user_errors(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.mp4", tmp_path):
        with pytest.raises(AnimateError, match=r"not a file|there is no"):
            verify(path)


def test_the_library_call_loads_no_torch(tmp_path: Path) -> None:
    path = write(tmp_path / "a.png", picture(mark()))
    code = "import sys, animate; print(animate.verify(sys.argv[1]).verdict, 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, check=True)
    assert done.stdout.split() == [b"marked", b"False"]


@pytest.mark.parametrize("name", ["a.jpg", "a.mkv"])
def test_a_file_that_was_turned_or_mirrored_says_so(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, picture(mark()), None)
    upright = verify(path)
    assert "degrees" not in describe(upright)
    assert plain(upright)["mark"]["orientation"] == {"turned": 0, "mirrored": False}
    for how, turned, mirrored, words in (
        ("transpose=1", 90, False, "turned by 90 degrees clockwise"),
        ("hflip,vflip", 180, False, "turned by 180 degrees clockwise"),
        ("hflip,transpose=2", 270, True, "mirrored and turned by 270 degrees clockwise"),
    ):
        report = verify(convert(path, tmp_path / f"b{path.suffix}", "-vf", how, "-q:v", "2"))
        assert report.verdict == "marked"
        assert report.detection.payload == Payload.of(CLAIM)
        assert plain(report)["mark"]["orientation"] == {"turned": turned, "mirrored": mirrored}
        assert f", {words} (p" in describe(report)


def test_an_orientation_tag_turns_a_still_and_its_mark(tmp_path: Path) -> None:
    """A tag that was added, of each kind: readers turn the pixels as it says."""
    for tag, turned, mirrored in ((2, 0, True), (3, 180, False), (6, 90, False), (8, 270, False)):
        exif = Image.Exif()
        exif[274] = tag
        Image.fromarray(picture(mark())).save(tmp_path / "a.jpg", quality=90, exif=exif)
        report = verify(tmp_path / "a.jpg")
        assert report.detection.payload == Payload.of(CLAIM)
        assert plain(report)["mark"]["orientation"] == {"turned": turned, "mirrored": mirrored}


def test_a_display_matrix_turns_a_clip_and_its_mark(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", picture(mark()), None)
    turned = tmp_path / "b.mp4"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-display_rotation", "90"]
    subprocess.run([*command, "-i", str(path), "-c", "copy", str(turned)], check=True)
    report = verify(turned)
    assert (report.verdict, report.detection.payload) == ("marked", Payload.of(CLAIM))
    assert plain(report)["mark"]["orientation"] == {"turned": 270, "mirrored": False}
