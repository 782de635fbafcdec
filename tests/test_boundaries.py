"""What may import what, and who may write media: read from the source, not from promises."""

from __future__ import annotations

import ast
from collections.abc import Container, Iterator, Mapping
from pathlib import Path

import pytest
from conftest import ROOT

PACKAGE = ROOT / "animate"

# Lower layers know nothing of higher ones; a part of several files may use itself.
LAYERS = [
    {"errors"},
    {"system"},
    {"options"},
    {"config", "media", "faces", "watermark"},
    {"models", "provenance"},
    {"checkpoints", "verification"},
    {"publish"},
    {"inference", "data"},
    {"training", "evaluation", "serve"},
    {"cli"},
]
ENTRIES = {PACKAGE / "__init__.py", PACKAGE / "__main__.py"}
HYDRA = {"config.py"}
WRITER = PACKAGE / "publish"


def modules(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


def part(path: Path) -> str:
    """The top-level part of the package that a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(tree: ast.AST) -> Iterator[str]:
    """The dotted names that a module imports anywhere, except for type checkers alone."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        yield from imports(node)


def layer(name: str) -> int:
    return next(i for i, names in enumerate(LAYERS) if name in names)


def wrong_imports(source: str, of: str) -> list[str]:
    """The parts of the package that part `of` must not import and does."""
    found = []
    for name in imports(ast.parse(source)):
        steps = name.split(".")
        if steps[0] != "animate" or len(steps) < 2 or steps[1] == of:
            continue
        known = any(steps[1] in names for names in LAYERS)
        if known and layer(steps[1]) >= layer(of):
            found.append(steps[1])
    return found


@pytest.mark.parametrize("path", modules(PACKAGE), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_down_only(path: Path) -> None:
    if path not in ENTRIES:
        assert not wrong_imports(path.read_text(), part(path))


def test_packages_hand_names_on_and_hold_no_code() -> None:
    for path in PACKAGE.rglob("__init__.py"):
        words, *rest = ast.parse(path.read_text()).body
        assert isinstance(words, ast.Expr), f"{path} needs a docstring"
        names = [ast.unparse(one.targets[0]) for one in rest if isinstance(one, ast.Assign)]
        handing = [one for one in rest if isinstance(one, ast.ImportFrom)]
        lazy = path.parent == PACKAGE  # imports its names on first use
        assert lazy or (len(handing) + len(names) == len(rest) and names in ([], ["__all__"])), path


def test_evaluation_and_training_know_nothing_of_each_other() -> None:
    for one, other in (("evaluation", "training"), ("training", "evaluation")):
        for path in modules(PACKAGE / one):
            found = imports(ast.parse(path.read_text()))
            assert not [name for name in found if name.startswith(f"animate.{other}")]


def named_models(source: str) -> set[str]:
    """The motion models whose folders a source imports from."""
    found = {tuple(name.split(".")[:3]) for name in imports(ast.parse(source))}
    return {name[2] for name in found if len(name) > 2 and name[:2] == ("animate", "models")}


def test_a_motion_model_is_known_to_its_folder_its_losses_and_its_yaml_alone() -> None:
    folders = {path.name for path in (PACKAGE / "models").iterdir() if path.is_dir()}
    folders.discard("__pycache__")
    assert folders == {"first_order", "first_order_gated"}
    for path in modules(PACKAGE):
        place = path.relative_to(PACKAGE).parts
        if place[:2] == ("training", "losses"):
            continue
        own = {place[1]} if place[0] == "models" else set()
        assert named_models(path.read_text()) & folders <= own, path


def module_name(path: Path) -> str:
    parts = ("animate", *path.relative_to(PACKAGE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(tree: ast.AST, known: Container[str]) -> Iterator[str]:
    """The known modules that a module imports anywhere, except for type checkers alone.

    `from package import name` is an import of the module of that name, if there is one.
    """
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom):
            whole = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in known else f"{node.module}" for name in whole)
        yield from imported(node, known)


def circles(needs: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """What is left of who needs whom when all that need nobody are gone, again and again."""
    left = {name: found & needs.keys() - {name} for name, found in needs.items()}
    while ready := {name for name, found in left.items() if not found}:
        left = {name: found - ready for name, found in left.items() if name not in ready}
    needed = set().union(*left.values())
    return {name: found for name, found in left.items() if name in needed}


def test_no_module_imports_itself_through_others() -> None:
    paths = {module_name(path): path for path in modules(PACKAGE)}
    trees = {name: ast.parse(path.read_text()) for name, path in paths.items()}
    assert not circles({name: set(imported(tree, paths)) for name, tree in trees.items()})
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == {"b": {"c"}, "c": {"b"}}


def test_an_upward_import_is_found() -> None:
    assert wrong_imports("def f():\n    from animate.publish import publish", "media") == [
        "publish",
        "publish",
    ]
    assert wrong_imports("import animate.cli", "inference") == ["cli"]
    assert not wrong_imports("from animate.media.clips import chunks", "inference")


@pytest.mark.parametrize("path", modules(PACKAGE), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_hydra_stays_at_the_door(path: Path) -> None:
    if path.relative_to(PACKAGE).as_posix() not in HYDRA:
        roots = {name.split(".")[0] for name in imports(ast.parse(path.read_text()))}
        assert not roots & {"hydra", "omegaconf"}


# Calls that write media, by the last name of what is called.
WRITING = {
    "imwrite", "imsave", "mimwrite", "mimsave", "get_writer", "write_frames", "imopen",
    "VideoWriter", "VideoWriter_fourcc", "imencode", "imwritemulti",
    "save_image", "write_video", "write_png", "write_jpeg", "encode_png", "encode_jpeg",
    "savefig", "to_image_file", "save_all", "VideoEncoder", "add_stream",
    "add_stream_from_template", "get_ffmpeg_exe", "ImageSequenceClip", "write_videofile",
    "sign_file", "write_gif", "FFMpegWriter", "PillowWriter", "add_image", "add_video",
    "add_figure",
}  # fmt: skip
COMPARES = ROOT / "scripts/benchmarks/watermark.py"  # it asks ffmpeg for VMAF, which writes nothing
# `.save(` is a picture's, unless what it is called on is known to save something else.
SAVING = {"torch", "checkpoints", "np", "numpy"}


def writers(source: str) -> list[str]:
    """The calls in a source that write pictures or videos."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            name = _writer(node)
            if name:
                found.append(f"line {node.lineno}: {name}")
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names = [alias.name for alias in node.names]
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            found += [f"line {node.lineno}: {n}" for n in names if n.split(".")[-1] in WRITING]
            found += [f"line {node.lineno}: {n}" for n in names if n.split(".")[0] == "imageio"]
    return found


def _writer(call: ast.Call) -> str | None:
    target = call.func
    name = target.attr if isinstance(target, ast.Attribute) else getattr(target, "id", "")
    on = ast.unparse(target.value) if isinstance(target, ast.Attribute) else ""
    literals = [a.value for a in _arguments(call) if isinstance(a, ast.Constant)]
    if name in WRITING:
        return name
    if on == "c2pa.Builder":
        return "c2pa.Builder"
    if name == "save" and on and on.split(".")[0] not in SAVING:
        into = ast.unparse(call.args[0]) if call.args else ""
        return None if into == "memory" else f"{on}.save"  # a BytesIO: nothing leaves the process
    if name == "open" and on in ("av", "av.container") and "w" in literals:
        return "av.open for writing"
    if on == "subprocess" or name == "Popen":
        words = ast.unparse(call).lower()
        return "ffmpeg" if any(w in words for w in ("ffmpeg", "magick", "gifsicle")) else None
    return None


def _arguments(call: ast.Call) -> list[ast.expr]:
    return [*call.args, *(keyword.value for keyword in call.keywords)]


@pytest.mark.parametrize(
    "path",
    [p for p in [*modules(PACKAGE), *modules(ROOT / "scripts")] if WRITER not in p.parents],
    ids=lambda p: str(p.relative_to(ROOT)),
)
def test_only_publish_writes_media(path: Path) -> None:
    found = writers(path.read_text())
    assert not [call for call in found if path != COMPARES or "get_ffmpeg_exe" not in call]


def test_publish_is_the_writer() -> None:
    found = [path.stem for path in modules(WRITER) if writers(path.read_text())]
    assert found == ["sign", "still", "video", "virtual_camera"]


@pytest.mark.parametrize(
    "planted",
    [
        "import imageio",
        "from imageio.v3 import imwrite",
        "cv2.imwrite(path, frame)",
        "cv2.VideoWriter(path, code, 25, size)",
        "Image.fromarray(frame).save(path)",
        "picture.save(path, format='GIF')",
        "av.open(path, 'w')",
        "av.open(path, mode='w')",
        "torchvision.utils.save_image(x, path)",
        "from torchvision.utils import save_image as keep",
        "plt.savefig('curve.png')",
        "subprocess.run(['ffmpeg', '-i', path])",
        "subprocess.Popen([ffmpeg, '-i', path])",
        "imageio_ffmpeg.write_frames(path, size)",
        "exe = imageio_ffmpeg.get_ffmpeg_exe()",
        "writer.add_image('grid', grid)",
        "c2pa.Builder.from_json(text).sign(signer, kind, source, out)",
    ],
)
def test_a_planted_writer_is_found(planted: str) -> None:
    assert writers(f"def f():\n    {planted}\n")


@pytest.mark.parametrize(
    "harmless",
    ["torch.save(state, path)", "checkpoints.save(path, model)", "av.open(path)", "f.open('w')"],
)
def test_other_writing_is_left_alone(harmless: str) -> None:
    assert not writers(harmless)
