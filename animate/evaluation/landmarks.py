"""Landmark and identity metrics: the result against the driver and the photo.

Tracks are (T, K, 2) in pixels, NaN where no face was found. A number that can't be computed (no
frame with a face, a mouth that never opens) is None, never 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from animate.evaluation.faces import Scheme

SAME_PERSON = 0.6  # dlib's threshold: vectors of one person are closer than this
STILL = 0.01  # least standard deviation of movement, in distances between the eyes or eye widths
FEWEST = 8  # least number of frames for a correlation over time


@dataclass(frozen=True)
class Tracks:
    """Landmarks of a clip's result and driver, (T, K, 2) each, in frames of the same side."""

    result: np.ndarray
    target: np.ndarray  # the driver's
    scheme: Scheme
    side: int  # pixels


def akd(tracks: Tracks) -> float | None:
    """AKD in pixels of a 256 pixel image: the mean of |dx| and |dy| over all coordinates, as in the
    code behind the tables of Siarohin et al. 2019 and later papers."""
    offset = _offset(tracks)
    return float(np.abs(offset).mean()) if len(offset) else None


def akd_euclidean(tracks: Tracks) -> float | None:
    """AKD as the mean Euclidean distance, in pixels of a 256 pixel image."""
    offset = _offset(tracks)
    return float(np.linalg.norm(offset, axis=-1).mean()) if len(offset) else None


def _offset(tracks: Tracks) -> np.ndarray:
    """(t, K, 2) from the driver's landmarks to the result's, in frames where both are found, in
    pixels of a 256 pixel image."""
    both = _found(tracks.result) & _found(tracks.target)
    return (tracks.result - tracks.target)[both] * (256 / tracks.side)


def jitter(track: np.ndarray, scheme: Scheme) -> float | None:
    """Mean norm of the landmarks' second difference in time, in mean distances between the eyes."""
    second = track[2:] - 2 * track[1:-1] + track[:-2]
    second = second[np.isfinite(second).all((1, 2))]
    size = np.nanmean(_eye_distance(track, scheme)) if _found(track).any() else np.nan
    if not len(second) or not size > 0:
        return None
    return float(np.linalg.norm(second, axis=-1).mean() / size)


def mouth_opening(track: np.ndarray, scheme: Scheme) -> np.ndarray:
    """Mean gap between the inner lips, in distances between the eyes, (T,)."""
    gaps = [_length(track, *pair) for pair in scheme.lips]
    return np.mean(gaps, 0) / _eye_distance(track, scheme)


def eye_opening(track: np.ndarray, scheme: Scheme) -> np.ndarray:
    """Mean gap between the lids in widths of the eye, averaged over both eyes, (T,).

    The eye aspect ratio of Soukupova and Cech 2016.
    """
    eyes = [
        np.mean([_length(track, *pair) for pair in lids], 0) / _length(track, *corners)
        for lids, corners in zip(scheme.lids, scheme.corners, strict=True)
    ]
    return np.mean(eyes, 0)


def correlation(a: np.ndarray, b: np.ndarray) -> float | None:
    """Pearson's r of the result's series `a` and the driver's `b`, (T,), over frames with both.

    None for fewer than FEWEST such frames, or if b hardly moves; 0 if only a doesn't move.
    """
    known = np.isfinite(a) & np.isfinite(b)
    a, b = a[known], b[known]
    if len(a) < FEWEST or b.std() < STILL:
        return None
    return float(np.corrcoef(a, b)[0, 1]) if a.std() > 1e-6 else 0.0


def mouth_r(tracks: Tracks) -> float | None:
    """The correlation over time of the mouth openings of result and driver."""
    ours, theirs = (mouth_opening(t, tracks.scheme) for t in (tracks.result, tracks.target))
    return correlation(ours, theirs)


def eyes_r(tracks: Tracks) -> float | None:
    """The correlation over time of the eye openings of result and driver."""
    ours, theirs = (eye_opening(t, tracks.scheme) for t in (tracks.result, tracks.target))
    return correlation(ours, theirs)


def unsteadiness(tracks: Tracks) -> float | None:
    """The result's jitter over the driver's."""
    ours, theirs = (jitter(t, tracks.scheme) for t in (tracks.result, tracks.target))
    return ours / theirs if ours is not None and theirs else None


def lost(tracks: Tracks) -> float | None:
    """The share of frames without the result's face, among those with the driver's."""
    shown = _found(tracks.target)
    return float((~_found(tracks.result))[shown].mean()) if shown.any() else None


def csim(vectors: np.ndarray, photo: np.ndarray) -> float:
    """Mean cosine similarity of identity vectors (n, D) to the photo's (D,)."""
    cosine = vectors @ photo / np.linalg.norm(vectors, axis=1) / np.linalg.norm(photo)
    return float(cosine.mean())


def recognised(vectors: np.ndarray, photo: np.ndarray) -> float:
    """The share of identity vectors (n, D) closer to the photo's (D,) than SAME_PERSON."""
    return float((np.linalg.norm(vectors - photo, axis=1) < SAME_PERSON).mean())


def aed(vectors: np.ndarray, targets: np.ndarray) -> float:
    """Mean Euclidean distance of identity vectors (n, D) to those of the target frames (n, D)."""
    return float(np.linalg.norm(vectors - targets, axis=1).mean())


def _found(track: np.ndarray) -> np.ndarray:
    return np.isfinite(track).all((1, 2))


def _length(track: np.ndarray, a: int, b: int) -> np.ndarray:
    return np.linalg.norm(track[:, a] - track[:, b], axis=-1)


def _eye_distance(track: np.ndarray, scheme: Scheme) -> np.ndarray:
    """Distance between the outer corners of the eyes, (T,)."""
    return _length(track, scheme.corners[0][0], scheme.corners[1][0])
