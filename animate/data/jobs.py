"""Which raw videos to prepare, and who is in each: from a folder, or from a metadata list."""

from __future__ import annotations

from dataclasses import dataclass
from glob import escape
from pathlib import Path

from animate.data.folders import identity_of
from animate.errors import AnimateError
from animate.media import files
from animate.media.files import existing
from animate.media.tables import read_table


@dataclass(frozen=True)
class Job:
    """One raw video to cut, and the person in it."""

    key: str  # name of the shard
    path: Path
    identity: str
    rights: str
    listed: tuple[dict[str, str], ...] = ()  # rows of a metadata list, one for each piece


def jobs_from_folder(source: Path, rights: str) -> list[Job]:
    """A job for each video in a folder and its sub-folders, each of which is a person."""
    source = existing(Path(source))
    paths = sorted(p for p in source.rglob("*") if files.kind_in_folder(p) == files.CLIP)
    if not paths:
        raise AnimateError(f"no videos in {source}: give a folder of videos, or a CSV list of them")
    jobs = []
    for path in paths:
        inside = path.relative_to(source)
        person = inside.parts[0] if len(inside.parts) > 1 else identity_of(source, path.name)
        key = "__".join(inside.with_suffix("").parts) + path.suffix.lower().replace(".", "_")
        jobs.append(Job(key, path, person, rights))
    return jobs


def jobs_from_csv(source: Path, videos: Path | None, rights: str) -> list[Job]:
    """A job for each video of a metadata CSV; missing videos are dropped later."""
    if videos is None:
        raise AnimateError(f"{source} is a list: name the folder of its videos with videos=FOLDER")
    needed = {"video_id", "start", "end", "bbox", "fps", "width", "height"}
    columns, table = read_table(source, f"use columns {', '.join(sorted(needed))}")
    if lacking := needed - set(columns):
        raise AnimateError(f"{source} lacks the columns {', '.join(sorted(lacking))}: add them")
    rows: dict[str, list[dict[str, str]]] = {}
    for row in table:
        if not _names_a_piece(row.cells):
            raise AnimateError(
                f"{source}, line {row.line}, names no piece of a video: give video_id, bbox "
                "(left-top-right-bottom) and the other columns as numbers above 0, start from 0"
            )
        rows.setdefault(row.cells["video_id"], []).append(row.cells)
    if not rows:
        raise AnimateError(f"{source} lists no videos: add a row for each clip")
    jobs = []
    for name, own in rows.items():
        video, _, person = name.partition("#")  # VoxCeleb's names are video#person
        named = sorted(Path(videos).glob(f"{escape(video)}.*"))
        path = next(
            (p for p in named if files.kind_in_folder(p) == files.CLIP),
            Path(videos) / f"{video}.mp4",
        )
        jobs.append(Job(name, path, person or video, rights, tuple(own)))
    return jobs


def _names_a_piece(cells: dict[str, str]) -> bool:
    try:
        _, _, _, _ = (float(v) for v in cells["bbox"].split("-"))
        sizes = [float(cells[key]) for key in ("end", "fps", "width", "height")]
        return bool(cells["video_id"]) and min(sizes) > 0 <= int(cells["start"])
    except ValueError:
        return False
