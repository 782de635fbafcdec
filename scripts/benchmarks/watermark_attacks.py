"""Attacks on watermarks: codecs, crops, filters and edits, applied to frames in memory.

An attack maps frames, uint8 (H, W, 3) RGB at 25 a second, to frames that all have one size.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import av
import numpy as np
from PIL import Image, ImageDraw, ImageFilter

Frames = list[np.ndarray]
Attack = Callable[[Frames], Frames]
SLOW = {"threads": "1"}  # options of all encoders


def coded(frames: Frames, codec: str, decoder: str, rate: Any = 25, **options: Any) -> Frames:
    """Encode frames by ffmpeg (yuv420p) and decode them; odd sides lose a row or column."""
    height, width = (side - side % 2 for side in frames[0].shape[:2])
    encoder: Any = av.CodecContext.create(codec, "w")
    encoder.height, encoder.width, encoder.pix_fmt = height, width, "yuv420p"
    encoder.framerate, encoder.time_base = Fraction(rate), Fraction(1, rate)
    encoder.options = {**SLOW, **options}
    packets = []
    for number, picture in enumerate(frames):
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture[:height, :width]), "rgb24")
        frame.pts = number
        packets += encoder.encode(frame)
    reader: Any = av.CodecContext.create(decoder, "r")
    if encoder.extradata:
        reader.extradata = encoder.extradata
    decoded = [f for p in [*packets, *encoder.encode(None), None] for f in reader.decode(p)]
    return [frame.to_ndarray(format="rgb24") for frame in decoded]


def h264(crf: int) -> Attack:
    return lambda frames: coded(frames, "libx264", "h264", crf=str(crf), preset="medium")


def each(change: Callable[[Image.Image], Image.Image]) -> Attack:
    """Apply `change` to each frame as a Pillow image."""
    return lambda frames: [
        np.asarray(change(Image.fromarray(frame)).convert("RGB")) for frame in frames
    ]


def values(change: Callable[[np.ndarray], np.ndarray]) -> Attack:
    """Apply `change` to each frame's grey levels as float32."""
    return lambda frames: [
        np.clip(np.rint(change(frame.astype(np.float32))), 0, 255).astype(np.uint8)
        for frame in frames
    ]


def cut(side: float, across: float = 0.5, down: float = 0.5) -> Attack:
    """Crop to `side` times the sides; across, down: its place, from 0 to 1."""

    def change(image: Image.Image) -> Image.Image:
        width, height = round(image.width * side), round(image.height * side)
        left, top = int((image.width - width) * across), int((image.height - height) * down)
        return image.crop((left, top, left + width, top + height))

    return each(change)


def scaled(factor: float) -> Attack:
    return each(
        lambda image: image.resize(
            (round(image.width * factor), round(image.height * factor)), Image.Resampling.BICUBIC
        )
    )


def to_short_side(short: int) -> Attack:
    return lambda frames: scaled(short / min(frames[0].shape[:2]))(frames)


def turned(degrees: float) -> Attack:
    return each(lambda image: image.rotate(degrees, Image.Resampling.BICUBIC))


def jpeg(quality: int) -> Attack:
    def change(image: Image.Image) -> Image.Image:
        memory = io.BytesIO()
        image.save(memory, "JPEG", quality=quality, subsampling="4:2:0")
        return Image.open(memory)

    return each(change)


def palette(frames: Frames) -> Frames:
    """Reduce each frame to 256 dithered colours, as in a GIF."""
    return each(lambda image: image.quantize(256))(frames)


def placed(scale: float, canvas: tuple[float, float], across: float, down: float) -> Attack:
    """Paste the picture at `scale` on a canvas of so many times its sides, a ramp or black."""

    def change(image: Image.Image) -> Image.Image:
        size = round(image.width * canvas[0]), round(image.height * canvas[1])
        ground = Image.new("RGB", size, (0, 0, 0))
        if scale < 1:
            ramp = np.linspace(40, 200, size[0] * size[1]).reshape(size[1], size[0])
            ground = Image.fromarray(np.stack([ramp, ramp[::-1], 0.5 * ramp], -1).astype(np.uint8))
        small = image.resize((round(image.width * scale), round(image.height * scale)))
        left, top = int((size[0] - small.width) * across), int((size[1] - small.height) * down)
        ground.paste(small, (left, top))
        return ground

    return each(change)


def logo(image: Image.Image) -> Image.Image:
    side = image.width
    draw = ImageDraw.Draw(image)
    draw.ellipse((side * 0.78, side * 0.04, side * 0.96, side * 0.22), fill=(230, 30, 40))
    draw.rectangle((side * 0.83, side * 0.1, side * 0.91, side * 0.16), fill=(255, 255, 255))
    return image


def subtitles(image: Image.Image) -> Image.Image:
    width, height = image.size
    draw = ImageDraw.Draw(image)
    draw.rectangle((width * 0.1, height * 0.82, width * 0.9, height * 0.95), fill=(0, 0, 0))
    draw.text((width * 0.14, height * 0.84), "a line of words, said by someone",
              fill=(255, 255, 255), font_size=height * 0.045)  # fmt: skip
    return image


def averaged(reach: int) -> Attack:
    """Replace each frame by the mean of `reach` neighbours."""

    def attack(frames: Frames) -> Frames:
        groups = [frames[max(0, i - reach // 2) : i + reach // 2 + 1] for i in range(len(frames))]
        return [np.mean(group, axis=0).astype(np.uint8) for group in groups]

    return attack


def resampled(rate: Fraction) -> Attack:
    """Drop or repeat frames, so that `rate` frames come from each."""
    return lambda frames: [frames[int(i / rate)] for i in range(max(1, int(len(frames) * rate)))]


def screen_photo(frames: Frames) -> Frames:
    """Simulate a hand-held photo of a screen: perspective, moire, blur, noise and JPEG."""
    rng = np.random.default_rng(5)
    height, width = frames[0].shape[:2]
    y, x = np.mgrid[:height, :width] / np.array([height, width])[:, None, None]
    bars = 1 + 0.03 * np.sin(2 * np.pi * (41 * y + 3 * x)) * np.sin(2 * np.pi * 37 * x)
    corners = (0.01, 0.015, -0.012, 0.98, 0.985, 1.01, 1.012, -0.008)  # of the sides
    quad = tuple(c * side for c, side in zip(corners, (width, height) * 4, strict=True))

    def change(image: Image.Image) -> Image.Image:
        image = image.transform(image.size, Image.Transform.QUAD, quad, Image.Resampling.BICUBIC)
        shot = np.asarray(image.filter(ImageFilter.GaussianBlur(0.7))) * bars[..., None]
        shot = shot * np.array([1.04, 1.0, 0.94]) + rng.normal(0, 3, (height, width, 3))
        return Image.fromarray(np.clip(shot, 0, 255).astype(np.uint8))

    return jpeg(80)(each(change)(frames[:10]))


def chained(*attacks: Attack) -> Attack:
    def attack(frames: Frames) -> Frames:
        for one in attacks:
            frames = one(frames)
        return frames

    return attack


def noisy(frames: Frames) -> Frames:
    rng = np.random.default_rng(1)
    return values(lambda x: x + rng.normal(0, 5, x.shape))(frames)


def grey(x: np.ndarray) -> np.ndarray:
    return np.repeat(x @ np.array([[0.299], [0.587], [0.114]], np.float32), 3, axis=-1)


def mpeg4(frames: Frames) -> Frames:
    return coded(frames, "mpeg4", "mpeg4", b="900000")


def av1(frames: Frames) -> Frames:
    """Encode by SVT-AV1, then undo the real-time priority that it may give to this process."""
    decoded = coded(frames, "libsvtav1", "libdav1d", crf="45", preset="8")
    if hasattr(os, "sched_setscheduler"):
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    return decoded


BLUR = ImageFilter.Kernel((3, 3), [1, 2, 1, 2, 4, 2, 1, 2, 1])
ATTACKS: dict[str, Attack] = {
    "none": lambda frames: frames,
    "H.264 CRF 18": h264(18),
    "H.264 CRF 23": h264(23),
    "H.264 CRF 28": h264(28),
    "H.264 CRF 35": h264(35),
    "H.264 CRF 40": h264(40),
    "H.264 CRF 28 twice": chained(h264(28), h264(28)),
    "HEVC CRF 28": lambda frames: coded(frames, "libx265", "hevc", crf="28", **{"x265-params": "log-level=none:pools=1"}),  # noqa: E501
    "AV1 CRF 45": av1,
    "VP9 CRF 36": lambda frames: coded(frames, "libvpx-vp9", "vp9", crf="36", b="0", **{"cpu-used": "4"}),  # noqa: E501
    "MPEG-4, GIF, MPEG-4": chained(mpeg4, palette, mpeg4),
    "social: 480, CRF 30, 30 fps": chained(to_short_side(480), resampled(Fraction(6, 5)), h264(30)),
    "centre crop 75 %": cut(0.75),
    "crop 50 % of the area": cut(0.7071, 0.3, 0.6),
    "crop to half the side": cut(0.5, 0.4, 0.3),
    "horizontal flip": each(lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)),
    "rotation 5 degrees": turned(5),
    "rotation 10 degrees": turned(-10),
    "scaled to 50 %": scaled(0.5),
    "scaled to 150 %": scaled(1.5),
    "rotation 5, crop 75 %, flip": chained(
        turned(5), cut(0.75), each(lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT))
    ),
    "picture in picture, 50 %": placed(0.5, (1, 1), 0.9, 0.1),
    "letterbox": placed(1, (1, 1.78), 0, 0.5),
    "pillarbox": placed(1, (1.78, 1), 0.5, 0),
    "logo": each(logo),
    "subtitles": each(subtitles),
    "brightness x1.3": values(lambda x: x * 1.3),
    "contrast x0.7": values(lambda x: 128 + 0.7 * (x - 128)),
    "gamma 0.7": values(lambda x: 255 * (x / 255) ** 0.7),
    "gamma 1.4": values(lambda x: 255 * (x / 255) ** 1.4),
    "colour temperature": values(lambda x: x * np.array([1.15, 1.0, 0.8], np.float32)),
    "grayscale": values(grey),
    "noise, sigma 5": noisy,
    "blur 3x3": each(lambda image: image.filter(BLUR)),
    "denoise (median 3x3)": each(lambda image: image.filter(ImageFilter.MedianFilter(3))),
    "sharpen": each(lambda image: image.filter(ImageFilter.UnsharpMask(2, 100, 0))),
    **{f"JPEG {quality}, 4:2:0": jpeg(quality) for quality in (30, 50, 70, 90)},
    "GIF": palette,
    "drop 90 % of the frames": lambda frames: frames[::10],
    "30 to 24 fps": resampled(Fraction(4, 5)),
    "speed 0.5": resampled(Fraction(2)),
    "speed 2": resampled(Fraction(1, 2)),
    "trimmed to 1 s": lambda frames: frames[-25:],
    "mean of 5 frames": averaged(5),
    "screen recording": chained(
        scaled(0.8), cut(0.9, 0.3, 0.6), values(lambda x: x * 1.1), h264(28)
    ),
    "photo of a screen": screen_photo,
    "H.264 CRF 40, crop 50 %": chained(h264(40), cut(0.7071, 0.3, 0.6)),
}  # fmt: skip


def concatenated(marked: Sequence[np.ndarray], plain: Sequence[np.ndarray]) -> Frames:
    """Two seconds without the mark, all marked frames, then a second without."""
    return [*plain[:50], *marked, *plain[:25]]
