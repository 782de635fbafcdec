"""The README keeps its word: its commands, files, settings and exit codes exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from conftest import ROOT

from animate.cli.entry import parser
from animate.config import run_options

README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCKS = re.findall(r"^```(?:bash|sh|console)?\n(.*?)^```", README, re.M | re.S)
LINES = [line.strip() for block in BLOCKS for line in block.splitlines() if line.strip()]


def commands(program: str) -> list[list[str]]:
    words = [shlex.split(line, comments=True) for line in LINES]
    return [w for w in words if w and w[0] == program]


def test_the_two_commands_come_first() -> None:
    first = BLOCKS[0]
    assert "bash scripts/demo.sh" in first
    assert "bash scripts/test.sh" in first


@pytest.mark.parametrize("words", commands("bash"), ids=" ".join)
def test_every_script_exists(words: list[str]) -> None:
    assert (ROOT / words[1]).is_file()


@pytest.mark.parametrize("words", commands("animate"), ids=" ".join)
def test_every_command_is_one(words: list[str]) -> None:
    known, others = parser().parse_known_args(words[1:])
    assert not [w for w in others if w.startswith("-")]
    if words[1] == "run":
        assert run_options([*known.overrides, *others])


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`([\w/.-]+/[\w/.-]*)`", README))))
def test_every_path_exists(name: str) -> None:
    assert list(ROOT.glob(name.rstrip("/"))), f"README names {name}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        assert "://" in target or (page.parent / target).exists(), f"{page.name} links to {target}"


TEXTS = [*PAGES, *(ROOT / n for n in ("ARCHITECTURE.md", "CONTRIBUTING.md")),
         *sorted((ROOT / "checkpoints").glob("*.md"))]  # fmt: skip
MODULES = {
    str(path.relative_to(ROOT))
    for folder in ("animate", "scripts", "tests")
    for path in (ROOT / folder).rglob("*.py")
}


@pytest.mark.parametrize("page", TEXTS, ids=lambda page: page.name)
def test_every_module_that_is_named_exists(page: Path) -> None:
    """In `code`, also the end of a path; a name in capitals is the reader's own."""
    named = re.findall(r"`((?:\w+/)*[a-z_0-9]+\.py)`", page.read_text())
    assert not [n for n in named if not any(f"/{m}".endswith(f"/{n}") for m in MODULES)]
