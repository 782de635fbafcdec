"""Whatever people have: every input works, or says in one line what is wrong and what to do.

The table of outcomes in docs/awkward-inputs.md is made by `python tests/test_awkward.py` and held
to by these tests.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import ROOT, draw_calm, draw_face, draw_frames, in_other_scene, write_clip
from PIL import Image, ImageCms, ImageDraw, ImageFilter, ImageOps

from animate.errors import AnimateError
from animate.faces import photo_locator
from animate.inference import advice
from animate.inference.compose import read_source
from animate.inference.driver import open_driver
from animate.inference.predictor import Predictor
from animate.media.photo_colours import srgb_profile
from animate.options import Faces

PAGE = ROOT / "docs" / "awkward-inputs.md"
PHOTOS: dict[str, Callable[[Path], Path]] = {}
CLIPS: dict[str, Callable[[Path], Path]] = {}
Maker = Callable[[Path], Path]


def photo(name: str) -> Callable[[Maker], Maker]:
    return lambda maker: PHOTOS.setdefault(name, maker)


def clip(name: str) -> Callable[[Maker], Maker]:
    return lambda maker: CLIPS.setdefault(name, maker)


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

# ---------------------------------------------------------------- clips

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

KINDS = [  # what a single photo or clip doesn't show: kind, outcome, and the test that holds it
    ("a driver that fades, loses focus or has a hand before the face",
     "untrusted poses are interpolated or held, counted and named",
     "test_doubt.py::test_frames_out_of_focus_are_bridged_and_counted"),
    ("a driver or source video that fades to another person",
     "the last pose before the fade is held; a source video's frames stay as they are",
     "test_doubt.py::test_a_fade_to_another_person_is_held_and_counted"),
    ("a driver that wipes, slides, squeezes or dissolves to another person",
     "one scene cut; the poses of the transition are held",
     "test_scenes.py::test_one_person_passes_into_another_once_and_is_held_meanwhile"),
    ("a clip with another picture laid over it for a moment", "held meanwhile; no scene cut",
     "test_scenes.py::test_what_lies_over_a_scene_for_a_moment_belongs_to_none"),
    ("a driver without one trusted pose", "used unchanged, and said so",
     "test_doubt.py::test_a_driver_that_is_never_in_focus_is_used_as_it_is"),
    ("a driver whose head moves far: aside, nearer, rolled by 40 degrees, turned in absolute "
     "motion",
     "the head stays near its place in the photo, with its hair and neck, and frames are counted; "
     "retarget.head=1 goes all the way, and says that it goes too far",
     "test_heads.py::test_a_head_in_a_photo_stays_near_its_place_unless_asked_to_go"),
    ("a photo with hair up to the edge of the face's square", "hair that rises leaves the square",
     "test_paste.py::test_a_head_that_rises_far_keeps_its_crown"),
    ("a source video", "its person keeps the head's movement; other movement ends near the neck",
     "test_compose.py::test_a_head_is_not_shown_far_from_its_neck"),
    ("a source video on its side", "read upright, written as it lay",
     "test_compose.py::test_a_clip_that_lies_moves_as_one_that_stands"),
    ("a photo with an open mouth", "the mouth closes and opens as the driver's does",
     "test_mouth.py::test_a_mouth_that_is_open_in_the_photo_closes_and_opens_as_the_drivers_does"),
    ("a covered mouth", "it moves with the head alone, and the run says so first",
     "test_covered.py::test_a_covered_mouth_does_not_part_and_is_told_of"),
    ("a grey or sepia photo", "teeth, tongue and eyes are painted in its ink",
     "test_light.py::test_frames_of_a_grey_photo_are_grey"),
    ("a photo in coloured light", "teeth, tongue and eyes take that light",
     "test_light.py::test_a_lamps_colour_is_found_on_the_skin"),
    ("faces whose squares overlap, faces.which=all", "each as sharp as alone",
     "test_paste.py::test_faces_whose_squares_overlap_are_as_sharp_as_alone"),
    ("one face of a group that lies or is an animal's", "what is said names that face",
     "test_advice.py::test_what_is_said_of_a_face_names_it_among_others"),
    ("flat or mostly transparent pictures",
     "marked more strongly and encoded more exactly until the mark is read back",
     "test_drafts.py::test_a_mark_that_is_lost_is_made_louder"),
    ("blocks of random colours",
     "the same; at the very end they lose contrast, and the run says so",
     "test_drafts.py::test_blocks_of_random_colours_are_published"),
    ("colours of a result in players that heed tags and in others", "the same within a grey level",
     "test_written_colours.py::test_players_that_heed_the_tags_and_those_that_do_not_agree"),
    ("HDR as training photos and folders of frames", "in the colours that viewers show",
     "test_colours.py::test_a_folder_of_frames_and_training_photos_have_their_profiles_followed"),
    ("a pipe or process substitution", "read whole, as often as needed; its hash is the content's",
     "test_pipes.py::test_a_pipe_has_no_hash_of_nothing"),
    ("a reader that has gone (`| head`)", "ends with 141, which is no verdict",
     "test_pipes.py::test_a_reader_that_has_gone_is_no_verdict"),
    ("a full or closed standard output", "one line and 74, which is no verdict",
     "test_pipes.py::test_output_that_can_t_be_written_is_one_line_and_no_verdict"),
    ("a spreadsheet's table: semicolons, tabs, UTF-16, empty rows",
     "read; errors name the file's line",
     "test_tables.py::test_rows_know_their_line_and_empty_ones_are_left_out"),
    ("a batch's result outside its folder", "that row fails in one line",
     "test_tables.py::test_results_stay_in_the_batch_s_folder"),
    ("an empty path, a deleted folder, COLUMNS=1", "one line, or help that fits",
     "test_cli.py::test_an_empty_path_is_refused_in_a_line"),
    ("verify: turned or mirrored pixels, or an orientation tag", "found, and said how it is turned",
     "test_verification.py::test_a_file_that_was_turned_or_mirrored_says_so"),
    ("verify: a stranger's signed file", "signed by an unknown key, never tampered with",
     "test_credentials.py::test_a_strangers_file_is_signed"),
    ("verify: a stranger's broken ingredient", "said of the ingredient",
     "test_credentials.py::test_a_strangers_broken_ingredient_is_the_ingredients"),
    ("verify: a manifest kept elsewhere", "its address is named, nothing is fetched",
     "test_credentials.py::test_a_manifest_elsewhere_is_named_and_not_fetched"),
    ("verify: a manifest that C2PA's library can't check", "unchecked, not damaged",
     "test_credentials.py::test_what_the_library_does_not_read_is_not_called_damaged"),
    ("verify: source types in MOV and inside others' manifests", "read as labels",
     "test_credentials.py::test_source_types_in_others_manifests_are_labels"),
    ("an interlaced clip that doesn't say so", "deinterlaced, and said so",
     "test_interlaced.py::"
     "test_combs_are_found_and_taken_out_of_a_clip_that_does_not_say_it_is_interlaced"),
    ("an AVIF of 10 or 12 bits, or of limited range",
     "read exactly, where Pillow is up to 11 levels off",
     "test_coding_points.py::test_an_avif_of_limited_range_keeps_its_blue"),
    ("verify: HEIC and AVIF, alone and in folders", "read, or named and counted",
     "test_credentials.py::test_a_folder_tells_of_the_pictures_that_it_can_not_read"),
    ("verify: a whole manifest in a damaged file", "the file is changed, the manifest is whole",
     "test_changed.py::test_a_whole_manifest_in_a_damaged_file_is_not_called_damaged"),
    ("verify: one frame of a marked video", "too little to compare, and said so",
     "test_changed.py::test_one_picture_of_a_clip_is_too_little_to_compare"),
    ("verify: hostile files", "one line or a verdict within time and memory",
     "test_bombs.py::test_each_gets_its_line_or_verdict_within_its_limits"),
]  # fmt: skip

# ---------------------------------------------------------------- outcomes


def of_photo(path: Path) -> str:
    photo = read_source(path, photo_locator(Faces()), everyone=False)
    others = len(photo.faces) - len(photo.boxes)
    notes = advice.of_photo(photo.faces[0], others, photo.pixels.shape)
    return "; ".join(["works", *notes])


def of_clip(path: Path, predictor: Predictor) -> str:
    driver = open_driver(path)
    count = sum(1 for _ in driver.poses(predictor))
    met = driver.stats
    parts = [f"works: {count} poses at {driver.rate} a second"]
    parts += [f"{met.missing} without a face"] * bool(met.missing)
    parts += [f"{met.cuts} scene cut"] * bool(met.cuts)
    parts += [f"turned upright by {90 * met.turns} degrees"] * bool(met.turns)
    parts += [f"the driver's sound is left out: {driver.silent}"] * bool(driver.silent)
    return ", ".join(parts)


def outcome(make: Maker, folder: Path, of: Callable[[Path], str]) -> str:
    """What comes of an input, with its path written FILE."""
    path = make(folder)
    try:
        return of(path)
    except AnimateError as error:
        text = str(error)
        assert "\n" not in text
        return text.replace(str(path), "FILE").replace(str(folder), "FILE")


@pytest.fixture(scope="module")
def predictor(world: Path) -> Predictor:
    from animate.checkpoints import load

    return Predictor(load(world / "tiny.safetensors")[0].eval(), torch.float32)


def told(kind: str, name: str) -> str:
    """What the page says comes of an input."""
    rows = [line.split(" | ") for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    found = [row[2].removesuffix(" |") for row in rows if row[:2] == [f"| {kind}", name]]
    return found[0] if found else "not in the table"


@pytest.mark.parametrize("name", PHOTOS)
def test_a_photo_works_or_says_why(name: str, tmp_path: Path) -> None:
    assert outcome(PHOTOS[name], tmp_path, of_photo) == told("photo", name)


@pytest.mark.parametrize("name", CLIPS)
def test_a_clip_works_or_says_why(name: str, tmp_path: Path, predictor: Predictor) -> None:
    assert outcome(CLIPS[name], tmp_path, lambda path: of_clip(path, predictor)) == told(
        "clip", name
    )


def test_the_page_names_the_tests_of_the_other_kinds() -> None:
    page = PAGE.read_text()
    for kind, what, where in KINDS:
        assert f"| {kind} | {what} | `tests/{where}` |" in page
        file, name = where.split("::")
        assert re.search(rf"^def {name}\(", (ROOT / "tests" / file).read_text(), re.M), where


def test_there_are_enough_of_them() -> None:
    assert len(PHOTOS) + len(CLIPS) >= 40


def main() -> None:
    """Print the table."""
    import tempfile

    from animate import models

    predictor = Predictor(models.build("first_order_gated", size=128).eval(), torch.float32)
    print("| as | input | outcome |\n|---|---|---|")
    for kind, makers in (("photo", PHOTOS), ("clip", CLIPS)):
        for name, make in makers.items():
            with tempfile.TemporaryDirectory() as folder:
                of = of_photo if kind == "photo" else lambda path: of_clip(path, predictor)
                print(f"| {kind} | {name} | {outcome(make, Path(folder), of)} |")
    print("\n## Other kinds\n\n| input | outcome | held by |\n|---|---|---|")
    for kind, what, where in KINDS:
        print(f"| {kind} | {what} | `tests/{where}` |")


if __name__ == "__main__":
    main()
