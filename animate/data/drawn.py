"""Drawn faces that sway, talk and blink: clips to try out a training recipe without data."""

from __future__ import annotations

import numpy as np

from animate.data.pairs import Clips
from animate.options import Augment


def drawn_clips(
    people: int = 6,
    frames: int = 24,
    side: int = 128,
    seed: int = 0,
    augment: Augment | None = None,
) -> Clips:
    """Clips of drawn people, one each, with `frames` frames of `side` pixels."""
    generator = np.random.default_rng(seed)
    clips = [_clip(frames, side, generator) for _ in range(people)]
    return Clips([f"drawn{i}" for i in range(people)], clips, augment=augment)


def _clip(frames: int, side: int, generator: np.random.Generator) -> np.ndarray:
    """(T, S, S, 3) uint8 of one person with random colours, shape and rhythm."""
    from PIL import Image, ImageDraw

    skin, hair, ground = (tuple(int(v) for v in generator.integers(40, 230, 3)) for _ in range(3))
    wide, tall = generator.uniform(0.22, 0.3), generator.uniform(0.3, 0.4)
    sway, nod, talk, blink = generator.uniform(0.2, 0.9, 4)
    noise = generator.integers(0, 60, (side // 8, side // 8, 3), dtype=np.uint8)
    wall = np.asarray(Image.fromarray(noise).resize((side, side))) // 2 + np.array(ground) // 2
    pictures = []
    for t in range(frames):
        x, y = 0.5 + 0.08 * np.sin(sway * t), 0.5 + 0.04 * np.sin(nod * t)
        picture = Image.fromarray(wall.astype(np.uint8))
        draw = ImageDraw.Draw(picture)

        def ellipse(dx, dy, rx, ry, colour, x=x, y=y, draw=draw):  # type: ignore[no-untyped-def]
            box = (x + dx - rx, y + dy - ry, x + dx + rx, y + dy + ry)
            draw.ellipse([side * v for v in box], fill=colour)

        ellipse(0, -0.04, wide + 0.04, tall + 0.05, hair)
        ellipse(0, 0.03, wide, tall, skin)
        lids = 0.03 * abs(np.sin(blink * t))
        for eye in (-0.1, 0.1):
            ellipse(eye, -0.04, 0.05, lids + 0.004, (250, 250, 250))
            ellipse(eye, -0.04, 0.018, min(lids + 0.004, 0.018), (30, 20, 20))
        ellipse(0, 0.18, 0.09, 0.012 + 0.05 * abs(np.sin(talk * t)), (140, 40, 50))
        pictures.append(np.asarray(picture))
    return np.stack(pictures)
