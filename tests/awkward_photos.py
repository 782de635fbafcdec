"""Photos as people have them, by name: functions that make one in a folder."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
from conftest import draw_face, draw_frames, in_other_scene, write_clip
from PIL import Image, ImageCms, ImageDraw, ImageFilter, ImageOps

from animate.media.photo_colours import srgb_profile

PHOTOS: dict[str, Callable[[Path], Path]] = {}
Maker = Callable[[Path], Path]


def photo(name: str) -> Callable[[Maker], Maker]:
    return lambda maker: PHOTOS.setdefault(name, maker)


def face(side: int = 200) -> Image.Image:
    return Image.fromarray(draw_face(side))


def saved(folder: Path, name: str, picture: Image.Image, **options: object) -> Path:
    picture.save(folder / name, **options)  # type: ignore[arg-type]
    return folder / name


def pasted(size: tuple[int, int], *places: tuple[int, int, int]) -> Image.Image:
    """Faces of (left, top, side) on grey."""
    picture = Image.new("RGB", size, (90, 90, 90))
    for left, top, side in places:
        picture.paste(face(side), (left, top))
    return picture


def ffmpeg(out: Path, *arguments: str) -> Path:
    import imageio_ffmpeg

    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", *arguments, str(out)]
    subprocess.run(command, check=True)
    return out


def plain(folder: Path, name: str = "in.mp4", sound: bool = False) -> Path:
    return write_clip(folder / name, draw_frames(5), "25", sound=sound)


def faded(frames: list[np.ndarray], start: int, end: int) -> list[np.ndarray]:
    """Frames, then those of another scene, mixed from `start` to `end`."""
    shares = [min(max((i - start) / (end - start), 0), 1) for i in range(len(frames))]
    mixed = [a * (1 - s) + in_other_scene(a) * s for a, s in zip(frames, shares, strict=True)]
    return [np.rint(frame).astype(np.uint8) for frame in mixed]


def animation(path: Path, **options: object) -> Path:
    first, *others = [Image.fromarray(frame) for frame in draw_frames(3)]
    first.save(path, save_all=True, append_images=others, **options)  # type: ignore[arg-type]
    return path


# ---------------------------------------------------------------- photos


def lab(picture: Image.Image) -> Image.Image:
    source, target = (ImageCms.createProfile(name) for name in ("sRGB", "LAB"))
    transform = ImageCms.buildTransform(source, target, "RGB", "LAB")  # type: ignore[arg-type]
    return transform.apply(picture)


photo("a colour PNG")(lambda f: saved(f, "p.png", face()))
photo("grey")(lambda f: saved(f, "p.png", face().convert("L")))
photo("16 bits of grey")(
    lambda f: saved(f, "p.png", Image.fromarray(np.asarray(face().convert("L"), np.uint16) * 257))
)
photo("a palette")(lambda f: saved(f, "p.png", face().quantize(64)))
photo("CMYK JPEG")(lambda f: saved(f, "p.jpg", face().convert("CMYK")))
photo("a CMYK TIFF with a profile of screens, which isn't for it")(
    lambda f: saved(f, "p.tif", face().convert("CMYK"), icc_profile=srgb_profile())
)
photo("a damaged colour profile")(
    lambda f: saved(f, "p.jpg", face(), icc_profile=srgb_profile()[:300])
)
photo("CIE L*a*b* TIFF")(lambda f: saved(f, "p.tif", lab(face())))
photo("WebP")(lambda f: saved(f, "p.webp", face()))
photo("TIFF")(lambda f: saved(f, "p.tif", face()))
photo("BMP")(lambda f: saved(f, "p.bmp", face()))
photo("a JPEG named .png")(lambda f: saved(f, "p.png", face(), format="JPEG"))
photo("spaces, quotes and non-ASCII in the name")(
    lambda f: saved(f, "my  photo (1) 'ü' 日本=,[x].jpg", face())
)
photo("8K (7680x4320)")(lambda f: saved(f, "p.jpg", pasted((7680, 4320), (3000, 900, 2400))))
photo("a face of 40 pixels in 640x480")(
    lambda f: saved(f, "p.png", pasted((640, 480), (300, 200, 60)))
)
photo("three faces")(
    lambda f: saved(f, "p.png", pasted((640, 240), (0, 20, 200), (210, 20, 220), (440, 20, 200)))
)
photo("a face cut off by the edge")(lambda f: saved(f, "p.png", pasted((200, 240), (60, 20, 200))))
photo("a tilted head")(lambda f: saved(f, "p.png", face().rotate(35, fillcolor=(90, 90, 90))))
photo("lying on its side")(lambda f: saved(f, "p.png", face().transpose(Image.Transpose.ROTATE_90)))
photo("upside down")(lambda f: saved(f, "p.png", face().transpose(Image.Transpose.ROTATE_180)))
photo("three faces, one of them on its side")(
    lambda f: saved(f, "p.png", ImageOps.expand(
        Image.fromarray(np.concatenate([*[np.asarray(face())] * 2, np.rot90(face())], 1)), 9))
)  # fmt: skip
photo("a painting (posterised, brush strokes)")(
    lambda f: saved(f, "p.png", ImageOps.posterize(face().filter(ImageFilter.ModeFilter(7)), 3))
)
photo("a statue (no colour, little contrast)")(
    lambda f: saved(f, "p.png", face().convert("L").point(lambda v: 120 + v // 4))
)
photo("dark")(lambda f: saved(f, "p.png", face().point(lambda v: v // 6)))
photo("no face: grey")(lambda f: saved(f, "p.png", Image.new("RGB", (200, 200), (90, 90, 90))))
photo("no face: black")(lambda f: saved(f, "p.png", Image.new("RGB", (200, 200))))
photo("one pixel high")(lambda f: saved(f, "p.png", Image.new("RGB", (200, 1))))
photo("13,000 pixels wide")(lambda f: saved(f, "p.png", Image.new("RGB", (13_000, 20))))


@photo("AVIF in Display P3, named by number, without a profile")
def avif_by_number(folder: Path) -> Path:
    path = saved(folder, "p.avif", face(), quality=95)
    path.write_bytes(path.read_bytes().replace(b"nclx\0\1\0\r", b"nclx\0\x0c\0\r"))
    return path


@photo("half transparent")
def transparent(folder: Path) -> Path:
    picture = face().convert("RGBA")
    picture.putalpha(
        Image.linear_gradient("L").resize((200, 200)).point(lambda v: min(255, v + 90))
    )
    return saved(folder, "p.png", picture)


@photo("turned by EXIF")
def turned(folder: Path) -> Path:
    tags = Image.Exif()
    tags[0x0112] = 6
    picture = face().transpose(Image.Transpose.ROTATE_90)
    return saved(folder, "p.jpg", picture, exif=tags)


@photo("an animated GIF")
def animated(folder: Path) -> Path:
    more = [Image.fromarray(f) for f in draw_frames(3, 200)]
    return saved(folder, "p.gif", more[0], save_all=True, append_images=more[1:])


@photo("from the side")
def side(folder: Path) -> Path:
    """Eyes, nose and mouth moved across the face, as a turn does."""
    picture, turned = draw_face(200), draw_face(200).copy()
    y, x = np.mgrid[:200, :200] / 200
    inside = ((x - 0.5) / 0.25) ** 2 + ((y - 0.5) / 0.34) ** 2 < 0.9
    shift = (38 * inside * (1 - ((x - 0.5) / 0.25) ** 2).clip(0)).astype(int)
    turned[inside] = picture[
        (y * 200).astype(int)[inside], ((x * 200).astype(int) - shift)[inside].clip(0, 199)
    ]
    return saved(folder, "p.png", Image.fromarray(turned))


def covered(draw_on: Callable[[ImageDraw.ImageDraw], None]) -> Maker:
    def make(folder: Path) -> Path:
        picture = face()
        draw_on(ImageDraw.Draw(picture))
        return saved(folder, "p.png", picture)

    return make


def glasses(draw: ImageDraw.ImageDraw) -> None:
    for x in (78, 122):
        draw.ellipse([x - 20, 74, x + 20, 104], outline=(20, 20, 20), width=4)
    draw.line([98, 86, 102, 86], fill=(20, 20, 20), width=4)


photo("glasses")(covered(glasses))
photo("a surgical mask")(covered(lambda d: d.rectangle([52, 108, 148, 168], fill=(150, 190, 220))))
photo("a hand over the chin")(
    covered(lambda d: d.ellipse([100, 130, 170, 200], fill=(215, 170, 140)))
)


@photo("a cartoon of circles and dots")
def cartoon(folder: Path) -> Path:
    picture = Image.new("RGB", (200, 200), "white")
    draw = ImageDraw.Draw(picture)
    draw.ellipse([30, 30, 170, 170], fill=(255, 220, 0))
    draw.ellipse([70, 70, 80, 90], fill="black")
    draw.ellipse([120, 70, 130, 90], fill="black")
    return saved(folder, "p.png", picture)


def written(name: str, data: Callable[[Path], bytes]) -> Maker:
    def make(folder: Path) -> Path:
        (folder / name).write_bytes(data(folder))
        return folder / name

    return make


@photo("an animated WebP")
def animated_webp(folder: Path) -> Path:
    more = [Image.fromarray(f) for f in draw_frames(3, 200)]
    return saved(folder, "p.webp", more[0], save_all=True, append_images=more[1:], lossless=True)


photo("a JPEG named .mp4")(lambda f: saved(f, "p.mp4", face(), format="JPEG"))
photo("a PNG named .npz")(lambda f: saved(f, "p.npz", face(), format="PNG"))
photo("a video")(lambda f: plain(f))
photo("JPEG XL named .jpg")(written("p.jpg", lambda f: b"\xff\x0a" + bytes(50)))
photo("a PDF")(written("p.pdf", lambda f: b"%PDF-1.7\n" + bytes(50)))
photo("Photoshop")(written("p.psd", lambda f: b"8BPS\0\1" + bytes(50)))
photo("an address")(lambda f: Path("https://example.org/p.jpg"))
photo("an empty file")(written("p.jpg", lambda f: b""))
photo("sound")(written("p.mp3", lambda f: b"ID3\4" + bytes(50)))
photo("a manifest without its file")(written("p.c2pa", lambda f: b"\0\0\0\x42jumb" + bytes(50)))
photo("text named .jpg")(written("p.jpg", lambda f: b"not a picture"))
photo("a JPEG cut off in the middle")(
    written("p.jpg", lambda f: saved(f, "whole.jpg", face()).read_bytes()[:3000])
)
photo("a name that is nothing")(lambda f: f / "p.jpg")
