#!/usr/bin/env bash
# Make or re-use .venv with this package:  bash scripts/setup.sh [run|page|dev]
# Installs the CUDA build of torch if there is a GPU, else the small CPU build.
set -euo pipefail
cd "$(dirname "$0")/.."
kind=${1:-run}
venv=.venv
torch_version=2.13.0 # the version that is tested; pyproject.toml allows others

fail() { echo "setup: $*" >&2; exit 2; }

find_python() { # print $PYTHON, or else the first command that runs Python 3.10 to 3.13
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

with_pip() { "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "$@"; }

with_uv() { "$venv/bin/python" -m uv pip install --quiet --python "$venv/bin/python" "$@"; }

# uv is faster than pip, but doesn't read pip's configuration (an index, a proxy).
install() { with_uv "$@" 2>/dev/null || with_pip "$@"; }

install_torch() {
    if has_gpu || [ "$(uname -s)" != Linux ]; then
        echo "setup: installing torch $torch_version"
        install "torch==$torch_version"
        return
    fi
    echo "setup: no GPU here, installing the CPU build of torch $torch_version"
    with_pip --no-compile "torch==$torch_version+cpu" 2>/dev/null && return # if pip is configured with its index
    with_uv --torch-backend=cpu "torch==$torch_version" && return # uv knows that index
    echo "setup: can't download the CPU build; installing the large CUDA build, which also runs on a CPU" >&2
    with_pip "torch==$torch_version"
}

case $kind in
    run) extra="" serves="run page dev" ;; # what an environment must be made for, to hold this, too
    page) extra="[page]" serves="page dev" ;;
    dev) extra="[dev]" serves="dev" ;;
    *) fail "unknown set-up $kind: use run, page or dev" ;;
esac
# The environment is made again if the folder, the package list or this script has changed.
stamp=$({ pwd; cat pyproject.toml scripts/setup.sh; } | cksum)
for made in $serves; do
    if [ "$(cat "$venv/.animate-$made" 2>/dev/null)" = "$stamp" ] && "$venv/bin/python" -c 'import animate' 2>/dev/null; then
        exit 0
    fi
done

python=$(find_python)
echo "setup: making $venv with $("$python" --version)"
"$python" -m venv --clear "$venv" || fail "$python can't make a virtual environment: install its venv module (Debian, Ubuntu: python3-venv)"
with_pip --quiet uv || true # else pip does it
install_torch
echo "setup: installing animate"
install -e ".$extra"
echo "$stamp" >"$venv/.animate-$kind"
