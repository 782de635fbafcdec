"""A live session: the newest frame alone, every picture marked, and what its controls do."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import draw_calm, draw_face, write_clip

from animate.errors import AnimateError
from animate.faces import Box, Centre, cut
from animate.inference.compose import SourcePhoto
from animate.inference.live import LiveSession, Shown
from animate.inference.live.portrait import Portrait, on_canvas, size_of
from animate.inference.live.slot import Slot
from animate.inference.live.status import Meter
from animate.inference.predictor import Predictor
from animate.options import Label, Live, Options
from animate.provenance import keys, ledger
from animate.verification.verify import verify
from animate.watermark import LIVE, detect

NOTHING_SEEN = np.full((160, 160, 3), 90, np.uint8)
FACES = draw_calm(12, 160)


def show(session: LiveSession, frame: np.ndarray, when: float | None = None) -> Shown:
    """Push a frame and wait for its picture."""
    session.push(frame, when)
    shown = session.next(20)
    assert shown is not None
    return shown


# ---------------------------------------------------------------- the newest alone


def test_a_slot_holds_the_newest_item_alone() -> None:
    slot = Slot[int]()
    for number in range(5):
        slot.put(number)
    assert slot.take(0) == 4
    assert slot.take(0.01) is None
    slot.close()
    slot.put(5)
    assert slot.take() is None


def test_nothing_queues_up_before_a_slow_model(
    begin: Callable[..., LiveSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    session, slow = begin(), 0.15

    def moved(self: Portrait, *_: Any) -> np.ndarray:
        time.sleep(slow)
        return self.still

    monkeypatch.setattr(Portrait, "moved", moved)
    show(session, FACES[0])
    shown: list[Shown] = []
    for number in range(60):  # a hundred a second
        session.push(FACES[number % 12])
        time.sleep(0.01)
        shown += filter(None, [session.next(0)])
    last = time.monotonic()
    session.push(FACES[0], last)
    while not shown or shown[-1].when != last:
        shown += filter(None, [session.next(5)])
    assert len(shown) < 16  # of 61
    assert all(a.when < b.when for a, b in pairwise(shown))
    # a picture is as old as one frame before it and its own take, not as the 60 that came
    assert np.median([each.age for each in shown]) < 3 * slow


def test_ages_and_rates_are_counted_in_constant_memory() -> None:
    meter = Meter()
    assert (meter.shown, meter.fps(), meter.age(0.5), meter.overall()) == (0, 0, 0, 0)
    for age in (0.1, 0.1, 0.1, 0.2, 99.0):
        meter.count(age)
    assert meter.shown == 5
    assert meter.age(0.5) == pytest.approx(0.1)
    assert meter.age(0.8) == pytest.approx(0.2)
    assert meter.age(1) == pytest.approx(10)
    assert meter.fps() == pytest.approx(2.5)


def test_what_a_worker_meets_is_told(
    begin: Callable[..., LiveSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    session = begin()

    def moved(self: Portrait, *_: Any) -> np.ndarray:
        raise AnimateError("the model melted")

    monkeypatch.setattr(Portrait, "moved", moved)
    session.push(FACES[0])
    with pytest.raises(AnimateError, match="melted"):
        session.next(20)


# ---------------------------------------------------------------- the mark


def test_every_picture_is_labelled_and_marked(begin: Callable[..., LiveSession]) -> None:
    session = begin(2)
    pictures = [show(session, NOTHING_SEEN).frame]
    pictures += [show(session, face).frame for face in FACES[:4]]
    session.choose(2)
    pictures += [show(session, face).frame for face in FACES[4:7]]
    assert {picture.shape for picture in pictures} == {(*session.size, 3)}
    for part in (pictures[:5], pictures[5:]):
        found = detect(iter(part), [session.signer.mark_key], rate=25.0)
        assert found.marked
        assert found.payload == session.session.mark(session.claim).payload
    corner = np.s_[-20:, -60:]
    bare = begin(label=Label(text=None))
    plain = show(bare, FACES[0]).frame
    assert np.abs(pictures[1][corner].astype(int) - plain[corner]).max() > 60  # the label
    assert detect(iter([plain]), [bare.signer.mark_key], rate=1.0).marked


def test_a_screen_recording_leads_back_to_the_session(
    begin: Callable[..., LiveSession], own_home: Path, tmp_path: Path
) -> None:
    keys.init("Ada Example")
    session = begin()
    pictures = [show(session, FACES[i % 12]).frame for i in range(25)]
    report = verify(write_clip(tmp_path / "screen.mp4", pictures, "25"))
    assert report.verdict == "marked"
    assert report.reasons == [
        "it was shown live, and the pictures were not kept to compare it with"
    ]
    assert report.owner is not None
    assert report.owner.name == "Ada Example"
    assert report.entry is not None
    assert report.claim == session.claim
    assert report.source == "ledger"
    assert session.claim.clip_sha256 == LIVE
    assert report.alike is None
    assert ledger.verify()[0] >= report.entry.number


def test_the_session_has_no_way_round_the_mark() -> None:
    given = set(inspect.signature(LiveSession).parameters)
    assert given == {"photos", "options", "live", "clip"}
    public = [member for name, member in vars(LiveSession).items() if not name.startswith("_")]
    returned = {str(inspect.signature(member).return_annotation) for member in public}
    assert returned == {"None", "Shown | None", "Status", "Published"}
    with pytest.raises(AnimateError, match="strength"):
        Options().changed(strength=0)


# ---------------------------------------------------------------- the face


def test_a_lost_face_holds_the_picture_and_comes_back(begin: Callable[..., LiveSession]) -> None:
    session = begin()
    first = show(session, NOTHING_SEEN)
    assert (first.state, first.box) == ("lost", None)
    seen = show(session, FACES[0])
    assert seen.state == "live"
    assert seen.box is not None
    assert 60 < seen.box.left + seen.box.side / 2 < 100
    moved = show(session, FACES[5])
    lost = show(session, NOTHING_SEEN)
    assert lost.state == "lost"
    assert (lost.frame == moved.frame).all()
    assert show(session, FACES[6]).state == "live"
    assert session.status().state == "live"


def test_a_pose_in_doubt_is_not_used(
    begin: Callable[..., LiveSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    session = begin()
    moved = show(session, FACES[3])
    monkeypatch.setattr(Predictor, "doubts", lambda self, motion: [2.0] * len(motion))
    held = show(session, FACES[6])
    assert held.state == "held"
    assert (held.frame == moved.frame).all()


def test_calibrating_shows_the_photo_as_it_is(begin: Callable[..., LiveSession]) -> None:
    session, turned = begin(reference=0), draw_face(160, 0.05)
    with pytest.raises(AnimateError, match="no face"):
        session.calibrate()
    as_it_is = show(session, FACES[0]).frame.astype(int)
    away = np.abs(show(session, turned).frame - as_it_is).mean()
    session.calibrate()
    near = np.abs(show(session, turned).frame - as_it_is).mean()
    assert near < 0.1 * away


def test_a_better_reference_is_found(
    begin: Callable[..., LiveSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    distances = iter([5.0, 4.9, 5.0, 2.0, 2.0, 3.0])  # of the reference, and of the new pose
    monkeypatch.setattr(Predictor, "distance", lambda self, own, motion: next(distances))
    session = begin(reference=0)
    for face in FACES[:2]:
        show(session, face)
    first = session.head.reference
    session.better_reference()
    assert session.status().searching
    show(session, FACES[2])
    assert session.head.reference is first  # hardly nearer
    show(session, FACES[3])
    better = session.head.reference
    assert better is not first
    show(session, FACES[4])
    assert session.head.reference is better
    session.calibrate()
    assert not session.status().searching
    session.reset()
    show(session, FACES[5])
    assert session.head.reference is not first
    assert session.head.reference is not better


def test_a_mirrored_camera_moves_the_photo_as_the_other_side_does(
    begin: Callable[..., LiveSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1764300000")  # one claim, one mark
    same = {"faces": "centre", "reference": 0}
    plain, mirrored = begin(**same), begin(live=Live(mirror=True), **same)
    for face in FACES[:4]:
        one, other = show(plain, face), show(mirrored, np.ascontiguousarray(face[:, ::-1]))
        assert np.abs(one.frame.astype(int) - other.frame).max() <= 2
    reference = mirrored.head.reference
    mirrored.mirror()
    assert not mirrored.status().mirrored
    other_side = begin(**same)
    show(other_side, np.ascontiguousarray(FACES[0][:, ::-1]))
    last = np.ascontiguousarray(FACES[4][:, ::-1])
    turned = show(mirrored, last).frame.astype(int)  # the reference was turned round, too
    assert mirrored.head.reference is not reference
    assert np.abs(turned - show(other_side, last).frame).mean() < 0.1


def test_live_pictures_are_those_of_a_run(begin: Callable[..., LiveSession]) -> None:
    """Before label and mark, in which the runs' claims differ."""
    session = begin(reference=0, faces="centre", paste="crop", head=1.5)
    shown = []
    for face in FACES[:6]:
        show(session, face)
        assert session._drawn is not None
        shown.append(session._drawn.picture.astype(int))
    predictor, (face_,) = session.session.predictor, session._portraits[0].faces
    crops = [cut(face, Centre().locate(face), predictor.model.size) for face in FACES[:6]]
    run = list(predictor.frames(face_.source, crops, None, head=1.5))
    assert max(np.abs(a - b).max() for a, b in zip(shown, run, strict=True)) <= 1
    assert np.abs(shown[0] - shown[5]).max() > 10


# ---------------------------------------------------------------- photos and settings


def test_photos_of_other_shapes_are_fitted_into_the_first() -> None:
    pixels = np.full((300, 100, 3), 200, np.uint8)
    tall = SourcePhoto(Path("tall.png"), pixels, [Box(20, 120, 60)], [])
    assert size_of(tall, 512) == (300, 100)
    assert size_of(tall, 150) == (150, 50)
    canvas, (box,) = on_canvas(tall, (150, 200))
    assert canvas.shape == (150, 200, 3)
    assert (canvas[:, :75].any(), canvas[:, 75:125].all(), canvas[:, 125:].any()) == (0, 1, 0)
    assert (box.left, box.top, box.side) == (85, 60, 30)
    with pytest.raises(AnimateError, match="too long and narrow"):
        on_canvas(tall, (64, 640))


def test_photos_are_chosen_while_it_runs(begin: Callable[..., LiveSession]) -> None:
    session = begin(2)
    first = show(session, FACES[0]).frame
    session.choose(2)
    second = show(session, NOTHING_SEEN).frame  # even while the face is lost
    assert np.abs(first.astype(int) - second).mean() > 20
    assert session.status().photo == 2
    for number in (0, 3):
        with pytest.raises(AnimateError, match="choose one from 1 to 2"):
            session.choose(number)


def test_settings_change_while_it_runs(begin: Callable[..., LiveSession]) -> None:
    session = begin(reference=0)
    show(session, FACES[0])
    turned = draw_face(160, 0.04)
    moved = show(session, turned).frame
    session.change(head=0, smoothing=1.5)
    still = show(session, turned).frame
    assert np.abs(moved.astype(int) - still).mean() > 0.05
    assert session.options.retarget.head == 0
    for wrong in ({"mouth": "wide"}, {"checkpoint": "other"}, {"nose": 2}, {"mouth": 2}):
        with pytest.raises(AnimateError):
            session.change(**wrong)
    assert session.options.retarget.mouth == 1


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"start": 3.0}, "clip.start does nothing"),
        ({"size": 640}, "paste.size does nothing"),
        ({"missing": "fail"}, "faces.missing does nothing"),
        ({"reference": 7}, "retarget.reference"),
        ({"which": "all", "paste": "crop"}, "one face"),
    ],
)
def test_settings_without_effect_are_refused(
    begin: Callable[..., LiveSession], settings: dict[str, Any], words: str
) -> None:
    with pytest.raises(AnimateError, match=words):
        begin(**settings)


def test_other_numbers_of_photos_and_odd_frames_are_refused(
    begin: Callable[..., LiveSession],
) -> None:
    for photos in ([], ["photo.png"] * 10):
        with pytest.raises(AnimateError, match="1 to 9"):
            LiveSession(photos)
    session = begin(paste="crop")
    for frame in (np.zeros((9, 9), np.uint8), np.zeros((9, 9, 3)), np.zeros((0, 9, 3), np.uint8)):
        with pytest.raises(AnimateError, match="push takes"):
            session.push(frame)
    assert show(session, FACES[0]).frame.shape == (*session.size, 3)
