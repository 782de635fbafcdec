"""Check facial landmarks, and transfer head motion and expression from face to face.

Indices are those of MediaPipe's 478-point face mesh. "Right" and "left" are the person's own.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from animate.faces.mesh import (
    INNER_LIPS,
    LEFT_EYE,
    MEETING,
    NOSE,
    OPENINGS,
    OUTER_LIPS,
    OVAL,
    REGIONS,
    RIGHT_EYE,
    STEADY,
    TAUGHT,
)
from animate.models.first_order_gated.expression import strengthened
from animate.models.geometry import exact, fit_affine, fit_similarity

# Mean spread of the heat maps of a part of the face that is not visible at all, in half crops.
# Training aims at a spread of 0.045. Of ordinary frames about one in a hundred exceeds half of
# these spreads, mostly profiles; scripts/benchmarks/thresholds.py counts them.
UNSEEN = (
    (OVAL, 0.27),
    (RIGHT_EYE + LEFT_EYE, 0.25),  # both together: in profile one is hidden
    (NOSE, 0.16),
    (OUTER_LIPS + INNER_LIPS, 0.17),
)


@exact
def doubt(spread: Tensor) -> Tensor:
    """How hidden faces are, from the spread of their heat maps (T, K) in half crops: (T,).

    1 where the least visible part is not visible at all; a frontal face has 0.3.
    """
    parts = [(spread[:, [TAUGHT.index(n) for n in part]], limit) for part, limit in UNSEEN]
    return torch.stack([part.mean(1) / limit for part, limit in parts]).amax(0)


# Share of the landmarks beyond the picture's edge from which a pose is lost. Of close-ups, forehead
# and chin may be: that is a seventh.
GONE = 0.25
SAME = 4  # grey levels: rows and columns that differ less from the outermost one repeat it


@exact
def beyond(point: Tensor, view: Tensor) -> Tensor:
    """Doubt of faces that leave their picture: (T,), 0 up to GONE of them, from there on 1 or more.

    point (T, K, 2), view (T, 1, S, S) uint8. What a crop has beyond the frame repeats the frame's
    edge, and bars are of one colour: rows and columns at a crop's edge that are all alike show
    nothing, so a landmark there is not seen. In a plain picture nothing is told.
    """
    face, grey = point[:, : len(TAUGHT)], view[:, 0].to(torch.int16)  # (T, S, S)
    side = grey.shape[-1]
    at = ((face + 1) / 2 * side).floor().long().clamp(0, side - 1)  # (T, K, 2)
    unseen = torch.zeros_like(at[..., 0], dtype=torch.bool)
    for axis, lines in enumerate((grey.mT, grey)):  # columns, rows
        alike = _alike(lines) | _alike(lines.flip(1)).flip(1)  # (T, S)
        unseen |= alike.gather(1, at[..., axis])
    plain = (grey.flatten(1) - grey[:, 0, :1]).abs().amax(1) < SAME
    gone = unseen.float().mean(1) / GONE
    return torch.where((gone >= 1) & ~plain, gone, 0.0)


def _alike(lines: Tensor) -> Tensor:
    """Which of the lines (T, S, S) repeat the first, beginning with the second one: (T, S)."""
    alike = ((lines - lines[:, :1]).abs().amax(2) < SAME).cumprod(1).bool()
    return alike & alike[:, 1:2]


# `eye_opening` below which eyes count as closed: the bundled keypoints give 0.02 to 0.08 for closed
# eyes and 0.15 or more for open ones.
CLOSED = 0.1
ROLLED = 40  # degrees of roll above which rendered mouths break


@exact
def eye_opening(point: Tensor) -> Tensor:
    """Opening of the eyes in poses (T, K, 2): area over squared width, mean of both eyes, (T,).

    NaN where the points are not a face.
    """
    openings = []
    for rim in OPENINGS[1:]:
        x, y = point[:, list(rim)].unbind(-1)
        area = 0.5 * (x * y.roll(-1, 1) - y * x.roll(-1, 1)).sum(1).abs()
        width = (point[:, rim[0]] - point[:, rim[4]]).square().sum(-1)
        openings.append(torch.where(width > 1e-4, area / width, torch.nan))
    return torch.stack(openings).mean(0)


def marks(point: Tensor) -> Tensor:
    """Right eye, left eye, nose and corners of the mouth of poses (T, K, 2): (T, 5, 2)."""
    parts = (RIGHT_EYE, LEFT_EYE, (1,), (61,), (291,))
    return torch.stack([point[:, [TAUGHT.index(n) for n in part]].mean(1) for part in parts], 1)


@exact
def roll(point: Tensor) -> Tensor:
    """Roll of the heads in poses (T, K, 2), in degrees to the viewer's right: (T,).

    NaN where the points are not a face.
    """
    right, left = (
        point[:, [TAUGHT.index(n) for n in eye]].mean(1) for eye in (RIGHT_EYE, LEFT_EYE)
    )
    across = left - right
    angle = torch.rad2deg(torch.atan2(across[:, 1], across[:, 0]))
    return torch.where(across.norm(dim=-1) > 0.1, angle, torch.nan)


def remarks(point: Tensor, name: str | None = None) -> list[str]:
    """Problems of a photo with the pose (1, K, 2), a sentence each; `name` refers to the face."""
    lines = []
    if eye_opening(point)[0] < CLOSED:
        whose = f"of {name}" if name else "in the photo"
        lines.append(f"the eyes {whose} are closed and must be invented: use one with open eyes")
    angle = abs(float(roll(point)[0]))
    tilted = f"tilted by {angle:.0f} degrees"
    if angle > ROLLED and name:
        lines.append(f"{name} is {tilted}, which breaks its mouth: use an upright face")
    elif angle > ROLLED:
        lines.append(f"the head in the photo is {tilted}: turn the photo upright")
    return lines


@exact
def untangle(point: Tensor) -> Tensor:
    """Make lips and eyelids that have crossed in poses (T, K, 2) meet half-direction.

    They cross where relative motion closes lips or eyes that are closed already: the driver's
    reference is wide open.
    """
    above, below = ([pair[i] for pair in MEETING] for i in range(2))
    direction = down(point)[:, None]  # (T, 1, 2)
    apart = ((point[:, below] - point[:, above]) * direction).sum(-1, keepdim=True)  # (T, n, 1)
    half = apart.clamp(max=0) / 2 * direction
    point = point.clone()
    point[:, above] += half
    point[:, below] -= half
    return point


# How far each landmark moves down as the mouth opens, as a share of the lip gap: means over
# training clips of the landmark model's points, without head motion.
PARTING = {
    14: 0.87, 87: 0.85, 317: 0.85, 17: 0.87, 84: 0.83, 314: 0.83, 91: 0.58, 321: 0.58,
    152: 0.7, 149: 0.53, 378: 0.53, 136: 0.43, 365: 0.43, 58: 0.34, 288: 0.34, 93: 0.23, 323: 0.23,
    61: 0.2, 291: 0.2, 78: 0.2, 308: 0.2,
    13: -0.14, 82: -0.14, 312: -0.14, 0: -0.1, 37: -0.1, 267: -0.1,
}  # fmt: skip


PARTED = 0.07, 0.14  # lip gap over mouth width: slightly parted lips; an open mouth
CORNERS = TAUGHT.index(78), TAUGHT.index(308)  # of the inner lips


def down(point: Tensor) -> Tensor:
    """Unit vector from the bridge of the nose to the chin in poses (T, K, 2): (T, 2)."""
    direction = point[:, TAUGHT.index(152)] - point[:, TAUGHT.index(168)]
    return direction / direction.norm(dim=-1, keepdim=True).clamp(min=1e-6)


def lip_gap(point: Tensor) -> Tensor:
    """Gap between the lips of poses (T, K, 2), measured down the face: (T,)."""
    above, below = ([pair[i] for pair in MEETING[:3]] for i in range(2))
    return ((point[:, below] - point[:, above]) * down(point)[:, None]).sum(-1).mean(1)


def part_lips(point: Tensor, amount: Tensor) -> Tensor:
    """Open the lips of poses (T, K, 2) by (T,); the points of `PARTING` follow."""
    point, shift = point.clone(), amount[:, None] * down(point)
    for number, share in PARTING.items():
        point[:, TAUGHT.index(number)] += share * shift
    return point


@exact
def match_lips(reference: Tensor, source: Tensor, adapt_scale: bool) -> Tensor:
    """Match the lip gap of the driver's reference pose (1, K, 2) to the photo's.

    Relative to a wide open mouth every frame closes the lips: on a photo with closed lips all
    speech would be lost. Relative to closed lips, a mouth that is open in the photo would never
    close; slightly parted lips, perhaps a smile, stay parted. `source` (1, K, 2) is the photo's
    pose; `adapt_scale` scales its gap to the size of the reference face.
    """
    scale, _, _ = fit_similarity(source[:, list(STEADY)], reference[:, list(STEADY)])
    size = scale.square().sum((1, 2)).div(2).sqrt() if adapt_scale else 1.0

    ours, theirs = size * lip_gap(source).clamp(min=0), lip_gap(reference)
    width = (source[:, CORNERS[1]] - source[:, CORNERS[0]]).norm(dim=-1)
    agape = ((lip_gap(source) / width.clamp(min=0.05) - PARTED[0]) / (PARTED[1] - PARTED[0])).clamp(
        0, 1
    )
    excess = (theirs - ours).clamp(min=0)
    lack = agape * (ours - theirs.clamp(min=0)).clamp(min=0)
    return part_lips(reference, lack - excess)


TURN = 0.2  # largest turn: RMS by which steady landmarks leave their plane, over the face's size


def head_and_expression(reference: Tensor, motion: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Split poses (T, K, 2) into affine head motion since `reference` (1, K, 2) and expression.

    Returns the motion's matrix (T, 2, 2) and its centre before and after (T, 1, 2), fitted to the
    steady landmarks, and the remaining expression (T, K, 2) in the reference frame.
    """
    steady = list(STEADY)
    ones = torch.ones(len(motion), 1, len(STEADY), device=motion.device)
    start = reference.expand(len(motion), -1, -1)
    matrix, centre, home = fit_affine(start[:, steady], motion[:, steady], ones)
    matrix = matrix[:, 0]
    upright = torch.linalg.inv(matrix).mT
    return matrix, centre, home, (motion - home) @ upright + centre - start


@exact
def without_mouth(own: Tensor, motion: Tensor) -> Tensor:
    """Keep the mouths of poses (T, K, 2) as in `own` (1, K, 2), moving with the head only."""
    matrix, centre, home, _ = head_and_expression(own, motion)
    still = list(REGIONS["mouth"])
    point = motion.clone()
    point[:, still] = (own[:, still] - centre) @ matrix.mT + home
    return point


@exact
def within_reach(reference: Tensor, motion: Tensor) -> Tensor:
    """Limit head turns of poses (T, K, 2) from `reference` (1, K, 2) to what one photo can show.

    A turn is the motion of the steady landmarks that no similarity explains: the rest of their
    affine motion and the residual beyond it. Where the residual exceeds TURN, the whole turn is
    scaled down; mouth and eyes open and close as before.
    """
    matrix, centre, home, rest = head_and_expression(reference, motion)
    steady = list(STEADY)
    size = (reference[:, steady] - centre[:1]).square().sum(-1).mean().sqrt()
    turn = rest[:, steady].square().sum(-1).mean(1).sqrt() / size
    share = (TURN / turn.clamp(min=TURN))[:, None, None]
    (a, b), (c, d) = (row.unbind(-1) for row in matrix.unbind(-2))
    similar = torch.stack([a + d, b - c, c - b, a + d], -1).unflatten(-1, (2, 2)) / 2
    limited = share * rest
    for rim in (RIGHT_EYE, LEFT_EYE):  # only a shift and a slope along the eye are head turn
        eye = [TAUGHT.index(n) for n in rim]
        at, offset = reference[:, eye], rest[:, eye]
        along = ((at - at.mean(1, keepdim=True)) * (at[:, 1:2] - at[:, :1])).sum(-1, keepdim=True)
        slope = (offset * along).sum(1, keepdim=True) / along.square().sum(1, keepdim=True)
        limited[:, eye] = offset - (1 - share) * (offset.mean(1, keepdim=True) + slope * along)
    limited = home + (reference - centre + limited) @ torch.lerp(similar, matrix, share).mT
    limited = part_lips(limited, lip_gap(motion) - lip_gap(limited))
    return torch.where(share < 1, limited, motion)


@exact
def transfer(
    source: Tensor,
    motion: Tensor,
    reference: Tensor,
    adapt_scale: bool,
    amplify: Mapping[str, float] = {},
) -> Tensor:
    """Relative motion: transfer the driver's change since `reference` to the photo's face.

    source (1, K, 2), motion (T, K, 2), reference (1, K, 2) -> (T, K, 2). The change is split into
    the head's affine motion M, fitted to the steady landmarks, and the rest in the reference frame,
    the shift of landmarks by their depth and expression, both strengthened as far as the result
    weakens them. The similarity N between the two faces maps all to the photo (only its translation
    unless `adapt_scale`): p = N M N^-1 (p_source + N' (shift + expression)). `amplify` multiplies
    M's difference from the identity and the shift ("head"), and the expression of REGIONS.
    """
    matrix, centre, home, change = head_and_expression(reference, motion)  # M
    steady = list(STEADY)
    depth, expression = strengthened(reference, change, TURN)
    for name, points in REGIONS.items():
        expression[:, list(points)] *= amplify.get(name, 1.0)
    head = amplify.get("head", 1.0)
    matrix = torch.lerp(torch.eye(2, device=source.device).expand_as(matrix), matrix, head)
    home = torch.lerp(centre, home, head)
    scale, ours, theirs = fit_similarity(reference[:, steady], source[:, steady])  # N
    if not adapt_scale:
        scale = torch.eye(2, device=source.device)[None]
    turn = scale @ matrix @ torch.linalg.inv(scale)
    pivot = theirs + (centre - ours) @ scale.mT  # N M N^-1, written around N(centre)
    posed = source + (head * depth + expression) @ scale.mT
    return pivot + (home - centre) @ scale.mT + (posed - pivot) @ turn.mT
