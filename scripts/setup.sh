#!/usr/bin/env bash
# Install what is missing to build and test Dwindle: Debian packages, then the pinned Python
# packages in .venv. Does nothing, quickly, where nothing is missing.
#
#   scripts/setup.sh            requirements/{build,test}.txt
#   scripts/setup.sh torch      requirements/torch.txt besides
#
# PYTHON=/path/to/python3.11 chooses the interpreter that .venv is made with.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf 'setup: %s\n' "$*"; }
fail() { printf 'setup: error: %s\n' "$*" >&2; exit 1; }

python=${PYTHON:-python3}
command -v "$python" >/dev/null || fail "no $python: Python 3.11 or newer is needed (PYTHON=… chooses one)"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
  fail "$python is $("$python" --version 2>&1); Python 3.11 or newer is needed (PYTHON=… chooses one)"

mapfile -t wanted < <(sed -e 's/#.*//' -e '/^[[:space:]]*$/d' requirements/apt.txt)
# Making a .venv needs ensurepip and building the module needs Python.h. Debian keeps both apart
# from the interpreter; other builds of Python bring them along.
python_complete() {
  "$python" - <<'PY' 2>/dev/null
import ensurepip, os, sysconfig, venv  # noqa
assert os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h"))
PY
}
if ! python_complete; then
  [[ $("$python" -c 'import sys; print(sys.base_prefix)') == /usr ]] ||
    fail "$python lacks ensurepip or Python.h; install its development files or choose another with PYTHON=…"
  wanted+=(python3-venv python3-dev)
fi

missing=()
if command -v dpkg-query >/dev/null; then
  have=" $(dpkg-query -W -f '${Package}:${db:Status-Status} ' "${wanted[@]}" 2>/dev/null || true)"
  for package in "${wanted[@]}"; do
    [[ $have == *" $package:installed "* ]] || missing+=("$package")
  done
else
  say "this is not Debian; make sure that you have: ${wanted[*]}"
fi
if ((${#missing[@]})); then
  ((EUID == 0)) || fail "missing packages; as root: apt-get install ${missing[*]}"
  say "apt-get install ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
  python_complete || fail "$python still lacks ensurepip or Python.h"
fi

# A .venv whose interpreter is gone (another machine, another Python) is made anew.
if ! .venv/bin/python -c 'import pip' 2>/dev/null; then
  say "python -m venv .venv"
  "$python" -m venv --clear .venv
fi

# Each set of packages is installed once: its stamp is a copy of the list it was installed from.
install_list() {
  local name=$1
  shift
  cat "$@" | cmp -s - ".venv/.$name.installed" && return
  say "pip install $*"
  .venv/bin/python -m pip install --quiet --disable-pip-version-check "${@/#/-r}"
  cat "$@" >".venv/.$name.installed"
}
install_list base requirements/build.txt requirements/test.txt
for extra in "$@"; do
  install_list "$extra" "requirements/$extra.txt"
done
