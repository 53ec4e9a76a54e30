"""Side-by-side property tests of the operators of detectors, images and signals."""

import dwindle
import numpy as np
import pytest
from onnx import TensorProto, helper
from side_by_side import check, dims, ints, normal, pick, repeat


def floats(values):
    return np.asarray(values, dtype=np.float32)


def test_non_max_suppression():
    def case(rng):
        batches, classes, count = dims(rng, 3, 1, 6)
        boxes = rng.random((batches, count, 4)).astype(np.float32)
        scores = rng.random((batches, classes, count)).astype(np.float32)
        arrays = [boxes, scores, ints([rng.integers(0, 5)]), floats([rng.random()])]
        if rng.random() < 0.6:
            arrays.append(floats([rng.random() / 2]))
        return check("NonMaxSuppression", arrays, 11, center_point_box=pick(rng, 0, 1))

    repeat(case, 1, 100)


def test_roi_align():
    def case(rng):
        x = normal(rng, dims(rng, 4, 1, 6))
        count = int(rng.integers(1, 4))
        corners = rng.random((count, 2)) * 6
        rois = floats(np.concatenate([corners, corners + rng.random((count, 2)) * 5], -1))
        batches = ints(rng.integers(0, len(x), count))
        opset = pick(rng, 10, 16)
        attributes = {
            "output_height": int(rng.integers(1, 4)),
            "output_width": int(rng.integers(1, 4)),
            "sampling_ratio": int(rng.integers(0, 3)),
            "spatial_scale": pick(rng, 1.0, 0.5),
            "mode": pick(rng, "avg", "avg", "max"),
        }
        if opset >= 16:
            kinds = ("half_pixel", "output_half_pixel")
            attributes["coordinate_transformation_mode"] = pick(rng, *kinds)
        return check("RoiAlign", [x, rois, batches], opset, 1, False, **attributes)

    repeat(case, 2, 80)


def test_max_roi_pool():
    def case(rng):
        x = normal(rng, dims(rng, 4, 1, 7))
        corners = rng.integers(0, 6, (3, 2))
        batches = rng.integers(0, len(x), (3, 1))
        rois = floats(np.concatenate([batches, corners, corners + rng.integers(0, 4, (3, 2))], -1))
        pooled = [int(n) for n in rng.integers(1, 4, 2)]
        return check("MaxRoiPool", [x, rois], 11, 1, False, pooled_shape=pooled)

    repeat(case, 3, 40)


@pytest.mark.parametrize("mode", ["linear", "nearest", "cubic"])
def test_grid_sample(mode):
    def case(rng):
        opset = pick(rng, 16, 20)
        spatial = 3 if opset == 20 and mode != "cubic" and rng.random() < 0.4 else 2
        n, channels = dims(rng, 2, 1, 3)
        x = normal(rng, (n, channels, *dims(rng, spatial, 2, 6)))
        grid = normal(rng, (n, *dims(rng, spatial, 1, 5), spatial)) * pick(rng, 0.5, 2)
        name = {"linear": "bilinear", "cubic": "bicubic"}.get(mode, mode) if opset < 20 else mode
        attributes = {
            "mode": name,
            "padding_mode": pick(rng, "zeros", "border", "reflection"),
            "align_corners": pick(rng, 0, 1),
        }
        return check("GridSample", [x, grid.astype(np.float32)], opset, 1, False, **attributes)

    repeat(case, 4, 80)


def test_affine_grid():
    def case(rng):
        spatial = int(rng.integers(2, 4))
        n = int(rng.integers(1, 3))
        theta = normal(rng, (n, spatial, spatial + 1))
        size = ints([n, 2, *rng.integers(2, 5, spatial)])
        return check("AffineGrid", [theta, size], 20, 1, False, align_corners=pick(rng, 0, 1))

    repeat(case, 5, 30)


def test_col2im():
    def case(rng):
        image, block = rng.integers(4, 8, 2), rng.integers(1, 4, 2)
        strides, pads = rng.integers(1, 3, 2), rng.integers(0, 2, 4)
        places = (image + pads[:2] + pads[2:] - block) // strides + 1
        n, channels = dims(rng, 2, 1, 3)
        x = normal(rng, (n, channels * int(block.prod()), int(places.prod())))
        attributes = {"strides": strides.tolist(), "pads": pads.tolist()}
        return check("Col2Im", [x, ints(image), ints(block)], 18, 1, False, **attributes)

    repeat(case, 6, 40)


def test_center_crop_pad():
    def case(rng):
        shape = dims(rng, rng.integers(1, 4), 1, 7)
        x = normal(rng, shape)
        axes = [int(a) for a in rng.permutation(len(shape))[: rng.integers(1, len(shape) + 1)]]
        arrays = [x, ints(rng.integers(1, 9, len(axes)))]
        return check("CenterCropPad", arrays, 18, axes=axes, constants=pick(rng, (), (1,)))

    repeat(case, 7, 40)


@pytest.mark.parametrize("op", ["HannWindow", "HammingWindow", "BlackmanWindow"])
def test_windows(op):
    def case(rng):
        size = np.asarray(rng.integers(2, 20), np.int64)
        return check(op, [size], 17, 1, False, periodic=pick(rng, 0, 1))

    repeat(case, 8, 20)


def test_dft():
    def case(rng):
        shape = dims(rng, rng.integers(1, 4), 1, 9)
        kind = pick(rng, "plain", "inverse", "onesided")
        x = normal(rng, (*shape, 1 if kind == "onesided" else pick(rng, 1, 2)))
        axis = int(rng.integers(0, len(shape)))
        attributes = {} if kind == "plain" else {kind: 1}
        if rng.random() < 0.5:
            return check("DFT", [x], 17, 1, False, axis=axis, **attributes)
        arrays = [x, None, np.asarray(axis, np.int64)]
        return check("DFT", arrays, 20, 1, False, (2,), **attributes)

    repeat(case, 9, 60)


def test_stft():
    def case(rng):
        length, frame = int(rng.integers(16, 40)), int(rng.integers(4, 12))
        x = normal(rng, (int(rng.integers(1, 3)), length, 1))
        window = normal(rng, (frame,))
        if rng.random() < 0.3:
            x = x[..., 0]  # PyTorch's exporter leaves the last axis out
        arrays = [x, np.asarray(rng.integers(1, 6), np.int64), window, np.asarray(frame, np.int64)]
        if rng.random() < 0.3:
            arrays[2] = None
        return check("STFT", arrays, 17, 1, False, onesided=pick(rng, 0, 1))

    repeat(case, 10, 40)


def test_mel_weight_matrix():
    def case(rng):
        arrays = [np.asarray(n, np.int64) for n in (rng.integers(4, 20), 64, 8000)]
        arrays += [floats(rng.random() * 100), floats(2000 + rng.random() * 1900)]
        return check("MelWeightMatrix", arrays, 17, 1, False)

    repeat(case, 11, 20)


@pytest.mark.parametrize("inverse", [0, 1])
@pytest.mark.parametrize("length", [1, 2, 6, 12, 25, 49, 60, 97, 210, 400, 512, 600])
def test_transforms_of_any_length(length, inverse):
    x = np.random.default_rng(length).normal(size=(3, length, 2)).astype(np.float32)
    node = helper.make_node("DFT", ["x"], ["y"], axis=1, inverse=inverse)
    sides = [
        helper.make_tensor_value_info(n, TensorProto.FLOAT, [3, length, 2]) for n in ("x", "y")
    ]
    graph = helper.make_graph([node], "graph", sides[:1], sides[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    y = dwindle.from_onnx(model).run({"x": x})["y"]
    numbers = x[..., 0] + 1j * x[..., 1]
    expected = np.fft.ifft(numbers) if inverse else np.fft.fft(numbers)
    np.testing.assert_allclose(
        y[..., 0] + 1j * y[..., 1], expected, atol=1e-6 * abs(expected).max()
    )
