#!/usr/bin/env bash
# Set up and open the page:  bash scripts/page.sh [arguments of `animate serve`]
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
bash "$root/scripts/setup.sh" page
exec "$root/.venv/bin/animate" serve "$@"
