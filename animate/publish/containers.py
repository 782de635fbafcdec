"""The file formats of results, a row for each suffix: how a file is encoded, tagged and signed.

Another format is another row of `STILLS` or `VIDEOS`; nothing else knows the suffixes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from animate.media.photo_colours import srgb_profile
from animate.publish.tags import Texts, append_xmp_box, extend_gif


@dataclass(frozen=True)
class Still:
    """A format of pictures, written by Pillow."""

    name: str  # Pillow's
    manifest: str | None  # MIME type under which C2PA embeds the manifest; None: a file beside it
    options: Callable[[Texts], dict[str, Any]]  # of Pillow's `save`: quality, colours, texts


@dataclass(frozen=True)
class Video:
    """A format of videos, written by ffmpeg."""

    muxer: str  # ffmpeg's
    manifest: str | None  # as of `Still`
    encoder: tuple[str, ...]  # arguments of the video encoder; () for a palette of each frame
    tags: Callable[[Texts], dict[str, str]]  # texts that ffmpeg writes
    finish: Callable[[Path, Texts], None] = lambda draft, texts: None  # adds those that it doesn't
    sound: tuple[str, ...] = ()  # encoder for sound that can't be copied; (): it holds no sound
    copied: tuple[str, ...] = ()  # sound codecs that it takes as they are
    even: bool = True  # whether both sides have to be even
    fastest: int | None = None  # frames a second: viewers slow down files that claim more


def of(out: Path) -> Still | Video | None:
    """The format that a name asks for; None for a suffix that is in neither table."""
    suffix = out.suffix.lower()
    return STILLS.get(suffix) or VIDEOS.get(suffix)


def embeds(out: Path) -> bool:
    """Whether the file holds its manifest; otherwise that lies beside it."""
    kind = of(out)
    return kind is not None and kind.manifest is not None


def holds_sound(out: Path) -> bool:
    """Whether a file of this name can hold sound."""
    kind = of(out)
    return isinstance(kind, Video) and bool(kind.sound)


# ---------------------------------------------------------------- stills


def _png(texts: Texts) -> dict[str, Any]:
    from PIL.PngImagePlugin import PngInfo

    tags = PngInfo()
    tags.add(b"sRGB", b"\0")  # PNG, third edition, section 11.3.2.5: perceptual
    tags.add_text("comment", texts.claim)
    tags.add_itxt("XML:com.adobe.xmp", texts.xmp(label=True).decode())
    return {"pnginfo": tags}


def _webp(texts: Texts) -> dict[str, Any]:  # has no comments
    xmp = texts.xmp(label=True, claim=True)
    return {"quality": 95, "method": 4, "xmp": xmp, "icc_profile": srgb_profile()}


def _jpeg(texts: Texts) -> dict[str, Any]:
    return {"quality": 95, "subsampling": 0, "comment": texts.claim,
            "xmp": texts.xmp(label=True), "icc_profile": srgb_profile()}  # fmt: skip


STILLS = {
    ".png": Still("PNG", "image/png", _png),
    ".jpg": Still("JPEG", "image/jpeg", _jpeg),
    ".jpeg": Still("JPEG", "image/jpeg", _jpeg),
    ".webp": Still("WEBP", "image/webp", _webp),
}

# ---------------------------------------------------------------- videos


def _claim_and_label(texts: Texts) -> dict[str, str]:
    return {"comment": texts.claim, "AIGC": texts.aigc.json()}


def _with_source(texts: Texts) -> dict[str, str]:
    return {**_claim_and_label(texts), "DIGITAL_SOURCE_TYPE": texts.source}


def _nothing(texts: Texts) -> dict[str, str]:
    return {}


H264 = ("-c:v", "libx264", "-preset", "medium", "-crf", "18")
TAGGED = ("-movflags", "+faststart+use_metadata_tags")  # the index first; tags of any name
VP9 = ("-c:v", "libvpx-vp9", "-crf", "20", "-b:v", "0", "-row-mt", "1", "-cpu-used", "4")
AAC = ("-c:a", "aac", "-b:a", "160k")
OPUS = ("-c:a", "libopus", "-b:a", "128k", "-ac", "2")
COMPRESSED = ("aac", "mp3", "ac3", "eac3", "alac")
PLAIN = ("pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_f32le")
VIDEOS = {
    ".mp4": Video("mp4", "video/mp4", (*H264, *TAGGED), _claim_and_label, append_xmp_box,
                  AAC, COMPRESSED),
    ".mov": Video("mov", "video/quicktime", (*H264, *TAGGED), _claim_and_label, append_xmp_box,
                  AAC, (*COMPRESSED, *PLAIN)),
    ".mkv": Video("matroska", None, H264, _with_source, sound=AAC,
                  copied=(*COMPRESSED, *PLAIN, "opus", "vorbis", "flac")),
    ".webm": Video("webm", None, VP9, _with_source, sound=OPUS, copied=("opus", "vorbis")),
    ".gif": Video("gif", "image/gif", (), _nothing, extend_gif, even=False, fastest=50),
}  # fmt: skip
