"""Post-training quantization side by side: Dwindle and its peers on one model and one calibration set.

    python benchmarks/peers/ptq.py [--model M.onnx --calib C.npz] [--images 100] [--runs 3] [--threads 2]

Each measurement is a process of its own; tools take turns within a run, so that a busy machine slows
all alike. Prints the median seconds of calibrating and quantizing, the ratio to ONNX Runtime with the
same method in the same run, and the peak memory above that of the loaded inputs. Without --model, the
EfficientNet-Lite0 and the images of ../shared are used.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared"
METHODS = ["minmax", "percentile", "entropy", "mse"]
TOOLS = {"dwindle": METHODS, "onnxruntime": METHODS[:3]}


def load_inputs(args):
    """Model path and samples (first axis) to calibrate with."""
    if args.model:
        with np.load(args.calib) as data:
            key = next(k for k in data.files if k not in ("y", "label", "labels"))
            return args.model, key, data[key][: args.images]
    sys.path.insert(0, str(SHARED))
    import evalset

    x, _ = evalset.load("eff", "calib")
    while len(x) < args.images:
        x = np.concatenate([x, x[:, :, :, ::-1]])  # mirrored: new data of the same kind
    return evalset.model_path("eff"), "input", np.ascontiguousarray(x[: args.images])


def run_dwindle(model, name, x, method, out):
    import dwindle

    started = time.perf_counter()
    dwindle.quantize(model, ({name: sample[None]} for sample in x), calib_method=method).save(out)
    return time.perf_counter() - started


def run_onnxruntime(model, name, x, method, out):
    from onnxruntime.quantization import (
        CalibrationDataReader,
        CalibrationMethod,
        QuantFormat,
        quantize_static,
    )
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):
        def __init__(self):
            self.feeds = iter({name: sample[None]} for sample in x)

        def get_next(self):
            return next(self.feeds, None)

    methods = {
        "minmax": CalibrationMethod.MinMax,
        "percentile": CalibrationMethod.Percentile,
        "entropy": CalibrationMethod.Entropy,
    }
    started = time.perf_counter()
    prepared = out + ".prepared.onnx"
    quant_pre_process(model, prepared)
    quantize_static(
        prepared,
        out,
        Reader(),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        calibrate_method=methods[method],
    )
    return time.perf_counter() - started


def memory(key):
    """Kilobytes of this process, as Linux counts them."""
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith(key)).split()[1])


def work(args):
    model, name, x = load_inputs(args)
    tool, method = args.worker.split(":")
    # Modules are loaded before the clock starts and before memory is counted.
    __import__("onnxruntime.quantization" if tool == "onnxruntime" else tool)
    before = memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts anew
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "quantized.onnx")
        run = {"dwindle": run_dwindle, "onnxruntime": run_onnxruntime}[tool]
        seconds = run(model, name, x, method, out)
        size = os.path.getsize(out)
    megabytes = (memory("VmHWM") - before) / 1024
    print(json.dumps({"seconds": seconds, "megabytes": megabytes, "bytes": size}))


def measure(args, worker):
    command = [sys.executable, __file__, "--worker", worker, "--images", str(args.images)]
    if args.model:
        command += ["--model", args.model, "--calib", args.calib]
    environment = dict(os.environ, OMP_NUM_THREADS=str(args.threads))
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode != 0:
        sys.exit(f"{worker} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model")
    parser.add_argument("--calib")
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--methods", nargs="+", default=METHODS, choices=METHODS)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        work(args)
        return
    workers = [f"{t}:{m}" for m in args.methods for t, methods in TOOLS.items() if m in methods]
    results = {worker: [] for worker in workers}
    for _ in range(args.runs):
        for worker in workers:
            results[worker].append(measure(args, worker))
    print("| tool | method | seconds | beside ONNX Runtime's minmax | beside its same method | MB | bytes |")
    print("|---|---|---|---|---|---|---|")
    for worker in workers:
        tool, method = worker.split(":")

        def ratio(to, worker=worker):
            if to not in results:
                return "–"
            pairs = zip(results[worker], results[to])
            return f"{statistics.median(a['seconds'] / b['seconds'] for a, b in pairs):.2f}"

        def median(key, worker=worker):
            return statistics.median(r[key] for r in results[worker])

        print(
            f"| {tool} | {method} | {median('seconds'):.2f} | {ratio('onnxruntime:minmax')} | "
            f"{ratio(f'onnxruntime:{method}')} | {median('megabytes'):.0f} | {median('bytes'):.0f} |"
        )


if __name__ == "__main__":
    main()
