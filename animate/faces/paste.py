"""Paste an animated face back into its photo: sharp, without a seam, the rest unchanged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from animate import options
from animate.errors import AnimateError
from animate.faces.crop import Box

# The crop begins to replace the photo's own detail here, and does so fully at twice the value:
TEAR = 0.5  # pixels: difference of the flow between neighbouring pixels
LEFT = 15  # grey levels: what the flow leaves unexplained
ROOM = 0.25  # sides of a square: height of the rim in which hair that leaves it comes to rest
BETWEEN = 0.1  # sides of a square: a pixel this much nearer to a face belongs to that face alone


def window(
    paste: options.Paste, size: int, open_sides: tuple[bool, bool, bool, bool]
) -> np.ndarray:
    """A window (size, size) in [0, 1] that fades to 0 at its sides, except the `open_sides` of
    (left, top, right, bottom)."""
    at = (np.arange(size) + 0.5) / size
    far = np.full(size, 1.0)
    left, top, right, bottom = (
        far if is_open else rim
        for is_open, rim in zip(open_sides, (at, at, 1 - at, 1 - at), strict=True)
    )
    if paste.mask == "oval":
        x = np.where(at < 0.5, left, right) - 0.5
        y = np.where(at < 0.5, top, bottom) - 0.5
        inner = 0.5 - np.hypot(np.minimum(x, 0)[None], np.minimum(y, 0)[:, None])
    else:
        inner = np.minimum(np.minimum(left, right)[None], np.minimum(top, bottom)[:, None])
    fade = np.clip(inner / paste.margin, 0, 1)
    return (fade * fade * (3 - 2 * fade)).astype(np.float32)


class Spot:
    """A face's square in a photo (H, W, 3), which turns a small crop into a change of the photo."""

    def __init__(
        self,
        box: Box,
        still: np.ndarray,
        shape: Sequence[int],
        paste: options.Paste,
        room: int = 0,
    ) -> None:
        """`still` (S, S, 3) uint8 is the crop as rendered in the photo's own pose; `shape` is the
        photo's.

        A spot with `room`, in pixels of the crop, has a rim of that height above its square: its
        fields are (S + room, S). Raises AnimateError for a box outside the photo.
        """
        import cv2

        height, width = shape[:2]
        size = still.shape[0]
        self.given = box, still, shape, paste
        self.box, self.still, self.grey = box, still, cv2.cvtColor(still, cv2.COLOR_RGB2GRAY)
        self.scale = scale = float(size / box.side)
        self.room, above = room, room / scale
        self.is_cut = box.top < above  # the rim, by the photo's top
        left, top = max(0, int(np.floor(box.left))), max(0, int(np.floor(box.top - above)))
        right = min(width, int(np.ceil(box.left + box.side)))
        bottom = min(height, int(np.ceil(box.top + box.side)))
        if left >= right or top >= bottom:
            raise AnimateError("the face's square lies outside the photo: give another faces.box")
        self.part = Part(left, top, right, bottom)
        self.size = right - left, bottom - top
        outside = (  # a side at the photo's edge needs no fading
            box.left < 1,
            box.top < 1,
            box.left + box.side > width - 1,
            box.top + box.side > height - 1,
        )
        self.window = np.pad(window(paste, size, outside), ((room, 0), (0, 0)))[..., None]
        self.reach = self._reach(paste, outside) if room else self.window
        # from the part's pixels x to the fields' pixels u: u = s (x + 0.5 - offset) - 0.5
        self.place = np.array(
            [
                [scale, 0, scale * (left + 0.5 - box.left) - 0.5],
                [0, scale, scale * (top + 0.5 - box.top) - 0.5 + room],
            ]
        )
        across = np.arange(size, dtype=np.float32)
        self.grid = np.stack(np.meshgrid(across, np.arange(-room, size, dtype=np.float32)), -1)

    def _reach(self, paste: options.Paste, outside: tuple[bool, bool, bool, bool]) -> np.ndarray:
        """The window that fades in the rim above the square, and at its other sides as ever.

        Above, hair goes on; beside the head is background and below are shoulders, which stay.
        """
        left, _, right, bottom = outside
        square = window(paste, len(self.still), (left, True, right, bottom))
        rim = (np.arange(self.room, dtype=np.float32) + 0.5) / self.room
        above = square[:1] * (rim * rim * (3 - 2 * rim))[:, None]
        return np.concatenate([above, square])[..., None]

    def wide(self) -> Spot:
        """The same spot with a rim; an oval gets none, for nothing beyond it may change."""
        box, still, shape, paste = self.given
        room = 0 if paste.mask == "oval" else round(ROOM * still.shape[0])
        return Spot(box, still, shape, paste, room)

    def change(self, crop: np.ndarray, window: np.ndarray, reach: np.ndarray) -> Change:
        """The change that a crop (S, S, 3) uint8 makes.

        The crop's pixels show within `window`, the photo moves within `reach`, (S + room, S, 1) in
        [0, 1] each.
        """
        import cv2

        grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
        search = cv2.DISOpticalFlow.create(
            cv2.DISOPTICAL_FLOW_PRESET_FAST
        )  # threads can't share one
        flow = search.calc(grey, self.grey, None)  # (S, S, 2), pixels of the crop
        rim = cv2.BORDER_REPLICATE
        warped = cv2.remap(
            self.still, self.grid[self.room :] + flow, None, cv2.INTER_LINEAR, None, rim
        )
        rest = crop.astype(np.float32) - warped
        new = novel(flow, rest)
        if self.room:
            flow, new, rest, crop = (
                cv2.copyMakeBorder(field, self.room, 0, 0, 0, rim)
                for field in (flow, new, rest, crop)
            )
        new = new[..., None]
        if self.is_cut:  # of hair that sinks, nothing follows from above the photo
            reach = np.where(flow[..., 1:] < 0, window, reach)
        return Change(
            self._enlarge(reach * flow * (2 / self.scale)),
            self._enlarge(window * new),
            self._enlarge(crop),
            self._enlarge(window * (1 - new) * rest),
        )

    def _enlarge(self, field: np.ndarray) -> np.ndarray:
        """Resample a field from the crop to its part of the photo."""
        import cv2

        how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return cv2.warpAffine(field, self.place, self.size, None, how, cv2.BORDER_REPLICATE)


@dataclass(frozen=True)
class Change:
    """The change of one part of the photo; fields are (h, w) or (h, w, channels)."""

    move: np.ndarray  # offset to where each pixel comes from, in half pixels
    alone: np.ndarray  # in [0, 1]: share of the crop, which replaces the photo there
    crop: np.ndarray  # enlarged to the part
    rest: np.ndarray  # residual that is added to the moved photo


class Paster:
    """Warps the photo itself, at its own resolution, like the small animated crops.

    R is the crop as the model renders it in the photo's own pose, Q the crop of a frame. Optical
    flow f (Kroeger et al. 2016) says where in R each pixel of Q comes from. The photo P moves by
    the same flow, and what the flow doesn't explain (a shadow, a wrinkle) is added:

        P(z + w f) + w (Q - R(z + f)),

    where the window w fades from 1 to 0 towards the rim of the crop. So the photo keeps its detail
    and colours, motion fades out before the rim, and all pixels outside stay bit for bit the same;
    the photo's own pose gives the photo. Where the flow tears or finds no match (an opening mouth,
    background behind a moved head) the photo has no detail to show: there Q replaces it.

    Of a head that goes far, w would cut hair into a box, or leave the photo's behind. Then w
    of the first term fades in a rim above the square instead (`wide`).

    Where squares of several faces overlap, each pixel follows the nearest face (`parted`). The
    photo is warped once, by the sum of their w f: warping it twice would blur it.
    """

    def __init__(self, spots: Sequence[Spot], photo: np.ndarray) -> None:
        """`spots` are the faces that move, `photo` is (H, W, 3) uint8."""
        self.spots, self.photo = spots, photo
        self.windows = parted(spots, [spot.window for spot in spots])

    def __call__(
        self, crops: Sequence[np.ndarray], far: Sequence[float] | None = None
    ) -> np.ndarray:
        """The photo with its faces moved like the crops, (S, S, 3) uint8, one for each spot.

        `far` in [0, 1] says of each face how much of its movement goes on above its square. There
        hair would else be cut off, or the photo's own would stay.
        """
        if far is not None and any(far):
            return self.wide.moved(crops, far)
        return self.moved(crops, [0.0] * len(crops))

    @cached_property
    def areas(self) -> list[Area]:
        """The parts of the photo that change."""
        return [Area(self.photo, part, some) for part, some in joined(self.spots)]

    @cached_property
    def wide(self) -> Paster:
        """The same with a rim above each square."""
        return Paster([spot.wide() for spot in self.spots], self.photo)

    @cached_property
    def reaches(self) -> list[np.ndarray]:
        """The windows within which the photo moves where a face is far."""
        return parted(self.spots, [spot.reach for spot in self.spots])

    def moved(self, crops: Sequence[np.ndarray], far: Sequence[float]) -> np.ndarray:
        """As `__call__`, for these spots."""
        changes = []
        faces = zip(self.spots, self.windows, self.reaches, crops, far, strict=True)
        for spot, window, reach, crop, share in faces:
            within = window + np.float32(share) * (reach - window) if share else window
            changes.append(spot.change(crop, window, within))
        result = self.photo.copy()
        for area in self.areas:
            some = [(self.spots[index].part, changes[index]) for index in area.spots]
            result[area.part.slices] = area.moved(some)
        return result


@dataclass(frozen=True)
class Part:
    """A rectangle of whole pixels; `right` and `bottom` are excluded."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def slices(self) -> tuple[slice, slice]:
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def within(self, other: Part) -> tuple[slice, slice]:
        """The slices of this part within one that contains it."""
        x, y = other.left, other.top
        return slice(self.top - y, self.bottom - y), slice(self.left - x, self.right - x)

    def overlaps(self, other: Part) -> bool:
        across = self.left < other.right and other.left < self.right
        return across and self.top < other.bottom and other.top < self.bottom

    def around(self, other: Part) -> Part:
        """The smallest rectangle that contains both."""
        return Part(
            min(self.left, other.left),
            min(self.top, other.top),
            max(self.right, other.right),
            max(self.bottom, other.bottom),
        )


class Area:
    """A part of the photo that is warped in one step, for the spots with these numbers."""

    def __init__(self, photo: np.ndarray, part: Part, spots: list[int]) -> None:
        self.part, self.spots, self.fine = part, spots, doubled(photo[part.slices])
        y, x = np.mgrid[: part.bottom - part.top, : part.right - part.left].astype(np.float32)
        self.here = 2 * np.stack([x, y], -1)  # in pixels of `fine`

    def moved(self, changes: Sequence[tuple[Part, Change]]) -> np.ndarray:
        """This part of the photo, changed within the parts of its spots."""
        import cv2

        where = self.here.copy()
        for part, change in changes:
            where[part.within(self.part)] += change.move
        rim = cv2.BORDER_REPLICATE
        picture = cv2.remap(self.fine, where, None, cv2.INTER_LINEAR, None, rim)
        for part, change in changes:
            at = part.within(self.part)
            mixed = cv2.blendLinear(picture[at], change.crop, 1 - change.alone, change.alone)
            picture[at] = cv2.add(mixed, change.rest, dtype=cv2.CV_8U)
        return picture


def joined(spots: Sequence[Spot]) -> list[tuple[Part, list[int]]]:
    """The parts of a photo to warp, overlapping ones merged, and the numbers of their spots."""
    found: list[tuple[Part, list[int]]] = []
    for index, spot in enumerate(spots):
        part, some = spot.part, [index]
        while touched := [area for area in found if area[0].overlaps(part)]:
            for area in touched:
                found.remove(area)
                part, some = part.around(area[0]), [*area[1], *some]
        found.append((part, sorted(some)))
    return found


def parted(spots: Sequence[Spot], windows: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The spots' windows (S, S, 1), each reduced where another spot's face is nearer.

    Distance is from the middle of each square, in its sides. Where distances differ by less than
    BETWEEN, one window fades into the other: their sum stays what both cover.
    """
    found = []
    for spot, window in zip(spots, windows, strict=True):
        for other, theirs in zip(spots, windows, strict=True):
            if other is not spot and other.part.overlaps(spot.part):
                window = window * (1 - _given_up(spot, other, theirs))
        found.append(window)
    return found


def _given_up(spot: Spot, other: Spot, window: np.ndarray) -> np.ndarray:
    """(S, S, 1) in [0, 1]: how far a spot's pixels belong to the other spot, with this window."""
    import cv2

    size, there = len(spot.still), len(other.still)
    at = (spot.grid + 0.5) / size - 0.5  # sides from the middle
    step = spot.box.side / other.box.side
    gap = [
        (spot.box.left + spot.box.side / 2 - other.box.left - other.box.side / 2) / other.box.side,
        (spot.box.top + spot.box.side / 2 - other.box.top - other.box.side / 2) / other.box.side,
    ]
    theirs = at * step + np.array(gap, np.float32)
    nearer = np.linalg.norm(at, axis=-1) - np.linalg.norm(theirs, axis=-1)
    share = np.clip(0.5 + nearer / (2 * BETWEEN), 0, 1)
    place = ((theirs + 0.5) * there - 0.5 + (0, other.room)).astype(np.float32)
    inside = cv2.remap(window, place, None, cv2.INTER_LINEAR, None, cv2.BORDER_CONSTANT)
    return (inside * share * share * (3 - 2 * share))[..., None].astype(np.float32)


def doubled(picture: np.ndarray) -> np.ndarray:
    """Upsample a picture (H, W, 3) to (2 H - 1, 2 W - 1, 3) uint8, by cubics (a = -0.75).

    Linear samples of it are as sharp as cubic samples of the picture, and five times as fast.
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
    """(S, S) in [0, 1]: how far a crop shows content that a flow (S, S, 2) can't warp from another.

    That is where the flow differs between neighbours, or leaves a large residual `rest` (S, S, 3).
    """
    import cv2

    across = np.diff(flow, axis=1, append=flow[:, -1:])
    down = np.diff(flow, axis=0, append=flow[-1:])
    tear = np.sqrt(np.maximum(*[np.einsum("yxc,yxc->yx", d, d) for d in (across, down)]))
    left = cv2.blur(cv2.transform(np.abs(rest), np.full((1, 3), 1 / 3)), (3, 3))
    new = np.maximum((tear - TEAR) / TEAR, (left - LEFT) / LEFT).clip(0, 1)
    return cv2.GaussianBlur(cv2.dilate(new, np.ones((5, 5), np.uint8)), (0, 0), 1.5)
