"""ONNX Runtime as a second executor, for models that the operator table does not cover.

The extension module calls this; nothing here is for users. Values are named by their position in
the session's inputs and outputs, in the order that the model has.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from typing import Any


def available() -> bool:
    return importlib.util.find_spec("onnxruntime") is not None


class Session:
    """A model, given as its bytes or as the path of its file, ready to run on the CPU."""

    def __init__(self, model: bytes | str) -> None:
        import onnxruntime  # noqa: PLC0415

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # what matters comes as an exception
        # Fusions beyond these round in other places than the nodes that the model has.
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        self._session = onnxruntime.InferenceSession(model, options, ["CPUExecutionProvider"])

    def run(self, names: Sequence[str], feeds: dict[str, Any]) -> list[Any]:
        return self._session.run(list(names), feeds)

    def output_types(self) -> list[tuple[str, str, list[int | str | None]]]:
        """Name, type as "tensor(float)" and shape of each output."""
        return [(info.name, info.type, info.shape) for info in self._session.get_outputs()]
