from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from facealign.spec import WFLW98
from facealign.synth.camera import Camera, Pose, build_camera
from facealign.synth.chart import ATLAS_SHAPE, uv_from_skin
from facealign.synth.expression import REST, Expression, draw_expression
from facealign.synth.head_parts import head_mesh
from facealign.synth.landmark_model import features_in_front, landmark_points
from facealign.synth.person import AVERAGE_SHAPE, Shape, draw_shape
from facealign.synth.raster import render
from facealign.synth.surface import HeadSurface, build_surface

FRAME = np.array([127.5, 127.5, 150.0])
MIRROR = 1e-9  # px; measured 3e-14
STILL_PX = 0.1  # measured 0.026: the tip of the nose comes nearer with the lips behind it
DOT_PX = 0.5  # largest measured 0.38, mean 0.02: a dot seen from the side has its middle elsewhere
EDGE_PX = 5  # of a face of 150 px, half of them; measured 1.5 at a yaw of 35 and 3.1 at 50 degrees
FAR_FROM_EDGE_PX = 9  # all of them; measured 7.4 and 7.8
NAMES_AND_POSES = {
    "frontal": Pose(),
    "left": Pose(yaw=-28),
    "right": Pose(yaw=28, pitch=8),
    "rolled": Pose(roll=30),
}


def head(
    shape: Shape = AVERAGE_SHAPE, expression: Expression = REST, pose: Pose | None = None
) -> tuple[HeadSurface, NDArray[np.float64], Camera]:
    surface = build_surface(shape, expression)
    features = features_in_front(shape, expression)
    camera = build_camera(pose or Pose(), surface.points_in_front(features), FRAME)
    return surface, features, camera


def seen_landmarks(
    shape: Shape = AVERAGE_SHAPE, expression: Expression = REST, pose: Pose | None = None
) -> NDArray[np.float64]:
    surface, features, camera = head(shape, expression, pose)
    return camera.project(landmark_points(surface, features, camera.project))


@pytest.mark.parametrize(
    "expression",
    [REST, Expression(mouth_open=1), Expression(smile=1), Expression(brow_raise=-0.5)],
    ids=["rest", "open", "smile", "frown"],
)
def test_frontal_face_is_its_own_mirror_image(expression: Expression) -> None:
    xy = seen_landmarks(draw_shape(np.random.default_rng(4)), expression)

    mirrored = xy[list(WFLW98.mirror)]
    middle = xy[[16, 51, 54, 57], 0].mean()
    np.testing.assert_allclose(2 * middle - mirrored[:, 0], xy[:, 0], atol=MIRROR)
    np.testing.assert_allclose(mirrored[:, 1], xy[:, 1], atol=MIRROR)


@pytest.mark.parametrize(
    "row",
    [
        pytest.param(range(33), id="contour"),
        pytest.param(range(33, 38), id="right_brow"),
        pytest.param(range(42, 47), id="left_brow"),
        pytest.param(range(55, 60), id="nostrils"),
        pytest.param(range(60, 65), id="right_eye"),
        pytest.param(range(68, 73), id="left_eye"),
        pytest.param(range(76, 83), id="outer_lip"),
        pytest.param(range(88, 93), id="inner_lip"),
        pytest.param([60, 96, 64, 68, 97, 72], id="both_eyes"),
    ],
)
def test_landmarks_of_a_frontal_face_go_from_left_to_right(row: list[int]) -> None:
    x = seen_landmarks()[list(row), 0]

    assert np.all(np.diff(x) > 0)


@pytest.mark.parametrize(
    "column",
    [[35, 40, 62, 96, 66, 16], [44, 48, 70, 97, 74], [51, 52, 53, 54, 57, 79, 90, 94, 85, 16]],
    ids=["right_eye", "left_eye", "middle"],
)
def test_landmarks_of_a_frontal_face_go_down(column: list[int]) -> None:
    y = seen_landmarks()[column, 1]

    assert np.all(np.diff(y) > 0)


@pytest.mark.parametrize("pose", NAMES_AND_POSES.values(), ids=NAMES_AND_POSES)
@pytest.mark.parametrize(
    ("eye", "pupil"), [(slice(60, 68), 96), (slice(68, 76), 97)], ids=["right", "left"]
)
def test_pupils_are_inside_the_eyes_wherever_they_look(pose: Pose, eye: slice, pupil: int) -> None:
    expression = Expression(gaze=(0.8, 0.8), eyes_open=(0.6, 1.2))

    xy = seen_landmarks(expression=expression, pose=pose).astype(np.float32)

    inside = cv2.pointPolygonTest(xy[eye], tuple(xy[pupil].tolist()), measureDist=True)
    assert inside > 0.5


def test_open_mouth_parts_the_lips_and_lowers_the_chin() -> None:
    surface, features, camera = head()
    opened, moved, _ = head(expression=Expression(mouth_open=1))

    rest, wide = (
        camera.project(landmark_points(each, places, camera.project))
        for each, places in ((surface, features), (opened, moved))
    )

    assert wide[94, 1] - wide[90, 1] > 15 + rest[94, 1] - rest[90, 1]
    assert wide[16, 1] > rest[16, 1] + 15
    np.testing.assert_allclose(wide[33:55], rest[33:55], atol=STILL_PX)


def test_closed_eye_is_a_line_and_the_other_stays_open() -> None:
    xy = seen_landmarks(expression=Expression(eyes_open=(0.0, 1.0)))

    assert abs(xy[66, 1] - xy[62, 1]) < 0.5
    assert xy[74, 1] - xy[70, 1] > 5


@pytest.mark.parametrize("yaw", [-50, -35, 35, 50])
def test_far_contour_lies_on_the_edge_of_the_head(yaw: float) -> None:
    surface, features, camera = head(pose=Pose(yaw=yaw))
    far = slice(2, 12) if yaw < 0 else slice(21, 31)

    xy = camera.project(landmark_points(surface, features, camera.project))[far]

    mesh = head_mesh(surface)
    blank = np.zeros((*ATLAS_SHAPE, 3), np.uint8)
    light = np.zeros((len(mesh.vertices), 4))
    drawn = render(mesh, camera, atlas=blank, light=light, size_px=256).drawn.astype(np.uint8)
    inside, outside = (cv2.distanceTransform(each, cv2.DIST_L2, 5) for each in (drawn, 1 - drawn))
    from_edge = (inside + outside)[tuple(np.rint(xy[:, ::-1]).astype(int).T)]
    assert np.median(from_edge) < EDGE_PX
    assert from_edge.max() < FAR_FROM_EDGE_PX


@pytest.mark.parametrize("index", [35, 46, 62, 70, 79, 85, 96, 97])
@pytest.mark.parametrize("pose", NAMES_AND_POSES.values(), ids=NAMES_AND_POSES)
def test_landmark_is_where_its_skin_is_in_the_picture(index: int, pose: Pose) -> None:
    surface, features, camera = head(pose=pose)
    place = surface.coordinates(np.concatenate([np.zeros((33, 2)), features]))
    u, v = uv_from_skin(place[index, 0], place[index, 1])
    atlas = np.zeros((*ATLAS_SHAPE, 3), np.uint8)
    cv2.circle(atlas, (round(u * 16), round(v * 16)), 6 * 16, (255, 255, 255), -1, cv2.LINE_AA, 4)
    mesh = head_mesh(surface)
    light = np.tile([1.0, 1, 1, 0], (len(mesh.vertices), 1))

    picture = render(mesh, camera, atlas=atlas, light=light, size_px=256)

    weight = picture.colour[..., 0].astype(float)
    rows, columns = np.mgrid[:256, :256]
    seen = np.array([(columns * weight).sum(), (rows * weight).sum()]) / weight.sum()
    expected = camera.project(surface.points(place[index, 0], place[index, 1]))
    np.testing.assert_allclose(seen, expected, atol=DOT_PX)


@pytest.mark.parametrize("seed", range(4))
def test_skin_in_front_is_where_it_was_asked_for(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shape, expression = draw_shape(rng), draw_expression(rng, is_strong=True)
    surface, features, _ = head(shape, expression)

    points = surface.points_in_front(features)

    np.testing.assert_allclose(points[:, :2], features, atol=1e-6)
    assert points[:, 2].min() > 0.5
