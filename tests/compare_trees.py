"""Show that two checkouts do the same: results, verdicts, help, training, memory and time.

    python tests/compare_trees.py OLD NEW

Both run every command line below from their own source, at one SOURCE_DATE_EPOCH and with the
toolkit's key. Compared are exit codes, what is printed, the decoded frames and the verdict of every
result, the numbers of a template, and the tensors of a training run that was stopped and resumed.
Printed are a row for each command, with both trees' peak memory and processor time, and what
differs; the exit code is 1 where something does.
"""

from __future__ import annotations

import argparse
import difflib
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import imageio_ffmpeg
import numpy as np
from PIL import Image
from safetensors.numpy import load_file

EXAMPLES = Path(__file__).resolve().parent.parent / "docs" / "examples"
SHORT = "clip.end=0.5"
RUNS = {  # name of the result: arguments of `animate run` before `-o`
    "plain.mp4": f"photo.jpg clip.mp4 {SHORT}",
    "absolute.webm": f"photo.jpg clip.mp4 {SHORT} retarget.relative=false",
    "reference.gif": f"photo.jpg clip.mp4 {SHORT} retarget.reference=3",
    "exact.mkv": f"photo.jpg clip.mp4 {SHORT} precision=float32 threads=1",
    "amplified.mov": f"photo.jpg clip.mp4 {SHORT} retarget.mouth=1.3 retarget.smoothing=2",
    "still.png": "photo.jpg photo.png",
    "still.jpg": "photo.jpg photo.png label=gb45438",
    "still.webp": "photo.jpg photo.png label=none",
    "cropped.mp4": f"crop.png cropped.mp4 {SHORT} faces=centre paste=crop",
    "tiles.mp4": f"photo.jpg clip.mp4 {SHORT} --tile crop.png --tile photo.png",
    "compared.mp4": f"photo.jpg clip.mp4 {SHORT} --compare",
    "keypoints.mp4": f"photo.jpg clip.mp4 {SHORT} --keypoints",
    "pingpong.mp4": f"photo.jpg clip.mp4 {SHORT} clip.pingpong=true clip.times=2",
    "video.mp4": f"clip.mp4 clip.mp4 {SHORT} retarget.head=0",
    "video_head.mp4": f"clip.mp4 clip.mp4 {SHORT} retarget.head=1",
    "frames.mp4": "photo.jpg frames",
    "template.mp4": "photo.jpg motion.npz",
    "pair.mp4": f"pair.png clip.mp4 {SHORT} faces.which=all",
    "also.mp4": f"pair.png clip.mp4 {SHORT} faces.which=all --also frames",
    "second.mp4": f"pair.png clip.mp4 {SHORT} faces.which=2 paste.mask=oval",
    "box.mp4": f"photo.jpg clip.mp4 {SHORT} faces.box=[100,50,300,300] label.text=KI",
    "eu.mp4": f"photo.jpg clip.mp4 {SHORT} label=eu consent=yes",
}
MISTAKES = (
    "run photo.jpg absent.mp4 -o out/x.mp4",
    "run photo.jpg clip.mp4 -o out/x.txt",
    "run photo.jpg clip.mp4 -o out/x.mp4 retarget.heads=1",
    "run photo.jpg clip.mp4 -o out/x.mp4 motion=first_order",
    "run grey.png clip.mp4 -o out/x.mp4",
    "inspect photo.jpg clip.mp4 -o out/x.png seed=true",
    "evaluate checkpoint=absent.safetensors",
    "train",
)
COMMANDS = (
    "", "run", "batch", "template", "template save", "inspect", "verify", "keys", "ledger",
    "prepare", "train", "evaluate", "checkpoint", "checkpoint import",
)  # fmt: skip


@dataclass
class Tree:
    """A checkout at work in a folder of its own."""

    root: Path
    folder: Path

    def animate(self, line: str) -> tuple[str, float, float]:
        """What `animate LINE` printed, with its exit code; peak MiB; seconds of the processor."""
        if (self.root / "animate/cli/motion.py").exists():  # until version 0.2
            line = re.sub("^template", "motion", line)
        environment = os.environ | {
            "PYTHONPATH": str(self.root),
            "ANIMATE_HOME": str(self.folder / "home"),
            "SOURCE_DATE_EPOCH": "1700000000",
            "COLUMNS": "100",
        }
        said = self.folder / "said"
        with said.open("w+b") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "animate", *line.split()],
                cwd=self.folder,
                env=environment,
                stdout=file,
                stderr=file,
            )
            _, status, used = os.wait4(process.pid, 0)
        text = said.read_text(errors="replace").replace(str(self.root), "TREE")
        text = text.replace(str(self.folder), "FOLDER")
        text = re.sub(r" in [0-9.]+ s|[0-9a-f]{64}|entry [0-9]+", "", text)
        code = os.waitstatus_to_exitcode(status)
        return f"exit code {code}\n{text}", used.ru_maxrss / 1024, used.ru_utime + used.ru_stime


def inputs(folder: Path) -> None:
    """The photos and clips that the command lines name."""
    (folder / "out").mkdir()
    photo = Image.open(EXAMPLES / "photo.jpg").convert("RGB")
    (folder / "photo.jpg").write_bytes((EXAMPLES / "photo.jpg").read_bytes())
    (folder / "clip.mp4").write_bytes((EXAMPLES / "clip.mp4").read_bytes())
    photo.save(folder / "photo.png")
    side = min(photo.size)
    photo.crop((0, 0, side, side)).resize((256, 256)).save(folder / "crop.png")
    Image.new("RGB", (200, 200), (90, 90, 90)).save(folder / "grey.png")
    pair = Image.new("RGB", (2 * photo.width, photo.height))
    pair.paste(photo, (0, 0))
    pair.paste(photo, (photo.width, 0))
    pair.save(folder / "pair.png")
    ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(folder / "clip.mp4")]
    (folder / "frames").mkdir()
    subprocess.run([*ffmpeg, "-frames:v", "8", str(folder / "frames" / "%03d.png")], check=True)
    cut = ["-t", "1", "-vf", "crop=min(iw\\,ih):min(iw\\,ih),scale=256:256"]
    subprocess.run([*ffmpeg, *cut, str(folder / "cropped.mp4")], check=True)
    (folder / "jobs.csv").write_text("photo,clip,out\nphoto.jpg,clip.mp4,a.mp4\ncrop.png,x,b.mp4\n")


def digest(path: Path) -> str:
    """The SHA-256 of a result's decoded frames, of arrays in an npz, or of tensors."""
    whole = hashlib.sha256()
    if path.suffix in (".png", ".jpg", ".webp"):
        whole.update(np.asarray(Image.open(path).convert("RGB")).tobytes())
    elif path.suffix == ".npz":
        with zipfile.ZipFile(path) as archive:
            for name in sorted(archive.namelist()):
                whole.update(name.encode() + archive.read(name))
    elif path.suffix == ".safetensors":
        for name, tensor in sorted(load_file(path).items()):
            whole.update(name.encode() + tensor.tobytes())
    else:
        with av.open(str(path)) as container:
            for frame in container.decode(video=0):
                whole.update(frame.to_ndarray(format="rgb24").tobytes())
    return whole.hexdigest()


def verdict(said: str) -> Any:
    """The JSON of `verify`, without the ledger's hash, which covers a new signature."""
    files = json.loads(said.partition("\n")[2])["files"]
    for file in files:
        file.pop("ledger", None)
    return json.dumps(files, indent=1, sort_keys=True)


def lines() -> list[tuple[str, str | None]]:
    """Command lines in their order, each with the result that it makes, if it makes one."""
    found: list[tuple[str, str | None]] = [
        (f"template save clip.mp4 -o motion.npz {SHORT}", "motion.npz")
    ]
    found += [(f"run {line} -o out/{name}", f"out/{name}") for name, line in RUNS.items()]
    found += [(f"inspect photo.jpg clip.mp4 -o out/look.png {SHORT}", "out/look.png")]
    found += [(f"batch jobs.csv -o batch {SHORT}", "batch/a.mp4")]
    found += [(f"train experiment=smoke out=trained optim.steps={n} save_every=5", None)
              for n in (5, 10)]  # fmt: skip
    found += [
        ("train experiment=smoke out=trained optim.steps=10", "trained/checkpoint.safetensors")
    ]
    found += [(f"verify --json out/{name}", None) for name in [*RUNS, "look.png"]]
    found += [("verify --json photo.jpg clip.mp4", None), ("ledger find out/plain.mp4", None)]
    found += [("checkpoint list", None)]
    found += [(line, None) for line in MISTAKES]
    found += [(f"{command} --help".strip(), None) for command in COMMANDS]
    return found


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    given = parser.parse_args()
    differences = 0
    print("| command | same | MiB | s of the processor |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as scratch:
        trees = []
        for name, root in (("old", given.old), ("new", given.new)):
            folder = Path(scratch) / name
            folder.mkdir()
            inputs(folder)
            trees.append(Tree(root.resolve(), folder))
        for line, result in lines():
            said, memory, seconds = zip(*(tree.animate(line) for tree in trees), strict=True)
            texts = [verdict(t) if line.startswith("verify --json") else t for t in said]
            if line.startswith("train"):
                texts = [t.partition("\n")[0] for t in texts]  # it prints speeds
            why = [*difflib.unified_diff(*(t.splitlines() for t in texts), "old", "new", "", "", 0)]
            if result is not None:
                there = [(tree.folder / result).exists() for tree in trees]
                if there != [True, True]:
                    why.append(f"{result} exists: {there}")
                elif len({digest(tree.folder / result) for tree in trees}) > 1:
                    why.append(f"{result} is another one")
            used = ["{:.0f} / {:.0f}".format(*memory), "{:.1f} / {:.1f}".format(*seconds)]
            print(f"| `{line}` | {'no' if why else 'yes'} | {' | '.join(used)} |", flush=True)
            if why:
                differences += 1
                print("\n".join(why), file=sys.stderr, flush=True)
    print(f"\n{differences} of {len(lines())} differ")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
