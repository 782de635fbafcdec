"""Write marked pictures to a virtual camera, which programs for calls take for a real one."""

from __future__ import annotations

import os
import stat
from contextlib import AbstractContextManager
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from animate.errors import AnimateError

ANY = "camera"  # in the place of a device: whatever pyvirtualcam finds
MAKE = "sudo modprobe v4l2loopback exclusive_caps=1 video_nr={number} card_label=animate"
INSTALL = (
    "pyvirtualcam is not installed: `pip install pyvirtualcam` (GPL-2; it needs OBS Studio on "
    "macOS and Windows), or on Linux use --to /dev/video9"
)


class VirtualCamera(AbstractContextManager["VirtualCamera"]):
    """A virtual camera of one size: `camera.send(picture)`, uint8 (H, W, 3) RGB, even sides."""

    def send(self, picture: np.ndarray) -> None:
        raise NotImplementedError


def is_device(place: str) -> bool:
    """Whether a place is a virtual camera, not a file."""
    return place == ANY or place.startswith("/dev/")


def check_device(place: str) -> None:
    """Raise AnimateError where there is no such virtual camera; cheap, call it before the work."""
    if place == ANY:
        _pyvirtualcam()
        return
    try:
        mode = os.stat(place).st_mode
    except OSError as error:
        number = "".join(letter for letter in place if letter.isdigit()) or "9"
        raise AnimateError(
            f"there is no {place}: make it with `{MAKE.format(number=number)}` (Debian's package "
            "is v4l2loopback-dkms)"
        ) from error
    if not stat.S_ISCHR(mode):
        raise AnimateError(f"{place} is no device: use a virtual camera, such as /dev/video9")
    if not os.access(place, os.W_OK):
        raise AnimateError(f"{place} can't be written to: join its group (`ls -l {place}`)")


def open_device(place: str, height: int, width: int, rate: Fraction) -> VirtualCamera:
    """Open a virtual camera for pictures of one size, about `rate` a second; errors one line."""
    check_device(place)
    if place == ANY:
        return _Pyvirtualcam(height, width, rate)
    return _Video4Linux(Path(place), height, width, rate)


class _Video4Linux(VirtualCamera):
    """A v4l2loopback device, written through PyAV."""

    def __init__(self, path: Path, height: int, width: int, rate: Fraction) -> None:
        import av

        self.path, self.count = path, 0
        try:
            self.container = av.open(str(path), "w", format="v4l2")
            self.stream: Any = self.container.add_stream("rawvideo", rate=rate)
            self.stream.height, self.stream.width = height, width
            self.stream.pix_fmt, self.stream.time_base = "yuv420p", 1 / rate
            self.container.start_encoding()
        except (av.FFmpegError, OSError) as error:
            raise self._trouble(error) from error

    def send(self, picture: np.ndarray) -> None:
        import av

        frame = av.VideoFrame.from_ndarray(picture, "rgb24")
        frame.pts, frame.time_base = self.count, self.stream.time_base
        self.count += 1
        try:
            self.container.mux(self.stream.encode(frame))
        except (av.FFmpegError, OSError) as error:
            raise self._trouble(error) from error

    def __exit__(self, *error: object) -> None:
        self.container.close()

    def _trouble(self, error: Exception) -> AnimateError:
        why = getattr(error, "strerror", None) or error
        return AnimateError(
            f"{self.path} can't be written as a camera ({why}): it has to be a v4l2loopback "
            "device, and no other program may write to it"
        )


class _Pyvirtualcam(VirtualCamera):
    """The virtual camera of OBS or of Unity Capture, through pyvirtualcam."""

    def __init__(self, height: int, width: int, rate: Fraction) -> None:
        try:
            self.camera = _pyvirtualcam().Camera(width=width, height=height, fps=float(rate))
        except RuntimeError as error:  # what it raises for everything
            raise AnimateError(f"no virtual camera can be opened: {error}") from error

    def send(self, picture: np.ndarray) -> None:
        self.camera.send(np.ascontiguousarray(picture))

    def __exit__(self, *error: object) -> None:
        self.camera.close()


def _pyvirtualcam() -> Any:
    try:
        import pyvirtualcam  # type: ignore[import-not-found]
    except ImportError as error:
        raise AnimateError(INSTALL) from error
    return pyvirtualcam
