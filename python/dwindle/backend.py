"""Dwindle as a backend of ONNX, and its standing in ONNX's own operator tests.

``prepare``, ``run_model``, ``run_node`` and ``supports_device`` follow ``onnx.backend.base``.
``python -m dwindle.backend`` runs the node tests that come with the package onnx and prints, by
operator, how many passed, were refused, or went wrong.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx.backend.base import Backend, BackendRep

import dwindle


class Prepared(BackendRep):
    """A model that is ready to run."""

    def __init__(self, model: dwindle.Model) -> None:
        self._model = model

    def run(self, inputs: Any, **kwargs: Any) -> tuple[Any, ...]:
        """Runs on a list of arrays in the order of the inputs, or a dict by name."""
        if not isinstance(inputs, dict):
            inputs = dict(zip((info.name for info in self._model.inputs), inputs, strict=False))
        results = self._model.run(inputs)
        return tuple(results[info.name] for info in self._model.outputs)


class DwindleBackend(Backend):
    """The adapter; all runs are on the CPU."""

    @classmethod
    def prepare(cls, model: onnx.ModelProto, device: str = "CPU", **kwargs: Any) -> Prepared:
        """Raises dwindle.Unsupported, naming the operator, where a model cannot be run."""
        for info in (*model.graph.input, *model.graph.output):
            if info.type.WhichOneof("value") not in (None, "tensor_type"):
                ops = ", ".join(sorted({node.op_type for node in model.graph.node}))
                raise dwindle.Unsupported(f"{ops}: '{info.name}' is a sequence or an optional")
        return Prepared(dwindle.from_onnx(model))

    @classmethod
    def run_model(
        cls, model: onnx.ModelProto, inputs: Any, device: str = "CPU", **kwargs: Any
    ) -> tuple[Any, ...]:
        return cls.prepare(model, device, **kwargs).run(inputs)

    @classmethod
    def run_node(
        cls,
        node: onnx.NodeProto,
        inputs: Any,
        device: str = "CPU",
        outputs_info: Sequence[tuple[np.dtype, tuple[int, ...]]] | None = None,
        **kwargs: Any,
    ) -> tuple[Any, ...]:
        """Runs one node of the newest operator set, or that of ``opset_version``."""
        arrays = dict(zip((name for name in node.input if name), inputs, strict=True))
        graph = onnx.helper.make_graph(
            [node],
            "node",
            [
                onnx.helper.make_tensor_value_info(
                    name, onnx.helper.np_dtype_to_tensor_dtype(array.dtype), array.shape
                )
                for name, array in arrays.items()
            ],
            [onnx.ValueInfoProto(name=name) for name in node.output if name],
        )
        opset = kwargs.get("opset_version", onnx.defs.onnx_opset_version())
        opsets = [onnx.helper.make_opsetid(node.domain, opset)]
        return cls.run_model(onnx.helper.make_model(graph, opset_imports=opsets), arrays, device)

    @classmethod
    def supports_device(cls, device: str) -> bool:
        return device.split(":")[0] == "CPU"


prepare = DwindleBackend.prepare
run_model = DwindleBackend.run_model
run_node = DwindleBackend.run_node
supports_device = DwindleBackend.supports_device


@dataclass(frozen=True)
class Outcome:
    """How one test went: "passed", "refused" or "wrong", and why."""

    name: str
    op: str
    verdict: str
    why: str = ""


def node_cases() -> list[Any]:
    """The node tests of the installed package onnx. Making them takes some seconds."""
    from onnx.backend.test.case.node import collect_testcases  # noqa: PLC0415

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tests divide by zero on purpose
        return list(collect_testcases())


def op_of(case: Any) -> str:
    """The operator that a test is about; the body of a function counts as that."""
    nodes = case.model.graph.node
    return nodes[0].op_type if len(nodes) == 1 else "(several nodes)"


def _as_array(item: Any) -> Any:
    if isinstance(item, onnx.TensorProto):
        return onnx.numpy_helper.to_array(item)
    return item


def _compare(got: Any, want: Any, rtol: float, atol: float) -> None:
    if got.shape != want.shape or got.dtype != want.dtype:
        raise AssertionError(f"{got.dtype}{got.shape} is not {want.dtype}{want.shape}")
    if want.dtype == object or want.dtype.kind in "USO":
        np.testing.assert_array_equal(got, want)
        return
    if want.dtype.type.__module__ == "ml_dtypes":
        rtol = max(rtol, 2**-6) if want.dtype.name == "bfloat16" else rtol
        got, want = got.astype(np.float32), want.astype(np.float32)
    if want.dtype in (np.float16, np.float32, np.float64) and want.size:
        # The expected numbers carry the rounding of their own making, relative to the greatest.
        greatest = np.abs(want[np.isfinite(want)]).max(initial=0)
        atol = max(atol, float(np.finfo(want.dtype).eps * greatest))
    np.testing.assert_allclose(got, want, rtol=rtol, atol=atol)


def run_case(case: Any) -> Outcome:
    """Runs one test."""
    op = op_of(case)
    try:
        model = DwindleBackend.prepare(case.model)
        for inputs, wanted in case.data_sets:
            results = model.run([_as_array(item) for item in inputs])
            for got, want in zip(results, wanted, strict=True):
                _compare(got, _as_array(want), case.rtol, case.atol)
    except dwindle.Unsupported as error:
        return Outcome(case.name, op, "refused", str(error))
    except Exception as error:  # whatever else happens is a wrong answer
        return Outcome(case.name, op, "wrong", f"{type(error).__name__}: {error}")
    return Outcome(case.name, op, "passed")


def run_cases(cases: Iterable[Any]) -> list[Outcome]:
    """Runs many tests, ignoring what numpy says of overflows in their data."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return [run_case(case) for case in cases]


def table(outcomes: Sequence[Outcome]) -> str:
    """The counts by operator, as a Markdown table."""
    counts = Counter((outcome.op, outcome.verdict) for outcome in outcomes)
    lines = ["| operator | passed | refused | wrong |", "|---|--:|--:|--:|"]
    for op in [*sorted({outcome.op for outcome in outcomes}), "total"]:
        row = [
            sum(n for (of, verdict), n in counts.items() if verdict == kind and op in (of, "total"))
            for kind in ("passed", "refused", "wrong")
        ]
        lines.append(f"| {op} | {row[0]} | {row[1]} | {row[2]} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns 1 where an answer is wrong."""
    parser = argparse.ArgumentParser(prog="python -m dwindle.backend", description=__doc__)
    parser.add_argument("--match", default="", help="only tests whose names contain this")
    parser.add_argument("--why", action="store_true", help="list what did not pass, and why")
    options = parser.parse_args(arguments)
    outcomes = run_cases(case for case in node_cases() if options.match in case.name)
    print(table(outcomes))
    for outcome in outcomes:
        if outcome.verdict == "wrong" or (options.why and outcome.verdict != "passed"):
            print(f"{outcome.verdict}: {outcome.name} ({outcome.op}): {outcome.why}")
    return 1 if any(outcome.verdict == "wrong" for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
