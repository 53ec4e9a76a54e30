"""drop-notes: what exporters note on nodes and values goes, what the model says of itself stays."""

import dwindle
import numpy as np
import onnx
from onnx import helper


def note(message, key="pkg.torch.onnx.stack_trace"):
    message.doc_string = "why it is there"
    entry = message.metadata_props.add()
    entry.key, entry.value = key, "File model.py, line 1, in forward\n" * 20


def noted_model():
    """A Conv inside an If, with notes on all that can carry one."""
    weights = helper.make_tensor("w", 1, [4, 2, 3, 3], np.random.default_rng(0).normal(size=72))
    body = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["inner"], name="conv")],
        "then",
        [],
        [helper.make_tensor_value_info("inner", 1, [1, 4, 6, 6])],
    )
    other = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["outer"], name="other")],
        "else",
        [],
        [helper.make_tensor_value_info("outer", 1, [1, 4, 6, 6])],
    )
    nodes = [
        helper.make_node("If", ["c"], ["y"], name="if", then_branch=body, else_branch=other),
        helper.make_node("Relu", ["y"], ["z"], name="relu"),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [
            helper.make_tensor_value_info("c", 9, []),
            helper.make_tensor_value_info("x", 1, [1, 2, 8, 8]),
        ],
        [helper.make_tensor_value_info("z", 1, [1, 4, 6, 6])],
        [weights],
        value_info=[helper.make_tensor_value_info("y", 1, [1, 4, 6, 6])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=10)
    inner = [a.g for a in model.graph.node[0].attribute]
    for part in [model, model.graph, *inner, *model.graph.node, *[g.node[0] for g in inner]]:
        note(part)
    for part in [*model.graph.value_info, *model.graph.initializer, *model.graph.input]:
        note(part)
    onnx.checker.check_model(model)
    return model


def test_notes_go_and_the_rest_stays():
    before = dwindle.from_onnx(noted_model()).to_onnx()
    after = dwindle.run_recipe(before, ["drop-notes"]).to_onnx()
    onnx.checker.check_model(after)
    graphs = [after.graph, *[a.g for a in after.graph.node[0].attribute]]
    for graph in graphs:
        assert graph.doc_string and not graph.metadata_props
        for part in [*graph.node, *graph.value_info, *graph.initializer]:
            assert not part.doc_string and not part.metadata_props, part.name
    assert after.doc_string and after.metadata_props
    assert after.graph.input[0].doc_string and after.graph.input[0].metadata_props
    # All else is as it was.
    for model in (before, after):
        for graph in [model.graph, *[a.g for a in model.graph.node[0].attribute]]:
            graph.ClearField("metadata_props")
            for part in [*graph.node, *graph.value_info, *graph.initializer]:
                part.ClearField("doc_string")
                part.ClearField("metadata_props")
    assert after == before


def test_it_says_how_many_bytes():
    before = noted_model()
    made = dwindle.run_recipe(before, ["drop-notes"])
    freed = made.report[0]["counts"]["bytes"]
    lost = len(before.SerializeToString()) - len(made.to_bytes())
    assert freed > 5000
    assert 0 <= lost - freed < 100  # lengths of what holds them shrink too
    assert dwindle.run_recipe(made, ["drop-notes"]).report[0]["counts"]["bytes"] == 0


def test_quantized_models_have_none():
    x = np.random.default_rng(1).normal(size=(4, 1, 2, 8, 8)).astype(np.float32)
    feeds = [{"c": np.array(i % 2 == 0), "x": sample} for i, sample in enumerate(x)]
    small = dwindle.quantize(noted_model(), feeds)
    assert any("Quantize" in node.op_type for node in small.to_onnx().graph.node)
    assert small.to_bytes().count(b"stack_trace") == 3  # the model's and its two inputs'
    assert dwindle.simplify(noted_model()).to_bytes().count(b"stack_trace") > 3
