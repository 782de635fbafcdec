"""A photo for live animation: its encoded faces, and the picture for each pose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from animate.errors import AnimateError
from animate.faces import Box
from animate.faces.paste import Paster
from animate.inference.compose import SourceFace, SourcePhoto, paster
from animate.inference.predictor import HeadLimit, Predictor
from animate.models.contract import Motion
from animate.options import Options, Retarget
from animate.publish.live import Marker
from animate.watermark import Mark

Size = tuple[int, int]  # height and width, pixels


@dataclass(frozen=True)
class Portrait:
    """An encoded photo; all photos of a session have one size."""

    predictor: Predictor
    faces: Sequence[SourceFace]
    pasting: Paster | None  # None: the first face's crop alone is shown
    still: np.ndarray  # uint8 (H, W, 3): in the photo's own pose
    marker: Marker

    @classmethod
    def of(
        cls, predictor: Predictor, source: SourcePhoto, options: Options, mark: Mark, size: Size
    ) -> Portrait:
        """Encode the faces of a photo that is shown within `size`."""
        faces = [SourceFace.of(predictor, source.pixels, box) for box in source.boxes]
        if options.paste.name == "crop":
            pasting, still = None, predictor.render(faces[0].source, faces[0].own)[0]
        else:
            pixels, boxes = on_canvas(source, size)
            placed = [replace(face, box=box) for face, box in zip(faces, boxes, strict=True)]
            source = replace(source, pixels=pixels, boxes=boxes)
            pasting = paster(predictor, source, placed, replace(options.paste, size=None))
            still = pixels
        marker = Marker(mark, options.visible_label, *still.shape[:2])
        return cls(predictor, faces, pasting, still, marker)

    def moved(self, motion: Motion, reference: Motion, how: Retarget) -> np.ndarray:
        """The picture in a driver's pose, not yet marked; all faces move alike."""
        crops = [self._crop(face, motion, reference, how) for face in self.faces]
        return crops[0] if self.pasting is None else self.pasting(crops)

    def _crop(
        self, face: SourceFace, motion: Motion, reference: Motion, how: Retarget
    ) -> np.ndarray:
        limited = self.pasting is not None and how.limits_head
        limit = HeadLimit(face.own) if limited and "head" in self.predictor.model.regions else None
        moved, _ = self.predictor.carry(face.source, motion, reference, how, limit)
        return self.predictor.render(face.source, moved)[0]


def size_of(source: SourcePhoto, longest: int) -> Size:
    """Even height and width of a photo that is shrunk to a `longest` side."""
    height, width = source.pixels.shape[:2]
    step = max(1.0, max(height, width) / longest)
    return 2 * round(height / step / 2), 2 * round(width / step / 2)


def on_canvas(source: SourcePhoto, size: Size) -> tuple[np.ndarray, list[Box]]:
    """A photo resized to fit into `size`, in the middle of black, and its boxes there."""
    import cv2

    height, width = source.pixels.shape[:2]
    scale = min(size[0] / height, size[1] / width)
    high, wide = min(round(scale * height), size[0]), min(round(scale * width), size[1])
    if size[0] - high < 2 and size[1] - wide < 2:
        high, wide = size
    if min(high, wide) < 32:
        raise AnimateError(f"{source.path} is too long and narrow to be shown with the first photo")
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    small = cv2.resize(source.pixels, (wide, high), interpolation=how)
    top, left = (size[0] - high) // 2, (size[1] - wide) // 2
    rows, columns = (top, size[0] - high - top), (left, size[1] - wide - left)
    across = wide / width
    boxes = [
        Box(box.left * across + left, box.top * high / height + top, box.side * across)
        for box in source.boxes
    ]
    return np.pad(small, (rows, columns, (0, 0))), boxes
