"""Landmark sets: how many landmarks, in which order, and which lines they draw."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["AFLW19", "COFW29", "FACE68", "WFLW98", "Scheme", "scheme_by_count", "scheme_by_name"]


@dataclass(frozen=True, slots=True)
class Scheme:
    """One landmark set.

    Attributes:
        name: Lower-case name, used in manifests.
        landmark_count: N.
        contours: Index lists; each is drawn as one line. A closed line repeats its first index.
        mirror: Which landmark each becomes when the face is seen in a mirror; empty if unknown.
    """

    name: str
    landmark_count: int
    contours: tuple[tuple[int, ...], ...] = ()
    mirror: tuple[int, ...] = ()


def _span(first: int, last: int) -> tuple[int, ...]:
    step = 1 if first <= last else -1
    return tuple(range(first, last + step, step))


# Source: the WFLW annotation figure (Wu et al., CVPR 2018, Look at Boundary) and SPEC 2.4.
WFLW98 = Scheme(
    name="wflw98",
    landmark_count=98,
    contours=(
        _span(0, 32),
        (*_span(33, 41), 33),
        (*_span(42, 50), 42),
        _span(51, 54),
        _span(55, 59),
        (*_span(60, 67), 60),
        (*_span(68, 75), 68),
        (*_span(76, 87), 76),
        (*_span(88, 95), 88),
    ),
    mirror=(
        *_span(32, 0),
        *(*_span(46, 42), *_span(50, 47)),  # the brows
        *(*_span(37, 33), *_span(41, 38)),
        *(*_span(51, 54), *_span(59, 55)),  # the nose
        *(*_span(72, 68), *_span(75, 73)),  # the eyes
        *(*_span(64, 60), *_span(67, 65)),
        *(*_span(82, 76), *_span(87, 83)),  # the lips
        *(*_span(92, 88), *_span(95, 93)),
        *(97, 96),  # the pupils
    ),
)

# Source: the iBUG 68-point mark-up (Sagonas et al., ICCVW 2013, 300 Faces in-the-Wild).
FACE68 = Scheme(
    name="300w68",
    landmark_count=68,
    contours=(
        _span(0, 16),
        _span(17, 21),
        _span(22, 26),
        _span(27, 30),
        _span(31, 35),
        (*_span(36, 41), 36),
        (*_span(42, 47), 42),
        (*_span(48, 59), 48),
        (*_span(60, 67), 60),
    ),
    mirror=(
        *_span(16, 0),
        *_span(26, 17),  # the brows
        *(*_span(27, 30), *_span(35, 31)),  # the nose
        *(*_span(45, 42), *_span(47, 46)),  # the eyes
        *(*_span(39, 36), *_span(41, 40)),
        *(*_span(54, 48), *_span(59, 55)),  # the lips
        *(*_span(64, 60), *_span(67, 65)),
    ),
)

# Source: the COFW annotation figure (Burgos-Artizzu et al., ICCV 2013): brows, eyes, nose, lips.
COFW29 = Scheme(
    name="cofw29",
    landmark_count=29,
    contours=(
        (0, 4, 2, 5, 0),
        (1, 6, 3, 7, 1),
        (8, 12, 10, 13, 8),
        (9, 14, 11, 15, 9),
        (18, 20, 19, 21, 18),
        (22, 24, 23, 27, 22),
        (22, 25, 23, 26, 22),
    ),
    mirror=(
        *(1, 0, 3, 2, 6, 7, 4, 5),  # the brows
        *(9, 8, 11, 10, 14, 15, 12, 13),  # the eyes
        *(17, 16, 19, 18, 20, 21),  # the pupils and the nose
        *(23, 22, 24, 25, 26, 27, 28),  # the lips and the chin
    ),
)

# Source: the AFLW annotation figure without the ears (Koestinger et al., ICCVW 2011).
AFLW19 = Scheme(
    name="aflw19",
    landmark_count=19,
    contours=tuple(_span(first, first + 2) for first in range(0, 18, 3)),
    mirror=(*_span(5, 0), *_span(11, 6), *_span(14, 12), *_span(17, 15), 18),
)

_SCHEMES = (WFLW98, FACE68, COFW29, AFLW19)


def scheme_by_count(landmark_count: int) -> Scheme:
    """Return the published scheme of that many landmarks, or a nameless one without contours."""
    for scheme in _SCHEMES:
        if scheme.landmark_count == landmark_count:
            return scheme
    return Scheme(f"custom{landmark_count}", landmark_count)


def scheme_by_name(name: str, landmark_count: int) -> Scheme:
    """Return the scheme a manifest names; one that is unknown here has no contours."""
    for scheme in _SCHEMES:
        if scheme.name == name:
            return scheme
    return Scheme(name, landmark_count)
