"""A run can be stopped, killed, split and starved, and nothing is lost but steps since a save."""

from __future__ import annotations

import errno
import json
import os
import random
import signal
import sys
import time
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import ROOT
from safetensors.torch import load_file

from animate.cli import main
from animate.data.drawn import drawn_clips
from animate.errors import AnimateError, VerificationError
from animate.models.first_order.model import FirstOrder
from animate.training import state
from animate.training.distributed import ProcessGroup
from animate.training.loop import train
from animate.training.losses.first_order import FirstOrderLoss
from animate.verification.verify import verify

TINY = {
    "size": 64, "detector_width": 4, "detector_levels": 2, "motion_width": 4, "motion_levels": 2,
    "width": 4, "residuals": 1,
}  # fmt: skip


SMOKE = ["experiment=smoke", "optim.steps=2", "log_every=1", "save_every=2", "optim.batch=2"]


def model() -> FirstOrder:
    torch.manual_seed(0)
    return FirstOrder(**TINY)


def loss(**settings: object) -> FirstOrderLoss:
    torch.manual_seed(1)
    small = {"perceptual": 0.0, "adversarial": 1.0, "discriminator": {"width": 4, "levels": 2}}
    return FirstOrderLoss(**(small | settings))  # type: ignore[arg-type]


def run(out: Path, steps: int = 4, judged: object = None, **settings: object) -> FirstOrder:
    usual = {"size": 64, "batch": 4, "precision": "float32", "warm_up": 2, "save_every": 2}
    usual |= {"device": "cpu"}
    clips = drawn_clips(people=3, frames=6, side=64)
    return train(model(), clips, judged or loss(), out, steps=steps, **(usual | settings))  # type: ignore[arg-type, return-value]


def equal(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    pairs = zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    return all(torch.equal(x, y) for x, y in pairs)


class Meddling:
    """A loss that does something just before a step."""

    def __init__(self, step: int, do: object) -> None:
        self.loss, self.step, self.do = loss(), step, do
        self.discriminator, self.discriminator_loss = (
            self.loss.discriminator,
            self.loss.discriminator_loss,
        )

    def __call__(self, model: object, pairs: object, step: int, seed: int) -> dict:
        terms = self.loss(model, pairs, step, seed)  # type: ignore[arg-type]
        if step == self.step and self.do is not None:
            terms = self.do(terms) or terms  # type: ignore[operator]
            self.do = None
        return terms


def test_a_run_stopped_by_sigterm_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    settings = {"accumulate": 2, "milestones": (3,), "steps": 6}
    whole = run(tmp_path / "whole", **settings)
    ask = Meddling(2, lambda terms: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(SystemExit) as stopped:
        run(tmp_path / "parts", judged=ask, **settings)
    assert stopped.value.code == 128 + signal.SIGTERM
    assert torch.load(tmp_path / "parts/state.pt", weights_only=True)["step"] == 3
    assert equal(run(tmp_path / "parts", **settings), whole)
    newest = [torch.load(tmp_path / d / "state.pt", weights_only=True) for d in ("whole", "parts")]
    assert str(newest[0]) == str(newest[1])  # the discriminator, both optimisers and the step, too


WORKERS = get_context("forkserver")  # processes that begin with everything imported
WORKERS.set_forkserver_preload(
    ["animate.training.recipe", "animate.training.log", "hydra", "torch._dynamo"]
)


def test_sigkill_loses_no_more_than_the_steps_since_the_last_save(tmp_path: Path) -> None:
    process = WORKERS.Process(target=run, args=(tmp_path / "killed", 10_000))
    process.start()
    deadline = time.monotonic() + 240
    while not (tmp_path / "killed/state.pt").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.kill()
    process.join()
    reached = torch.load(tmp_path / "killed/state.pt", weights_only=True)["step"]
    (tmp_path / "killed/state-99999999.part").write_text("half a state")  # as a kill may leave it
    whole = run(tmp_path / "whole", steps=reached + 2, decay=0)  # the rate of 10,000 steps' start
    assert equal(run(tmp_path / "killed", steps=reached + 2, decay=0), whole)


def same(a: object, b: object) -> bool:
    """Whether two states hold the same bits."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor):
        return torch.equal(a, b)
    return a == b


def command(arguments: list[str]) -> None:
    sys.exit(main(arguments))


def test_a_run_killed_again_and_again_ends_in_the_same_bits(tmp_path: Path) -> None:
    settings = [f"++motion.arguments.{key}={value}" for key, value in TINY.items()]
    settings += ["data.size=64", "data.held_out=null", "optim.batch=2", "optim.steps=10"]
    settings += ["experiment=smoke", "save_every=4", "log_every=1"]

    def begin(name: str) -> Any:
        arguments = ["train", *settings, f"out={tmp_path / name}"]
        process = WORKERS.Process(target=command, args=(arguments,))
        process.start()
        return process

    whole, log, chance = begin("whole"), tmp_path / "killed/log.jsonl", random.Random()
    for reached in (2, 6):
        process, deadline = begin("killed"), time.monotonic() + 120
        while process.is_alive() and time.monotonic() < deadline:
            if log.exists() and f'{{"step": {reached},' in log.read_text():
                break
            time.sleep(0.005)
        time.sleep(chance.uniform(0, 0.3))  # in the middle of a step, a save or a preview
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL
    for process in (begin("killed"), whole):
        process.join()
        assert process.exitcode == 0
    ends = [torch.load(tmp_path / d / "state.pt", weights_only=True) for d in ("whole", "killed")]
    assert ends[0]["step"] == 10
    assert same(*ends)  # networks, discriminator, averages, optimisers
    results = [load_file(tmp_path / d / "checkpoint.safetensors") for d in ("whole", "killed")]
    assert same(*results)
    told = [line for line in log.read_text().splitlines() if '"loss"' in line]
    assert len({json.loads(line)["step"] for line in told}) == 10
    assert (log.parent / "report.md").exists()


def test_a_log_that_was_cut_short_goes_on_and_tells_each_step_once(tmp_path: Path) -> None:
    command = ["train", *SMOKE, f"out={tmp_path}"]
    assert main(command) == 0
    log = tmp_path / "log.jsonl"
    log.write_text(log.read_text() + '{"step": 3, "loss": 1.0}\n{"step": 4, "lo')  # then, a kill
    assert main([*command, "optim.steps=3"]) == 0
    told = json.loads((tmp_path / "summary.json").read_text())["last"]["loss"]
    assert told != 1.0  # the third step was taken again
    assert f"| loss | {told:.5g} |" in (tmp_path / "report.md").read_text()


class Saves:
    """A board that remembers at which steps it was shown a saved model."""

    def __init__(self) -> None:
        self.steps: list[int] = []

    def note(self, words: str) -> None: ...

    def values(self, line: dict[str, float]) -> None: ...

    def saved(self, model: object, step: int, scored: object) -> None:
        self.steps.append(step)


def test_a_run_killed_between_its_last_state_and_its_checkpoint_is_finished(tmp_path: Path) -> None:
    run(tmp_path, steps=2)  # the state is there, and nobody was shown the model
    run_log = Saves()
    run(tmp_path, steps=2, run_log=run_log)
    assert run_log.steps == [2]


def test_a_full_disk_leaves_the_state_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path, steps=2)
    before = (tmp_path / "state.pt").read_bytes()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(AnimateError, match="No space left"):
        run(tmp_path, steps=4)
    assert (tmp_path / "state.pt").read_bytes() == before
    assert not list(tmp_path.glob("*.part"))


def test_only_the_last_states_are_kept(tmp_path: Path) -> None:
    run(tmp_path, steps=6, keep=2)
    assert [p.name for p in state.kept(tmp_path)] == ["state-00000004.pt", "state-00000006.pt"]


def test_a_loss_that_is_not_finite_stops_the_run_and_spares_the_state(tmp_path: Path) -> None:
    spoil = Meddling(3, lambda terms: terms | {"equivariance": torch.tensor(float("nan"))})
    with pytest.raises(AnimateError, match="equivariance is not finite at step 4"):
        run(tmp_path, judged=spoil)
    kept = torch.load(tmp_path / "state.pt", weights_only=True)
    assert kept["step"] == 2
    assert all(v.isfinite().all() for v in kept["model"].values())


def test_a_batch_that_can_not_be_split_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AnimateError, match=r"optim\.accumulate"):
        run(tmp_path, accumulate=3)
    with pytest.raises(AnimateError, match="unknown precision=half"):
        run(tmp_path, precision="half")


def test_every_process_and_micro_batch_has_its_own_rows() -> None:
    teams = [ProcessGroup(torch.device("cpu"), rank, 3) for rank in range(3)]
    rows = [slice_ for group in teams for slice_ in group.rows(12, 2)]
    assert [i for part in rows for i in range(12)[part]] == list(range(12))


class Losses:
    """A log that remembers the losses."""

    def __init__(self) -> None:
        self.lines: list[float] = []

    def note(self, words: str) -> None: ...

    def values(self, line: dict[str, float]) -> None:
        self.lines.append(line["loss"])

    def saved(self, *_: object) -> None: ...


class Wide:
    """A loss on pairs in float64."""

    def __init__(self, of: FirstOrderLoss) -> None:
        self.loss, self.discriminator = of, of.discriminator

    def pairs(self, pairs: Any) -> Any:
        return replace(pairs, source=pairs.source.double(), driving=pairs.driving.double())

    def __call__(self, model: Any, pairs: Any, *at: Any) -> Any:
        return self.loss(model, self.pairs(pairs), *at)

    def discriminator_loss(self, discriminator: Any, pairs: Any, *at: Any) -> Any:
        return self.loss.discriminator_loss(discriminator, self.pairs(pairs), *at)


def learn(out: Path, told: Path, group: dict[str, str], kind: str, discriminator: float) -> None:
    """Train as a process of a group, and write the losses as JSON."""
    os.environ |= group
    torch.set_num_threads(1)
    torch.set_default_dtype(getattr(torch, kind))
    judged: Any = loss(adversarial=discriminator)
    judged = Wide(judged) if kind == "float64" else judged
    log = Losses()
    run(out, steps=8, judged=judged, log_every=1, save_every=100, run_log=log)
    told.write_text(json.dumps(log.lines))


@pytest.mark.parametrize(("kind", "discriminator"), [("float32", 0.0), ("float64", 1.0)])
def test_two_processes_learn_what_one_does(tmp_path: Path, kind: str, discriminator: float) -> None:
    """Eight steps of the published losses, to within 1e-4; with a discriminator in float64 only.

    In float32 Adam makes whole steps of the rounding of gradients that are zero but for it (of a
    bias before a normalisation): losses are 0.5 % apart after twenty steps. In float64 that
    rounding is far below Adam's epsilon."""
    port = str(20000 + (os.getpid() + 7 * round(discriminator)) % 20000)
    started, told = [], []
    for name, rank, size in (("two", 0, 2), ("two", 1, 2), ("one", 0, 1)):
        group = {"RANK": str(rank), "WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1"}
        group |= {"MASTER_PORT": port}
        losses = tmp_path / f"{name}{rank}.json"
        arguments = (tmp_path / name, losses, group, kind, discriminator)
        started.append((WORKERS.Process(target=learn, args=arguments), losses))
        started[-1][0].start()
    for process, losses in started:
        process.join(300)
        assert process.exitcode == 0
        told.append(torch.tensor(json.loads(losses.read_text())))
    assert len(told[2]) == 8
    for ours in told[:2]:
        torch.testing.assert_close(ours, told[2], atol=1e-4, rtol=0)


def test_a_sweep_leaves_a_log_a_report_and_marked_previews_of_each_run_and_one_table(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    sweep = tmp_path / "sweep"
    values = ["optim.lr=1e-3,1e-4", "optim.accumulate=1,3"]  # three parts of two pairs: no
    assert main(["train", "--multirun", *SMOKE, *values, f"out={sweep}"]) == 0
    table = (sweep / "comparison.md").read_text()
    shown = capfd.readouterr()
    assert table in shown.out
    assert "animate: run 1: optim.batch=2 can't be split" in shown.err
    assert table.startswith("| run | optim.accumulate | optim.lr | best held_out_l1 |")
    rows = [[cell.strip() for cell in row.split("|")[1:5]] for row in table.splitlines()[2:6]]
    assert {tuple(row[:3]) for row in rows[:2]} == {("0", "1", "0.001"), ("2", "1", "0.0001")}
    assert float(rows[0][3]) <= float(rows[1][3])  # the best first
    assert rows[2:] == [["1", "3", "0.001", "-"], ["3", "3", "0.0001", "-"]]
    assert "- run 3: optim.batch=2 can't be split" in table
    assert not (ROOT / "multirun").exists()
    run = sweep / "0"
    names = {path.name for path in run.iterdir()}
    assert {"checkpoint.safetensors", "best.safetensors", "report.md", "settings.json"} <= names
    for name in ("preview.png", "curves.png"):
        assert verify(run / name).verdict in ("authentic", "marked")
    lines = [json.loads(line) for line in (run / "log.jsonl").open()]
    assert [line["step"] for line in lines if "loss" in line] == [1, 2]
    assert any("held_out_l1" in line for line in lines)
    assert "steps: 2" in (run / "report.md").read_text()
    if "events" in " ".join(names):
        event = next(run.glob("events*")).read_bytes()
        assert (run / "preview.png").read_bytes() in event  # the marked file, as it is


def test_a_preview_that_can_not_carry_the_mark_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise VerificationError("the mark did not hold")

    monkeypatch.setattr("animate.publish.sheets.publish", refuse)
    assert main(["train", *SMOKE, f"out={tmp_path / 'r'}"]) == 0
    assert "no preview.png: the mark did not hold" in capsys.readouterr().err
    assert (tmp_path / "r/checkpoint.safetensors").exists()
    assert not (tmp_path / "r/preview.png").exists()


def test_a_mistake_in_a_sweep_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "-m", *SMOKE, f"out={tmp_path}", "optim.rat=1,2"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert main(["train", *SMOKE, f"out={tmp_path}", "optim.lr=fast"]) == 2
    assert capsys.readouterr().err.startswith("animate: optim.lr is fast: use a number")
