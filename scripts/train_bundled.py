"""Train the bundled checkpoint: lay out data, run teachers, train five stages, export.

    python scripts/train_bundled.py DATA OUT --landmarker face_landmarker.task \\
        [--teachers PYTHON] [KEY=VALUE ...]

scripts/bundled_data.py explains DATA. OUT gets all intermediate files and, at the end,
`first_order_gated.safetensors`. The same command resumes an interrupted run. KEY=VALUE settings
(device=cuda, seed=1, ...) apply to all stages; docs/training.md has the commands of each. PYTHON is
an interpreter with animate and MediaPipe (see scripts/teach_person.py), needed until landmarks and
masks exist.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from bundled_data import lay_out

from animate.cli import main as animate
from animate.errors import AnimateError

SCRIPTS = Path(__file__).parent
STAGES = ("gated_keypoints", "gated_128", "gated_256", "gated_polish", "gated_mouth")


def teach(laid: Path, landmarker: str, python: str) -> None:
    """Run both teachers on the training clips, unless their results exist."""
    inputs = sorted((laid / "train").iterdir())
    landmarks, person = laid / "landmarks.npz", laid / "person"
    jobs: list[list[str | Path]] = []
    if not landmarks.exists():
        jobs.append([SCRIPTS / "teach_landmarks.py", landmarker, landmarks])
    if not all((person / f"{path.stem}.npy").exists() for path in inputs):
        jobs.append([SCRIPTS / "teach_person.py", person])
    for job in jobs:
        subprocess.run([python, *job, *inputs], check=True)


def stages(out: Path, settings: list[str]) -> Path:
    """Train each stage from the one before; returns the path of the last checkpoint."""
    laid = out / "laid"
    data = [f"data.clips={laid}/train", f"data.landmarks={laid}/landmarks.npz"]
    data += [f"data.person={laid}/person", f"data.held_out={laid}/val"]
    data += [f"data.cache={out}/cache", "data.by_length=true"]
    start: list[str] = []
    for number, experiment in enumerate(STAGES, 1):
        run = out / str(number)
        if code := animate(["train", f"experiment={experiment}", f"out={run}", *start, *data,
                            *settings]):  # fmt: skip
            sys.exit(code)
        start = [f"start={run / 'checkpoint.safetensors'}"]
    return run / "checkpoint.safetensors"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder with clips.csv and photos.csv")
    parser.add_argument("out", type=Path, help="folder for all results")
    parser.add_argument("--landmarker", default="face_landmarker.task", help="MediaPipe's model")
    parser.add_argument("--teachers", default=sys.executable, help="interpreter with MediaPipe")
    args, settings = parser.parse_known_args()
    try:
        lay_out(args.data, args.out / "laid")
        teach(args.out / "laid", args.landmarker, args.teachers)
    except (AnimateError, OSError, KeyError, subprocess.CalledProcessError) as error:
        sys.exit(f"train_bundled: {error}")
    trained = stages(args.out, settings)
    result = str(args.out / "first_order_gated.safetensors")
    sys.exit(animate(["checkpoint", "export", str(trained), "-o", result, "--half", "--force"]))


if __name__ == "__main__":
    main()
