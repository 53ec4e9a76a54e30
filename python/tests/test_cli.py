"""The command: what it prints, its exit codes, and that nothing is left behind on failure."""

import json
import os
import pty
import signal
import subprocess
import time

import dwindle
import numpy as np
import onnx
import pytest
from conftest import (
    command_path,
    make_classifier,
    make_endless_loop,
    make_indecisive,
    samples,
)
from onnx import TensorProto, helper, numpy_helper

DONE, FAILED, USAGE, BOUND_MISSED = 0, 1, 2, 3


def fails(result, code, message=""):
    assert result.returncode == code, result.stderr
    assert result.stderr.startswith("dwindle: error: ")
    assert result.stderr.count("\n") == 1 or code == FAILED
    assert message in result.stderr
    return True


def done(result):
    assert result.returncode == DONE, result.stderr
    assert result.stderr == ""  # silence in a pipe
    return result.stdout


def test_help_and_version(dwindle_command):
    for verb in ("inspect", "simplify", "quantize", "compare", "run", "passes"):
        assert verb in done(dwindle_command("--help"))
        assert "Usage" in done(dwindle_command(verb, "--help"))
    assert dwindle.__version__ in done(dwindle_command("--version"))


@pytest.mark.parametrize(
    "arguments",
    [
        ["frob"],
        ["inspect"],
        ["inspect", "a", "--frob"],
        ["passes", "extra"],
        ["quantize", "a", "b"],
        ["compare", "a", "--data", "d"],
    ],
)
def test_wrong_usage(dwindle_command, arguments):
    assert fails(dwindle_command(*arguments), USAGE)


def test_inspect(dwindle_command, classifier_path):
    text = done(dwindle_command("inspect", classifier_path))
    assert "x: float32[N,3,8,8]" in text
    facts = json.loads(done(dwindle_command("inspect", classifier_path, "--json")))
    assert facts["bytes"] == classifier_path.stat().st_size
    assert facts["opsets"] == {"ai.onnx": 17}
    assert facts["ir_version"] == 8
    assert facts["producer"]["name"] == "tests"
    assert facts["inputs"] == [{"name": "x", "dtype": "float32", "shape": ["N", 3, 8, 8]}]
    assert facts["ops"]["Conv"] == 1 and facts["nodes"] == 6
    assert facts["parameters"] == 24 * 3 * 9 + 4 * 24 + 4 * 24 + 4
    assert facts["weight_bytes"] == {"float32": 4 * facts["parameters"]}
    assert facts["macs"] == 24 * 8 * 8 * 3 * 9 + 24 * 4
    assert facts["quantized"] is False
    assert facts["faults"] == []


def test_inspect_says_what_is_wrong(dwindle_command, classifier, tmp_path):
    path = tmp_path / "bad.onnx"
    # Nothing says of which version of acme's operators it is.
    classifier.graph.node[2].domain = "acme"
    onnx.save(classifier, path)
    refused = dwindle_command("simplify", path, tmp_path / "out.onnx")
    result = dwindle_command("inspect", path)
    assert refused.returncode == result.returncode == FAILED, result.stderr
    assert "bad.onnx is not valid" in result.stderr and "acme" in result.stderr
    assert "fault" in result.stdout and "Gemm" in result.stdout
    result = dwindle_command("inspect", path, "--json")
    assert result.returncode == FAILED
    (fault,) = json.loads(result.stdout)["faults"]
    assert "acme" in fault


def test_simplify(dwindle_command, classifier_path, tmp_path):
    out = tmp_path / "out.onnx"
    text = done(dwindle_command("simplify", classifier_path, out))
    assert "BatchNormalization" in text
    assert "BatchNormalization" not in [n.op_type for n in onnx.load(out).graph.node]
    assert out.read_bytes() == dwindle.simplify(classifier_path).to_bytes()
    # In place.
    done(dwindle_command("simplify", classifier_path, classifier_path))
    assert classifier_path.read_bytes() == out.read_bytes()


def test_unknown_op_is_written_only_unchecked(dwindle_command, tmp_path):
    graph = helper.make_graph(
        [
            helper.make_node("Identity", ["x"], ["i"]),
            helper.make_node("Frobnicate", ["i"], ["y"], domain="acme"),
        ],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("acme", 1)]
    path, out = tmp_path / "m.onnx", tmp_path / "out.onnx"
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    result = dwindle_command("simplify", path, out)
    assert fails(result, FAILED, "Frobnicate") and "--no-check" in result.stderr
    assert not out.exists()
    done(dwindle_command("simplify", path, out, "--no-check"))
    assert [n.op_type for n in onnx.load(out).graph.node] == ["Frobnicate"]


def test_quantize(dwindle_command, classifier_path, calib_path, tmp_path):
    out = tmp_path / "out.onnx"
    text = done(dwindle_command("quantize", classifier_path, out, "--calib", calib_path))
    assert "SQNR" in text
    assert out.read_bytes() == dwindle.quantize(classifier_path, calib_path).to_bytes()
    done(
        dwindle_command(
            "quantize",
            classifier_path,
            out,
            "--calib",
            calib_path,
            "--per-tensor",
            "--calib-method",
            "percentile",
            "--exclude",
            "gem*",
            "--exclude",
            "conv",
        )
    )
    want = dwindle.quantize(
        classifier_path,
        calib_path,
        per_tensor=True,
        calib_method="percentile",
        exclude=["gem*", "conv"],
    )
    assert out.read_bytes() == want.to_bytes()


def failing_runs(folder):
    """Arguments that must fail, with the exit code and a word of the message."""
    x = samples(4)
    nan = x.copy()
    nan[2, 0, 0, 0] = np.nan
    arrays = {
        "good": {"x": x},
        "name": {"z": x},
        "dtype": {"x": x.astype(np.float64)},
        "shape": {"x": x[:, 1:]},
        "empty": {"x": x[:0]},
        "nan": {"x": nan},
    }
    for name, content in arrays.items():
        np.savez(folder / f"{name}.npz", **content)
    onnx.save(make_classifier(), folder / "m.onnx")
    (folder / "junk.onnx").write_bytes(b"\xff junk")
    (folder / "zero.onnx").write_bytes(b"")
    quantize = ["quantize", "m.onnx", "out.onnx", "--calib"]
    yield from (
        ([*quantize, "name.npz"], FAILED, "rename 'z' to 'x'"),
        ([*quantize, "dtype.npz"], FAILED, "astype('float32')"),
        ([*quantize, "shape.npz"], FAILED, "[4,2,8,8]"),
        ([*quantize, "empty.npz"], FAILED, "0 samples"),
        ([*quantize, "nan.npz"], FAILED, "NaN"),
        ([*quantize, "absent.npz"], FAILED, "absent.npz"),
        ([*quantize, "good.npz", "--calib-method", "guess"], USAGE, "guess"),
        ([*quantize, "good.npz", "--max-drop", "7"], USAGE, "max-drop"),
        ([*quantize, "good.npz", "--mean", "1"], USAGE, "folder of images"),
        (["simplify", "junk.onnx", "out.onnx"], FAILED, "junk.onnx"),
        (["simplify", "zero.onnx", "out.onnx"], FAILED, "zero.onnx"),
        (["simplify", "absent.onnx", "out.onnx"], FAILED, "absent.onnx"),
        (["run", "absent.json", "m.onnx", "out.onnx"], FAILED, "absent.json"),
    )


def test_failure_leaves_the_output_as_it_was(dwindle_command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runs = list(failing_runs(tmp_path))
    out = tmp_path / "out.onnx"
    out.write_bytes(b"as it was")
    files = sorted(os.listdir(tmp_path))
    for arguments, code, message in runs:
        assert fails(dwindle_command(*arguments), code, message), arguments
        assert out.read_bytes() == b"as it was"
        assert sorted(os.listdir(tmp_path)) == files


@pytest.mark.parametrize("out", ["absent/out.onnx", "folder", "/dev/full/out.onnx"])
def test_unwritable_output(dwindle_command, classifier_path, tmp_path, monkeypatch, out):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    assert fails(dwindle_command("simplify", classifier_path, out), FAILED, out)


@pytest.mark.parametrize("signal_ignored", [True, False])
def test_full_disk(classifier_path, tmp_path, signal_ignored):
    """A limit on the size of files stands for a full disk; past it comes a signal, too."""
    command = command_path()
    if command is None:
        pytest.skip("the command dwindle is not installed")
    out = tmp_path / "out.onnx"
    out.write_bytes(b"as it was")
    trap = "trap '' XFSZ; " if signal_ignored else ""
    script = f"{trap}ulimit -f 1; exec '{command}' simplify '{classifier_path}' '{out}'"
    result = subprocess.run(["bash", "-c", script], capture_output=True, text=True)
    if result.returncode == 0:
        pytest.skip("the model fits into the smallest limit")
    assert fails(result, FAILED, "out.onnx")
    assert out.read_bytes() == b"as it was"
    assert sorted(os.listdir(tmp_path)) == ["model.onnx", "out.onnx"]


def test_bound_missed_writes_nothing(dwindle_command, calib_path, tmp_path):
    model = make_indecisive()
    onnx.save(model, tmp_path / "m.onnx")
    out = tmp_path / "out.onnx"
    result = dwindle_command(
        "quantize", tmp_path / "m.onnx", out, "--calib", calib_path, "--max-drop", "0"
    )
    assert fails(result, BOUND_MISSED, "--max-drop")
    assert not out.exists()


def test_run(dwindle_command, classifier_path, calib_path, tmp_path):
    recipe, out = tmp_path / "r.json", tmp_path / "out.onnx"
    recipe.write_text(json.dumps({"passes": ["fold-batch-norm"]}))
    assert "BatchNormalization" in done(dwindle_command("run", recipe, classifier_path, out))
    assert len(onnx.load(out).graph.node) == 5
    recipe.write_text(json.dumps(["fold-batch-norm", {"pass": "quantize-static"}]))
    assert fails(dwindle_command("run", recipe, classifier_path, out), USAGE, "--calib")
    text = done(dwindle_command("run", recipe, classifier_path, out, "--calib", calib_path))
    assert "SQNR" in text
    for content, message in (
        ("[", "JSON"),
        ('["frob"]', "frob"),
        ('{"steps": []}', "steps"),
        ('[{"pass": "fold-batch-norm", "x": 1}]', "x"),
    ):
        recipe.write_text(content)
        assert fails(dwindle_command("run", recipe, classifier_path, out), USAGE, message)


def test_compare(dwindle_command, classifier_path, tmp_path):
    x = samples(10)
    y = dwindle.load(classifier_path).run({"x": x})["y"].argmax(1)
    np.savez(tmp_path / "eval.npz", x=x, y=y)
    dwindle.quantize(classifier_path, x).save(tmp_path / "q.onnx")
    arguments = [
        "compare",
        classifier_path,
        tmp_path / "q.onnx",
        "--data",
        tmp_path / "eval.npz",
        "--labels",
        "y",
        "--runs",
        "2",
    ]
    assert "q.onnx" in done(dwindle_command(*arguments))
    reference, other = json.loads(done(dwindle_command(*arguments, "--json")))["models"]
    assert reference["accuracy"] == 1.0 and reference["outputs"] == []
    assert other["bytes"] == (tmp_path / "q.onnx").stat().st_size
    assert other["outputs"][0]["name"] == "y" and other["outputs"][0]["sqnr_db"] > 15


def test_images_with_lists_of_numbers(dwindle_command, tmp_path):
    image = pytest.importorskip("PIL.Image")
    onnx.save(make_classifier(), tmp_path / "m.onnx")
    (tmp_path / "images").mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), dtype=np.uint8)
    for i, picture in enumerate(pixels):
        image.fromarray(picture).save(tmp_path / "images" / f"{i}.png")
    want = dwindle.quantize(tmp_path / "m.onnx", tmp_path / "images", mean=[-1, 2, 3], std=[50.0])
    for mean in (["--mean", "-1", "2", "3"], ["--mean", "-1,2,3"], ["--mean=-1,2,3"]):
        out = tmp_path / "out.onnx"
        done(
            dwindle_command(
                "quantize",
                *mean,
                "--std",
                "50",
                tmp_path / "m.onnx",
                out,
                "--calib",
                tmp_path / "images",
                "--layout",
                "nchw",
            )
        )
        assert out.read_bytes() == want.to_bytes()


def test_passes(dwindle_command):
    assert "fold-batch-norm" in done(dwindle_command("passes"))
    assert json.loads(done(dwindle_command("passes", "--json"))) == dwindle.passes()
    assert "## fold-batch-norm" in done(dwindle_command("passes", "--markdown"))


def test_progress_on_a_terminal(classifier_path, tmp_path):
    command = command_path()
    if command is None:
        pytest.skip("the command dwindle is not installed")
    main, terminal = pty.openpty()
    out = tmp_path / "out.onnx"
    result = subprocess.run(
        [command, "simplify", classifier_path, out],
        stderr=terminal,
        stdout=subprocess.PIPE,
        text=True,
    )
    os.close(terminal)
    drawn = os.read(main, 1 << 16).decode()
    os.close(main)
    assert result.returncode == DONE
    assert ("\r" in drawn and "━" in drawn) or "─" in drawn
    assert "\r" not in result.stdout


def test_ctrl_c(tmp_path):
    command = command_path()
    if command is None:
        pytest.skip("the command dwindle is not installed")
    onnx.save(make_classifier(), tmp_path / "m.onnx")
    np.savez(tmp_path / "calib.npz", x=samples(200_000))
    files = sorted(os.listdir(tmp_path))
    process = subprocess.Popen(
        [command, "quantize", "m.onnx", "out.onnx", "--calib", "calib.npz"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert error == "dwindle: error: interrupted\n"
    assert sorted(os.listdir(tmp_path)) == files


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_an_endless_loop(tmp_path, number):
    command = command_path()
    if command is None:
        pytest.skip("the command dwindle is not installed")
    onnx.save(make_endless_loop(), tmp_path / "m.onnx")
    (tmp_path / "out.onnx").write_bytes(b"precious")
    files = sorted(os.listdir(tmp_path))
    process = subprocess.Popen(
        [command, "simplify", "m.onnx", "out.onnx"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        time.sleep(0.5)
        assert process.poll() is None  # the proof runs
        process.send_signal(number)
        _, error = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == 128 + number
    assert error == "dwindle: error: interrupted\n"
    assert sorted(os.listdir(tmp_path)) == files
    assert (tmp_path / "out.onnx").read_bytes() == b"precious"


def test_notes_that_differ_in_a_name_alone_are_told_together(dwindle_command, tmp_path):
    nodes = [helper.make_node("MatMul", ["x", "w"], ["h0"], "product")]
    nodes += [helper.make_node("Erf", [f"h{i}"], [f"h{i + 1}"], f"erf_{i}") for i in range(5)]
    nodes += [helper.make_node("MatMul", ["h5", "v"], ["y"], "last")]
    rng = np.random.default_rng(0)
    stored = [
        numpy_helper.from_array(rng.standard_normal((32, 32)).astype(np.float32), name)
        for name in "wv"
    ]
    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, ["N", 32]) for n in "xy")
    graph = helper.make_graph(nodes, "g", [x], [y], stored)
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), tmp_path / "m.onnx")
    np.savez(tmp_path / "d.npz", x=samples(8, shape=(32,)))
    result = dwindle_command(
        "quantize", tmp_path / "m.onnx", tmp_path / "o.onnx", "--calib", tmp_path / "d.npz"
    )
    assert result.returncode == 0, result.stderr
    (told,) = [line for line in result.stdout.splitlines() if "float: Erf" in line]
    assert told.startswith("quantize-static: note: float: Erf 'erf_0': ")
    assert told.endswith(" (and 4 more: 'erf_1', 'erf_2', 'erf_3', …)")
