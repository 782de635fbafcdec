"""Draw the evidence for one file: what was found, how sure that is, and in which seconds."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from animate.media.pipes import through_pipes
from animate.provenance.xmp import COMPOSITE
from animate.publish import Published, check, sheets
from animate.verification.verify import Report, frames_of, verify
from animate.watermark import THRESHOLD
from animate.watermark.detection import correlation_map, keep
from animate.watermark.label import FONTS

WIDTH, HEIGHT, MARGIN = 960, 600, 32
MAP = 192  # pixels a side of the correlation's map
SHOWN = 8  # frames
COLOURS = {"authentic": (0, 110, 60), "traced": (0, 100, 100), "marked": (0, 90, 140),
           "tampered": (170, 30, 30), "not found": (90, 90, 90)}  # fmt: skip
BLACK, GREY, PALE = (20, 20, 20), (120, 120, 120), (225, 225, 225)


@through_pipes("path")
def explain(path: Path, out: Path, *, force: bool = False) -> Published:
    """Verify `path` and publish the evidence as the picture `out`, marked like all others."""
    check(out, rate=None, force=force, inputs=[path])
    report = verify(path)
    return sheets.show(
        out,
        drawn(report),
        model="none: a drawing of evidence",
        model_sha256="none",
        photos=[path],
        consent="as stated in the file examined",
        source=COMPOSITE,
        force=force,
    )


def drawn(report: Report, title: str | None = None) -> np.ndarray:
    """The picture, uint8 (600, 960, 3); its title is the file's name, if no other is given."""
    from PIL import Image, ImageDraw

    sheet = Image.new("RGB", (WIDTH, HEIGHT), "white")
    pen = ImageDraw.Draw(sheet)
    y = MARGIN + _words(pen, MARGIN, (title or report.path.name)[:60], 26, BLACK)
    y += _words(pen, y, report.verdict.upper(), 34, COLOURS[report.verdict])
    for line in _wrapped("; ".join(report.reasons))[:3]:
        y += _words(pen, y, line, 16, BLACK)
    y = _timeline(sheet, pen, y + 16, report)
    _map(sheet, pen, y, report)
    y = _statistic(pen, y + 20, report)
    for name, text in _layers(report):
        _words(pen, y, name, 16, GREY)
        y += _words(pen, y, text[:66], 16, BLACK, MARGIN + 110)
    return np.asarray(sheet)


def _words(pen: Any, y: int, text: str, size: int, ink: tuple[int, ...], x: int = MARGIN) -> int:
    """Write a line; returns the height that it takes."""
    from PIL import ImageFont

    shown = "".join(c if c.isprintable() else "?" for c in text)
    pen.text((x, y), shown, ink, ImageFont.truetype(str(FONTS / "label-latin.ttf"), size))
    return round(1.35 * size)


def _wrapped(text: str) -> list[str]:
    import textwrap

    return textwrap.wrap(text, 100)


def _timeline(sheet: Any, pen: Any, y: int, report: Report) -> int:
    """Frames along the time, with the marked seconds below them."""
    from PIL import Image

    side, (frames, rate) = (WIDTH - 2 * MARGIN) // SHOWN, frames_of(report.path)
    kept: list[np.ndarray] = []
    every, count = 1, 0
    for frame in frames:
        if count % every == 0:
            kept.append(np.asarray(Image.fromarray(frame).resize((side, side))))
            if len(kept) == 2 * SHOWN:
                kept, every = kept[::2], 2 * every
        count += 1
    chosen = [kept[i * len(kept) // SHOWN] for i in range(min(SHOWN, len(kept)))]
    for i, small in enumerate(chosen):
        sheet.paste(Image.fromarray(small), (MARGIN + i * side, y))
    y += side + 6
    seconds, wide = count / rate, side * len(chosen)
    pen.rectangle((MARGIN, y, MARGIN + wide, y + 14), PALE)
    spans = report.detection.seconds
    if not spans and report.detection.marked:
        spans = ((0.0, seconds),)
    for start, end in spans:
        left, right = (MARGIN + wide * min(1.0, t / seconds) for t in (start, end))
        pen.rectangle((left, y, right, y + 14), COLOURS["marked"])
    moving = f"marked seconds of {seconds:.1f} in blue" if count > 1 else "marked, if blue"
    return y + 20 + _words(pen, y + 18, moving, 14, GREY)


def _map(sheet: Any, pen: Any, y: int, report: Report) -> None:
    """The correlation at every shift of the picture as a map: a mark is a dot in the middle."""
    from PIL import Image

    frames, rate = frames_of(report.path)
    found = correlation_map(keep(frames, rate).whole, report.detection)
    shades = np.clip(found / max(found.max(), 6.0), 0, 1) * 255
    small = Image.fromarray(shades.astype(np.uint8)).resize((MAP, MAP), Image.Resampling.NEAREST)
    left = WIDTH - MARGIN - MAP
    sheet.paste(small, (left, y))
    _words(pen, y + MAP + 4, "correlation at every shift", 14, GREY, left)


def _statistic(pen: Any, y: int, report: Report) -> int:
    """The statistic beside the largest one that chance explains."""
    found = report.detection
    needed = math.sqrt(2 * math.log(max(found.hypotheses, 1) / THRESHOLD))
    right = WIDTH - 2 * MARGIN - MAP
    scale = (right - MARGIN) / max(1.2 * needed, 1.05 * found.statistic)
    pen.rectangle((MARGIN, y, right, y + 14), PALE)
    pen.rectangle((MARGIN, y, MARGIN + scale * found.statistic, y + 14), COLOURS["marked"])
    pen.line(
        (MARGIN + scale * needed, y - 6, MARGIN + scale * needed, y + 20), COLOURS["tampered"], 3
    )
    y += 20 + _words(pen, y + 20, f"correlation {found.statistic:.1f}, p <= {found.p_value:.1e}; "
                     f"red: {needed:.1f}, which unmarked pictures", 14, GREY)  # fmt: skip
    return y + 6 + _words(pen, y, "pass once in a million times", 14, GREY)


def _layers(report: Report) -> list[tuple[str, str]]:
    said, signed = report.detection.payload, report.signature
    owner = f", key of {report.owner.name}" if report.owner else ""
    return [
        ("payload", f"{said}{owner}" if said else "none read"),
        ("signature", f"{signed.state}{f', {signed.name}' if signed.name else ''}"),
        ("claim", f"{report.claim.model}, {report.claim.created}" if report.claim else "none"),
        ("labels", f"AIGC x {len(report.tags.aigc)}, {(report.tags.source or '').split('/')[-1]}"),
        ("ledger", f"entry {report.entry.number}" if report.entry else "no entry"),
    ]
