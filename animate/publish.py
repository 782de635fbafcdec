"""The only writer of media: mark, encode, tag, read the draft back, verify, rename."""

from __future__ import annotations

import errno
import os
import re
import secrets
import socket
import subprocess
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from io import BytesIO
from itertools import chain
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np

from animate import clips
from animate.errors import AnimateError, VerificationError
from animate.verification import Report, verify
from animate.watermark import Claim, Embedder, Mark

LONGEST_CLAIM = 16_000  # characters; a JPEG comment holds 65,533, a command line somewhat more
STILLS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}


@dataclass(frozen=True)
class Format:
    """How a suffix is encoded by ffmpeg."""

    muxer: str
    video: tuple[str, ...]
    sound: tuple[str, ...] = ()  # the encoder for sound that can't be copied
    copied: tuple[str, ...] = ()  # the codecs that the container takes as they are


H264 = ("-c:v", "libx264", "-preset", "medium", "-crf", "18")
VP9 = ("-c:v", "libvpx-vp9", "-crf", "20", "-b:v", "0", "-row-mt", "1", "-cpu-used", "4")
AAC = ("-c:a", "aac", "-b:a", "160k")
OPUS = ("-c:a", "libopus", "-b:a", "128k", "-ac", "2")
COMPRESSED = ("aac", "mp3", "ac3", "eac3", "alac")
PCM = ("pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_f32le")
FORMATS = {
    ".mp4": Format("mp4", (*H264, "-movflags", "+faststart"), AAC, COMPRESSED),
    ".mov": Format("mov", (*H264, "-movflags", "+faststart"), AAC, (*COMPRESSED, *PCM)),
    ".mkv": Format("matroska", H264, AAC, (*COMPRESSED, *PCM, "opus", "vorbis", "flac")),
    ".webm": Format("webm", VP9, OPUS, ("opus", "vorbis")),
    ".gif": Format("gif", ()),
}
# A palette for each frame: one pass, and colours that leave the mark in.
PALETTE = "split[a][b];[a]palettegen=stats_mode=single[p];[b][p]paletteuse=new=1:dither=sierra2_4a"
FASTEST_GIF = 50  # frames a second; viewers slow down what claims more


@dataclass
class Published:
    """What was written, and what `verify` said of it."""

    path: Path
    frames: int
    report: Report


def publish(
    out: Path,
    frames: Iterable[np.ndarray],
    *,
    mark: Mark,
    claim: Claim,
    rate: Fraction | None,
    sound: Path | clips.Sound | None = None,
    force: bool = False,
) -> Published:
    """Write frames, uint8 (H, W, 3) RGB of one size, as the marked file `out`, or nothing at all.

    The suffix says how: .mp4 .mov .mkv (H.264), .webm (VP9), .gif at `rate` frames a second, with
    the sound of the clip `sound` in step; .png .jpg with rate=None, for exactly one frame. An odd
    side is repeated once where the video format wants even ones. Frames are marked before they
    leave memory; the draft, a hidden file beside `out` that ends in ".part", is decoded and
    verified before it gets its name. Memory doesn't grow with the number of frames.

    Raises AnimateError for what the caller can mend (an existing `out` without `force`, a full
    disk, no frames) and VerificationError when the draft doesn't carry its mark and claim.
    """
    out = Path(out)
    check(out, rate=rate, force=force, claim=claim, inputs=[Path(sound)] if sound else [])
    if mark.payload.content_id != claim.content_id():
        raise AnimateError("the mark's payload is of another claim: use Payload.of(claim, key)")
    _sweep(out.parent)
    draft = _new_draft(out)
    try:
        marked = _marked(frames, mark, even=rate is not None and out.suffix.lower() != ".gif")
        if rate is None:
            count = _write_still(draft, marked, out, claim)
        else:
            count = _write_video(draft, marked, out, claim, Fraction(rate), sound)
        report = _read_back(draft, out, mark, claim)
        with _writing(out):
            _rename(draft, out, force)
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
    return Published(out, count, replace(report, path=out))


# ---------------------------------------------------------------- before


def check(
    out: Path,
    *,
    rate: Fraction | None,
    force: bool,
    claim: Claim | None = None,
    inputs: Iterable[Path] = (),
) -> None:
    """Raise AnimateError where `out` can't be published; cheap enough to ask before the work."""
    suffix, known = out.suffix.lower(), STILLS if rate is None else FORMATS
    if suffix not in known:
        kind = "a still" if rate is None else "a video"
        raise AnimateError(f"{out}: {kind} can't have this suffix: use {' '.join(known)}")
    if rate is not None and not 0 < rate <= 1000:
        raise AnimateError(f"a rate of {rate} frames a second: use more than 0 and at most 1000")
    if not out.parent.is_dir():
        raise AnimateError(f"there is no folder {out.parent}: make it first, or use another")
    if out.is_dir():
        raise AnimateError(f"{out} is a folder: give the name of a file")
    if claim is not None and len(claim.json()) > LONGEST_CLAIM:
        raise AnimateError(f"the claim is longer than {LONGEST_CLAIM} characters: shorten consent")
    if not os.path.lexists(out):
        return
    if any(Path(path).exists() and out.exists() and out.samefile(path) for path in inputs):
        raise AnimateError(f"{out} is an input of this run: use another output")
    if not force:
        raise AnimateError(f"{out} exists: use --force to replace it, or another name")
    if claim and out.is_file() and clips.sha256(out) in (claim.photo_sha256, claim.clip_sha256):
        raise AnimateError(f"{out} is an input of this run: use another output")


def _new_draft(out: Path) -> Path:
    """An empty hidden file beside `out`, named after it, this machine and this process."""
    name = f".{out.name[:80]}.{_host()}-{os.getpid()}-{secrets.token_hex(4)}.part"
    draft = out.parent / name
    with _writing(out):
        os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    return draft


def _host() -> str:
    return re.sub(r"[^A-Za-z0-9]", "", socket.gethostname())[:40] or "localhost"


def _sweep(folder: Path) -> None:
    """Remove the drafts that processes of this machine left here when they were killed."""
    with suppress(OSError):
        for draft in folder.glob(f".*.{_host()}-*-*.part"):
            process = re.search(r"-(\d+)-[0-9a-f]{8}\.part$", draft.name)
            if process and not _alive(int(process[1])):
                draft.unlink(missing_ok=True)


def _alive(process: int) -> bool:
    if os.name == "nt":  # there os.kill would end it
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return True


@contextmanager
def _writing(out: Path) -> Iterator[None]:
    """Say a failure of the disk in one line."""
    try:
        yield
    except FileExistsError as error:
        raise AnimateError(f"{out} exists: use --force to replace it, or another name") from error
    except OSError as error:
        raise AnimateError(_trouble(out, error.errno, error.strerror or str(error))) from error


def _trouble(out: Path, number: int | None, words: str) -> str:
    if number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return (
            f"{out} can't be written, the disk is full ({words}): free some space, or use another"
        )
    if number in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{out.parent} can't be written to ({words}): use another folder"
    return f"{out} can't be written ({words}): use another place"


# ---------------------------------------------------------------- writing the draft


def _marked(frames: Iterable[np.ndarray], mark: Mark, *, even: bool) -> Iterator[np.ndarray]:
    """The frames with the mark in them, their sides even where asked."""
    embed, shape = None, None
    for index, frame in enumerate(frames):
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3:
            raise AnimateError(
                f"frame {index} is {frame.dtype} {frame.shape}: publish takes uint8 (H, W, 3)"
            )
        if shape is not None and frame.shape != shape:
            raise AnimateError(
                f"frame {index} is {frame.shape}, those before {shape}: use one size"
            )
        shape = frame.shape
        if even and (shape[0] % 2 or shape[1] % 2):
            frame = np.pad(frame, ((0, shape[0] % 2), (0, shape[1] % 2), (0, 0)), "edge")
        if embed is None:
            embed = Embedder(mark, frame.shape[0], frame.shape[1])
        yield embed(frame)


def _write_still(draft: Path, frames: Iterator[np.ndarray], out: Path, claim: Claim) -> int:
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    picture = next(frames, None)
    if picture is None or next(frames, None) is not None:
        raise AnimateError(f"{out} holds exactly one frame: use {' '.join(FORMATS)} for a video")
    options: dict[str, Any] = {"quality": 95, "subsampling": 0, "comment": claim.json()}
    if STILLS[out.suffix.lower()] == "PNG":
        tags = PngInfo()
        tags.add_text("comment", claim.json())
        options = {"pnginfo": tags}
    with _writing(out), draft.open("wb") as file:
        Image.fromarray(picture).save(file, STILLS[out.suffix.lower()], **options)
        file.flush()
        os.fsync(file.fileno())
    return 1


def _write_video(
    draft: Path,
    frames: Iterator[np.ndarray],
    out: Path,
    claim: Claim,
    rate: Fraction,
    sound: Path | clips.Sound | None,
) -> int:
    """Marked frames and sound, as one stream, through one ffmpeg; the number of frames."""
    kind = FORMATS[out.suffix.lower()]
    first = next(frames, None)
    if first is None:
        raise AnimateError(f"there are no frames to write to {out}: use a driver that has some")
    with clips.open_sound(sound) if sound and kind.sound else _silence() as heard:
        command = _command(kind, first.shape, rate, claim, heard and heard[0])
        with _Ffmpeg([*command, f"file:{draft.absolute()}"], out) as ffmpeg:
            count = _feed(ffmpeg, first, frames, rate, heard)
    if count < 2:
        raise AnimateError(f"one frame is no video: write it as {' '.join(STILLS)}, with rate=None")
    with _writing(out):
        if out.suffix.lower() == ".gif":
            _comment_gif(draft, claim.json())
        with draft.open("rb+") as file:
            os.fsync(file.fileno())
    return count


@contextmanager
def _silence() -> Iterator[None]:
    yield None


def _command(
    kind: Format, shape: tuple[int, ...], rate: Fraction, claim: Claim, heard: Any | None
) -> list[str]:
    """ffmpeg's arguments; it reads a NUT stream and gets the name to write to appended."""
    import imageio_ffmpeg

    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-nostdin", "-loglevel", "error"]
    command += ["-r", str(rate), "-f", "nut", "-i", "pipe:0", "-y", "-map", "0:v"]
    if kind.muxer == "gif":
        slower = f"fps={FASTEST_GIF}," if rate > FASTEST_GIF else ""
        return [*command, "-vf", slower + PALETTE, "-f", "gif"]
    # The matrix that players assume of this size when they don't look at the tags.
    large = max(shape[0] * 16, shape[1] * 9) >= 720 * 16
    matrix, tag = ("bt709", "bt709") if large else ("bt601", "smpte170m")
    command += ["-vf", f"scale=out_color_matrix={matrix}:out_range=tv:flags=bicubic+accurate_rnd,"
                "format=yuv420p", "-colorspace", tag, "-color_range", "tv",
                "-color_primaries", "bt709", "-color_trc", "bt709", *kind.video]  # fmt: skip
    if heard is not None:
        copied = heard.codec_context.name in kind.copied or _codec(heard) in kind.copied
        filled = ("-af", "aresample=async=1:first_pts=0")
        command += ["-map", "0:a", *(("-c:a", "copy") if copied else (*kind.sound, *filled))]
    return [*command, "-fflags", "+bitexact", "-flags:v", "+bitexact", "-max_interleave_delta", "0",
            "-metadata", f"comment={claim.json()}", "-f", kind.muxer]  # fmt: skip


def _codec(stream: Any) -> str:
    """The codec's name rather than the decoder's; none for AAC without its set-up data."""
    name = stream.codec_context.codec.canonical_name
    return "" if name == "aac" and not stream.codec_context.extradata else name


def _feed(
    ffmpeg: _Ffmpeg,
    first: np.ndarray,
    frames: Iterator[np.ndarray],
    rate: Fraction,
    heard: tuple[Any, Iterator[tuple[Any, Fraction]]] | None,
) -> int:
    """Send frames and the sound that goes with them; sound that outlasts the frames is cut."""
    mixer = _Mixer(first.shape, rate, heard)
    for frame in chain([first], frames):
        ffmpeg.send(mixer.show(frame))
    ffmpeg.send(mixer.close())
    return mixer.count


class _Unseekable(BytesIO):
    """Where PyAV puts its stream. A pipe itself won't do: PyAV swallows a Ctrl-C in its writes."""

    def seekable(self) -> bool:
        return False

    def take(self) -> bytes:
        data = self.getvalue()
        self.seek(0)
        self.truncate()
        return data


class _Mixer:
    """Frames and coded sound, in order of time, as one NUT stream in pieces."""

    def __init__(
        self,
        shape: tuple[int, ...],
        rate: Fraction,
        heard: tuple[Any, Iterator[tuple[Any, Fraction]]] | None,
    ):
        import av

        self.rate, self.count, self.buffer = rate, 0, _Unseekable()
        # neither frames that wait in memory for sound that has ended, nor a growing index
        options = {"max_interleave_delta": "1", "write_index": "0"}
        self.nut = av.open(self.buffer, "w", "nut", options=options)
        self.video = self.nut.add_stream("rawvideo", rate=rate)
        self.video.height, self.video.width = shape[:2]
        self.video.pix_fmt, self.video.time_base = "rgb24", 1 / rate
        self.sound = self.nut.add_stream_from_template(heard[0]) if heard else None
        self.packets = heard[1] if heard else iter(())
        self.waiting = next(self.packets, None)

    def show(self, frame: np.ndarray) -> bytes:
        """The piece with the next frame, after the sound before it."""
        import av

        self._play(self.count / self.rate)
        picture = av.VideoFrame.from_ndarray(frame, "rgb24")
        picture.pts, picture.time_base = self.count, 1 / self.rate
        self.nut.mux(self.video.encode(picture))
        self.count += 1
        return self.buffer.take()

    def _play(self, until: Fraction) -> None:
        """The packets whose middle comes before `until` seconds."""
        while self.waiting is not None:
            packet, start = self.waiting
            middle = start + (packet.duration or 0) * packet.time_base / 2
            if middle >= until:
                return
            packet.pts = packet.dts = round(start / packet.time_base)
            packet.stream = self.sound
            self.nut.mux(packet)
            self.waiting = next(self.packets, None)

    def close(self) -> bytes:
        """The last piece."""
        self._play(self.count / self.rate)
        self.nut.close()
        return self.buffer.take()


class _Ffmpeg:
    """One ffmpeg process: fed by `send`, waited for when the with-block ends, killed on error."""

    def __init__(self, command: list[str], out: Path):
        self.command, self.out = command, out

    def __enter__(self) -> _Ffmpeg:
        try:
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                start_new_session=True,  # Ctrl-C is ours to handle
            )
        except OSError as error:
            raise AnimateError(
                f"ffmpeg can't be started ({error.strerror}): install imageio-ffmpeg again"
            ) from error
        self.said: deque[bytes] = deque(maxlen=100)
        self.listener = Thread(target=self._listen, daemon=True)
        self.listener.start()
        return self

    def _listen(self) -> None:
        self.said.extend(iter(self.process.stderr.readline, b""))  # type: ignore[union-attr]

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if kind is not None:
            self.process.kill()
        with suppress(OSError):
            self.process.stdin.close()  # type: ignore[union-attr]
        self.process.wait()
        self.listener.join(5)
        if kind is None and self.process.returncode != 0:
            raise AnimateError(self._words())

    def send(self, data: bytes) -> None:
        """Feed ffmpeg; where it doesn't listen any more, raise what it said."""
        try:
            self.process.stdin.write(data)  # type: ignore[union-attr]
        except OSError as error:
            self.process.wait()
            self.listener.join(5)
            raise AnimateError(self._words()) from error

    def _words(self) -> str:
        said = [line.decode("utf-8", "replace").strip() for line in self.said]
        for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES):
            if any(os.strerror(number) in line for line in said):
                return _trouble(self.out, number, os.strerror(number))
        first = said[0] if said else f"it ended with code {self.process.returncode}"
        first = re.sub(r"^(\[[^]]*\] *)+", "", first)[:200]
        return f"{self.out} can't be written, ffmpeg stopped ({first}): use another format"


def _comment_gif(draft: Path, text: str) -> None:
    """Put a comment extension before a GIF's first picture; ffmpeg writes none.

    Source: GIF89a specification, section 24.
    """
    data = text.encode("ascii")
    parts = [data[at : at + 255] for at in range(0, len(data), 255)]
    comment = b"!\xfe" + b"".join(bytes([len(part)]) + part for part in parts) + b"\0"
    with draft.open("rb+") as file:
        flags = file.read(13)[10]
        start = 13 + (3 << (flags & 7) + 1 if flags & 128 else 0)  # after the common palette
        end = file.seek(0, os.SEEK_END)
        for at in reversed(range(start, end, 1 << 20)):  # move the rest up, from its end
            file.seek(at)
            block = file.read(min(1 << 20, end - at))
            file.seek(at + len(comment))
            file.write(block)
        file.seek(start)
        file.write(comment)


# ---------------------------------------------------------------- after


def _read_back(draft: Path, out: Path, mark: Mark, claim: Claim) -> Report:
    """Verify the finished draft as any file: its pixels carry the payload, its tags the claim."""
    try:
        report = verify(draft, mark.key)
    except VerificationError:
        raise
    except AnimateError as error:
        text = str(error).replace(str(draft), "the draft")
        raise VerificationError(
            f"{out} was not published, it can't be read back: {text}"
        ) from error
    if not report.detection.marked or report.detection.payload != mark.payload:
        lost = "its mark is not found" if not report.detection.marked else "its payload is damaged"
        raise VerificationError(
            f"{out} was not published, {lost} in the finished draft: use a larger picture, "
            "another format or a higher watermark.strength"
        )
    if report.claim != claim:
        raise VerificationError(f"{out} was not published, its tags lost the claim: use .mp4")
    return report


def _rename(draft: Path, out: Path, force: bool) -> None:
    """Give the draft its name at once; without `force` not over a file that came meanwhile."""
    if force:
        os.replace(draft, out)
        return
    try:
        os.link(draft, out)  # atomic, and fails where `out` exists
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        if os.path.lexists(out):
            raise FileExistsError(errno.EEXIST, "it exists", str(out)) from None
        os.rename(draft, out)
