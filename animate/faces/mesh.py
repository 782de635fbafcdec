"""The landmarks in use of MediaPipe's face mesh: their indices, groups and mirror images."""

from __future__ import annotations

OVAL = (10, 67, 297, 54, 284, 127, 356, 93, 323, 58, 288, 136, 365, 149, 378, 152)
BROWS = (70, 105, 107, 300, 334, 336)
RIGHT_EYE = (33, 133, 160, 159, 158, 144, 145, 153, 468)
LEFT_EYE = (263, 362, 387, 386, 385, 373, 374, 380, 473)
NOSE = (168, 197, 1, 2, 98, 327)
OUTER_LIPS = (61, 291, 0, 37, 267, 40, 270, 17, 84, 314, 91, 321)
INNER_LIPS = (78, 308, 13, 82, 312, 14, 87, 317)
CHEEKS = (50, 280, 205, 425, 151, 9)
# The mesh indices in use, in the order of a model's taught points.
TAUGHT = OVAL + BROWS + RIGHT_EYE + LEFT_EYE + NOSE + OUTER_LIPS + INNER_LIPS + CHEEKS
# The outline of the face, in order.
RIM = tuple(
    TAUGHT.index(n)
    for n in (10, 297, 284, 356, 323, 288, 365, 378, 152, 149, 136, 58, 93, 127, 54, 67)
)
# The outlines of the openings of mouth, right eye and left eye, in order.
OPENINGS = tuple(
    tuple(TAUGHT.index(n) for n in rim)
    for rim in (
        (78, 82, 13, 312, 308, 317, 14, 87),
        (33, 160, 159, 158, 133, 153, 145, 144),
        (263, 387, 386, 385, 362, 380, 374, 373),
    )
)
# Points that hardly move with expression, for the pose of the head.
STEADY = tuple(
    TAUGHT.index(n) for n in (10, 67, 297, 54, 284, 127, 356, 33, 133, 263, 362, 168, 197, 1, 2)
)
EYES = tuple(TAUGHT.index(n) for n in RIGHT_EYE + LEFT_EYE)
MOUTH = tuple(TAUGHT.index(n) for n in OUTER_LIPS + INNER_LIPS)
# Regions that `retarget` amplifies: eyes with brows, mouth with jaw and cheeks.
JAW = (58, 288, 136, 365, 149, 378, 152, 50, 280, 205, 425)
REGIONS = {
    "eyes": EYES + tuple(TAUGHT.index(n) for n in BROWS),
    "mouth": MOUTH + tuple(TAUGHT.index(n) for n in JAW),
}
_PAIRS = (
    (67, 297), (54, 284), (127, 356), (93, 323), (58, 288), (136, 365), (149, 378),
    (70, 300), (105, 334), (107, 336),
    (33, 263), (133, 362), (160, 387), (159, 386), (158, 385), (144, 373), (145, 374), (153, 380),
    (468, 473), (98, 327), (61, 291), (37, 267), (40, 270), (84, 314), (91, 321),
    (78, 308), (82, 312), (87, 317), (50, 280), (205, 425),
)  # fmt: skip
_TWIN = {a: b for pair in _PAIRS for a, b in (pair, pair[::-1])}
MIRROR = tuple(TAUGHT.index(_TWIN.get(n, n)) for n in TAUGHT)  # order of points in a flipped image
# Pairs of points, upper and lower, that meet when lips or lids close.
MEETING = tuple(
    (TAUGHT.index(a), TAUGHT.index(b))
    for a, b in (
        (82, 87), (13, 14), (312, 317),
        (160, 144), (159, 145), (158, 153), (387, 373), (386, 374), (385, 380),
    )
)  # fmt: skip
