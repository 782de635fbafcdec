"""Cameras: devices, files that play at their own pace, addresses; frames with their times."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from animate.errors import AnimateError
from animate.media.clips import open_clip
from animate.media.photos import check_size

ADDRESS = re.compile(r"(https?|rtsps?|rtmps?|srt|udp|tcp)://", re.I)
# Of an address: no play lists, which could name files and other hosts.
STREAMS = "rtsp,rtp,sdp,mpjpeg,mjpeg,mpegts,flv,mov,matroska,h264,hevc,ogg"
PROTOCOLS = "http,https,tls,tcp,udp,rtp,rtsp,rtsps,rtmp,rtmps,rtmpt,srt,crypto"
WAIT = 10.0, 5.0  # seconds to wait for an address, and for its next frame
WIDTH, HEIGHT = 640, 480  # asked of a device: enough for a face, and quick
BEHIND = 1.0  # seconds: a file that plays this late begins to count anew

Taken = tuple[np.ndarray, float]  # a frame, uint8 (H, W, 3) RGB; seconds of `time.monotonic`


@dataclass(frozen=True)
class Camera:
    """A camera, opened by `frames`."""

    place: str
    file: Path | None = None  # if it is one

    def frames(self) -> Iterator[Taken]:
        """The frames as they come, each with the time when it was taken.

        Raises AnimateError for what can't be opened, and where it breaks off.
        """
        if self.file is not None:
            return _played(self.file)
        if ADDRESS.match(self.place):
            return _received(self.place)
        return _captured(self.place)


def find_camera(place: str) -> Camera:
    """A camera by its number (0), its device (/dev/video0), a file or an address (rtsp://...).

    Only a file is opened here. Raises AnimateError for anything else.
    """
    if place.isdecimal() or ADDRESS.match(place) or place.startswith("/dev/video"):
        return Camera(place)
    if not Path(place).exists():
        raise AnimateError(
            f"there is no camera {place}: give a number (0), a device (/dev/video0), a video file "
            "or an address (rtsp://...)"
        )
    open_clip(Path(place))
    return Camera(place, Path(place))


def _captured(place: str) -> Iterator[Taken]:
    import cv2

    device = cv2.VideoCapture(int(place) if place.isdecimal() else place)
    try:
        device.set(cv2.CAP_PROP_FRAME_WIDTH, WIDTH)
        device.set(cv2.CAP_PROP_FRAME_HEIGHT, HEIGHT)
        device.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        if not device.isOpened():
            raise AnimateError(
                f"camera {place} can't be opened: is it plugged in, and does no other program use "
                "it? On Linux `ls -l /dev/video*` shows cameras and their group"
            )
        while True:
            there, frame = device.read()
            if not there:
                raise AnimateError(f"camera {place} gives no more frames: plug it in again")
            yield np.ascontiguousarray(frame[..., ::-1]), time.monotonic()
    finally:
        device.release()


def _played(path: Path) -> Iterator[Taken]:
    """The frames of a file when they are due; late ones are left out, as by a camera."""
    clip = open_clip(path)
    start = time.monotonic()
    for index, frame in enumerate(clip.frames()):
        due = start + float(index / clip.rate)
        late = time.monotonic() - due
        if late > BEHIND:
            start, due = start + late, due + late
        elif late > 1 / clip.rate:
            continue
        time.sleep(max(0.0, due - time.monotonic()))
        yield frame, due


def _received(address: str) -> Iterator[Taken]:
    """The frames of an address: at once, or when they are due if it has an end."""
    import av

    name = _without_password(address)
    options = {"flags": "low_delay", "rtsp_transport": "tcp",
               "format_whitelist": STREAMS, "protocol_whitelist": PROTOCOLS}  # fmt: skip
    try:
        with av.open(address, options=options, timeout=WAIT) as container:
            stream: Any = container.streams.best("video")
            if stream is None:
                raise AnimateError(f"{name} has no video: give another address")
            check_size(Path(name), stream.width, stream.height)
            live, start, frame = container.duration is None, time.monotonic(), None
            with closing(container.decode(stream)) as frames:
                for frame in frames:
                    now = time.monotonic()
                    due = now if live or frame.time is None else start + frame.time
                    time.sleep(max(0.0, due - now))
                    yield frame.to_ndarray(format="rgb24"), time.monotonic()
            if frame is None:
                raise AnimateError(f"{name} gave no picture that can be decoded: check the address")
    except (av.FFmpegError, OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or type(error).__name__
        raise AnimateError(f"{name} can't be read ({why}): check the address") from error


def _without_password(address: str) -> str:
    return re.sub(r"//[^/@]*@", "//", address)
