#!/usr/bin/env bash
# Set up and animate a photo:  bash scripts/demo.sh [PHOTO CLIP [OUT]]
# Without arguments it uses the example photo and clip of docs/examples.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
case $# in
    0) set -- "$root/docs/examples/photo.jpg" "$root/docs/examples/clip.mp4" ;;
    2 | 3) ;;
    *) echo "usage: bash scripts/demo.sh [PHOTO CLIP [OUT]]" >&2; exit 2 ;;
esac
out=${3:-animated.mp4} # in the current folder
force=()
[ $# = 3 ] || force=(--force) # replace animated.mp4, but never a file that the user named
bash "$root/scripts/setup.sh" run
"$root/.venv/bin/animate" run "$1" "$2" -o "$out" ${force[@]+"${force[@]}"}
"$root/.venv/bin/animate" verify "$out"
echo "The result is $(cd "$(dirname "$out")" && pwd)/$(basename "$out")"
