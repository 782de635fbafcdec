"""Put the mark into frames, one at a time: a still field for each shot, added to all its frames."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from animate.errors import AnimateError
from animate.options import Watermark
from animate.watermark import payload as bits
from animate.watermark.carriers import (
    BACKWARD,
    FORWARD,
    GRID,
    HALF,
    RADIUS,
    VERSIONS,
    MarkVersion,
    carried,
)
from animate.watermark.payload import TOOLKIT_KEY, Payload
from animate.watermark.reading import read
from animate.watermark.search import pilot_statistic
from animate.watermark.spectrum import (
    blurred,
    flattened,
    nearby_power,
    reduced,
    shape,
    upright,
    weighed,
)

DEFAULT = Watermark.strength  # grey levels, root mean square over R, G, B: 40.6 dB
FLOOR = 2.0  # 42.1 dB; weaker marks do not survive publishing for sure
CEILING = 8.0
SMALL = 320  # pixels of the short side; larger pictures hold the mark better and get less of it:
LARGE = 0.85  # of the strength, 42.0 dB by default, ...
UNEVEN = 1.9  # ... and no place more than 1.9 times that, in pictures that are mostly flat ...
LEAST = 0.6  # ... as long as this share of it is left
HUGE = 640  # pixels of the short side: what is above gets no more than it needs, ...
ENOUGH = 24.0  # ... the pilot's S as published, and at least LEAST of the rest
LOUDER = (1.0, 1.3, 1.7)  # times the strength, where what the mark says can't be read otherwise
PRESENT = 5.8  # the pilot's S from which a mark may lie in a picture already

SMALLEST = 32  # pixels a side
THUMB = 16  # samples a side by which shots are told apart
CUT, DRIFT = 24.0, 10.0  # mean change of a thumbnail, grey levels: another shot, another look
REST = 25  # frames between fields at least, unless there is a cut
FADE = 16  # frames of a cross-fade, a power of two


@dataclass(frozen=True)
class Mark:
    """What to embed: a payload, the key it was made with, and a strength.

    `strength` is the change of a picture in grey levels, root mean square over R, G, B, from FLOOR
    to CEILING, at 320 pixels and below; larger pictures get 0.85 of it, less where most of the
    picture is flat and bright, and above 640 pixels no more than they need. A picture that drowns
    the payload, such as a collage of a hundred faces, gets up to 1.7 times the strength.
    AnimateError for a strength outside, or a payload of another key or unknown version.
    """

    payload: Payload
    key: bytes = TOOLKIT_KEY
    strength: float = DEFAULT

    def __post_init__(self) -> None:
        number = isinstance(self.strength, (int, float))
        if not number or not FLOOR <= self.strength <= CEILING:
            raise AnimateError(
                f"watermark strength {self.strength}: use {FLOOR} to {CEILING} "
                f"(default {DEFAULT}); the mark can't be switched off"
            )
        if self.payload.version not in VERSIONS:
            raise AnimateError(
                f"watermark version {self.payload.version} is unknown: use one of {tuple(VERSIONS)}"
            )
        if not self.payload.authentic(self.key):
            raise AnimateError(
                "the watermark's payload was made with another key: use Payload.of(claim, key)"
            )


class Embedder:
    """Marks frames of one size, one at a time: `embedder(frame)`, uint8 (H, W, 3) RGB in and out.

    A frame changes by no more than the mark's strength says (root mean square), and by what takes
    out a former mark; less where the picture is flat and bright, where a mottle of colour would
    show first. The first frame of a shot shapes the field and the shot's other frames get the same,
    until a cut, or until the picture has become another one bit by bit: then a new field fades in.
    One embedder for each file, frames in order; it remembers no more than two fields and never
    looks ahead, so that a live stream can be marked.
    """

    def __init__(self, mark: Mark, height: int, width: int):
        if min(height, width) < SMALLEST:
            raise AnimateError(
                f"a picture of {width}x{height} is too small for a mark: use {SMALLEST} a side"
            )
        self.mark, self.shape = mark, (height, width, 3)
        self.field: np.ndarray | None = None  # (H, W, 3) int16, what is added now
        self.old: np.ndarray  # the ends of a cross-fade
        self.new: np.ndarray
        self.first: np.ndarray  # thumbnails: of the frame that made the field, and of the last one
        self.last: np.ndarray
        self.fading = self.age = 0  # frames: left of it, since the newest field was made
        places = [(2 * np.arange(THUMB) + 1) * size // (2 * THUMB) for size in (height, width)]
        self.grid = np.ix_(*places)

    def __call__(self, frame: np.ndarray) -> np.ndarray:
        if frame.shape != self.shape or frame.dtype != np.uint8:
            raise AnimateError(
                f"the watermark expects uint8 frames of {self.shape}, "
                f"got {frame.dtype} {frame.shape}: cut or resize them first"
            )
        self._follow(frame)
        out = np.minimum(frame, self.room)
        out += self.up
        np.maximum(out, self.down, out=out)
        out -= self.down
        return out

    def _follow(self, frame: np.ndarray) -> None:
        """Make a field for a shot that begins; go on with a cross-fade."""
        thumb = frame[self.grid].astype(np.int16)
        self.age += 1
        if self.field is None or np.abs(thumb - self.last).mean() > CUT:
            self.field = self.new = field(self.mark, frame)
            self._begin(thumb, 0)
        elif self.age > REST and np.abs(thumb - self.first).mean() > DRIFT:
            self.old, self.new = self.field, field(self.mark, frame)
            self._begin(thumb, FADE)
        self.last = thumb
        if self.fading:
            self.fading -= 1
            between = self.old - self.new
            between *= self.fading
            between += FADE // 2
            between >>= FADE.bit_length() - 1
            between += self.new
            self._show(between)

    def _begin(self, thumb: np.ndarray, fading: int) -> None:
        self.first, self.age, self.fading = thumb, 0, fading
        if not fading:
            self._show(self.new)

    def _show(self, now: np.ndarray) -> None:
        """Split a field into bytes: adding and subtracting within limits is fast then."""
        self.field = now
        self.up = np.maximum(now, 0).astype(np.uint8)
        self.down = (self.up - now).astype(np.uint8)
        self.room = 255 - self.up


def field(mark: Mark, frame: np.ndarray) -> np.ndarray:
    """(H, W, 3) int16 what a mark adds to the frames of a shot that begins with `frame`, RGB.

    A mark that lies in the picture already, under the same key or the public one, is taken out:
    two would drown each other. The picture says what it is now; what it came from says the claim.
    """
    short = min(frame.shape[:2])
    cells = reduced(frame, GRID)
    seen = upright(flattened(cells))
    power, mask = nearby_power(seen), visual_masking(cells)
    change = pattern(mark.payload, mark.key, power, mask, frame.shape)
    strength = mark.strength
    if short > SMALL:
        even = UNEVEN * float(np.sqrt(np.mean(mask**2)) / mask.max())
        strength *= LARGE * min(max(even, LEAST), 1.0)
    gone = np.zeros(1, np.float32)
    former = existing_mark(seen, (mark.key, TOOLKIT_KEY))
    if former is not None:
        gone = pattern(*former, power, mask, frame.shape)
        gone *= -_strength(*former, power, cells, reduced(gone, GRID))
    out = _levels(change, strength, gone)
    if short > HUGE:
        heard = _pilot_score(frame + out, mark) - max(_pilot_score(frame + gone, mark), 0.0)
        out = _levels(change, strength * min(max(ENOUGH / max(heard, 1.0), LEAST), 1.0), gone)
    for louder in LOUDER:
        if _readable(frame + out, mark):
            break
        out = _levels(change, min(louder * mark.strength, CEILING), gone)
    return out


def pattern(
    payload: Payload, key: bytes, power: np.ndarray, mask: np.ndarray, size: tuple[int, ...]
) -> np.ndarray:
    """(H, W, 3) a payload's mark for a picture of that size, power and mask, of rms 1."""
    height, width = size[:2]
    short = min(height, width)
    version = VERSIONS[payload.version]
    waves, sign = carried(payload, key)
    of_tag = np.where(waves.slot <= bits.TAG_CODE, version.tag, 1.0)
    weight = np.where(waves.slot == 0, version.pilot, of_tag)
    spectrum = np.zeros(3 * GRID * HALF, np.complex64)
    spectrum[waves.index] = shape(power, version).reshape(-1)[waves.index] * weight * sign
    spectrum = spectrum.reshape(3, GRID, HALF) * (0.45 * short > RADIUS)  # what the pixels can hold
    rows, columns = _waves(height, short), _waves(width, short)[:, :HALF]
    planes = np.stack([_real(rows @ plane, columns) for plane in spectrum])  # Y, Cb, Cr (3, H, W)
    planes *= _enlarged(mask, height, width)
    flat = planes.reshape(3, -1)
    power_of = flat @ flat.T  # (3, 3): sums of products over all pixels
    luma, all_of_it = power_of[0, 0], np.trace(BACKWARD @ power_of @ BACKWARD.T) / 3
    share = version.luma_share * (2 / 3 if short > SMALL else 1)
    to_rgb = BACKWARD.copy()
    if luma > 0:  # pictures below 67 pixels can't hold its waves
        to_rgb[:, 0] *= np.sqrt(share / (1 - share) * max(all_of_it / luma - 1, 0))
    to_rgb /= np.sqrt(np.trace(to_rgb @ power_of @ to_rgb.T) / flat.size)
    return (flat.T @ to_rgb.T.astype(np.float32)).reshape(height, width, 3)


def _real(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(H, W) the real part of a @ b.T, complex (H, n) and (W, n)."""
    return np.hstack([a.real, -a.imag]) @ np.hstack([b.real, b.imag]).T


def existing_mark(seen: np.ndarray, keys: Sequence[bytes]) -> tuple[Payload, bytes] | None:
    """The payload, and its key, that can be read in a picture of transform (3, 128, 65), uncut."""
    for version in VERSIONS.values():
        weighings = weighed(seen, version)
        if max(pilot_statistic(a, version) for a in weighings) < PRESENT:
            continue
        for key, a in product(dict.fromkeys(keys), weighings):
            said = read(a, key, version).payload
            if said is not None:
                return said, key
    return None


def _strength(
    payload: Payload, key: bytes, power: np.ndarray, cells: np.ndarray, its: np.ndarray
) -> float:
    """How much of a mark's cells `its` lies in cells (h, w, 3): without it nothing is heard."""
    waves, sign = carried(payload, key)
    matched = sign * (shape(power, VERSIONS[payload.version]) / power).reshape(-1)[waves.index]

    def heard(strength: float) -> float:
        seen = upright(flattened(cells - strength * its))
        return float(np.vdot(matched, seen.reshape(-1)[waves.index]).real)

    low, high = 0.0, DEFAULT
    for _ in range(2):  # secants
        first, second = heard(low), heard(high)
        if first == second:
            break
        low, high = high, high - second * (high - low) / (second - first)
    return min(max(high, 0.0), CEILING)


def _pilot_score(picture: np.ndarray, mark: Mark) -> float:
    """The pilot's S in a picture (H, W, 3) as published."""
    version = VERSIONS[mark.payload.version]
    return max(pilot_statistic(a, version) for a in _published(picture, version))


def _readable(picture: np.ndarray, mark: Mark) -> bool:
    """Whether the payload can be read in a picture (H, W, 3) as published."""
    version = VERSIONS[mark.payload.version]
    readings = (read(a, mark.key, version) for a in _published(picture, version))
    return any(reading.payload == mark.payload for reading in readings)


def _published(picture: np.ndarray, version: MarkVersion) -> np.ndarray:
    """The transforms, as a reader weighs them, of a picture (H, W, 3) as it will be published."""
    return weighed(upright(flattened(reduced(np.clip(picture, 0, 255), GRID))), version)


def _levels(change: np.ndarray, strength: float, gone: np.ndarray) -> np.ndarray:
    """A change of rms 1, as strong as `strength` says, and another, in whole grey levels."""
    change = change * math.sqrt(strength**2 - 1 / 12)  # 1/12: rounding
    np.clip(change, -4 * strength, 4 * strength, out=change)
    change += gone
    return np.rint(change, out=change).astype(np.int16)


def _waves(size: int, short: int) -> np.ndarray:
    """(size, 128) complex: every frequency at the centres of pixels, `short` to 128 cells."""
    place = (np.arange(size) + 0.5 - size / 2) / short
    turns = place[:, None] * np.fft.fftfreq(GRID, 1 / GRID)[None]
    return np.exp(2j * np.pi * turns).astype(np.complex64)


def visual_masking(cells: np.ndarray) -> np.ndarray:
    """(h, w) what the eye forgives in a picture (h, w, 3): little where flat and bright."""
    luma = cells @ FORWARD[0].astype(np.float32)
    mean = blurred(luma, 2)
    busy = np.sqrt(blurred((luma - mean) ** 2, 2))  # a slope is not busy
    around = sliding_window_view(np.pad(busy, 2, mode="edge"), (5, 5))
    busy = around.min((2, 3))  # nor is what is flat beside an edge
    busy /= busy + 3
    bright = np.clip((mean - 60) / 90, 0, 1)
    return blurred((0.5 + 0.8 * busy) * (1 - 0.6 * bright * (1 - busy)), 1)


def _enlarged(cells: np.ndarray, height: int, width: int) -> np.ndarray:
    """(height, width) from cells, linear between their centres."""
    short = min(height, width)
    for size in (height, width):
        place = (np.arange(size) + 0.5 - size / 2) * GRID / short + len(cells) / 2 - 0.5
        low = np.clip(place.astype(int), 0, len(cells) - 2)
        between = np.clip(place - low, 0, 1).astype(np.float32)[:, None]
        cells = (cells[low] + between * (cells[low + 1] - cells[low])).T
    return cells
