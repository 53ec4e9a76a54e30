from collections.abc import Callable, Iterable, Mapping, Sequence
from os import PathLike
from typing import Any, Literal, Protocol, TypeAlias, TypedDict

from numpy.typing import ArrayLike

from dwindle._dwindle import BadData as BadData
from dwindle._dwindle import BadModel as BadModel
from dwindle._dwindle import BadOption as BadOption
from dwindle._dwindle import BoundMissed as BoundMissed
from dwindle._dwindle import Error as Error
from dwindle._dwindle import IoError as IoError
from dwindle._dwindle import Model as Model
from dwindle._dwindle import ModelLike as ModelLike
from dwindle._dwindle import OutputAgreement as OutputAgreement
from dwindle._dwindle import TensorInfo as TensorInfo
from dwindle._dwindle import Unsupported as Unsupported
from dwindle._dwindle import __version__ as __version__
from dwindle._dwindle import from_onnx as from_onnx
from dwindle._dwindle import load as load
from dwindle.ort import quantize_static as quantize_static

Feed: TypeAlias = Mapping[str, ArrayLike]
Option: TypeAlias = bool | int | float | str | PathLike[str] | Sequence[str]
Recipe: TypeAlias = Sequence[str | Mapping[str, Any]] | Mapping[str, Any] | str | PathLike[str]
Progress: TypeAlias = Callable[[str, int, int], object]

class CalibrationReader(Protocol):
    def get_next(self) -> Feed | None: ...

Data: TypeAlias = (
    str
    | PathLike[str]
    | ArrayLike
    | Mapping[str, ArrayLike]
    | Iterable[Feed]
    | Iterable[ArrayLike]
    | CalibrationReader
)

class OptionRow(TypedDict, total=False):
    name: str
    type: Literal["bool", "int", "float", "str", "list"]
    default: bool | int | float | str | list[str]
    help: str
    choices: list[str]

class PassRow(TypedDict):
    name: str
    summary: str
    needs_calibration: bool
    options: list[OptionRow]

class Score(TypedDict):
    model: str
    bytes: int
    accuracy: float | None
    latency_ms: float
    outputs: list[OutputAgreement]

def set_num_threads(count: int) -> None: ...
def passes() -> list[PassRow]: ...
def simplify(
    model: ModelLike, *, check: bool = True, progress: Progress | None = None
) -> Model: ...
def quantize(
    model: ModelLike,
    calib: Data | None = None,
    *,
    labels: str | None = None,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    layout: Literal["nchw", "nhwc"] | None = None,
    max_drop: float | None = None,
    progress: Progress | None = None,
    target: str = ...,
    weights: Literal["auto", "int8", "int4", "int2"] = ...,
    weight_range: Literal["auto", "minmax", "mse"] = ...,
    per_tensor: bool = ...,
    block_size: int = ...,
    activations: Literal["auto", "uint8", "int8", "uint16", "int16", "none"] = ...,
    symmetric_activations: bool = ...,
    calib_method: Literal["minmax", "moving-average", "percentile", "entropy", "mse"] = ...,
    percentile: float = ...,
    averaging_constant: float = ...,
    reduce_range: bool = ...,
    calib_cache: str | PathLike[str] = ...,
    correct_bias: bool = ...,
    may_grow: bool = ...,
    min_sqnr: float = ...,
    min_output_sqnr: float = ...,
    op_types: str | Sequence[str] = ...,
    include: str | Sequence[str] = ...,
    exclude: str | Sequence[str] = ...,
    first_last: Literal["int8", "float"] = ...,
    **options: Option,
) -> Model: ...
def run_recipe(
    model: ModelLike,
    recipe: Recipe,
    calib: Data | None = None,
    *,
    labels: str | None = None,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    layout: Literal["nchw", "nhwc"] | None = None,
    check: bool = True,
    progress: Progress | None = None,
) -> Model: ...
def compare(
    *models: ModelLike,
    data: Data,
    labels: str | None = None,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    layout: Literal["nchw", "nhwc"] | None = None,
    runs: int = 20,
    progress: Progress | None = None,
) -> list[Score]: ...
