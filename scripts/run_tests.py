"""Run every test of the project and close with one line, 'N passed, N failed, N skipped'.

The stages, in order: the C++ tests; the C++ tests of what parses files or handles memory, built
again with AddressSanitizer and UndefinedBehaviorSanitizer (which folders: the preset `asan`); the
Python tests; ruff; mypy. All of them run even after one has failed. A stage that ends badly
without naming a failed test (a crash, a failed build, a finding of ruff) counts as one failure.

`make test` calls this. By hand: `.venv/bin/python scripts/run_tests.py [--only STAGE]...`
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent  # of .venv
RESULTS = ROOT / "build" / "test-results"


@dataclass
class Count:
    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def add(self, other: Count) -> None:
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


def run(*command: str | Path, env: dict[str, str] | None = None) -> int:
    words = [str(word) for word in command]
    print("+", " ".join(words), flush=True)
    merged = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", **(env or {})}
    return subprocess.run(words, cwd=ROOT, env=merged, stdin=subprocess.DEVNULL).returncode


def read_gtest(report: Path) -> Count:
    count = Count()
    for suite in json.loads(report.read_text())["testsuites"]:
        for test in suite["testsuite"]:
            if test.get("failures"):
                count.failed += 1
            elif test["result"] == "SKIPPED":
                count.skipped += 1
            elif test["status"] == "RUN":
                count.passed += 1
    return count


def read_junit(report: Path) -> Count:
    count = Count()
    for suite in ElementTree.parse(report).getroot().iter("testsuite"):
        failed = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
        skipped = int(suite.get("skipped", 0))
        total = int(suite.get("tests", 0))
        count.add(Count(total - failed - skipped, failed, skipped))
    return count


def counted(code: int, report: Path, read: Callable[[Path], Count]) -> Count:
    """The report's counts; never a success where the command's exit code says otherwise."""
    count = read(report) if report.exists() else Count()
    if code != 0 and count.failed == 0:
        count.failed = 1
    return count


def gtest(program: Path, name: str) -> Count:
    report = RESULTS / f"{name}.json"
    code = run(program, "--gtest_brief=1", f"--gtest_output=json:{report}")
    return counted(code, report, read_gtest)


def cpp() -> Count:
    return gtest(ROOT / "build/release/tests/dwindle_tests", "cpp")


def sanitized() -> Count:
    for command in (["--preset", "asan"], ["--build", "build/asan", "--target", "dwindle_tests"]):
        if run("cmake", *command) != 0:
            return Count(failed=1)
    return gtest(ROOT / "build/asan/tests/dwindle_tests", "sanitized")


def python() -> Count:
    report = RESULTS / "python.xml"
    # Whole files: the tests of a file draw from one generator of random numbers, in their order.
    parallel = ["-n", "auto", "--dist", "loadfile"]
    code = run(sys.executable, "-m", "pytest", "-q", *parallel, f"--junit-xml={report}")
    no_tests = 5  # pytest's exit code where it finds none
    return Count() if code == no_tests else counted(code, report, read_junit)


def check(*command: str) -> Count:
    return Count(failed=int(run(*command) != 0))


STAGES: dict[str, Callable[[], Count]] = {
    "cpp": cpp,
    "sanitized": sanitized,
    "python": python,
    "ruff": lambda: check("ruff", "check", "--quiet"),
    "mypy": lambda: check("mypy", "--no-error-summary"),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", action="append", choices=STAGES, metavar="STAGE")
    chosen = parser.parse_args().only or list(STAGES)

    RESULTS.mkdir(parents=True, exist_ok=True)
    total = Count()
    for name in chosen:
        for stale in RESULTS.glob(f"{name}.*"):
            stale.unlink()
        started = time.monotonic()
        count = STAGES[name]()
        total.add(count)
        print(f"== {name}: {count} ({time.monotonic() - started:.0f} s)\n", flush=True)
    print(total)
    return int(total.failed > 0 or total.passed == 0)


if __name__ == "__main__":
    sys.exit(main())
