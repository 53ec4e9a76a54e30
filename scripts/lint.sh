#!/usr/bin/env bash
# Check (or with --fix, repair) formatting, then ruff's rules and mypy's types.
# clang-format is Debian's package of that name; where it is absent, C++ is not checked.
set -euo pipefail
cd "$(dirname "$0")/.."
fix=${1:-}
mapfile -t cpp < <(find core passes tools python/bindings tests benchmarks -name '*.h' -o -name '*.cpp' | sort)
status=0

if ! command -v clang-format >/dev/null; then
  echo "lint: no clang-format (apt-get install clang-format): C++ is not checked"
elif [[ $fix == --fix ]]; then
  clang-format -i "${cpp[@]}"
else
  clang-format --dry-run --Werror "${cpp[@]}" || status=1
fi

if [[ $fix == --fix ]]; then
  .venv/bin/ruff format --quiet
  .venv/bin/ruff check --quiet --fix || status=1
else
  .venv/bin/ruff format --quiet --check || { echo "lint: make format would repair this"; status=1; }
  .venv/bin/ruff check --quiet || status=1
fi
.venv/bin/mypy --no-error-summary || status=1
exit $status
