#!/usr/bin/env bash
# Set up and test: lint, types, tests:  bash scripts/test.sh [arguments of pytest]
set -euo pipefail
cd "$(dirname "$0")/.."
bash scripts/setup.sh dev
.venv/bin/ruff check .
.venv/bin/ruff format --check .
.venv/bin/mypy
# the tests' networks are tiny: processes with one thread of torch are done sooner than threads
OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} .venv/bin/python -m pytest -n auto --dist worksteal "$@"
