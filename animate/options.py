"""What a user may choose: one frozen dataclass for each group of settings.

The default, the check and the explanation of every setting stand here and nowhere else:
configs/run.yaml and the groups beside it name only what a choice changes, and the help of the
commands and the keywords of `animate.portrait` are made from these classes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from animate.errors import AnimateError
from animate.system.settings import Group, setting

# What became of settings of earlier versions.
RENAMED = {
    "model": "use motion=NAME",
    "seed": "a run draws nothing at random; leave it out",
}


@dataclass(frozen=True)
class MotionModel(Group):
    """The motion model and its weights."""

    prefix = "motion."

    name: str | None = setting(None, "the motion model that the checkpoint has to hold; null: any")
    checkpoint: str | None = setting(
        "first_order_gated",
        "a name of `animate checkpoint list`, or the path of a file",
        verbatim=True,
    )


@dataclass(frozen=True)
class Faces(Group):
    """Which faces, and how they are found."""

    prefix = "faces."

    name: str = setting(
        "auto",
        "how faces are found: auto (a small detector), centre (the middle of pictures that are "
        "cropped already), landmarks (face-alignment, whose weights you bring)",
    )
    which: int | str = setting(
        "largest",
        "of the photo's faces: largest, a number from the left (1, 2, ...), or all",
        words=("largest", "all"),
        least=1,
    )
    clip_which: int | str = setting(
        "largest",
        "of the clip's faces: largest, or a number from the left",
        words=("largest",),
        least=1,
    )
    missing: str = setting(
        "hold",
        "frames without a face: hold the pose before them, skip them (and the sound), or fail",
        words=("hold", "skip", "fail"),
    )
    box: tuple[float, ...] | None = setting(
        None, "the face in the photo: [x, y, width, height] in pixels"
    )
    clip_box: tuple[float, ...] | None = setting(
        None, "the face in the clip: [x, y, width, height] in pixels"
    )
    weights: Path | None = setting(
        None, "the folder with the weights of face-alignment; null is torch's own cache"
    )


@dataclass(frozen=True)
class Playback(Group):
    """Which part of the driver is played, and how often."""

    prefix = "clip."

    start: float = setting(0, "seconds of the clip, from where ...", least=0)
    end: float | None = setting(None, "... to where it drives; null is its end")
    times: int = setting(
        1, "how often it is played; where its last pose is not its first, it jumps there", least=1
    )
    pingpong: bool = setting(False, "each time there and back, without a jump")
    truncated: str = setting(
        "error",
        "a clip that ends in the middle: error, or accept what there is",
        words=("error", "accept"),
    )

    def check(self) -> None:
        if self.end is not None and not self.end > self.start:
            raise AnimateError(
                f"clip.start is {self.start}, clip.end {self.end}: use seconds, the end after the "
                "start"
            )

    @property
    def once(self) -> bool:
        return self.times == 1 and not self.pingpong


@dataclass(frozen=True)
class Retarget(Group):
    """How the driver's motion is carried over to the photo's face."""

    prefix = "retarget."

    relative: bool = setting(
        True, "the driver's change since its reference frame, added to the photo's own pose"
    )
    adapt_scale: bool = setting(True, "scale that change to the size of the photo's face")
    reference: int | str = setting(
        "auto",
        "the driver's reference frame: auto (the one most like the photo), or its number from 0",
        words=("auto",),
        least=0,
    )
    smoothing: float | None = setting(
        None,
        "Hz: a one-euro filter lets slower movement pass; 1 to 3 steadies a noisy clip, null is "
        "none",
        above=0,
    )
    head: float | str = setting(
        "auto",
        "times the movement of the whole head; auto: 1, but never so far that hair is cut off, and "
        "0 for the person of a video, whose own movement stays",
        words=("auto",),
    )
    mouth: float = setting(1.0, "times that of mouth, jaw and cheeks")
    eyes: float = setting(1.0, "times that of eyes and brows")

    def check(self) -> None:
        if self.amplify and not self.relative:
            raise AnimateError(
                f"retarget.{next(iter(self.amplify))} amplifies relative motion: use "
                "retarget.relative=true"
            )

    @property
    def amplify(self) -> dict[str, float]:
        """Regions of the face and the factors of their motion, where those are not 1."""
        head = 1.0 if isinstance(self.head, str) else self.head
        gains = {"head": head, "mouth": self.mouth, "eyes": self.eyes}
        return {region: gain for region, gain in gains.items() if gain != 1}

    @property
    def limits_head(self) -> bool:
        """Whether the head of a photo stays so near its place that nothing is cut off."""
        return self.relative and self.head == "auto"

    @property
    def keeps_head(self) -> bool:
        """Whether the head stays as the photo has it."""
        return self.head == 0

    def of_video(self, has_head: bool) -> Retarget:
        """The same for a video's person: "auto" is 0 where a model amplifies the head."""
        still = self.head == "auto" and self.relative and has_head
        return replace(self, head=0) if still else self


@dataclass(frozen=True)
class Paste(Group):
    """How the moved face is put back into its photo."""

    prefix = "paste."

    name: str = setting(
        "photo",
        "photo (the face goes back into it), or crop (the plain square that the model makes)",
        words=("photo", "crop"),
    )
    mask: str = setting(
        "square",
        "where the face may move: the square around it, or the oval in that",
        words=("square", "oval"),
    )
    margin: float = setting(
        0.12,
        "sides of the square over which movement comes to rest, 0.02 to 0.5",
        least=0.02,
        most=0.5,
    )
    size: int | None = setting(
        3840,
        "pixels of the result's longer side, at most, 128 or more; null is the photo's own size",
        least=128,
    )


@dataclass(frozen=True)
class Watermark(Group):
    """The invisible mark. Nothing makes it weaker than it survives, or turns it off."""

    prefix = "watermark."

    strength: float = setting(
        2.37, "grey levels, root mean square over red, green and blue, 2 to 8", least=2, most=8
    )


@dataclass(frozen=True)
class Label(Group):
    """The visible label: a few words in a corner that say what made the picture."""

    prefix = "label."

    text: str | None = setting(
        "AI-generated",
        "any language; Latin, Greek, Cyrillic and the usual Chinese phrases need no font; null is "
        "no label",
        verbatim=True,
    )
    position: str = setting(
        "bottom right",
        "top left, top right, bottom left, bottom right, top, bottom",
        words=("top left", "top right", "bottom left", "bottom right", "top", "bottom"),
    )
    size: float = setting(
        0.05,
        "height of the letters, share of the shortest side; 0.05 is the legal floor",
        least=0.05,
        most=0.5,
    )
    seconds: float | None = setting(
        None, "from the opening on, 2 or more; null: the whole clip", least=2
    )
    style: str = setting("text", "text, or icon (a rounded badge)", words=("text", "icon"))
    font: Path | None = setting(None, "a TTF or OTF file for other scripts")

    def check(self) -> None:
        text = self.text
        if text is not None and (not text.strip() or len(text) > 200 or not text.isprintable()):
            raise AnimateError(
                "the label's text is empty, long or not printable: say what made the picture, or "
                "leave the label out with label=none"
            )


@dataclass(frozen=True)
class Compute(Group):
    """On what the work is done."""

    device: str = setting("auto", "auto (CUDA where there is one), cpu, cuda, cuda:1, mps")
    precision: str = setting(
        "auto",
        "auto (int8 or bfloat16 where the machine is fast at it), float32 (exact), bfloat16, int8",
        words=("auto", "float32", "bfloat16", "int8"),
    )
    threads: int | str = setting(
        "auto",
        "batches of frames in work at once (auto: one a core, up to 4); never changes the result",
        words=("auto",),
        least=1,
    )


@dataclass(frozen=True)
class Statement(Group):
    """What the result says of its making, and who signs that."""

    consent: str = setting(
        "not stated",
        "a sentence of yours that is kept in the result: who allowed this, and where that is "
        "recorded",
        verbatim=True,
    )
    key: str = setting(
        "auto",
        "who signs and marks: auto (your newest key, else the toolkit's public one), toolkit, or "
        "a key's id",
    )
    producer: str = setting(
        "animate",
        "your name or provider code in the label of GB 45438-2025, printable ASCII without spaces",
    )


@dataclass(frozen=True)
class Layout(Group):
    """What is shown beside the moved face; options of the command, no settings."""

    compare: str | None = setting(
        None,
        "photo, driver and result side by side: plain, or with keypoints",
        words=("plain", "keypoints"),
    )
    columns: int | None = setting(None, "tiles in a row; null: about as many as rows", least=1)


@dataclass(frozen=True)
class Options:
    """Everything that a run may be told, group by group."""

    motion: MotionModel = field(default_factory=MotionModel)
    faces: Faces = field(default_factory=Faces)
    retarget: Retarget = field(default_factory=Retarget)
    paste: Paste = field(default_factory=Paste)
    watermark: Watermark = field(default_factory=Watermark)
    label: Label = field(default_factory=Label)
    clip: Playback = field(default_factory=Playback)
    compute: Compute = field(default_factory=Compute)
    statement: Statement = field(default_factory=Statement)
    layout: Layout = field(default_factory=Layout)

    @property
    def visible_label(self) -> Label | None:
        """The label, or None where there is to be none."""
        return None if self.label.text is None else self.label

    def changed(self, **keywords: Any) -> Options:
        """These options with some changed, by keyword.

        A keyword is a group, given as such or as a mapping (`retarget=Retarget(mouth=1.3)`,
        `retarget={"mouth": 1.3}`) or by its name (`faces="centre"`), or one setting of a group
        (`mouth=1.3`, `consent="..."`; of the label only as a group). Raises AnimateError for what
        is neither.
        """
        chosen = {one.name: getattr(self, one.name) for one in fields(self)}
        for keyword, value in keywords.items():
            if keyword in RENAMED:
                raise AnimateError(f"there is no setting {keyword!r}: {RENAMED[keyword]}")
            home = keyword if keyword in chosen else _home(keyword)
            chosen[home] = _with(chosen[home], value if home == keyword else {keyword: value})
        return Options(**chosen)

    def refuse_others(self, heeded: Collection[str], what: str) -> None:
        """Raise AnimateError for a setting that is changed, and that `what` can't heed."""
        others = [name for name in self.differing() if name not in heeded]
        if others:
            raise AnimateError(f"{others[0]} does nothing for {what}: leave it out")

    def differing(self) -> Iterator[str]:
        """The names of all settings that are not as they are by default."""
        for one in fields(self):
            group, usual = getattr(self, one.name), type(getattr(self, one.name))()
            for inner in fields(group):
                if getattr(group, inner.name) != getattr(usual, inner.name):
                    yield f"{group.prefix}{inner.name}"


@dataclass(frozen=True)
class Evaluation(Group):
    """What `animate evaluate` measures; checkpoint, device and precision are settings of a run."""

    pairs: Path | None = setting(
        None, "a CSV of source,driving in the data: photos moved by other people's clips"
    )
    every: int = setting(1, "measure every so many frames", least=1)
    limit: int | None = setting(None, "frames of a clip at most; null: all", least=1)
    baselines: tuple[str, ...] = setting(
        ("photo",),
        "what is measured beside the model: photo (left as it is), driver (pasted)",
        words=("photo", "driver"),
    )
    landmarks: str = setting(
        "auto",
        "which model finds landmarks; auto: the first that is installed",
        words=("auto", "mediapipe", "face_alignment", "dlib", "none"),
    )
    landmarks_file: Path | None = setting(
        None, "MediaPipe's face_landmarker.task, or the folder of face-alignment's weights"
    )
    identity: str = setting("dlib", "which model compares identities", words=("dlib", "none"))
    identity_every: int = setting(5, "of the measured frames, how many apart", least=1)
    lpips: Path | None = setting(None, "alexnet-owt-7be5be79.pth, torchvision's AlexNet")
    inception: Path | None = setting(None, "pt_inception-2015-12-05-6726825d.pth, for FID")
    seed: int = setting(0, "of the bootstrap intervals", least=0)


def _with(group: Group, value: Any) -> Group:
    """A group with what a keyword of its name says."""
    if isinstance(value, type(group)):
        return value
    known = {one.name for one in fields(group)}
    if not isinstance(value, Mapping):
        value = {"text" if isinstance(group, Label) else "name": value}
    unknown = [name for name in value if name not in known]
    if unknown:
        raise AnimateError(
            f"there is no setting {group.prefix}{unknown[0]}: use one of {', '.join(sorted(known))}"
        )
    return replace(group, **value)


def _home(keyword: str) -> str:
    """The group of a setting that is named alone."""
    named = {name: {one.name for one in fields(group)} for name, group in groups().items()}
    found = [
        name for name, known in named.items() if keyword in known - {"name"} and name != "label"
    ]
    if len(found) != 1:
        raise AnimateError(f"there is no setting {keyword!r}: see animate.options")
    return found[0]


def groups() -> dict[str, type[Group]]:
    """The groups of a run by name, in the order in which help tells them."""
    return {one.name: one.default_factory for one in fields(Options)}  # type: ignore[misc]
