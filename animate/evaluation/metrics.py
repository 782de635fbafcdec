"""The table of metrics: the inputs, the function and the presentation of each.

A report's columns and explanations, the command's printed line and the reasons for missing metrics
follow from it. To add a metric, add one row: `METRICS["name"] = Metric(...)`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from animate.evaluation import landmarks, pixels, transfer
from animate.evaluation.pixels import Setup


class Needs(Enum):
    """Arguments and result of a metric's function; None is the result where there is no number.

    A clip's metrics are listed in this order, and within it in that of the table.
    """

    FRAMES = "result and target frames (B, 3, S, S) in [0, 1] -> (B,), averaged over a clip"
    TRACKS = "`landmarks.Tracks`: landmarks of a clip's result and driver -> a number"
    IDENTITY = "identity vectors (n, D) of a clip's result, and the photo's (D,) -> a number"
    IDENTITIES = "identity vectors (n, D) of a clip's result and target frames -> a number"
    MOVES = "`transfer.Moves` of a clip -> {quantity: `transfer.Fit`}, for tables of its own"
    POOL = "a `pixels.Pool` instead of a function; the frames of all clips are added to it"


@dataclass(frozen=True)
class Metric:
    """A row of the table.

    about: explanation for the report, with units and source. better: "lower" or "higher", if the
    report should say so. load: instead of `compute`, for a metric with weights: makes the function
    from `Setup`, or raises `faces.Missing` with what to do. own: for tracks, compare only where the
    driver is the person in the photo. smallest: least side of the frames in pixels. printed: shown
    in the command's line. digits: decimal places.
    """

    needs: Needs
    about: str
    compute: Callable[..., Any] | None = None
    better: str | None = None
    load: Callable[[Setup], Any] | None = None
    own: bool = False
    smallest: int = 0
    printed: bool = False
    digits: int = 4

    @property
    def true_picture(self) -> bool:
        """Whether the metric needs ground truth: a driver that is the person in the photo."""
        return self.own or self.needs in (Needs.FRAMES, Needs.IDENTITIES, Needs.POOL)

    @property
    def explained(self) -> str:
        """The explanation, with the better direction if there is one."""
        return f"{self.about}; {self.better} is better" if self.better else self.about

    def text(self, value: float | None) -> str:
        """A value for a table: `digits` decimal places, two fewer from 10 on; "-" for None."""
        if value is None:
            return "-"
        return f"{value:.{self.digits if abs(value) < 10 else max(self.digits - 2, 0)}f}"


METRICS: dict[str, Metric] = {  # in the order of the report's tables
    "l1": Metric(
        Needs.FRAMES, "L1, mean absolute error, images in [0, 1]", pixels.l1, "lower", printed=True
    ),
    "psnr": Metric(Needs.FRAMES, "PSNR in dB, at most 100", pixels.psnr, "higher"),
    "ssim": Metric(
        Needs.FRAMES,
        "SSIM, 11 pixel Gaussian window, colours averaged (torchmetrics)",
        pixels.ssim,
        "higher",
    ),
    "ms_ssim": Metric(
        Needs.FRAMES,
        "MS-SSIM, five scales (torchmetrics)",
        pixels.ms_ssim,
        "higher",
        smallest=pixels.SMALLEST,
    ),
    "lpips": Metric(
        Needs.FRAMES, "LPIPS 0.1, AlexNet", better="lower", load=pixels.load_lpips, printed=True
    ),
    "fid": Metric(Needs.POOL, "FID over all frames", better="lower", load=pixels.load_fid),
    "akd": Metric(
        Needs.TRACKS,
        "AKD, mean of |dx| and |dy| in pixels at 256, as published",
        landmarks.akd,
        "lower",
        own=True,
        printed=True,
    ),
    "akd_euclidean": Metric(
        Needs.TRACKS,
        "AKD as the mean Euclidean distance in pixels at 256",
        landmarks.akd_euclidean,
        "lower",
        own=True,
    ),
    "aed": Metric(
        Needs.IDENTITIES,
        "AED, Euclidean distance of identity vectors between result and target frames",
        landmarks.aed,
        "lower",
    ),
    "csim": Metric(
        Needs.IDENTITY,
        "CSIM, cosine similarity of identity vectors to the photo's",
        landmarks.csim,
        "higher",
        printed=True,
    ),
    "recognised": Metric(
        Needs.IDENTITY,
        "share of frames within the identity model's threshold of the photo",
        landmarks.recognised,
    ),
    "mouth_r": Metric(
        Needs.TRACKS,
        "correlation of the mouth's opening with the driver's over time",
        landmarks.mouth_r,
        "higher",
        printed=True,
    ),
    "eyes_r": Metric(
        Needs.TRACKS,
        "correlation of the eyes' opening with the driver's over time",
        landmarks.eyes_r,
        "higher",
    ),
    "jitter": Metric(
        Needs.TRACKS,
        "second difference of landmarks over the driver's; 1 is as steady as the driver",
        landmarks.unsteadiness,
    ),
    "lost": Metric(
        Needs.TRACKS,
        "share of frames in which the driver's face is found and the result's is not",
        landmarks.lost,
    ),
    "transfer": Metric(
        Needs.MOVES,
        "slope of the result's head pose (degrees) and blendshapes (log-odds) on the driver's over "
        "time, by least squares (1 is all of the movement), and their correlation r; medians over "
        "clips and quantities whose standard deviation in the driver is at least "
        f"{transfer.STILL_POSE:g} degree, or {transfer.STILL_SHAPE:g} in log-odds",
        transfer.fits,
        digits=2,
    ),
}


def numbered() -> list[str]:
    """The metrics that are one number; the others have tables of their own."""
    return [name for name, metric in METRICS.items() if metric.needs is not Needs.MOVES]


def named(*needs: Needs) -> list[str]:
    """The metrics with one of these needs, grouped by need, each group in the table's order."""
    return [name for need in needs for name, metric in METRICS.items() if metric.needs is need]
