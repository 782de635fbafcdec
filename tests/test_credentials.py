"""Of other makers' manifests no more is said than what was found; ours have to hold throughout."""

from __future__ import annotations

import io
import json
import struct
from pathlib import Path
from typing import Any

import c2pa
import numpy as np
import pytest
from PIL import Image, features

from animate.cli import main
from animate.errors import AnimateError
from animate.provenance import findings, identity, keys, tags, xmp
from animate.provenance.credentials import Signature, read, signature_of
from animate.provenance.kinds import kind_of
from animate.provenance.manifest import beside, settings
from animate.verification.describe import describe
from animate.verification.verify import verify

pytestmark = pytest.mark.usefixtures("blind")
TRAINED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
CAPTURE = "http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture"
UNKNOWN = "signingCredential.untrusted"
BOUND = ("claimSignature.validated", "assertion.hashedURI.match", "assertion.dataHash.match")
SERIAL = {"cert_serial_number": "720724073027128164015", "common_name": "A Signer"}


def told(
    *failed: str,
    passed: tuple[str, ...] = BOUND,
    generator: str = "Another tool",
    signed: dict[str, Any] | None = SERIAL,
    ingredient: tuple[str, ...] = (),
    recorded: tuple[str, ...] = (),
    elsewhere: tuple[str, ...] = (),
) -> dict[str, Any]:
    """What C2PA's reader says of a manifest "a" with an ingredient, whose manifest is "b"."""
    used = {"title": "photo", "label": "c2pa.ingredient", "active_manifest": "b",
            "validation_status": [{"code": code} for code in recorded]}  # fmt: skip
    active = {"claim_generator_info": [{"name": generator}], "signature_info": signed,
              "ingredients": [used], "assertions": []}  # fmt: skip
    own = [{"code": code, "url": "self#jumbf=/c2pa/a/c2pa.signature", "explanation": "why"}
           for code in failed]  # fmt: skip
    own += [{"code": code, "url": "self#jumbf=/c2pa/b/c2pa.signature"} for code in elsewhere]
    delta = {"ingredientAssertionURI": "self#jumbf=/c2pa/a/c2pa.assertions/c2pa.ingredient",
             "validationDeltas": {"failure": [{"code": code} for code in ingredient]}}  # fmt: skip
    results = {
        "activeManifest": {"failure": own, "success": [{"code": code} for code in passed]},
        "ingredientDeltas": [delta],
    }
    return {"active_manifest": "a", "manifests": {"a": active, "b": {}},
            "validation_results": results,
            "validation_state": "Invalid" if failed or ingredient else "Valid"}  # fmt: skip


def signature(**arguments: Any) -> Signature:
    found = findings.of(told(*arguments.pop("failed", ()), **arguments))
    assert found is not None
    return signature_of(found, None)


UNBOUND = BOUND[:2]
CASES: list[tuple[str, dict[str, Any], str, str]] = [
    # what is so, what the reader says, the state, a part of the note
    ("a stranger's key", {"failed": [UNKNOWN]}, "untrusted", ""),
    ("a serial number in hexadecimal",
     {"failed": [UNKNOWN], "signed": {"cert_serial_number": "0a:1f"}}, "untrusted", ""),
    ("no serial number", {"failed": [UNKNOWN], "signed": {"issuer": "A"}}, "untrusted", ""),
    ("nothing said of the signer", {"failed": [UNKNOWN], "signed": None}, "untrusted", ""),
    ("an identity that is unknown", {"failed": [UNKNOWN, "cawg.ica.did_unavailable"]},
     "untrusted", "identity in it (CAWG) could not be confirmed: cawg.ica.did_unavailable"),
    ("a time stamp that fails", {"failed": [UNKNOWN, "timeStamp.mismatch"]},
     "untrusted", "its time stamp: timeStamp.mismatch"),
    ("a certificate of another profile", {"failed": ["signingCredential.invalid"]},
     "untrusted", "the signer's certificate: signingCredential.invalid"),
    ("no word from its issuer", {"failed": [UNKNOWN, "signingCredential.ocsp.unknown"]},
     "untrusted", "the signer's certificate: signingCredential.ocsp.unknown"),
    ("a revoked key", {"failed": [UNKNOWN, "signingCredential.ocsp.revoked"]}, "revoked", ""),
    ("an expired certificate", {"failed": ["signingCredential.expired"]}, "expired", ""),
    ("an algorithm that the library lacks",
     {"failed": ["algorithm.unsupported"], "passed": BOUND[2:]}, "unchecked",
     "algorithm that can't be checked here: algorithm.unsupported"),
    ("a rule for actions that is broken", {"failed": [UNKNOWN, "assertion.action.malformed"]},
     "untrusted", "C2PA reports assertion.action.malformed"),
    ("another file", {"failed": [UNKNOWN, "assertion.dataHash.mismatch"], "passed": UNBOUND},
     "changed", ""),
    ("another file, by its boxes",
     {"failed": [UNKNOWN, "assertion.boxesHash.mismatch"], "passed": UNBOUND}, "changed", ""),
    ("a hash that holds, of more than the manifest left out",
     {"failed": [UNKNOWN, "assertion.dataHash.mismatch"]}, "unchecked",
     "assertion.dataHash.mismatch (why), though the hash holds"),
    ("no hash of the file", {"failed": [UNKNOWN], "passed": UNBOUND}, "unchecked", "no hash"),
    ("a changed assertion", {"failed": [UNKNOWN, "assertion.hashedURI.mismatch"]},
     "invalid", "assertion.hashedURI.mismatch"),
    ("a changed claim", {"failed": ["claimSignature.mismatch"], "passed": BOUND[1:]},
     "invalid", "claimSignature.mismatch"),
    ("a broken ingredient", {"failed": [UNKNOWN], "ingredient": ("assertion.hashedURI.mismatch",)},
     "untrusted", "one of its ingredients is faulty: assertion.hashedURI.mismatch"),
    ("an ingredient that was broken before",
     {"failed": [UNKNOWN], "recorded": ("claimSignature.mismatch",)},
     "untrusted", "one of its ingredients is faulty: claimSignature.mismatch"),
    ("an ingredient that is kept elsewhere",
     {"failed": [UNKNOWN], "recorded": ("manifest.inaccessible",)},
     "untrusted", "one of its ingredients could not be checked in full: manifest.inaccessible"),
    ("an ingredient that is missing",
     {"failed": [UNKNOWN, "ingredient.manifest.missing"]},
     "untrusted", "one of its ingredients is faulty: ingredient.manifest.missing"),
    ("an ingredient of a stranger", {"failed": [UNKNOWN], "ingredient": (UNKNOWN,)},
     "untrusted", ""),
    ("an unknown identity in an ingredient",
     {"failed": [UNKNOWN], "elsewhere": ("cawg.ica.did_unavailable",)}, "untrusted", ""),
]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "state", "note"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_others_manifests_are_told_as_they_are(
    own_home: Path, given: dict[str, Any], state: str, note: str
) -> None:
    found = signature(**given)
    assert found.state == state
    assert note in "; ".join(found.notes)
    assert bool(found.notes) == bool(note)
    for code in given.get("ingredient", ()) + given.get("recorded", ()):
        assert ("photo", code) in found.ingredient_problems


STRICT = [UNKNOWN, "assertion.dataHash.mismatch", "assertion.boxesHash.mismatch"]


@pytest.mark.parametrize("given", [c[1] for c in CASES], ids=[c[0] for c in CASES])
def test_a_manifest_of_ours_has_to_hold_throughout(own_home: Path, given: dict[str, Any]) -> None:
    """Whatever fails but trust, the file's own hash, or what an input brought, is tampering."""
    found = signature(**given, generator="animate 0")
    failed = [c for c in given["failed"] if c not in (*STRICT, "signingCredential.expired")]
    faults = [c for c in (*failed, *given.get("ingredient", ())) if c != UNKNOWN]
    named = given.get("signed", SERIAL) == SERIAL
    assert (found.state == "invalid") == (bool(faults) or not named)
    assert found.state in ("invalid", "untrusted", "expired", "changed")


# ---------------------------------------------------------------- files


@pytest.fixture
def stranger(own_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> identity.Signer:
    """Somebody whom this machine does not know."""
    with monkeypatch.context() as patch:
        patch.setenv("ANIMATE_HOME", str(tmp_path / "elsewhere"))
        keys.init("Somebody Else")
        return keys.signer()


def picture(path: Path, **options: Any) -> Path:
    y, x = np.mgrid[:96, :96]
    Image.fromarray(np.stack([x, y, x + y], -1).astype(np.uint8)).save(path, **options)
    return path


def sign(
    path: Path, signer: identity.Signer, *assertions: tuple[str, Any], remote: str = "",
    parent: Path | None = None,
) -> bytes:  # fmt: skip
    """Sign a file in place as another tool would; with `remote` its manifest is not put into it."""
    created = {"action": "c2pa.created", "digitalSourceType": CAPTURE}
    if not any(label.startswith("c2pa.actions") for label, _ in assertions):
        assertions = (("c2pa.actions.v2", {"actions": [created]}), *assertions)
    listed = [{"label": label, "data": data} for label, data in assertions]
    plain = {"claim_generator_info": [{"name": "Another tool"}], "assertions": listed}
    context = c2pa.Context.from_dict(settings())
    algorithm = getattr(c2pa.C2paSigningAlg, signer.algorithm.upper())
    chain = "".join(keys.split(signer.public.certificates)[:-1])
    signing = c2pa.Signer.from_callback(signer.sign, algorithm, chain, None)
    kind = kind_of(path)
    assert kind is not None
    with c2pa.Builder.from_json(json.dumps(plain), context) as builder, signing:
        if parent is not None:
            used = {"title": "photo", "relationship": "componentOf"}
            with parent.open("rb") as file:
                builder.add_ingredient(used, kind_of(parent), file)
        if remote:
            builder.set_no_embed()
            builder.set_remote_url(remote)
        made = io.BytesIO()
        manifest = bytes(builder.sign(signing, kind, io.BytesIO(path.read_bytes()), made))
    path.write_bytes(made.getvalue())
    return manifest


def flip(path: Path, text: bytes) -> None:
    data = bytearray(path.read_bytes())
    data[data.rindex(text)] ^= 1
    path.write_bytes(data)


NAMES = ["a.jpg", "a.png", "a.webp", *(["a.avif"] if features.check("avif") else [])]


@pytest.mark.parametrize("name", NAMES)
def test_a_strangers_file_is_signed(tmp_path: Path, stranger: identity.Signer, name: str) -> None:
    path = picture(tmp_path / name)
    sign(path, stranger)
    found = read(path)
    assert (found.state, found.name) == ("untrusted", "Somebody Else")
    assert found.notes == ()


def test_a_strangers_changed_file_is_changed_and_not_tampered(
    tmp_path: Path, stranger: identity.Signer
) -> None:
    path = picture(tmp_path / "a.jpg")
    sign(path, stranger)
    data = bytearray(path.read_bytes())
    data[-20] ^= 1
    path.write_bytes(data)
    report = verify(path)
    assert report.signature.state == "changed"
    assert report.verdict == "not found"


def test_a_strangers_broken_ingredient_is_the_ingredients(
    tmp_path: Path, stranger: identity.Signer
) -> None:
    photo, path = picture(tmp_path / "photo.jpg"), picture(tmp_path / "a.png")
    sign(photo, stranger, ("org.example.note", {"text": "some words here"}))
    flip(photo, b"some words here")
    assert read(photo).state == "invalid"
    sign(path, stranger, parent=photo)
    report = verify(path)
    assert report.signature.state == "untrusted"
    assert ("photo", "assertion.hashedURI.mismatch") in report.signature.ingredient_problems
    assert "unchanged since" in describe(report)
    assert "ingredients is faulty: assertion.hashedURI.mismatch" in describe(report)


@pytest.mark.parametrize("name", ["a.jpg", "a.png"])
def test_a_manifest_elsewhere_is_named_and_not_fetched(
    tmp_path: Path, stranger: identity.Signer, name: str
) -> None:
    path = picture(tmp_path / name)
    link = "http://127.0.0.1:9/manifests/one.c2pa"
    manifest = sign(path, stranger, remote=link)
    report = verify(path)
    assert (report.signature.state, report.signature.remote) == ("remote", link)
    assert (report.verdict, report.tags.manifest) == ("not found", link)
    assert link in describe(report)
    beside(path).write_bytes(manifest)  # and where it is at hand, it is read
    assert (read(path).state, read(path).beside) == ("untrusted", True)
    data = bytearray(path.read_bytes())
    data[-20] ^= 1
    path.write_bytes(data)
    assert read(path).state == "changed"


def test_a_link_in_xmp_alone_is_a_manifest_elsewhere(tmp_path: Path, own_home: Path) -> None:
    link = "https://example.org/a.c2pa"
    packet = xmp.packet(CAPTURE).replace(
        b'rdf:about=""', f'rdf:about="" xmlns:t="{xmp.DCTERMS}" t:provenance="{link}"'.encode()
    )
    path = picture(tmp_path / "a.webp", xmp=packet)
    report = verify(path)
    assert (report.signature.state, report.signature.remote) == ("remote", link)


def test_what_the_library_does_not_read_is_not_called_damaged(
    tmp_path: Path, stranger: identity.Signer
) -> None:
    path = picture(tmp_path / "a.jpg")
    sign(path, stranger)
    data = path.read_bytes()
    assert data.count(b"sha256")
    path.write_bytes(data.replace(b"sha256", b"sha999"))
    found = read(path)
    assert found.state in ("unchecked", "invalid")
    if found.state == "unchecked":
        assert "does not read it" in found.notes[0]


def test_a_file_that_is_not_parsed_and_holds_no_manifest_has_none(
    tmp_path: Path, own_home: Path
) -> None:
    """A TIFF whose folders go round in a ring is refused by C2PA's library."""
    ring = b"II*\0" + struct.pack("<IH", 8, 0) + struct.pack("<I", 8)
    path = tmp_path / "a.tif"
    path.write_bytes(ring + bytes(64))
    assert read(path).state == "none"


# ---------------------------------------------------------------- labels


@pytest.mark.parametrize(
    ("label", "data"),
    [
        ("c2pa.actions.v2",
         {"actions": [{"action": "c2pa.created", "digitalSourceType": f" {TRAINED}"}]}),
        ("c2pa.actions", {"actions": [{"action": "c2pa.created", "digitalSourceType": TRAINED}]}),
        ("stds.iptc", {"@context": {"Iptc4xmpExt": xmp.IPTC},
                       "Iptc4xmpExt:DigitalSourceType": TRAINED}),
        ("org.example.ai", {"deep": [{"x.digital_source_type": [{"@id": TRAINED}]}]}),
    ],
)  # fmt: skip
def test_source_types_in_others_manifests_are_labels(
    tmp_path: Path, stranger: identity.Signer, label: str, data: dict[str, Any]
) -> None:
    path, whole = picture(tmp_path / "a.jpg"), picture(tmp_path / "b.png")
    sign(path, stranger, (label, data))
    assert tags.read(path).source in (TRAINED, CAPTURE)
    report = verify(path)
    assert report.signature.sources[-1] == TRAINED
    assert "IPTC source type trainedAlgorithmicMedia" in describe(report)
    sign(whole, stranger, parent=path)
    assert TRAINED in read(whole).ingredient_sources
    assert "trainedAlgorithmicMedia in an ingredient" in describe(verify(whole))


def box(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", 8 + len(data)) + kind + data


@pytest.mark.parametrize("brand", [b"qt  ", b"isom"])
def test_the_source_type_of_a_quicktime_film_is_read(tmp_path: Path, brand: bytes) -> None:
    packet = xmp.packet(CAPTURE)
    user = box(b"udta", box(b"name", b"x") + box(b"XMP_", packet) + bytes(4))
    film = box(b"ftyp", brand + bytes(4)) + box(b"moov", box(b"trak", b"") + user)
    uuid = box(b"ftyp", brand + bytes(4)) + box(b"uuid", tags.XMP_BOX + packet)
    for data in (film, uuid):
        (tmp_path / "a.mov").write_bytes(data + box(b"mdat", b"x"))
        assert tags.read(tmp_path / "a.mov").source == CAPTURE


def test_boxes_in_boxes_are_followed_no_further_than_xmp_lies(tmp_path: Path) -> None:
    data = b""
    for _ in range(3000):
        data = box(b"moov", data)
    (tmp_path / "a.mov").write_bytes(box(b"ftyp", b"qt  " + bytes(4)) + data)
    assert tags.read(tmp_path / "a.mov") == tags.Tags()


# ---------------------------------------------------------------- kinds and folders


@pytest.mark.parametrize(
    ("brands", "kind"),
    [
        (b"heic", "image/heic"), (b"heix", "image/heic"), (b"avif", "image/avif"),
        (b"avis", "image/avif"), (b"mif1", "image/heif"), (b"msf1", "image/heif"),
        (b"mif1" b"mif1heic", "image/heic"), (b"mif1" b"miafavif", "image/avif"),
        (b"qt  ", "video/quicktime"), (b"isom" b"mp42heic", "video/mp4"),
    ],
)  # fmt: skip
def test_the_brands_of_a_file_say_its_kind(tmp_path: Path, brands: bytes, kind: str) -> None:
    path = tmp_path / "a"
    path.write_bytes(box(b"ftyp", brands[:4] + bytes(4) + brands[4:]) + box(b"mdat", b"mif1"))
    assert kind_of(path) == kind


def test_a_folder_tells_of_the_pictures_that_it_can_not_read(
    tmp_path: Path, own_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = box(b"ftyp", b"heic" + bytes(4)) + box(b"mdat", b"nothing")
    (tmp_path / "b.heic").write_bytes(broken)
    (tmp_path / "c").write_bytes(b"8BPS\0\1" + bytes(40))
    (tmp_path / "notes.txt").write_text("not looked at")
    assert main(["verify", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert "b.heic" in said
    assert str(tmp_path / "c") in said
    assert "2 of 2 files could not be read" in said
    picture(tmp_path / "a.png")
    assert main(["verify", "--json", str(tmp_path)]) == 2
    told = json.loads(capsys.readouterr().out)
    assert [item["verdict"] for item in told["files"]] == ["not found", "unreadable", "unreadable"]
    assert told["unreadable"] == 2
    (tmp_path / "only text").mkdir()
    (tmp_path / "only text" / "a.txt").write_text("Get free of it\n")
    assert main(["verify", str(tmp_path / "only text")]) == 2
    assert "holds no pictures or videos" in capsys.readouterr().err


def test_a_heif_that_pixels_can_not_be_read_from_is_no_clip(tmp_path: Path) -> None:
    path = tmp_path / "a.heic"
    path.write_bytes(box(b"ftyp", b"heic" + bytes(4)) + box(b"mdat", b"nothing"))
    assert tags.is_still(path)
    with pytest.raises(AnimateError, match=r"a\.heic"):
        verify(path)
