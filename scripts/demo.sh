#!/usr/bin/env bash
# Set up and animate:  bash scripts/demo.sh [PHOTO CLIP [OUT]]
# Without arguments it takes the example photo and clip of docs/examples.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
case $# in
    0) set -- "$root/docs/examples/photo.jpg" "$root/docs/examples/clip.mp4" ;;
    2 | 3) ;;
    *) echo "usage: bash scripts/demo.sh [PHOTO CLIP [OUT]]" >&2; exit 2 ;;
esac
out=${3:-animated.mp4} # in the folder you are in
force=()
[ $# = 3 ] || force=(--force) # only our own animated.mp4 is replaced
bash "$root/scripts/setup.sh" run
"$root/.venv/bin/animate" run "$1" "$2" -o "$out" ${force[@]+"${force[@]}"}
"$root/.venv/bin/animate" verify "$out"
echo "The result is $(cd "$(dirname "$out")" && pwd)/$(basename "$out")"
