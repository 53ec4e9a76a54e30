from os import PathLike
from typing import Any, Literal, Protocol, TypeAlias, TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray

__version__: str

class Error(Exception): ...
class BadModel(Error): ...  # noqa: N818
class BadData(Error): ...  # noqa: N818
class BadOption(Error): ...  # noqa: N818
class BoundMissed(Error): ...  # noqa: N818
class Unsupported(Error): ...  # noqa: N818
class IoError(Error): ...

class SupportsSerialize(Protocol):
    """An onnx.ModelProto, without importing onnx."""

    def SerializeToString(self) -> bytes: ...  # noqa: N802

class OutputAgreement(TypedDict):
    name: str
    sqnr_db: float  # infinite where equal, nan where no run could be compared
    runs: int
    runs_of_another_shape: int  # they do not count
    top1_agreement: float | None

class NodeLoss(TypedDict):
    node: str
    op: str
    sqnr_db: float
    lost_db: float | None  # None: its inputs are exact, or as good (100 dB)
    rounded_for: str | None  # computed in float: the node its output is rounded for

class Quality(TypedDict):
    samples: int
    random: bool  # drawn, as there was no data
    outputs: list[OutputAgreement]
    worst_nodes: list[NodeLoss]

class OutputDifference(TypedDict):
    name: str
    same: bool
    max_absolute: float
    max_relative: float

class Proof(TypedDict):
    same: bool
    random: bool
    summary: str
    outputs: list[OutputDifference]

# The key "pass" is a keyword of Python, so the class form does not do.
PassReport = TypedDict(
    "PassReport",
    {
        "pass": str,
        "changed": bool,
        "counts": dict[str, int],
        "notes": list[str],
        "seconds": float,
    },
)

class TensorInfo:
    @property
    def name(self) -> str: ...
    @property
    def dtype(self) -> str | None: ...
    @property
    def shape(self) -> tuple[int | str | None, ...] | None: ...

class Model:
    @property
    def inputs(self) -> list[TensorInfo]: ...
    @property
    def outputs(self) -> list[TensorInfo]: ...
    @property
    def initializers(self) -> list[str]: ...
    @property
    def opset(self) -> int: ...
    @property
    def opsets(self) -> dict[str, int]: ...
    @property
    def ir_version(self) -> int: ...
    @property
    def report(self) -> list[PassReport]: ...
    @property
    def quality(self) -> Quality | None: ...
    @property
    def proof(self) -> Proof | None: ...
    def initializer(self, name: str) -> NDArray[Any]: ...
    def run(self, feeds: dict[str, ArrayLike]) -> dict[str, np.ndarray]: ...
    def save(
        self,
        path: str | PathLike[str],
        *,
        external_data: Literal["auto", "never", "always"] = "auto",
    ) -> None: ...
    def to_onnx(self) -> Any: ...
    def to_bytes(self) -> bytes: ...

ModelLike: TypeAlias = Model | SupportsSerialize | bytes | str | PathLike[str]

def load(path: str | PathLike[str]) -> Model: ...
def from_onnx(proto: SupportsSerialize | bytes, *, folder: str | PathLike[str] = "") -> Model: ...
def set_num_threads(count: int) -> None: ...
def passes_json() -> str: ...
def simplify(model: ModelLike, check: bool, progress: Any) -> Model: ...
def quantize(
    model: ModelLike,
    calib: Any,
    options: dict[str, Any],
    data_options: dict[str, Any],
    max_drop: float | None,
    progress: Any,
) -> Model: ...
def run_recipe(
    model: ModelLike,
    recipe: str,
    calib: Any,
    data_options: dict[str, Any],
    check: bool,
    progress: Any,
) -> Model: ...
def feeds(
    model: ModelLike, data: Any, data_options: dict[str, Any]
) -> list[tuple[dict[str, np.ndarray], NDArray[np.int64] | None, int]]: ...
def op_types(model: ModelLike) -> set[str]: ...
def compare(
    models: list[Any],
    names: list[str],
    data: Any,
    data_options: dict[str, Any],
    runs: int,
    progress: Any,
) -> list[Any]: ...
