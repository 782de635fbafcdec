"""Checkpoints: what is saved comes back, what is published is understood, the rest is refused."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from test_first_order import TINY, tiny
from torch import Tensor

from animate import checkpoints
from animate.errors import AnimateError
from animate.models.first_order.discriminator import Discriminator
from animate.models.first_order.model import FirstOrder

JUDGE = {"width": 4, "limit": 16, "levels": 3}
State = dict[str, Tensor]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkpoints folder of the test's own, with an empty index."""
    (tmp_path / "bundled").mkdir()
    (tmp_path / "bundled" / "index.yaml").write_text("{}\n")
    monkeypatch.setattr(checkpoints, "folder", lambda name: tmp_path / "bundled")
    return tmp_path / "bundled"


def part(model: FirstOrder, name: str, prefix: str = "") -> State:
    return OrderedDict((prefix + k, v) for k, v in getattr(model, name).state_dict().items())


def foreign(
    model: FirstOrder, judge: Discriminator | None = None, prefix: str = ""
) -> dict[str, Any]:
    """What the original code saves; with a discriminator, a full file, else a stripped one."""
    content: dict[str, Any] = {n: part(model, n, prefix) for n in ("generator", "kp_detector")}
    if judge is not None:
        content["discriminator"] = OrderedDict(
            (prefix + k, v) for k, v in judge.state_dict().items()
        )
        step = {140_000_000: {"step": 3, "exp_avg": torch.zeros(2), "exp_avg_sq": torch.zeros(2)}}
        optimizer = {"state": step, "param_groups": [{"lr": 2e-4, "params": [140_000_000]}]}
        content |= {
            f"optimizer_{n}": optimizer for n in ("generator", "discriminator", "kp_detector")
        }
        content["epoch"] = 99
    return content


def same(model: torch.nn.Module, other: torch.nn.Module) -> bool:
    a, b = model.state_dict(), other.state_dict()
    return list(a) == list(b) and all(torch.equal(a[k], b[k]) for k in a)


# Saving and loading ----------------------------------------------------------------------------


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    model, path = tiny(align_corners=False), tmp_path / "new folder" / "tiny.safetensors"
    card = {"steps": 7, "note": "très petit"}
    saved = checkpoints.save(path, model, arguments={**TINY, "align_corners": False}, card=card)
    loaded, info = checkpoints.load(path)
    assert same(loaded, model)
    assert not loaded.training
    assert info == saved
    assert info.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (info.path, info.model, info.card) == (path, "first_order", card)
    assert isinstance(loaded, FirstOrder)
    assert loaded.align_corners is False
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_half_precision_halves_the_file_and_loads_as_float32(tmp_path: Path) -> None:
    model = tiny()
    checkpoints.save(tmp_path / "full.safetensors", model, arguments=TINY)
    checkpoints.save(tmp_path / "half.safetensors", model, arguments=TINY, half=True)
    kinds = {t.dtype for t in load_file(tmp_path / "half.safetensors").values()}
    assert kinds == {torch.float16, torch.int64}
    loaded, _ = checkpoints.load(str(tmp_path / "half.safetensors"))
    assert {p.dtype for p in loaded.parameters()} == {torch.float32}
    for name, value in loaded.state_dict().items():
        torch.testing.assert_close(value, model.state_dict()[name], rtol=1e-3, atol=1e-3)


def test_the_same_weights_are_the_same_file(tmp_path: Path) -> None:
    model, card = tiny(), {"steps": 7, "note": "très petit"}
    infos = [
        checkpoints.save(tmp_path / f"{i}.safetensors", model, arguments=TINY, card=card)
        for i in range(8)
    ]
    assert len({info.sha256 for info in infos}) == 1
    assert checkpoints.load(infos[0].path)[1].card == card


def test_saving_leaves_the_callers_random_numbers_alone(tmp_path: Path) -> None:
    model = tiny()
    torch.manual_seed(1)
    wanted = torch.rand(3)
    torch.manual_seed(1)
    checkpoints.save(tmp_path / "tiny.safetensors", model, arguments=TINY)
    checkpoints.load(tmp_path / "tiny.safetensors")
    assert torch.equal(torch.rand(3), wanted)


def test_what_could_not_be_loaded_is_not_saved(tmp_path: Path) -> None:
    path = tmp_path / "tiny.safetensors"
    with pytest.raises(AnimateError, match="does not fit first_order"):
        checkpoints.save(path, tiny(), arguments={})
    with pytest.raises(AnimateError, match=r"lacks .*norm"):
        checkpoints.save(path, tiny().fuse(), arguments=TINY)
    broken = tiny()
    broken.generator.final.weight.data[0, 0, 0, 0] = 1e6
    with pytest.raises(AnimateError, match=r"final\.weight with values that are not finite"):
        checkpoints.save(path, broken, arguments=TINY, half=True)
    with pytest.raises(AnimateError, match="not a registered model"):
        checkpoints.save(path, torch.nn.Linear(1, 1), arguments={})
    assert not list(tmp_path.iterdir())


def test_a_failed_write_leaves_the_old_file_and_no_draft(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "tiny.safetensors"
    path.write_text("old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(AnimateError, match="No space left on device"):
        checkpoints.save(path, tiny(), arguments=TINY)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    assert path.read_text() == "old"


# The index -------------------------------------------------------------------------------------


def entry(path: Path, **changed: object) -> dict[str, object]:
    known = {
        "file": path.name,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "size": path.stat().st_size,
        "model": "first_order",
        "licence": "MIT",
        "origin": "drawn by a test",
        "card": "tiny.md",
    }
    return {**known, **changed}


def test_a_name_of_the_index_is_loaded_when_its_hash_is_right(folder: Path) -> None:
    path = folder / "tiny.safetensors"
    checkpoints.save(path, tiny(), arguments=TINY)
    (folder / "index.yaml").write_text(json.dumps({"tiny": entry(path)}))
    _, info = checkpoints.load("tiny")
    assert info.path == path
    assert list(checkpoints.index()) == ["tiny"]
    (folder / "index.yaml").write_text(json.dumps({"tiny": entry(path, sha256="0" * 64)}))
    with pytest.raises(AnimateError, match=r"sha256 is .*, expected 000"):
        checkpoints.load("tiny")
    (folder / "index.yaml").write_text(json.dumps({"tiny": entry(path, model="first_order_gated")}))
    with pytest.raises(AnimateError, match="holds a first_order, the index says first_order_gated"):
        checkpoints.load("tiny")
    (folder / "index.yaml").write_text(json.dumps({"tiny": entry(path)}))
    path.unlink()
    with pytest.raises(AnimateError, match="animate train"):
        checkpoints.load("tiny")


@pytest.mark.parametrize(
    "text", ["tiny: {file: a}", "tiny: a", "a: [", "- a", "!!python/name:os.system"]
)
def test_a_broken_index_is_one_error(folder: Path, text: str) -> None:
    (folder / "index.yaml").write_text(text)
    with pytest.raises(AnimateError, match=r"index\.yaml"):
        checkpoints.index()


def test_the_bundled_index_is_right() -> None:
    """Every file is there, whole and described."""
    folder = checkpoints.folder("checkpoints")
    for name, known in checkpoints.index().items():
        path = folder / known["file"]
        assert path.stat().st_size == known["size"], name
        assert hashlib.sha256(path.read_bytes()).hexdigest() == known["sha256"], name
        assert (folder / known["card"]).is_file(), name


@pytest.mark.parametrize("reference", [None, "nowhere", "nowhere.safetensors", Path("nowhere")])
def test_a_missing_checkpoint_names_the_command_that_makes_it(
    folder: Path, reference: str | Path | None
) -> None:
    with pytest.raises(AnimateError, match="animate checkpoint import"):
        checkpoints.load(reference)


# What is refused -------------------------------------------------------------------------------


class Payload:
    """Touches a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("new", [True, False])
def test_a_pickle_is_neither_loaded_nor_run(tmp_path: Path, new: bool) -> None:
    path, out, trap = tmp_path / "bad.pth.tar", tmp_path / "out.safetensors", tmp_path / "sprung"
    content = {**foreign(tiny()), "extra": Payload(trap)}
    torch.save(content, path, _use_new_zipfile_serialization=new)
    with pytest.raises(AnimateError, match="animate checkpoint import"):
        checkpoints.load(path)
    with pytest.raises(AnimateError, match="holds code or objects"):
        checkpoints.import_foreign(path, out)
    path.write_bytes(pickle.dumps(Payload(trap)))
    with pytest.raises(AnimateError):
        checkpoints.import_foreign(path, out)
    assert sorted(p.name for p in tmp_path.iterdir()) == [path.name]


def test_files_that_are_no_checkpoint_are_one_line_errors(tmp_path: Path) -> None:
    good = tmp_path / "good.safetensors"
    checkpoints.save(good, tiny(), arguments=TINY)
    whole = good.read_bytes()
    for name, data in (
        ("empty", b""),
        ("text", b"hello" * 9),
        ("cut", whole[:-9]),
        ("head", whole[:99]),
    ):
        path = tmp_path / name
        path.write_bytes(data)
        for read in (checkpoints.load, lambda p: checkpoints.import_foreign(p, tmp_path / "out")):
            with pytest.raises(AnimateError, match=name) as error:
                read(path)
            assert "\n" not in str(error.value)
    with pytest.raises(AnimateError, match="no checkpoint"):
        checkpoints.load(tmp_path)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"format": "other/1"}, "not an animate checkpoint"),
        ({"model": "unheard_of"}, "unknown motion model unheard_of"),
        ({"arguments": "{"}, "does not say what model"),
        ({"arguments": "[]"}, "must be a mapping"),
        ({"arguments": '{"colour": 1}'}, "wrong arguments"),
        ({"arguments": "{}"}, "does not fit first_order: it lacks"),
    ],
)
def test_metadata_are_checked(tmp_path: Path, change: dict[str, str], says: str) -> None:
    path = tmp_path / "tiny.safetensors"
    metadata = {"format": "animate/1", "model": "first_order", "arguments": json.dumps(TINY)}
    save_file(tiny().state_dict(), path, {**metadata, **change})
    with pytest.raises(AnimateError, match=says):
        checkpoints.load(path)


def test_loading_is_strict(tmp_path: Path) -> None:
    path = tmp_path / "tiny.safetensors"
    metadata = {"format": "animate/1", "model": "first_order", "arguments": json.dumps(TINY)}
    state = tiny().state_dict()
    for changed, says in (
        ({**state, "extra": torch.zeros(1)}, "has extra, unknown"),
        (
            {k: v for k, v in state.items() if k != "generator.final.bias"},
            "lacks generator.final.bias",
        ),
        (
            {**state, "generator.final.bias": torch.zeros(4)},
            r"has generator.final.bias \(4,\), not \(3,\)",
        ),
    ):
        save_file(changed, path, metadata)
        with pytest.raises(AnimateError, match=says):
            checkpoints.load(path)


# Published files -------------------------------------------------------------------------------
