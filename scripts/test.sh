#!/usr/bin/env bash
# Set up, then lint, check types and test:  bash scripts/test.sh [arguments of pytest]
set -euo pipefail
cd "$(dirname "$0")/.."
bash scripts/setup.sh dev
unset PYTHONDONTWRITEBYTECODE # else each of the tests' processes would compile torch's sources again
.venv/bin/ruff check .
.venv/bin/ruff format --check .
.venv/bin/mypy &
types=$!
# The tests' networks are tiny: many processes with one torch thread each are faster than threads.
# One more than there are cores, because some tests wait for other processes.
workers=$(($(getconf _NPROCESSORS_ONLN) + 1))
OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} .venv/bin/python -m pytest -n $workers --dist worksteal "$@"
wait $types
