"""Random models over the operator table, nested graphs included, for property tests.

A model has a float input `x` [2, C, 8, 8] (its batch axis may be unknown) and a bool input `flag`. Every
step reads values made before; what a step can be is one row of STEPS.
"""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper, numpy_helper

BATCH, SIDE = 2, 8


class Builder:
    """One graph under construction; values are (name, shape without the batch axis)."""

    def __init__(self, rng, opset, values, names, depth=0):
        self.rng, self.opset, self.values, self.names, self.depth = rng, opset, values, names, depth
        self.nodes, self.initializers = [], []

    def name(self, prefix="v"):
        self.names[0] += 1
        return f"{prefix}{self.names[0]}"

    def chance(self, probability):
        return self.rng.random() < probability

    def pick(self, choices):
        return choices[self.rng.integers(len(choices))]

    def value(self, fits=lambda shape: True):
        """A value, more often a late one; None where none fits."""
        found = [value for value in self.values if fits(value[1])]
        if not found:
            return None
        return found[-1] if self.chance(0.6) else self.pick(found)

    def constant(self, array):
        name = self.name("c")
        tensor = numpy_helper.from_array(np.asarray(array), name)
        if self.chance(0.7):
            self.initializers.append(tensor)
        else:
            self.nodes.append(helper.make_node("Constant", [], [name], value=tensor))
        return name

    def ints(self, *values):
        return self.constant(np.array(values, np.int64))

    def weights(self, *shape):
        fan_in = max(1, int(np.prod(shape[1:])))
        return self.constant((self.rng.standard_normal(shape) / np.sqrt(fan_in)).astype(np.float32))

    def floats(self, *shape):
        return self.constant(self.rng.standard_normal(shape).astype(np.float32))

    def raw(self, op, inputs, outputs=1, **attributes):
        made = [self.name() for _ in range(outputs)]
        name = self.name("node") if self.chance(0.8) else ""
        self.nodes.append(helper.make_node(op, inputs, made, name, **attributes))
        return made if outputs > 1 else made[0]

    def add(self, op, inputs, shape, **attributes):
        self.values.append((self.raw(op, inputs, **attributes), tuple(shape)))


def is_image(shape):
    return len(shape) == 3


def conv(b):
    value = b.value(lambda s: is_image(s) and min(s[1:]) >= 3)
    if value is None:
        return
    name, (c, h, w) = value
    groups = b.pick((1, 1, c))
    out = c if groups > 1 else int(b.pick((2, 4, 6)))
    kernel, stride = b.pick((1, 3)), b.pick((1, 1, 2))
    inputs = [name, b.weights(out, c // groups, kernel, kernel)]
    if b.chance(0.5):
        inputs.append(b.floats(out))
    pad = kernel // 2
    side = [(n + 2 * pad - kernel) // stride + 1 for n in (h, w)]
    if b.chance(0.2):
        side = [-(-n // stride) for n in (h, w)]
        where = {"auto_pad": b.pick(("SAME_UPPER", "SAME_LOWER"))}
    else:
        where = {"pads": [pad] * 4}
    b.add("Conv", inputs, (out, *side), group=groups, strides=[stride] * 2, **where)


def conv_transpose(b):
    value = b.value(lambda s: is_image(s) and s[1] <= SIDE)
    if value is None:
        return
    name, (c, h, w) = value
    inputs = [name, b.weights(c, 3, 2, 2)] + ([b.floats(3)] if b.chance(0.5) else [])
    b.add("ConvTranspose", inputs, (3, 2 * h, 2 * w), strides=[2, 2])


def batch_norm(b):
    value = b.value(is_image)
    if value is None:
        return
    name, shape = value
    c = shape[0]
    scale = b.constant(b.rng.uniform(0.5, 2, c).astype(np.float32))
    variance = b.constant(b.rng.uniform(0.5, 2, c).astype(np.float32))
    b.add("BatchNormalization", [name, scale, b.floats(c), b.floats(c), variance], shape)


def activation(b):
    name, shape = b.value()
    op = b.pick(
        ("Relu", "Relu", "Sigmoid", "Tanh", "LeakyRelu", "HardSigmoid", "Neg", "Abs", "Erf")
    )
    b.add(op, [name], shape)


def clip(b):
    name, shape = b.value()
    low, high = sorted(b.rng.uniform(-3, 6, 2).astype(np.float32))
    bounds = [b.constant(low) if b.chance(0.8) else "", b.constant(high)]
    b.add("Clip", [name, *bounds], shape)


def with_constant(b):
    name, shape = b.value()
    op = b.pick(("Add", "Sub", "Mul", "Div"))
    extents = b.pick(((), (1,), (shape[0],) + (1,) * (len(shape) - 1)))
    other = b.constant(b.rng.uniform(0.5, 2, extents).astype(np.float32))
    # Nothing is divided by a value: it may be 0.
    b.add(op, [name, other] if op == "Div" or b.chance(0.7) else [other, name], shape)


def with_value(b):
    name, shape = b.value()
    other, _ = b.value(lambda s: s == shape)
    b.add(b.pick(("Add", "Add", "Mul", "Max")), [name, other], shape)


def no_change(b):
    name, shape = b.value()
    kind = b.pick(("Identity", "zero", "one", "cast", "transpose", "pad", "slice"))
    rank = len(shape) + 1
    if kind == "Identity":
        b.add("Identity", [name], shape)
    elif kind == "zero":
        b.add("Add", [name, b.constant(np.zeros(1, np.float32))], shape)
    elif kind == "one":
        b.add("Mul", [name, b.constant(np.ones(1, np.float32))], shape)
    elif kind == "cast":
        b.add("Cast", [b.raw("Cast", [name], to=TensorProto.DOUBLE)], shape, to=TensorProto.FLOAT)
    elif kind == "transpose":
        order = [0, *(1 + b.rng.permutation(rank - 1))]
        moved = b.raw("Transpose", [name], perm=order)
        if b.chance(0.5):
            moved = b.raw("Relu", [moved])
        b.add("Transpose", [moved], shape, perm=np.argsort(order))
    elif kind == "pad":
        b.add("Pad", [name, b.ints(*[0] * 2 * rank)], shape)
    else:
        b.add("Slice", [name, b.ints(0), b.ints(2**40), b.ints(rank - 1)], shape)


def pad(b):
    value = b.value(lambda s: is_image(s) and s[1] < 2 * SIDE)
    if value is None:
        return
    name, (c, h, w) = value
    top, left, bottom, right = (int(n) for n in b.rng.integers(0, 3, 4))
    b.add(
        "Pad",
        [name, b.ints(0, 0, top, left, 0, 0, bottom, right)],
        (c, h + top + bottom, w + left + right),
        mode=b.pick(("constant", "constant", "edge")),
    )


def pool(b):
    value = b.value(lambda s: is_image(s) and min(s[1:]) >= 2)
    if value is None:
        return
    name, (c, h, w) = value
    op, stride = b.pick(("MaxPool", "AveragePool")), b.pick((1, 2))
    extra = {"count_include_pad": int(b.chance(0.5))} if op == "AveragePool" else {}
    side = [(n - 2) // stride + 1 for n in (h, w)]
    b.add(op, [name], (c, *side), kernel_shape=[2, 2], strides=[stride] * 2, **extra)


def concat(b):
    value = b.value(lambda s: is_image(s) and s[0] <= 8)
    if value is None:
        return
    name, (c, *rest) = value
    other, shape = b.value(lambda s: is_image(s) and list(s[1:]) == rest)
    b.add("Concat", [name, other], (c + shape[0], *rest), axis=1)


def split(b):
    value = b.value(lambda s: is_image(s) and s[0] % 2 == 0)
    if value is None:
        return
    name, (c, h, w) = value
    extra = {"num_outputs": 2} if b.opset >= 18 else {}
    for half in b.raw("Split", [name], outputs=2, axis=1, **extra):
        b.values.append((half, (c // 2, h, w)))


def resize(b):
    value = b.value(lambda s: is_image(s) and s[1] <= SIDE)
    if value is None:
        return
    name, (c, h, w) = value
    scales = b.constant(np.array([1, 1, 2, 2], np.float32))
    b.add("Resize", [name, "", scales], (c, 2 * h, 2 * w), mode=b.pick(("nearest", "linear")))


def reshape_by_shape(b):
    name, shape = b.value()
    if b.chance(0.5):
        batch = b.raw("Gather", [b.raw("Shape", [name]), b.constant(np.int64(0))])
        axes = b.raw("Unsqueeze", [batch, b.ints(0)])
        target = b.raw("Concat", [axes, b.ints(-1)], axis=0)
        b.add("Reshape", [name, target], (int(np.prod(shape)),))
    else:
        flat = b.raw("Flatten", [name])
        b.add("Reshape", [flat, b.ints(0, *shape)], shape)


def global_pool(b):
    value = b.value(is_image)
    if value is not None:
        pooled = b.raw("GlobalAveragePool", [value[0]])
        b.add("Flatten", [pooled], (value[1][0],))


def dense(b):
    value = b.value(lambda s: len(s) == 1)
    if value is None:
        return
    name, (c,) = value
    out = int(b.pick((3, 8)))
    if b.chance(0.5):
        b.add("Gemm", [name, b.weights(out, c), b.floats(out)], (out,), transB=1)
    else:
        weights = b.constant((b.rng.standard_normal((c, out)) / np.sqrt(c)).astype(np.float32))
        product = b.raw("MatMul", [name, weights])
        b.add("Add", [product, b.floats(out)], (out,))


def attention(b):
    """Products of two activations, over the rows of an image channel."""
    value = b.value(is_image)
    if value is None:
        return
    name, (c, h, w) = value
    scores = b.raw("MatMul", [name, b.raw("Transpose", [name], perm=[0, 1, 3, 2])])
    scaled = b.raw("Mul", [scores, b.constant(np.float32(0.3))])
    b.add("MatMul", [b.raw("Softmax", [scaled], axis=-1), name], (c, h, w))


def embedding(b):
    """Rows of a table, chosen by the data."""
    value = b.value(lambda s: len(s) == 1)
    if value is None:
        return
    name, (c,) = value
    index = b.raw("Cast", [b.raw("Abs", [name])], to=TensorProto.INT64)
    index = b.raw("Min", [index, b.constant(np.int64(19))])
    rows = b.raw("Gather", [b.floats(20, 8), index])
    b.add("Flatten", [rows], (c * 8,))


def layer_norm(b):
    name, shape = b.value()
    if b.opset < 17 or shape[-1] < 4:
        return
    scale = b.constant(b.rng.uniform(0.5, 2, shape[-1]).astype(np.float32))
    b.add("LayerNormalization", [name, scale, b.floats(shape[-1])], shape)


def branch(b, source):
    """A graph of a few steps that starts from `source`, which it captures, and keeps its shape."""
    inner = Builder(b.rng, b.opset, [*b.values, source], b.names, b.depth + 1)
    for _ in range(b.rng.integers(1, 4)):
        b.pick(IN_BRANCHES)(inner)
    name, shape = source
    same = [value for value in inner.values[len(b.values) + 1 :] if value[1] == shape]
    if same:
        name = same[-1][0]
    else:
        name = inner.raw("Relu", [name])
    return inner, name


def if_else(b):
    if b.depth > 1:
        return
    source = b.value()
    graphs = {}
    for arm in ("then_branch", "else_branch"):
        inner, name = branch(b, source)
        output = helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
        graphs[arm] = helper.make_graph(inner.nodes, arm, [], [output], inner.initializers)
    condition = "flag" if b.chance(0.7) else b.constant(np.bool_(b.chance(0.5)))
    b.add("If", [condition], source[1], **graphs)


def loop(b):
    if b.depth > 1:
        return
    start, shape = b.value()
    step, going, state = b.name("i"), b.name("go"), b.name("s")
    inner, name = branch(b, (state, shape))
    on = inner.raw("Identity", [going])
    bounded = inner.raw(
        "Clip", [name, inner.constant(np.float32(-9)), inner.constant(np.float32(9))]
    )
    info = helper.make_tensor_value_info
    body = helper.make_graph(
        inner.nodes,
        "body",
        [
            info(step, TensorProto.INT64, []),
            info(going, TensorProto.BOOL, []),
            info(state, TensorProto.FLOAT, None),
        ],
        [info(on, TensorProto.BOOL, []), info(bounded, TensorProto.FLOAT, None)],
        inner.initializers,
    )
    trips = b.constant(np.int64(b.rng.integers(1, 4)))
    b.add("Loop", [trips, "", start], shape, body=body)


IN_BRANCHES = [
    conv,
    conv,
    activation,
    clip,
    with_constant,
    with_value,
    dense,
    batch_norm,
    no_change,
]
STEPS = IN_BRANCHES + [
    conv,
    conv,
    conv_transpose,
    pad,
    pool,
    concat,
    split,
    resize,
    reshape_by_shape,
    global_pool,
    attention,
    embedding,
    layer_norm,
    if_else,
    loop,
]


def parts_of_list(b):
    """A value cut into a list; parts of it, or all together again."""
    value = b.value(lambda s: is_image(s) and s[0] % 2 == 0)
    if value is None:
        return
    name, (c, h, w) = value
    parts = b.raw("SplitToSequence", [name, b.constant(np.int64(c // 2))], axis=1)
    if b.chance(0.4):
        b.add("ConcatFromSequence", [parts], (c, h, w), axis=1)
    for index in b.pick(((0,), (-1,), (0, 1))):
        b.add("SequenceAt", [parts, b.constant(np.int64(index))], (c // 2, h, w))


def list_of_values(b):
    """A list of equal shapes that is lengthened, shortened and joined."""
    value = b.value(lambda s: is_image(s) and s[0] <= 4)
    if value is None:
        return
    name, shape = value
    others = [b.value(lambda s: s == shape)[0] for _ in range(b.rng.integers(1, 3))]
    made, length = b.raw("SequenceConstruct", [name, *others]), 1 + len(others)
    if b.chance(0.5):
        made, length = b.raw("SequenceInsert", [made, name, b.constant(np.int64(0))]), length + 1
    if b.chance(0.3):
        made, length = b.raw("SequenceErase", [made]), length - 1
    b.add("ConcatFromSequence", [made], (length * shape[0], *shape[1:]), axis=1)


def list_in_loop(b):
    """A loop that carries a list and lengthens it by a layer of the value that it captures."""
    if b.depth > 1:
        return
    value = b.value(lambda s: is_image(s) and s[0] <= 4)
    if value is None:
        return
    step, going, state = b.name("i"), b.name("go"), b.name("s")
    inner, name = branch(b, value)
    longer = inner.raw("SequenceInsert", [state, name])
    on = inner.raw("Identity", [going])
    info = helper.make_tensor_value_info
    listed = helper.make_tensor_sequence_value_info
    body = helper.make_graph(
        inner.nodes,
        "body",
        [
            info(step, TensorProto.INT64, []),
            info(going, TensorProto.BOOL, []),
            listed(state, TensorProto.FLOAT, None),
        ],
        [info(on, TensorProto.BOOL, []), listed(longer, TensorProto.FLOAT, None)],
        inner.initializers,
    )
    trips = int(b.rng.integers(1, 4))
    start = b.raw("SequenceEmpty", [])
    made = b.raw("Loop", [b.constant(np.int64(trips)), "", start], body=body)
    if b.chance(0.5):
        b.add("SequenceAt", [made, b.constant(np.int64(-1))], value[1])
    else:
        c, h, w = value[1]
        b.add("ConcatFromSequence", [made], (trips * c, h, w), axis=1)


# Models of these seeds and above may hold sequences; those below it have none.
SEQUENCES = 10000
LISTS = [parts_of_list, list_of_values, list_in_loop]


def random_model(seed, steps=(4, 16)):
    """The model of a seed."""
    kinds = STEPS if seed < SEQUENCES else STEPS + 3 * LISTS
    rng = np.random.default_rng(seed)
    opset = int(rng.choice([13, 15, 17, 18, 20, 21]))
    channels = int(rng.choice([2, 4]))
    builder = Builder(rng, opset, [("x", (channels, SIDE, SIDE))], [0])
    for _ in range(rng.integers(*steps)):
        builder.pick(kinds)(builder)
    if len(builder.values) == 1:
        activation(builder)
    made = builder.values[1:]
    outputs = [made[-1], *(value for value in made[:-1] if builder.chance(0.1))]
    batch = "N" if builder.chance(0.4) else BATCH
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        builder.nodes,
        f"seed_{seed}",
        [
            info("x", TensorProto.FLOAT, [batch, channels, SIDE, SIDE]),
            info("flag", TensorProto.BOOL, []),
        ],
        [info(name, TensorProto.FLOAT, [batch, *shape]) for name, shape in outputs],
        builder.initializers,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def random_feeds(model, seed, flag=True):
    rng = np.random.default_rng([seed, 7])
    channels = model.graph.input[0].type.tensor_type.shape.dim[1].dim_value
    x = rng.standard_normal((BATCH, channels, SIDE, SIDE)).astype(np.float32)
    return {"x": x, "flag": np.array(flag)}
