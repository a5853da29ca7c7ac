"""Annotated faces from WFLW, 300W and COFW as published, and boxes of a user's own images."""

from __future__ import annotations

from facealign.datasets.annotation_line import (
    WFLW_ATTRIBUTES,
    FaceLine,
    face_from_line,
    line_from_face,
)
from facealign.datasets.cofw import read_cofw
from facealign.datasets.face import AnnotatedFace, BoxedImage, BoxedImages, Dataset
from facealign.datasets.face_crops import (
    CropRule,
    CropSource,
    Face,
    FaceCrops,
    boxes_of_faces,
    face_crops,
)
from facealign.datasets.folder import read_boxed_folder
from facealign.datasets.image import IMAGE_ENDINGS, FaceImage, ImageFile, read_image
from facealign.datasets.read import read_dataset
from facealign.datasets.spiga_json import read_spiga_json
from facealign.datasets.three_hundred_w import read_300w
from facealign.datasets.wflw import read_wflw

__all__ = [
    "IMAGE_ENDINGS",
    "WFLW_ATTRIBUTES",
    "AnnotatedFace",
    "BoxedImage",
    "BoxedImages",
    "CropRule",
    "CropSource",
    "Dataset",
    "Face",
    "FaceCrops",
    "FaceImage",
    "FaceLine",
    "ImageFile",
    "boxes_of_faces",
    "face_crops",
    "face_from_line",
    "line_from_face",
    "read_300w",
    "read_boxed_folder",
    "read_cofw",
    "read_dataset",
    "read_image",
    "read_spiga_json",
    "read_wflw",
]
