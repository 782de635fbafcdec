"""From folders of clips to the bundled checkpoint: data, teachers, five stages, export.

    python scripts/train_bundled.py DATA OUT --landmarker face_landmarker.task \\
        [--teachers PYTHON] [KEY=VALUE ...]

DATA is as scripts/bundled_data.py reads it. OUT gets all that is made on the way and in the end
`first_order_gated.safetensors`. The same command goes on where it was stopped. KEY=VALUE settings
(device=cuda, seed=1, ...) are given to all stages; docs/training.md has the single commands.
PYTHON is an interpreter with animate and MediaPipe, as scripts/teach_person.py says; it is needed
until landmarks and masks are there.
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
    """Ask both teachers about the training clips, as far as they have not been asked."""
    inputs = sorted((laid / "train").iterdir())
    landmarks, person = laid / "landmarks.npz", laid / "person"
    jobs = []
    if not landmarks.exists():
        jobs.append([SCRIPTS / "teach_landmarks.py", landmarker, landmarks])
    if not all((person / f"{path.stem}.npy").exists() for path in inputs):
        jobs.append([SCRIPTS / "teach_person.py", person])
    for job in jobs:
        subprocess.run([python, *job, *inputs], check=True)


def stages(out: Path, settings: list[str]) -> Path:
    """Train one stage after the other, each from the one before; the last one's checkpoint."""
    laid, before = out / "laid", None
    data = [f"data.clips={laid}/train", f"data.landmarks={laid}/landmarks.npz"]
    data += [f"data.person={laid}/person", f"data.held_out={laid}/val"]
    data += [f"data.cache={out}/cache", "data.by_length=true"]
    for number, experiment in enumerate(STAGES, 1):
        run = out / str(number)
        start = [f"start={before}"] if before else []
        if code := animate(["train", f"experiment={experiment}", f"out={run}", *start, *data,
                            *settings]):  # fmt: skip
            sys.exit(code)
        before = run / "checkpoint.safetensors"
    return before


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder with clips.csv and photos.csv")
    parser.add_argument("out", type=Path, help="folder for everything")
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
