"""Put a moved face back into its photo: sharp, without a seam, and with nothing else touched."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from animate.errors import AnimateError
from animate.faces.crop import Box

WAYS = ("photo", "crop")
MASKS = ("square", "oval")
# From here to twice as much the photo's own detail gives way to the crop's:
TEAR = 0.5  # of the flow, pixels from one pixel to the next
LEFT = 15  # grey levels that the flow leaves unexplained


@dataclass(frozen=True)
class Window:
    """Where in the crop the face may move: fully inside, not at all at the rim.

    `margin` is the width of the fade in sides of the crop; the mask is the square itself or the
    "oval" in it. Raises AnimateError for other masks and margins.
    """

    mask: str = "square"
    margin: float = 0.12

    def __post_init__(self) -> None:
        if self.mask not in MASKS:
            raise AnimateError(f"paste.mask is {self.mask}: use one of {', '.join(MASKS)}")
        if not 0.02 <= self.margin <= 0.5:
            raise AnimateError(f"paste.margin is {self.margin}: use 0.02 to 0.5 sides of the crop")

    @classmethod
    def of(cls, name: str, mask: str, margin: float) -> Window | None:
        """The window of the way of pasting called `name`; None for the plain "crop"."""
        if name not in WAYS:
            raise AnimateError(f"paste is {name}: use one of {', '.join(WAYS)}")
        window = cls(mask, margin)
        return window if name == "photo" else None

    def draw(self, size: int, open_sides: tuple[bool, bool, bool, bool]) -> np.ndarray:
        """(size, size) in [0, 1]; left, top, right and bottom are not faded where `open_sides`."""
        at = (np.arange(size) + 0.5) / size
        far = np.full(size, 1.0)
        left, top, right, bottom = (
            far if is_open else rim
            for is_open, rim in zip(open_sides, (at, at, 1 - at, 1 - at), strict=True)
        )
        if self.mask == "oval":
            x = np.where(at < 0.5, left, right) - 0.5
            y = np.where(at < 0.5, top, bottom) - 0.5
            inner = 0.5 - np.hypot(np.minimum(x, 0)[None], np.minimum(y, 0)[:, None])
        else:
            inner = np.minimum(np.minimum(left, right)[None], np.minimum(top, bottom)[:, None])
        fade = np.clip(inner / self.margin, 0, 1)
        return (fade * fade * (3 - 2 * fade)).astype(np.float32)


class Paste:
    """Moves the photo itself, at its own resolution, as the small animated crop shows.

    With the crop in the photo's own pose as the model renders it, R, and the crop of a frame, Q,
    optical flow f (Kroeger et al. 2016) says where each pixel of Q comes from in R. The photo P
    moves by the same flow, and what the flow doesn't explain (a shadow, a wrinkle) is added:

        P(z + w f) + w (Q - R(z + f)),

    where the window w fades from 1 to 0 towards the rim of the crop. So the photo keeps its detail
    and its colours, what moves at the rim comes to rest before it, and the rest of the picture
    stays as it is, bit for bit; the photo's own pose gives the photo. Where the flow tears or finds
    nothing alike (a mouth that opens, what a head uncovers) the photo has no detail to give: there
    Q stands alone.
    """

    def __init__(self, box: Box, still: np.ndarray, photo: np.ndarray, window: Window) -> None:
        """The crop `still` (S, S, 3) in the photo's own pose, its box, and the photo (H, W, 3);
        both uint8."""
        import cv2

        height, width = photo.shape[:2]
        size = still.shape[0]
        self.still, self.grey = still, cv2.cvtColor(still, cv2.COLOR_RGB2GRAY)
        left, top = max(0, int(np.floor(box.left))), max(0, int(np.floor(box.top)))
        right = min(width, int(np.ceil(box.left + box.side)))
        bottom = min(height, int(np.ceil(box.top + box.side)))
        if left >= right or top >= bottom:
            raise AnimateError("the face's square lies outside the photo: give another faces.box")
        self.part = slice(top, bottom), slice(left, right)
        self.size = right - left, bottom - top
        self.photo, self.fine = photo, doubled(photo[self.part])
        outside = (  # beyond the photo's edge nothing has to join
            box.left < 1,
            box.top < 1,
            box.left + box.side > width - 1,
            box.top + box.side > height - 1,
        )
        self.window = window.draw(size, outside)[..., None]
        # from pixels of the part to those of the crop: u = s (x + 0.5 - offset) - 0.5
        self.scale = scale = float(size / box.side)
        self.place = np.array(
            [
                [scale, 0, scale * (left + 0.5 - box.left) - 0.5],
                [0, scale, scale * (top + 0.5 - box.top) - 0.5],
            ]
        )
        y, x = np.mgrid[: self.size[1], : self.size[0]].astype(np.float32)
        self.here = 2 * np.stack([x, y], -1)  # in pixels of `fine`
        self.grid = np.stack(np.meshgrid(*[np.arange(size, dtype=np.float32)] * 2), -1)

    def __call__(self, photo: np.ndarray, crop: np.ndarray) -> np.ndarray:
        """The photo (H, W, 3), in which others may have moved, with its face as in the crop
        (S, S, 3); both uint8."""
        import cv2

        grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
        search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)  # one for each thread
        flow = search.calc(grey, self.grey, None)  # (S, S, 2), pixels of the crop
        rim = cv2.BORDER_REPLICATE
        seen = cv2.remap(self.still, self.grid + flow, None, cv2.INTER_LINEAR, None, rim)
        rest = crop.astype(np.float32) - seen
        new = novel(flow, rest)[..., None]
        move = self._enlarge(self.window * flow * (2 / self.scale))
        fine = self.fine if photo is self.photo else doubled(photo[self.part])
        moved = cv2.remap(fine, self.here + move, None, cv2.INTER_LINEAR, None, rim)
        alone = self._enlarge(self.window * new)
        moved = cv2.blendLinear(moved, self._enlarge(crop), 1 - alone, alone)
        rest = self._enlarge(self.window * (1 - new) * rest)
        result = photo.copy()
        result[self.part] = cv2.add(moved, rest, dtype=cv2.CV_8U)
        return result

    def _enlarge(self, field: np.ndarray) -> np.ndarray:
        """A field over the crop, over its part of the photo."""
        import cv2

        how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return cv2.warpAffine(field, self.place, self.size, None, how, cv2.BORDER_REPLICATE)


def doubled(picture: np.ndarray) -> np.ndarray:
    """(2 H - 1, 2 W - 1, 3) uint8: pixels between those of a picture (H, W, 3), cubic (a = -0.75).

    Linear samples of it are as sharp as cubic ones of the picture, and taken five times as fast.
    """
    import cv2

    between = np.array([[-3, 19, 19, -3]], np.float32) / 32
    height, width = picture.shape[:2]
    out = np.empty((2 * height - 1, 2 * width - 1, 3), np.uint8)
    out[::2, ::2] = picture
    rim = cv2.BORDER_REPLICATE
    out[::2, 1::2] = cv2.filter2D(picture, -1, between, None, (1, 0), 0, rim)[:, :-1]
    rows = np.ascontiguousarray(out[::2])
    out[1::2] = cv2.filter2D(rows, -1, between.T.copy(), None, (0, 1), 0, rim)[:-1]
    return out


def novel(flow: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """(S, S) in [0, 1]: how far a crop shows what a flow (S, S, 2) can't bring from another.

    That is where neighbours come from places apart, or `rest` (S, S, 3) is left between them.
    """
    import cv2

    across = np.diff(flow, axis=1, append=flow[:, -1:])
    down = np.diff(flow, axis=0, append=flow[-1:])
    tear = np.sqrt(np.maximum(*[np.einsum("yxc,yxc->yx", d, d) for d in (across, down)]))
    left = cv2.blur(cv2.transform(np.abs(rest), np.full((1, 3), 1 / 3)), (3, 3))
    new = np.maximum((tear - TEAR) / TEAR, (left - LEFT) / LEFT).clip(0, 1)
    return cv2.GaussianBlur(cv2.dilate(new, np.ones((5, 5), np.uint8)), (0, 0), 1.5)
