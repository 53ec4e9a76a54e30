"""Elementwise ops and Cast beside ONNX Runtime.

Each case makes a one-node model from random shapes, attributes and dtypes and runs it here and in
ONNX Runtime. Cases that ONNX Runtime refuses are skipped; of the others we may refuse none.
"""

import numpy as np
import pytest
from math_cases import FLOATS, INTEGERS, OPSETS, bools, broadcast_pair, close, numbers
from side_by_side import check, dims, pick, repeat


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


@pytest.mark.parametrize("op", ["Sign", "Shrink", "ThresholdedRelu", "Relu", "Clip", "Abs"])
def test_nan_goes_where_the_specification_sends_it(op):
    x = np.array([np.nan, 3, -2, 0.25, -np.inf, np.nan], np.float32)
    assert check(op, [x], 13)
