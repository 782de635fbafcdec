"""What the landmarks of a result say beside the driver's: place, steadiness, mouth and eyes.

Tracks are (T, K, 2) in pixels, NaN where no face was found. A number that can't be had (no frame
with a face, a mouth that never opens) is None, never 0.
"""

from __future__ import annotations

import numpy as np

from animate.evaluation.faces import Scheme

SAME_PERSON = 0.6  # dlib's own threshold for the distance of two of its vectors
STILL = 0.01  # a deviation below it is no movement: of the eyes' distance, or an eye's width
FEWEST = 8  # frames that a correlation over time needs


def keypoint_distance(result: np.ndarray, target: np.ndarray, side: int) -> dict[str, float | None]:
    """AKD in pixels of a 256 pixel image, over frames where both faces were found.

    `akd` is the mean of |dx| and |dy| over all coordinates, what the code behind the tables of
    Siarohin et al. 2019 and later computes; `akd_euclidean` is the mean distance.
    """
    away = (result - target)[_found(result) & _found(target)] * (256 / side)
    if not len(away):
        return {"akd": None, "akd_euclidean": None}
    lengths = np.linalg.norm(away, axis=-1)
    return {"akd": float(np.abs(away).mean()), "akd_euclidean": float(lengths.mean())}


def jitter(track: np.ndarray, scheme: Scheme) -> float | None:
    """Mean norm of the landmarks' second difference in time, in distances between the eyes."""
    second = track[2:] - 2 * track[1:-1] + track[:-2]
    second = second[np.isfinite(second).all((1, 2))]
    size = np.nanmean(_eye_distance(track, scheme)) if _found(track).any() else np.nan
    if not len(second) or not size > 0:
        return None
    return float(np.linalg.norm(second, axis=-1).mean() / size)


def mouth_opening(track: np.ndarray, scheme: Scheme) -> np.ndarray:
    """How far the inner lips are apart, in distances between the eyes, (T,)."""
    apart = [_length(track, *pair) for pair in scheme.lips]
    return np.mean(apart, 0) / _eye_distance(track, scheme)


def eye_opening(track: np.ndarray, scheme: Scheme) -> np.ndarray:
    """How far the lids are apart, in widths of the eye, mean of both eyes, (T,).

    The eye aspect ratio of Soukupova and Cech 2016.
    """
    eyes = [
        np.mean([_length(track, *pair) for pair in lids], 0) / _length(track, *corners)
        for lids, corners in zip(scheme.lids, scheme.corners, strict=True)
    ]
    return np.mean(eyes, 0)


def correlation(a: np.ndarray, b: np.ndarray) -> float | None:
    """Pearson's r of two courses over time (T,), where both are known.

    None with fewer than 8 such frames or where the driver's, b, hardly moves; 0 where only the
    result's does not.
    """
    known = np.isfinite(a) & np.isfinite(b)
    a, b = a[known], b[known]
    if len(a) < FEWEST or b.std() < STILL:
        return None
    return float(np.corrcoef(a, b)[0, 1]) if a.std() > 1e-6 else 0.0


def compare(
    result: np.ndarray, target: np.ndarray, scheme: Scheme, side: int, *, same: bool
) -> dict[str, float | None]:
    """All numbers of one clip. `same`: result and driver are one person, so that places compare."""
    seen = _found(target)
    lost = float((~_found(result))[seen].mean()) if seen.any() else None
    ours, theirs = jitter(result, scheme), jitter(target, scheme)
    found = keypoint_distance(result, target, side) if same else {}
    return found | {
        "mouth_r": correlation(mouth_opening(result, scheme), mouth_opening(target, scheme)),
        "eyes_r": correlation(eye_opening(result, scheme), eye_opening(target, scheme)),
        "jitter": ours / theirs if ours is not None and theirs else None,
        "lost": lost,
    }


def likeness(
    vectors: np.ndarray, photo: np.ndarray | None, targets: np.ndarray | None
) -> dict[str, float | None]:
    """Identity of results (n, D) beside the photo's (D,) and, where the driver is the same person,
    that of its frames of the same moments (n, D).

    `csim`: cosine similarity to the photo. `recognised`: the share nearer to the photo than dlib's
    threshold for one person. `aed`: Euclidean distance to the driver's frame.
    """
    found: dict[str, float | None] = {"csim": None, "recognised": None, "aed": None}
    if targets is None:
        del found["aed"]
    if not len(vectors) or photo is None:
        return found
    cosine = vectors @ photo / np.linalg.norm(vectors, axis=1) / np.linalg.norm(photo)
    near = np.linalg.norm(vectors - photo, axis=1) < SAME_PERSON
    found |= {"csim": float(cosine.mean()), "recognised": float(near.mean())}
    if targets is not None:
        found["aed"] = float(np.linalg.norm(vectors - targets, axis=1).mean())
    return found


def _found(track: np.ndarray) -> np.ndarray:
    return np.isfinite(track).all((1, 2))


def _length(track: np.ndarray, a: int, b: int) -> np.ndarray:
    return np.linalg.norm(track[:, a] - track[:, b], axis=-1)


def _eye_distance(track: np.ndarray, scheme: Scheme) -> np.ndarray:
    """Between the outer corners of the eyes, (T,)."""
    return _length(track, scheme.corners[0][0], scheme.corners[1][0])
