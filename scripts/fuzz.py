"""Fuzz every reader of untrusted files with damaged and hostile input.

    python scripts/fuzz.py --runs 1000000 [--seconds 3600] [--target payload xmp ...] [--seed 0]

Mutates valid samples; with --guided, atheris (`pip install atheris`) fuzzes one target by coverage.
An exception other than AnimateError ends the run, and so does an input that takes longer than
--limit seconds. The input is saved as crash-TARGET.bin.
"""

from __future__ import annotations

import argparse
import faulthandler
import io
import json
import os
import random
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from fractions import Fraction
from pathlib import Path

import numpy as np

from animate.config import run_options
from animate.errors import AnimateError
from animate.inference.batch import read_jobs
from animate.inference.templates import read_template
from animate.options import Label
from animate.provenance import halves, keys, tags, xmp
from animate.provenance.aigc import Aigc
from animate.provenance.credentials import read_alone
from animate.provenance.fingerprint import Fingerprint
from animate.provenance.manifest import Record
from animate.publish import publish
from animate.verification.verify import verify
from animate.watermark import TOOLKIT_KEY, Claim, Mark, Payload
from animate.watermark.label import FONTS, label_patch

CLAIM = Claim("animate fuzz", "none", "", "", "", "2026-01-01T00:00:00Z", "none", "acme", "x")
PRINT = Fingerprint(0.5, np.zeros((2, 24, 24), np.uint8))
RECORD = Record(CLAIM, str(Payload.of(CLAIM)), PRINT)


def payload(data: bytes) -> None:
    """Parse any 64 bits as a payload."""
    fields = int.from_bytes(data[:8].ljust(8, b"\0"), "big")
    found = Payload(fields >> 60, fields >> 48 & 4095, fields >> 16 & 0xFFFFFFFF, fields & 65535)
    assert int(str(found), 16) == fields
    found.authentic(TOOLKIT_KEY)  # true by chance once in 65,536


def claim(data: bytes) -> None:
    found = Claim.from_json(data.decode("utf-8", "replace"))
    assert Claim.from_json(found.json()) == found


def aigc(data: bytes) -> None:
    found = Aigc.of(data.decode("utf-8", "replace"))
    assert Aigc.of(found.json()) == found


def packet(data: bytes) -> None:
    xmp.read(data)


def record(data: bytes) -> None:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return
    Record.of(value)


def gif(data: bytes) -> None:
    for _ in tags.gif_extensions(io.BytesIO(data)):
        pass


def boxes(data: bytes) -> None:
    for _ in tags._xmp_boxes(io.BytesIO(data), 0, len(data)):
        pass


def manifest(data: bytes) -> None:
    """Read a manifest: a damaged one must not be trusted or change the claim."""
    found = read_alone(data)
    assert found.trust != "trusted"
    if found.record is not None and found.state == "changed":
        assert found.record.claim == CLAIM


def whole(data: bytes) -> None:
    """Verify a whole file: it must not be authentic, because no key is trusted here."""
    SCRATCH.write_bytes(data)
    assert verify(SCRATCH).verdict != "authentic"


def label(data: bytes) -> None:
    """Load the public half of a key."""
    SCRATCH.write_bytes(data)
    halves.read(SCRATCH)


def overrides(data: bytes) -> None:
    """Lines of key=value: settings, and no word of the environment in them."""
    with secret():
        found = run_options(data.decode("utf-8", "surrogateescape").split("\n"))
        assert SECRET not in str(found)


def batch(data: bytes) -> None:
    """A CSV: jobs, whose settings are as harmless as any overrides."""
    table = SCRATCH.with_suffix(".csv")
    table.write_bytes(data)
    for job in read_jobs(table, SCRATCH.with_name("out"), Path("x.mp4"))[:3]:
        assert job.key
        with secret(), suppress(AnimateError):
            assert SECRET not in str(run_options(job.settings))


def template(data: bytes) -> None:
    """A motion template's description and span; its poses need a model."""
    SCRATCH.write_bytes(data)
    len(read_template(SCRATCH).span(0, 1))


def font(data: bytes) -> None:
    SCRATCH.write_bytes(data)
    label_patch(Label(text="AI", font=SCRATCH), 64, 256)


@contextmanager
def secret() -> Iterator[None]:
    os.environ["ANIMATE_SECRET"] = SECRET
    try:
        yield
    finally:
        del os.environ["ANIMATE_SECRET"]


SECRET = "81726354"
SCRATCH = Path()
TARGETS: dict[str, Callable[[bytes], None]] = {
    "payload": payload, "claim": claim, "aigc": aigc, "xmp": packet, "record": record,
    "gif": gif, "boxes": boxes, "manifest": manifest, "public": label, "file": whole,
    "overrides": overrides, "batch": batch, "template": template, "font": font,
}  # fmt: skip
SHARE = {
    "manifest": 0.02,
    "file": 0.002,
    "public": 0.02,
    "overrides": 0.005,
    "batch": 0.005,
    "template": 0.02,
    "font": 0.02,
}  # share of --runs for slow targets


def poses() -> bytes:
    """A motion template of two poses."""
    about = {"format": 1, "model": "m", "model_sha256": "a", "clip_sha256": "b", "rate": "25/1",
             "numbers": 3, "beyond": 2, "fresh": [0]}  # fmt: skip
    rows, made = io.BytesIO(), io.BytesIO()
    np.lib.format.write_array(rows, np.zeros((2, 3), "<f4"), (1, 0))
    with zipfile.ZipFile(made, "w") as archive:  # stored, so that flips reach what is inside
        archive.writestr("about.json", json.dumps(about))
        archive.writestr("poses.npy", rows.getvalue())
    return made.getvalue()


def half(folder: Path) -> str:
    """A public half with revocations, of a key made for it."""
    with other_home(folder / "home"):
        old = keys.init("Fuzz").id
        keys.rotate(stolen=True)
        assert old in keys.revocations()
        return keys.export(mark_key=True)


@contextmanager
def other_home(folder: Path) -> Iterator[None]:
    before = os.environ.get("ANIMATE_HOME")
    os.environ["ANIMATE_HOME"] = str(folder)
    try:
        yield
    finally:
        del os.environ["ANIMATE_HOME"]
        os.environ.update({} if before is None else {"ANIMATE_HOME": before})


def samples(name: str, folder: Path) -> list[bytes]:
    """Valid inputs to damage."""
    if name == "payload":
        return [bytes.fromhex(str(Payload.of(CLAIM)))]
    label_ = Aigc.first("animate", "0" * 64)
    texts = {
        "claim": CLAIM.json(), "aigc": label_.json(), "record": json.dumps(RECORD.plain()),
        "public": half(folder) if name == "public" else "",
    }  # fmt: skip
    if name in texts:
        return [texts[name].encode()]
    if name == "overrides":
        return [text.encode() for text in (
            "threads=2\nconsent=she agreed", "label.text=${oc.env:ANIMATE_SECRET}", "faces=centre",
            "producer=${oc.env:ANIMATE_SECRET}", "faces.box=[1,2,3,4]", "paste.margin=0.1",
            "threads=${oc.decode:${oc.env:ANIMATE_SECRET}}", "clip.start=1e3\nclip.times=3",
        )]  # fmt: skip
    if name == "batch":
        rows = 'photo,clip,out,consent,producer,threads\na.png,b.mp4,c.mp4,"yes, she did",me,2\n'
        odd = "photo;consent;producer\na.png;${oc.env:ANIMATE_SECRET};${oc.env:ANIMATE_SECRET}\n"
        return [rows.encode(), odd.encode("utf-16"), b"sep=;\r\n" + odd.encode()]
    if name == "template":
        return [poses()]
    if name == "font":
        return [(FONTS / "label-latin.ttf").read_bytes()]
    if name == "xmp":
        bomb = b'<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;&b;">]><a>&c;</a>'
        return [xmp.packet(xmp.SYNTHETIC, label_, "x"), bomb, b"<a>" * 2000]
    made = []
    kinds = {"gif": [".gif"], "boxes": [".mp4"], "manifest": [".mkv"]}
    for suffix in kinds.get(name, [".mp4", ".gif", ".png", ".jpg", ".webp", ".mkv"]):
        still = suffix in (".png", ".jpg", ".webp")
        noise = np.random.default_rng(0).integers(115, 140, (16, 16, 3), np.uint8)
        frame = np.kron(noise, np.ones((10, 10, 1), np.uint8))
        out = folder / f"sample{suffix}"
        publish(out, [frame] * (1 if still else 4), mark=Mark(Payload.of(CLAIM)), claim=CLAIM,
                rate=None if still else Fraction(25), force=True)  # fmt: skip
        read = out.with_name(out.name + ".c2pa") if name == "manifest" else out
        made.append(read.read_bytes())
    return made


def mutated(data: bytes, dice: random.Random) -> bytes:
    """A sample with random bit flips, cuts, insertions, extreme numbers, repeats or copies."""
    out = bytearray(data)
    for _ in range(dice.choice((1, 1, 2, 4, 8))):
        at = dice.randrange(len(out) + 1)
        kind = dice.randrange(7)
        if kind == 0 and out:
            out[at % len(out)] ^= 1 << dice.randrange(8)
        elif kind == 1:
            del out[at:]
        elif kind == 2:
            del out[at : at + dice.choice((1, 4, 64, 1024))]
        elif kind == 3:
            out[at:at] = dice.randbytes(dice.choice((1, 4, 64)))
        elif kind == 4:
            extreme = dice.choice(
                (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\1")
            )
            out[at : at + 4] = extreme
        elif kind == 5:
            piece = bytes(out[at : at + dice.choice((8, 256))])
            out[at:at] = piece * dice.choice((1, 2, 50))
        else:
            other = dice.randrange(len(out) + 1)
            out[at : at + 16] = out[other : other + 16]
    return bytes(out)


def keep(name: str, data: bytes) -> None:
    """Write an input that a target failed on."""
    Path(f"crash-{name}.bin").write_bytes(data)
    print(f"{name}: see crash-{name}.bin", file=sys.stderr)


def attempt(name: str, data: bytes, limit: float) -> None:
    since = time.monotonic()
    with ExitStack() as unless_it_returns:
        unless_it_returns.callback(keep, name, data)
        with suppress(AnimateError):
            TARGETS[name](data)
        unless_it_returns.pop_all()
    took = time.monotonic() - since
    if took > limit:
        Path(f"crash-{name}.bin").write_bytes(data)
        raise SystemExit(f"{name}: {took:.1f} s for one input, see crash-{name}.bin")


def guided(name: str, runs: int, seed: int, limit: float, folder: Path) -> None:
    """Fuzz one target with atheris, guided by coverage; atheris ends the process itself."""
    import atheris

    corpus = folder / "corpus"
    corpus.mkdir()
    for i, data in enumerate(samples(name, folder)):
        (corpus / str(i)).write_bytes(data)
    atheris.instrument_all()
    atheris.Setup(
        [sys.argv[0], str(corpus), f"-runs={runs}", f"-seed={seed + 1}", "-max_len=65536",
         f"-timeout={int(limit)}"],
        lambda data: attempt(name, data, limit),
    )  # fmt: skip
    atheris.Fuzz()


def main() -> None:
    global SCRATCH
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=100_000, help="executions in total")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after this time")
    parser.add_argument("--target", nargs="+", choices=TARGETS, default=list(TARGETS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=float, default=20, help="most seconds for one input")
    parser.add_argument("--guided", action="store_true", help="fuzz one target with atheris")
    args = parser.parse_args()
    faulthandler.enable()
    folder = Path(tempfile.mkdtemp())
    SCRATCH = folder / "input"
    if args.guided:
        guided(args.target[0], args.runs, args.seed, args.limit, folder)
        return
    fast = max(1, sum(name not in SHARE for name in args.target))
    began, total = time.monotonic(), 0
    for name in args.target:
        dice, seeds = random.Random(f"{args.seed} {name}"), samples(name, folder)
        runs = round(args.runs * SHARE[name] if name in SHARE else args.runs / fast) + 1
        since, done = time.monotonic(), 0
        while done < runs and time.monotonic() - began < args.seconds:
            attempt(name, mutated(dice.choice(seeds), dice), args.limit)
            done += 1
        total += done
        print(f"{name:10s} {done:9d} executions, {time.monotonic() - since:7.1f} s", flush=True)
    print(f"{'all':10s} {total:9d} executions, no exception but AnimateError")


if __name__ == "__main__":
    main()
