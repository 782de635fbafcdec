"""Motion templates: files with the poses of a driver, which drive any number of photos."""

from __future__ import annotations

import json
import lzma
import os
import re
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch

from animate.errors import AnimateError
from animate.inference.predictor import Pose
from animate.media.files import check_place, existing
from animate.models.contract import Motion, MotionModel
from animate.system.atomic import replacing

LONGEST = 64 << 20  # bytes of a description: some 8 million scenes
RATE = re.compile(r"[0-9]{1,20}(/[0-9]{1,20})?")
FORMAT = 1  # version of the file format
NAMED = {"stop": "beyond", "scene_starts": "fresh"}  # field: its different key in the file


class PoseSpool:
    """Poses of one model in temporary files, read in any order; memory use doesn't grow."""

    def __init__(self) -> None:
        self.numbers = tempfile.TemporaryFile()  # noqa: SIM115 (closed by __exit__)
        self.pictures = tempfile.TemporaryFile()  # noqa: SIM115
        self.scenes: list[int] = []
        self.like: Motion | None = None

    def __enter__(self) -> PoseSpool:
        return self

    def __exit__(self, *error: object) -> None:
        self.numbers.close()
        self.pictures.close()

    def __len__(self) -> int:
        return len(self.scenes)

    def append(self, pose: Pose) -> None:
        """Append one pose, without its crop."""
        self.like = pose.motion if self.like is None else self.like
        self.scenes.append(pose.scene)
        for file, row in (
            (self.numbers, pose.motion.numbers()),
            (self.pictures, pose.motion.pictures()),
        ):
            file.seek(0, os.SEEK_END)
            file.write(row.tobytes())

    def __getitem__(self, index: int) -> Pose:
        assert self.like is not None
        numbers = _row(self.numbers, index, self.like.numbers())
        pictures = _row(self.pictures, index, self.like.pictures())
        motion = self.like.with_numbers(numbers).with_pictures(pictures)
        return Pose(motion, scene=self.scenes[index])


def _row(file: BinaryIO, index: int, like: np.ndarray) -> np.ndarray:
    """Row `index` of a file of equal rows, each shaped as `like`."""
    file.seek(index * like.nbytes)
    return np.frombuffer(file.read(like.nbytes), like.dtype)


@dataclass(frozen=True)
class Template:
    """A template file: poses `first` to `stop` (excluded) that a checkpoint tracked in a clip."""

    path: Path
    model: str
    model_sha256: str
    clip_sha256: str
    rate: Fraction
    numbers: int  # floats per pose
    first: int
    stop: int
    scene_starts: tuple[int, ...]  # numbers of the poses that begin a new scene

    def __len__(self) -> int:
        return self.stop - self.first

    def span(self, start: float, end: float | None) -> Template:
        """The part between two times in seconds. Raises AnimateError for an empty one."""
        first = self.first + round(Fraction(start) * self.rate)
        last = self.stop if end is None else self.first + round(Fraction(end) * self.rate)
        stop = min(self.stop, last)
        if first >= stop:
            raise AnimateError(
                f"{self.path} has no pose after clip.start={start} s: use an earlier span"
            )
        return replace(self, first=first, stop=stop)

    def check(self, model: str, sha256: str) -> None:
        """Raise AnimateError unless this checkpoint tracked the poses."""
        if (model, sha256) != (self.model, self.model_sha256):
            raise AnimateError(
                f"{self.path} holds poses of another checkpoint ({self.model}, "
                f"{self.model_sha256[:12]}): save it again with `animate template save`"
            )

    def poses(self, model: MotionModel) -> Iterator[Pose]:
        """Read the poses one at a time, as the model's `Motion`."""
        like = _kind(model)
        if like.numbers().size != self.numbers:
            raise AnimateError(
                f"{self.path} holds poses of another shape: save it again with "
                "`animate template save`"
            )
        with zipfile.ZipFile(self.path) as archive, archive.open("poses.npy") as file:
            np.lib.format.read_magic(file)  # type: ignore[arg-type]
            np.lib.format.read_array_header_1_0(file)  # type: ignore[arg-type]
            size = 4 * self.numbers
            file.seek(self.first * size, os.SEEK_CUR)
            for index in range(self.first, self.stop):
                row = np.frombuffer(file.read(size), "<f4")
                if row.size != self.numbers:
                    raise AnimateError(
                        f"{self.path} ends at pose {index}: save it again with "
                        "`animate template save`"
                    )
                motion = like.with_numbers(row)
                yield Pose(motion, index in self.scene_starts and index > self.first)


def _kind(model: MotionModel) -> Motion:
    """A pose of a grey frame, as an example of the shape of a model's poses."""
    with torch.inference_mode():
        side = model.size
        return model.track(torch.full((1, 3, side, side), 0.5, device=model.device))


def save_template(
    out: Path,
    poses: Iterable[Pose],
    *,
    model: str,
    model_sha256: str,
    clip_sha256: str,
    rate: Fraction,
    force: bool = False,
) -> Template:
    """Write a stream of poses to the .npz `out`: an array (T, n) and a line of JSON, no pickle.

    Raises AnimateError for an `out` that exists (without `force`), is no .npz or can't be written.
    """
    check_template(out, force)
    try:
        with PoseSpool() as spool:
            scene_starts = []
            for pose in poses:
                if pose.scene_start:
                    scene_starts.append(len(spool))
                spool.append(pose)
            if spool.like is None:
                raise AnimateError(f"no pose found to write to {out}: use another driver")
            count, numbers = len(spool), spool.like.numbers().size
            template = Template(
                out, model, model_sha256, clip_sha256, rate, numbers, 0, count, tuple(scene_starts)
            )
            with (
                replacing(out) as draft,
                zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED) as archive,
            ):
                with archive.open("poses.npy", "w", force_zip64=True) as file:
                    _write_rows(file, spool.numbers, count, numbers)
                archive.writestr("about.json", _about(template))
    except OSError as error:
        raise AnimateError(
            f"{out} can't be written ({error.strerror}): use another path"
        ) from error
    return template


def check_template(out: Path, force: bool) -> None:
    """Raise AnimateError for a path where no template can be saved."""
    if out.suffix.lower() != ".npz":
        raise AnimateError(f"{out} is no name of a motion template: use one that ends in .npz")
    check_place(out)
    if not os.access(out.parent, os.W_OK):
        raise AnimateError(f"{out.parent} can't be written to: use another folder")
    if os.path.lexists(out) and not force:
        raise AnimateError(f"{out} exists: use --force to replace it, or another name")


def _about(template: Template) -> str:
    about = {NAMED.get(key, key): value for key, value in asdict(template).items()}
    del about["path"], about["first"]
    return json.dumps({"format": FORMAT, **about, "rate": str(template.rate)})


def _write_rows(file: Any, rows: Any, count: int, numbers: int) -> None:
    header = {"descr": "<f4", "fortran_order": False, "shape": (count, numbers)}
    np.lib.format.write_array_header_1_0(file, header)
    rows.seek(0)
    while block := rows.read(1 << 20):
        file.write(block)


def read_template(path: Path) -> Template:
    """Read a template's description; the poses stay on disk. Raises AnimateError for others."""
    existing(path)
    try:
        with zipfile.ZipFile(path) as archive:
            with archive.open("about.json") as file:
                about = json.loads(file.read(LONGEST))
            if about.pop("format") != FORMAT:
                raise AnimateError(
                    f"{path} is of another version: save it again with `animate template save`"
                )
            with archive.open("poses.npy") as file:
                shape = _shape(file)  # type: ignore[arg-type]
            for key, name in NAMED.items():
                about[key] = about.pop(name)
            if not RATE.fullmatch(about["rate"]):  # a large power of ten takes for ever
                raise ValueError("not a rate")
            about["rate"], about["scene_starts"] = (
                Fraction(about["rate"]),
                tuple(about["scene_starts"]),
            )
            texts = (about["model"], about["model_sha256"], about["clip_sha256"])
            if not all(isinstance(text, str) for text in texts):
                raise ValueError("not texts")
            template = Template(path=path, first=0, **about)
    except (
        zipfile.BadZipFile,
        KeyError,
        ValueError,
        TypeError,
        EOFError,
        ArithmeticError,
        OSError,
        RuntimeError,
        AttributeError,
        zlib.error,
        lzma.LZMAError,
    ) as error:
        raise AnimateError(
            f"{path} is no motion template: make one with `animate template save`"
        ) from error
    if shape != (template.stop, template.numbers) or template.rate <= 0:
        raise AnimateError(f"{path} is damaged: save it again with `animate template save`")
    return template


def _shape(file: BinaryIO) -> tuple[int, ...]:
    np.lib.format.read_magic(file)
    shape, _, kind = np.lib.format.read_array_header_1_0(file)
    if kind != np.dtype("<f4"):
        raise ValueError("not float32")
    return tuple(shape)
