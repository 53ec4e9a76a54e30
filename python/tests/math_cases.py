"""What the property tests of the operators that compute share: dtypes, versions, random inputs."""

import numpy as np
from side_by_side import check, dims

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
