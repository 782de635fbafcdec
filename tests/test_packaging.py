"""A wheel holds all that a run needs, and nothing that git does not know."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from conftest import ROOT, tiny

KEPT = (
    "animate", "configs", "checkpoints", "docs/examples", "pyproject.toml", "README.md", "LICENSE",
)  # fmt: skip


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from a copy of the source, with the build back end that is installed."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in KEPT:
        path = ROOT / name
        if path.is_dir():
            ignore = shutil.ignore_patterns("__pycache__")
            shutil.copytree(path, source / name, ignore=ignore)
        else:
            shutil.copy(path, source)
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)]
    subprocess.run(command, cwd=source, check=True, capture_output=True)
    (built,) = out.glob("*.whl")
    return built


def test_the_wheel_holds_configs_checkpoints_and_the_page(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for path in (ROOT / "configs").rglob("*.yaml"):
        assert f"animate/{path.relative_to(ROOT).as_posix()}" in names
    assert "animate/bundled/index.yaml" in names
    for path in (ROOT / "checkpoints").rglob("*.safetensors"):
        assert f"animate/bundled/{path.relative_to(ROOT / 'checkpoints').as_posix()}" in names
    for path in (ROOT / "animate" / "serve" / "page").iterdir():
        assert path.relative_to(ROOT).as_posix() in names
    assert {"animate/examples/photo.jpg", "animate/examples/clip.mp4"} <= names
    assert not [n for n in names if n.startswith(("tests/", "docs/", "configs/", "checkpoints/"))]


def test_the_wheel_runs_from_another_folder(wheel: Path, world: Path, tmp_path: Path) -> None:
    home, elsewhere = tmp_path / "site", tmp_path / "elsewhere"
    elsewhere.mkdir()
    with zipfile.ZipFile(wheel) as archive:  # a pure wheel is installed by unpacking it
        archive.extractall(home)

    def animate(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "animate", *arguments],
            cwd=elsewhere,
            env={**os.environ, "PYTHONPATH": str(home)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    where = subprocess.run(
        [sys.executable, "-c", "import animate.system.paths as p; print(p.folder('checkpoints'))"],
        cwd=elsewhere,
        env={**os.environ, "PYTHONPATH": str(home)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(where.stdout.strip()) == home / "animate" / "bundled"
    animate("checkpoint", "list")
    shown = animate(
        "run",
        str(world / "photo.png"),
        str(world / "clip.mp4"),
        "-o",
        "out.mp4",
        *tiny(world),
    )
    assert "verified: marked" in shown
    assert [p.name for p in elsewhere.iterdir()] == ["out.mp4"]
