from __future__ import annotations

import pytest

from facealign.serve import model_name


@pytest.mark.parametrize(
    ("bundle", "precision", "suffix", "name"),
    [
        ("demo.bundle", "fp32", "", "demo_fp32"),
        ("demo.bundle", "int8-cpu", "", "demo_int8_cpu"),
        ("demo", "fp16", "plan", "demo_fp16_plan"),
        ("my face.v2.bundle", "fp32", "", "my_face_v2_fp32"),
        ("../x", "fp32", "", "x_fp32"),
        ("Gesicht-ß", "fp32", "", "Gesicht_fp32"),
    ],
)
def test_model_name_has_letters_digits_and_underscores_only(
    bundle: str, precision: str, suffix: str, name: str
) -> None:
    assert model_name(bundle, precision, suffix=suffix) == name
