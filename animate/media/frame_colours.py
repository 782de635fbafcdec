"""Convert decoded video frames of any matrix, range, primaries and transfer function to sRGB."""

from __future__ import annotations

import struct
from fractions import Fraction
from typing import Any

import numpy as np

from animate.media.colours import HDR, PQ, UNKNOWN, WHITE, Coding, coding, shown, table

BT2020_MATRIX, BT2020_CONSTANT = 9, 10  # numbers of matrices: ITU-T H.273, table 4
FULL = 2  # AVCOL_RANGE_JPEG of ffmpeg: full range
# Side of the colour table; errors are up to 3 grey levels at the gamut's edge, 0.1 inside it.
SIDE = 64
TICK = Fraction(1, 1000)  # time base of the filter graph in seconds; any would do


class FrameColours:
    """Converts the frames of one video; the first PQ frame sets the peak luminance for all."""

    def __init__(self, *, photo: tuple[int, int] | None = None) -> None:
        """`photo`: the primaries and the transfer of a photo, whatever its frame names."""
        from av.video.reformatter import VideoReformatter

        self.reformat = VideoReformatter().reformat
        self.brightest: float | None = None
        self.table: _Table | None = None
        self.photo = photo

    def rgb(self, frame: Any, width: int, height: int) -> np.ndarray:
        """A decoded frame as uint8 (height, width, 3) sRGB, transparent parts over white."""
        has_alpha = frame.format.name == "pal8" or any(p.is_alpha for p in frame.format.components)
        coded = self._coding(frame)
        if has_alpha:
            rgba = self._picture(frame, width, height, "rgba")
            alpha = rgba[..., 3:].astype(np.uint16)
            rgb = rgba[..., :3] if coded.plain else self._converted(frame, width, height, coded)
            return ((rgb * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)
        if not coded.plain:
            return self._converted(frame, width, height, coded)
        if self.photo:
            return rounded(self._deep(frame, width, height))
        return self._picture(frame, width, height, "rgb24")

    def _picture(self, frame: Any, width: int, height: int, kind: str) -> np.ndarray:
        """RGB with the video's own primaries and transfer: uint8, or uint16 for "rgb48le"."""
        matrix = _matrix(frame, self.photo is not None)
        shaped = self.reformat(frame, width, height, kind, src_colorspace=matrix)
        picture: np.ndarray = shaped.to_ndarray()
        return picture

    def _coding(self, frame: Any) -> Coding:
        primaries, transfer = self.photo or (int(frame.color_primaries), int(frame.color_trc))
        if transfer != PQ:
            return coding(primaries, transfer)
        if self.brightest is None:
            self.brightest = _brightest(frame)
        return coding(primaries, transfer, self.brightest)

    def _deep(self, frame: Any, width: int, height: int) -> np.ndarray:
        """RGB with the video's own primaries and transfer: uint16, white at 65,535."""
        depth = max(part.bits for part in frame.format.components)
        if depth <= 8:
            deep = self._picture(frame, width, height, "rgb24").astype(np.uint16)
            deep *= 257
        else:
            # ffmpeg's scaler spoils packed pixels of 16 bits in pictures of odd width
            deep = self._picture(frame, width, height, "gbrp16le" if width % 2 else "rgb48le")
            _stretch(deep, 8 if limited(frame) else depth)
        return deep

    def _converted(self, frame: Any, width: int, height: int, coded: Coding) -> np.ndarray:
        wanted = (coded, width, height, self.photo is not None)
        if self.table is None or self.table.made_for != wanted:
            self.table = _Table(*wanted)
        return self.table(self._deep(frame, width, height))


class _Table:
    """A 3D colour table for every pixel: ffmpeg's haldclut with tetrahedral interpolation."""

    def __init__(self, coded: Coding, width: int, height: int, photo: bool):
        from av import VideoFormat
        from av.filter import Graph

        self.made_for = (coded, width, height, photo)
        self.count = 0
        self.graph = Graph()  # kept, because its filters are freed with it
        kind = VideoFormat("rgb48le")
        side = round(SIDE**1.5)  # side of the square picture that holds the table
        self.into = self.graph.add_buffer(width=width, height=height, format=kind, time_base=TICK)
        colours = self.graph.add_buffer(width=side, height=side, format=kind, time_base=TICK)
        lookup, self.out = self.graph.add("haldclut"), self.graph.add("buffersink")
        self.into.link_to(lookup, 0, 0)
        colours.link_to(lookup, 0, 1)
        lookup.link_to(self.out)
        self.graph.configure()
        entries = table(lambda rgb: shown(rgb, coded, photo=photo), SIDE).reshape(side, side, 3)
        colours.push(self._framed(np.rint(entries * 65535).astype(np.uint16), 0))
        colours.push(None)

    @staticmethod
    def _framed(picture: np.ndarray, count: int) -> Any:
        from av import VideoFrame

        frame = VideoFrame.from_ndarray(picture, "rgb48le")
        frame.pts, frame.time_base = count, TICK
        return frame

    def __call__(self, deep: np.ndarray) -> np.ndarray:
        """Convert a uint16 picture (H, W, 3) to uint8."""
        self.into.push(self._framed(deep, self.count))
        self.count += 1
        pulled: Any = self.out.pull()
        return rounded(pulled.to_ndarray())


def rounded(deep: np.ndarray) -> np.ndarray:
    """uint16 as uint8, to the nearest; changes `deep`."""
    deep -= deep >> 8  # 65535 to 65280, so that the rounding below cannot overflow
    deep += 128
    return (deep >> 8).astype(np.uint8)


def _matrix(frame: Any, photo: bool) -> Any:
    """The matrix to decode with; None: the frame's own, or BT.601 if it declares none."""
    declared = int(frame.colorspace)
    unmarked = declared == UNKNOWN
    if declared == BT2020_CONSTANT or (
        unmarked and (frame.color_primaries == BT2020_MATRIX or frame.color_trc in HDR)
    ):
        return "BT2020"
    if unmarked and not photo and max(frame.height * 16, frame.width * 9) >= 720 * 16:
        return "ITU709"  # players assume it for large films
    return None


def limited(frame: Any) -> bool:
    """Whether black and white are not the least and the greatest value."""
    return not frame.format.is_rgb and frame.color_range != FULL


def _stretch(deep: np.ndarray, depth: int) -> None:
    """Scale 16-bit values in place so that white is 65,535.

    ffmpeg shifts values of `depth` bits up without scaling them; white of limited range becomes
    255 << 8.
    """
    np.minimum(deep, ((1 << depth) - 1) << (16 - depth), out=deep)
    deep += deep >> depth


def _brightest(frame: Any) -> float:
    """Peak luminance of a PQ video in cd/m2: MaxCLL, else its mastering display's, else 1,000."""
    from av.sidedata.sidedata import Type

    light = frame.side_data.get(Type.CONTENT_LIGHT_LEVEL)
    if light is not None and len(bytes(light)) >= 4:
        peak = float(struct.unpack_from("=I", bytes(light))[0])  # AVContentLightMetadata, MaxCLL
        if WHITE <= peak <= 10_000:
            return peak
    graded = frame.side_data.get(Type.MASTERING_DISPLAY_METADATA)
    if graded is not None and len(bytes(graded)) >= 88:
        # AVMasteringDisplayMetadata: x and y of four colours, least and greatest luminance, as
        # rationals; then two flags, the second for the luminances
        over, under, _, known = struct.unpack_from("=4i", bytes(graded), 72)
        if known and under and WHITE <= over / under <= 10_000:
            return float(over / under)
    return Coding(0, PQ).brightest
