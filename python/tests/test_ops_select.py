"""Side-by-side property tests of the operators that scatter, select and generate."""

import numpy as np
from side_by_side import OPSETS, check, data, dims, ints, normal, pick, repeat


def reduction(rng, opset):
    kinds = ["none", "add", "mul"] + (["min", "max"] if opset >= 18 else [])
    return {"reduction": pick(rng, *kinds)} if opset >= 16 else {}


def test_scatter_elements():
    def case(rng):
        shape = dims(rng, rng.integers(1, 4), 1, 5)
        axis = int(rng.integers(-len(shape), len(shape)))
        picked = [int(rng.integers(1, n + 1)) for n in shape]
        opset = pick(rng, *OPSETS)
        kind = reduction(rng, opset)
        indices = rng.integers(-shape[axis], shape[axis], picked)
        if kind.get("reduction", "none") == "none":  # without it, places must differ
            line = rng.permutation(shape[axis])[: picked[axis]]
            indices = np.broadcast_to(
                np.expand_dims(line, [i for i in range(len(shape)) if i != axis % len(shape)]),
                picked,
            )
        dtype = pick(rng, np.float32, np.int64, np.float64, np.int32)
        arrays = [data(rng, shape, dtype), ints(indices), data(rng, picked, dtype)]
        return check("ScatterElements", arrays, opset, axis=axis, **kind)

    repeat(case, 1, 100)


def test_scatter_nd():
    def case(rng):
        shape = dims(rng, rng.integers(1, 4), 1, 5)
        depth = int(rng.integers(1, len(shape) + 1))
        opset = pick(rng, *OPSETS)
        kind = reduction(rng, opset)
        places = np.stack(np.unravel_index(np.arange(np.prod(shape[:depth])), shape[:depth]), -1)
        count = int(rng.integers(1, len(places) + 1))
        indices = rng.permutation(places)[:count]
        dtype = pick(rng, np.float32, np.int64)
        updates = data(rng, (count, *shape[depth:]), dtype)
        return check("ScatterND", [data(rng, shape, dtype), ints(indices), updates], opset, **kind)

    repeat(case, 2, 100)


def test_one_hot():
    def case(rng):
        shape = dims(rng, rng.integers(0, 3), 1, 4)
        depth = int(rng.integers(1, 6))
        axis = int(rng.integers(-len(shape) - 1, len(shape) + 1))
        indices = rng.integers(-depth - 1, depth + 2, shape)
        values = data(rng, (2,), pick(rng, np.float32, np.int64))
        arrays = [ints(indices), np.asarray(depth, np.int64), values]
        return check("OneHot", arrays, pick(rng, *OPSETS), axis=axis, constants=pick(rng, (), (1,)))

    repeat(case, 3)


def test_range():
    def case(rng):
        dtype = pick(rng, np.float32, np.float64, np.int32, np.int64, np.int16)
        start, limit = rng.integers(-20, 20, 2)
        delta = pick(rng, 1, 2, 3, -1, -4)
        arrays = [np.asarray(n).astype(dtype) for n in (start, limit, delta)]
        return check("Range", arrays, pick(rng, *OPSETS), constants=pick(rng, (), (0, 1, 2)))

    repeat(case, 4)


def test_eye_like_and_trilu():
    def case(rng):
        x = data(rng, dims(rng, 2, 0, 5), pick(rng, np.float32, np.int64))
        taken = check("EyeLike", [x], 13, k=int(rng.integers(-6, 6)))
        shape = dims(rng, rng.integers(2, 4), 0, 5)
        dtype = pick(rng, np.float32, np.int64, np.bool_)
        arrays = [data(rng, shape, dtype)]
        if rng.random() < 0.7:
            arrays.append(np.asarray(rng.integers(-7, 7), np.int64))
        return check("Trilu", arrays, 14, upper=pick(rng, 0, 1)) or taken

    repeat(case, 5)


def test_non_zero_and_compress():
    def case(rng):
        shape = dims(rng, rng.integers(1, 4), 0, 4)
        x = (data(rng, shape) % 3).astype(pick(rng, np.float32, np.int64, np.bool_))
        taken = check("NonZero", [x], 13)
        axis = {} if rng.random() < 0.3 else {"axis": int(rng.integers(-len(shape), len(shape)))}
        length = shape[axis["axis"]] if axis else int(np.prod(shape))
        condition = rng.random(int(rng.integers(0, length + 1))) < 0.5
        return check("Compress", [data(rng, shape), condition], 11, **axis) or taken

    repeat(case, 6)


def test_reverse_sequence():
    def case(rng):
        shape = dims(rng, rng.integers(2, 4), 1, 5)
        batch = pick(rng, 0, 1)
        lengths = ints(rng.integers(1, shape[1 - batch] + 1, shape[batch]))
        x = data(rng, shape, np.float32)
        return check("ReverseSequence", [x, lengths], 10, batch_axis=batch, time_axis=1 - batch)

    repeat(case, 7)


def test_top_k():
    def case(rng):
        shape = dims(rng, rng.integers(1, 4), 1, 9)
        axis = int(rng.integers(-len(shape), len(shape)))
        k = int(rng.integers(0, shape[axis] + 1))
        x = (data(rng, shape, np.int64) % 7).astype(pick(rng, np.float32, np.int64, np.float64))
        opset = pick(rng, 9, 10, 11, 13)
        if opset < 10:
            return check("TopK", [x.astype(np.float32)], opset, 2, axis=axis, k=max(k, 1))
        largest = {"largest": pick(rng, 0, 1)} if opset >= 11 else {}
        arrays = [x.astype(np.float32) if opset < 11 else x, ints([k])]
        return check("TopK", arrays, opset, 2, axis=axis, constants=pick(rng, (), (1,)), **largest)

    repeat(case, 8, 100)


def test_unique():
    def case(rng):
        shape = dims(rng, rng.integers(1, 4), 1, 4)
        x = (data(rng, shape, np.int64) % 3).astype(pick(rng, np.float32, np.int64))
        axis = {} if rng.random() < 0.4 else {"axis": int(rng.integers(-len(shape), len(shape)))}
        return check("Unique", [x], 11, 4, sorted=pick(rng, 0, 1), **axis)

    repeat(case, 9)


def test_nothing_to_pick():
    assert check("TopK", [normal(np.random.default_rng(0), (3, 4)), ints([0])], 13, 2)
