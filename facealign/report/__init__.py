"""Measurements as pictures: error curves and the worst faces; matplotlib and OpenCV."""

from __future__ import annotations

from facealign.report.error_curve import Curve, check_matplotlib, error_curve_svg
from facealign.report.worst_faces import FaceTile, worst_faces_png

__all__ = ["Curve", "FaceTile", "check_matplotlib", "error_curve_svg", "worst_faces_png"]
