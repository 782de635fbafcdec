"""What worker processes do: find faces, animate, verify. Nothing here runs in the server."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar, cast

from animate.errors import AnimateError
from animate.serve.messages import packed, unpacked
from animate.system.memory import keep_memory, limit_memory
from animate.system.observer import Observer

Item = TypeVar("Item")
Say = Callable[..., None]  # (head, body) to the server

MEMORY = {"look": 8 << 30, "animate": 16 << 30}  # bytes of address space by kind, without a GPU
EVERY = 0.25  # seconds between two reports of progress
PREVIEW_EVERY = 1.5  # seconds between two previews
PREVIEW = 640  # pixels of a preview's longer side


def work(connection: Any, kind: str, settings: Sequence[str]) -> None:
    """Do each task received until the other end closes. `kind` is "look" or "animate"."""
    begin()
    tasks = _prepared(kind, settings)
    while True:
        try:
            request, _ = unpacked(connection.recv_bytes())
        except (EOFError, OSError):
            return
        names = request.get("names", {})

        def say(head: dict[str, Any], body: bytes = b"") -> None:
            connection.send_bytes(packed(head, body))

        try:
            result, body = tasks[request["task"]](request, say)
            say({"result": result}, body)
        except AnimateError as error:
            say({"error": named(" ".join(str(error).split()), names)})
        except MemoryError:
            say({"error": "this takes more memory than allowed: use smaller files"})
        except OSError as error:
            say({"error": f"this failed ({error.strerror or error}): try again"})


def begin() -> None:
    """Set up this process: SIGTERM ends it and removes its drafts."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the server handles Ctrl-C
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    keep_memory()


def _prepared(kind: str, settings: Sequence[str]) -> dict[str, Callable[..., Any]]:
    """The tasks of a kind of worker, with what they need loaded and the memory limited."""
    from animate.config import run_options

    options = run_options(settings)
    if kind == "look":
        limit_memory(MEMORY[kind])
        import animate.verification.verify  # noqa: F401  before it is asked for
        from animate.faces import photo_locator

        photo_locator(options.faces)
        return {
            "ready": lambda request, say: ({}, b""),
            "faces": lambda request, say: find_faces(request, options),
            "verify": lambda request, say: check(request),
        }
    from animate.inference.session import Session

    limit_without_gpu(options.compute.device)
    Session.open(options)  # keeps the model for the runs to come
    return {
        "ready": lambda request, say: ({}, b""),
        "animate": lambda request, say: run_job(request, say, options),
    }


def limit_without_gpu(device: str) -> None:
    """Limit the memory, except where CUDA is used: it takes hundreds of GiB of address space."""
    from animate.system.device import find_device

    if find_device(device).type == "cpu":
        limit_memory(MEMORY["animate"])


def as_marked_jpeg(frame: Any, mark: Any, label: Any) -> bytes:
    """A frame, uint8 (H, W, 3) RGB, labelled, marked and encoded."""
    from animate.publish.live import Marker
    from animate.publish.still import as_jpeg

    return as_jpeg(Marker(mark, label, *frame.shape[:2])(frame))


def named(text: str, names: dict[str, str]) -> str:
    """A message with the owner's names in place of paths."""
    for path, name in names.items():
        text = text.replace(path, name)
    return text


# ---------------------------------------------------------------- verify


def check(request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    """The report as `animate verify --json` has it, with `words`; the evidence as a JPEG."""
    from animate.verification.describe import describe, plain
    from animate.verification.verify import verify

    path, name = Path(request["path"]), request["names"][request["path"]]
    report = verify(path)
    shown = replace(report, path=Path(name))
    result = {**plain(shown), "path": name, "words": describe(shown)}
    return result, _evidence(report, name) if request["evidence"] else b""


def _evidence(report: Any, name: str) -> bytes:
    """The drawing of the evidence, marked, and recorded nowhere."""
    from animate import __version__
    from animate.provenance import keys
    from animate.publish.evidence import drawn
    from animate.watermark import Claim, Mark, Payload

    claim = Claim.now(
        generator=f"animate {__version__}",
        model="none: a drawing of evidence",
        model_sha256="none",
        photo_sha256="none",
        clip_sha256="none",
        consent="as stated in the file examined",
    )
    key = keys.signer().mark_key
    return as_marked_jpeg(drawn(report, name), Mark(Payload.of(claim, key), key), None)


# ---------------------------------------------------------------- faces


def find_faces(request: dict[str, Any], options: Any) -> tuple[dict[str, Any], bytes]:
    """The size of a photo and the boxes of its faces, from the left; the largest is `chosen`."""
    from animate.faces import Detected, photo_locator

    photo = read_within(Path(request["path"]), request["pixels"])
    result: dict[str, Any] = {"width": photo.shape[1], "height": photo.shape[0]}
    locator = photo_locator(options.faces)
    if not isinstance(locator, Detected):
        return {**result, "faces": [], "chosen": None}, b""
    found = locator.faces(photo)
    boxes = [
        {"left": face.left, "top": face.top, "width": face.width, "height": face.height}
        for face in found
    ]
    return {**result, "faces": boxes, "chosen": found.index(locator.chosen(found)) + 1}, b""


def read_within(path: Path, most: float) -> Any:
    """The photo, uint8 (H, W, 3). Raises AnimateError for more than `most` megapixels."""

    from animate.media.photos import read_photo

    photo = read_photo(path)  # refuses over 100 megapixels before decoding
    _check_pixels(path, photo.shape[1], photo.shape[0], most)
    return photo


def _check_pixels(path: Path, width: int, height: int, most: float) -> None:
    if width * height > most * 1e6:
        raise AnimateError(f"{path} is {width}x{height}: use at most {most:g} megapixels")


# ---------------------------------------------------------------- animate


def run_job(request: dict[str, Any], say: Say, base: Any) -> tuple[dict[str, Any], bytes]:
    """Run a job: the published file is `out` with the suffix that the result names."""
    from animate.inference.portrait import portrait
    from animate.inference.session import Session
    from animate.media import clips
    from animate.serve.form import changed
    from animate.verification.describe import describe, plain

    options = changed(base, request["settings"])
    photos, drivers = ([Path(p) for p in request[key]] for key in ("photos", "drivers"))
    still = [_checked(path, request) for path in [*photos, *drivers]]
    out = Path(request["out"]).with_suffix(".png" if all(still) else ".mp4")
    session = Session.open(options)
    claim = session.claim(
        [clips.sha256(path) for path in photos], [clips.sha256(path) for path in drivers]
    )
    mark, label = session.mark(claim), options.visible_label
    reporter = Reporter(say, lambda frame: as_marked_jpeg(frame, mark, label), request)
    done = portrait(photos, drivers, out, options, observer=reporter)
    shown = replace(done.report, path=Path(out.name))
    met = [named(line, request["names"]) for line in done.met]
    return {
        "name": out.name,
        "frames": done.frames,
        "notes": met,
        "words": describe(shown),
        "report": {**plain(shown), "path": out.name},
    }, b""


def _checked(path: Path, request: dict[str, Any]) -> bool:
    """Whether a file is a picture; raises AnimateError for too many pixels, or a clip too long."""
    from animate.media import files
    from animate.media.clips import open_clip

    kind = files.kind_of(path)
    if kind == files.PICTURE:
        read_within(path, request["pixels"])
    if kind != files.CLIP:
        return kind == files.PICTURE
    clip = open_clip(path, truncated="accept")
    _check_pixels(path, clip.width, clip.height, request["pixels"])
    if clip.length is not None and clip.length / clip.rate > request["seconds"]:
        raise AnimateError(
            f"{path} lasts {float(clip.length / clip.rate):.0f} s: use at most "
            f"{request['seconds']:g} s"
        )
    return False


class Reporter(Observer):
    """Tells the server of notes, progress and previews."""

    def __init__(self, say: Say, encode: Callable[[Any], bytes], request: dict[str, Any]) -> None:
        self.say, self.encode, self.request = say, encode, request

    def note(self, words: str) -> None:
        self.say({"note": named(words, self.request["names"])})

    def watch(
        self, items: Iterable[Item], total: int | None = None, unit: str = "frame"
    ) -> Generator[Item, None, None]:
        from animate.inference.pictures import shrunk

        reported = previewed = 0.0
        for count, item in enumerate(items, 1):
            if count > self.request["frames"]:
                raise AnimateError(
                    f"the result has more than {self.request['frames']} frames: use a shorter clip"
                )
            now = time.monotonic()
            if now - reported > EVERY or count == total:
                self.say({"done": count, "total": total})
                reported = now
            if now - previewed > PREVIEW_EVERY:
                self.say({"preview": count}, self.encode(shrunk(cast(Any, item), PREVIEW)))
                previewed = time.monotonic()
            yield item
        self.say({"stage": "verifying"})
