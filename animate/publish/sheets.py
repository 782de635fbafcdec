"""Draw grids of pictures and curves, and publish them as marked stills."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from animate import __version__
from animate.errors import AnimateError
from animate.media import clips
from animate.provenance import keys
from animate.provenance.xmp import SYNTHETIC
from animate.publish import Published, publish
from animate.watermark import Claim, Mark, Payload

if TYPE_CHECKING:
    from matplotlib.axes import Axes

RGB = tuple[int, ...]  # 0 to 255
GREEN = (0, 255, 0)
Line = tuple[Sequence[float], Sequence[float]]  # x and y values
HEAD = 22  # pixels above a row or a column's head
CONSENT = "pictures of a data set, shown to document a model; their consent is stated there"


def grid(
    rows: Sequence[Sequence[np.ndarray]],
    heads: Sequence[str] = (),
    labels: Sequence[str] = (),
    cell: int | None = None,
) -> np.ndarray:
    """Rows of pictures uint8 (S, S, 3), with a head above each column and a label above each row.

    cell: side to resize each picture to, pixels; None keeps their size.
    """
    from PIL import Image, ImageDraw, ImageFont

    side = cell or rows[0][0].shape[0]
    height = HEAD * bool(heads) + len(rows) * (side + HEAD * bool(labels))
    sheet = Image.new("RGB", (side * max(map(len, rows)), height), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(14)
    for i, text in enumerate(heads):
        draw.text((side * i + 4, 3), text, "black", font)
    y = HEAD * bool(heads)
    for i, row in enumerate(rows):
        if labels:
            draw.text((4, y + 3), labels[i], "black", font)
            y += HEAD
        for j, picture in enumerate(row):
            sheet.paste(Image.fromarray(picture).resize((side, side)), (side * j, y))
        y += side
    return np.asarray(sheet)


def dotted(
    picture: np.ndarray, points: np.ndarray | None, colours: Sequence[RGB] = (GREEN,)
) -> np.ndarray:
    """Draw points (K, 2) in [-1, 1] on a square picture, in the colours in turn.

    None draws nothing.
    """
    import cv2

    drawn = picture.copy()
    places = [] if points is None else (points + 1) / 2 * (picture.shape[0] - 1)
    for (x, y), colour in zip(places, cycle(colours), strict=False):
        centre = round(float(x) * 8), round(float(y) * 8)
        cv2.circle(drawn, centre, 12, colour, -1, cv2.LINE_AA, 3)
    return drawn


def curves(
    panels: Mapping[str, Mapping[str, Line]],
    horizontal: str,
    columns: int = 2,
) -> np.ndarray:
    """Plot a panel for each title, with a line (x, y) for each name: uint8 (H, W, 3).

    The seventh line and later ones are thin and not in the legend.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise AnimateError("curves need matplotlib: pip install matplotlib") from error
    lines = -(-len(panels) // columns)
    width, height = 5 * columns, 3.2 * lines  # inches
    figure = Figure(figsize=(width, height), dpi=100)
    figure.subplots_adjust(
        0.6 / width, 0.5 / height, 1 - 0.2 / width, 1 - 0.3 / height, wspace=0.2, hspace=0.4
    )
    canvas = FigureCanvasAgg(figure)
    for i, (title, drawn) in enumerate(panels.items()):
        _panel(figure.add_subplot(lines, columns, i + 1), title, drawn, horizontal)
    canvas.draw()
    return np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[..., :3])


def _panel(
    axes: Axes,
    title: str,
    lines: Mapping[str, Line],
    horizontal: str,
) -> None:
    for i, (name, (x, y)) in enumerate(lines.items()):
        if i < 6:
            axes.plot(x, y, label=name, marker="." if len(x) < 3 else None)
        else:
            axes.plot(x, y, color="0.8", linewidth=0.7, zorder=0)
    axes.set_title(title, fontsize=10)
    axes.set_xlabel(horizontal, fontsize=9)
    axes.grid(alpha=0.3)
    if lines and list(lines) != [title]:
        axes.legend(fontsize=8)


def show(
    path: Path,
    picture: np.ndarray,
    *,
    model: str,
    model_sha256: str,
    photos: Sequence[Path] = (),
    drivers: Sequence[Path] = (),
    consent: str = CONSENT,
    source: str = SYNTHETIC,
    force: bool = True,
) -> Published:
    """Publish a sheet as the marked still `path`, signed with the user's key if there is one.

    The claim names the model and the files that the pictures come from. There is no visible label:
    a sheet says itself what it shows. Raises as `publish`.
    """
    claim = Claim.now(
        generator=f"animate {__version__}",
        model=model,
        model_sha256=model_sha256,
        photo_sha256=_sha256_of(photos),
        clip_sha256=_sha256_of(drivers),
        consent=consent,
    )
    signer = keys.signer()
    mark = Mark(Payload.of(claim, signer.mark_key), signer.mark_key)
    return publish(
        path, [picture], mark=mark, claim=claim, rate=None, signer=signer, label=None,
        source=source, force=force,
    )  # fmt: skip


def _sha256_of(paths: Sequence[Path]) -> str:
    """The SHA-256 of each file, once, with commas between; "none" for no file."""
    return ",".join(clips.sha256(p) for p in dict.fromkeys(paths) if p.is_file()) or "none"
