"""Int4 weights of external data: what ONNX Runtime computes with them, and with how little memory."""

import resource
import signal
import subprocess
import sys
import time

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from conftest import command_path
from onnx import TensorProto, helper, numpy_helper

BLOCK = 32
INT4 = ["--activations", "none", "--weights", "int4", "--block-size", str(BLOCK)]


def save_chain(folder, shapes, transposed=()):
    """Products one after the other, their weights in weights.bin; those in `transposed` are Gemms."""
    rng = np.random.default_rng(5)
    nodes, initializers, value = [], [], "x"
    for i, (k, n) in enumerate(shapes):
        weights = (rng.standard_normal((k, n)) / np.sqrt(k)).astype(np.float32)
        op, attributes = ("Gemm", {"transB": 1}) if i in transposed else ("MatMul", {})
        stored = np.ascontiguousarray(weights.T) if i in transposed else weights
        initializers.append(numpy_helper.from_array(stored, f"w{i}"))
        nodes.append(helper.make_node(op, [value, f"w{i}"], [f"y{i}"], name=f"n{i}", **attributes))
        value = f"y{i}"
    graph = helper.make_graph(
        nodes,
        "chain",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, shapes[0][0]])],
        [helper.make_tensor_value_info(value, TensorProto.FLOAT, [2, shapes[-1][1]])],
        initializers,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    path = folder / "model.onnx"
    onnx.save(model, path, save_as_external_data=True, location="weights.bin")
    return path


def run(*arguments, **more):
    command = [command_path(), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **more)


def unpacked(tensor):
    codes = np.frombuffer(tensor.raw_data, np.uint8)
    values = np.stack([codes & 15, codes >> 4], -1).reshape(-1).astype(np.int8)
    return np.where(values > 7, values - 16, values)[: np.prod(tensor.dims)].reshape(tensor.dims)


def dequantized_weights(model):
    tensors = {t.name: t for t in model.graph.initializer}
    weights = []
    for node in model.graph.node:
        if node.op_type != "DequantizeLinear":
            continue
        axis = next(a.i for a in node.attribute if a.name == "axis")
        integers = unpacked(tensors[node.input[0]])
        scales = np.repeat(numpy_helper.to_array(tensors[node.input[1]]), BLOCK, axis)
        weights.append(integers * scales.take(range(integers.shape[axis]), axis))
    return weights


def test_onnx_runtime_computes_the_dequantized_product(tmp_path):
    path = save_chain(tmp_path, [(256, 320), (320, 100), (100, 64)], transposed=(1,))
    done = run("quantize", path, tmp_path / "q.onnx", *INT4)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "q.onnx.data").exists()
    onnx.checker.check_model(str(tmp_path / "q.onnx"), full_check=True)
    x = np.random.default_rng(6).standard_normal((2, 256)).astype(np.float32)
    first, second, third = dequantized_weights(onnx.load(tmp_path / "q.onnx"))
    expected = x @ first @ second.T @ third
    for level in (
        ort.GraphOptimizationLevel.ORT_DISABLE_ALL,
        ort.GraphOptimizationLevel.ORT_ENABLE_ALL,  # fuses to MatMulNBits
    ):
        options = ort.SessionOptions()
        options.graph_optimization_level = level
        # Else the fused kernel may round the activations to 8 bits.
        options.add_session_config_entry("session.qdq_matmulnbits_accuracy_level", "1")
        session = ort.InferenceSession(
            str(tmp_path / "q.onnx"), options, providers=["CPUExecutionProvider"]
        )
        np.testing.assert_allclose(session.run(None, {"x": x})[0], expected, rtol=1e-3, atol=1e-4)


def test_reports_the_sqnr_of_the_weights(tmp_path):
    path = save_chain(tmp_path, [(256, 320), (320, 100)])
    done = run("quantize", path, tmp_path / "q.onnx", *INT4)
    real = [numpy_helper.to_array(t).astype(np.float64) for t in onnx.load(path).graph.initializer]
    rounded = dequantized_weights(onnx.load(tmp_path / "q.onnx"))
    noise = sum(((a - b) ** 2).sum() for a, b in zip(real, rounded))
    db = 10 * np.log10(sum((a**2).sum() for a in real) / noise)
    assert f"SQNR of the weights: {db:.1f} dB; least of 'n" in done.stdout


# A process starts with the peak of the one that it was forked from, so that must be small.
PEAK = """
import os, subprocess, sys
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
print(os.waitstatus_to_exitcode(status), usage.ru_maxrss)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss has other units elsewhere")
def test_memory_does_not_grow_with_the_model(tmp_path):
    """Of 336 MB of weights less than 100 are in memory at any time."""
    path = save_chain(tmp_path, [(2048, 4096), (4096, 2048)] * 5)
    command = [sys.executable, "-S", "-c", PEAK, command_path(), "quantize", path]
    command += [tmp_path / "q.onnx", *INT4]
    code, kilobytes = map(int, subprocess.check_output(command).split())
    assert code == 0
    assert kilobytes < 100 * 1024


@pytest.mark.parametrize("how", ["full", "killed"])
def test_a_run_that_fails_leaves_the_old_files_and_no_others(tmp_path, how):
    path = save_chain(tmp_path, [(2048, 2048)] * 8)
    assert run("quantize", path, tmp_path / "q.onnx", *INT4).returncode == 0
    before = {f.name: f.stat().st_mtime_ns for f in tmp_path.iterdir()}
    command = ["quantize", path, tmp_path / "q.onnx", *INT4, "--weight-range", "minmax"]
    if how == "full":
        limit = (4 << 20, 4 << 20)
        done = run(*command, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit))
        assert done.returncode == 1
        assert "File too large" in done.stderr
    else:
        process = subprocess.Popen([command_path(), *map(str, command)], stdout=subprocess.DEVNULL)
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        process.wait()
        if process.returncode == 0:
            pytest.skip("was done before")
    assert {f.name: f.stat().st_mtime_ns for f in tmp_path.iterdir()} == before
