"""The mark is found where it is and not where it is not, and the bound on the error holds."""

from __future__ import annotations

import io
import math
from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image
from test_payload import CLAIM, MARK, SECRET

from animate.errors import AnimateError
from animate.watermark import (
    THRESHOLD,
    TOOLKIT_KEY,
    Claim,
    Detection,
    Embedder,
    Mark,
    Payload,
    Place,
    detect,
)
from animate.watermark.carriers import layout, seed, signs
from animate.watermark.detection import (
    NOTHING,
    TESTS,
    as_published,
    correlation_map,
    keep,
    stretches,
)
from animate.watermark.reading import WEIGHINGS, bound
from animate.watermark.search import (
    COARSE_TRIES,
    FINE_TRIES,
    QUARTERS,
    coarse,
    pilot_statistic,
)
from animate.watermark.spectrum import flattened, weighed


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


def h264(pictures: list[np.ndarray], crf: int) -> list[np.ndarray]:
    """Frames after x264 at `crf` and back, in memory."""
    encoder = av.CodecContext.create("libx264", "w")
    encoder.height, encoder.width = pictures[0].shape[:2]
    encoder.pix_fmt, encoder.options = "yuv420p", {"crf": str(crf), "threads": "1"}
    encoder.framerate, encoder.time_base = Fraction(25), Fraction(1, 25)
    packets = []
    for number, picture in enumerate(pictures):
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts = number
        packets += encoder.encode(frame)
    decoder = av.CodecContext.create("h264", "r")
    frames = [f for p in [*packets, *encoder.encode(None), None] for f in decoder.decode(p)]
    return [frame.to_ndarray(format="rgb24") for frame in frames]


def warped(
    picture: np.ndarray, cut: tuple[float, float, float, float] = (0, 0, 1, 1), turn: float = 0
) -> np.ndarray:
    """A picture turned by degrees, then cut to left, top, right, bottom as shares of it."""
    image = Image.fromarray(picture).rotate(turn, Image.Resampling.BICUBIC)
    left, top, right, bottom = (
        round(share * side) for share, side in zip(cut, image.size * 2, strict=True)
    )
    return np.asarray(image.crop((left, top, right, bottom)))


# ---------------------------------------------------------------- found where it is


@pytest.mark.parametrize("attack", ["none", "jpeg", "gif", "noise", "mirror", "half size", "grey"])
def test_a_still_keeps_its_mark(scene: list[np.ndarray], attack: str) -> None:
    picture = marked(scene[:1])[0]
    noise = np.random.default_rng(0).normal(0, 5, picture.shape)
    changed = {
        "none": lambda p: p,
        "jpeg": lambda p: jpeg(p, 75),
        "gif": gif,
        "noise": lambda p: np.clip(p + noise, 0, 255).astype(np.uint8),
        "mirror": lambda p: np.ascontiguousarray(p[:, ::-1]),
        "half size": lambda p: np.asarray(Image.fromarray(p).resize((128, 128))),
        "grey": lambda p: np.asarray(Image.fromarray(p).convert("L").convert("RGB")),
    }[attack](picture)
    detection = detect([changed])
    assert found(detection) or (attack == "grey" and detection.marked)


@pytest.mark.parametrize(
    ("cut", "turn"),
    [
        ((0.3, 0.2, 0.8, 0.7), 0),
        ((0, 0, 1, 1), -7.5),
        ((0.1, 0.1, 0.9, 0.9), 4),
    ],
)
def test_a_piece_of_the_picture_keeps_its_mark(
    scene: list[np.ndarray], cut: tuple[float, float, float, float], turn: float
) -> None:
    frames = [warped(frame, cut, turn) for frame in marked(scene)]
    detection = detect(frames)
    assert found(detection)
    assert detection.place is not None
    assert detection.place.cells == pytest.approx(128 * (cut[2] - cut[0]), rel=0.02)
    assert detection.place.angle == pytest.approx(-turn, abs=0.5)
    assert not detect(frames, thorough=False).marked
    assert found(detect([frame[:, ::-1] for frame in frames]))


@pytest.mark.parametrize("mirror", [False, True], ids=["", "mirrored"])
@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
@pytest.mark.parametrize("shape", [(256, 256), (180, 320)], ids=["square", "wide"])
def test_a_picture_on_its_side_or_head_keeps_its_mark(
    scene: list[np.ndarray], shape: tuple[int, int], quarters: int, mirror: bool
) -> None:
    resized = [np.asarray(Image.fromarray(f).resize(shape[::-1])) for f in scene[:3]]
    for frames in (marked(resized), marked(resized[:1])):
        lying = [np.rot90(f[:, ::-1] if mirror else f, -quarters) for f in frames]
        plain, detection = detect(frames), detect(lying, thorough=False)
        assert found(detection)
        assert detection.place == Place(mirrored=mirror, quarters=quarters)
        assert detection.seconds == plain.seconds
        assert detection.hypotheses == plain.hypotheses * (QUARTERS if quarters else 1)
        assert detection.p_value == bound(detection.statistic, detection.hypotheses)
        assert detection.statistic == pytest.approx(plain.statistic, rel=0.05)


@pytest.mark.parametrize(("quarters", "mirror"), [(1, False), (2, True), (3, False)])
def test_a_piece_on_its_side_or_head_keeps_its_mark(
    scene: list[np.ndarray], quarters: int, mirror: bool
) -> None:
    frames = [warped(frame, (0.3, 0.2, 0.8, 0.7), 4) for frame in marked(scene)]
    lying = [np.rot90(f[:, ::-1] if mirror else f, -quarters) for f in frames]
    detection = detect(lying)
    assert found(detection)
    assert detection.place is not None
    assert (detection.place.quarters, detection.place.mirrored) == (quarters, mirror)
    assert detection.seconds == ((0.0, 1.0),)
    assert detection.p_value == bound(detection.statistic, detection.hypotheses)


def test_the_pilot_turned_finds_what_it_finds_in_a_picture_set_upright(
    scene: list[np.ndarray],
) -> None:
    flat = flattened(warped(marked(scene[:1])[0], (0.2, 0.1, 0.8, 0.8)).astype(np.float32))
    (((straight,), _),) = coarse([flat], 1)
    for quarters in (1, 2, 3):
        ((_, (start,)),) = coarse([np.rot90(flat, -quarters, axes=(1, 2))], 1)
        assert start.statistic == pytest.approx(straight.statistic, rel=1e-3)
        assert start.place == replace(straight.place, quarters=quarters)
        assert (start.weighing, start.picture) == (straight.weighing, 0)


def test_a_picture_within_a_picture_keeps_its_mark(scene: list[np.ndarray]) -> None:
    canvas = np.full((256, 256, 3), 30, np.uint8)
    frames = []
    for frame in marked(scene):
        canvas[100:228, 20:148] = np.asarray(Image.fromarray(frame).resize((128, 128)))
        frames.append(canvas.copy())
    assert found(detect(frames))


@pytest.mark.parametrize("still", [False, True], ids=["moving", "static"])
def test_a_second_of_video_keeps_its_mark_at_crf_28(scene: list[np.ndarray], still: bool) -> None:
    frames = marked(scene[:1] * 25 if still else scene)
    assert found(detect(h264(frames, 28)))


@pytest.mark.parametrize("shape", [(40, 48), (128, 128), (512, 512), (180, 320), (321, 199)])
def test_every_size_is_marked(scene: list[np.ndarray], shape: tuple[int, int]) -> None:
    picture = np.asarray(Image.fromarray(scene[0]).resize(shape[::-1]))
    assert found(detect(marked([picture])))


@pytest.mark.parametrize("grey", [0, 128, 210, 255])
def test_a_picture_of_nothing_is_marked_and_only_then(grey: int) -> None:
    flat = np.full((256, 256, 3), grey, np.uint8)
    assert not detect([flat]).marked
    assert found(detect(marked([flat])))


def test_payloads_and_keys_are_told_apart(scene: list[np.ndarray]) -> None:
    """With the wrong key the mark's public part is found, and no more than that."""
    other = Claim.from_json(CLAIM.json().replace("given", "not given"))
    mark = Mark(Payload.of(other, SECRET), key=SECRET)
    frames = marked(scene[:3], mark)
    assert found(detect(frames, SECRET), mark)
    for keys in (TOOLKIT_KEY, b"a wrong key of somebody"):
        wrong = detect(frames, keys)
        assert wrong.marked
        assert (wrong.payload, wrong.authentic, wrong.key_id) == (None, False, mark.payload.key_id)


def test_one_of_several_keys_answers_and_each_is_counted(scene: list[np.ndarray]) -> None:
    own = Mark(Payload.of(CLAIM, SECRET), key=SECRET)
    several = [TOOLKIT_KEY, SECRET, b"a third key of somebody"]
    frames = marked(scene[:3], own)
    assert found(detect(frames, several), own)
    unpiloted = frames  # the body's test counts the keys, the pilot's is the same for all
    assert detect(unpiloted, several).hypotheses in (
        detect(unpiloted, SECRET).hypotheses,
        3 * detect(unpiloted, SECRET).hypotheses,
    )
    with pytest.raises(AnimateError, match="no key"):
        detect(scene[:1], [])


def test_the_seconds_with_the_mark_are_told_from_those_without(scene: list[np.ndarray]) -> None:
    after = marked(scene)
    assert detect([*scene[:10], *after[:20], *scene[:10]], rate=10).seconds == ((1.0, 3.0),)
    assert detect(after, rate=10).seconds == ((0.0, 2.5),)
    assert detect(after[:1]).seconds == ()
    late = [*scene[:5], *after[:20], *scene[:10]]  # begins inside a window: rounded out
    assert detect(late, rate=10).seconds == ((0.0, 3.0),)
    cut = [warped(frame, (0.1, 0.1, 0.8, 0.8)) for frame in (*after[:20], *scene[:20])]
    assert detect(cut, rate=10).seconds == ((0.0, 2.0),)


def test_a_second_of_mark_is_found_in_a_long_clip_without(scene: list[np.ndarray]) -> None:
    noise = np.random.default_rng(3)
    others = [np.roll(noise.permutation(scene)[0], n, 1) for n in range(60)]
    detection = detect([*others[:30], *marked(scene)[:10], *others[30:]], rate=10)
    assert found(detection)
    assert detection.seconds == ((3.0, 4.0),)


def test_frames_are_kept_by_the_second_in_constant_memory(scene: list[np.ndarray]) -> None:
    frames = [np.full((40, 40, 3), n % 251, np.uint8) for n in range(700)]
    kept = keep(iter(frames), 2)
    assert len(kept.spans) <= 64
    assert [span.first for span in kept.spans[1:]] == [span.last for span in kept.spans[:-1]]
    assert (kept.spans[0].first, kept.spans[-1].last) == (0, 700)
    assert np.allclose(kept.whole, np.mean(frames, 0), atol=1e-3)
    assert len(list(stretches(kept))) == kept.stretches < 128
    with pytest.raises(AnimateError, match="no frame"):
        detect([])
    with pytest.raises(AnimateError, match="one frame size"):
        detect([scene[0], scene[1][:100]])


# ---------------------------------------------------------------- not found where it is not


def test_unmarked_pictures_are_not_found(scene: list[np.ndarray]) -> None:
    rng = np.random.default_rng(2)
    pictures = [
        scene[:1],
        [rng.integers(0, 256, (200, 150, 3), np.uint8)],
    ]
    for frames in pictures:
        detection = detect(frames, SECRET)
        assert not detection.marked
        assert detection.payload is None
        assert 1e-6 < detection.p_value <= 1


def test_an_unmarked_picture_is_not_found_however_it_lies(scene: list[np.ndarray]) -> None:
    picture = np.asarray(Image.fromarray(scene[0]).resize((96, 64)))
    for quarters in (1, 2, 3):
        detection = detect([np.rot90(picture[:, ::-1] if quarters == 3 else picture, quarters)])
        assert (detection.marked, detection.payload, detection.place) == (False, None, None)
        assert 1e-6 < detection.p_value <= 1


def test_all_four_quarter_turns_share_the_risk() -> None:
    """An upright mark's p counts one: by the tight bound that takes less than its quarter."""
    least = np.sqrt(2 * np.log(TESTS * WEIGHINGS * 2 / THRESHOLD))  # S of any mark that is reported
    for statistic in np.linspace(least, 38, 300):
        tight = 3.178 * math.erfc(statistic / math.sqrt(2)) / 2
        assert tight < bound(statistic, 1) / QUARTERS


def test_the_bound_holds_over_many_wrong_keys(scene: list[np.ndarray]) -> None:
    """P(S >= t) <= exp(-t^2 / 2), counted over 2,000 keys on a marked and an unmarked picture."""
    waves = layout().body
    keys = np.stack([signs(seed(b"wrong %d" % i, "body 0"), waves) for i in range(2000)])
    for picture in (scene[0], marked(scene[:1])[0]):
        for a in weighed(as_published(picture.astype(np.float32))):
            heard = a.reshape(-1)[waves.index]
            scores = (keys.conj() @ heard).real / np.linalg.norm(heard)
            assert 0.9 < scores.std() < 1.1
            for t in (1.0, 1.5, 2.0, 2.5, 3.0):
                share = np.exp(-(t**2) / 2)
                assert np.mean(scores >= t) <= share + 3 * np.sqrt(share / 2000)


def test_the_evidence_is_one_peak_in_the_middle(scene: list[np.ndarray]) -> None:
    after = marked(scene[:1])
    for frames in (after, [warped(after[0], (0.2, 0.1, 0.9, 0.8))]):
        detection = detect(frames)
        peaks = correlation_map(keep(frames, 25).whole, detection)
        assert np.unravel_index(peaks.argmax(), peaks.shape) == (64, 64)
        around = np.delete(peaks.reshape(-1), peaks.argmax())
        assert peaks.max() > 1.5 * np.sort(around)[-9]  # of its slope
        assert 0.8 < around.std() < 1.3
    heard = max(pilot_statistic(a) for a in weighed(as_published(after[0].astype(np.float32))))
    straight = correlation_map(after[0].astype(np.float32), detect(after))[64, 64]
    assert straight == pytest.approx(heard, rel=1e-6)
    assert correlation_map(keep(scene[:1], 25).whole, NOTHING).max() < 6


def test_the_p_value_counts_every_hypothesis(scene: list[np.ndarray]) -> None:
    assert bound(0.0, 4) == bound(-5.0, 4) == 1.0
    assert bound(6.0, 4) == pytest.approx(4 * np.exp(-18))
    assert 0 < bound(100.0, 4) < 1e-300
    shown = pilot_statistic(weighed(as_published(marked(scene[:1])[0].astype(np.float32)))[0])
    detection = detect(marked(scene[:1]))
    assert detection.p_value == bound(detection.statistic, detection.hypotheses)
    assert detection.statistic >= shown
    assert detection.hypotheses in (40, 40 << 56)  # tests, versions, weighings, mirrored; words
    piece = detect([warped(frame, (0.1, 0.1, 0.7, 0.7)) for frame in marked(scene)[:1]])
    assert piece.hypotheses in (
        20 * FINE_TRIES, 20 * FINE_TRIES << 56, 10 * COARSE_TRIES,
    )  # fmt: skip
