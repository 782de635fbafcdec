"""What is published is read alike by readers that know nothing of this toolkit."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import av
import c2pa
import imageio_ffmpeg
import pytest
from conftest import draw_frames, write_clip
from PIL import Image

from animate.media import clips
from animate.provenance import keys
from animate.provenance.manifest import Ingredient, beside
from animate.publish import publish
from animate.watermark import Claim, Mark, Payload
from animate.watermark.payload import PUBLISHED

XMP = ["a.mp4", "a.mov", "a.gif", "a.png", "a.jpg", "a.webp"]
MATROSKA = ["a.webm", "a.mkv"]
AIGC = "{http://www.tc260.org.cn/ns/AIGC/1.0/}AIGC"
SOURCE = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType"
TRAINED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
SEVEN = ["Label", "ContentProducer", "ProduceID", "ReservedCode1", "ContentPropagator",
         "PropagateID", "ReservedCode2"]  # fmt: skip
CODE = "001191440300708461136T1308L"  # a provider's code, as GB 45438-2025 has them


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One file of each format, signed by an identity of its own, with two inputs."""
    folder = tmp_path_factory.mktemp("files")
    frames = draw_frames(6, 160)
    photo, driver = folder / "photo.png", write_clip(folder / "driver.mp4", frames)
    Image.fromarray(frames[0]).save(photo)
    made = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANIMATE_HOME", str(folder / "home"))
        keys.init("Ada <Example> & Söhne")
        signer = keys.signer()
        hashes = clips.sha256(photo), clips.sha256(driver)
        claim = Claim("animate 0", "none", "0" * 64, *hashes, "2026-01-02T03:04:05Z", 'a <"& é 日')
        inputs = [Ingredient("photo", photo, hashes[0]),
                  Ingredient("driving video", driver, hashes[1])]  # fmt: skip
        for name in [*XMP, *MATROSKA]:
            still = name[2:] in ("png", "jpg", "webp")
            made[name] = publish(
                folder / name, frames[: 1 if still else 6], claim=claim, signer=signer,
                mark=Mark(Payload.of(claim, signer.mark_key), signer.mark_key), producer=CODE,
                rate=None if still else Fraction(25), ingredients=inputs,
            ).path  # fmt: skip
        made["anchor"] = folder / "anchor.pem"
        made["anchor"].write_text(signer.public.anchor)
    return made


def packet(path: Path) -> ElementTree.Element:
    """The only XMP packet of a file, found by its first and last tag."""
    (found,) = re.findall(rb"<x:xmpmeta.*?</x:xmpmeta>", path.read_bytes(), re.DOTALL)
    return ElementTree.fromstring(found)


def ffmetadata(path: Path) -> dict[str, str]:
    """What `ffmpeg -f ffmetadata` says, unescaped, in capitals."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(path), "-f", "ffmetadata"]
    said = subprocess.run([*command, "-"], capture_output=True, text=True, check=True).stdout
    pairs = re.findall(r"^([^;#=\n]+)=((?:\\.|[^\\\n])*)$", said, re.MULTILINE | re.DOTALL)
    return {name.upper(): re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL) for name, text in pairs}


def is_the_label(text: str) -> bool:
    """GB 45438-2025: seven values in order, printable ASCII without space, quotes, backslash."""
    pairs = json.loads(text, object_pairs_hook=list)
    values = dict(pairs)
    return (
        [name for name, _ in pairs] == SEVEN
        and all(re.fullmatch(r"""[!#-&(-\[\]-~]*""", value) for value in values.values())
        and values["Label"] == "1"
        and values["ContentProducer"] == values["ContentPropagator"] == CODE
        and values["ProduceID"] == values["PropagateID"] != ""
    )


@pytest.mark.parametrize("name", XMP)
def test_an_xml_parser_reads_the_source_type(files: dict[str, Path], name: str) -> None:
    (source,) = packet(files[name]).iter(SOURCE)
    assert source.text == TRAINED


@pytest.mark.parametrize("name", [*XMP, *MATROSKA])
def test_the_aigc_label_is_there_exactly_once(files: dict[str, Path], name: str) -> None:
    assert files[name].read_bytes().count(b'"ContentProducer"') == 1
    in_tags = ffmetadata(files[name]).get("AIGC") if name[2:] not in ("png", "jpg", "webp") else ""
    in_xmp = [node.text or "" for node in packet(files[name]).iter(AIGC)] if name in XMP else []
    (label,) = [*in_xmp, *filter(None, [in_tags])]
    assert is_the_label(label)


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", *MATROSKA])
def test_ffmpeg_and_pyav_read_the_same_tags(files: dict[str, Path], name: str) -> None:
    with av.open(str(files[name])) as container:
        tags = {key.upper(): value for key, value in container.metadata.items()}
    said = ffmetadata(files[name])
    names = ["AIGC", "COMMENT", *(["DIGITAL_SOURCE_TYPE"] if name in MATROSKA else [])]
    assert {key: said[key] for key in names} == {key: tags[key] for key in names}
    assert is_the_label(tags["AIGC"])
    assert json.loads(tags["COMMENT"])["consent"] == 'a <"& é 日'
    if name in MATROSKA:
        assert tags["DIGITAL_SOURCE_TYPE"] == TRAINED


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp"])
def test_pillow_reads_the_packet(files: dict[str, Path], name: str) -> None:
    with Image.open(files[name]) as image:
        image.load()
        said = image.getxmp()["xmpmeta"]["RDF"]["Description"]
    assert said["DigitalSourceType"] == TRAINED
    assert is_the_label(said["AIGC"])


@pytest.mark.parametrize("name", [*XMP, *MATROSKA])
def test_a_c2pa_reader_reads_the_manifest(files: dict[str, Path], name: str) -> None:
    path = files[name]
    whole, codes = content_credentials(path)
    active = whole["manifests"][whole["active_manifest"]]
    said = {a["label"]: a["data"] for a in active["assertions"]}
    created, marked = said["c2pa.actions.v2"]["actions"]
    assert (created["action"], created["digitalSourceType"]) == ("c2pa.created", TRAINED)
    assert len(created["parameters"]["ingredients"]) == 2
    assert marked["action"] == "c2pa.watermarked.bound"
    assert [(i["title"], i["relationship"]) for i in active["ingredients"]] == [
        ("photo", "inputTo"), ("driving video", "inputTo"),
    ]  # fmt: skip
    bound = said["c2pa.soft-binding"]
    assert bound["alg"] == f"org.animate-toolkit.mark.{PUBLISHED}"
    assert re.fullmatch("[0-9a-f]{16}", bound["blocks"][0]["value"])
    uses = said["cawg.training-mining"]["entries"].values()
    assert {entry["use"] for entry in uses} == {"notAllowed"}
    assert active["signature_info"]["issuer"] == "Ada <Example> & Söhne"
    assert codes >= {"claimSignature.validated", "claimSignature.insideValidity"}
    if name in XMP:
        assert whole["validation_state"] == "Valid"  # and its signer unknown, to a stranger
        trusting, _ = content_credentials(path, files["anchor"].read_text())
        assert trusting["validation_state"] == "Trusted"
    else:  # no C2PA reader opens the format: the signed record names the file's own hash
        record = said["org.animate-toolkit.record"]
        assert record["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()


def content_credentials(path: Path, anchor: str = "") -> tuple[dict[str, Any], set[str]]:
    """What c2pa's own reader says, and the codes of what it found right."""
    settings: dict[str, Any] = {"version": 1, "verify": {"verify_trust": True}}
    if anchor:
        settings["trust"] = {"user_anchors": anchor}
    kind = f"image/{path.suffix[1:]}".replace("jpg", "jpeg")
    kind = {".mp4": "video/mp4", ".mov": "video/quicktime"}.get(path.suffix, kind)
    if path.name in MATROSKA:
        path, kind = beside(path), "application/c2pa"
    context = c2pa.Context.from_dict(settings)
    with path.open("rb") as file, c2pa.Reader(kind, file, context=context) as reader:
        whole = json.loads(reader.json())
    return whole, {
        code["code"] for code in whole["validation_results"]["activeManifest"]["success"]
    }


@pytest.mark.skipif(shutil.which("exiftool") is None, reason="exiftool is not installed")
@pytest.mark.parametrize("name", [*XMP, *MATROSKA])
def test_exiftool_reads_label_and_source_type(files: dict[str, Path], name: str) -> None:
    command = ["exiftool", "-json", "-duplicates", "-G1", str(files[name])]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    (tags,) = json.loads(said, object_pairs_hook=list)
    found = [(key.split(":")[-1].upper(), value) for key, value in tags]
    assert [value for key, value in found if key == "DIGITALSOURCETYPE"] == [TRAINED]
    labels = [value for key, value in found if key == "AIGC"]
    assert [is_the_label(label) for label in labels] == [True]
    assert not [value for key, value in found if key in ("WARNING", "ERROR")]
