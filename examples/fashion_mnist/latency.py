"""Time models in turn in ONNX Runtime, on one thread: latency.py DATA.npz MODEL...

All models are run on the same images, one at a time, and take turns in short rounds, so that a
busy moment of the machine slows them alike. Printed is each model's median.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Sequence

import numpy as np
import onnxruntime as ort

ROUNDS = 25
RUNS_PER_ROUND = 20


def open_session(path: str) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def median_ms(paths: Sequence[str], images: np.ndarray) -> list[float]:
    """Median milliseconds of one image through each model."""
    sessions = [open_session(path) for path in paths]
    times: list[list[float]] = [[] for _ in paths]
    for turn in range(ROUNDS):
        for session, series in zip(sessions, times, strict=True):
            name = session.get_inputs()[0].name
            for i in range(RUNS_PER_ROUND):
                image = images[[(turn * RUNS_PER_ROUND + i) % len(images)]]
                started = time.perf_counter()
                session.run(None, {name: image})
                series.append(1e3 * (time.perf_counter() - started))
    return [statistics.median(series) for series in times]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", help="npz; the first model's first input is fed from its key")
    parser.add_argument("models", nargs="+")
    args = parser.parse_args()
    key = open_session(args.models[0]).get_inputs()[0].name
    images = np.load(args.data)[key]
    width = max(len(path) for path in args.models)
    medians = median_ms(args.models, images)
    for path, median in zip(args.models, medians, strict=True):
        print(f"{path:{width}}  {median:8.3f} ms  {medians[0] / median:5.2f} x")


if __name__ == "__main__":
    main()
