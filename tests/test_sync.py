"""Picture and sound stay together, at the rates that clips really have, also after a trim.

A clip is generated that flashes and beeps together now and then. It is read, trimmed, marked and
published with its sound, as a run does it without the model. `python tests/test_sync.py --seconds
3600` does an hour and prints what docs/benchmarks.md records.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from animate.media import clips
from animate.publish import publish
from animate.watermark import Claim, Mark, Payload

LONG = 0.4  # seconds of a flash
CLAIM = Claim.now(
    generator="animate test_sync", model="none", model_sha256="", photo_sha256="",
    clip_sha256="", consent="nobody is shown",
)  # fmt: skip


def generate(out: Path, seconds: float, rate: str, every: float) -> Path:
    """The clip; "vfr" drops two of three frames in every second second."""
    import imageio_ffmpeg

    on = f"lt(mod(t-1\\,{every})\\,{LONG})*gte(t\\,1)"
    fps = "30" if rate == "vfr" else rate
    picture = f"color=gray:s=128x128:r={fps}:d={seconds},drawbox=enable='{on}':t=fill:color=white"
    if rate == "vfr":
        picture += ",select='eq(mod(floor(t)\\,2)\\,0)+eq(mod(n\\,3)\\,0)'"
    sound = f"aevalsrc='sin(2764*t)*{on}':s=44100:d={seconds}"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", "-f", "lavfi", "-i", picture]
    command += ["-f", "lavfi", "-i", sound, "-fps_mode", "passthrough", "-preset", "ultrafast"]
    subprocess.run([*command, "-c:a", "aac", str(out)], check=True)
    return out


def onsets(path: Path) -> tuple[list[float], list[float]]:
    """When it flashes and when it beeps, in seconds of the file's own time stamps."""
    import av

    seen: list[float] = []
    heard: list[float] = []
    bright = loud = False
    with av.open(str(path)) as file:
        for frame in file.decode(video=0):
            now = float(frame.to_ndarray(format="gray").mean()) > 190
            if now and not bright:
                seen.append(float(frame.time))
            bright = now
    with av.open(str(path)) as file:
        quiet = 0.0  # when it was last heard
        for frame in file.decode(audio=0):
            level = np.abs(frame.to_ndarray()).max(0) > 0.1
            for index in np.flatnonzero(level):
                at = float(frame.time) + index / frame.sample_rate
                if not loud or at - quiet > 1:
                    heard.append(at)
                loud, quiet = True, at
    return seen, heard


def apart(folder: Path, seconds: float, rate: str, trim: float, every: float) -> Result:
    """Publish a clip from `trim` seconds on and see how far flash and beep are apart in it."""
    clip = clips.open_clip(generate(folder / "in.mp4", seconds, rate, every)).span(trim)
    done = publish(
        folder / "out.mp4", clip.frames(), mark=Mark(Payload.of(CLAIM)), claim=CLAIM,
        rate=clip.rate, sound=clip.span_sound,
    )  # fmt: skip
    seen, heard = onsets(done.path)
    worst = max(abs(a - b) for a, b in zip(seen, heard, strict=True))
    return Result(done.frames, len(seen), worst, float(1 / clip.rate))


class Result(NamedTuple):
    frames: int
    flashes: int
    worst: float  # seconds
    frame: float


@pytest.mark.parametrize("rate", ["24000/1001", "30000/1001", "60000/1001", "vfr"])
def test_flash_and_beep_stay_together(rate: str, tmp_path: Path) -> None:
    """Of an odd number of seconds, trimmed in the middle of a frame."""
    result = apart(tmp_path, 7.77, rate, trim=1.71, every=2)
    assert result.flashes == 3
    assert result.worst < result.frame


@pytest.mark.parametrize(
    ("codec", "source", "out"),
    [
        ("adpcm_ima_qt", "in.mov", "out.mp4"),
        ("wmav2", "in.mkv", "out.mp4"),
        ("pcm_s16le", "in.avi", "out.mp4"),
        ("libmp3lame", "in.mkv", "out.webm"),
    ],
)
def test_sound_that_is_encoded_anew_stays_in_its_place(
    codec: str, source: str, out: str, tmp_path: Path
) -> None:
    import imageio_ffmpeg

    first = generate(tmp_path / "first.mp4", 7.77, "30000/1001", 2)
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(first), "-c:v", "mpeg4"]
    subprocess.run([*command, "-c:a", codec, str(tmp_path / source)], check=True)
    clip = clips.open_clip(tmp_path / source).span(1.71)
    publish(
        tmp_path / out, clip.frames(), mark=Mark(Payload.of(CLAIM)), claim=CLAIM, rate=clip.rate,
        sound=clip.span_sound,
    )  # fmt: skip
    before, after = (
        np.subtract(*onsets(tmp_path / name))[-3:] for name in (source, out)
    )  # the flash at 1 s is cut off
    np.testing.assert_allclose(after, before, rtol=0, atol=0.015)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=3600, help="[3600]")
    parser.add_argument("--rates", nargs="+", default=["24000/1001", "30000/1001", "vfr"])
    options = parser.parse_args()
    print("| clip | frames | flashes | apart at most, s | a frame, s |\n|---|---|---|---|---|")
    for rate in options.rates:
        with tempfile.TemporaryDirectory() as folder:
            result = apart(Path(folder), options.seconds, rate, trim=7.3, every=60)
        print(
            f"| {options.seconds:g} s, {rate} | {result.frames} | {result.flashes} "
            f"| {result.worst:.4f} | {result.frame:.4f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
