"""The groups of settings of a run, such as `Faces`: one frozen dataclass each."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from animate.errors import AnimateError
from animate.system.settings import Group, setting

SMALLEST = 16  # pixels: least width and height of a face's box
LONGEST = 16_000  # characters of a statement of consent


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
        None,
        "box of the face in the photo: [x, y, width, height], pixels; no detector is used",
        count=4,
    )
    clip_box: tuple[float, ...] | None = setting(
        None,
        "box of the face in the clip: [x, y, width, height], pixels; no detector is used",
        count=4,
    )
    weights: Path | None = setting(
        None, "folder with the weights of face-alignment; null: torch's own cache"
    )

    def check(self) -> None:
        for name, box in (("box", self.box), ("clip_box", self.clip_box)):
            if box is not None and min(box[2:]) < SMALLEST:
                raise AnimateError(
                    f"faces.{name} is {list(box)}, which is too small: use {SMALLEST} pixels a "
                    "side or more"
                )
        if self.name == "centre":
            self.refuse(("which", "clip_which", "weights"), "with faces=centre")
        if self.name == "auto":
            self.refuse(("weights",), "with faces=auto, whose weights are bundled")
        if self.box is not None:
            self.refuse(("which",), "with faces.box")
        if self.clip_box is not None:
            self.refuse(("clip_which",), "with faces.clip_box")


@dataclass(frozen=True)
class Playback(Group):
    """Which part of the driver is used, and how often it is played."""

    prefix = "clip."

    start: float = setting(0, "where the used part of the clip begins, seconds", least=0)
    end: float | None = setting(None, "where it ends, seconds; null: the end of the clip")
    times: int = setting(
        1,
        "how often it is played; the motion jumps if last and first pose differ",
        least=1,
        most=10_000,
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
        "factor of the head's movement, 0 to 5; auto: 1, limited so that hair is not cut off, and "
        "0 for a source video, whose own head movement stays",
        words=("auto",),
        least=0,
        most=5,
    )
    mouth: float = setting(
        1.0, "factor of the movement of mouth, jaw and cheeks, 0 to 5", least=0, most=5
    )
    eyes: float = setting(1.0, "factor of the movement of eyes and brows, 0 to 5", least=0, most=5)

    def check(self) -> None:
        if not self.relative:
            self.refuse(("adapt_scale", "reference"), "with retarget.relative=false")
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
        return self.head == "auto"

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
        "region of the photo that may change: the square around the face, and above it the hair of "
        "a head that moves far, or the oval in the square",
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

    def check(self) -> None:
        if self.name == "crop":
            self.refuse(PHOTO_ONLY, "with paste=crop")


PHOTO_ONLY = ("mask", "margin", "size")  # settings of `Paste` that need the photo


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
        "text",
        "its look: text, icon (a rounded badge), or pill (as the EU's icons: its first word in "
        "larger letters, black, or white on dark pictures)",
        words=("text", "icon", "pill"),
    )
    font: Path | None = setting(None, "TTF or OTF file with the letters of other scripts")

    def check(self) -> None:
        text = self.text
        if text is not None and (not text.strip() or len(text) > 200 or not text.isprintable()):
            raise AnimateError(
                "label.text is empty, over 200 characters long, or not printable: shorten it, or "
                "leave the label out with label=none"
            )
        if text is None:
            look = ("position", "size", "seconds", "style", "font")
            self.refuse(look, "without a label (label=none)")


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
        most=256,
    )


@dataclass(frozen=True)
class Statement(Group):
    """What the result's claim says, and who signs it."""

    consent: str = setting(
        "not stated",
        "a sentence kept in the result, signed and apart from the claim: who agreed to this, and "
        "where that is recorded",
        verbatim=True,
    )
    key: str = setting(
        "auto",
        "which key signs and marks: auto (your newest, else the toolkit's public one), toolkit, or "
        "a key's id",
    )
    producer: str = setting(
        "animate",
        "your name or provider code in the claim and the GB 45438-2025 label, printable ASCII "
        "without spaces",
        verbatim=True,
    )
    detector: str = setting(
        "animate verify",
        "how anybody can check the result, kept in it: the address of your page (`animate serve "
        "--only verify`), or a command",
        verbatim=True,
    )

    @property
    def words(self) -> str | None:
        """The consent in the user's words; None if there are none."""
        return None if self.consent == type(self)().consent else self.consent

    def check(self) -> None:
        if len(self.consent) > LONGEST:
            raise AnimateError(f"consent is longer than {LONGEST} characters: shorten it")
        if not (self.detector.strip() and self.detector.isprintable()) or len(self.detector) > 2000:
            raise AnimateError(
                f"detector is {self.detector[:60]!r}: give an address or a command, printable and "
                "at most 2000 characters long"
            )
        text = self.producer
        if not re.fullmatch(r"[!#-&(-\[\]-~]{1,4096}", text):
            raise AnimateError(
                f"producer is {text[:60]!r}: use 1 to 4096 printable ASCII characters "
                "without spaces, quotes or backslashes"
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
