"""A reader of the mark that is written from docs/mark.md alone reads what is published."""

from __future__ import annotations

import hashlib
import hmac
import math
import re

import numpy as np
import pytest
from conftest import ROOT, draw_face
from PIL import Image

from animate.watermark import Claim, Embedder, Mark, Payload

TEXT = (ROOT / "docs" / "mark.md").read_text()
PUBLIC = re.search("ASCII text `(animate toolkit key.*)`", TEXT)[1].encode()  # type: ignore[index]
ROW = re.compile(r"^\| (\d) \| (\d) \| (Y|Cb, Cr) " + r"\| ([\d.]+) " * 4 + r"\|$", re.MULTILINE)
BITS = {"pilot": 1, "tag": 80, "body": 192}
GENERATORS = (0o765, 0o671, 0o513, 0o473)


def transform(picture: np.ndarray) -> np.ndarray:
    """Section 1, for a square picture of 256 pixels: (3, 128, 65)."""
    red, green, blue = np.moveaxis(picture.astype(float), -1, 0)
    planes = np.stack([
        0.299 * red + 0.587 * green + 0.114 * blue,
        -0.168736 * red - 0.331264 * green + 0.5 * blue,
        0.5 * red - 0.418688 * green - 0.081312 * blue,
    ])  # fmt: skip
    cells = planes.reshape(3, 128, 2, 128, 2).mean((2, 4))
    flat = cells - around(cells, 8)
    flat = flat / (around(flat**2, 6) + 1) ** 0.65
    limit = 3 * np.sqrt((flat**2).mean((1, 2), keepdims=True))
    period = np.roll(np.clip(flat, -limit, limit), (-64, -64), (1, 2))  # the centre at (0, 0)
    down, across = np.fft.fftfreq(128, 1 / 128)[:, None], np.arange(65)
    spectrum = np.fft.rfft2(period) * np.exp(-1j * np.pi * (down + across) / 128)
    return spectrum / np.sqrt(around(np.abs(spectrum) ** 2, 6) + 1e-9)


def around(planes: np.ndarray, reach: int) -> np.ndarray:
    """The mean of each number's neighbours, the borders repeated."""
    for axis in (1, 2):
        wide = [(0, 0), (0, 0), (0, 0)]
        wide[axis] = (reach, reach)
        padded = np.pad(planes, wide, mode="edge")
        size = planes.shape[axis]
        parts = [np.take(padded, range(i, i + size), axis) for i in range(2 * reach + 1)]
        planes = np.mean(parts, axis=0)
    return planes


def waves(version: int) -> dict[str, list[tuple[int, int, int]]]:
    """Section 2: (channel, d, a) of each purpose, in order."""
    found: dict[str, list[tuple[int, int, int]]] = {purpose: [] for purpose in BITS}
    for number, ring, channels, *numbers in ROW.findall(TEXT):
        if int(number) != version:
            continue
        inner, outer, pilot, tag = map(float, numbers)
        listed = [
            (channel, down, across)
            for channel in ((0,) if channels == "Y" else (1, 2))
            for down in (*range(64), *range(-64, 0))
            for across in range(1, 64)
            if inner <= math.hypot(down, across) < outer
        ]
        text = f"animate mark {version} layout {ring}".encode()
        drawn = hashlib.shake_256(text).digest(8 * len(listed))
        draws = [int.from_bytes(drawn[8 * i : 8 * i + 8], "little") for i in range(len(listed))]
        listed = [listed[i] for i in sorted(range(len(listed)), key=draws.__getitem__)]
        first, second = round(pilot * len(listed)), round((pilot + tag) * len(listed))
        found["pilot"] += listed[:first]
        found["tag"] += listed[first:second]
        found["body"] += listed[second:]
    for purpose, bits in BITS.items():
        found[purpose].sort(key=lambda wave: math.hypot(wave[1], wave[2]))
        del found[purpose][len(found[purpose]) // bits * bits :]
    return found


def signs(key: bytes, text: str, count: int) -> list[complex]:
    """Section 3."""
    seed = hmac.new(key, text.encode(), hashlib.sha256).digest()
    stream = hashlib.shake_256(seed).digest(count // 4 + 1)
    plane = [1 - 2 * (stream[i // 8] >> (7 - i % 8) & 1) for i in range(2 * count)]
    return [complex(plane[2 * i], plane[2 * i + 1]) for i in range(count)]


def soft(spectrum: np.ndarray, places: list[tuple[int, int, int]], signed: list[complex],
         bits: int) -> list[float]:  # fmt: skip
    """Section 4: the soft value of each code bit."""
    out = [0.0] * bits
    for k, ((channel, down, across), sign) in enumerate(zip(places, signed, strict=True)):
        value = (sign.conjugate() * spectrum[channel, down, across]).real
        out[(k + 37 * (k // bits)) % bits] += float(value)
    return out


def decoded(values: list[float]) -> int:
    """Section 4: the message whose code word fits best, by Viterbi's algorithm, three rounds."""
    length = len(values) // 4
    gains = np.array(values).reshape(length, 4)
    score, history = np.zeros(256), []
    # A state holds the last eight message bits, the newest highest.
    branches = np.array([
        [[1 - 2 * (bin((bit << 8 | state) & g).count("1") & 1) for g in GENERATORS]
         for state in range(256)] for bit in (0, 1)
    ])  # fmt: skip
    for step in range(3 * length):
        reached = score + branches @ gains[step % length]  # (2, 256)
        new, came = np.empty(256), np.empty(256, int)
        for state in range(256):
            bit, low = state >> 7, (state & 127) << 1
            came[state] = max((low, low + 1), key=lambda old: reached[bit, old])
            new[state] = reached[bit, came[state]]
        score, history = new, [*history, came]
    state, message = int(score.argmax()), []
    for came in reversed(history):
        message.append(state >> 7)
        state = int(came[state])
    middle = message[::-1][length : 2 * length]
    return int("".join(map(str, middle)), 2)


def first_bits(data: bytes, count: int) -> int:
    return int.from_bytes(data, "big") >> (8 * len(data) - count)


def read(picture: np.ndarray, version: int, key: bytes) -> tuple[float, str | None]:
    """Sections 4 to 6: S of the pilot; the payload as 16 digits, if all its checks hold."""
    spectrum, places = transform(picture), waves(version)
    pilot = signs(PUBLIC, f"animate mark {version} pilot", len(places["pilot"]))
    energy = math.sqrt(sum(abs(spectrum[wave]) ** 2 for wave in places["pilot"]))
    found = soft(spectrum, places["pilot"], pilot, 1)[0] / energy
    known = signs(PUBLIC, f"animate mark {version} tag", len(places["tag"]))
    tag = decoded(soft(spectrum, places["tag"], known, 80))
    owner, nonce = tag >> 8, tag & 255
    if owner != first_bits(hashlib.sha256(b"animate key id" + key).digest(), 12):
        return found, None
    secret = signs(key, f"animate mark {version} body {nonce}", len(places["body"]))
    body = decoded(soft(spectrum, places["body"], secret, 192))
    content, code = body >> 16, body & 0xFFFF
    text = f"animate payload {version} {owner} {content}".encode()
    right = code == first_bits(hmac.new(key, text, hashlib.sha256).digest(), 16)
    text = f"animate nonce {version} {owner} {content} {code}".encode()
    right &= nonce == first_bits(hashlib.sha256(text).digest(), 8)
    return found, f"{version:x}{owner:03x}{content:08x}{code:04x}" if right else None


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("key", [PUBLIC, b"a secret key of somebody"])
def test_the_reader_of_the_specification_reads_the_mark(version: int, key: bytes) -> None:
    claim = Claim("animate 0", "m", "a" * 64, "b" * 64, "c" * 64, "2026-01-01T00:00:00Z", "yes")
    face = Image.fromarray(draw_face(64)).resize((256, 256), Image.Resampling.BICUBIC)
    plain = np.asarray(face)
    assert read(plain, version, key)[1] is None
    payload = Payload.of(claim, key, version=version)
    found, text = read(Embedder(Mark(payload, key), 256, 256)(plain), version, key)
    assert (found > 6, text) == (True, str(payload))


def test_the_content_id_is_that_of_the_claims_json() -> None:
    claim = Claim("animate 0", "m\u00fc", "a", "b", "c", "2026-01-01T00:00:00Z", "yes")
    text = (
        '{"clip_sha256":"c","consent":"yes","created":"2026-01-01T00:00:00Z",'
        '"generator":"animate 0","model":"m\\u00fc","model_sha256":"a","photo_sha256":"b"}'
    )
    assert claim.content_id() == first_bits(hashlib.sha256(text.encode()).digest(), 32)


def test_the_page_holds_every_ring() -> None:
    from animate.watermark.carriers import VERSIONS

    shares = {(int(version), int(ring)) for version, ring, *_ in ROW.findall(TEXT)}
    assert shares == {(v.number, i) for v in VERSIONS.values() for i in range(len(v.rings))}
