"""Embed the mark in frames, one at a time: each shot gets a constant field, added to its frames."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from animate.errors import AnimateError
from animate.options import Watermark
from animate.watermark import payload as bits
from animate.watermark.carriers import (
    BACKWARD,
    GRID,
    HALF,
    RADIUS,
    VERSIONS,
    MarkVersion,
    carried,
)
from animate.watermark.looks import (
    CLOSE,
    colour_masking,
    colourfulness,
    difference,
    visual_masking,
)
from animate.watermark.payload import TOOLKIT_KEY, Payload
from animate.watermark.reading import read
from animate.watermark.search import pilot_statistic
from animate.watermark.spectrum import (
    flattened,
    nearby_power,
    reduced,
    shape,
    upright,
    weighed,
)

DEFAULT = Watermark.strength  # grey levels, root mean square over R, G, B; PSNR 42.1 dB
FLOOR = 2.0  # lowest strength; weaker marks may not survive publishing
CEILING = 8.0  # highest strength
SMALL = 320  # pixels of the short side; version 1 lays a weaker mark on larger pictures
LARGE = 0.85  # above SMALL, share of the strength
UNEVEN = 1.9  # above SMALL, factor over LARGE that no area may exceed; limits mostly flat pictures
LEAST = 0.6  # smallest share of the strength that UNEVEN and ENOUGH may leave
HUGE = 640  # pixels of the short side; larger pictures get no more strength than ENOUGH needs
ENOUGH = 24.0  # above HUGE, pilot statistic S that is enough in the published picture
LOUDER = (1.0, 1.3, 1.7)  # factors of the strength, tried until the payload can be read
GREY = 0.1  # `colourfulness` up to which a picture counts as one without colours
PRESENT = 5.8  # pilot statistic S from which a picture may already be marked

SMALLEST = 32  # shortest side of a picture, pixels
THUMB = 16  # samples per side of the thumbnails that tell shots apart
CUT, DRIFT = 24.0, 10.0  # mean change of a thumbnail, grey levels: a cut, a gradual change of scene
REST = 25  # frames between two fields at least, except at a cut
FADE = 16  # frames of a cross-fade between two fields, a power of two


@dataclass(frozen=True)
class Mark:
    """What to embed: a payload, the key that made it, and a strength.

    `strength` is the change in grey levels, root mean square over R, G, B, from FLOOR to CEILING.
    Pictures in which so much would be seen as patches of colour get less, mostly grey ones, and
    those above 640 pixels get no more than they need. A picture that drowns the payload, such as a
    collage of a hundred faces, gets up to 1.7 times the strength. Raises AnimateError for a
    strength out of range, or a payload of another key or of an unknown version.
    """

    payload: Payload
    key: bytes = TOOLKIT_KEY
    strength: float = DEFAULT
    louder: float = 1.0  # factor of all that, also beyond CEILING, once a file has lost its mark

    def __post_init__(self) -> None:
        number = isinstance(self.strength, (int, float))
        if not number or not FLOOR <= self.strength <= CEILING:
            raise AnimateError(
                f"watermark.strength={self.strength}: use {FLOOR} to {CEILING} "
                f"(default {DEFAULT}); the mark can't be switched off"
            )
        if self.payload.version not in VERSIONS:
            raise AnimateError(
                f"watermark version {self.payload.version} is unknown: use one of {tuple(VERSIONS)}"
            )
        if not self.payload.authentic(self.key):
            raise AnimateError(
                "the watermark's payload was made with another key: use "
                "Mark(Payload.of(claim, key), key)"
            )


class Embedder:
    """Marks frames of one size, one at a time: `embedder(frame)`, uint8 (H, W, 3) RGB in and out.

    A frame changes by at most the mark's strength (root mean square), plus the removal of an
    earlier mark. Flat and bright areas change less: mottled colour would show there first. The
    first frame of a shot shapes the field, and the shot's other frames get the same one. A cut
    starts a new field; if the picture changes gradually, a new field fades in. Use one embedder per
    file, frames in order. It keeps at most two fields and never looks ahead, so it can mark a live
    stream.
    """

    def __init__(self, mark: Mark, height: int, width: int):
        if min(height, width) < SMALLEST:
            raise AnimateError(
                f"a picture of {width}x{height} is too small for a watermark: "
                f"use at least {SMALLEST} pixels a side"
            )
        self.mark, self.shape = mark, (height, width, 3)
        self.field: np.ndarray | None = None  # (H, W, 3) int16, the field in use
        self.old: np.ndarray  # field at the start of a cross-fade
        self.new: np.ndarray  # field at its end
        self.first: np.ndarray  # thumbnail of the frame that shaped the field
        self.last: np.ndarray  # thumbnail of the previous frame
        self.fading = self.age = 0  # frames left of the cross-fade, frames since the newest field
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
        """Make a field when a shot begins; continue a cross-fade."""
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

    def _show(self, field: np.ndarray) -> None:
        """Split a field into uint8 parts to add and to subtract: that makes clipping fast."""
        self.field = field
        self.up = np.maximum(field, 0).astype(np.uint8)
        self.down = (self.up - field).astype(np.uint8)
        self.room = 255 - self.up


def field(mark: Mark, frame: np.ndarray) -> np.ndarray:
    """(H, W, 3) int16 field for a shot that begins with `frame`, RGB.

    Removes an earlier mark under the same key or the public one, because two marks drown each
    other. The new mark says what the picture is now; its claim says what it came from.
    """
    short = min(frame.shape[:2])
    host = Host.of(frame)
    removal = np.zeros(1, np.float32)
    former = existing_mark(host.spectrum, (mark.key, TOOLKIT_KEY))
    if former is not None:
        removal = pattern(*former, host, frame.shape)
        removal *= -_strength(*former, host, reduced(removal, GRID))
    strength, share = _loudness(mark, host, frame.shape)
    change = pattern(mark.payload, mark.key, host, frame.shape, share)
    out = _levels(change, strength, removal)
    if short > HUGE:
        gain = _pilot_score(frame + out, mark) - max(_pilot_score(frame + removal, mark), 0.0)
        out = _levels(change, strength * min(max(ENOUGH / max(gain, 1.0), LEAST), 1.0), removal)
    coloured = colourfulness(host.cells) > GREY
    chroma = (1 - share) * strength**2

    def raised(strength: float) -> np.ndarray:
        """The field at another strength; what it adds to a picture without colours has none."""
        if coloured:
            return _levels(change, strength, removal)
        greyer = max(share, 1 - chroma / strength**2)
        added = pattern(mark.payload, mark.key, host, frame.shape, greyer)
        return _levels(added, strength, removal)

    for louder in LOUDER:
        if _readable(frame + out, mark):
            break
        out = raised(min(louder * mark.strength, CEILING))
    if mark.louder > 1:
        out = raised(min(louder * mark.strength, CEILING) * mark.louder)
    return out


@dataclass(frozen=True)
class Host:
    """Measurements of the picture that will carry the mark."""

    cells: np.ndarray  # (h, w, 3), 128 along the short side
    spectrum: np.ndarray  # (3, 128, 65)
    power: np.ndarray  # (3, 128, 65) nearby power
    texture: np.ndarray  # (h, w) how much change texture hides
    colour: np.ndarray  # (h, w) how much change of colour the local colour hides

    @classmethod
    def of(cls, frame: np.ndarray) -> Host:
        cells = reduced(frame, GRID)
        spectrum = upright(flattened(cells))
        power = nearby_power(spectrum)
        return cls(cells, spectrum, power, visual_masking(cells), colour_masking(cells))


def _loudness(mark: Mark, host: Host, size: tuple[int, ...]) -> tuple[float, float]:
    """Strength and luma's share of the energy, so that the change stays within its limits."""
    version, short = VERSIONS[mark.payload.version], min(size[:2])
    strength, share = mark.strength, version.luma_share
    if version.limits is None:
        if short > SMALL:
            even = UNEVEN * float(np.sqrt(np.mean(host.texture**2)) / host.texture.max())
            strength *= LARGE * min(max(even, LEAST), 1.0)
            share *= 2 / 3
        return strength, share
    change = reduced(pattern(mark.payload, mark.key, host, size, share), GRID)
    marked = host.cells + strength * change
    limits = version.limits
    far = limits.of(short, colourfulness(host.cells)) / difference(host.cells, marked, GRID / 40)
    sigma = min(GRID / 40, CLOSE * GRID / short)
    close = limits.close * min(max(HUGE / short, 1.0), 1.5)
    close /= difference(host.cells, marked, sigma)
    luma, chroma = share * strength**2, (1 - share) * strength**2
    chroma *= min(min(far, close) * mark.strength / DEFAULT, 1.0) ** 2
    luma = min(strength**2 - chroma, (version.luma_most * mark.strength) ** 2)
    return math.sqrt(luma + chroma), luma / (luma + chroma)


def pattern(
    payload: Payload,
    key: bytes,
    host: Host,
    size: tuple[int, ...],
    share: float | None = None,
) -> np.ndarray:
    """(H, W, 3) a payload's mark with rms 1, for a picture of that size.

    `share` is luma's share of the energy.
    """
    height, width = size[:2]
    short = min(height, width)
    version = VERSIONS[payload.version]
    share = version.luma_share if share is None else share
    waves, sign = carried(payload, key)
    of_tag = np.where(waves.slot <= bits.TAG_CODE, version.tag, 1.0)
    weight = np.where(waves.slot == 0, version.pilot, of_tag)
    spectrum = np.zeros(3 * GRID * HALF, np.complex64)
    finer = min(math.sqrt(max(short / 256, 1.0)), version.finest)
    spectrum[waves.index] = (
        shape(host.power, version, finer).reshape(-1)[waves.index] * weight * sign
    )
    spectrum = spectrum.reshape(3, GRID, HALF) * (0.45 * short > RADIUS)  # no waves too fine
    rows, columns = _waves(height, short), _waves(width, short)[:, :HALF]
    planes = np.stack([_real(rows @ plane, columns) for plane in spectrum])  # Y, Cb, Cr (3, H, W)
    if version.limits is None:
        planes *= _enlarged(host.texture, height, width)
    else:
        planes *= _enlarged(np.sqrt(host.texture), height, width)
        planes[1:] *= _enlarged(host.colour, height, width)
    flat = planes.reshape(3, -1)
    power_of = flat @ flat.T  # (3, 3): sums of products over all pixels
    luma, total = power_of[0, 0], np.trace(BACKWARD @ power_of @ BACKWARD.T) / 3
    to_rgb = BACKWARD.copy()
    if luma > 0:  # pictures below 67 pixels can't hold luma waves
        to_rgb[:, 0] *= np.sqrt(share / (1 - share) * max(total / luma - 1, 0))
    to_rgb /= np.sqrt(np.trace(to_rgb @ power_of @ to_rgb.T) / flat.size)
    return (flat.T @ to_rgb.T.astype(np.float32)).reshape(height, width, 3)


def _real(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(H, W) the real part of a @ b.T, for complex a (H, n) and b (W, n)."""
    return np.hstack([a.real, -a.imag]) @ np.hstack([b.real, b.imag]).T


def existing_mark(spectrum: np.ndarray, keys: Sequence[bytes]) -> tuple[Payload, bytes] | None:
    """The payload and key of the mark in an uncut picture's transform (3, 128, 65), if any."""
    for version in VERSIONS.values():
        weighings = weighed(spectrum, version)
        if max(pilot_statistic(a, version) for a in weighings) < PRESENT:
            continue
        for key, a in product(dict.fromkeys(keys), weighings):
            payload = read(a, key, version).payload
            if payload is not None:
                return payload, key
    return None


def _strength(payload: Payload, key: bytes, host: Host, mark_cells: np.ndarray) -> float:
    """The multiple of `mark_cells` (h, w, 3) in the host: subtracting it silences the mark."""
    waves, sign = carried(payload, key)
    version = VERSIONS[payload.version]
    matched = sign * (shape(host.power, version) / host.power).reshape(-1)[waves.index]

    def response(strength: float) -> float:
        spectrum = upright(flattened(host.cells - strength * mark_cells))
        return float(np.vdot(matched, spectrum.reshape(-1)[waves.index]).real)

    low, high = 0.0, DEFAULT
    for _ in range(2):  # steps of the secant method
        first, second = response(low), response(high)
        if first == second:
            break
        low, high = high, high - second * (high - low) / (second - first)
    return min(max(high, 0.0), CEILING)


def _pilot_score(picture: np.ndarray, mark: Mark) -> float:
    """The pilot statistic S of a picture (H, W, 3) as published."""
    version = VERSIONS[mark.payload.version]
    return max(pilot_statistic(a, version) for a in _numbers_as_read(picture, version))


def _readable(picture: np.ndarray, mark: Mark) -> bool:
    """Whether the payload can be read from a picture (H, W, 3) as published."""
    version = VERSIONS[mark.payload.version]
    readings = (read(a, mark.key, version) for a in _numbers_as_read(picture, version))
    return any(reading.payload == mark.payload for reading in readings)


def _numbers_as_read(picture: np.ndarray, version: MarkVersion) -> np.ndarray:
    """(2, 3, 128, 65) the numbers a that a reader gets from a published picture (H, W, 3)."""
    return weighed(upright(flattened(reduced(np.clip(picture, 0, 255), GRID))), version)


def _levels(change: np.ndarray, strength: float, removal: np.ndarray) -> np.ndarray:
    """Scale a change of rms 1 to `strength`, add `removal`, round to grey levels."""
    change = change * math.sqrt(strength**2 - 1 / 12)  # 1/12: variance of rounding
    np.clip(change, -4 * strength, 4 * strength, out=change)
    change += removal
    return np.rint(change, out=change).astype(np.int16)


def _waves(size: int, short: int) -> np.ndarray:
    """(size, 128) complex: every frequency at the pixel centres; `short` pixels are 128 cells."""
    place = (np.arange(size) + 0.5 - size / 2) / short
    turns = place[:, None] * np.fft.fftfreq(GRID, 1 / GRID)[None]
    return np.exp(2j * np.pi * turns).astype(np.complex64)


def _enlarged(cells: np.ndarray, height: int, width: int) -> np.ndarray:
    """(height, width) values interpolated linearly between the centres of cells (h, w)."""
    short = min(height, width)
    for size in (height, width):
        place = (np.arange(size) + 0.5 - size / 2) * GRID / short + len(cells) / 2 - 0.5
        low = np.clip(place.astype(int), 0, len(cells) - 2)
        between = np.clip(place - low, 0, 1).astype(np.float32)[:, None]
        cells = (cells[low] + between * (cells[low + 1] - cells[low])).T
    return cells
