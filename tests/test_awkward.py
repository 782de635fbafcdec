"""Whatever people have: every input works, or says in one line what is wrong and what to do.

The table of outcomes in docs/awkward-inputs.md is made by `python tests/test_awkward.py` and held
to by these tests.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from awkward_clips import CLIPS
from awkward_photos import PHOTOS, Maker
from conftest import ROOT

from animate.errors import AnimateError
from animate.faces import photo_locator
from animate.inference import advice
from animate.inference.compose import read_source
from animate.inference.driver import open_driver
from animate.inference.predictor import Predictor
from animate.options import Faces

PAGE = ROOT / "docs" / "awkward-inputs.md"

KINDS = [  # what a single photo or clip doesn't show: kind, outcome, and the test that holds it
    ("a driver that fades, loses focus or has a hand before the face",
     "untrusted poses are interpolated or held, counted and named",
     "test_doubt.py::test_frames_out_of_focus_are_bridged_and_counted"),
    ("a driver or source video that fades to another person",
     "the last pose before the fade is held; a source video's frames stay as they are",
     "test_doubt.py::test_a_fade_to_another_person_is_held_and_counted"),
    ("a driver that wipes, slides, squeezes or dissolves to another person",
     "one scene cut; the poses of the transition are held",
     "test_scenes.py::test_one_person_passes_into_another_once_and_is_held_meanwhile"),
    ("a driver that cuts, fades or wipes to another person before the same ground",
     "one scene cut; the poses of the transition are held",
     "test_scenes.py::test_people_before_one_ground_pass_into_each_other"),
    ("a driver from which a part of a talk was cut out", "no scene cut: the person goes on",
     "test_scenes.py::test_one_person_who_is_elsewhere_at_once_is_no_cut"),
    ("a clip with another picture laid over it for a moment", "held meanwhile; no scene cut",
     "test_scenes.py::test_what_lies_over_a_scene_for_a_moment_belongs_to_none"),
    ("a driver or source video whose face leaves the frame, or is cut by black bars",
     "held from where a quarter of its landmarks is gone",
     "test_doubt.py::test_landmarks_beyond_the_edge_of_the_frame_are_not_seen"),
    ("a driver whose head is rolled for a while", "it is not taken as the reference frame",
     "test_driver.py::test_the_reference_is_a_head_as_upright_as_the_photos"),
    ("a photo of fewer than 64 pixels a side, with a short clip",
     "published if the mark can be read; else the refusal names what holds it",
     "test_drafts.py::test_nothing_stays_when_the_mark_is_lost_and_what_holds_it_is_named"),
    ("a driver without one trusted pose", "used unchanged, and said so",
     "test_doubt.py::test_a_driver_that_is_never_in_focus_is_used_as_it_is"),
    ("a driver whose head moves far: aside, nearer, rolled by 40 degrees, turned in absolute "
     "motion",
     "the head stays near its place in the photo, with its hair and neck, and frames are counted; "
     "retarget.head=1 goes all the way, and says that it goes too far",
     "test_heads.py::test_a_head_in_a_photo_stays_near_its_place_unless_asked_to_go"),
    ("a photo with hair up to the edge of the face's square", "hair that rises leaves the square",
     "test_paste.py::test_a_head_that_rises_far_keeps_its_crown"),
    ("a source video", "its person keeps the head's movement; other movement ends near the neck",
     "test_compose.py::test_a_head_is_not_shown_far_from_its_neck"),
    ("a source video on its side", "read upright, written as it lay",
     "test_compose.py::test_a_clip_that_lies_moves_as_one_that_stands"),
    ("a photo with an open mouth", "the mouth closes and opens as the driver's does",
     "test_mouth.py::test_a_mouth_that_is_open_in_the_photo_closes_and_opens_as_the_drivers_does"),
    ("a covered mouth", "it moves with the head alone, and the run says so first",
     "test_covered.py::test_a_covered_mouth_does_not_part_and_is_told_of"),
    ("a grey or sepia photo", "teeth, tongue and eyes are painted in its ink",
     "test_light.py::test_frames_of_a_grey_photo_are_grey"),
    ("a photo in coloured light", "teeth, tongue and eyes take that light",
     "test_light.py::test_a_lamps_colour_is_found_on_the_skin"),
    ("faces whose squares overlap, faces.which=all", "each as sharp as alone",
     "test_paste.py::test_faces_whose_squares_overlap_are_as_sharp_as_alone"),
    ("one face of a group that lies or is an animal's", "what is said names that face",
     "test_advice.py::test_what_is_said_of_a_face_names_it_among_others"),
    ("flat or mostly transparent pictures",
     "marked more strongly and encoded more exactly until the mark is read back",
     "test_drafts.py::test_a_mark_that_is_lost_is_made_louder"),
    ("blocks of random colours",
     "the same; at the very end they lose contrast, and the run says so",
     "test_drafts.py::test_blocks_of_random_colours_are_published"),
    ("colours of a result in players that heed tags and in others", "the same within a grey level",
     "test_written_colours.py::test_players_that_heed_the_tags_and_those_that_do_not_agree"),
    ("HDR as training photos and folders of frames", "in the colours that viewers show",
     "test_colours.py::test_a_folder_of_frames_and_training_photos_have_their_profiles_followed"),
    ("a pipe or process substitution", "read whole, as often as needed; its hash is the content's",
     "test_pipes.py::test_a_pipe_has_no_hash_of_nothing"),
    ("a reader that has gone (`| head`)", "ends with 141, which is no verdict",
     "test_pipes.py::test_a_reader_that_has_gone_is_no_verdict"),
    ("a full or closed standard output", "one line and 74, which is no verdict",
     "test_pipes.py::test_output_that_can_t_be_written_is_one_line_and_no_verdict"),
    ("a spreadsheet's table: semicolons, tabs, UTF-16, empty rows",
     "read; errors name the file's line",
     "test_tables.py::test_rows_know_their_line_and_empty_ones_are_left_out"),
    ("a batch's result outside its folder", "that row fails in one line",
     "test_tables.py::test_results_stay_in_the_batch_s_folder"),
    ("an empty path, a deleted folder, COLUMNS=1", "one line, or help that fits",
     "test_cli.py::test_an_empty_path_is_refused_in_a_line"),
    ("verify: turned or mirrored pixels, or an orientation tag", "found, and said how it is turned",
     "test_verification.py::test_a_file_that_was_turned_or_mirrored_says_so"),
    ("verify: a stranger's signed file", "signed by an unknown key, never tampered with",
     "test_credentials.py::test_a_strangers_file_is_signed"),
    ("verify: a stranger's broken ingredient", "said of the ingredient",
     "test_credentials.py::test_a_strangers_broken_ingredient_is_the_ingredients"),
    ("verify: a manifest kept elsewhere", "its address is named, nothing is fetched",
     "test_credentials.py::test_a_manifest_elsewhere_is_named_and_not_fetched"),
    ("verify: a manifest that C2PA's library can't check", "unchecked, not damaged",
     "test_credentials.py::test_what_the_library_does_not_read_is_not_called_damaged"),
    ("verify: source types in MOV and inside others' manifests", "read as labels",
     "test_credentials.py::test_source_types_in_others_manifests_are_labels"),
    ("an interlaced clip that doesn't say so", "deinterlaced, and said so",
     "test_interlaced.py::"
     "test_combs_are_found_and_taken_out_of_a_clip_that_does_not_say_it_is_interlaced"),
    ("an AVIF of 10 or 12 bits, or of limited range",
     "read exactly, where Pillow is up to 11 levels off",
     "test_coding_points.py::test_an_avif_of_limited_range_keeps_its_blue"),
    ("verify: HEIC and AVIF, alone and in folders", "read, or named and counted",
     "test_credentials.py::test_a_folder_tells_of_the_pictures_that_it_can_not_read"),
    ("verify: a whole manifest in a damaged file", "the file is changed, the manifest is whole",
     "test_changed.py::test_a_whole_manifest_in_a_damaged_file_is_not_called_damaged"),
    ("verify: one frame of a marked video", "too little to compare, and said so",
     "test_changed.py::test_one_picture_of_a_clip_is_too_little_to_compare"),
    ("verify: hostile files", "one line or a verdict within time and memory",
     "test_bombs.py::test_each_gets_its_line_or_verdict_within_its_limits"),
]  # fmt: skip

# ---------------------------------------------------------------- outcomes


def of_photo(path: Path) -> str:
    photo = read_source(path, photo_locator(Faces()), everyone=False)
    others = len(photo.faces) - len(photo.boxes)
    notes = advice.of_photo(photo.faces[0], others, photo.pixels.shape)
    return "; ".join(["works", *notes])


def of_clip(path: Path, predictor: Predictor) -> str:
    driver = open_driver(path)
    count = sum(1 for _ in driver.poses(predictor))
    met = driver.stats
    parts = [f"works: {count} poses at {driver.rate} a second"]
    parts += [f"{met.missing} without a face"] * bool(met.missing)
    parts += [f"{met.cuts} scene cut"] * bool(met.cuts)
    parts += [f"turned upright by {90 * met.turns} degrees"] * bool(met.turns)
    parts += [f"the driver's sound is left out: {driver.silent}"] * bool(driver.silent)
    return ", ".join(parts)


def outcome(make: Maker, folder: Path, of: Callable[[Path], str]) -> str:
    """What comes of an input, with its path written FILE."""
    path = make(folder)
    try:
        return of(path)
    except AnimateError as error:
        text = str(error)
        assert "\n" not in text
        return text.replace(str(path), "FILE").replace(str(folder), "FILE")


@pytest.fixture(scope="module")
def predictor(world: Path) -> Predictor:
    from animate.checkpoints import load

    return Predictor(load(world / "tiny.safetensors")[0].eval(), torch.float32)


def told(kind: str, name: str) -> str:
    """What the page says comes of an input."""
    rows = [line.split(" | ") for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    found = [row[2].removesuffix(" |") for row in rows if row[:2] == [f"| {kind}", name]]
    return found[0] if found else "not in the table"


@pytest.mark.parametrize("name", PHOTOS)
def test_a_photo_works_or_says_why(name: str, tmp_path: Path) -> None:
    assert outcome(PHOTOS[name], tmp_path, of_photo) == told("photo", name)


@pytest.mark.parametrize("name", CLIPS)
def test_a_clip_works_or_says_why(name: str, tmp_path: Path, predictor: Predictor) -> None:
    assert outcome(CLIPS[name], tmp_path, lambda path: of_clip(path, predictor)) == told(
        "clip", name
    )


def test_the_page_names_the_tests_of_the_other_kinds() -> None:
    page = PAGE.read_text()
    for kind, what, where in KINDS:
        assert f"| {kind} | {what} | `tests/{where}` |" in page
        file, name = where.split("::")
        assert re.search(rf"^def {name}\(", (ROOT / "tests" / file).read_text(), re.M), where


def test_there_are_enough_of_them() -> None:
    assert len(PHOTOS) + len(CLIPS) >= 40


def main() -> None:
    """Print the table."""
    import tempfile

    from animate import models

    predictor = Predictor(models.build("first_order_gated", size=128).eval(), torch.float32)
    print("| as | input | outcome |\n|---|---|---|")
    for kind, makers in (("photo", PHOTOS), ("clip", CLIPS)):
        for name, make in makers.items():
            with tempfile.TemporaryDirectory() as folder:
                of = of_photo if kind == "photo" else lambda path: of_clip(path, predictor)
                print(f"| {kind} | {name} | {outcome(make, Path(folder), of)} |")
    print("\n## Other kinds\n\n| input | outcome | held by |\n|---|---|---|")
    for kind, what, where in KINDS:
        print(f"| {kind} | {what} | `tests/{where}` |")


if __name__ == "__main__":
    main()
