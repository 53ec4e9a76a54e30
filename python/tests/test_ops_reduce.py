"""Reductions and CumSum beside ONNX Runtime.

Each case makes a one-node model from random shapes, attributes and dtypes and runs it here and in
ONNX Runtime. Cases that ONNX Runtime refuses are skipped; of the others we may refuse none.
"""

import numpy as np
import pytest
from math_cases import close, numbers
from side_by_side import check, dims, ints, normal, pick, repeat

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
