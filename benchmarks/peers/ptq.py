"""Post-training quantization side by side: Dwindle and its peers, each goal of the project in a table.

    python benchmarks/peers/ptq.py [--runs 3] [--threads 2] [--only quantize memory simplify latency sqnr]
                                   [--model M.onnx --calib C.npz] [--images 100]

Each measurement is a process of its own; tools take turns within a round, so that a busy machine slows
all alike. A ratio is the median over the rounds of one round's ratio: of wall time, and of processor time
(user and system, all threads), which neighbours on the machine disturb less. Peers that are not installed
are skipped. Without --model, the models and data of ../shared are used; --model leaves out `sqnr`.
The command `dwindle` must be on the path, and the module importable.
"""

import argparse
import importlib.util
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared"
METHODS = {
    "dwindle": ["minmax", "percentile", "entropy", "mse"],
    "onnxruntime": ["minmax", "percentile", "entropy"],
    "nncf": ["default"],
}
TASKS = ["quantize", "memory", "simplify", "latency", "sqnr"]
MORE_IMAGES = 400
SETS = {"kws": "kws", "ic": "ic", "eff": "efficientnet_lite0"}


# ---- What a worker process does ------------------------------------------------------------------


def shared_set(key, split):
    sys.path.insert(0, str(SHARED))
    import evalset

    return evalset.model_path(key), evalset.load(key, split)


def load_inputs(args, key="eff", images=100):
    """Model path, name of its input and samples (first axis) to calibrate with."""
    if args.model:
        with np.load(args.calib) as data:
            name = next(k for k in data.files if k not in ("y", "label", "labels"))
            x = data[name]
        model = args.model
    else:
        model, (x, _) = shared_set(key, "calib")
        name = {"kws": "input", "ic": "input_1", "eff": "input"}[key]
    while len(x) < images and x.ndim == 4:
        x = np.concatenate([x, x[..., ::-1]])  # mirrored: new data of the same kind
    return model, name, np.ascontiguousarray(x[:images])


def run_dwindle(model, name, x, method, out):
    import dwindle

    options = {} if method == "default" else {"calib_method": method}
    dwindle.quantize(model, ({name: sample[None]} for sample in x), **options).save(out)


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
        "default": CalibrationMethod.MinMax,
        "minmax": CalibrationMethod.MinMax,
        "percentile": CalibrationMethod.Percentile,
        "entropy": CalibrationMethod.Entropy,
    }
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


def run_nncf(model, name, x, method, out):
    import nncf
    import onnx

    data = nncf.Dataset(x, lambda sample: {name: sample[None]})
    onnx.save(nncf.quantize(onnx.load(model), data, subset_size=len(x)), out)


QUANTIZERS = {"dwindle": run_dwindle, "onnxruntime": run_onnxruntime, "nncf": run_nncf}
MODULES = {"dwindle": "dwindle", "onnxruntime": "onnxruntime.quantization", "nncf": "nncf"}


def memory(key):
    """Kilobytes of this process, as Linux counts them."""
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith(key)).split()[1])


def work_quantize(args, tool, method, images):
    model, name, x = load_inputs(args, images=images)
    # Modules are loaded before the clock starts and before memory is counted.
    __import__(MODULES[tool])
    before = memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts anew
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "quantized.onnx")
        wall, cpu = time.perf_counter(), time.process_time()
        QUANTIZERS[tool](model, name, x, method, out)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        size = os.path.getsize(out)
    megabytes = (memory("VmHWM") - before) / 1024
    return {"wall": wall, "cpu": cpu, "megabytes": megabytes, "bytes": size}


def work_latency(args, tool):
    """The file as it is, one thread, one sample: the median of 40 runs behind 5 that warm up."""
    model, name, x = load_inputs(args, images=1)
    if tool == "dwindle":
        import dwindle

        dwindle.set_num_threads(1)
        loaded = dwindle.load(model)

        def run():
            loaded.run({name: x})
    else:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

        def run():
            session.run(None, {name: x})

    walls, cpus = [], []
    for i in range(45):
        wall, cpu = time.perf_counter(), time.process_time()
        run()
        if i >= 5:
            walls.append(time.perf_counter() - wall)
            cpus.append(time.process_time() - cpu)
    return {"wall": statistics.median(walls), "cpu": statistics.median(cpus)}


def work_sqnr(args, tool, key):
    """Default settings; both models run in ONNX Runtime on the eval set."""
    import onnxruntime

    model, name, x = load_inputs(args, key, 100)
    _, (samples, labels) = shared_set(key, "eval")
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "quantized.onnx")
        QUANTIZERS[tool](model, name, x, "default", out)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        sessions = [
            onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
            for path in (model, out)
        ]
        signal = noise = right = 0
        for at in range(0, len(samples), 50):
            feed = {name: samples[at : at + 50]}
            real, rounded = (s.run(None, feed)[0].astype(np.float64) for s in sessions)
            signal += (real**2).sum()
            noise += ((real - rounded) ** 2).sum()
            right += (rounded.reshape(len(rounded), -1).argmax(1) == labels[at : at + 50]).sum()
    return {"sqnr": float(10 * np.log10(signal / noise)), "top1": float(right / len(samples))}


def work(args):
    task, tool, *rest = args.worker.split(":")
    if task in ("quantize", "memory"):
        images = args.images if task == "quantize" else MORE_IMAGES
        result = work_quantize(args, tool, rest[0], images)
    elif task == "latency":
        result = work_latency(args, tool)
    else:
        result = work_sqnr(args, tool, rest[0])
    print(json.dumps(result))


# ---- What the main process does ------------------------------------------------------------------


def measure(args, worker):
    command = [sys.executable, __file__, "--worker", worker, "--images", str(args.images)]
    if args.model:
        command += ["--model", args.model, "--calib", args.calib]
    environment = dict(os.environ, OMP_NUM_THREADS=str(args.threads))
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode != 0:
        print(f"{worker} failed:\n{done.stderr[-2000:]}", file=sys.stderr)
        return None
    return json.loads(done.stdout.strip().splitlines()[-1])


def simplify_command(tool):
    """The command of a tool, or None where it is not installed."""
    beside = shutil.which(tool, path=os.path.dirname(sys.executable))
    command = beside or shutil.which(tool)
    if command is None:
        return None
    return [command, "simplify"] if tool == "dwindle" else [command]


def measure_simplify(args, tool):
    model = args.model or str(SHARED / "models" / "efficientnet_lite0.onnx")
    with tempfile.TemporaryDirectory() as folder:
        command = [*simplify_command(tool), model, os.path.join(folder, "simple.onnx")]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        wall = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True)
        wall = time.perf_counter() - wall
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        print(f"{tool} failed:\n{done.stderr[-2000:]}", file=sys.stderr)
        return None
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"wall": wall, "cpu": cpu}


def in_turn(runs, workers, run):
    """Results by worker: a list with one of each round. A worker that fails is left out."""
    results = {worker: [] for worker in workers}
    for _ in range(runs):
        for worker in list(results):
            found = run(worker)
            if found is None:
                del results[worker]
            else:
                results[worker].append(found)
    return results


def median(results, key, format="{:.2f}"):
    return format.format(statistics.median(r[key] for r in results))


def ratio(results, worker, to):
    """Wall and processor time of a worker beside another's of the same round."""
    if to not in results:
        return "–"
    pairs = list(zip(results[worker], results[to]))
    return " / ".join(
        f"{statistics.median(a[key] / b[key] for a, b in pairs):.2f}" for key in ("wall", "cpu")
    )


def table(title, columns, rows):
    print(f"\n### {title}\n\n| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for row in rows:
        print(f"| {' | '.join(row)} |")
    sys.stdout.flush()


def quantize_tables(args, tools):
    if "quantize" in args.only:
        workers = [f"quantize:{t}:{m}" for t in tools for m in METHODS[t] if m in args.methods]
        results = in_turn(args.runs, workers, lambda worker: measure(args, worker))
        rows = []
        for worker, found in results.items():
            _, tool, method = worker.split(":")
            rows.append(
                [
                    tool,
                    method,
                    median(found, "wall"),
                    median(found, "cpu"),
                    ratio(results, worker, "quantize:onnxruntime:minmax"),
                    ratio(results, worker, f"quantize:onnxruntime:{method}"),
                    median(found, "megabytes", "{:.0f}"),
                    median(found, "bytes", "{:,.0f}"),
                ]
            )
        columns = ["tool", "method", "wall s", "CPU s", "beside ONNX Runtime's minmax (wall / CPU)"]
        columns += ["beside its same method (wall / CPU)", "MB above the inputs", "bytes"]
        table(f"Calibrate and quantize, {args.images} images", columns, rows)
    if "memory" in args.only:
        workers = [f"{t}:dwindle:{m}" for m in ("minmax", "mse") for t in ("quantize", "memory")]
        results = in_turn(1, workers, lambda worker: measure(args, worker))
        rows = [
            [w.split(":")[2], str(args.images if w.startswith("quantize") else MORE_IMAGES)]
            + [median(found, "megabytes", "{:.0f}")]
            for w, found in results.items()
        ]
        columns = ["method", "images", "MB above the inputs"]
        table("Dwindle's peak memory and the number of images", columns, rows)


def simplify_table(args):
    tools = [t for t in ("dwindle", "onnxslim", "onnxsim") if simplify_command(t)]
    skipped(t for t in ("dwindle", "onnxslim", "onnxsim") if t not in tools)
    results = in_turn(args.runs, tools, lambda tool: measure_simplify(args, tool))
    rows = [
        [tool, median(found, "wall"), median(found, "cpu"), ratio(results, tool, "onnxslim")]
        for tool, found in results.items()
    ]
    columns = ["tool", "wall s", "CPU s", "beside onnxslim (wall / CPU)"]
    table("Simplify, a whole process", columns, rows)


def latency_table(args, tools):
    workers = [f"latency:{t}" for t in tools if t != "nncf"]
    results = in_turn(args.runs, workers, lambda worker: measure(args, worker))
    rows = [
        [worker.split(":")[1], median(found, "wall", "{:.4f}"), median(found, "cpu", "{:.4f}")]
        + [ratio(results, worker, "latency:onnxruntime")]
        for worker, found in results.items()
    ]
    columns = ["tool", "wall s", "CPU s", "beside ONNX Runtime (wall / CPU)"]
    table("Float latency, one thread, one sample", columns, rows)


def sqnr_table(args, tools):
    workers = [f"sqnr:{t}:{key}" for t in tools for key in SETS]
    results = in_turn(1, workers, lambda worker: measure(args, worker))
    rows = []
    for tool in tools:
        row = [tool]
        for key in SETS:
            found = results.get(f"sqnr:{tool}:{key}")
            row.append(f"{found[0]['sqnr']:.1f} dB, {found[0]['top1']:.4f}" if found else "failed")
        rows.append(row)
    table("SQNR and top-1 on the eval sets, default settings", ["tool", *SETS.values()], rows)


def skipped(tools):
    for tool in tools:
        print(f"{tool} is not installed: skipped")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--model")
    parser.add_argument("--calib")
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--only", nargs="+", default=TASKS, choices=TASKS)
    methods = sorted({m for of_tool in METHODS.values() for m in of_tool})
    parser.add_argument("--methods", nargs="+", default=methods, choices=methods)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        work(args)
        return
    tools = [tool for tool in METHODS if importlib.util.find_spec(tool) is not None]
    skipped(tool for tool in METHODS if tool not in tools)
    if "quantize" in args.only or "memory" in args.only:
        quantize_tables(args, tools)
    if "simplify" in args.only:
        simplify_table(args)
    if "latency" in args.only:
        latency_table(args, tools)
    if "sqnr" in args.only and not args.model:
        sqnr_table(args, tools)


if __name__ == "__main__":
    main()
