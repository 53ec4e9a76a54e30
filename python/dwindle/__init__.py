"""Dwindle makes trained ONNX models small and fast, and proves that they still work.

    import dwindle

    model = dwindle.load("model.onnx")
    small = dwindle.quantize(model, "calib.npz")
    print(small.quality)
    small.save("small.onnx")

A model is given as a dwindle.Model, a path or an onnx.ModelProto. Data is given as

- a path: an `.npz` (a key an input, samples along the first axis), an `.npy` for a model of one
  input, a folder of `.npz` (each one feed) or a folder of images;
- a dict of arrays, with samples along the first axis, or a bare array for a model of one input;
- an iterable of dicts, each one feed as it is;
- an object with `get_next()`, which returns a dict, and None at the end.
"""

from __future__ import annotations

import os as _os

from dwindle import _dwindle
from dwindle._dwindle import (
    BadData,
    BadModel,
    BadOption,
    BoundMissed,
    Error,
    IoError,
    Model,
    TensorInfo,
    Unsupported,
    __version__,
    from_onnx,
    load,
    set_num_threads,
)
from dwindle.ort import quantize_static

__all__ = [
    "BadData",
    "BadModel",
    "BadOption",
    "BoundMissed",
    "Error",
    "IoError",
    "Model",
    "TensorInfo",
    "Unsupported",
    "__version__",
    "compare",
    "from_onnx",
    "load",
    "passes",
    "quantize",
    "quantize_static",
    "run_recipe",
    "set_num_threads",
    "simplify",
]


def passes():
    """All passes: a list of dicts with name, summary, needs_calibration and options."""
    import json

    return json.loads(_dwindle.passes_json())


def simplify(model, *, check=True, progress=None):
    """Make a model smaller without changing what it computes.

    With `check`, both models are run on random inputs; raises Error where they differ, and
    Unsupported where an op cannot be run. What was found is in the result's `proof`. `progress` is
    called with (stage, done, total).
    """
    return _dwindle.simplify(model, check, progress)


def quantize(
    model,
    calib=None,
    *,
    labels=None,
    mean=None,
    std=None,
    layout=None,
    max_drop=None,
    progress=None,
    **options,
):
    """Quantize a model to int8, with ranges calibrated on `calib`.

    `options` are those of the pass quantize-static, as `passes()` lists them: calib_method
    ("minmax", "moving-average", "percentile", "entropy", "mse"), weights ("int8", "int4", "int2"),
    block_size, activations ("uint8", "int8", "uint16", "int16"), target, per_tensor, op_types,
    include and exclude (names of nodes, as globs: one string or several), first_last, and more.
    With activations="none" weights alone are quantized (quantize-weights), and `calib` is needed
    for the proof alone; without it, random inputs serve. `max_drop` is the largest share of samples
    whose top class may change; where it is more, BoundMissed is raised. It is for outputs with
    classes: those with one axis of more than one element beside the first; without any, Unsupported
    is raised. `labels` is the key of `calib` that holds classes. `mean`, `std` and `layout` are for
    a folder of images.
    What was found beside the original is in the result's `quality`.
    """
    data_options = {"labels": labels, "mean": mean, "std": std, "layout": layout}
    return _dwindle.quantize(model, calib, options, data_options, max_drop, progress)


def run_recipe(
    model,
    recipe,
    calib=None,
    *,
    labels=None,
    mean=None,
    std=None,
    layout=None,
    check=True,
    progress=None,
):
    """Run the passes of a recipe in order.

    `recipe` is a list of pass names and of dicts {"pass": name, option: value}, such a list under
    the key "passes" of a dict, or the path of a JSON file of either. Options are spelled as
    `passes()` lists them, or with "_" for "-". Raises BadOption for unknown passes and options.
    With `calib`, the result is run beside the original on that data (see its `quality`); without,
    and with `check`, on random inputs: see its `quality` where the recipe quantizes, else its
    `proof`.
    """
    if isinstance(recipe, (str, _os.PathLike)):
        try:
            with open(recipe, encoding="utf-8") as file:
                text = file.read()
        except OSError as error:
            raise IoError(f"cannot open {_os.fspath(recipe)}: {error.strerror}") from error
    else:
        import json

        # numpy's scalars are numbers and bools too.
        text = json.dumps(recipe, default=lambda value: value.item())
    data_options = {"labels": labels, "mean": mean, "std": std, "layout": layout}
    return _dwindle.run_recipe(model, text, calib, data_options, check, progress)


def compare(
    *models,
    data,
    labels=None,
    mean=None,
    std=None,
    layout=None,
    runs=20,
    progress=None,
):
    """Run models beside each other over `data`; the first is what the others are held against.

    Returns a dict a model: model (its path, or its place), bytes, accuracy (top-1, None without
    `labels`), latency_ms (the median of `runs` runs of one sample), and outputs: a list of name,
    sqnr_db (infinite where equal), runs, runs_of_another_shape (whose size depends on the data:
    they do not count) and top1_agreement. `labels` is the key of `data` that holds
    classes. `mean`, `std` and `layout` are for a folder of images.
    """
    if not models:
        raise TypeError("compare() needs at least one model")
    names = [
        _os.fspath(model) if isinstance(model, (str, _os.PathLike)) else f"model {i}"
        for i, model in enumerate(models)
    ]
    data_options = {"labels": labels, "mean": mean, "std": std, "layout": layout}
    return _dwindle.compare(list(models), names, data, data_options, runs, progress)
