"""Weights of others are imported whole or refused; exports keep the card."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from test_checkpoints import JUDGE, foreign, same
from test_first_order import TINY, images, tiny

from animate import checkpoints
from animate.cli import main
from animate.errors import AnimateError
from animate.models.first_order.discriminator import Discriminator
from animate.models.first_order.model import FirstOrder


@pytest.mark.parametrize("new", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("full", [True, False], ids=["full", "stripped"])
def test_a_published_file_is_imported(tmp_path: Path, new: bool, prefix: str, full: bool) -> None:
    model = tiny()
    judge = Discriminator(**JUDGE, spectral=True) if full else None  # type: ignore[arg-type]
    path, out = tmp_path / "vox-cpk.pth.tar", tmp_path / "vox.safetensors"
    torch.save(foreign(model, judge, prefix), path, _use_new_zipfile_serialization=new)
    info = checkpoints.import_foreign(path, out)
    loaded, again = checkpoints.load(out)
    assert again == info
    assert same(loaded, model)
    assert info.arguments["align_corners"] is True
    assert info.card["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert info.card["epoch"] == (99 if full else None)
    beside = tmp_path / "vox.discriminator.safetensors"
    assert beside.exists() == full
    if judge is not None:
        assert same(checkpoints.load_discriminator(beside)[0], judge)
        with pytest.raises(AnimateError, match="holds a discriminator"):
            checkpoints.load(beside)
        with pytest.raises(AnimateError, match="not a discriminator"):
            checkpoints.load_discriminator(out)


def test_the_imported_network_draws_the_same_picture(tmp_path: Path) -> None:
    model = tiny(align_corners=False, shared_jacobian=True)
    torch.save(foreign(model), tmp_path / "mgif-cpk.pth.tar")
    out = tmp_path / "mgif.safetensors"
    checkpoints.import_foreign(tmp_path / "mgif-cpk.pth.tar", out, align_corners=False)
    loaded, _ = checkpoints.load(out)
    photo, frame = images(2).split(1)
    wanted = model.render(model.encode(photo), model.track(frame))
    assert torch.equal(loaded.render(loaded.encode(photo), loaded.track(frame)), wanted)


def test_the_published_layout_needs_no_arguments() -> None:
    from animate.models.first_order import convert

    with torch.device("meta"):
        model, judge = FirstOrder(), Discriminator(conditioned=True)
    arguments, _ = convert.first_order(foreign(model))
    found = convert.discriminator({"discriminator": judge.state_dict()})
    assert arguments == {}
    assert found is not None
    assert found[0] == {"conditioned": True}


def test_spectral_norm_of_early_torch_is_completed(tmp_path: Path) -> None:
    """Such files lack the right singular vectors and repeat the normalised weight."""
    judge = Discriminator(**JUDGE, spectral=True).train()  # type: ignore[arg-type]
    for _ in range(20):  # let the power iteration settle
        judge([images(1)])
    content = foreign(tiny(), judge.eval())
    old = content["discriminator"]
    for name in [n for n in old if n.endswith("_v")]:
        del old[name]
        old[name.removesuffix("_v")] = old[name.removesuffix("v") + "orig"] / 2
    torch.save(content, tmp_path / "old.pth.tar", _use_new_zipfile_serialization=False)
    checkpoints.import_foreign(tmp_path / "old.pth.tar", tmp_path / "old.safetensors")
    loaded, _ = checkpoints.load_discriminator(tmp_path / "old.discriminator.safetensors")
    score, wanted = loaded([images(1)])[0][1], judge([images(1)])[0][1]
    torch.testing.assert_close(score, wanted, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda c: c.pop("generator"), "not a first-order checkpoint"),
        (lambda c: c["generator"].pop("final.bias"), "lacks generator.final.bias"),
        (lambda c: c["kp_detector"].pop("kp.weight"), "not a first-order checkpoint"),
        (lambda c: c["generator"].update(more=torch.zeros(1)), "has generator.more, unknown"),
        (
            lambda c: c["generator"].update({"final.bias": torch.zeros(4)}),
            "has generator.final.bias",
        ),
        (
            lambda c: c["generator"]["final.bias"].fill_(torch.nan),
            "final.bias with values that are not finite",
        ),
        (lambda c: c["discriminator"].pop("discs.1.conv.bias"), "lacks discs.1.conv.bias"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(tmp_path: Path, change: Any, says: str) -> None:
    content = foreign(tiny(), Discriminator(**JUDGE))  # type: ignore[arg-type]
    change(content)
    torch.save(content, tmp_path / "odd.pth.tar")
    with pytest.raises(AnimateError, match=says):
        checkpoints.import_foreign(tmp_path / "odd.pth.tar", tmp_path / "odd.safetensors")
    assert [p.name for p in tmp_path.iterdir()] == ["odd.pth.tar"]


def test_an_import_replaces_nothing_unless_told(tmp_path: Path) -> None:
    path, out = tmp_path / "vox.pth.tar", tmp_path / "vox.safetensors"
    torch.save(foreign(tiny()), path)
    out.write_text("mine")
    with pytest.raises(AnimateError, match="exists"):
        checkpoints.import_foreign(path, out)
    assert out.read_text() == "mine"
    checkpoints.import_foreign(path, out, force=True, half=True)
    assert checkpoints.load(out)[1].model == "first_order"


@pytest.mark.parametrize("length", range(0x80 - 8, 0x80 + 1, 8))
def test_a_header_of_any_length_is_no_pickle(tmp_path: Path, length: int) -> None:
    """A safetensors file begins with the length of its header: 0x80 is also how a pickle begins."""
    header = json.dumps({"__metadata__": {"format": "animate/1"}}).ljust(length).encode()
    path = tmp_path / "w.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(AnimateError) as refused:
        checkpoints.load(path)
    assert "pickle" not in str(refused.value)


# Export ----------------------------------------------------------------------------------------


def test_an_export_is_half_the_size_and_keeps_the_card(tmp_path: Path) -> None:
    model, run = tiny(), tmp_path / "run.safetensors"
    checkpoints.save(run, model, arguments=TINY, card={"steps": 7})
    out = tmp_path / "out.safetensors"
    assert main(["checkpoint", "export", str(run), "-o", str(out), "--half"]) == 0
    assert out.stat().st_size < 0.6 * run.stat().st_size
    loaded, info = checkpoints.load(out)
    assert info.card == {"steps": 7}
    for key, value in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[key], value.half().to(value.dtype)), key


def test_a_bundled_checkpoint_is_exported_by_its_name(tmp_path: Path) -> None:
    out = tmp_path / "out.safetensors"
    assert main(["checkpoint", "export", "first_order_gated", "-o", str(out), "--half"]) == 0
    assert checkpoints.load(out)[1].model == "first_order_gated"


def test_a_part_comes_from_another_run_and_nothing_else(tmp_path: Path) -> None:
    files = {name: tmp_path / f"{name}.safetensors" for name in ("ours", "longer", "out")}
    for steps, name in ((1, "ours"), (9, "longer")):
        torch.manual_seed(steps)
        checkpoints.save(files[name], tiny(), arguments=TINY, card={"steps": steps})
    parts = {"kp_detector": files["longer"]}
    info = checkpoints.export(files["ours"], files["out"], parts=parts)
    assert info.card == {"steps": 1, "kp_detector": {"steps": 9}}
    ours, longer, out = (checkpoints.load(files[name])[0] for name in ("ours", "longer", "out"))
    assert same(out.kp_detector, longer.kp_detector)
    assert same(out.generator, ours.generator)
    assert not same(longer.generator, ours.generator)


def test_an_export_refuses_parts_that_do_not_fit_and_replaces_nothing(tmp_path: Path) -> None:
    run, wider, out = (tmp_path / f"{name}.safetensors" for name in ("run", "wider", "out"))
    checkpoints.save(run, tiny(), arguments=TINY)
    checkpoints.save(wider, tiny(detector_width=8), arguments={**TINY, "detector_width": 8})
    with pytest.raises(AnimateError, match="its parts are generator, kp_detector"):
        checkpoints.export(run, out, parts={"keypoints": wider})
    with pytest.raises(AnimateError, match="does not fit kp_detector of"):
        checkpoints.export(run, out, parts={"kp_detector": wider})
    assert not out.exists()
    with pytest.raises(AnimateError, match="exists: choose another name"):
        checkpoints.export(run, wider)
