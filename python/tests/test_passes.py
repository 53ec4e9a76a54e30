"""Passes from Python: simplify, quantize, recipes, comparison; progress and Ctrl-C."""

import json
import math
import signal
import subprocess
import sys
import threading
import time

import dwindle
import numpy as np
import onnx
import pytest
from conftest import make_endless_loop, make_indecisive, samples


def test_simplify_returns_a_new_model(classifier):
    model = dwindle.from_onnx(classifier)
    small = dwindle.simplify(model)
    assert "BatchNormalization" not in [n.op_type for n in small.to_onnx().graph.node]
    assert model.to_onnx() == classifier  # models never change
    x = samples(3)
    np.testing.assert_allclose(small.run({"x": x})["y"], model.run({"x": x})["y"], 1e-4, 1e-5)
    changed = {row["pass"]: row["counts"] for row in small.report if row["changed"]}
    assert "fold-batch-norm" in changed
    assert sum(changed["fold-batch-norm"].values()) >= 1


def test_models_of_any_form(classifier, classifier_path):
    want = dwindle.simplify(dwindle.from_onnx(classifier)).to_bytes()
    for form in (classifier, classifier_path, str(classifier_path), classifier.SerializeToString()):
        assert dwindle.simplify(form).to_bytes() == want


def test_quantize_takes_data_of_any_form(classifier, calib_path):
    x = np.load(calib_path)["x"]
    want = dwindle.quantize(classifier, calib_path)
    ops = {node.op_type for node in want.to_onnx().graph.node}
    assert {"QuantizeLinear", "DequantizeLinear"} <= ops
    onnx.checker.check_model(want.to_onnx(), full_check=True)
    assert want.quality["samples"] > 0
    assert want.quality["outputs"][0]["sqnr_db"] > 15

    class Reader:
        at = -1

        def get_next(self):
            self.at += 1
            return {"x": x[self.at : self.at + 1]} if self.at < len(x) else None

    batches = [{"x": x[:8]}, {"x": x[8:]}]
    for data in (x, {"x": x}, batches, iter(batches), Reader()):
        assert dwindle.quantize(classifier, data).to_bytes() == want.to_bytes()


def test_options_reach_the_pass(classifier, calib_path):
    def axes(model):
        return [a for n in model.to_onnx().graph.node for a in n.attribute if a.name == "axis"]

    assert axes(dwindle.quantize(classifier, calib_path))
    assert not axes(dwindle.quantize(classifier, calib_path, per_tensor=True))
    kept = dwindle.quantize(classifier, calib_path, exclude=["gemm"])
    assert "g" in kept.initializers
    with pytest.raises(dwindle.BadOption, match=r"per-tensr.*did you mean 'per-tensor'"):
        dwindle.quantize(classifier, calib_path, per_tensr=True)
    with pytest.raises(dwindle.BadOption, match="calib-method"):
        dwindle.quantize(classifier, calib_path, calib_method="guess")
    with pytest.raises(dwindle.BadOption, match="max_drop"):
        dwindle.quantize(classifier, calib_path, max_drop=2)


def test_bound_missed(calib_path):
    model = make_indecisive()
    with pytest.raises(dwindle.BoundMissed, match="max_drop"):
        dwindle.quantize(model, calib_path, max_drop=0)
    assert dwindle.quantize(model, calib_path, max_drop=1).quality["samples"] == 20


def test_bad_calibration(classifier):
    x = samples(12)
    x[9, 1, 2, 3] = np.nan
    with pytest.raises(dwindle.BadData, match=r"(?i)nan"):
        dwindle.quantize(classifier, x)
    with pytest.raises(dwindle.BadData):
        dwindle.quantize(classifier, [])
    with pytest.raises(dwindle.BadData, match="rename 'z' to 'x'"):
        dwindle.quantize(classifier, {"z": samples(2)})


def test_recipes(classifier, tmp_path, calib_path):
    recipe = ["fold-constants", {"pass": "fold-batch-norm"}]
    (tmp_path / "r.json").write_text(json.dumps({"passes": recipe}))
    want = dwindle.run_recipe(classifier, recipe)
    assert [row["pass"] for row in want.report] == ["fold-constants", "fold-batch-norm"]
    for form in ({"passes": recipe}, tmp_path / "r.json", str(tmp_path / "r.json")):
        assert dwindle.run_recipe(classifier, form).to_bytes() == want.to_bytes()
    calibrated = dwindle.run_recipe(
        classifier, [*recipe, {"pass": "quantize-static", "per-tensor": True}], calib_path
    )
    assert calibrated.quality is not None
    spelled = dwindle.run_recipe(
        classifier, [*recipe, {"pass": "quantize-static", "per_tensor": True}], calib_path
    )
    assert spelled.to_bytes() == calibrated.to_bytes()
    with pytest.raises(dwindle.BadOption, match="did you mean 'fold-constants'"):
        dwindle.run_recipe(classifier, ["fold-constant"])
    with pytest.raises(dwindle.BadOption, match="calibration"):
        dwindle.run_recipe(classifier, ["quantize-static"])
    with pytest.raises(dwindle.IoError, match="absent"):
        dwindle.run_recipe(classifier, tmp_path / "absent.json")


def test_registry_rows():
    rows = {row["name"]: row for row in dwindle.passes()}
    assert {"fold-constants", "fold-batch-norm", "quantize-static"} <= set(rows)
    options = {option["name"]: option for option in rows["quantize-static"]["options"]}
    assert options["calib-method"]["choices"] == [
        "minmax",
        "moving-average",
        "percentile",
        "entropy",
        "mse",
    ]
    assert options["per-tensor"]["type"] == "bool"
    assert rows["quantize-static"]["needs_calibration"]


def test_compare(classifier, classifier_path, calib_path, tmp_path):
    x = np.load(calib_path)["x"]
    y = dwindle.load(classifier_path).run({"x": x})["y"].argmax(1)
    y[:5] = (y[:5] + 1) % 4
    quantized = dwindle.quantize(classifier, calib_path)
    scores = dwindle.compare(
        classifier_path, classifier, quantized, data={"x": x, "y": y}, labels="y", runs=2
    )
    first, same, other = scores
    assert first["model"] == str(classifier_path)
    assert first["bytes"] == classifier_path.stat().st_size
    assert first["accuracy"] == same["accuracy"] == 0.75
    assert first["outputs"] == []
    (equal,) = same["outputs"]
    assert (equal["name"], equal["sqnr_db"], equal["top1_agreement"]) == ("y", math.inf, 1.0)
    assert equal["runs"] > 0 and equal["runs_of_another_shape"] == 0
    (output,) = other["outputs"]
    want, got = (dwindle.load(classifier_path).run({"x": x})["y"], quantized.run({"x": x})["y"])
    sqnr = 10 * np.log10((want**2).sum() / ((want - got) ** 2).sum())
    assert output["sqnr_db"] == pytest.approx(sqnr, abs=0.05)
    assert output["top1_agreement"] == (want.argmax(1) == got.argmax(1)).mean()
    assert first["latency_ms"] > 0
    with pytest.raises(TypeError):
        dwindle.compare(data=x)


def test_progress_is_told(classifier, calib_path):
    told = []
    dwindle.quantize(classifier, calib_path, progress=lambda *step: told.append(step))
    assert told
    stage, done, total = told[0]
    assert isinstance(stage, str) and done >= 0 and isinstance(total, int)


def test_an_error_in_progress_or_data_passes_through(classifier):
    def failing_progress(*step):
        raise RuntimeError("stop here")

    def failing_data():
        yield {"x": samples(2)}
        raise ZeroDivisionError("in the data")

    with pytest.raises(RuntimeError, match="stop here"):
        dwindle.simplify(classifier, progress=failing_progress)
    with pytest.raises(ZeroDivisionError, match="in the data"):
        dwindle.quantize(classifier, failing_data())


def test_other_threads_run_meanwhile(classifier):
    model = dwindle.from_onnx(classifier)
    x = samples(4)
    want = model.run({"x": x})["y"]
    results = []
    threads = [
        threading.Thread(target=lambda: results.append(model.run({"x": x})["y"])) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 8
    for result in results:
        np.testing.assert_array_equal(result, want)


# A job in the background starts with Ctrl-C ignored: the handler is set by hand.
INTERRUPTED = """
import signal, sys, time
import numpy as np
import dwindle

signal.signal(signal.SIGINT, signal.default_int_handler)

def endless():
    x = np.random.default_rng(0).standard_normal((1, 3, 8, 8)).astype(np.float32)
    print("started", flush=True)
    while True:
        {pause}
        yield {{"x": x}}

try:
    dwindle.quantize(sys.argv[1], {data})
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


@pytest.mark.parametrize(
    ("pause", "data"),
    [("time.sleep(0.01)", "endless()"), ("pass", "endless()")],
    ids=["slow", "busy"],
)
def test_ctrl_c_ends_calibration(classifier_path, pause, data):
    code = INTERRUPTED.format(pause=pause, data=data)
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(classifier_path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout.readline() == "started\n"
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert rest == "interrupted\n"
    assert process.returncode == 0


ENDLESS = """
import signal, sys
import numpy as np
import dwindle

signal.signal(signal.SIGINT, signal.default_int_handler)

model = dwindle.load(sys.argv[1])
print("started", flush=True)
try:
    {call}
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


@pytest.mark.parametrize(
    "call", ["model.run({'x': np.ones(1, np.float32)})", "dwindle.simplify(model)"]
)
def test_ctrl_c_ends_an_endless_loop(tmp_path, call):
    onnx.save(make_endless_loop(), tmp_path / "m.onnx")
    process = subprocess.Popen(
        [sys.executable, "-c", ENDLESS.format(call=call), str(tmp_path / "m.onnx")],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout.readline() == "started\n"
        time.sleep(0.3)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=20)
    finally:
        process.kill()
    assert rest == "interrupted\n"
    assert process.returncode == 0
