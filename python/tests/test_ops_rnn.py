"""Side-by-side property tests of operators that carry a state; see side_by_side.py."""

import dwindle
import numpy as np
import pytest
from onnx.reference import ReferenceEvaluator
from side_by_side import check, node_model, normal, pick, repeat

GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
ACTIVATIONS = {"RNN": ["Tanh"], "GRU": ["Sigmoid", "Tanh"], "LSTM": ["Sigmoid", "Tanh", "Tanh"]}


@pytest.mark.parametrize("op", ["RNN", "GRU", "LSTM"])
def test_recurrent(op):
    def case(rng):
        direction = pick(rng, "forward", "reverse", "bidirectional")
        d = 2 if direction == "bidirectional" else 1
        steps, batch, inputs, hidden = (int(n) for n in rng.integers(1, 6, 4))
        rows = GATES[op] * hidden
        arrays = [normal(rng, (steps, batch, inputs))]
        arrays += [normal(rng, (d, rows, inputs)), normal(rng, (d, rows, hidden))]
        arrays.append(normal(rng, (d, 2 * rows)) if rng.random() < 0.7 else None)
        lengths = rng.integers(1, steps + 1, batch).astype(np.int32)
        arrays.append(lengths if rng.random() < 0.5 else None)
        arrays.append(normal(rng, (d, batch, hidden)) if rng.random() < 0.5 else None)
        if op == "LSTM":
            arrays.append(normal(rng, (d, batch, hidden)) if rng.random() < 0.5 else None)
            arrays.append(normal(rng, (d, 3 * hidden)) if rng.random() < 0.5 else None)
        attributes = {"direction": direction, "hidden_size": hidden}
        if rng.random() < 0.3:
            attributes["clip"] = 0.5
        if rng.random() < 0.3:
            kinds = ["Relu", "Tanh", "Sigmoid", "Softsign"]
            count = len(ACTIVATIONS[op]) * d
            attributes["activations"] = [pick(rng, *kinds) for _ in range(count)]
        if op == "GRU":
            attributes["linear_before_reset"] = pick(rng, 0, 1)
        if op == "LSTM" and rng.random() < 0.2:
            attributes["input_forget"] = 1
        outputs = 3 if op == "LSTM" else 2
        constants = pick(rng, (), (1, 2))
        return check(op, arrays, pick(rng, 7, 14), outputs, False, constants, **attributes)

    repeat(case, 1, 80)


TAKES = {"Tanh": 0, "Sigmoid": 0, "LeakyRelu": 1, "Elu": 1, "HardSigmoid": 2, "Affine": 2}


@pytest.mark.parametrize("op", ["RNN", "GRU", "LSTM"])
def test_each_activation_takes_the_next_alpha_and_beta(op):
    """In the order of the activations that have one, however many the node gives."""

    def case(rng):
        direction = pick(rng, "forward", "bidirectional")
        d = 2 if direction == "bidirectional" else 1
        rows = GATES[op] * 3
        arrays = [normal(rng, (4, 2, 3)), normal(rng, (d, rows, 3)), normal(rng, (d, rows, 3))]
        names = [pick(rng, *TAKES) for _ in range(len(ACTIVATIONS[op]) * d)]
        attributes = {"direction": direction, "hidden_size": 3, "activations": names}
        for place, name in ((1, "activation_alpha"), (2, "activation_beta")):
            takers = sum(TAKES[kind] >= place for kind in names)
            if takers > 0:
                attributes[name] = [float(x) for x in rng.uniform(0.1, 0.9, takers)]
        return check(op, arrays, 14, 3 if op == "LSTM" else 2, False, (), **attributes)

    repeat(case, 2, 40)


def against_reference(op, arrays, outputs, opset, **attributes):
    """ONNX Runtime has no kernels of these opsets yet."""
    model = node_model(op, arrays, outputs, opset, **attributes)
    feeds = {f"x{i}": array for i, array in enumerate(arrays) if array is not None}
    got = dwindle.from_onnx(model).run(feeds)
    for i, want in enumerate(ReferenceEvaluator(model).run(None, feeds)):
        assert got[f"y{i}"].shape == want.shape
        np.testing.assert_allclose(got[f"y{i}"], want, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("rule", ["linear", "gated", "delta", "gated_delta"])
def test_linear_attention(rule):
    rng = np.random.default_rng(4)
    for _ in range(20):
        batch, tokens, keys, values, heads, shared = (int(n) for n in rng.integers(1, 4, 6))
        keys += 1  # of one key, a decay a key and one a head look the same
        arrays = [
            normal(rng, (batch, tokens, heads * shared * keys)),
            normal(rng, (batch, tokens, heads * keys)),
            normal(rng, (batch, tokens, heads * values)),
            normal(rng, (batch, heads, keys, values)) if rng.random() < 0.5 else None,
            None,
            None,
        ]
        if "gated" in rule:
            arrays[4] = -np.abs(normal(rng, (batch, tokens, heads * pick(rng, 1, keys))))
        if "delta" in rule:
            arrays[5] = rng.random((batch, tokens, pick(rng, 1, heads))).astype(np.float32)
        attributes = {"scale": 0.5} if rng.random() < 0.3 else {}
        against_reference(
            "LinearAttention",
            arrays,
            2,
            27,
            q_num_heads=heads * shared,
            kv_num_heads=heads,
            update_rule=rule,
            **attributes,
        )


def test_causal_conv_with_state():
    rng = np.random.default_rng(5)
    for _ in range(30):
        batch, channels, length, taps = (int(n) for n in rng.integers(1, 6, 4))
        arrays = [
            normal(rng, (batch, channels, length)),
            normal(rng, (channels, 1, taps)),
            normal(rng, (channels,)) if rng.random() < 0.5 else None,
            normal(rng, (batch, channels, taps - 1)) if rng.random() < 0.5 else None,
        ]
        activation = pick(rng, "none", "silu", "swish")
        against_reference("CausalConvWithState", arrays, 2, 27, activation=activation)


def test_swiglu():
    rng = np.random.default_rng(6)
    for alpha in (1.0, 1.702):
        gate, linear = normal(rng, (3, 5)), normal(rng, (3, 5))
        against_reference("SwiGLU", [gate, linear], 1, 28, alpha=alpha)
