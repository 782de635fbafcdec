"""Save, load, export and import weights: safetensors with all that is needed to rebuild the model.

A checkpoint's metadata are {"format": "animate/1", "model": registered name, "arguments": JSON of
the constructor's arguments, "card": JSON of facts}. checkpoints/index.yaml lists bundled ones.
"""

from __future__ import annotations

import hashlib
import json
import pickle
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from animate.errors import AnimateError
from animate.system.atomic import replacing
from animate.system.paths import folder

if TYPE_CHECKING:
    from torch import Tensor, nn

    from animate.models.contract import Converted, MotionModel

# What torch.load raises for broken files and for files of other kinds.
BROKEN = (OSError, EOFError, RuntimeError, ValueError, LookupError, AttributeError, TypeError)
FORMAT = "animate/1"  # name and version in the metadata
DISCRIMINATOR = "discriminator"  # its name in files; it is no motion model
IMPORT = "animate checkpoint import vox-cpk.pth.tar -o vox.safetensors"  # in messages to users
KEYS = {"file", "sha256", "model", "licence", "origin", "card", "size"}  # of an index entry


@dataclass(frozen=True)
class CheckpointInfo:
    """Identity of a checkpoint: its file, hash, model and card."""

    path: Path
    sha256: str  # of the file
    model: str  # name in the registry of models
    arguments: dict[str, Any]  # of its constructor
    card: dict[str, Any] = field(default_factory=dict)  # facts: steps, data, licence, ...


def index() -> dict[str, dict[str, Any]]:
    """Read the entries of checkpoints/index.yaml, by name.

    Raises AnimateError if the file is not as checkpoints/README.md describes it.
    """
    import yaml

    path = folder("checkpoints") / "index.yaml"
    try:
        entries = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise AnimateError(f"cannot read {path}: {_line(error)}; install animate again") from error
    if not isinstance(entries, dict):
        raise AnimateError(f"{path} must be a mapping of names: see checkpoints/README.md")
    for name, entry in entries.items():
        if not isinstance(entry, dict) or set(entry) != KEYS:
            raise AnimateError(f"{path}: entry {name} must have exactly {', '.join(sorted(KEYS))}")
    return entries


def save(
    path: str | Path,
    model: nn.Module,
    *,
    arguments: Mapping[str, Any],
    card: Mapping[str, Any] | None = None,
    half: bool = False,
) -> CheckpointInfo:
    """Write a model so that `load` can rebuild it; floats as float16 if `half`.

    `path` is replaced only once the new file is complete. Raises AnimateError if `arguments` don't
    build this model (as for a fused one), a weight is not finite or the file can't be written.
    """
    name = _registered(model)
    state = {k: v.detach().cpu().contiguous() for k, v in model.state_dict().items()}
    if half:
        state = {k: v.half() if v.is_floating_point() else v for k, v in state.items()}
    _fit(_build(name, dict(arguments), Path(path)), state, Path(path), name)
    metadata = {"format": FORMAT, "model": name, "arguments": json.dumps(dict(arguments))}
    metadata["card"] = json.dumps(dict(card or {}))
    _write(Path(path), state, metadata)
    return CheckpointInfo(Path(path), _sha256(Path(path)), name, dict(arguments), dict(card or {}))


def load(
    reference: str | Path | None, device: str = "cpu"
) -> tuple[MotionModel[Any, Any], CheckpointInfo]:
    """Load a checkpoint's model, in float32 and evaluation mode, and its CheckpointInfo.

    `reference` is a name in the index, whose sha256 is then checked, or a path. Raises AnimateError
    for anything but a complete checkpoint of a registered motion model.
    """
    path, expected = _find(reference)
    model, info = _load(path, expected)
    if info.model == DISCRIMINATOR:
        raise AnimateError(f"{path} holds a discriminator: use the model's file beside it")
    return model.to(device), info  # type: ignore[return-value]


def find(reference: str | Path | None) -> Path:
    """The file of a name in the index or of a path. Raises AnimateError where there is none."""
    return _find(reference)[0]


def load_discriminator(path: str | Path) -> tuple[nn.Module, CheckpointInfo]:
    """Load the discriminator that `import_foreign` wrote, for adversarial training."""
    model, info = _load(Path(path), None)
    if info.model != DISCRIMINATOR:
        raise AnimateError(f"{path} holds a {info.model}, not a discriminator")
    return model, info


def export(
    path: str | Path,
    out: str | Path,
    *,
    parts: Mapping[str, str | Path] | None = None,
    half: bool = False,
    force: bool = False,
) -> CheckpointInfo:
    """Write a copy of a checkpoint to share, with some parts taken from other checkpoints.

    `parts` maps names of sub-modules to files of the same model, such as {"keypoints": a longer
    run}; floats as float16 if `half`. Cards are kept, those of parts under the parts' names. Raises
    AnimateError if a part is unknown or has other shapes; then nothing is written.
    """
    out = Path(out)
    if out.exists() and not force:
        raise AnimateError(f"{out} exists: choose another name, or use --force")
    model, info = load(path)
    card = dict(info.card)
    for name, other in (parts or {}).items():
        giver, its = load(other)
        names = [key for key, _ in model.named_children()]
        if its.model != info.model or name not in names:
            raise AnimateError(
                f"{other} has no {name} for a {info.model}: its parts are {', '.join(names)}"
            )
        given = giver.get_submodule(name).state_dict()
        _fit(model.get_submodule(name), given, Path(other), f"{name} of {path}")
        model.get_submodule(name).load_state_dict(given)
        card[name] = its.card
    return save(out, model, arguments=info.arguments, card=card, half=half)


def import_foreign(
    path: str | Path,
    out: str | Path,
    *,
    half: bool = False,
    force: bool = False,
    **how: Any,
) -> CheckpointInfo:
    """Convert another project's weights, such as `vox-cpk.pth.tar`, to a checkpoint.

    The importers of the registered models try the file in turn. `how` is passed to them, such as
    align_corners=False for first-order weights trained under torch 1.3 or later. Names and shapes
    must then match exactly. Files with code are refused; it never runs. A discriminator goes to
    NAME.discriminator.safetensors beside `out`. On AnimateError nothing is written.
    """
    path, out = Path(path), Path(out)
    beside = out.with_name(f"{out.name.removesuffix('.safetensors')}.discriminator.safetensors")
    content = _read_foreign(path)
    targets, models = [], []
    for name, arguments, state in _converted(path, content, how):
        target = beside if name == DISCRIMINATOR else out
        if target.exists() and not force:
            raise AnimateError(f"{target} exists: choose another name, or use --force")
        model = _build(name, arguments, path)
        _fit(model, state, path, name)
        model.load_state_dict(state)
        targets.append((target, arguments))
        models.append(model)
    card = {"imported from": path.name, "sha256": _sha256(path), "epoch": content.get("epoch")}
    infos = [
        save(target, model, arguments=arguments, card=card, half=half)
        for model, (target, arguments) in zip(models, targets, strict=True)
    ]
    return infos[0]


def _converted(path: Path, content: dict[str, Any], how: dict[str, Any]) -> list[Converted]:
    """Convert the file with the first importer that accepts it."""
    from animate.models import REGISTRY
    from animate.models import load as imported

    importers = {name: row.importer for name, row in REGISTRY.items() if row.importer}
    tried = []
    for name, importer in importers.items():
        try:
            return imported(importer)(content, **how)
        except (KeyError, IndexError, AttributeError, RuntimeError, TypeError) as error:
            tried.append(f"{name.replace('_', '-')} checkpoint ({_line(error)} is missing or odd)")
    raise AnimateError(f"{path} is not a {' nor a '.join(tried)}: import one like vox-cpk.pth.tar")


def _read_foreign(path: Path) -> dict[str, Any]:
    """Read the dictionary in a file of `torch.save`, without running code.

    Raises AnimateError for files with code or objects besides tensors, and for any other file.
    """
    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about odd pickles, which are refused anyway
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise AnimateError(
            f"{path} is not a plain torch file, or holds code or objects besides tensors, so it "
            "was not opened: get the original file from its authors"
        ) from error
    except BROKEN as error:
        reason = getattr(error, "strerror", None) or str(error) or "it ends too soon"
        reason = reason.splitlines()[0]
        raise AnimateError(f"cannot read {path}: {reason}; download it again") from error
    if not isinstance(content, dict):
        raise AnimateError(f"{path} has no named weights: import a file like vox-cpk.pth.tar")
    return content


def _find(reference: str | Path | None) -> tuple[Path, dict[str, Any] | None]:
    """Resolve a name or a path to a file and, for a name, its entry in the index."""
    if reference is None:
        raise AnimateError(
            "this motion model has no bundled weights: give a file with motion.checkpoint=PATH; "
            f"`{IMPORT}` converts the published first-order weights, `animate train` makes new ones"
        )
    entries = index() if isinstance(reference, str) else {}
    if reference in entries:
        entry = entries[str(reference)]
        path = folder("checkpoints") / entry["file"]
        if not path.is_file():
            raise AnimateError(
                f"the bundled checkpoint {path} is missing: install animate again, or train it "
                f"with `animate train motion={entry['model']} out=FOLDER`"
            )
        return path, entry
    path = Path(reference)
    if not path.is_file():
        names = ", ".join(entries or index()) or "none yet"
        raise AnimateError(
            f"no checkpoint {reference}: give a file or a name from `animate checkpoint list` "
            f"({names}), or make one with `{IMPORT}`"
        )
    return path, None


def _load(path: Path, entry: dict[str, Any] | None) -> tuple[nn.Module, CheckpointInfo]:
    sha256 = _sha256(path)
    if entry is not None and sha256 != entry["sha256"]:
        raise AnimateError(
            f"{path} is not the file in checkpoints/index.yaml: its sha256 is {sha256}, expected "
            f"{entry['sha256']}; install animate again, or `git lfs pull` or `git checkout` it"
        )
    metadata, state = _read(path)
    try:
        name, arguments = metadata["model"], json.loads(metadata["arguments"])
        card = json.loads(metadata.get("card", "{}"))
    except (KeyError, ValueError) as error:
        raise AnimateError(f"{path} does not say what model it holds: save it again") from error
    if entry is not None and name != entry["model"]:
        raise AnimateError(
            f"{path} holds a {name}, the index says {entry['model']}: fix checkpoints/index.yaml"
        )
    model = _build(name, arguments, path)
    _fit(model, state, path, name)
    model.load_state_dict(state)  # copies into the model's float32
    return model.eval(), CheckpointInfo(path, sha256, name, arguments, card)


def _read(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Read the metadata and tensors of a safetensors file."""
    from safetensors import SafetensorError, safe_open

    with path.open("rb") as file:
        start = file.read(9)
    ours = start[8:] == b"{"  # safetensors: 8 bytes of length, then a JSON header
    if not ours and (start[:4] == b"PK\x03\x04" or start[:1] == b"\x80"):
        raise AnimateError(
            f"{path} is a pickle, which can run code: convert it to safetensors with "
            f"`animate checkpoint import {path} -o {path.name.split('.')[0]}.safetensors`"
        )
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise AnimateError(
            f"{path} is not a complete safetensors file ({_line(error)}): get or make it again"
        ) from error
    if metadata.get("format") != FORMAT:
        raise AnimateError(f"{path} is not an animate checkpoint: make one with `{IMPORT}`")
    return metadata, state


def _write(path: Path, state: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Write a temporary file beside `path`, then replace `path`."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as draft:
            save_file(state, draft, metadata)
            _sort_metadata(draft)
    except (OSError, SafetensorError) as error:
        raise AnimateError(f"cannot write {path}: {_line(error)}; choose another place") from error


def _sort_metadata(path: Path) -> None:
    """Sort a file's metadata, which safetensors writes in random order, so equal files match."""
    with path.open("r+b") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
        text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
        file.seek(8)
        file.write(text.ljust(length))  # a header may end in spaces


def _build(name: str, arguments: dict[str, Any], path: Path) -> nn.Module:
    """Construct a model without drawing from the caller's random generator."""
    import torch

    from animate.models import DISCRIMINATORS, build, load

    with torch.random.fork_rng(devices=[]):
        try:
            if name in DISCRIMINATORS:
                return load(DISCRIMINATORS[name])(**arguments)  # type: ignore[no-any-return]
            return build(name, **arguments)
        except (AnimateError, TypeError, ValueError, RuntimeError) as error:
            raise AnimateError(f"{path}: {_line(error)}") from error


def _fit(model: nn.Module, state: Mapping[str, Tensor], path: Path, name: str) -> None:
    """Raise AnimateError if names or shapes differ or a number is not finite."""
    wanted = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    found = {key: tuple(value.shape) for key, value in state.items()}
    wrong = [f"lacks {key}" for key in wanted if key not in found]
    wrong += [f"has {key}, unknown" for key in found if key not in wanted]
    wrong += [
        f"has {key} {shape}, not {wanted[key]}"
        for key, shape in found.items()
        if wanted.get(key, shape) != shape
    ]
    wrong += [
        f"has {k} with values that are not finite"
        for k, v in state.items()
        if not bool(v.isfinite().all())
    ]
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise AnimateError(f"{path} does not fit {name}: it {'; '.join(wrong[:3])}{more}")


def _registered(model: nn.Module) -> str:
    from animate.models import DISCRIMINATORS, REGISTRY

    place = f"{type(model).__module__}:{type(model).__qualname__}"
    places = {name: row.constructor for name, row in REGISTRY.items()} | DISCRIMINATORS
    names = [name for name, known in places.items() if known == place]
    if not names:
        raise AnimateError(f"{place} is not a registered model: add it to animate/models")
    return names[0]


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise AnimateError(f"cannot read {path}: {_line(error)}") from error
    return digest.hexdigest()


def _line(error: Exception) -> str:
    """The first line of an error's message."""
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).split("\n")[0]
