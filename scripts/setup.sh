#!/usr/bin/env bash
# Make .venv with this package in it, or re-use it:  bash scripts/setup.sh [run|dev]
# Without a GPU it takes the small CPU build of torch, with one the CUDA build.
set -euo pipefail
cd "$(dirname "$0")/.."
kind=${1:-run}
venv=.venv
torch_version=2.13.0 # the version that is tested; pyproject.toml allows others

fail() { echo "setup: $*" >&2; exit 2; }

find_python() { # $PYTHON, or the first one of 3.10 to 3.13 that runs
    local name
    for name in "${PYTHON:-python3}" python3.13 python3.12 python3.11 python3.10 python; do
        if "$name" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' 2>/dev/null; then
            echo "$name"
            return
        fi
    done
    fail "Python 3.10 to 3.13 is needed, python3 is $(python3 --version 2>&1 | head -n 1): install one, or name it: PYTHON=/path/to/python3.12 bash $0"
}

has_gpu() { [ -e /dev/nvidia0 ] || nvidia-smi -L >/dev/null 2>&1; }

install() { "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "$@"; }

install_torch() {
    if has_gpu || [ "$(uname -s)" != Linux ]; then
        echo "setup: installing torch $torch_version"
        install "torch==$torch_version"
        return
    fi
    echo "setup: no GPU here, installing the CPU build of torch $torch_version"
    install "torch==$torch_version+cpu" 2>/dev/null && return # where pip is told of one
    install uv # knows where the builds of torch are
    "$venv/bin/python" -m uv pip install --quiet --python "$venv/bin/python" --torch-backend=cpu \
        "torch==$torch_version" && return
    echo "setup: the CPU build can't be reached; the CUDA build also runs on a CPU, but is large" >&2
    install "torch==$torch_version"
}

[ "$kind" = run ] || [ "$kind" = dev ] || fail "unknown kind of set-up $kind: use run or dev"
# What the environment was made from; another folder, package list or script makes it anew.
stamp=$({ pwd; cat pyproject.toml scripts/setup.sh; } | cksum)
for made in "$venv/.animate-$kind" "$venv/.animate-dev"; do # dev holds all that run needs
    if [ "$(cat "$made" 2>/dev/null)" = "$stamp" ] && "$venv/bin/python" -c 'import animate' 2>/dev/null; then
        exit 0
    fi
done

python=$(find_python)
echo "setup: making $venv with $("$python" --version)"
"$python" -m venv --clear "$venv" || fail "$python can't make a virtual environment: install its venv module (Debian, Ubuntu: python3-venv)"
install_torch
echo "setup: installing animate"
if [ "$kind" = dev ]; then install -e ".[dev]"; else install -e .; fi
echo "$stamp" >"$venv/.animate-$kind"
