"""The visible label: a few words in a corner that tell viewers that the face is synthetic.

It is drawn before the invisible mark is embedded. Its defaults meet GB 45438-2025 for pictures and
videos (clauses 5.2 and 5.4: letters of at least 5 % of the shortest side, for at least the first 2
seconds). They show the label for the whole clip, as the EU code of practice on marking and
labelling of AI-generated content asks for deep fakes. The style "pill" has the proportions of that
code's icons AI, AI GENERATED and AI MODIFIED (annex I), drawn here in another font.
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

SHORT = {  # words, and what pictures without room for them say instead
    "AI-generated": "AI",
    "AI MODIFIED": "AI",
    "AI GENERATED": "AI",
    "Synthetically generated": "Synthetic",
}

# The pill, in heights of its smaller letters: the acronym, the pill; room at its ends, between the
# two words, between letters.
ACRONYM, PILL, ENDS, GAP, SPACED = 1.4, 2.7, 1.2, 0.85, 0.12
FINER = 4  # times as finely as the picture, the pill's ground is drawn
BRIGHT = 128  # mean level of a picture below a pill, from which on the pill is black


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
    words = Words.of(label, height, width)
    wide, high, letters = words.wide, words.high, words.letters
    if not words.fit(height, width):
        raise AnimateError(
            f"label.text={label.text!r} needs {wide}x{high} pixels, the picture has "
            f"{width}x{height}: use a shorter text, such as AI, or a larger picture"
        )
    ink = words.written()
    margin = round(0.25 * letters)
    ground = GROUNDS[label.style](ink, letters)
    white = np.asarray(ink, np.float32)[..., None] / 255
    share = np.maximum(white, np.asarray(ground, np.float32)[..., None] / 255 * OPAQUE[label.style])
    colour = np.repeat(white * 255, 3, 2)  # black outside the letters
    y = margin if "top" in label.position else height - high - margin
    x = {"left": margin, "right": width - wide - margin}.get(
        label.position.split()[-1], (width - wide) // 2
    )
    y, x = max(0, min(y, height - high)), max(0, min(x, width - wide))
    return slice(y, y + high), slice(x, x + wide), share, colour


def _block(ink: Image.Image, letters: float) -> Image.Image:
    """The ground of plain words: a block with slightly rounded corners."""
    return _rounded(ink.size, 0.2 * letters)


def _badge(ink: Image.Image, letters: float) -> Image.Image:
    """The ground of an icon; adds a frame to its ink."""
    from PIL import ImageDraw

    shape, edge = (0, 0, ink.width - 1, ink.height - 1), max(1, round(letters / 10))
    ImageDraw.Draw(ink).rounded_rectangle(shape, ink.height / 3, None, 255, edge)
    return _rounded(ink.size, ink.height / 3)


def _pill(ink: Image.Image, letters: float) -> Image.Image:
    """The ground of a pill, with smooth edges."""
    from PIL import Image

    wide, high = (FINER * side for side in ink.size)
    return _rounded((wide, high), high / 2).resize(ink.size, Image.Resampling.BOX)


def _rounded(size: tuple[int, int], radius: float) -> Image.Image:
    from PIL import Image, ImageDraw

    ground = Image.new("L", size, 0)
    ImageDraw.Draw(ground).rounded_rectangle((0, 0, size[0] - 1, size[1] - 1), radius, 255)
    return ground


GROUNDS = {"text": _block, "icon": _badge, "pill": _pill}  # by `label.style`
OPAQUE = {"text": 0.55, "icon": 0.85, "pill": 1.0}


class Run(NamedTuple):
    """Letters of one size."""

    text: str
    font: Any
    start: tuple[float, float]  # where their baseline begins, pixels


class Words(NamedTuple):
    """The words of a label, ready to be written with room around them."""

    file: str
    letters: float  # height of the letters, pixels
    wide: int
    high: int
    runs: tuple[Run, ...]

    @classmethod
    def of(cls, label: Label, height: int, width: int) -> Words:
        """The words for a picture of this size. Raises AnimateError if no font has them."""
        file = _file(label)
        letters = max(SMALLEST, -(-label.size * min(height, width) // 1))
        with _reading(file):
            lay = _in_a_pill if label.style == "pill" else _in_a_line
            return lay(label.text or "", file, letters)

    def fit(self, height: int, width: int) -> bool:
        return self.wide <= width and self.high <= height

    def written(self) -> Image.Image:
        """The words in white on black."""
        from PIL import Image, ImageDraw

        ink = Image.new("L", (self.wide, self.high), 0)
        with _reading(self.file):
            for run in self.runs:
                ImageDraw.Draw(ink).text(run.start, run.text, 255, run.font, anchor="ls")
        return ink


def _in_a_line(text: str, file: str, letters: float) -> Words:
    from PIL import ImageFont

    font = ImageFont.truetype(file, _size(file, text, letters))
    left, top, right, bottom = font.getbbox(text, anchor="ls")
    pad = max(2, round(0.45 * letters))
    wide, high = round(right - left) + 2 * pad, round(bottom - top) + 2 * pad
    return Words(file, letters, wide, high, (Run(text, font, (pad - left, pad - top)),))


def _in_a_pill(text: str, file: str, letters: float) -> Words:
    """A first word in larger letters, and others after it in spaced ones, each in the middle."""
    from PIL import ImageFont

    acronym, _, rest = text.strip().partition(" ")
    high, x, runs = round(PILL * letters), ENDS * letters, list[Run]()
    for word, tall in ((acronym, ACRONYM * letters), (rest.strip(), letters)):
        if not word:
            continue
        font = ImageFont.truetype(file, _size(file, word, tall))
        left, top, _, bottom = font.getbbox(word, anchor="ls")
        x += GAP * letters * bool(runs) - left
        high = max(high, round(bottom - top + letters))
        y = -(top + bottom) / 2  # from the middle of the pill
        for part in [word] if word is acronym else word:
            runs.append(Run(part, font, (x, y)))
            x += font.getlength(part) + (0 if word is acronym else SPACED * letters)
    wide = round(x + (ENDS - SPACED * bool(rest)) * letters)
    runs = [run._replace(start=(run.start[0], high / 2 + run.start[1])) for run in runs]
    return Words(file, letters, wide, high, tuple(runs))


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
    """Draws a label on the frames of one file, in order: `labeller(frame)`, uint8 (H, W, 3).

    The first frame decides whether a pill is black, or white on a dark picture.
    """

    def __init__(self, label: Label | None, height: int, width: int, rate: float | None):
        self.drawn = None if label is None else label_patch(label, height, width)
        self.undecided = label is not None and label.style == "pill"
        whole = label is None or label.seconds is None or rate is None
        self.left = None if whole else -(-label.seconds * rate // 1)  # type: ignore[union-attr, operator]

    def __call__(self, frame: np.ndarray) -> np.ndarray:
        if self.drawn is None or (self.left is not None and self.left <= 0):
            return frame
        if self.left is not None:
            self.left -= 1
        rows, columns, share, colour = self.drawn
        if self.undecided and frame[rows, columns].mean() < BRIGHT:
            colour = 255 - colour
            self.drawn = rows, columns, share, colour
        self.undecided = False
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
