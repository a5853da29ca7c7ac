"""Measurements as pictures: error curves and the worst faces; matplotlib and OpenCV."""

from __future__ import annotations

from facealign.report.drawing import check_matplotlib
from facealign.report.error_curve import Curve, error_curve_svg
from facealign.report.worst_faces import FaceTile, face_jpeg, legend, worst_faces_png

__all__ = [
    "Curve",
    "FaceTile",
    "check_matplotlib",
    "error_curve_svg",
    "face_jpeg",
    "legend",
    "worst_faces_png",
]
