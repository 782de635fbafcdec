"""The table of metrics: what each is computed from, by which function, and how it is told.

A report's columns and explanations, the command's printed line and the reasons for what is missing
follow from it, so that another metric is one row: `METRICS["name"] = Metric(...)`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from animate.evaluation import motion, pixels
from animate.evaluation.pixels import Setup


class Needs(Enum):
    """What a metric's function is given and what it returns, None where there is no number.

    A clip's numbers are listed in this order, each in that of the table.
    """

    FRAMES = "result and true frames (B, 3, S, S) in [0, 1], to (B,): the mean over a clip counts"
    TRACKS = "`motion.Tracks`: landmarks of a clip's result and driver, to a number"
    IDENTITY = "identity vectors of a clip's result (n, D) and the photo's (D,), to a number"
    IDENTITIES = "identity vectors (n, D) of a clip's result and true frames, to a number"
    POOL = "no function but a `pixels.Pool`, to which the frames of all clips are added"


@dataclass(frozen=True)
class Metric:
    """A row of the table.

    about: what it is, with units and source, for the report. better: "lower" or "higher", where the
    report is to say so. load: in place of `compute`, for what has weights: makes it from `Setup`,
    or raises `faces.Missing` with what to do. own: tracks are only compared where the driver is the
    photo's own person. smallest: pixels a side that it needs. printed: on the command's line.
    digits: behind the point.
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
        """Whether it makes sense only where the driver shows what the result should be."""
        return self.own or self.needs in (Needs.FRAMES, Needs.IDENTITIES, Needs.POOL)

    @property
    def explained(self) -> str:
        return f"{self.about}; {self.better} is better" if self.better else self.about

    def text(self, value: float | None) -> str:
        """A value for a table: `digits` places, two less from 10 on, "-" for None."""
        if value is None:
            return "-"
        return f"{value:.{self.digits if abs(value) < 10 else max(self.digits - 2, 0)}f}"


METRICS: dict[str, Metric] = {  # in the order of the tables
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
        motion.akd,
        "lower",
        own=True,
        printed=True,
    ),
    "akd_euclidean": Metric(
        Needs.TRACKS,
        "AKD as the mean Euclidean distance in pixels at 256",
        motion.akd_euclidean,
        "lower",
        own=True,
    ),
    "aed": Metric(
        Needs.IDENTITIES,
        "AED, Euclidean distance of identities to the true frame",
        motion.aed,
        "lower",
    ),
    "csim": Metric(
        Needs.IDENTITY,
        "CSIM, cosine similarity of identities to the photo",
        motion.csim,
        "higher",
        printed=True,
    ),
    "recognised": Metric(
        Needs.IDENTITY,
        "share of frames within the identity model's threshold of the photo",
        motion.recognised,
    ),
    "mouth_r": Metric(
        Needs.TRACKS,
        "correlation of the mouth's opening with the driver's over time",
        motion.mouth_r,
        "higher",
        printed=True,
    ),
    "eyes_r": Metric(
        Needs.TRACKS,
        "correlation of the eyes' opening with the driver's over time",
        motion.eyes_r,
        "higher",
    ),
    "jitter": Metric(
        Needs.TRACKS,
        "second difference of landmarks over the driver's own; 1 is as steady as the driver",
        motion.unsteadiness,
    ),
    "lost": Metric(
        Needs.TRACKS,
        "share of frames in which the driver's face is found and the result's is not",
        motion.lost,
    ),
}


def named(*needs: Needs) -> list[str]:
    """The metrics that need one of these, need by need, each in the order of the table."""
    return [name for need in needs for name, metric in METRICS.items() if metric.needs is need]
