#!/usr/bin/env bash
# Build everything in build/release and install the wheel made from it into .venv.
#
# One tree serves the library, the C++ tests, the command and the module: it is the folder of the
# CMake preset `release`, so that `cmake --build build/release` goes on from where this left it.
# The whole log is build/build.log; shown are ninja's steps, warnings, and on failure its end.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p build

show_steps() { grep --line-buffered -E '^ *\[[0-9]+/[0-9]+\] (Build|Link)|(warning|error):' || true; }

if ! .venv/bin/python -m pip install --verbose --disable-pip-version-check \
  --no-build-isolation --no-deps --force-reinstall \
  --config-settings build-dir=build/release \
  --config-settings cmake.define.DWINDLE_BUILD_TESTS=ON . 2>&1 |
  tee build/build.log | show_steps; then
  tail -n 40 build/build.log
  echo "build: failed; the whole log is build/build.log" >&2
  exit 1
fi
