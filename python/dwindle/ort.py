"""`quantize_static` with the signature of ONNX Runtime's, and the names that go with it.

    from dwindle.ort import CalibrationDataReader, QuantFormat, QuantType, quantize_static

in place of `from onnxruntime.quantization import ...` is all that a script has to change. Enums of
ONNX Runtime itself and their names as strings are taken too. Nothing here imports onnxruntime.

What has a meaning here is passed on to `dwindle.quantize`. What would make another model than was
asked for raises; what is only of another form, or better left out, warns and names itself.
"""

from __future__ import annotations

import abc
import difflib
import enum
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dwindle import _dwindle

__all__ = [
    "CalibrationDataReader",
    "CalibrationMethod",
    "QuantFormat",
    "QuantType",
    "quantize_static",
]


class QuantType(enum.Enum):
    QInt8 = 0
    QUInt8 = 1
    QFLOAT8E4M3FN = 2
    QInt16 = 3
    QUInt16 = 4
    QInt4 = 5
    QUInt4 = 6


class QuantFormat(enum.Enum):
    QOperator = 0
    QDQ = 1


class CalibrationMethod(enum.Enum):
    MinMax = 0
    Entropy = 1
    Percentile = 2
    Distribution = 3


class CalibrationDataReader(abc.ABC):
    """Hands out feeds: dicts of arrays by input name, and None at the end."""

    @abc.abstractmethod
    def get_next(self) -> dict[str, Any] | None: ...

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.get_next, None)


_ACTIVATIONS = {"QInt8": "int8", "QUInt8": "uint8", "QInt16": "int16", "QUInt16": "uint16"}
_WEIGHTS = {"QInt8": "int8", "QInt4": "int4", "QUInt8": "int8", "QUInt4": "int4"}
_METHODS = {"MinMax": "minmax", "Entropy": "entropy", "Percentile": "percentile"}

# Keys of extra_options that change nothing here, whatever their value: why.
_NEEDLESS = {
    "CalibMaxIntermediateOutputs": "memory does not grow with the data",
    "EnableSubgraph": "nested graphs are always quantized",
    "SmoothQuantAlpha": "it is part of SmoothQuant",
    "SmoothQuantFolding": "it is part of SmoothQuant",
}
# Keys that are not followed: the value that asks for nothing, and what is done instead.
_NOT_FOLLOWED: dict[str, tuple[Any, str]] = {
    "ActivationRestrictedAsymmetric": (False, "zero points follow from the ranges"),
    "AddQDQPairToWeight": (False, "weights are stored as integers"),
    "DedicatedQDQPair": (False, "nodes share the pair of a value"),
    "ForceQuantizeNoInputCheck": (False, "nodes that move data follow their inputs"),
    "MatMulConstBOnly": (False, "exclude such nodes by name"),
    "MinimumRealRange": (None, "ranges follow from the data"),
    "OpTypesToExcludeOutputQuantization": ([], "outputs are quantized where they are read so"),
    "QDQDisableWeightAdjustForInt32Bias": (False, "scales are widened where a bias asks for it"),
    "QDQKeepRemovableActivations": (False, "a Relu or Clip that saturation replaces goes"),
    "QDQOpTypePerChannelSupportToAxis": ({}, "weights have the axis of their output channels"),
    "QuantizeBias": (True, "the target says how biases are stored"),
    "SmoothQuant": (False, "scales are not moved between layers"),
    "WeightSymmetric": (True, "zero points of weights are 0"),
    "extra.Sigmoid.nnapi": (False, "the range of a Sigmoid follows from the data"),
}
# Keys that quantize_static() reads.
_READ = (
    "ActivationSymmetric",
    "BlockSize",
    "CalibMovingAverage",
    "CalibMovingAverageConstant",
    "CalibPercentile",
    "CalibStridedMinMax",
    "CalibTensorRangeSymmetric",
    "MayGrow",
    "TensorQuantOverrides",
    "UseQDQContribOps",
)


def _name(value: Any, kind: type[enum.Enum], argument: str) -> str:
    """The name of an enum's member: ours, ONNX Runtime's, or a string of either form."""
    text = str(getattr(value, "name", value))
    name = text.rpartition(".")[2]
    if name not in kind.__members__:
        names = ", ".join(kind.__members__)
        raise _dwindle.BadOption(f"{argument} is one of {names}, not {value!r}")
    return name


def _dtype(value: Any, names: Mapping[str, str], argument: str) -> str:
    name = _name(value, QuantType, argument)
    if name not in names:
        raise _dwindle.Unsupported(f"{argument}: {name} is not supported; {', '.join(names)} are")
    return names[name]


def _literal(names: Sequence[str] | None) -> list[str]:
    """Globs that match these names alone; a backslash takes the meaning off a sign."""
    signs = str.maketrans({sign: "\\" + sign for sign in "\\*?["})
    return [name.translate(signs) for name in names or ()]


def _strided(reader: Any, stride: int) -> Iterator[dict[str, Any]]:
    """All feeds of a reader that holds a part of them at a time."""
    for start in range(0, len(reader), stride):
        reader.set_range(start_index=start, end_index=start + stride)
        yield from iter(reader.get_next, None)


def _can_rewind(data: Any) -> bool:
    if hasattr(data, "get_next"):
        return hasattr(data, "rewind")
    return not isinstance(data, Iterator)


def _calibration(method: str, extra: Mapping[str, Any]) -> dict[str, Any]:
    """The options that say how ranges follow from data."""
    if method not in _METHODS:
        raise _dwindle.Unsupported(
            f"calibrate_method: {method} is for float8, which is not supported; "
            f"{', '.join(_METHODS)} are"
        )
    symmetric = extra.get("ActivationSymmetric") or extra.get("CalibTensorRangeSymmetric")
    options: dict[str, Any] = {"calib_method": _METHODS[method]}
    options["symmetric_activations"] = bool(symmetric)
    if method == "MinMax" and extra.get("CalibMovingAverage"):
        options["calib_method"] = "moving-average"
        options["averaging_constant"] = extra.get("CalibMovingAverageConstant", 0.01)
    if method == "Percentile":
        # ONNX Runtime cuts off half of the rest on either side, Dwindle the rest on each.
        options["percentile"] = 50 + extra.get("CalibPercentile", 99.999) / 2
    return options


def _types(
    activations: Any, weights: Any, per_channel: bool, reduce_range: bool, extra: Mapping[str, Any]
) -> dict[str, Any]:
    """The options that say what activations and weights become."""
    options: dict[str, Any] = {
        "activations": _dtype(activations, _ACTIVATIONS, "activation_type"),
        "weights": _dtype(weights, _WEIGHTS, "weight_type"),
    }
    if extra.get("BlockSize"):
        options["block_size"] = extra["BlockSize"]
    else:
        options["per_tensor"] = not per_channel
    if reduce_range and options["weights"] == "int8":
        options["reduce_range"] = True
    return options


def _refuse_extra(extra: Mapping[str, Any]) -> None:
    if extra.get("TensorQuantOverrides"):
        raise _dwindle.Unsupported(
            "extra_options: TensorQuantOverrides is not supported: scales follow from the data. "
            "Leave it out, or keep nodes in float with nodes_to_exclude"
        )
    if extra.get("UseQDQContribOps"):
        raise _dwindle.Unsupported(
            "extra_options: UseQDQContribOps is not supported: the result is standard ONNX, which "
            "holds 4 and 16 bits from opset 21 on"
        )


def _not_followed(weight_type: Any, reduce_range: bool, extra: Mapping[str, Any]) -> Iterator[str]:
    """What the caller asked for and does not get, a line each."""
    name = _name(weight_type, QuantType, "weight_type")
    if "UInt" in name:
        yield f"weight_type: weights are stored as {_WEIGHTS[name]}, with zero points of 0"
    if reduce_range and _WEIGHTS[name] != "int8":
        yield "reduce_range is not followed: it takes a bit off weights of 8 alone"
    known = [*_READ, *_NEEDLESS, *_NOT_FOLLOWED]
    for key, value in extra.items():
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            yield f"unknown key {key!r} in extra_options has no effect{hint}"
        elif key in _NOT_FOLLOWED and value != _NOT_FOLLOWED[key][0]:
            yield f"{key}={value!r} is not followed: {_NOT_FOLLOWED[key][1]}"


def quantize_static(
    model_input: Any,
    model_output: str | os.PathLike[str],
    calibration_data_reader: Any = None,
    quant_format: Any = QuantFormat.QDQ,
    op_types_to_quantize: str | Sequence[str] | None = None,
    per_channel: bool = False,
    reduce_range: bool = False,
    activation_type: Any = QuantType.QInt8,
    weight_type: Any = QuantType.QInt8,
    nodes_to_quantize: Sequence[str] | None = None,
    nodes_to_exclude: Sequence[str] | None = None,
    use_external_data_format: bool = False,
    calibrate_method: Any = CalibrationMethod.MinMax,
    calibration_providers: Sequence[Any] | None = None,
    extra_options: Mapping[str, Any] | None = None,
    calibration_cache_path: str | os.PathLike[str] | None = None,
) -> _dwindle.Model:
    """Quantize a model as `onnxruntime.quantization.quantize_static` would be asked to.

    Arguments mean what they mean there, with the same defaults. The model is simplified first, and
    names of nodes are those of `model_input`. Writes `model_output` and returns the Model, whose
    `report` and `quality` tell what was done and what it costs. Raises Unsupported for what cannot
    be made (QuantFormat.QOperator, float8, 16-bit weights, TensorQuantOverrides), BadOption where
    names match nothing, and warns of what is not followed. A key of extra_options of its own,
    MayGrow, is the option may_grow of `dwindle.quantize`: without it, what would only make the file
    larger stays in float.
    """
    extra = dict(extra_options or {})
    if _name(quant_format, QuantFormat, "quant_format") != "QDQ":
        raise _dwindle.Unsupported(
            "quant_format: QOperator is not supported; QDQ is, and ONNX Runtime fuses it into the "
            "same kernels"
        )
    if calibration_data_reader is None:
        raise _dwindle.BadOption("calibration_data_reader is required")
    _refuse_extra(extra)
    options = _calibration(_name(calibrate_method, CalibrationMethod, "calibrate_method"), extra)
    options |= _types(activation_type, weight_type, per_channel, reduce_range, extra)
    options["may_grow"] = bool(extra.get("MayGrow"))
    options["include"] = _literal(nodes_to_quantize)
    options["exclude"] = _literal(nodes_to_exclude)
    notes = list(_not_followed(weight_type, reduce_range, extra))
    if list(calibration_providers or ()) not in ([], ["CPUExecutionProvider"]):
        notes.append("calibration_providers are not used: calibration runs on the CPU")
    data = calibration_data_reader
    if extra.get("CalibStridedMinMax"):
        data = _strided(data, int(extra["CalibStridedMinMax"]))
    if calibration_cache_path is not None and _can_rewind(data):
        options["calib_cache"] = os.fspath(calibration_cache_path)
        notes.append(
            "calibration_cache_path: the file has a format of Dwindle's own and is made anew where "
            "the model, the data or the options change"
        )
    elif calibration_cache_path is not None:
        notes.append(
            "calibration_cache_path is not used: the data is read once more for it, which needs a "
            "rewind() of the reader, and no CalibStridedMinMax"
        )
    for note in notes:
        warnings.warn(f"quantize_static: {note}", stacklevel=2)
    model = model_input
    if isinstance(model, (str, os.PathLike)):
        model = _dwindle.load(model)
    elif not isinstance(model, _dwindle.Model):
        model = _dwindle.from_onnx(model)
    if isinstance(op_types_to_quantize, str):
        op_types_to_quantize = [op_types_to_quantize]
    if op_types_to_quantize:
        # Such lists name what a script knows of, not what a model holds.
        held = [op for op in op_types_to_quantize if op in _dwindle.op_types(model)]
        options["op_types"] = held or list(op_types_to_quantize)
    result = _dwindle.quantize(model, data, options, {}, None, None)
    result.save(model_output, external_data="always" if use_external_data_format else "auto")
    return result
