"""The command line: quick help, one run, one line for a mistake, and its exit codes."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import pytest
from conftest import ROOT, draw_frames, tiny, write_clip
from PIL import Image

from animate import checkpoints
from animate.cli import main
from animate.cli.arguments import some_path
from animate.cli.entry import parser
from animate.options import settings_of

HEAVY = {"torch", "hydra", "omegaconf", "numpy", "av", "PIL", "tqdm", "yaml"}


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, env=environment, check=False
    )


@pytest.mark.parametrize("code", ["import animate", "import animate.cli.entry as c; c.parser()"])
def test_importing_loads_nothing_heavy(code: str) -> None:
    shown = python("-c", f"{code}; import sys; print(*sys.modules)").stdout
    assert "animate" in shown
    assert not HEAVY & set(shown.split())


def test_help_is_quick() -> None:
    """In seconds of processor time, which a busy machine does not change."""

    def spent() -> float:
        times = os.times()
        return times.children_user + times.children_system

    before = spent()
    assert python("-m", "animate", "--help").returncode == 0
    assert spent() - before < 0.3


@pytest.mark.parametrize(
    "command",
    [[], ["run"], ["verify"], ["train"], ["checkpoint", "list"], ["checkpoint", "import"]],
)
def test_every_command_has_help(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([*command, "--help"])
    assert stopped.value.code == 0
    assert "usage: animate" in capsys.readouterr().out


def test_a_former_command_says_what_it_is_called_now(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["motion", "save", "a.mp4", "-o", "a.npz"]) == 2
    assert "`animate motion` is called `animate template` now" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["dance"],
        ["run"],
        ["run", "photo.png", "clip.mp4"],
        ["run", "photo.png", "clip.mp4", "-o", "o.mp4", "--nonsense"],
        ["verify"],
        ["verify", "--loud", "a.mp4"],
        ["checkpoint"],
        ["checkpoint", "list", "more"],
    ],
)
def test_a_wrong_command_line_is_one_line(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    shown = capsys.readouterr()
    assert shown.err.startswith("animate: ")
    assert shown.err.count("\n") == 1
    assert not shown.out


def test_the_help_of_a_run_names_every_setting(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("run", "batch"):
        with pytest.raises(SystemExit):
            main([command, "--help"])
        said = capsys.readouterr().out
        hidden = {"motion.name", "faces.name", "paste.name"}  # listed as motion=, faces=, paste=
        assert [
            key for key in settings_of("run") if f" {key}=" not in said and key not in hidden
        ] == []
        assert "where the used part of the clip begins" in said
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    assert "optim.steps=" in capsys.readouterr().out


def test_overrides_may_stand_before_and_after_options() -> None:
    known, others = parser().parse_known_args(["run", "p", "c", "seed=1", "-o", "o", "threads=2"])
    assert known.overrides + others == ["seed=1", "threads=2"]


def test_a_run_is_published_and_verified(
    world: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    from animate.media.clips import open_clip

    monkeypatch.setenv("ANIMATE_HOME", str(tmp_path_factory.mktemp("home")))

    out = tmp_path / "my result (1), a=b.mp4"
    command = ["run", str(world / "photo.png"), str(world / "clip.mp4"), "-o", str(out)]
    command += [*tiny(world), "consent=Ada said yes, 2026"]
    assert main(command) == 0
    shown = capsys.readouterr()
    assert "12 frames" in shown.out
    assert "verified: marked" in shown.out
    assert "%|" not in shown.err  # no progress bar in a pipe
    assert "keys init" in shown.err  # said once
    clip = open_clip(out)
    assert clip.rate == Fraction(30000, 1001)
    assert clip.sound
    assert len(list(clip.frames())) == 12

    assert main(["verify", str(out)]) == 0
    assert "Ada said yes, 2026" in capsys.readouterr().out
    assert main(["verify", "--json", str(out)]) == 0
    (report,) = json.loads(capsys.readouterr().out)["files"]
    assert report["verdict"] == "marked"
    assert report["claim_agrees"]
    assert report["signature"]["ingredients"] == ["photo", "driving video"]
    assert report["labels"]["visible"]["text"] == "AI-generated"
    assert report["claim"]["model"] == "first_order"

    assert main(command) == 2  # it exists
    assert "--force" in capsys.readouterr().err
    assert main([*command, "--force"]) == 0
    assert "keys init" not in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == [out.name]


def test_verify_tells_unmarked_and_unreadable_apart(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    unmarked, broken = str(world / "clip.mp4"), str(tmp_path / "text.mp4")
    assert main(["verify", unmarked]) == 1
    assert "not found" in capsys.readouterr().out
    assert main(["verify", broken, unmarked]) == 2
    shown = capsys.readouterr()
    assert shown.err.count("\n") == 1
    assert "not found" in shown.out


def test_an_interrupt_leaves_nothing(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from animate.models.first_order.model import FirstOrder

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(FirstOrder, "render", interrupt)
    command = ["run", str(world / "photo.png"), str(world / "clip.mp4")]
    command += ["-o", str(tmp_path / "out.mp4")]
    assert main([*command, *tiny(world)]) == 130
    assert not list(tmp_path.iterdir())


def test_training_ends_in_a_checkpoint_that_loads(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "clips").mkdir()
    write_clip(tmp_path / "clips" / "a.mp4", draw_frames(3))
    command = ["train", f"data.clips={tmp_path / 'clips'}", f"data.cache={tmp_path / 'cache'}"]
    command += [f"data.held_out={tmp_path / 'clips'}", f"out={tmp_path / 'out'}", "data.size=128"]
    command += ["loss.perceptual=0", "optim.steps=1", "optim.batch=1"]
    assert main([*command, f"start={world / 'gated.safetensors'}"]) == 0
    assert "held_out_l1" in capsys.readouterr().out
    _, info = checkpoints.load(tmp_path / "out" / "checkpoint.safetensors")
    assert info.model == "first_order_gated"


@pytest.mark.parametrize(
    ("override", "complaint"),
    [
        ("optim.colour=1", "optim.colour"),
        ("loss=guesswork", "guesswork"),
        ("seed=0", "data.clips"),
    ],
)
def test_wrong_training_settings_are_one_line(
    override: str, complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "out=nowhere", override]) == 2
    told = capsys.readouterr().err
    assert complaint in told
    assert told.count("\n") == 1


def _actions(top: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in top._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from _actions(below)


def test_no_path_of_a_command_can_be_empty() -> None:
    taken = [action.type for action in _actions(parser())]
    assert Path not in taken
    assert taken.count(some_path) > 20


@pytest.mark.parametrize(
    "command",
    [
        ["run", "", "c.mp4", "-o", "o.mp4"],
        ["run", "p.jpg", "", "-o", "o.mp4"],
        ["run", "p.jpg", "c.mp4", "-o", ""],
        ["run", "p.jpg", "c.mp4", "-o", "o.mp4", "--tile", ""],
        ["batch", "", "-o", "o"],
        ["batch", ".", "-o", ""],
        ["verify", "a.mp4", ""],
        ["prepare", ".", ""],
    ],
)
def test_an_empty_path_is_refused_in_a_line(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command) == 2
    said = capsys.readouterr().err
    assert said.startswith("animate: argument ")
    assert "an empty path was given" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("terminal", [True, False])
def test_many_files_as_json_show_how_far_it_is_on_a_terminal_alone(
    terminal: bool, tmp_path: Path
) -> None:
    import fcntl
    import pty
    import struct
    import termios

    for name in "ab":
        Image.new("RGB", (64, 64)).save(tmp_path / f"{name}.png")
    ours, theirs = pty.openpty() if terminal else os.pipe()
    if terminal:
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    command = [sys.executable, "-m", "animate", "verify", "--json", str(tmp_path)]
    done = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=theirs,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    os.write(theirs, b".")  # so that reading ends
    said = os.read(ours, 10_000).decode()
    os.close(ours)
    os.close(theirs)
    assert len(json.loads(done.stdout)["files"]) == 2
    assert ("2/2" in said) == terminal
    assert (said == ".") == (not terminal)
