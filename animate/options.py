"""All settings of a run: one frozen dataclass for each group.

Default, check and explanation of a setting are here and nowhere else. configs/run.yaml and its
groups hold only what a choice changes; the commands' help and the keywords of `animate.portrait`
are made from these classes.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, ClassVar

from animate.errors import AnimateError
from animate.system.settings import Group, setting

# Settings of earlier versions, and what to do instead.
RENAMED = {
    "model": "use motion=NAME",
    "seed": "leave it out: nothing at random happens in a run",
}


LOOPBACK = ("127.0.0.1", "localhost", "::1")  # addresses of this machine alone


@dataclass(frozen=True)
class MotionModel(Group):
    """The motion model and its weights."""

    prefix = "motion."

    name: str | None = setting(None, "name of the model that the checkpoint must hold; null: any")
    checkpoint: str | None = setting(
        "first_order_gated",
        "a name from `animate checkpoint list`, or the path of a file",
        verbatim=True,
    )


@dataclass(frozen=True)
class Faces(Group):
    """Which faces are used, and how they are found."""

    prefix = "faces."

    name: str = setting(
        "auto",
        "how faces are found: auto (a small detector), centre (the middle of pictures that are "
        "cropped already), landmarks (face-alignment, with weights of yours)",
    )
    which: int | str = setting(
        "largest",
        "face in the photo: largest, a number counted from the left (1, 2, ...), or all",
        words=("largest", "all"),
        least=1,
    )
    clip_which: int | str = setting(
        "largest",
        "face in the clip: largest, or a number counted from the left",
        words=("largest",),
        least=1,
    )
    missing: str = setting(
        "hold",
        "frames without a face: hold the last pose, skip them (and leave out the sound), or fail",
        words=("hold", "skip", "fail"),
    )
    box: tuple[float, ...] | None = setting(
        None, "box of the face in the photo: [x, y, width, height], pixels; no detector is used"
    )
    clip_box: tuple[float, ...] | None = setting(
        None, "box of the face in the clip: [x, y, width, height], pixels; no detector is used"
    )
    weights: Path | None = setting(
        None, "folder with the weights of face-alignment; null: torch's own cache"
    )


@dataclass(frozen=True)
class Playback(Group):
    """Which part of the driver is used, and how often it is played."""

    prefix = "clip."

    start: float = setting(0, "where the used part of the clip begins, seconds", least=0)
    end: float | None = setting(None, "where it ends, seconds; null: the end of the clip")
    times: int = setting(
        1, "how often it is played; the motion jumps if last and first pose differ", least=1
    )
    pingpong: bool = setting(False, "play it forwards, then backwards, so that nothing jumps")
    truncated: str = setting(
        "error",
        "a clip whose end is missing: error, or accept the frames that are there",
        words=("error", "accept"),
    )

    def check(self) -> None:
        if self.end is not None and not self.end > self.start:
            raise AnimateError(
                f"clip.end={self.end} is not after clip.start={self.start}: use a later end, in "
                "seconds"
            )

    @property
    def once(self) -> bool:
        """Whether the clip is played once, forwards only."""
        return self.times == 1 and not self.pingpong


@dataclass(frozen=True)
class Retarget(Group):
    """How the driver's motion is transferred to the photo's face."""

    prefix = "retarget."

    relative: bool = setting(
        True,
        "relative motion: the driver's change since its reference frame moves the photo's pose",
    )
    adapt_scale: bool = setting(True, "scale the driver's change to the size of the photo's face")
    reference: int | str = setting(
        "auto",
        "the driver's reference frame: auto (the one most like the photo), or a number from 0",
        words=("auto",),
        least=0,
    )
    smoothing: float | None = setting(
        None,
        "cut-off of a one-euro filter over the poses, Hz: 1 to 3 steadies a noisy clip; null: no "
        "filter",
        above=0,
    )
    head: float | str = setting(
        "auto",
        "factor of the head's movement; auto: 1, limited so that hair is not cut off, and 0 for a "
        "source video, whose own head movement stays",
        words=("auto",),
    )
    mouth: float = setting(1.0, "factor of the movement of mouth, jaw and cheeks")
    eyes: float = setting(1.0, "factor of the movement of eyes and brows")

    def check(self) -> None:
        if self.amplify and not self.relative:
            raise AnimateError(
                f"retarget.{next(iter(self.amplify))} needs relative motion: use "
                "retarget.relative=true"
            )

    @property
    def amplify(self) -> dict[str, float]:
        """Factors of the regions' movement, without those that are 1."""
        head = 1.0 if isinstance(self.head, str) else self.head
        gains = {"head": head, "mouth": self.mouth, "eyes": self.eyes}
        return {region: gain for region, gain in gains.items() if gain != 1}

    @property
    def limits_head(self) -> bool:
        """Whether a photo's head movement is limited so that nothing is cut off."""
        return self.relative and self.head == "auto"

    @property
    def keeps_head(self) -> bool:
        """Whether the head keeps its own pose."""
        return self.head == 0

    def of_video(self, has_head: bool) -> Retarget:
        """These settings for a source video: head=auto is 0 if the model can scale it."""
        still = self.head == "auto" and self.relative and has_head
        return replace(self, head=0) if still else self


@dataclass(frozen=True)
class Paste(Group):
    """How the animated face is put back into its photo."""

    prefix = "paste."

    name: str = setting(
        "photo",
        "result: photo (the face is pasted back into it), or crop (the model's square output)",
        words=("photo", "crop"),
    )
    mask: str = setting(
        "square",
        "region of the photo that may change: the square around the face, or the oval in it",
        words=("square", "oval"),
    )
    margin: float = setting(
        0.12,
        "width of the blend to the still photo, in sides of the square, 0.02 to 0.5",
        least=0.02,
        most=0.5,
    )
    size: int | None = setting(
        3840,
        "longest side of the result, pixels, 128 or more; larger photos are shrunk; null: no limit",
        least=128,
    )


@dataclass(frozen=True)
class Watermark(Group):
    """The invisible watermark. It can't be turned off, or made too weak to survive."""

    prefix = "watermark."

    strength: float = setting(
        2.0, "root mean square of its change, grey levels, 2 to 8", least=2, most=8
    )


@dataclass(frozen=True)
class Label(Group):
    """The visible label: words in a corner that say that the picture is generated."""

    prefix = "label."

    text: str | None = setting(
        "AI-generated",
        "its words, in any language; Latin, Greek, Cyrillic and the usual Chinese phrases need no "
        "font; null: no label",
        verbatim=True,
    )
    position: str = setting(
        "bottom right",
        "its place: top left, top right, bottom left, bottom right, top, bottom",
        words=("top left", "top right", "bottom left", "bottom right", "top", "bottom"),
    )
    size: float = setting(
        0.05,
        "height of the letters in shortest sides of the picture; laws ask for 0.05 or more",
        least=0.05,
        most=0.5,
    )
    seconds: float | None = setting(
        None, "how long it is shown from the start, 2 or more; null: to the end", least=2
    )
    style: str = setting(
        "text", "its look: text, or icon (a rounded badge)", words=("text", "icon")
    )
    font: Path | None = setting(None, "TTF or OTF file with the letters of other scripts")

    def check(self) -> None:
        text = self.text
        if text is not None and (not text.strip() or len(text) > 200 or not text.isprintable()):
            raise AnimateError(
                "label.text is empty, over 200 characters long, or not printable: shorten it, or "
                "leave the label out with label=none"
            )


@dataclass(frozen=True)
class Compute(Group):
    """On which device, how precisely and in how many threads the model runs."""

    device: str = setting(
        "auto", "where the model runs: auto (CUDA if there is one), cpu, cuda, cuda:1, mps"
    )
    precision: str = setting(
        "auto",
        "number format: auto (int8 or bfloat16 if the machine is fast at it), float32 (exact), "
        "bfloat16, int8",
        words=("auto", "float32", "bfloat16", "int8"),
    )
    threads: int | str = setting(
        "auto",
        "batches of frames at once (auto: one per core, up to 4); never changes the result",
        words=("auto",),
        least=1,
    )


@dataclass(frozen=True)
class Statement(Group):
    """What the result's claim says, and who signs it."""

    consent: str = setting(
        "not stated",
        "a sentence kept in the result: who agreed to this, and where that is recorded",
        verbatim=True,
    )
    key: str = setting(
        "auto",
        "which key signs and marks: auto (your newest, else the toolkit's public one), toolkit, or "
        "a key's id",
    )
    producer: str = setting(
        "animate",
        "your name or provider code in the GB 45438-2025 label, printable ASCII without spaces",
    )


@dataclass(frozen=True)
class Layout(Group):
    """What is shown beside the animated face; options of the command, not settings."""

    compare: str | None = setting(
        None,
        "show photo, driver and result side by side: plain, or with keypoints",
        words=("plain", "keypoints"),
    )
    columns: int | None = setting(None, "tiles in a row; null: about as many as rows", least=1)


@dataclass(frozen=True)
class Options:
    """All settings of a run, by group."""

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
        """The label, or None for no label."""
        return None if self.label.text is None else self.label

    def changed(self, **keywords: Any) -> Options:
        """A copy of these options with some changed, by keyword.

        A keyword names a group or one setting. A group's value is an object, a mapping or a choice
        (`retarget=Retarget(mouth=1.3)`, `retarget={"mouth": 1.3}`, `faces="centre"`). A setting is
        given alone (`mouth=1.3`, `consent="..."`), those of the label only as a group. Raises
        AnimateError for any other keyword.
        """
        chosen = {one.name: getattr(self, one.name) for one in fields(self)}
        for keyword, value in keywords.items():
            if keyword in RENAMED:
                raise AnimateError(f"there is no setting {keyword!r}: {RENAMED[keyword]}")
            group = keyword if keyword in chosen else _group_of(keyword)
            chosen[group] = _with(chosen[group], value if group == keyword else {keyword: value})
        return Options(**chosen)

    def refuse_others(self, honoured: Collection[str], what: str) -> None:
        """Raise AnimateError for a changed setting that has no effect on `what`."""
        others = [name for name in self.differing() if name not in honoured]
        if others:
            raise AnimateError(f"{others[0]} does nothing for {what}: leave it out")

    def differing(self) -> Iterator[str]:
        """The names of all settings that differ from their defaults."""
        for one in fields(self):
            group, default = getattr(self, one.name), type(getattr(self, one.name))()
            for inner in fields(group):
                if getattr(group, inner.name) != getattr(default, inner.name):
                    yield f"{group.prefix}{inner.name}"


@dataclass(frozen=True)
class Live(Group):
    """A live session; its other settings are in `Options`."""

    prefix = "live."
    without: ClassVar = ("clip.", "paste.size", "faces.missing", "label.seconds")  # of `Options`

    size: int = setting(
        512,
        "longest side of the picture, pixels; with paste=crop it is the model's",
        least=128,
        most=1920,
    )
    mirror: bool = setting(False, "move like a mirror image; the photo itself is not mirrored")
    rate: float = setting(
        25, "frames a second of a recording or a virtual camera", least=1, most=60
    )


@dataclass(frozen=True)
class Evaluation(Group):
    """What `animate evaluate` measures; checkpoint, device and precision are in `Options`."""

    pairs: Path | None = setting(
        None, "CSV of source,driving in data: photos, and other people's clips that move them"
    )
    every: int = setting(1, "measure every N-th frame", least=1)
    limit: int | None = setting(None, "most frames measured of a clip; null: all", least=1)
    baselines: tuple[str, ...] = setting(
        ("photo",),
        "baselines measured beside the model: photo (unchanged), driver (pasted)",
        words=("photo", "driver"),
    )
    landmarks: str = setting(
        "auto",
        "model that finds landmarks; auto: the first one installed",
        words=("auto", "mediapipe", "face_alignment", "dlib", "none"),
    )
    landmarks_file: Path | None = setting(
        None, "MediaPipe's face_landmarker.task, or the folder with face-alignment's weights"
    )
    identity: str = setting("dlib", "model that compares identities", words=("dlib", "none"))
    identity_every: int = setting(5, "compare identity in every N-th measured frame", least=1)
    lpips: Path | None = setting(None, "alexnet-owt-7be5be79.pth, AlexNet of torchvision")
    inception: Path | None = setting(None, "pt_inception-2015-12-05-6726825d.pth, for FID")
    seed: int = setting(0, "seed of the bootstrap intervals", least=0)


@dataclass(frozen=True)
class Serve(Group):
    """How `animate serve` offers the page and its API; options of the command."""

    host: str = setting(
        "127.0.0.1", "address to listen on; any but this machine's own needs --token"
    )
    port: int = setting(8765, "its port; 0 takes a free one", least=0, most=65535)
    only: str = setting(
        "all", "what is offered: all, or verify (the detector alone)", words=("all", "verify")
    )
    name: str | None = setting(
        None, "domain name under which a proxy offers it; null: the address alone"
    )
    token: str = setting(
        "auto",
        "what a visitor must show: auto (a random one, unless only this machine is served), none "
        "(with only=verify), or 16 letters, digits, - and _, or more",
    )
    upload: int = setting(200, "largest upload, MiB, 1 to 4096", least=1, most=4096)
    pixels: float = setting(50, "largest photo or frame, megapixels", above=0)
    seconds: float = setting(120, "longest clip or recording, seconds", above=0)
    jobs: int = setting(8, "animations that may wait or run at once", least=1)
    sessions: int = setting(2, "live sessions at once", least=0)
    patience: float = setting(1800, "most seconds for one animation", above=0)
    keep: float = setting(60, "minutes until uploads and results are deleted", above=0)

    def check(self) -> None:
        known = self.token in ("auto", "none")
        if not known and not re.fullmatch(r"[\w-]{16,200}", self.token, re.ASCII):
            raise AnimateError(
                "the token is too short or has odd characters: use 16 letters, digits, - and _, or "
                "more, or auto"
            )
        if self.token == "none" and self.only != "verify" and not self.private:
            raise AnimateError(
                f"{self.name or self.host} can be reached from other machines: leave out "
                "--token none, or serve the detector alone with --only verify"
            )

    @property
    def private(self) -> bool:
        """Whether this machine alone can reach the server."""
        return self.host in LOOPBACK and self.name is None


def _with(group: Group, value: Any) -> Group:
    """A group changed by the value of a keyword with its name."""
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


def _group_of(keyword: str) -> str:
    """The name of the group that has this setting."""
    named = {name: {one.name for one in fields(group)} for name, group in groups().items()}
    holders = [
        name for name, known in named.items() if keyword in known - {"name"} and name != "label"
    ]
    if len(holders) != 1:
        raise AnimateError(f"there is no setting {keyword!r}: see animate/options.py for all")
    return holders[0]


def groups() -> dict[str, type[Group]]:
    """The groups of a run by name, in the order of the help."""
    return {one.name: one.default_factory for one in fields(Options)}  # type: ignore[misc]
