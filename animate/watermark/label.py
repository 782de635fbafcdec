"""The visible label: a few words in a corner that tell viewers that the face is synthetic.

It is drawn before the invisible mark is embedded. Its defaults meet GB 45438-2025 for pictures and
videos (clauses 5.2 and 5.4: letters of at least 5 % of the shortest side, for at least the first 2
seconds). They show the label for the whole clip, as the EU code of practice on marking and
labelling of AI-generated content asks for deep fakes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from animate.errors import AnimateError
from animate.options import Label

if TYPE_CHECKING:
    from PIL import Image

FONTS = Path(__file__).resolve().parent / "fonts"
TALLEST = 20  # font size in heights of letters, at which a text of no height is given up
SMALLEST = 8  # height of letters, pixels; smaller ones are illegible in a picture of any size

SHORT = {"AI-generated": "AI"}  # words, and what pictures without room for them say instead


def fitting(label: Label, height: int, width: int) -> Label:
    """The label, in its short form where a picture has room for that alone."""
    short = SHORT.get(label.text or "")
    if short is None or Words.of(label, height, width).fit(height, width):
        return label
    shorter = replace(label, text=short)
    return shorter if Words.of(shorter, height, width).fit(height, width) else label


def label_patch(
    label: Label, height: int, width: int
) -> tuple[slice, slice, np.ndarray, np.ndarray]:
    """The rows and columns that a label covers, its opacity (h, w, 1) and its colour (h, w, 3).

    Raises AnimateError if no font has its letters, or if the picture is too small for it.
    """
    from PIL import Image, ImageDraw

    words = Words.of(label, height, width)
    wide, high, letters = words.wide, words.high, words.letters
    if not words.fit(height, width):
        raise AnimateError(
            f"label.text={label.text!r} needs {wide}x{high} pixels, the picture has "
            f"{width}x{height}: use a shorter text, such as AI, or a larger picture"
        )
    ink = words.written()
    margin = round(0.25 * letters)
    ground = Image.new("L", (wide, high), 0)
    round_off = high / 3 if label.style == "icon" else 0.2 * letters
    shape = (0, 0, wide - 1, high - 1)
    edge = max(1, round(letters / 10)) if label.style == "icon" else 0
    ImageDraw.Draw(ground).rounded_rectangle(shape, round_off, 255)
    if edge:
        ImageDraw.Draw(ink).rounded_rectangle(shape, round_off, None, 255, edge)
    white = np.asarray(ink, np.float32)[..., None] / 255
    dark = np.asarray(ground, np.float32)[..., None] / 255
    opaque = 0.85 if label.style == "icon" else 0.55
    share = np.maximum(white, dark * opaque)
    colour = np.repeat(white * 255, 3, 2)  # black outside the letters
    y = margin if "top" in label.position else height - high - margin
    x = {"left": margin, "right": width - wide - margin}.get(
        label.position.split()[-1], (width - wide) // 2
    )
    y, x = max(0, min(y, height - high)), max(0, min(x, width - wide))
    return slice(y, y + high), slice(x, x + wide), share, colour


class Words(NamedTuple):
    """The words of a label, ready to be written with room around them."""

    text: str
    file: str
    font: Any
    letters: float  # height of the letters, pixels
    wide: int
    high: int
    start: tuple[float, float]  # where the baseline begins

    @classmethod
    def of(cls, label: Label, height: int, width: int) -> Words:
        """The words for a picture of this size. Raises AnimateError if no font has them."""
        from PIL import ImageFont

        text, file = label.text or "", _file(label)
        letters = max(SMALLEST, -(-label.size * min(height, width) // 1))
        with _reading(file):
            font = ImageFont.truetype(file, _size(file, text, letters))
            left, top, right, bottom = font.getbbox(text, anchor="ls")
        pad = max(2, round(0.45 * letters))
        wide, high = round(right - left) + 2 * pad, round(bottom - top) + 2 * pad
        return cls(text, file, font, letters, wide, high, (pad - left, pad - top))

    def fit(self, height: int, width: int) -> bool:
        return self.wide <= width and self.high <= height

    def written(self) -> Image.Image:
        """The words in white on black."""
        from PIL import Image, ImageDraw

        ink = Image.new("L", (self.wide, self.high), 0)
        with _reading(self.file):
            ImageDraw.Draw(ink).text(self.start, self.text, 255, self.font, anchor="ls")
        return ink


def apart(label: Label, frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Add a black strip for the label to frames (H, W, 3) of one size, at the label's edge.

    For pictures that a face fills up to the corners. Raises AnimateError if the label is too long.
    """
    strip = None
    for frame in frames:
        strip = _strip(label, *frame.shape[:2]) if strip is None else strip
        yield np.pad(frame, (strip, (0, 0), (0, 0)))


def _strip(label: Label, height: int, width: int) -> tuple[int, int]:
    """Rows to add above and below a picture for the label; the label grows with those rows."""
    rows, needed = -1, 0
    while needed > rows:
        rows = needed
        place, *_ = label_patch(label, height + rows, width)
        margin = min(place.start, height + rows - place.stop)
        needed = place.stop - place.start + 2 * margin
    return (rows, 0) if "top" in label.position else (0, rows)


def _file(label: Label) -> str:
    """The font file that has all letters of the label."""
    if label.font is not None:
        files = [str(label.font)]
    else:
        files = [str(FONTS / name) for name in ("label-latin.ttf", "label-cjk.otf")]
    text = label.text or ""
    for file in files:
        if not _missing(file, text):
            return file
    raise AnimateError(
        f"label.text={text!r}: the font lacks {' '.join(_missing(files[-1], text))}: "
        "give a font that has them with label.font=FILE"
    )


class Labeller:
    """Draws a label on the frames of one file, in order: `labeller(frame)`, uint8 (H, W, 3)."""

    def __init__(self, label: Label | None, height: int, width: int, rate: float | None):
        self.drawn = None if label is None else label_patch(label, height, width)
        whole = label is None or label.seconds is None or rate is None
        self.left = None if whole else -(-label.seconds * rate // 1)  # type: ignore[union-attr, operator]

    def __call__(self, frame: np.ndarray) -> np.ndarray:
        if self.drawn is None or (self.left is not None and self.left <= 0):
            return frame
        if self.left is not None:
            self.left -= 1
        rows, columns, share, colour = self.drawn
        out = frame.copy()
        patch = out[rows, columns].astype(np.float32)
        out[rows, columns] = np.rint(patch + (colour - patch) * share)
        return out


def _missing(file: str, text: str) -> list[str]:
    """The letters that a font lacks, which it draws as its box for unknown letters."""
    from PIL import ImageFont

    with _reading(file):
        font = ImageFont.truetype(file, 32)
        unknown = font.getmask("\U0010fffe").getbbox(), bytes(font.getmask("\U0010fffe"))

        def absent(letter: str) -> bool:
            return (font.getmask(letter).getbbox(), bytes(font.getmask(letter))) == unknown

        return [letter for letter in dict.fromkeys(text) if not letter.isspace() and absent(letter)]


@contextmanager
def _reading(file: str) -> Iterator[None]:
    """Turn the errors of a damaged font into an AnimateError."""
    try:
        yield
    except (OSError, ValueError) as error:
        raise AnimateError(
            f"{file} can't be read as a font: give a TTF or OTF file with label.font=FILE"
        ) from error


def _size(file: str, text: str, letters: float) -> int:
    """The font size at which the text rises at least `letters` pixels above its baseline."""
    from PIL import ImageFont

    size = round(letters)
    while -ImageFont.truetype(file, size).getbbox(text, anchor="ls")[1] < letters:
        size += 1
        if size > TALLEST * letters:
            raise AnimateError(f"label.text={text!r} has no height in {file}: use another text")
    return size
