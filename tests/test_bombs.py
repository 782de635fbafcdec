"""Small files that ask for much: each gets its line or verdict in bounded time and memory."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from conftest import draw_face, draw_frames, write_clip
from PIL import Image
from test_bad_input import png_header

from animate.provenance.tags import XMP_BOX
from animate.watermark import Claim, Embedder, Mark, Payload

CLAIM = Claim("animate 0", "none", "", "", "", "2026-01-01T00:00:00Z", "none")
SECONDS, MEBIBYTES = 20, 700  # of the processor, and resident, for any one of these
ZEROS = zlib.compress(bytes(100_000_000), 9)  # 100 kB
MEASURE = """
import json, sys, time, warnings
from pathlib import Path
from animate.errors import AnimateError
from animate.verification.verify import verify
warnings.simplefilter("error")
for path in map(Path, sys.argv[1:]):
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    since = time.process_time()
    try:
        said = verify(path).verdict
    except AnimateError as error:
        said = str(error)
    peak = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) >> 10
    print(json.dumps([path.name, said, time.process_time() - since, peak]), flush=True)
"""


def chunk(name: bytes, data: bytes) -> bytes:
    whole = name + data
    return struct.pack(">I", len(data)) + whole + struct.pack(">I", zlib.crc32(whole))


def laughs() -> bytes:
    """XML whose entities grow to 50 billion characters."""
    grown = "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 10))
    return (
        f'<!DOCTYPE x [<!ENTITY a0 "{"ha" * 25}">{grown}]><x:xmpmeta xmlns:x="adobe:ns:meta/" '
        f'xmlns:T="http://www.tc260.org.cn/ns/AIGC/1.0/"><T:AIGC>&a9;</T:AIGC></x:xmpmeta>'
    ).encode()


def gif(width: int, height: int, frames: int, side: int = 1) -> bytes:
    """Frames of one colour, `side` wide and high, on a screen of two colours."""
    one = b"!\xf9\x04\0\x04\0\0\0," + struct.pack("<HHHHB", 0, 0, side, side, 0) + b"\2\2\x44\1\0"
    screen = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0)
    return screen + b"\0\0\0\xff\xff\xff" + one * frames + b";"


def webp(*chunks: tuple[bytes, bytes]) -> bytes:
    body = b"WEBP" + b"".join(
        name + struct.pack("<I", len(data)) + data + bytes(len(data) % 2) for name, data in chunks
    )
    return b"RIFF" + struct.pack("<I", len(body)) + body


def patched(data: bytes, box: bytes, at: int, *numbers: int) -> bytes:
    """An MP4 with other 32-bit numbers `at` bytes behind the name of a box."""
    start = data.index(box) + 4 + at
    return (
        data[:start] + struct.pack(f">{len(numbers)}I", *numbers) + data[start + 4 * len(numbers) :]
    )


def many_samples(data: bytes, count: int) -> bytes:
    """An MP4 that says it has so many samples of one byte."""
    data = patched(data, b"stsz", 4, 1, count)
    return patched(patched(data, b"stts", 8, count), b"stsc", 12, count)


@pytest.fixture(scope="module")
def bombs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bombs")
    face = Image.fromarray(draw_face(64)).resize((256, 256), Image.Resampling.BICUBIC)
    marked = Embedder(Mark(Payload.of(CLAIM)), 256, 256)(np.asarray(face))
    Image.fromarray(marked).save(folder / "plain.png")
    png = (folder / "plain.png").read_bytes()
    frames = [np.kron(frame, np.ones((2, 2, 1), np.uint8)) for frame in draw_frames(3)]
    moving = Embedder(Mark(Payload.of(CLAIM)), 256, 256)
    mp4 = write_clip(folder / "plain.mp4", [moving(frame) for frame in frames]).read_bytes()
    (folder / "plain.mp4").unlink()
    Image.fromarray(marked).save(folder / "laughs.jpg", xmp=laughs())
    Image.fromarray(marked).save(folder / "laughs.webp", xmp=laughs(), quality=95)
    (folder / "tags").write_text(f";FFMETADATA1\nAIGC={'x' * 5_000_000}\n")
    for name in ("aigc.mp4", "aigc.mkv"):
        (folder / "in.mp4").write_bytes(mp4)
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", folder / "in.mp4"]
        command += ["-i", folder / "tags", "-map_metadata", "1", "-c", "copy"]
        command += ["-movflags", "use_metadata_tags", folder / name]
        subprocess.run(command, check=True)
    (folder / "in.mp4").unlink()
    (folder / "tags").unlink()
    packet = b"XML:com.adobe.xmp\0"
    files = {
        "size.png": png_header(2**31 - 1, 2**31 - 1),
        "size.gif": gif(65_535, 65_535, 2),
        "frame.gif": gif(64, 64, 2, side=65_535),
        "size.webp": webp((b"VP8L", b"\x2f" + struct.pack("<I", 16383 | 16383 << 14) + bytes(8))),
        "canvas.webp": webp((b"VP8X", b"\x10\0\0\0" + b"\xff" * 6), (b"VP8L", bytes(13))),
        "ztxt.png": png[:33] + chunk(b"zTXt", b"Comment\0\0" + ZEROS) + png[33:],
        "itxt.png": png[:33] + chunk(b"iTXt", packet + b"\1\0\0\0" + ZEROS) + png[33:],
        "iccp.png": png[:33] + chunk(b"iCCP", b"x\0\0" + ZEROS) + png[33:],
        "laughs.png": png[:33] + chunk(b"iTXt", packet + b"\0\0\0\0" + laughs()) + png[33:],
        "aigc.png": png[:33] + chunk(b"iTXt", packet + b"\0\0\0\0" + b"<a>" * 5_000_000) + png[33:],
        "laughs.mp4": mp4 + struct.pack(">I", len(laughs()) + 24) + b"uuid" + XMP_BOX + laughs(),
        "box.mp4": mp4 + struct.pack(">I4sQ", 1, b"uuid", 2**63),
        "moov.mp4": mp4.replace(
            mp4[(at := mp4.index(b"moov")) - 4 : at + 4], b"\xff\xff\xff\xffmoov"
        ),
        "samples.mp4": many_samples(mp4, 2**32 - 1),
        "million.mp4": many_samples(mp4, 8_000_000),
        "times.mp4": patched(mp4, b"stts", 8, 2**31 - 1),
        "days.mp4": patched(mp4, b"stts", 12, 2**31 - 1),
    }
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


LINE = {"size.png": "too large", "size.gif": "too large", "frame.gif": "too large",
        "size.webp": "too large", "canvas.webp": "", "ztxt.png": "damaged", "itxt.png": "damaged",
        "iccp.png": "damaged", "box.mp4": "", "samples.mp4": "", "million.mp4": "",
        "days.mp4": ""}  # fmt: skip


@pytest.mark.skipif(sys.platform != "linux", reason="measured by Linux's means")
def test_each_gets_its_line_or_verdict_within_its_limits(bombs: Path) -> None:
    results = list(measured(sorted(bombs.iterdir())))
    assert len(results) == len(list(bombs.iterdir()))
    for name, said, seconds, peak in results:
        if name in LINE:
            assert name in said, said
            assert "\n" not in said
            assert LINE[name] in said
        else:
            assert said == "marked", name
        assert seconds < SECONDS, name
        assert peak < MEBIBYTES, name


def measured(paths: list[Path]) -> Iterator[tuple[str, str, float, int]]:
    command = [sys.executable, "-c", MEASURE, *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    for line in done.stdout.splitlines():
        print(line)
        name, said, seconds, peak = json.loads(line)
        yield name, said, seconds, peak
