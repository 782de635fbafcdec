"""The set-up scripts: what they say where they can't help."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT


def bash(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [shutil.which("bash") or "bash", *arguments]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, env=environment, check=False
    )


@pytest.mark.parametrize("script", sorted(p.name for p in (ROOT / "scripts").glob("*.sh")))
def test_scripts_are_sound(script: str) -> None:
    assert bash("-n", f"scripts/{script}").returncode == 0


def test_another_python_is_one_clear_line(tmp_path: Path) -> None:
    for tool in ("dirname", "cat", "cksum", "head"):
        (tmp_path / tool).symlink_to(shutil.which(tool) or tool)
    old = tmp_path / "python3"
    old.write_text(f"#!{shutil.which('bash')}\n[ $1 = --version ] && echo Python 3.9.1\n")
    old.chmod(0o755)
    copy = tmp_path / "copy"
    shutil.copytree(ROOT / "scripts", copy / "scripts")
    shutil.copy(ROOT / "pyproject.toml", copy)
    done = bash(str(copy / "scripts" / "setup.sh"), PATH=str(tmp_path))
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "3.10 to 3.13" in done.stderr
    assert "Python 3.9.1" in done.stderr
    assert not (copy / ".venv").exists()


def test_the_demo_says_how_it_is_used() -> None:
    done = bash("scripts/demo.sh", "only-a-photo.jpg", PATH="/usr/bin:/bin")
    assert done.returncode == 2
    assert done.stderr.startswith("usage: bash scripts/demo.sh")


IMPORT_ALL = """
import importlib.util, sys
from pathlib import Path
for path in map(Path, sys.argv[1:]):
    sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location(path.stem + "_script", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    for name in ("EXAMPLE", "EXAMPLES"):
        assert getattr(module, name, Path()).exists(), f"{path}: {name}"
"""


def test_scripts_find_their_modules_and_examples() -> None:
    scripts = sorted((ROOT / "scripts").rglob("*.py"))
    assert len(scripts) > 10
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, *map(str, scripts)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
