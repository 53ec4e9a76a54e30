"""Matrix products, Einsum and Det beside ONNX Runtime.

Each case makes a one-node model from random shapes, attributes and dtypes and runs it here and in
ONNX Runtime. Cases that ONNX Runtime refuses are skipped; of the others we may refuse none.
"""

import numpy as np
import pytest
from math_cases import close, numbers
from side_by_side import check, dims, normal, pick, repeat


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
