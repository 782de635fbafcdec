"""Lay out the training data of the bundled checkpoint, with a manifest of sources and rights.

    python scripts/bundled_data.py DATA OUT

DATA holds clips.csv (file, split, identity, source, rights), photos.csv (file, source, rights) and
the files they name. OUT gets `train` and `val` with links to the clips. `train` also gets a folder
of two frames (neutral and smiling) for each person of the Face Research Lab London Set. The file
`manifest.csv` has split, name, identity, source, rights and sha256. Nothing is decoded or copied.
"""

import argparse
import csv
import sys
from collections.abc import Iterator
from pathlib import Path

from animate.errors import AnimateError
from animate.media.clips import sha256

FIELDS = ("split", "name", "identity", "source", "rights", "sha256")


def entries(data: Path) -> Iterator[tuple[dict[str, str], list[Path]]]:
    """Lines of the manifest with their files: one clip, or the two frames of a person."""
    for row in rows(data / "clips.csv"):
        path = data / row["file"]
        line = {key: row[key] for key in ("split", "identity", "source", "rights")}
        yield line | {"name": path.stem}, [path]
    photos = {row["file"]: row for row in rows(data / "photos.csv")}
    for name, row in photos.items():
        person = Path(name).stem.removeprefix("webmorphR_neutral_front__").removesuffix("_03")
        smiling = f"photos/webmorphR_smiling_front__{person}_08.jpg"
        if smiling in photos and "neutral_front" in name:
            line = {"split": "train", "identity": f"london{person}", "name": f"london{person}"}
            line |= {"source": row["source"], "rights": row["rights"]}
            yield line, [data / name, data / smiling]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def check_apart(manifest: list[dict[str, str]]) -> None:
    """Raise AnimateError for a person in both train and val."""
    people = {
        split: {line["identity"] for line in manifest if line["split"] == split}
        for split in ("train", "val")
    }
    both = sorted(people["train"] & people["val"])
    if both:
        raise AnimateError(f"{', '.join(both)} is in train and in val: fix the split in clips.csv")


def lay_out(data: Path, out: Path) -> list[dict[str, str]]:
    """Make the links and the manifest; returns the manifest's lines."""
    all_entries = list(entries(data))
    check_apart([line for line, _ in all_entries])
    manifest = []
    for line, files in all_entries:
        place = out / line["split"]
        place.mkdir(parents=True, exist_ok=True)
        if len(files) == 1:
            link(place / files[0].name, files[0])
        else:
            (place / line["name"]).mkdir(exist_ok=True)
            for i, file in enumerate(files):
                link(place / line["name"] / f"{i}{file.suffix}", file)
        manifest.append(line | {"sha256": " ".join(sha256(file) for file in files)})
    with (out / "manifest.csv").open("w", newline="") as table:
        writer = csv.DictWriter(table, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(manifest)
    return manifest


def link(place: Path, file: Path) -> None:
    place.unlink(missing_ok=True)
    place.symlink_to(file.resolve())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder with clips.csv and photos.csv")
    parser.add_argument("out", type=Path, help="folder to make")
    args = parser.parse_args()
    try:
        manifest = lay_out(args.data, args.out)
    except (AnimateError, OSError, KeyError) as error:
        sys.exit(f"bundled_data: {error}")
    print(f"{args.out}: {len(manifest)} clips and pairs, {args.out / 'manifest.csv'}")


if __name__ == "__main__":
    main()
