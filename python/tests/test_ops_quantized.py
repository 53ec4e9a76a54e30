"""Quantize-/DequantizeLinear and the ops on integers beside ONNX Runtime.

Each case makes a one-node model from random shapes, attributes and dtypes and runs it here and in
ONNX Runtime. Cases that ONNX Runtime refuses are skipped; of the others we may refuse none.
"""

import numpy as np
from math_cases import numbers
from side_by_side import check, dims, normal, pick, repeat


def quantization(rng, shape, dtype, blocked):
    """Scale, zero point and attributes of a random granularity."""
    axis = int(rng.integers(0, len(shape)))
    attributes = {"axis": axis - pick(rng, 0, len(shape))}
    kind = pick(rng, "tensor", "axis", "block") if blocked else pick(rng, "tensor", "axis")
    if kind == "tensor":
        scale_shape, attributes = (), {}
    elif kind == "axis":
        scale_shape = (shape[axis],)
    else:
        block = int(rng.integers(1, shape[axis] + 1))
        scale_shape = list(shape)
        scale_shape[axis] = -(-shape[axis] // block)
        attributes["block_size"] = block
    scale = np.asarray(rng.random(scale_shape) * 0.2 + 0.01, np.float32)
    info = np.iinfo(dtype)
    zero = np.asarray(rng.integers(max(info.min, -300), min(info.max, 300) + 1, scale_shape), dtype)
    return scale, zero, attributes


def test_quantize_linear():
    def case(rng):
        shape = dims(rng, rng.integers(1, 5), 1, 12)
        opset = pick(rng, 13, 21)
        dtype = (
            pick(rng, np.uint8, np.int8)
            if opset < 21
            else pick(rng, np.uint8, np.int8, np.uint16, np.int16)
        )
        scale, zero, attributes = quantization(rng, shape, dtype, opset >= 21)
        x = numbers(rng, shape, np.float32) * np.float32(pick(rng, 1, 100))
        # Exact halves, where rounding shows.
        x = np.where(rng.random(shape) < 0.2, np.float32(2.5) * scale.ravel()[0], x)
        arrays = [x, scale] if rng.random() < 0.1 else [x, scale, zero]
        return check("QuantizeLinear", arrays, opset, **attributes)

    repeat(case, 18, 150)


def test_dequantize_linear():
    def case(rng):
        shape = dims(rng, rng.integers(1, 5), 1, 12)
        opset = pick(rng, 13, 21)
        dtype = (
            pick(rng, np.uint8, np.int8)
            if opset < 21
            else pick(rng, np.uint8, np.int8, np.uint16, np.int16)
        )
        scale, zero, attributes = quantization(rng, shape, dtype, opset >= 21)
        info = np.iinfo(dtype)
        x = rng.integers(info.min, info.max + 1, shape).astype(dtype)
        arrays = [x, scale] if rng.random() < 0.2 else [x, scale, zero]
        return check(
            "DequantizeLinear",
            arrays,
            opset,
            constants=pick(rng, (), (0, 1, 2)[: len(arrays)]),
            **attributes,
        )

    repeat(case, 19, 150)


def test_dequantize_int32():
    rng = np.random.default_rng(20)
    x = rng.integers(-(2**31), 2**31, (3, 5)).astype(np.int32)
    assert check("DequantizeLinear", [x, np.array([0.1, 0.2, 0.3], np.float32)], 13, axis=0)


def test_dynamic_quantize_linear():
    def case(rng):
        x = normal(rng, dims(rng, 2)) * 3 + pick(rng, -9, 0, 9)
        return check("DynamicQuantizeLinear", [x.astype(np.float32)], 11, outputs=3)

    repeat(case, 21)


def quantized(rng, shape, dtype):
    info = np.iinfo(dtype)
    return np.asarray(rng.integers(info.min, info.max + 1, shape), dtype)


def scales(rng, shape=()):
    return np.asarray(rng.random(shape) * 0.05 + 0.01, np.float32)


def test_matmul_integer():
    def case(rng):
        m, k, n = dims(rng, 3, 1, pick(rng, 4, 40))
        lead = dims(rng, rng.integers(0, 3), 1, 3)
        kinds = pick(
            rng, (np.uint8, np.uint8), (np.uint8, np.int8), (np.int8, np.int8), (np.int8, np.uint8)
        )
        a, b = quantized(rng, (*lead, m, k), kinds[0]), quantized(rng, (k, n), kinds[1])
        zeros = [quantized(rng, (), kinds[0]), quantized(rng, pick(rng, (), (n,)), kinds[1])]
        return check("MatMulInteger", [a, b, *zeros[: rng.integers(0, 3)]], 10)

    repeat(case, 22)


def test_qlinear_matmul():
    def case(rng):
        m, k, n = dims(rng, 3, 1, pick(rng, 4, 40))
        lead = dims(rng, rng.integers(0, 2), 1, 3)
        x, w = pick(rng, (np.uint8, np.uint8), (np.uint8, np.int8), (np.int8, np.int8))
        per = pick(rng, (), (n,))
        arrays = [
            *(quantized(rng, (*lead, m, k), x), scales(rng), quantized(rng, (), x)),
            *(quantized(rng, (k, n), w), scales(rng, per), quantized(rng, per, w)),
            *(scales(rng) * np.float32(k), quantized(rng, (), x)),
        ]
        arrays[6] = np.asarray(arrays[6])
        return check("QLinearMatMul", arrays, pick(rng, 10, 21), constants=(3, 4, 5))

    repeat(case, 23)


def convolution(rng):
    """Shapes of data and weights, and the attributes of a convolution."""
    spatial = int(rng.integers(1, 3))
    group = int(rng.integers(1, 4))
    channels, filters = group * int(rng.integers(1, 4)), group * int(rng.integers(1, 4))
    kernel = dims(rng, spatial, 1, 3)
    x = (int(rng.integers(1, 3)), channels, *dims(rng, spatial, 5, 9))
    attributes = {
        "group": group,
        "strides": list(dims(rng, spatial, 1, 2)),
        "dilations": list(dims(rng, spatial, 1, 2)),
    }
    if rng.random() < 0.5:
        attributes["pads"] = list(dims(rng, 2 * spatial, 0, 2))
    return x, (filters, channels // group, *kernel), attributes


def test_conv_integer():
    def case(rng):
        x, w, attributes = convolution(rng)
        zeros = [quantized(rng, (), np.uint8), quantized(rng, (), np.uint8)]
        arrays = [
            quantized(rng, x, np.uint8),
            quantized(rng, w, np.uint8),
            *zeros[: rng.integers(0, 3)],
        ]
        return check("ConvInteger", arrays, 10, **attributes)

    repeat(case, 24)


def test_qlinear_conv():
    def case(rng):
        x, w, attributes = convolution(rng)
        kinds = pick(rng, (np.uint8, np.uint8), (np.uint8, np.int8), (np.int8, np.int8))
        per = pick(rng, (), (w[0],))
        zero = (
            np.zeros(per, np.int8)
            if kinds[1] == np.int8
            else np.full(per, rng.integers(0, 255), np.uint8)
        )
        arrays = [
            *(quantized(rng, x, kinds[0]), scales(rng), quantized(rng, (), kinds[0])),
            *(quantized(rng, w, kinds[1]), scales(rng, per), zero),
            *(np.asarray(scales(rng) * 9), quantized(rng, (), kinds[0])),
        ]
        arrays[6] = np.asarray(arrays[6], np.float32)
        if rng.random() < 0.5:
            arrays.append(np.asarray(rng.integers(-9000, 9000, w[0]), np.int32))
        return check(
            "QLinearConv", arrays, 10, constants=tuple(range(3, len(arrays))), **attributes
        )

    repeat(case, 25)
