"""Int4 weights in blocks of 32, side by side: Dwindle and ONNX Runtime's MatMulNBits quantizer.

    python benchmarks/peers/weights.py [--layers 33] [--shape 4096 4096] [--runs 3] [--folder DIR]

The model is a chain of MatMul nodes with normally distributed float32 weights in external data: 2.2 GB
by default, made in a temporary folder (of --folder) and removed. Each measurement is a whole process,
start to exit; tools take turns, so that a busy machine slows all alike. Prints the median seconds, the
median ratio to ONNX Runtime in the same turn, the processor seconds, the peak resident memory of the
process, the size of what was written and the SQNR of its weights.

Needs `dwindle` on the PATH (or --dwindle), and onnx, onnxruntime and onnx_ir.
"""

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

BLOCK = 32


def make_model(folder, layers, shape, seed=0):
    """Writes model.onnx and weights.bin: MatMul nodes one after the other, [k, n] and [n, k] in turn."""
    rng = np.random.default_rng(seed)
    nodes, initializers, offset, value = [], [], 0, "x"
    with open(folder / "weights.bin", "wb") as file:
        for i in range(layers):
            dims = shape if i % 2 == 0 else shape[::-1]
            weights = rng.standard_normal(dims, dtype=np.float32) / np.float32(np.sqrt(dims[0]))
            tensor = onnx.TensorProto(name=f"w{i}", data_type=TensorProto.FLOAT, dims=dims)
            tensor.data_location = TensorProto.EXTERNAL
            place = {"location": "weights.bin", "offset": offset, "length": weights.nbytes}
            for key, entry in place.items():
                tensor.external_data.add(key=key, value=str(entry))
            file.write(weights.tobytes())
            offset += weights.nbytes
            initializers.append(tensor)
            nodes.append(helper.make_node("MatMul", [value, f"w{i}"], [f"y{i}"], name=f"layer{i}"))
            value = f"y{i}"
    last = shape[1] if layers % 2 else shape[0]
    graph = helper.make_graph(
        nodes,
        "chain",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, shape[0]])],
        [helper.make_tensor_value_info(value, TensorProto.FLOAT, [1, last])],
        initializers,
    )
    opset = [helper.make_opsetid("", 21)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=10), folder / "model.onnx")
    return offset


def run_onnxruntime(source, target):
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

    quantizer = MatMulNBitsQuantizer(onnx.load(source), block_size=BLOCK, is_symmetric=True)
    quantizer.process()
    quantizer.model.save_model_to_file(target, use_external_data_format=True)


def command(args, tool, source, target):
    if tool == "onnxruntime":
        return [sys.executable, __file__, "--worker", str(source), str(target)]
    options = ["--activations", "none", "--weights", "int4", "--block-size", str(BLOCK)]
    return [args.dwindle, "quantize", str(source), str(target), *options]


# A process starts with the peak memory of the one that it was forked from, so that must be small.
LAUNCHER = """
import os, subprocess, sys, time
started = time.perf_counter()
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
seconds = time.perf_counter() - started
print(os.waitstatus_to_exitcode(status), seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss)
"""


def measure(args, tool, source, folder):
    """Wall and processor seconds, peak resident megabytes; leaves the result in `folder`."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    tool_command = command(args, tool, source, folder / "out.onnx")
    tool_command[0] = shutil.which(tool_command[0])
    done = subprocess.run(
        [sys.executable, "-S", "-c", LAUNCHER, *tool_command],
        capture_output=True,
        text=True,
        check=True,
    )
    code, seconds, processor, kilobytes = map(float, done.stdout.split())
    if code != 0:
        sys.exit(f"{tool} failed:\n{done.stderr[-2000:]}")
    return {
        "seconds": seconds,
        "processor": processor,
        "megabytes": kilobytes / 1024,
        "bytes": sum(f.stat().st_size for f in folder.iterdir()),
    }


def mapped(folder, tensor, dtype):
    """The elements of a tensor as they are in their file: one weight at a time is in memory."""
    if tensor.data_location != TensorProto.EXTERNAL:
        return np.frombuffer(tensor.raw_data, dtype)
    place = {entry.key: entry.value for entry in tensor.external_data}
    offset, count = int(place.get("offset", 0)), int(place["length"]) // np.dtype(dtype).itemsize
    return np.memmap(folder / place["location"], dtype, "r", offset, (count,))


def dequantized(folder, model):
    """The weights of `model`, [k, n] each, in the order of the nodes."""
    tensors = {t.name: t for t in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type not in ("DequantizeLinear", "MatMulNBits"):
            continue
        of_blocks = node.op_type == "DequantizeLinear"  # else [n, k / block, bytes of a block]
        integers, scales = (node.input[i] for i in ((0, 1) if of_blocks else (1, 2)))
        codes = mapped(folder, tensors[integers], np.uint8)
        pairs = np.stack([codes & 15, codes >> 4], -1).reshape(-1).astype(np.int8)
        scales = mapped(folder, tensors[scales], np.float32)
        if of_blocks:
            k, n = tensors[node.input[0]].dims
            values = np.where(pairs > 7, pairs - 16, pairs).reshape(-1, BLOCK, n)
            yield (values * scales.reshape(-1, 1, n)).reshape(k, n)
            continue
        shape = {a.name: a.i for a in node.attribute}
        values = (pairs - 8).reshape(shape["N"], -1, BLOCK) * scales.reshape(shape["N"], -1, 1)
        yield values.reshape(shape["N"], -1)[:, : shape["K"]].T


def weight_sqnr(source, folder):
    original = onnx.load(source, load_external_data=False)
    written = onnx.load(folder / "out.onnx", load_external_data=False)
    signal = noise = 0.0
    count = 0
    found = dequantized(folder, written)
    for tensor, weights in zip(original.graph.initializer, found):
        real = mapped(source.parent, tensor, np.float32).reshape(tuple(tensor.dims))
        error = (weights - real).ravel()
        signal += float(np.dot(real.ravel(), real.ravel()))
        noise += float(np.dot(error, error))
        count += 1
    if count != len(original.graph.initializer):
        sys.exit(f"{count} of {len(original.graph.initializer)} weights were quantized")
    return 10 * np.log10(signal / noise)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--layers", type=int, default=33)
    parser.add_argument("--shape", type=int, nargs=2, default=[4096, 4096])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--folder", help="where the model is made")
    parser.add_argument("--dwindle", default="dwindle", help="the command to run")
    parser.add_argument("--tools", nargs="+", default=["dwindle", "onnxruntime"])
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        run_onnxruntime(*args.worker)
        return
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        source = Path(name) / "model.onnx"
        size = make_model(source.parent, args.layers, args.shape)
        results = {tool: [] for tool in args.tools}
        sqnr = {}
        for _ in range(args.runs):
            for tool in args.tools:
                results[tool].append(measure(args, tool, source, Path(name) / tool))
        for tool in args.tools:
            sqnr[tool] = weight_sqnr(source, Path(name) / tool)
    print(f"{args.layers} MatMul weights of {args.shape}, {size / 1e9:.2f} GB, {args.runs} runs\n")
    print("| tool | seconds | beside ONNX Runtime | processor seconds | peak MB | bytes | SQNR |")
    print("|---|---|---|---|---|---|---|")
    for tool, runs in results.items():

        def median(key, runs=runs):
            return statistics.median(run[key] for run in runs)

        ratio = "–"
        if "onnxruntime" in results:
            pairs = zip(runs, results["onnxruntime"])
            ratio = f"{statistics.median(a['seconds'] / b['seconds'] for a, b in pairs):.2f}"
        print(
            f"| {tool} | {median('seconds'):.1f} | {ratio} | {median('processor'):.1f} | "
            f"{median('megabytes'):.0f} | {median('bytes'):,.0f} | {sqnr[tool]:.2f} dB |"
        )


if __name__ == "__main__":
    main()
