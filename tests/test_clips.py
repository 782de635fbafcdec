"""Photos and clips come out upright, in their colours, on time, or with one line that says why."""

from __future__ import annotations

import subprocess
from fractions import Fraction
from itertools import islice
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image

from animate.errors import AnimateError
from animate.media import clips
from animate.system import parallel

NTSC = Fraction(30000, 1001)
LOSSLESS = ["-c:v", "libx264", "-crf", "4", "-pix_fmt", "yuv420p"]
CODECS = {
    ".mp4": ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-movflags", "+faststart"],
    ".mov": ["-c:v", "mpeg4", "-q:v", "2", "-movflags", "+faststart"],
    ".mkv": ["-c:v", "libx264", "-pix_fmt", "yuv420p"],
    ".webm": ["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-crf", "20"],
    ".avi": ["-c:v", "mpeg4", "-q:v", "2"],
}


def ffmpeg(*arguments: object, feed: bytes | None = None) -> None:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", *map(str, arguments)]
    subprocess.run(command, input=feed, check=True)


def grey(count: int, height: int = 48, width: int = 64) -> bytes:
    """Raw frames, each of one grey, 8 levels above the one before."""
    return b"".join(bytes([8 * i + 4]) * (height * width * 3) for i in range(count))


def encode(
    path: Path, count: int, *options: object, rate: object = 25, before: object = ()
) -> Path:
    """A clip of `grey` frames."""
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", "64x48", "-r", rate, "-i", "-"]
    ffmpeg(*before, *raw, *options, path, feed=grey(count))
    return path


def levels(frames: object) -> list[int]:
    """Which of the `grey` frames these are."""
    return [round((float(frame.mean()) - 4) / 8) for frame in frames]  # type: ignore[attr-defined]


def noisy(path: Path, *options: object, seconds: float = 1.5) -> Path:
    """A clip of 30 frames a second with enough in it that cutting the file cuts frames."""
    source = f"testsrc2=size=96x64:rate=30:duration={seconds}"
    ffmpeg("-f", "lavfi", "-i", source, *options, path)
    return path


# ---------------------------------------------------------------- clips


@pytest.mark.parametrize("suffix", CODECS)
@pytest.mark.parametrize("rate", [NTSC, Fraction(24000, 1001), Fraction(50)])
def test_every_frame_comes_once_at_the_exact_rate(
    tmp_path: Path, suffix: str, rate: Fraction
) -> None:
    clip = clips.open_clip(encode(tmp_path / f"c{suffix}", 20, *CODECS[suffix], rate=rate))
    assert clip.rate == rate
    assert clip.length is not None
    assert abs(clip.length - 20) <= 1
    assert (clip.width, clip.height, clip.sound) == (64, 48, False)
    assert levels(clip.frames()) == list(range(20))
    assert levels(clip.frames()) == list(range(20))  # each call starts anew


def test_frames_are_plain_rgb_and_lazy(tmp_path: Path) -> None:
    path = encode(tmp_path / "c.mp4", 20, *LOSSLESS)
    frames = clips.open_clip(path).frames()
    frame = next(frames)
    assert frame.shape == (48, 64, 3)
    assert frame.dtype == np.uint8
    assert frame.flags.c_contiguous
    assert len(list(islice(frames, 100))) == 19


def test_a_variable_rate_is_followed(tmp_path: Path) -> None:
    slow_then_fast = "setpts=if(lt(N\\,8)\\,2*N\\,N+8)/(30*TB)"
    for suffix in (".mp4", ".mkv"):
        path = encode(
            tmp_path / f"c{suffix}", 24, "-vf", slow_then_fast, "-fps_mode", "passthrough",
            *LOSSLESS, rate=30,
        )  # fmt: skip
        clip = clips.open_clip(path)
        assert clip.rate == 30
        assert levels(clip.frames()) == [i // 2 for i in range(16)] + list(range(8, 24))


def test_delays_of_a_gif_are_honoured(tmp_path: Path) -> None:
    pictures = [Image.new("RGB", (32, 32), (60 * i,) * 3) for i in range(4)]
    pictures[0].save(
        tmp_path / "c.gif", save_all=True, append_images=pictures[1:], duration=[40, 120, 40, 80]
    )
    clip = clips.open_clip(tmp_path / "c.gif")
    shown = [round(float(f.mean()) / 60) for f in clip.frames()]
    assert abs(len(shown) / clip.rate - Fraction(28, 100)) <= 1 / clip.rate
    assert sorted(shown) == shown
    assert Fraction(shown.count(1)) / clip.rate == Fraction(12, 100)


@pytest.mark.parametrize(
    ("option", "value", "corner"),
    [
        ("-display_rotation", 90, "bottom left"),
        ("-display_rotation", 180, "bottom right"),
        ("-display_rotation", 270, "top right"),
        ("-display_hflip", None, "top right"),
        ("-display_vflip", None, "bottom left"),
    ],
)
def test_a_clip_is_turned_upright(
    tmp_path: Path, option: str, value: int | None, corner: str
) -> None:
    frame = np.zeros((48, 64, 3), np.uint8)
    frame[:24, :24] = 255  # top left, before the turn
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", "64x48", "-r", 25, "-i", "-"]
    ffmpeg(*raw, *LOSSLESS, tmp_path / "flat.mp4", feed=frame.tobytes() * 3)
    turn = [option] if value is None else [option, value]
    ffmpeg(*turn, "-i", tmp_path / "flat.mp4", "-c", "copy", tmp_path / "c.mp4")
    clip = clips.open_clip(tmp_path / "c.mp4")
    shown = next(clip.frames())
    assert shown.shape == (clip.height, clip.width, 3)
    assert (clip.width > clip.height) == (value not in (90, 270))
    vertical, horizontal = corner.split()
    rows = slice(0, 16) if vertical == "top" else slice(-16, None)
    columns = slice(0, 16) if horizontal == "left" else slice(-16, None)
    assert shown[rows, columns].min() > 200
    assert shown.mean() < 80


def test_pixels_that_arent_square_become_square(tmp_path: Path) -> None:
    encode(tmp_path / "c.mp4", 3, "-vf", "setsar=2/1", *LOSSLESS)
    clip = clips.open_clip(tmp_path / "c.mp4")
    assert (clip.width, clip.height) == (128, 48)
    assert next(clip.frames()).shape == (48, 128, 3)


@pytest.mark.parametrize(
    ("matrix", "tag"), [("bt601", "smpte170m"), ("bt709", "bt709"), ("bt601", "unknown")]
)
@pytest.mark.parametrize("span", ["tv", "pc"])
def test_colours_follow_the_tags(tmp_path: Path, matrix: str, tag: str, span: str) -> None:
    colour = bytes([200, 60, 20])
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", "64x48", "-r", 25, "-i", "-"]
    change = f"scale=out_color_matrix={matrix}:out_range={span},format=yuv420p"
    change += f",setparams=colorspace={tag}"
    tags = ["-color_range", span, *(() if tag == "unknown" else ("-colorspace", tag))]
    ffmpeg(*raw, "-vf", change, *LOSSLESS, *tags, tmp_path / "c.mp4", feed=colour * (64 * 48 * 3))
    frame = next(clips.open_clip(tmp_path / "c.mp4").frames())
    assert np.abs(frame.astype(int) - np.frombuffer(colour, np.uint8)).max() <= 4


def test_a_folder_of_frames_is_a_clip(tmp_path: Path) -> None:
    for i in range(12):
        Image.new("RGB", (32, 24), (8 * i + 4,) * 3).save(tmp_path / f"f{i}.png")  # 2 before 10
    (tmp_path / "notes.txt").write_text("not a frame")
    clip = clips.open_clip(tmp_path, rate=NTSC)
    assert (clip.length, clip.rate, clip.width, clip.height) == (12, NTSC, 32, 24)
    assert levels(clip.frames()) == list(range(12))
    assert clips.open_clip(tmp_path).rate == 25
    before = clips.sha256(tmp_path)
    Image.new("RGB", (16, 24)).save(tmp_path / "f12.png")
    assert clips.sha256(tmp_path) != before
    with pytest.raises(AnimateError, match="frame 12"):
        list(clips.open_clip(tmp_path).frames())


# ---------------------------------------------------------------- what isn't whole


@pytest.mark.parametrize("suffix", CODECS)
@pytest.mark.parametrize("part", [0.5, 0.8])
@pytest.mark.parametrize("sound", [False, True])
def test_a_clip_that_ends_in_the_middle_names_the_frame(
    tmp_path: Path, suffix: str, part: float, sound: bool
) -> None:
    beep = ["-f", "lavfi", "-i", "sine=duration=1.5"] if sound else []
    path = noisy(tmp_path / f"c{suffix}", *beep, *CODECS[suffix], seconds=1.5)
    whole = len(list(clips.open_clip(path).frames()))
    assert whole in (45, 46)  # AVI with sound may hold its first frame for two
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])
    clip, seen = clips.open_clip(path), 0
    with pytest.raises(AnimateError, match=r"at frame \d+") as caught:  # noqa: PT012
        for _ in clip.frames():
            seen += 1
    assert f"at frame {seen} " in str(caught.value)
    assert "clip.truncated=accept" in str(caught.value)
    rest = list(clips.open_clip(path, truncated="accept").frames())
    assert 0 < len(rest) < whole
    assert abs(len(rest) - seen) <= 1


def test_a_clip_cut_before_its_second_frame_is_not_called_short(tmp_path: Path) -> None:
    path = noisy(tmp_path / "c.mp4", "-movflags", "faststart", seconds=0.5)
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b"mdat") + 40])
    with pytest.raises(AnimateError, match=r"is cut off or damaged: [01] of its frames"):
        clips.open_clip(path)


def test_sound_that_lasts_longer_is_no_damage(tmp_path: Path) -> None:
    beep = ["-f", "lavfi", "-i", "sine=duration=4"]
    for suffix, codec in CODECS.items():
        path = noisy(tmp_path / f"c{suffix}", *beep, *codec, seconds=0.5)
        clip = clips.open_clip(path)
        assert clip.sound
        assert len(list(clip.frames())) in (15, 16)


def test_a_file_cut_in_the_gif_or_before_its_index(tmp_path: Path) -> None:
    gif = noisy(tmp_path / "c.gif")
    gif.write_bytes(gif.read_bytes()[:-2000])
    with pytest.raises(AnimateError, match="at frame"):
        list(clips.open_clip(gif).frames())
    late = noisy(tmp_path / "late.mp4", *LOSSLESS)  # its index comes last
    late.write_bytes(late.read_bytes()[:-500])
    with pytest.raises(AnimateError, match="end is missing"):
        clips.open_clip(late)


def test_one_broken_frame_is_damage(tmp_path: Path) -> None:
    path = noisy(tmp_path / "c.mp4", "-c:v", "mjpeg", "-q:v", "3", "-pix_fmt", "yuvj420p")
    data = bytearray(path.read_bytes())
    middle = data.index(b"\xff\xd8\xff", len(data) // 2)
    data[middle : middle + 600] = bytes(600)
    path.write_bytes(data)
    with pytest.raises(AnimateError, match="damaged"):
        list(clips.open_clip(path).frames())
    assert len(list(clips.open_clip(path, truncated="accept").frames())) == 45  # the gap is bridged


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("empty.mp4", b"", "is empty"),
        ("text.mp4", b"no clip, just words\n" * 50, "a text, no clip"),
        ("text.txt", b"no clip, just words\n" * 50, "a text, no clip"),
        ("list.mp4", b"#EXTM3U\n#EXTINF:1,\nfile:///etc/hostname\n", "a text, no clip"),
        ("list.txt", b"ffconcat version 1.0\nfile other.mp4\n", "a text, no clip"),
    ],
)
def test_what_is_no_clip_gets_one_line(
    tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(AnimateError, match=words) as caught:
        clips.open_clip(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_too_few_or_too_small_frames(tmp_path: Path) -> None:
    for suffix in (".mp4", ".gif"):
        with pytest.raises(AnimateError, match="one frame or of none"):
            clips.open_clip(encode(tmp_path / f"one{suffix}", 1))
    ffmpeg("-f", "lavfi", "-i", "sine=duration=1", tmp_path / "sound.m4a")
    with pytest.raises(AnimateError, match="no video"):
        clips.open_clip(tmp_path / "sound.m4a")
    ffmpeg("-f", "lavfi", "-i", "color=size=8x8:duration=1", *LOSSLESS, tmp_path / "tiny.mp4")
    with pytest.raises(AnimateError, match="8x8"):
        clips.open_clip(tmp_path / "tiny.mp4")
    Image.new("RGB", (32, 32)).save(tmp_path / "photo.jpg")
    with pytest.raises(AnimateError, match="not a clip"):
        clips.open_clip(tmp_path / "photo.jpg")
    (tmp_path / "folder").mkdir()
    with pytest.raises(AnimateError, match="0 pictures"):
        clips.open_clip(tmp_path / "folder")
    with pytest.raises(AnimateError, match="there is no"):
        clips.open_clip(tmp_path / "none.mp4")
    with pytest.raises(AnimateError, match="use error or accept"):
        clips.open_clip(tmp_path / "tiny.mp4", truncated="ignore")


def test_a_name_is_only_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encode(tmp_path / "plain.mp4", 3, *LOSSLESS)
    for name in ("-i.mp4", "http:x.mp4", "a b [1] 'x' %d.mp4", "ü.mp4"):
        (tmp_path / name).write_bytes((tmp_path / "plain.mp4").read_bytes())
        monkeypatch.chdir(tmp_path)
        assert len(list(clips.open_clip(Path(name)).frames())) == 3


# ---------------------------------------------------------------- small tools


def test_chunks_keep_order_and_everything() -> None:
    assert list(parallel.chunks(iter(range(7)), 3)) == [[0, 1, 2], [3, 4, 5], [6]]
    assert list(parallel.chunks([], 3)) == []


def test_sha256_is_the_usual_one(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"abc")
    assert clips.sha256(tmp_path / "f").startswith("ba7816bf8f01cfea")


def test_a_codec_that_nobody_knows_is_one_clear_line(world: Path, tmp_path: Path) -> None:
    data = (world / "clip.mp4").read_bytes()
    assert b"avc1" in data
    path = tmp_path / "strange.mp4"
    path.write_bytes(data.replace(b"avc1", b"zzz1"))
    with pytest.raises(AnimateError, match="unknown codec"):
        clips.open_clip(path)
