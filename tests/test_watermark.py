"""The mark is found where it is and not where it is not, and the bound on the error holds."""

from __future__ import annotations

import importlib.util
import io
import json
import sys

import numpy as np
import pytest
from conftest import ROOT, draw_frames
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from animate.errors import AnimateError
from animate.watermark import FLOOR, Claim, Detection, Embedder, Mark, Payload, detect
from animate.watermark.carriers import layout, signs
from animate.watermark.payload import (
    CODE_BITS,
    TOOLKIT_KEY,
    check_code,
    checked,
    code_signs,
    decode,
    encode,
)
from animate.watermark.pixels import DEFAULT, average, bound, features, find, pilot_statistic

CLAIM = Claim("animate 0", "model", "a" * 64, "b" * 64, "c" * 64, "2026-01-01T00:00:00Z", "given")
MARK = Mark(Payload.of(CLAIM))
SECRET = b"a key that nobody else has"


def load_check():
    spec = importlib.util.spec_from_file_location("check", ROOT / "scripts/watermark_check.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["check"] = module  # dataclasses look there
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def scene() -> list[np.ndarray]:
    """A second of a face that moves before a soft ground, 256 x 256."""
    y, x = np.mgrid[:256, :256] / 256
    ground = 90 + 60 * np.stack([x, y, 0.5 * np.sin(9 * x + 4 * y)], -1)
    faces = draw_frames(25, 256)
    skin = [np.abs(f.astype(int) - (220, 180, 150)).sum(-1, keepdims=True) < 60 for f in faces]
    noise = np.random.default_rng(1).normal(0, 2, (256, 256, 3))
    return [
        np.clip(np.where(s, f, ground) + noise, 0, 255).astype(np.uint8)
        for s, f in zip(skin, faces, strict=True)
    ]


def marked(frames: list[np.ndarray], mark: Mark = MARK) -> list[np.ndarray]:
    embed = Embedder(mark, *frames[0].shape[:2])
    return [embed(frame) for frame in frames]


def found(detection: Detection, mark: Mark = MARK) -> bool:
    return detection.marked and detection.payload == mark.payload and detection.authentic


def jpeg(picture: np.ndarray, quality: int) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


def gif(picture: np.ndarray) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(picture).quantize(256, dither=Image.Dither.NONE).save(buffer, "GIF")
    return np.asarray(Image.open(buffer).convert("RGB"))


# ---------------------------------------------------------------- bits


@given(st.tuples(*(st.integers(0, (1 << width) - 1) for width in (4, 12, 32, 16))))
@settings(max_examples=15, deadline=None)
def test_every_payload_survives_its_code(fields: tuple[int, int, int, int]) -> None:
    payload = Payload(*fields)
    assert Payload.from_bits(payload.to_bits()) == payload
    assert checked(decode(encode(payload))) == payload
    assert len(str(payload)) == 16


def test_the_code_corrects_noise_that_flips_many_signs() -> None:
    rng = np.random.default_rng(0)
    soft = encode(MARK.payload) + rng.normal(0, 0.9, CODE_BITS)
    assert np.mean(np.sign(soft) != encode(MARK.payload)) > 0.1
    assert checked(decode(soft)) == MARK.payload


def test_the_code_is_linear_and_far_apart() -> None:
    ones = [np.eye(88, dtype=int)[i] for i in range(0, 88, 11)]
    for word in ones:
        assert np.sum(code_signs(word) < 0) >= 20  # one set bit touches most of 36 signs
    assert np.array_equal(code_signs(ones[0]) * code_signs(ones[1]), code_signs(ones[0] ^ ones[1]))


def test_the_check_code_is_the_one_of_the_standard() -> None:
    bits = np.unpackbits(np.frombuffer(b"123456789", np.uint8))
    value = int("".join(map(str, check_code(bits))), 2)
    assert value == 0x21CF02  # the usual check value of CRC-24/OpenPGP


def test_noise_is_no_payload() -> None:
    rng = np.random.default_rng(1)
    assert all(checked(decode(rng.normal(size=CODE_BITS))) is None for _ in range(20))


def test_a_payload_is_authentic_under_its_own_key_only() -> None:
    payload = Payload.of(CLAIM, SECRET)
    assert payload.authentic(SECRET)
    assert not payload.authentic(TOOLKIT_KEY)
    with pytest.raises(AnimateError, match="key"):
        Payload.of(CLAIM, b"short")
    with pytest.raises(AnimateError, match="fit"):
        Payload(16, 0, 0, 0)


# ---------------------------------------------------------------- claims


def test_a_claim_is_itself_after_json_and_its_id_follows_its_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert Claim.from_json(CLAIM.json()) == CLAIM
    reordered = json.dumps(dict(reversed(json.loads(CLAIM.json()).items())), indent=1)
    assert Claim.from_json(reordered).content_id() == CLAIM.content_id()
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    words = {k: v for k, v in json.loads(CLAIM.json()).items() if k != "created"}
    assert Claim.now(**words).created == "2023-11-14T22:13:20Z"
    assert Claim.now(**words).content_id() != CLAIM.content_id()
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    with pytest.raises(AnimateError, match="SOURCE_DATE_EPOCH"):
        Claim.now(**words)


@pytest.mark.parametrize("text", ["", "Lavf60", "[]", "{}", '{"model": 1}', "[" * 100_000])
def test_other_comments_are_no_claims(text: str) -> None:
    with pytest.raises(AnimateError, match="not a claim"):
        Claim.from_json(text)
    with pytest.raises(AnimateError, match="text"):
        Claim.from_json(CLAIM.json().replace('"given"', "1"))


# ---------------------------------------------------------------- found where it is


@pytest.mark.parametrize("attack", ["none", "jpeg", "gif", "noise", "mirror", "half size", "grey"])
def test_a_still_keeps_its_mark(scene: list[np.ndarray], attack: str) -> None:
    picture = marked(scene[:1])[0]
    noise = np.random.default_rng(0).normal(0, 5, picture.shape)
    changed = {
        "none": lambda p: p,
        "jpeg": lambda p: jpeg(p, 90),
        "gif": gif,
        "noise": lambda p: np.clip(p + noise, 0, 255).astype(np.uint8),
        "mirror": lambda p: np.ascontiguousarray(p[:, ::-1]),
        "half size": lambda p: np.asarray(Image.fromarray(p).resize((128, 128))),
        "grey": lambda p: np.asarray(Image.fromarray(p).convert("L").convert("RGB")),
    }[attack](picture)
    detection = detect([changed])
    assert found(detection) or (attack == "grey" and detection.marked)


@pytest.mark.parametrize("still", [False, True], ids=["moving", "static"])
def test_a_second_of_video_keeps_its_mark_at_crf_23(scene: list[np.ndarray], still: bool) -> None:
    frames = marked(scene[:1] * 25 if still else scene)
    assert found(detect(load_check().h264(frames, 23)))


@pytest.mark.parametrize("shape", [(128, 128), (512, 512), (180, 320), (321, 199)])
def test_every_size_is_marked(scene: list[np.ndarray], shape: tuple[int, int]) -> None:
    picture = np.asarray(Image.fromarray(scene[0]).resize(shape[::-1]))
    assert found(detect(marked([picture])))


@pytest.mark.parametrize("grey", [0, 128, 210, 255])
def test_a_picture_of_nothing_is_marked_and_only_then(grey: int) -> None:
    flat = np.full((256, 256, 3), grey, np.uint8)
    assert not detect([flat]).marked
    assert found(detect(marked([flat])))


def test_payloads_and_keys_are_told_apart(scene: list[np.ndarray]) -> None:
    other = Claim.from_json(CLAIM.json().replace("given", "not given"))
    mark = Mark(Payload.of(other, SECRET), key=SECRET)
    frames = marked(scene[:3], mark)
    assert found(detect(frames, SECRET), mark)
    assert not detect(frames).marked
    assert not detect(marked(scene[:3]), SECRET).marked


def test_frames_are_summed_however_they_come(scene: list[np.ndarray]) -> None:
    frames = marked(scene[:4])
    assert np.allclose(average(iter(frames)), np.mean(frames, 0))
    with pytest.raises(AnimateError, match="no frame"):
        detect([])
    with pytest.raises(AnimateError, match="one frame size"):
        detect([frames[0], frames[1][:100]])


def test_one_of_several_keys_answers_and_each_is_counted(scene: list[np.ndarray]) -> None:
    own = Mark(Payload.of(CLAIM, SECRET), key=SECRET)
    several = [TOOLKIT_KEY, SECRET, b"a third key of somebody"]
    detection = detect(marked(scene[:3], own), several)
    assert found(detection, own)
    assert detection.key_id == own.payload.key_id
    assert detection.hypotheses == 3 * detect(marked(scene[:3], own), SECRET).hypotheses
    with pytest.raises(AnimateError, match="no key"):
        detect(scene[:1], [])


def test_the_seconds_with_the_mark_are_told_from_those_without(scene: list[np.ndarray]) -> None:
    after = marked(scene)
    assert detect([*scene[:10], *after[:20], *scene[:10]], rate=10).seconds == ((1.0, 3.0),)
    assert detect(after, rate=10).seconds == ((0.0, 2.5),)
    assert detect(scene, rate=10).seconds == ()


# ---------------------------------------------------------------- seen by nobody


def test_the_change_stays_within_its_strength(scene: list[np.ndarray]) -> None:
    for frame, after in zip(scene, marked(scene), strict=True):
        error = np.mean((frame.astype(float) - after) ** 2)
        assert 10 * np.log10(255**2 / error) >= 40.5


def test_flat_bright_places_change_less(scene: list[np.ndarray]) -> None:
    picture = np.full((256, 256, 3), 200, np.uint8)
    picture[:, 128:] = np.random.default_rng(0).integers(80, 160, (256, 128, 1))
    change = marked([picture])[0].astype(float) - picture
    assert np.std(change[:, :112]) < 0.6 * np.std(change[:, 144:])


def test_only_the_centre_square_changes_and_the_input_stays(scene: list[np.ndarray]) -> None:
    wide = np.concatenate([scene[0], scene[1]], axis=1)
    before = wide.copy()
    after = marked([wide])[0]
    assert np.array_equal(wide, before)
    assert np.array_equal(after[:, :128], wide[:, :128])
    assert (after[:, 128:384] != wide[:, 128:384]).mean() > 0.3


@pytest.mark.parametrize("strength", [0, -3, 0.01, FLOOR - 0.01, 1e9, float("inf"), float("nan")])
def test_no_mark_is_too_weak_or_too_strong(strength: float) -> None:
    with pytest.raises(AnimateError, match="strength"):
        Mark(MARK.payload, strength=strength)


def test_a_mark_wants_a_payload_of_its_own_key_and_version() -> None:
    with pytest.raises(AnimateError, match="another key"):
        Mark(MARK.payload, key=SECRET)
    with pytest.raises(AnimateError, match="version"):
        Mark(Payload.of(CLAIM, version=9))
    with pytest.raises(AnimateError, match="expects"):
        Embedder(MARK, 64, 64)(np.zeros((64, 65, 3), np.uint8))
    assert Mark(MARK.payload).strength == DEFAULT


# ---------------------------------------------------------------- not found where it is not


def test_unmarked_pictures_are_not_found(scene: list[np.ndarray]) -> None:
    rng = np.random.default_rng(2)
    pictures = [
        *([frame] for frame in scene[::8]),
        *([rng.integers(0, 256, (200, 150, 3), np.uint8)] for _ in range(5)),
        [jpeg(scene[0], 40)],
    ]
    for frames in pictures:
        detection = detect(frames)
        assert not detection.marked
        assert detection.payload is None
        assert 1e-6 < detection.p_value <= 1


def test_the_bound_holds_over_many_wrong_keys(scene: list[np.ndarray]) -> None:
    """P(S >= t) <= exp(-t^2 / 2), counted over 2,000 keys on a marked and an unmarked picture."""
    pilot = layout().slot == CODE_BITS
    keys = np.stack([signs(b"wrong %d" % i)[pilot] for i in range(2000)])
    for picture in (scene[0], marked(scene[:1])[0]):
        heard = features(average([picture]))[layout().index[pilot]]
        scores = keys @ heard / np.linalg.norm(heard)
        assert np.isclose(scores[7], pilot_statistic(heard * keys[7]))
        assert 0.9 < scores.std() < 1.1
        for t in (1.0, 1.5, 2.0, 2.5, 3.0):
            share = np.exp(-(t**2) / 2)
            assert np.mean(scores >= t) <= share + 3 * np.sqrt(share / 2000)


def test_the_p_value_counts_every_hypothesis(scene: list[np.ndarray]) -> None:
    assert bound(0.0, 4) == bound(-5.0, 4) == 1.0
    assert bound(6.0, 4) == pytest.approx(4 * np.exp(-18))
    assert 0 < bound(100.0, 4) < 1e-300
    for frames in (scene[:1], marked(scene[:1])):
        detection = find(features(average(frames)))
        assert detection.p_value == bound(detection.statistic, detection.hypotheses)
        assert detection.hypotheses in (4, 4 << 88) or detection.p_value == 1
