"""Dwindle makes trained ONNX models small and fast, and proves that they still work."""

from dwindle._dwindle import (
    BadData,
    BadModel,
    BadOption,
    Error,
    IoError,
    Model,
    TensorInfo,
    Unsupported,
    from_onnx,
    load,
)

__all__ = [
    "BadData",
    "BadModel",
    "BadOption",
    "Error",
    "IoError",
    "Model",
    "TensorInfo",
    "Unsupported",
    "from_onnx",
    "load",
]
