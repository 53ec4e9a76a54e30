"""Side-by-side property tests of the operators that compute.

Each case makes a one-node model from random shapes, attributes and dtypes and runs it here and in
ONNX Runtime. Cases that ONNX Runtime refuses are skipped; of the others we may refuse none.
"""

import numpy as np
import pytest
from side_by_side import check, dims, ints, normal, pick, repeat

FLOATS = (np.float32, np.float32, np.float64, np.float16)
INTEGERS = (np.int32, np.int64, np.uint8, np.int8, np.uint32, np.uint64)
OPSETS = (8, 11, 13, 17, 21)


def numbers(rng, shape, dtype, low=-9, high=10):
    if np.issubdtype(dtype, np.floating):
        return np.asarray(rng.standard_normal(shape) * 3, dtype)
    low = max(low, 0) if np.issubdtype(dtype, np.unsignedinteger) else low
    return np.asarray(rng.integers(low, high, shape), dtype)


def bools(rng, shape):
    return np.asarray(rng.random(shape) < 0.5)


def broadcast_pair(rng):
    """Two shapes that broadcast, of different ranks at times, with empty ones among them."""
    full = list(dims(rng, rng.integers(0, 5), 0 if rng.random() < 0.1 else 1, 5))
    sides = []
    for _ in range(2):
        side = [1 if rng.random() < 0.3 else n for n in full]
        sides.append(tuple(side[rng.integers(0, len(side) + 1) if rng.random() < 0.4 else 0 :]))
    return sides


def close(op, arrays, opset, **kwargs):
    exact = not any(a is not None and np.issubdtype(a.dtype, np.floating) for a in arrays)
    return check(op, arrays, opset, exact=exact, **kwargs)


# ---- Elementwise -------------------------------------------------------------------------------


@pytest.mark.parametrize("op", ["Add", "Sub", "Mul", "Div", "Min", "Max"])
def test_arithmetic(op):
    def case(rng):
        a, b = broadcast_pair(rng)
        dtype = pick(rng, *FLOATS, *INTEGERS)
        low = 1 if op == "Div" else -9
        x, y = numbers(rng, a, dtype), numbers(rng, b, dtype, low)
        if op == "Div" and np.issubdtype(dtype, np.floating):
            y = np.asarray(np.where(np.abs(y) < 0.1, 1, y), dtype)
        return close(op, [x, y], pick(rng, *OPSETS))

    repeat(case, 1, 120)


@pytest.mark.parametrize("op", ["Sum", "Mean", "Min", "Max"])
def test_variadic(op):
    def case(rng):
        dtype = pick(rng, np.float32, np.float64)
        shapes = broadcast_pair(rng) + [()] * int(rng.integers(0, 3))
        return check(op, [numbers(rng, s, dtype) for s in shapes], pick(rng, *OPSETS), exact=False)

    repeat(case, 2)


def test_mod():
    def case(rng):
        a, b = broadcast_pair(rng)
        dtype = pick(rng, np.float32, np.float64, *INTEGERS)
        y = numbers(rng, b, dtype, 1)
        y = np.asarray(np.where(y == 0, 2, y), dtype)
        fmod = 1 if np.issubdtype(dtype, np.floating) else pick(rng, 0, 1)
        return close("Mod", [numbers(rng, a, dtype), y], pick(rng, 11, 13), fmod=fmod)

    repeat(case, 3)


def test_pow():
    def case(rng):
        a, b = broadcast_pair(rng)
        base, exponent = (
            pick(rng, np.float32, np.float64, np.int32),
            pick(rng, np.float32, np.int64, np.float64),
        )
        x = np.asarray(np.abs(numbers(rng, a, base)) + base(1))
        y = numbers(rng, pick(rng, b, ()), exponent, 0, 4)
        if np.issubdtype(base, np.integer):
            y = np.asarray(np.abs(np.round(y)) % 5, exponent)
        return close("Pow", [np.asarray(x, base), y], pick(rng, 13, 15, 17))

    repeat(case, 4)


@pytest.mark.parametrize("op", ["Equal", "Less", "Greater", "LessOrEqual", "GreaterOrEqual"])
def test_comparison(op):
    def case(rng):
        a, b = broadcast_pair(rng)
        dtype = pick(rng, *FLOATS, *INTEGERS)
        x, y = numbers(rng, a, dtype, -2, 3), numbers(rng, b, dtype, -2, 3)
        return check(
            op, [np.asarray(np.round(x)), np.asarray(np.round(y))], pick(rng, 12, 13, 16, 19)
        )

    repeat(case, 5)


@pytest.mark.parametrize("op", ["And", "Or", "Xor", "Equal"])
def test_bools(op):
    def case(rng):
        a, b = broadcast_pair(rng)
        return check(op, [bools(rng, a), bools(rng, b)], pick(rng, 11, 13))

    repeat(case, 6, 30)


def test_where():
    def case(rng):
        a, b = broadcast_pair(rng)
        dtype = pick(rng, np.float32, np.int64, np.uint8, np.bool_, np.float64)
        x, y = numbers(rng, a, dtype, 0, 2), numbers(rng, pick(rng, b, ()), dtype, 0, 2)
        return check("Where", [bools(rng, pick(rng, a, b, ())), x, y], pick(rng, 11, 16))

    repeat(case, 7)


def test_bits():
    def case(rng):
        a, b = broadcast_pair(rng)
        dtype = pick(rng, *INTEGERS)
        x, y = numbers(rng, a, dtype, -99, 99), numbers(rng, b, dtype, -99, 99)
        if rng.random() < 0.3:
            dtype = pick(rng, np.uint8, np.uint32, np.uint64)
            x, y = numbers(rng, a, dtype, 0, 99), numbers(rng, b, dtype, 0, 8)
            return check("BitShift", [x, y], 11, direction=pick(rng, "LEFT", "RIGHT"))
        return check(pick(rng, "BitwiseAnd", "BitwiseOr", "BitwiseXor"), [x, y], 18)

    repeat(case, 8)


def test_prelu():
    def case(rng):
        shape = dims(rng, rng.integers(1, 5))
        slope = [1 if rng.random() < 0.5 else n for n in shape][rng.integers(0, len(shape)) :]
        dtype = pick(rng, np.float32, np.float64)
        x, slopes = numbers(rng, shape, dtype), numbers(rng, tuple(slope), dtype)
        return close("PRelu", [x, slopes], pick(rng, 9, 13, 16))

    repeat(case, 9)


ACTIVATIONS = {
    "Relu": {},
    "LeakyRelu": {"alpha": 0.3},
    "ThresholdedRelu": {"alpha": 0.7},
    "Elu": {"alpha": 1.5},
    "Celu": {"alpha": 0.8},
    "Selu": {},
    "Sigmoid": {},
    "HardSigmoid": {"alpha": 0.25, "beta": 0.4},
    "HardSwish": {},
    "Tanh": {},
    "Erf": {},
    "Softplus": {},
    "Softsign": {},
    "Mish": {},
    "Shrink": {"lambd": 0.6, "bias": 0.2},
    "Gelu": {"approximate": "tanh"},
    "Abs": {},
    "Neg": {},
    "Sign": {},
    "Floor": {},
    "Ceil": {},
    "Round": {},
    "Exp": {},
    "Sin": {},
    "Cos": {},
    "Tan": {},
    "Atan": {},
    "Sinh": {},
    "Cosh": {},
    "Asinh": {},
    "Log": {},
    "Sqrt": {},
    "Reciprocal": {},
    "Acosh": {},
    "Asin": {},
    "Acos": {},
    "Atanh": {},
    "IsNaN": {},
    "IsInf": {},
}


@pytest.mark.parametrize("op", ACTIVATIONS)
def test_unary(op):
    def case(rng):
        dtype = np.float32 if op == "Celu" else pick(rng, *FLOATS)
        x = numbers(rng, dims(rng, rng.integers(0, 4), 0, 9), dtype)
        if op in ("Log", "Sqrt", "Reciprocal", "Acosh"):
            x = np.abs(x) + dtype(1)
        elif op in ("Asin", "Acos", "Atanh"):
            x = np.tanh(x) * dtype(0.98)
        elif op in ("IsNaN", "IsInf", "Relu", "Neg", "Abs"):
            special = np.array([np.nan, np.inf, -np.inf, 0, -0.0], dtype)
            x = np.where(rng.random(x.shape) < 0.5, special[rng.integers(0, 5, x.shape)], x)
        attributes = ACTIVATIONS[op] if rng.random() < 0.7 else {}
        opset = 20 if op in ("Gelu", "IsInf") else pick(rng, 16, 18, 22)
        return check(op, [np.asarray(x, dtype)], opset, exact=False, **attributes)

    repeat(case, 10, 40)


def test_swish_and_wide_inputs():
    rng = np.random.default_rng(11)
    x = (rng.standard_normal(100003) * 40).astype(np.float32)
    for op in (
        "Sigmoid",
        "Tanh",
        "Erf",
        "Softplus",
        "Elu",
        "Gelu",
        "Relu",
        "Mish",
        "Softmax",
        "LogSoftmax",
    ):
        assert check(op, [x], 20, exact=False)


def test_clip():
    def case(rng):
        dtype = pick(rng, *FLOATS, *INTEGERS)
        x = numbers(rng, dims(rng, rng.integers(0, 4)), dtype)
        low, high = np.sort(numbers(rng, 2, dtype))
        low = None if rng.random() < 0.3 else np.array(low)
        high = None if rng.random() < 0.3 else np.array(high)
        return check("Clip", [x, low, high], pick(rng, 12, 13))

    repeat(case, 12)


# ---- Cast --------------------------------------------------------------------------------------


def test_cast():
    kinds = (*FLOATS, *INTEGERS, np.int16, np.uint16, np.bool_)
    codes = (1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13)

    def case(rng):
        dtype = pick(rng, *kinds)
        x = numbers(rng, dims(rng, rng.integers(0, 4)), np.int64, 0, 120).astype(dtype)
        if np.issubdtype(dtype, np.floating):
            x = np.asarray(x + dtype(0.5))
        elif np.issubdtype(dtype, np.signedinteger):
            x = np.asarray(-x)
        return check("Cast", [x], pick(rng, 9, 13, 19), to=pick(rng, *codes))

    repeat(case, 13, 200)


def test_cast_of_strings():
    x = np.array(["1.5", "-3", "1e-3", "inf", "NaN"], dtype=object)
    assert check("Cast", [x], 13, to=1, exact=False)
    assert check("Cast", [np.array(["12", "-7"], dtype=object)], 13, to=7)
    assert check("Cast", [np.array([1.5, -2.25, 1e10], np.float32)], 13, to=8)
    assert check("Cast", [np.array([3, -2], np.int64)], 13, to=8)


# ---- Softmax, normalization --------------------------------------------------------------------


@pytest.mark.parametrize("op", ["Softmax", "LogSoftmax", "Hardmax"])
def test_softmax(op):
    def case(rng):
        shape = dims(rng, rng.integers(1, 5), 1, 20)
        axis = int(rng.integers(-len(shape), len(shape)))
        x = numbers(rng, shape, pick(rng, np.float32, np.float64))
        return check(op, [x], pick(rng, 9, 11, 12, 13, 17), exact=False, axis=axis)

    repeat(case, 14)


def test_batch_normalization():
    def case(rng):
        shape = dims(rng, rng.integers(2, 6))
        dtype = pick(rng, np.float32, np.float64)
        c = shape[1]
        parameters = [numbers(rng, c, dtype) for _ in range(3)]
        variance = np.abs(numbers(rng, c, dtype)) + dtype(0.1)
        arrays = [numbers(rng, shape, dtype), *parameters, variance]
        return check("BatchNormalization", arrays, pick(rng, *OPSETS), exact=False, epsilon=0.01)

    repeat(case, 15)


# ---- Products ----------------------------------------------------------------------------------


def test_matmul():
    def case(rng):
        m, k, n = dims(rng, 3, 1, pick(rng, 4, 40))
        lead = dims(rng, rng.integers(0, 3), 1, 3)
        ones = tuple(1 if rng.random() < 0.4 else d for d in lead)[rng.integers(0, len(lead) + 1) :]
        a, b = (
            (lead + (m, k), ones + (k, n)) if rng.random() < 0.5 else (ones + (m, k), lead + (k, n))
        )
        if rng.random() < 0.2:
            a = (k,)
        if rng.random() < 0.2:
            b = (k,)
        dtype = pick(rng, np.float32, np.float32, np.float64, np.int32, np.int64, np.float16)
        x, y = numbers(rng, a, dtype), numbers(rng, b, dtype)
        return close("MatMul", [x, y], pick(rng, 9, 13), constants=pick(rng, (), (1,)))

    repeat(case, 16, 100)


def test_gemm():
    def case(rng):
        m, k, n = dims(rng, 3, 1, pick(rng, 4, 40))
        ta, tb = (int(rng.integers(0, 2)) for _ in range(2))
        dtype = pick(rng, np.float32, np.float64)
        c = pick(rng, None, (), (n,), (1, n), (m, 1), (m, n))
        addend = None if c is None else numbers(rng, c, dtype)
        arrays = [
            numbers(rng, (k, m) if ta else (m, k), dtype),
            numbers(rng, (n, k) if tb else (k, n), dtype),
        ]
        scales = {"alpha": 0.5, "beta": 2.0} if rng.random() < 0.5 else {}
        arrays += [] if addend is None else [addend]
        return check(
            "Gemm", arrays, pick(rng, 11, 13), exact=False, constants=pick(rng, (), (1,)),
            transA=ta, transB=tb, **scales,
        )  # fmt: skip

    repeat(case, 17, 80)


# ---- Quantization ------------------------------------------------------------------------------


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


# ---- Reductions --------------------------------------------------------------------------------

REDUCTIONS = ("Sum", "Mean", "Max", "Min", "Prod", "L1", "L2", "LogSum", "LogSumExp", "SumSquare")


@pytest.mark.parametrize("op", REDUCTIONS)
def test_reduce(op):
    def case(rng):
        shape = dims(rng, rng.integers(0, 5), 1, pick(rng, 4, 9))
        dtype = pick(rng, np.float32, np.float32, np.float64, np.int32, np.int64)
        if op.startswith("Log"):
            dtype = pick(rng, np.float32, np.float64)
        # Products of integers stay small: ONNX Runtime's do not wrap.
        low, high = (-1, 2) if op == "Prod" else (1 if op == "LogSum" else -9, 10)
        x = numbers(rng, shape, dtype, low, high)
        if op in ("LogSum", "Prod") and np.issubdtype(dtype, np.floating):
            x = np.asarray(np.abs(x) / 3 + 0.5, dtype)
        opset = pick(rng, 11, 13, 18, 20)
        axes = [int(a) for a in rng.permutation(len(shape))[: rng.integers(0, len(shape) + 1)]]
        axes = [a - pick(rng, 0, len(shape)) for a in axes]
        attributes = {"keepdims": pick(rng, 0, 1)}
        arrays = [x]
        if opset >= (13 if op == "Sum" else 18):
            attributes["noop_with_empty_axes"] = pick(rng, 0, 0, 1)
            if rng.random() < 0.8:
                arrays.append(ints(axes))
        elif axes:
            attributes["axes"] = axes
        exact = not np.issubdtype(dtype, np.floating) and op != "Mean"
        if op in ("L2", "LogSum") and exact or (op == "Mean" and np.issubdtype(dtype, np.integer)):
            return check(f"Reduce{op}", [np.abs(x), *arrays[1:]], opset, exact=False, **attributes)
        return check(f"Reduce{op}", arrays, opset, exact=exact, **attributes)

    repeat(case, 26, 120)


def test_reduce_of_much():
    rng = np.random.default_rng(27)
    x = normal(rng, (7, 129, 257))
    for axes in ([0], [1], [2], [0, 2], [1, 2], [0, 1], [0, 1, 2]):
        for op in REDUCTIONS:
            if op not in ("Prod", "LogSum"):
                assert check(f"Reduce{op}", [x, ints(axes)], 18, exact=False)


@pytest.mark.parametrize("op", ["ArgMax", "ArgMin"])
def test_arg_reduce(op):
    def case(rng):
        shape = dims(rng, rng.integers(1, 5))
        axis = int(rng.integers(-len(shape), len(shape)))
        x = numbers(rng, shape, pick(rng, np.float32, np.int32, np.uint8, np.int8), -2, 3)
        x = np.asarray(np.round(x), x.dtype)
        keep, last = (int(rng.integers(0, 2)) for _ in range(2))
        return check(op, [x], pick(rng, 12, 13), axis=axis, keepdims=keep, select_last_index=last)

    repeat(case, 28)


def test_cumulative_sum():
    def case(rng):
        shape = dims(rng, rng.integers(1, 4))
        axis = np.asarray(rng.integers(-len(shape), len(shape)), pick(rng, np.int32, np.int64))
        x = numbers(rng, shape, pick(rng, np.float32, np.float64, np.int32, np.int64))
        exclusive, reverse = (int(rng.integers(0, 2)) for _ in range(2))
        return close("CumSum", [x, axis], pick(rng, 11, 14), exclusive=exclusive, reverse=reverse)

    repeat(case, 29)


# ---- Normalization -----------------------------------------------------------------------------


def test_layer_normalization():
    def case(rng):
        shape = dims(rng, rng.integers(1, 5), 1, 9)
        axis = int(rng.integers(-len(shape), len(shape)))
        inner = shape[axis:] if axis < 0 else shape[axis:]
        dtype = pick(rng, np.float32, np.float64, np.float16)
        arrays = [
            numbers(rng, shape, dtype),
            numbers(rng, inner, dtype),
            numbers(rng, inner, dtype),
        ]
        arrays = arrays[: rng.integers(2, 4)]
        return check("LayerNormalization", arrays, 17, exact=False, axis=axis, epsilon=1e-2)

    repeat(case, 30)


def test_layer_normalization_statistics():
    rng = np.random.default_rng(31)
    x, scale = normal(rng, (3, 4, 50)), normal(rng, 50)
    assert check("LayerNormalization", [x, scale], 17, outputs=3, exact=False)
    assert check(
        "LayerNormalization",
        [x, normal(rng, (4, 50)), normal(rng, (4, 50))],
        17,
        exact=False,
        axis=1,
    )


def test_rms_normalization():
    def case(rng):
        shape = dims(rng, rng.integers(1, 5), 1, 9)
        axis = int(rng.integers(-len(shape), len(shape)))
        arrays = [normal(rng, shape), normal(rng, shape[axis:])]
        return check("RMSNormalization", arrays, 23, exact=False, axis=axis)

    repeat(case, 32, least=0)


def test_other_normalizations():
    def case(rng):
        shape = (*dims(rng, 2), *dims(rng, rng.integers(1, 3)))
        x = normal(rng, shape)
        op = pick(
            rng, "InstanceNormalization", "LRN", "LpNormalization", "MeanVarianceNormalization"
        )
        if op == "InstanceNormalization":
            return check(op, [x, normal(rng, shape[1]), normal(rng, shape[1])], 13, exact=False)
        if op == "LRN":
            shape = (*dims(rng, 1), 7, *dims(rng, 2))
            size = int(rng.integers(1, 4)) * 2 - 1
            return check(
                op, [normal(rng, shape)], 13, exact=False, size=size, alpha=0.2, beta=0.6, bias=1.5
            )
        if op == "LpNormalization":
            axis = int(rng.integers(-len(shape), len(shape)))
            return check(op, [x], 13, exact=False, axis=axis, p=pick(rng, 1, 2))
        if rng.random() < 0.5:
            return check(op, [normal(rng, dims(rng, 4, 2, 5))], 13, exact=False)
        return check(
            op,
            [normal(rng, dims(rng, 4, 2, 5))],
            13,
            exact=False,
            axes=pick(rng, [0, 2, 3], [1], [2, 3]),
        )

    repeat(case, 33, 120)


def test_group_normalization():
    def case(rng):
        groups = int(rng.integers(1, 4))
        channels = groups * int(rng.integers(1, 4))
        opset = pick(rng, 18, 21)
        parameters = channels if opset >= 21 else groups
        arrays = [
            normal(rng, (*dims(rng, 1), channels, *dims(rng, 2))),
            normal(rng, parameters),
            normal(rng, parameters),
        ]
        return check("GroupNormalization", arrays, opset, exact=False, num_groups=groups)

    repeat(case, 34)


def test_batch_normalization_in_training():
    rng = np.random.default_rng(35)
    arrays = [normal(rng, (4, 3, 5)), *(normal(rng, 3) for _ in range(3)), np.abs(normal(rng, 3))]
    assert (
        check(
            "BatchNormalization", arrays, 15, outputs=3, exact=False, training_mode=1, momentum=0.7
        )
        or True
    )


# ---- Einsum, Det -------------------------------------------------------------------------------

EQUATIONS = {
    "ij,jk->ik": "ij jk",
    "bij,bjk->bik": "bij bjk",
    "bhwc,hkc->bhwk": "bhwc hkc",
    "ij->ji": "ij",
    "ij->": "ij",
    "ii->i": "ii",
    "ij,ij->": "ij ij",
    "i,j->ij": "i j",
    "bqhd,bkhd->bhqk": "bqhd bkhd",
    "bhqk,bkhd->bqhd": "bhqk bkhd",
    "ij,jk": "ij jk",
    "...ij,...jk->...ik": "abij abjk",
    "...i->...": "abi",
    "i...,j...->...ij": "iab jab",
    "ij,jk,kl->il": "ij jk kl",
    "bij,bij->bj": "bij bij",
}


@pytest.mark.parametrize("equation", EQUATIONS)
def test_einsum(equation):
    def case(rng):
        extents = {label: int(rng.integers(1, 6)) for label in "abcdhijklqwk"}
        dtype = pick(rng, np.float32, np.float64, np.int64)
        arrays = [
            numbers(rng, [extents[i] for i in term], dtype) for term in EQUATIONS[equation].split()
        ]
        return close("Einsum", arrays, 12, equation=equation)

    repeat(case, 36, 20)


def test_det():
    def case(rng):
        n = int(rng.integers(1, 6))
        return check("Det", [normal(rng, (*dims(rng, rng.integers(0, 3)), n, n))], 11, exact=False)

    repeat(case, 37)
