"""The facial landmarks that keypoints are taught, and how an expression travels between faces.

Numbers are those of MediaPipe's 478-point face mesh. "Right" and "left" are the person's own.
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
from animate.models.geometry import exact, fit_affine, fit_similarity

# How far the heat maps of a part of the face spread, in half crops, on average, where it is not
# seen at all. They are taught to spread by 0.045. In 18,411 frames of 313 ordinary clips half of
# that is passed by 196, mostly profiles; all of it by 20, behind hair, a hand or a bowed head
# (measured apart from this repository).
UNSEEN = (
    (OVAL, 0.27),
    (RIGHT_EYE + LEFT_EYE, 0.25),  # together: in profile one of them is hidden
    (NOSE, 0.16),
    (OUTER_LIPS + INNER_LIPS, 0.17),
)


@exact
def doubt(spread: Tensor) -> Tensor:
    """How little is seen of faces whose heat maps spread by (T, K) half crops: (T,).

    1 where the part that is seen least is not seen at all; a face seen from the front has 0.3.
    """
    parts = [(spread[:, [TAUGHT.index(n) for n in part]], limit) for part, limit in UNSEEN]
    return torch.stack([part.mean(1) / limit for part, limit in parts]).amax(0)


# Of `eye_opening`: the bundled keypoints see 0.02 to 0.08 in closed eyes and 0.15 or more in open.
CLOSED = 0.1
ROLLED = 40  # degrees, from which on the mouth breaks


@exact
def eye_opening(point: Tensor) -> Tensor:
    """How far the eyes of poses (T, K, 2) are open: the mean of area over squared width, (T,).

    NaN where the points are no face.
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
    """By how many degrees the heads of poses (T, K, 2) lean to the viewer's right, (T,).

    NaN where the points are no face.
    """
    right, left = (
        point[:, [TAUGHT.index(n) for n in eye]].mean(1) for eye in (RIGHT_EYE, LEFT_EYE)
    )
    across = left - right
    angle = torch.rad2deg(torch.atan2(across[:, 1], across[:, 0]))
    return torch.where(across.norm(dim=-1) > 0.1, angle, torch.nan)


def remarks(point: Tensor, name: str | None = None) -> list[str]:
    """What goes badly with a photo of the pose (1, K, 2), a sentence each; of the face `name`."""
    lines = []
    if eye_opening(point)[0] < CLOSED:
        whose = f"of {name}" if name else "in the photo"
        lines.append(f"the eyes {whose} are closed, and have to be made up: use one with open eyes")
    angle = abs(float(roll(point)[0]))
    tilted = f"tilted by {angle:.0f} degrees"
    if angle > ROLLED and name:
        lines.append(f"{name} is {tilted}, and its mouth breaks: use one that is upright")
    elif angle > ROLLED:
        lines.append(f"the head in the photo is {tilted}: turn the photo upright")
    return lines


@exact
def untangle(point: Tensor) -> Tensor:
    """Poses (T, K, 2) in which no lip or lid has gone past the other: those meet half-way.

    Relative motion closes what is closed already, where the driver's reference is wide open.
    """
    above, below = ([pair[i] for pair in MEETING] for i in range(2))
    way = down(point)[:, None]  # (T, 1, 2)
    apart = ((point[:, below] - point[:, above]) * way).sum(-1, keepdim=True)  # (T, n, 1)
    half = apart.clamp(max=0) / 2 * way
    point = point.clone()
    point[:, above] += half
    point[:, below] -= half
    return point


# How far landmarks go down, of the way that the lips part, when a mouth opens: means over 300
# training clips of the landmark model's points, the head's own movement taken out (measured apart
# from this repository).
PARTING = {
    14: 0.87, 87: 0.85, 317: 0.85, 17: 0.87, 84: 0.83, 314: 0.83, 91: 0.58, 321: 0.58,
    152: 0.7, 149: 0.53, 378: 0.53, 136: 0.43, 365: 0.43, 58: 0.34, 288: 0.34, 93: 0.23, 323: 0.23,
    61: 0.2, 291: 0.2, 78: 0.2, 308: 0.2,
    13: -0.14, 82: -0.14, 312: -0.14, 0: -0.1, 37: -0.1, 267: -0.1,
}  # fmt: skip


PARTED = 0.07, 0.14  # of a mouth's width: lips that stay parted, and an open mouth
CORNERS = TAUGHT.index(78), TAUGHT.index(308)


def down(point: Tensor) -> Tensor:
    """The way from bridge to chin in poses (T, K, 2), of length 1: (T, 2)."""
    way = point[:, TAUGHT.index(152)] - point[:, TAUGHT.index(168)]
    return way / way.norm(dim=-1, keepdim=True).clamp(min=1e-6)


def lip_gap(point: Tensor) -> Tensor:
    """How far the lips of poses (T, K, 2) are apart, down the face: (T,)."""
    above, below = ([pair[i] for pair in MEETING[:3]] for i in range(2))
    return ((point[:, below] - point[:, above]) * down(point)[:, None]).sum(-1).mean(1)


def part_lips(point: Tensor, much: Tensor) -> Tensor:
    """Poses (T, K, 2) with their lips further apart, by (T,), and all that goes with them."""
    point, way = point.clone(), much[:, None] * down(point)
    for number, share in PARTING.items():
        point[:, TAUGHT.index(number)] += share * way
    return point


@exact
def match_lips(reference: Tensor, source: Tensor, adapt_scale: bool) -> Tensor:
    """The driver's reference `reference` (1, K, 2), its lips as far apart as the photo's.

    Relative motion can't close what is closed: seen from a wide open mouth, all that a driver says
    would be lost on closed lips. Nor would a mouth that is open in the photo ever close, seen from
    closed lips; lips that are hardly parted, which may be a smile, stay so. `source` (1, K, 2) is
    the photo's pose, as large as `reference` is, or of its own size where scale is not adapted.
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


TURN = 0.2  # of the face's size, root mean square: how far steady landmarks leave their plane


def head_and_expression(reference: Tensor, motion: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The head's affine motion since `reference` (1, K, 2), and the rest, of poses (T, K, 2).

    Its matrix (T, 2, 2), centre before and after (T, 1, 2), fitted to the steady landmarks; the
    expression left over (T, K, 2), seen in the reference frame.
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
    """Poses (T, K, 2) whose mouths stay as in `own` (1, K, 2), and go with the head."""
    matrix, centre, home, _ = head_and_expression(own, motion)
    still = list(REGIONS["mouth"])
    point = motion.clone()
    point[:, still] = (own[:, still] - centre) @ matrix.mT + home
    return point


@exact
def within_reach(reference: Tensor, motion: Tensor) -> Tensor:
    """Poses (T, K, 2) that turn no further from `reference` (1, K, 2) than one photo can show.

    A turn of the head is what no similarity of the steady landmarks explains: the rest of their
    affine motion, and what they do beyond it. Where that is more than TURN, all of it is scaled
    down; mouth and eyes open and close as before.
    """
    matrix, centre, home, rest = head_and_expression(reference, motion)
    steady = list(STEADY)
    size = (reference[:, steady] - centre[:1]).square().sum(-1).mean().sqrt()
    turn = rest[:, steady].square().sum(-1).mean(1).sqrt() / size
    share = (TURN / turn.clamp(min=TURN))[:, None, None]
    (a, b), (c, d) = (row.unbind(-1) for row in matrix.unbind(-2))
    similar = torch.stack([a + d, b - c, c - b, a + d], -1).unflatten(-1, (2, 2)) / 2
    held = share * rest
    for rim in (RIGHT_EYE, LEFT_EYE):  # of which only what is level along the eye is the head's
        eye = [TAUGHT.index(n) for n in rim]
        at, own = reference[:, eye], rest[:, eye]
        along = ((at - at.mean(1, keepdim=True)) * (at[:, 1:2] - at[:, :1])).sum(-1, keepdim=True)
        slope = (own * along).sum(1, keepdim=True) / along.square().sum(1, keepdim=True)
        held[:, eye] = own - (1 - share) * (own.mean(1, keepdim=True) + slope * along)
    held = home + (reference - centre + held) @ torch.lerp(similar, matrix, share).mT
    held = part_lips(held, lip_gap(motion) - lip_gap(held))
    return torch.where(share < 1, held, motion)


@exact
def transfer(
    source: Tensor,
    motion: Tensor,
    reference: Tensor,
    adapt_scale: bool,
    amplify: Mapping[str, float] = {},
) -> Tensor:
    """Relative motion: the driver's change since `reference`, carried to the photo's face.

    source (1, K, 2), motion (T, K, 2), reference (1, K, 2) -> (T, K, 2). The change is split into
    the head's affine motion M, fitted to the steady landmarks, and the expression left over, seen
    in the reference frame. Both are taken to the photo by the similarity N between the two faces
    (only its translation unless `adapt_scale`): p = N M N^-1 (p_source + N' expression).
    `amplify` multiplies M's difference from standing still ("head") and the expression of REGIONS.
    """
    matrix, centre, home, expression = head_and_expression(reference, motion)  # M
    steady = list(STEADY)
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
    posed = source + expression @ scale.mT
    return pivot + (home - centre) @ scale.mT + (posed - pivot) @ turn.mT
