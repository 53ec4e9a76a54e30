"""Side-by-side property tests of convolution and pooling; see side_by_side.py."""

import numpy as np
import pytest
from side_by_side import OPSETS, check, dims, ints, normal, pick, repeat


def window(rng, spatial, kernel):
    """Strides and pads, or auto_pad, for a window of shape `kernel`."""
    attributes = {"strides": [int(n) for n in rng.integers(1, 4, spatial)]}
    auto_pad = pick(rng, "NOTSET", "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID")
    if auto_pad != "NOTSET":
        return {**attributes, "auto_pad": auto_pad}
    attributes["pads"] = [int(rng.integers(0, k)) for k in (*kernel, *kernel)]
    return attributes


def test_conv():
    def case(rng):
        spatial = int(rng.integers(1, 4))
        kernel = dims(rng, spatial, 1, 3)
        groups = int(rng.integers(1, 4))
        channels, filters = groups * int(rng.integers(1, 4)), groups * int(rng.integers(1, 4))
        attributes = window(rng, spatial, kernel)
        if "auto_pad" not in attributes:
            attributes["dilations"] = [int(n) for n in rng.integers(1, 3, spatial)]
        arrays = [
            normal(rng, (int(rng.integers(1, 3)), channels, *dims(rng, spatial, 5, 9))),
            normal(rng, (filters, channels // groups, *kernel)),
        ]
        if rng.random() < 0.5:
            arrays.append(normal(rng, (filters,)))
        constants = pick(rng, (), (1,))
        return check(
            "Conv", arrays, pick(rng, *OPSETS), 1, False, constants, group=groups, **attributes
        )

    repeat(case, 15, 150)


def pool_case(op, rng, **more):
    spatial = int(rng.integers(1, 4))
    kernel = dims(rng, spatial, 1, 4)
    opset = pick(rng, *OPSETS)
    attributes = {"kernel_shape": kernel, **window(rng, spatial, kernel), **more}
    free = "auto_pad" not in attributes
    if free and rng.random() < 0.5 and (op != "LpPool" or opset >= 18):
        attributes["ceil_mode"] = 1
    dilated = {"MaxPool": 10, "AveragePool": 19, "LpPool": 18}[op]
    if free and opset >= dilated and rng.random() < 0.5:
        attributes["dilations"] = [int(n) for n in rng.integers(1, 3, spatial)]
    return normal(rng, (*dims(rng, 2, 1, 3), *dims(rng, spatial, 7, 11))), opset, attributes


def test_max_pool():
    def case(rng):
        x, opset, attributes = pool_case("MaxPool", rng)
        if rng.random() < 0.3:
            x = (x * 50).astype(pick(rng, np.int8, np.uint8, np.float64))
            opset = max(opset, 12)
        outputs = pick(rng, 1, 2)
        order = {"storage_order": pick(rng, 0, 1)} if outputs == 2 else {}
        return check("MaxPool", [x], opset, outputs, **order, **attributes)

    repeat(case, 16, 150)


def test_average_pool():
    def case(rng):
        x, opset, attributes = pool_case("AveragePool", rng, count_include_pad=pick(rng, 0, 1))
        return check("AveragePool", [x], opset, 1, False, **attributes)

    repeat(case, 17, 150)


def test_lp_pool():
    def case(rng):
        x, opset, attributes = pool_case("LpPool", rng, p=pick(rng, 1, 2, 3))
        # Where strides pass over elements, ONNX Runtime's LpPool alone makes SAME_UPPER cut them.
        if attributes.get("auto_pad") == "SAME_UPPER":
            return False
        return check("LpPool", [x], opset, 1, False, **attributes)

    repeat(case, 18, 100)


@pytest.mark.parametrize("op", ["GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"])
def test_global_pools(op):
    def case(rng):
        x = normal(rng, dims(rng, rng.integers(3, 6), 1, 7))
        return check(op, [x], pick(rng, *OPSETS), 1, False)

    repeat(case, 19, 30)


def test_max_unpool():
    def case(rng):
        n = int(rng.integers(2, 4))
        x = normal(rng, (1, 2, n, n))
        places = rng.permutation(2 * 2 * n * 2 * n)[: x.size].reshape(x.shape)
        arrays = [x, ints(places)]
        return check("MaxUnpool", arrays, 11, kernel_shape=[2, 2], strides=[2, 2])

    repeat(case, 20, 20)


def test_conv_transpose():
    def case(rng):
        spatial = int(rng.integers(1, 4))
        kernel = dims(rng, spatial, 1, 4)
        groups = int(rng.integers(1, 4))
        channels, per_group = groups * int(rng.integers(1, 4)), int(rng.integers(1, 4))
        strides = [int(n) for n in rng.integers(1, 4, spatial)]
        attributes = {"strides": strides, "group": groups}
        extents = dims(rng, spatial, 3, 6)
        auto_pad = pick(rng, "NOTSET", "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID")
        if auto_pad != "NOTSET":
            attributes["auto_pad"] = auto_pad
        else:
            attributes["dilations"] = [int(n) for n in rng.integers(1, 3, spatial)]
            attributes["pads"] = [int(rng.integers(0, k)) for k in (*kernel, *kernel)]
            attributes["output_padding"] = [int(rng.integers(0, s)) for s in strides]
        if "SAME" in auto_pad and any(k < s for k, s in zip(kernel, strides, strict=True)):
            return False  # refused: ONNX Runtime and the specification differ
        if auto_pad == "NOTSET" and rng.random() < 0.3:
            attributes["output_shape"] = [n * s for n, s in zip(extents, strides, strict=True)]
        arrays = [
            normal(rng, (int(rng.integers(1, 3)), channels, *extents)),
            normal(rng, (channels, per_group, *kernel)),
        ]
        if rng.random() < 0.5:
            arrays.append(normal(rng, (groups * per_group,)))
        return check("ConvTranspose", arrays, pick(rng, *OPSETS), 1, False, **attributes)

    repeat(case, 21, 150)


def test_deform_conv():
    def case(rng):
        kernel = dims(rng, 2, 1, 3)
        strides, dilations = (tuple(int(n) for n in rng.integers(1, 3, 2)) for _ in range(2))
        pads = [int(n) for n in rng.integers(0, 3, 4)]
        groups, offset_groups = int(rng.integers(1, 3)), int(rng.integers(1, 3))
        channels = groups * offset_groups * int(rng.integers(1, 3))
        filters, images = groups * int(rng.integers(1, 4)), int(rng.integers(1, 3))
        extents = dims(rng, 2, 5, 9)
        places = tuple(
            (n + pads[i] + pads[i + 2] - (kernel[i] - 1) * dilations[i] - 1) // strides[i] + 1
            for i, n in enumerate(extents)
        )
        taps = offset_groups * kernel[0] * kernel[1]
        arrays = [
            normal(rng, (images, channels, *extents)),
            normal(rng, (filters, channels // groups, *kernel)),
            normal(rng, (images, 2 * taps, *places)) * 2,
            normal(rng, (filters,)) if rng.random() < 0.5 else None,
        ]
        if rng.random() < 0.5:
            arrays.append(rng.random((images, taps, *places)).astype(np.float32))
        return check(
            "DeformConv",
            arrays,
            pick(rng, 19, 22),
            1,
            False,
            kernel_shape=kernel,
            strides=strides,
            dilations=dilations,
            pads=pads,
            group=groups,
            offset_group=offset_groups,
        )

    repeat(case, 8, 60)
