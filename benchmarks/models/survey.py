"""Simplify and quantize many models, and hold the results against ONNX Runtime and its quantizer.

    python benchmarks/models/survey.py [--folder DIR] [--only NAME ...] [--table docs/models.md]

Models are those of wheels.py (downloaded into DIR) and, where torch is installed, of exports.py. Each
model is a process of its own; what cannot be had is skipped. SQNR is that of the worst output with
floats in it, over inputs that calibration did not see, between the float model and the quantized one,
both in ONNX Runtime.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np

CALIBRATION, EVALUATION = 16, 8
TEXT_BYTES = 32 << 10  # below, files may grow


def session(model):
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def run(model, feeds):
    runner = session(model)
    return [runner.run(None, feed) for feed in feeds]


def latency(runners, feed, seconds=1.5):
    """Median milliseconds of each, taking turns."""
    times = [[] for _ in runners]
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times[0]) < 5:
        for runner, seen in zip(runners, times):
            started = time.perf_counter()
            runner.run(None, feed)
            seen.append(1e3 * (time.perf_counter() - started))
    return [float(np.median(seen[1:])) for seen in times]


def is_float(array):
    return isinstance(array, np.ndarray) and array.dtype.kind == "f" and array.size > 0


def sqnr(real, other):
    """Decibels, the worst of the float outputs; None where there is none."""
    found = []
    for i in range(len(real[0])):
        if not is_float(real[0][i]):
            continue
        if any(a[i].shape != b[i].shape for a, b in zip(real, other)):
            return -np.inf
        signal = sum(np.sum(a[i].astype(np.float64) ** 2) for a in real)
        noise = sum(np.sum((a[i].astype(np.float64) - b[i]) ** 2) for a, b in zip(real, other))
        if signal > 0:
            found.append(10 * np.log10(signal / noise) if noise > 0 else np.inf)
    return float(min(found)) if found else None


def difference(real, other):
    """Largest difference, relative to the largest element of its output."""
    worst = 0.0
    for one, two in zip(real, other):
        for a, b in zip(one, two):
            if a.shape != b.shape:
                return np.inf
            if is_float(a) and np.isfinite(a).any():
                scale = max(1e-6, float(np.max(abs(a[np.isfinite(a)]))))
                worst = max(worst, float(np.nanmax(abs(a.astype(np.float64) - b))) / scale)
    return worst


def their_quantizer(path, calibration):
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):
        def __init__(self):
            self.feeds = iter(calibration)

        def get_next(self):
            return next(self.feeds, None)

    path = Path(path).resolve()
    # ONNX Runtime's shape inference leaves files where it runs.
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        prepared, out = f"{folder}/prepared.onnx", f"{folder}/quantized.onnx"
        try:
            quant_pre_process(str(path), prepared)
        except Exception:  # its symbolic shape inference fails on many models
            quant_pre_process(str(path), prepared, skip_symbolic_shape=True)
        quantize_static(prepared, out, Reader(), quant_format=QuantFormat.QDQ, per_channel=True)
        return Path(out).read_bytes()


def first_line(error):
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0][:160] if text else ''}"


VARIANTS = {
    "int8": {},
    "w8": {"activations": "none"},
    "w4": {"activations": "none", "weights": "int4", "block_size": 32},
    "arm": {"target": "onnxruntime-arm"},
}


def survey(path, calibration, evaluation, variants, peer):
    import dwindle
    import onnx

    result = {"float_bytes": os.path.getsize(path)}
    result["nodes"] = len(onnx.load(path).graph.node)
    real = run(str(path), evaluation)
    original = dwindle.load(path)
    started = time.perf_counter()
    try:
        small = dwindle.simplify(original)
        result["simplify_error"] = difference(real, run(small.to_bytes(), evaluation))
        result["simplified_nodes"] = len(small.to_onnx().graph.node)
    except Exception as error:
        result["simplify_failure"] = first_line(error)
    result["simplify_seconds"] = time.perf_counter() - started
    runners = {"float": session(str(path))}
    for name in variants:
        started = time.perf_counter()
        try:
            made = dwindle.quantize(original, calibration, **VARIANTS[name])
            seconds = time.perf_counter() - started
            data = made.to_bytes()
            entry = {"seconds": seconds, "bytes": len(data)}
            result[name] = entry
            entry["notes"] = [note for report in made.report for note in report["notes"]]
            entry["sqnr"] = sqnr(real, run(data, evaluation))
            said = dwindle.compare(original, made, data=evaluation, runs=0)[1]["outputs"]
            entry["said"] = min(
                (o["sqnr_db"] for o in said if o["sqnr_db"] is not None), default=None
            )
            runners[name] = session(data)
        except Exception as error:
            result.setdefault(name, {})["failure"] = first_line(error)
    if peer:
        started = time.perf_counter()
        try:
            data = their_quantizer(path, calibration)
            result["theirs"] = {"bytes": len(data), "seconds": time.perf_counter() - started}
            result["theirs"]["sqnr"] = sqnr(real, run(data, evaluation))
            runners["theirs"] = session(data)
        except Exception as error:
            result.setdefault("theirs", {})["failure"] = first_line(error)
    timed = [k for k in ("float", "int8", "theirs") if k in runners]
    for name, ms in zip(timed, latency([runners[k] for k in timed], evaluation[0])):
        (result if name == "float" else result[name])["ms"] = ms
    return result


def problems(result):
    """What is wrong with the result, in words."""
    if "failure" in result:
        return [result["failure"]]
    found = []
    if "simplify_failure" in result:
        found.append(f"simplify: {result['simplify_failure']}")
    elif result["simplify_error"] > 1e-4:
        found.append(f"simplify differs by {result['simplify_error']:.1e}")
    for name in VARIANTS:
        entry = result.get(name)
        if entry is None:
            continue
        if "failure" in entry:
            found.append(f"{name}: {entry['failure']}")
            continue
        if entry["bytes"] > max(TEXT_BYTES, result["float_bytes"]):
            found.append(f"{name}: larger")
        said, got = entry.get("said"), entry.get("sqnr")
        if said is not None and got is not None and min(said, got) < 60 and abs(said - got) > 1.5:
            found.append(f"{name}: said {said:.1f} dB, is {got:.1f}")
    return found


def row(name, result):
    def number(value, form="{:.1f}"):
        return "–" if value is None else "∞" if value == np.inf else form.format(value)

    def cell(key, what, form="{:.1f}"):
        entry = result.get(key, {})
        if "failure" in entry:
            return "fails"
        return number(entry.get(what), form)

    ours, theirs = result.get("int8", {}).get("ms"), result.get("theirs", {}).get("ms")
    ratio = number(ours / theirs if ours and theirs else None, "{:.2f}")
    return (
        f"| {name} | {result['nodes']} | {result['float_bytes']:,} | {cell('int8', 'bytes', '{:,}')} | "
        f"{cell('int8', 'sqnr')} | {cell('theirs', 'bytes', '{:,}')} | {cell('theirs', 'sqnr')} | {ratio} | "
        f"{cell('w8', 'sqnr')} | {cell('w4', 'sqnr')} | {cell('arm', 'sqnr')} |"
    )


HEAD = """| model | nodes | float bytes | int8 bytes | int8 dB | ORT's quantizer: bytes | its dB | int8 time, ours / theirs | int8 weights alone dB | int4 in 32s dB | arm dB |
|---|---|---|---|---|---|---|---|---|---|---|"""


def sources():
    """The modules that hold models."""
    import wheels

    found = [wheels]
    try:
        import exports

        found.append(exports)
    except ImportError as error:
        print(f"without the exports: {error}", file=sys.stderr)
    return found


def work(args):
    source = next(s for s in sources() if args.worker in s.MODELS)
    path = source.fetch(args.worker, args.folder)
    if path is None:
        return {"skipped": "cannot be had"}
    calibration = source.feeds(args.worker, CALIBRATION, 1)
    evaluation = source.feeds(args.worker, EVALUATION, 2)
    return survey(path, calibration, evaluation, args.variants, not args.no_peer)


def measure(args, name):
    command = [sys.executable, __file__, "--worker", name, "--folder", args.folder]
    command += ["--variants", *args.variants] + (["--no-peer"] if args.no_peer else [])
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=args.timeout)
    except subprocess.TimeoutExpired:
        return {"failure": f"took more than {args.timeout} s"}
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or [""]
        return {"failure": f"exit {done.returncode}: {lines[-1][:200]}"}
    return json.loads(done.stdout.strip().splitlines()[-1])


def main():
    warnings.filterwarnings("ignore")
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--folder", default="models")
    parser.add_argument("--only", nargs="+")
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=list(VARIANTS))
    parser.add_argument("--no-peer", action="store_true")
    parser.add_argument("--timeout", type=int, default=900)
    parser.add_argument("--json", help="file to add the results to")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        print(json.dumps(work(args)))
        return
    names = args.only or [name for source in sources() for name in source.MODELS]
    results = (
        json.loads(Path(args.json).read_text()) if args.json and Path(args.json).exists() else {}
    )
    print(HEAD)
    for name in names:
        results[name] = measure(args, name)
        if "nodes" in results[name]:
            print(row(name, results[name]), flush=True)
        for problem in problems(results[name]) if "skipped" not in results[name] else ["skipped"]:
            print(f"{name}: {problem}", file=sys.stderr, flush=True)
        if args.json:
            Path(args.json).write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
