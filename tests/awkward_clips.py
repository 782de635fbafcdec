"""Clips as people have them, by name: functions that make one in a folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from awkward_photos import Maker, animation, face, faded, ffmpeg, plain, saved, written
from conftest import draw_calm, draw_frames, in_other_scene, write_clip
from PIL import Image

CLIPS: dict[str, Maker] = {}


def clip(name: str) -> Callable[[Maker], Maker]:
    return lambda maker: CLIPS.setdefault(name, maker)


clip("H.264 with sound")(lambda f: plain(f, sound=True))
clip("without sound")(lambda f: plain(f))
clip("odd sides, VP9")(
    lambda f: ffmpeg(f / "c.webm", "-i", str(plain(f)), "-vf", "crop=127:125", "-c:v", "libvpx-vp9")
)
clip("interlaced MPEG-2")(
    lambda f: ffmpeg(f / "c.mpg", "-i", str(plain(f)), "-c:v", "mpeg2video",
                     "-flags", "+ilme+ildct", "-vf", "setfield=tff")
)  # fmt: skip
clip("HDR: 10 bits, HLG, HEVC")(
    lambda f: ffmpeg(f / "c.mp4", "-i", str(plain(f)), "-c:v", "libx265", "-pix_fmt", "yuv420p10le",
                     "-x265-params", "log-level=0:pools=1", "-color_trc", "arib-std-b67",
                     "-color_primaries", "bt2020", "-colorspace", "bt2020nc")
)  # fmt: skip
clip("HDR10: 10 bits, PQ, VP9 in WebM")(
    lambda f: ffmpeg(f / "c.webm", "-i", str(plain(f)), "-vf",
                     "zscale=pin=709:tin=709:min=170m:t=smpte2084:p=2020:m=2020_ncl:npl=203,"
                     "format=yuv420p10le",
                     "-c:v", "libvpx-vp9", "-deadline", "realtime")
)  # fmt: skip
clip("Display P3, ProRes with alpha")(
    lambda f: ffmpeg(f / "c.mov", "-i", str(plain(f)), "-vf",
                     "setparams=color_primaries=smpte432:color_trc=bt709:colorspace=bt709,"
                     "format=yuva444p10le", "-c:v", "prores_ks", "-profile:v", "4444")
)  # fmt: skip
clip("alpha: QuickTime Animation")(
    lambda f: ffmpeg(f / "c.mov", "-i", str(plain(f)), "-c:v", "qtrle", "-pix_fmt", "argb")
)
clip("a phone's rotation")(
    lambda f: ffmpeg(f / "c.mp4", "-display_rotation", "90", "-i",
                     str(ffmpeg(f / "t.mp4", "-i", str(plain(f)), "-vf", "transpose=1")),
                     "-c", "copy")
)  # fmt: skip
clip("on its side, without the rotation")(
    lambda f: ffmpeg(f / "c.mp4", "-i", str(plain(f)), "-vf", "transpose=1")
)
clip("upside down")(lambda f: ffmpeg(f / "c.mp4", "-i", str(plain(f)), "-vf", "hflip,vflip"))
clip("a variable frame rate")(
    lambda f: ffmpeg(f / "c.mkv", "-i", str(plain(f)), "-vf", "setpts=(N+0.3*mod(N\\,3))/25/TB",
                     "-fps_mode", "vfr")
)  # fmt: skip
clip("sound longer than the video")(
    lambda f: ffmpeg(f / "c.mp4", "-i", str(plain(f)), "-f", "lavfi", "-i", "sine=duration=2",
                     "-c:v", "copy")
)  # fmt: skip
clip("sound of an unknown codec")(
    written("c.mp4", lambda f: plain(f, sound=True).read_bytes()
            .replace(b"mp4a", b"what").replace(b"esds", b"free"))
)  # fmt: skip
clip("Windows Media sound")(
    lambda f: ffmpeg(f / "c.mkv", "-i", str(plain(f, sound=True)), "-c:a", "wmav2")
)
clip("Motion JPEG in AVI")(
    lambda f: ffmpeg(f / "c.avi", "-i", str(plain(f)), "-c:v", "mjpeg", "-q:v", "2")
)
clip("a GIF")(lambda f: ffmpeg(f / "c.gif", "-i", str(plain(f))))
clip("an animated WebP, 100 and 300 ms")(
    lambda f: animation(f / "c.webp", duration=[100, 300, 100], lossless=True)
)
clip("an animated PNG named .png")(lambda f: animation(f / "c.png", duration=40))
clip("a phone's 3GP")(
    lambda f: ffmpeg(f / "c.3gp", "-i", str(plain(f)), "-c:v", "h263", "-s", "176x144")
)
clip("a camera's MTS")(lambda f: ffmpeg(f / "c.MTS", "-i", str(plain(f)), "-f", "mpegts"))
clip("Windows Media")(lambda f: ffmpeg(f / "c.wmv", "-i", str(plain(f))))
clip("an MP4 without suffix")(lambda f: plain(f).rename(f / "c"))
clip("an MP4 named .jpg")(lambda f: plain(f).rename(f / "c.jpg"))
clip("a JPEG named .mp4")(lambda f: saved(f, "c.mp4", face(), format="JPEG"))
clip("an address")(lambda f: Path("https://example.org/c.mp4"))
clip("an MP4 named .avi")(lambda f: plain(f).rename(f / "c.avi"))
clip("spaces, quotes and non-ASCII in the name")(lambda f: plain(f).rename(f / "my 'clip' ü=1.mp4"))
clip("one frame a second")(lambda f: write_clip(f / "c.mp4", draw_frames(3), "1"))
clip("59.94 frames a second")(lambda f: write_clip(f / "c.mp4", draw_frames(5), "60000/1001"))
clip("a black frame in the middle")(
    lambda f: write_clip(
        f / "c.mp4", [*draw_frames(3), np.zeros((128, 128, 3), np.uint8), *draw_frames(2)], "25"
    )
)
clip("a scene cut")(
    lambda f: write_clip(f / "c.mp4", [*draw_frames(3), *map(in_other_scene, draw_frames(3))], "25")
)
clip("a photographer's flash, in one frame")(
    lambda f: write_clip(
        f / "c.mp4", [g if i != 2 else 255 - (255 - g) // 3 for i, g in enumerate(draw_frames(5))]
    )
)
clip("a cross-fade to another person")(
    lambda f: write_clip(f / "c.mp4", faded(draw_calm(36), 12, 20), "25")
)
clip("no face at all")(
    lambda f: write_clip(f / "c.mp4", [np.full((96, 128, 3), 90, np.uint8)] * 3, "25")
)
clip("one frame")(lambda f: write_clip(f / "c.mp4", draw_frames(1), "25"))
clip("sound only")(lambda f: ffmpeg(f / "c.m4a", "-f", "lavfi", "-i", "sine=duration=1"))
clip("an empty file")(written("c.mp4", lambda f: b""))
clip("a PDF")(written("c.pdf", lambda f: b"%PDF-1.7\n" + bytes(50)))
clip("a drawing")(written("c.svg", lambda f: b'<svg xmlns="http://www.w3.org/2000/svg"/>'))
clip("an MP3")(written("c.mp3", lambda f: b"\xff\xfb\x90\0" + bytes(400)))
clip("a manifest without its file")(written("c.c2pa", lambda f: b"\0\0\0\x42jumb" + bytes(50)))
clip("text named .mp4")(written("c.mp4", lambda f: b"not a film" * 99))
clip("an MP4 whose end is missing")(
    written("c.mp4", lambda f: (data := plain(f).read_bytes())[: len(data) * 2 // 3])
)
clip("a damaged motion template")(written("c.npz", lambda f: b"PK not really"))


@clip("a folder of frames")
def frames(folder: Path) -> Path:
    for index, frame in enumerate(draw_frames(3)):
        saved(folder, f"{index}.png", Image.fromarray(frame))
    return folder


@clip("a folder of frames of two sizes")
def mixed(folder: Path) -> Path:
    saved(folder, "0.png", face(128))
    saved(folder, "1.png", face(160))
    return folder


clip("an empty folder")(lambda f: f)
