"""Marks are embedded shot by shot, within their strength, one in the place of another."""

from __future__ import annotations

import time
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from conftest import draw_face
from PIL import Image
from test_payload import CLAIM, MARK, SECRET
from test_watermark import found, jpeg, marked, warped

from animate.errors import AnimateError
from animate.watermark import (
    DEFAULT,
    FLOOR,
    TOOLKIT_KEY,
    Embedder,
    Mark,
    Payload,
    detect,
    embedding,
)
from animate.watermark.carriers import VERSIONS, MarkVersion, Ring
from animate.watermark.detection import (
    correlation_map,
    keep,
)
from animate.watermark.embedding import field

# ---------------------------------------------------------------- shots


def test_each_shot_gets_a_field_of_its_own_and_one_mark(scene: list[np.ndarray]) -> None:
    other = [np.ascontiguousarray(255 - frame[::-1]) for frame in scene]
    embed = Embedder(MARK, 256, 256)
    frames, fields = [], []
    for frame in (*scene[:20], *other[:20]):
        frames.append(embed(frame))
        fields.append(embed.field)
    assert all(field is fields[0] for field in fields[:20])
    assert all(field is fields[20] for field in fields[20:])
    assert fields[20] is not fields[0]
    for part in (frames, frames[:20], frames[20:]):
        assert found(detect(part))


def test_a_field_gives_way_to_another_without_a_jump(scene: list[np.ndarray]) -> None:
    """A dissolve is no cut; the field follows it, never by more than a step at a time."""
    there = np.ascontiguousarray(255 - scene[0][::-1])
    embed = Embedder(MARK, 256, 256)
    fields, frames = [], []
    for n in range(90):
        share = np.clip((n - 10) / 60, 0, 1)
        frames.append(embed((scene[0] * (1 - share) + there * share).astype(np.uint8)))
        fields.append(embed.field.astype(int))
    assert not np.array_equal(fields[0], fields[-1])
    steps = [np.sqrt(np.mean((b - a) ** 2.0)) for a, b in pairwise(fields)]
    assert 0 < max(steps) < 0.6
    assert found(detect(frames))


# ---------------------------------------------------------------- seen by nobody


def test_the_change_stays_within_its_strength(scene: list[np.ndarray]) -> None:
    large = [np.asarray(Image.fromarray(scene[0]).resize((400, 400)))]
    for frames, least in ((scene, 40.5), (large, 42.0)):
        for frame, after in zip(frames, marked(frames), strict=True):
            error = np.mean((frame.astype(float) - after) ** 2)
            assert 10 * np.log10(255**2 / error) >= least


def test_a_mark_that_would_not_be_read_is_laid_on_louder(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = np.random.default_rng(2)
    face, white = draw_face(80), np.full((80, 80, 3), 255, np.uint8)
    tiles = [
        white if drawn.random() < 0.2 else np.roll(face, drawn.integers(-20, 20, 2), (0, 1))
        for _ in range(144)
    ]
    collage = np.vstack([np.hstack(tiles[i : i + 12]) for i in range(0, 144, 12)])
    assert found(detect(marked([collage])))
    monkeypatch.setattr(embedding, "LOUDER", ())
    assert not found(detect(marked([collage])))


@pytest.mark.parametrize("key", [SECRET, TOOLKIT_KEY], ids=["own", "public"])
@pytest.mark.parametrize("side", [256, 720])
def test_a_new_mark_takes_the_place_of_an_old_one(
    scene: list[np.ndarray], side: int, key: bytes
) -> None:
    def again(picture: np.ndarray, consent: str, key: bytes) -> tuple[np.ndarray, Mark]:
        mark = Mark(Payload.of(replace(CLAIM, consent=consent), key), key)
        return marked([picture], mark)[0], mark

    def error(picture: np.ndarray) -> float:
        return float(np.sqrt(np.mean((picture.astype(float) - plain) ** 2)))

    plain = np.asarray(Image.fromarray(scene[0]).resize((side, side), Image.Resampling.BICUBIC))
    first, _ = again(plain, "once", key)
    second, _ = again(first, "twice", SECRET)
    third, mark = again(second, "three times", SECRET)
    assert found(detect([third], [TOOLKIT_KEY, SECRET]), mark)
    assert error(third) < 1.4 * error(first)  # two more that lay over it would make it 1.7


def test_flat_bright_places_change_less(scene: list[np.ndarray]) -> None:
    picture = np.full((256, 256, 3), 200, np.uint8)
    picture[:, 128:] = np.random.default_rng(0).integers(80, 160, (256, 128, 1))
    change = marked([picture])[0].astype(float) - picture
    assert np.std(change[:, :112]) < 0.6 * np.std(change[:, 144:])


def test_the_whole_picture_carries_the_mark_and_the_input_stays(scene: list[np.ndarray]) -> None:
    wide = np.concatenate([scene[0], scene[1]], axis=1)
    before = wide.copy()
    after = marked([wide])[0]
    assert np.array_equal(wide, before)
    for part in (after, after[:, :256], after[:, 200:480]):
        assert found(detect([part]))


def test_the_mean_of_many_marks_forges_presence_and_no_payload(scene: list[np.ndarray]) -> None:
    """What one file carries can be copied whole; only the claim tells what it was made for."""
    payloads = [Payload.of(replace(CLAIM, consent=f"{n}"), SECRET) for n in range(60)]
    taken = [field(Mark(payload, SECRET), scene[0]).astype(float) for payload in payloads]
    for change, copied in ((np.mean(taken, axis=0), False), (taken[7], True)):
        change *= 2.4 / np.sqrt(np.mean(change**2))
        forged = np.clip(np.rint(scene[20][::-1] + change), 0, 255).astype(np.uint8)
        detection = detect([forged], SECRET)
        assert detection.marked
        assert detection.payload == (payloads[7] if copied else None)


@pytest.mark.parametrize("strength", [0, -3, 0.01, FLOOR - 0.01, 1e9, float("inf"), float("nan")])
def test_no_mark_is_too_weak_or_too_strong(strength: float) -> None:
    with pytest.raises(AnimateError, match="strength"):
        Mark(MARK.payload, strength=strength)


TOY = MarkVersion(  # coarser chroma alone, and other amplitudes
    number=3,
    rings=(Ring("chroma", 3, 11, 0.4, 0.2), Ring("chroma", 11, 30, 0.15, 0.1)),
    luma=0.0,
    luma_share=0.0,
    pilot=1.3,
    tag=1.1,
    chroma_half=(12, 4),
    luma_half=(28, 3),
)


def test_a_version_added_in_one_place_is_embedded_found_and_not_mistaken_for_another(
    scene: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = detect(marked(scene[:1]))
    monkeypatch.setitem(VERSIONS, 3, TOY)
    second = Mark(Payload.of(CLAIM, version=3))
    frames = marked(scene[:3], second)
    detection = detect(frames)
    assert found(detection, second)
    assert (detection.version, detection.key_id) == (3, second.payload.key_id)
    assert detection.seconds == ((0.0, 3 / 25),)
    assert found(detect([warped(frames[0], (0.05, 0.08, 1, 1))]), second)  # cut, so searched for
    peak = correlation_map(keep(frames, 25).whole, detection)
    assert peak[64, 64] == peak.max() > 10
    first = detect(marked(scene[:1]))
    assert (found(first), first.version) == (True, 2)
    assert first.statistic == alone.statistic
    assert 2 * first.hypotheses == 3 * alone.hypotheses  # all versions share the risk
    again = detect(marked(frames[:1]))  # the former mark is taken out, whatever its version
    assert (found(again), again.version) == (True, 2)
    assert not detect(scene[:1]).marked
    monkeypatch.delitem(VERSIONS, 3)
    assert not detect(frames, thorough=False).marked  # a reader without version 3 hears nothing


def test_a_file_of_version_1_is_read_and_its_mark_gives_way_to_the_latest(
    scene: list[np.ndarray],
) -> None:
    old = Mark(Payload.of(CLAIM, version=1))
    frames = marked(scene[:1], old)
    for picture in (frames[0], jpeg(frames[0], 70), warped(frames[0], (0.05, 0.08, 1, 1))):
        detection = detect([picture])
        assert (found(detection, old), detection.version) == (True, 1)
    again = detect(marked(frames))
    assert (found(again), again.version) == (True, 2)


def test_a_mark_wants_a_payload_of_its_own_key_and_version() -> None:
    with pytest.raises(AnimateError, match="another key"):
        Mark(MARK.payload, key=SECRET)
    with pytest.raises(AnimateError, match="version"):
        Mark(Payload.of(CLAIM, version=9))
    with pytest.raises(AnimateError, match="expects"):
        Embedder(MARK, 64, 64)(np.zeros((64, 65, 3), np.uint8))
    with pytest.raises(AnimateError, match="too small"):
        Embedder(MARK, 64, 31)
    assert Mark(MARK.payload).strength == DEFAULT


def test_marking_is_fast_enough_for_a_live_stream() -> None:
    """Far from the promise, for busy machines; scripts/benchmarks/watermark.py measures."""
    frame = np.random.default_rng(0).integers(0, 256, (256, 256, 3), np.uint8)
    embed = Embedder(MARK, 256, 256)
    embed(frame)
    start = time.process_time()
    for _ in range(50):
        embed(frame)
    assert (time.process_time() - start) / 50 < 0.01


def test_a_louder_mark_of_a_grey_picture_has_no_more_colour(scene: list[np.ndarray]) -> None:
    grey = scene[0][..., 1:2].repeat(3, 2)

    def tint(louder: float) -> float:
        """Colour that the mark lays on patches, grey levels."""
        change = field(replace(MARK, louder=louder), grey).astype(float)
        away = change - change.mean(2, keepdims=True)
        return float(np.abs(away.reshape(16, 16, 16, 16, 3).mean((1, 3))).max())

    assert tint(1.8) <= 1.3 * tint(1)
    again = Embedder(replace(MARK, louder=1.8), *grey.shape[:2])(grey)
    assert found(detect([jpeg(again, 50)]))
