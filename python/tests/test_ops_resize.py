"""Side-by-side property tests of Resize and Upsample; see side_by_side.py."""

import numpy as np
import pytest
from side_by_side import check, dims, ints, normal, pick, repeat

COORDINATES = (
    "half_pixel",
    "pytorch_half_pixel",
    "align_corners",
    "asymmetric",
    "tf_half_pixel_for_nn",
    "tf_crop_and_resize",
    "half_pixel_symmetric",
)
NEAREST = ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")


def floats(values):
    return np.asarray(values, dtype=np.float32)


def resize(rng, mode, antialias):
    """One case; only the last two of four axes change."""
    opset = 19 if antialias else pick(rng, 11, 13, 18, 19)
    # ONNX Runtime's antialias goes wrong behind the first plane of a batch.
    x = normal(rng, (*dims(rng, 2, 1, 1 if antialias else 3), *dims(rng, 2, 3, 9)))
    out = dims(rng, 2, 10, 14)
    attributes = {"mode": mode}
    coordinates = COORDINATES[: 7 if opset >= 19 else 6]
    attributes["coordinate_transformation_mode"] = pick(rng, *coordinates)
    if opset >= 13 and attributes["coordinate_transformation_mode"] == "tf_half_pixel_for_nn":
        attributes["coordinate_transformation_mode"] = "half_pixel"
    if antialias:
        attributes |= {"antialias": 1, "coordinate_transformation_mode": "half_pixel"}
    if mode == "nearest":
        attributes["nearest_mode"] = pick(rng, *NEAREST)
    if mode == "cubic":
        attributes |= {"exclude_outside": pick(rng, 0, 1), "cubic_coeff_a": pick(rng, -0.5, -0.75)}
    roi = floats([])
    if attributes["coordinate_transformation_mode"] == "tf_crop_and_resize":
        roi = floats([0, 0, *(rng.random(2) / 2), 1, 1, *(0.8 + rng.random(2) / 2)])
        attributes["extrapolation_value"] = 7.0
    sized = ints([*x.shape[:2], *out])
    if (
        attributes["coordinate_transformation_mode"] == "align_corners"
        or antialias
        or rng.random() < 0.5
    ):
        return check(
            "Resize", [x, roi, None, sized], opset, 1, False, pick(rng, (), (3,)), **attributes
        )
    scales = floats([1, 1, *(rng.random(2) * 2 + 0.2)])
    return check("Resize", [x, roi, scales], opset, 1, False, pick(rng, (), (2,)), **attributes)


@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
def test_resize(mode):
    repeat(lambda rng: resize(rng, mode, False), 1, 200)


@pytest.mark.parametrize("mode", ["linear", "cubic"])
def test_resize_with_antialias(mode):
    repeat(lambda rng: resize(rng, mode, True), 2, 60)


def test_resize_of_some_axes():
    def case(rng):
        x = normal(rng, (2, 5, 6, 3))
        policy = {"keep_aspect_ratio_policy": pick(rng, "stretch", "not_larger", "not_smaller")}
        # ONNX Runtime keeps the ratio of the last two axes only.
        free = policy["keep_aspect_ratio_policy"] == "stretch"
        axes = {"axes": pick(rng, [1, 2], [-3, -2], [2, 1]) if free else [2, 3]}
        mode = pick(rng, "nearest", "linear")
        arrays = [x, None, None, ints(dims(rng, 2, 2, 12))]
        return check("Resize", arrays, 18, 1, False, mode=mode, **axes, **policy)

    repeat(case, 3)


def test_upsample():
    def case(rng):
        x = normal(rng, (*dims(rng, 2, 1, 3), *dims(rng, 2, 2, 6)))
        scales = [1.0, 1.0, *(float(pick(rng, 1, 1.5, 2, 3)) for _ in range(2))]
        opset, mode = pick(rng, 7, 9, 10), pick(rng, "nearest", "linear")
        if opset == 7:
            return check("Upsample", [x], 7, 1, False, mode=mode, scales=scales)
        op = "Resize" if opset == 10 else "Upsample"
        return check(op, [x, floats(scales)], opset, 1, False, (1,), mode=mode)

    repeat(case, 4)
