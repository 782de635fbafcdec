"""Encode marked frames and sound as a video, through one ffmpeg process."""

from __future__ import annotations

import errno
import os
import re
import subprocess
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from io import BytesIO
from itertools import chain
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np

from animate.errors import AnimateError
from animate.media import clips
from animate.media.sound import PCM, Microphone, decoded, open_sound
from animate.publish.containers import Video
from animate.publish.drafts import trouble, writing
from animate.publish.tags import Texts

# Pixels of the short side. Small videos need a low CRF to hold the mark, and it costs little. For
# large ones "veryfast" at CRF 16 is about as good as "medium" at 18, and far quicker.
SMALL, FINER = 160, ("-crf", "10")
FINEST = 2  # CRF: at 0 H.264 is lossless, which few players show
LARGE, LIGHTER = 720, ("-preset", "veryfast", "-crf", "16")
COPY = ("-c:a", "copy")
FILLED = ("-af", "aresample=async=1:first_pts=0")  # gaps in the sound become silence
# One pass with a palette for each frame, whose colours keep the mark.
PALETTE = "split[a][b];[a]palettegen=stats_mode=single[p];[b][p]paletteuse=new=1:dither=sierra2_4a"


def encode_video(
    draft: Path,
    frames: Iterator[np.ndarray],
    out: Path,
    kind: Video,
    texts: Texts,
    rate: Fraction,
    sound: Path | clips.Sound | Microphone | None,
    finer: int = 0,
) -> int:
    """Encode marked frames, with sound in step; returns the number of frames.

    `finer` is taken from the CRF, down to FINEST.
    """
    first = next(frames, None)
    if first is None:
        raise AnimateError(f"there are no frames to write to {out}: use a driver that has some")
    with open_sound(sound) if sound and kind.sound else _silence() as opened:
        copied = isinstance(opened, tuple) and _copied(kind, opened[0])
        how = None if opened is None else COPY if copied else (*kind.sound, *FILLED)
        command = _command(kind, first.shape, rate, texts, how, finer)
        with _Ffmpeg([*command, f"file:{draft.absolute()}"], out) as ffmpeg:
            mixer = _Mixer(first.shape, rate, opened, copied)
            for frame in chain([first], frames):
                ffmpeg.send(mixer.show(frame))
            ffmpeg.send(mixer.close())
    count = mixer.count
    if count < 2:
        raise AnimateError("one frame is no video: give a still's suffix, with rate=None")
    with writing(out):
        kind.finish(draft, texts)
        with draft.open("rb+") as file:
            os.fsync(file.fileno())
    return count


@contextmanager
def _silence() -> Iterator[None]:
    yield None


def _command(
    kind: Video,
    shape: tuple[int, ...],
    rate: Fraction,
    texts: Texts,
    sound: tuple[str, ...] | None,
    finer: int,
) -> list[str]:
    """ffmpeg's arguments, with those for the sound; it reads a NUT stream and gets the name to
    write to appended."""
    import imageio_ffmpeg

    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-nostdin", "-loglevel", "error"]
    command += ["-r", str(rate), "-f", "nut", "-i", "pipe:0", "-y", "-map", "0:v"]
    slower = f"fps={kind.fastest}," if kind.fastest and rate > kind.fastest else ""
    if not kind.encoder:
        return [*command, "-vf", slower + PALETTE, "-f", kind.muxer]
    # The matrix that players assume of this size when they don't look at the tags. What the frames
    # say goes before what the encoder is told, so the filter says it; ffmpeg then writes it into
    # the codec's own header and into the container (colr in MP4 and MOV, Colour in MKV and WebM).
    # sRGB's primaries are BT.709's, and players show video of BT.709's curve as they show sRGB.
    large = max(shape[0] * 16, shape[1] * 9) >= 720 * 16
    matrix, tag = ("bt709", "bt709") if large else ("bt601", "smpte170m")
    command += ["-vf", f"{slower}scale=out_color_matrix={matrix}:out_range=tv:"
                "flags=bicubic+accurate_rnd,format=yuv420p,setparams=color_primaries=bt709:color_trc=bt709:"
                f"colorspace={tag}:range=tv", *kind.encoder]  # fmt: skip
    short = min(shape[:2])
    if short < SMALL:
        command += FINER
    elif short >= LARGE and "libx264" in kind.encoder:
        command += LIGHTER
    if finer:
        last = len(command) - 1 - command[::-1].index("-crf")
        command += ["-crf", str(max(FINEST, int(command[last + 1]) - finer))]
    if sound is not None:
        command += ["-map", "0:a", *sound]
    for name, text in kind.tags(texts).items():
        command += ["-metadata", f"{name}={text}"]
    return [*command, "-fflags", "+bitexact", "-flags:v", "+bitexact", "-max_interleave_delta", "0",
            "-f", kind.muxer]  # fmt: skip


def _copied(kind: Video, stream: Any) -> bool:
    """Whether the container can hold the sound as it is coded."""
    codec = stream.codec_context.codec
    return codec.name in kind.copied or codec.canonical_name in kind.copied


class _Unseekable(BytesIO):
    """The file object that PyAV writes to; with a pipe, PyAV would swallow a Ctrl-C."""

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
        opened: tuple[Any, Iterator[tuple[Any, Fraction]]] | Microphone | None,
        copied: bool,
    ):
        import av

        self.rate, self.count, self.buffer = rate, 0, _Unseekable()
        # neither frames that wait in memory for sound that has ended, nor a growing index
        options = {"max_interleave_delta": "1", "write_index": "0"}
        self.nut = av.open(self.buffer, "w", "nut", options=options)
        video = self.nut.add_stream("rawvideo", rate=rate)
        assert isinstance(video, av.video.VideoStream)
        video.height, video.width = shape[:2]
        video.pix_fmt, video.time_base = "rgb24", 1 / rate
        self.video = video
        self.sound: Any = None
        self.packets: Iterator[tuple[Any, Fraction]] = iter(())
        if isinstance(opened, Microphone):
            self.sound = self.nut.add_stream(PCM, opened.rate, layout="mono")
            self.packets = opened.packets(self.sound)
        elif opened and copied:
            self.sound, self.packets = self.nut.add_stream_from_template(opened[0]), opened[1]
        elif opened:
            context = opened[0].codec_context
            self.sound = self.nut.add_stream(PCM, context.rate, layout=context.layout)
            self.packets = decoded(*opened, self.sound)
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
        """Feed ffmpeg; if it has ended, raise its error message."""
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
                return trouble(self.out, number, os.strerror(number))
        first = said[0] if said else f"it ended with code {self.process.returncode}"
        first = re.sub(r"^(\[[^]]*\] *)+", "", first)[:200]
        return f"{self.out} can't be written, ffmpeg stopped ({first}): use another format"
