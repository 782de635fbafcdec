"""What `verify` says of signed files, of copies of them, and of what inputs carried."""

from __future__ import annotations

import dataclasses
import shutil
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_verification import CLAIM, OTHER, convert, encode, foreign, picture, published, write

from animate.errors import AnimateError
from animate.provenance import identity, keys, ledger
from animate.provenance.credentials import Signature, read
from animate.provenance.fingerprint import file_sampler
from animate.provenance.identity import Public
from animate.provenance.manifest import beside
from animate.publish import publish
from animate.verification.describe import describe
from animate.verification.verify import Report, frames_of, history, verify
from animate.watermark import Claim, Embedder, Mark, Payload

# ---------------------------------------------------------------- signed files


def pixels(path: Path) -> list[bytes]:
    return [frame.tobytes() for frame in frames_of(path)[0]]


def verdict(report: Report) -> str:
    return f"{report.verdict}: {'; '.join(report.reasons)}"


@pytest.mark.parametrize("name", ["a.mp4", "a.webm", "a.png", "a.webp"])
def test_a_file_as_it_was_signed_is_authentic(tmp_path: Path, ada: Public, name: str) -> None:
    report = verify(published(tmp_path / name).path)
    assert report.verdict == "authentic"
    assert (report.signature.state, report.signature.key) == ("trusted", ada.id)
    assert report.owner == ada
    assert report.source == "manifest"
    assert report.entry is not None
    assert report.alike


def test_the_toolkits_key_never_makes_authentic(tmp_path: Path, own_home: Path) -> None:
    report = verify(published(tmp_path / "a.png").path)
    assert (report.verdict, report.signature.state) == ("marked", "public")


def test_a_verifier_with_the_public_half_trusts_the_signature(
    tmp_path: Path, ada: Public, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = published(tmp_path / "a.png").path
    (tmp_path / "half.json").write_text(keys.export())
    monkeypatch.setenv("ANIMATE_HOME", str(tmp_path / "verifier"))
    report = verify(path)
    assert report.verdict != "authentic"
    assert report.signature.state == "untrusted"
    keys.trust(tmp_path / "half.json")
    assert verify(path).verdict == "authentic"
    Image.open(path).convert("RGB").save(tmp_path / "b.png")
    assert verify(tmp_path / "b.png").verdict == "marked"  # no ledger, no key


@pytest.mark.parametrize(
    "options", [("-crf", "26"), ("-ss", "0.4", "-crf", "20"), ("-vf", "eq=brightness=0.05")]
)
def test_a_re_encoded_copy_is_traced_by_mark_and_ledger(
    tmp_path: Path, ada: Public, options: tuple[str, ...]
) -> None:
    copy = convert(published(tmp_path / "a.mp4").path, tmp_path / "b.mkv", "-map_metadata", "-1",
                   *options)  # fmt: skip
    report = verify(copy)
    assert report.verdict == "traced", verdict(report)
    assert report.signature.state == "none"
    assert "what was changed since, sound included, can't be told" in describe(report)
    assert (report.claim, report.source) == (CLAIM, "ledger")
    ledger.path().unlink()
    assert verify(copy).verdict == "marked"


@pytest.mark.parametrize("how", ["transpose=1", "vflip,hflip", "hflip"])
def test_a_turned_copy_is_traced_by_mark_and_ledger(tmp_path: Path, ada: Public, how: str) -> None:
    """Thumbnails are compared in the orientation that was found."""
    copy = convert(published(tmp_path / "a.mp4", seconds=0.6).path, tmp_path / "b.mkv",
                   "-map_metadata", "-1", "-crf", "20", "-vf", how)  # fmt: skip
    report = verify(copy)
    assert report.verdict == "traced", verdict(report)
    assert report.alike
    place = report.detection.place
    assert place is not None
    assert place.orientation
    assert place.orientation in verdict(report)


def test_another_claim_with_the_content_id_of_a_published_one_is_tampering(
    tmp_path: Path, ada: Public, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An id of 32 bits is soon found again, so the signed claim counts, not that of the tags."""
    copy = convert(published(tmp_path / "a.mp4", seconds=0.6).path, tmp_path / "b.mkv",
                   "-map_metadata", "-1", "-crf", "20")  # fmt: skip
    same = CLAIM.content_id()
    monkeypatch.setattr(Claim, "content_id", lambda _: same)
    monkeypatch.setattr("animate.verification.verify._claim", lambda _: OTHER)
    report = verify(copy)
    assert report.verdict == "tampered", verdict(report)
    assert (report.claim, report.source) == (CLAIM, "ledger")


def test_a_strangers_manifest_over_copied_marks_traces_nothing(
    tmp_path: Path, ada: Public, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mallory signs other pictures, with thumbnails of these and the payload of Ada's mark."""
    own = read(published(tmp_path / "a.png").path)
    assert own.record is not None
    secret = Embedder(Mark(Payload.of(CLAIM, ada.mark_key or b""), ada.mark_key or b""), 256, 256)
    Image.fromarray(secret(foreign(1)[0])).save(tmp_path / "b.png")
    sampler = file_sampler(1.0)
    list(sampler(iter(foreign(1))))
    theirs = dataclasses.replace(own.record, claim=OTHER, fingerprint=sampler.result())
    stranger = Signature("untrusted", "untrusted", name="Mallory", record=theirs)
    monkeypatch.setattr("animate.verification.verify.read", lambda *_, **__: stranger)
    report = verify(tmp_path / "b.png")
    assert report.verdict in ("marked", "tampered"), verdict(report)
    assert report.alike is False
    assert (report.claim, report.source) == (CLAIM, "ledger")


def test_a_mark_lifted_onto_other_pictures_traces_nothing(tmp_path: Path, ada: Public) -> None:
    """Residual of one signed still, and the right key's payload, on pictures of somebody else."""
    path = published(tmp_path / "a.png").path
    residual = np.asarray(Image.open(path)).astype(int) - picture()
    Image.fromarray((foreign(1)[0] + residual).clip(0, 255).astype(np.uint8)).save(
        tmp_path / "b.png"
    )
    report = verify(tmp_path / "b.png")
    assert report.verdict in ("marked", "not found"), verdict(report)
    secret = Embedder(Mark(Payload.of(CLAIM, ada.mark_key or b""), ada.mark_key or b""), 256, 256)
    Image.fromarray(secret(foreign(1)[0])).save(tmp_path / "c.png")
    report = verify(tmp_path / "c.png")
    assert report.verdict == "marked", verdict(report)
    assert report.entry is not None
    assert report.alike is False


def test_a_lifted_mark_with_the_manifest_beside_it_is_tampering(
    tmp_path: Path, ada: Public
) -> None:
    path = published(tmp_path / "a.mkv").path
    secret = Embedder(Mark(Payload.of(CLAIM, ada.mark_key or b""), ada.mark_key or b""), 256, 256)
    copy = encode(tmp_path / "b.mkv", [secret(frame) for frame in foreign(25)])
    shutil.copy(beside(path), beside(copy))
    report = verify(copy)
    assert report.verdict == "tampered", verdict(report)


@pytest.mark.parametrize("name", ["a.mp4", "a.webm", "a.png"])
def test_copied_metadata_on_foreign_pixels_is_never_authentic(
    tmp_path: Path, ada: Public, name: str
) -> None:
    signed = published(tmp_path / name).path
    copy = tmp_path / f"b{signed.suffix}"
    if name == "a.png":
        chunks = signed.read_bytes()
        at = chunks.index(b"caBX") - 4
        manifest = chunks[at : at + 12 + int.from_bytes(chunks[at : at + 4], "big")]
        Image.fromarray(foreign(1)[0]).save(copy)
        whole = copy.read_bytes()
        copy.write_bytes(whole[:33] + manifest + whole[33:])
    elif name == "a.mp4":
        encode(copy, foreign(25), "-metadata", f"comment={CLAIM.json()}")
        boxes = signed.read_bytes()
        at = boxes.index(bytes.fromhex("d8fec3d61b0e483c92975828877ec481")) - 8
        copy.write_bytes(
            copy.read_bytes() + boxes[at : at + int.from_bytes(boxes[at : at + 4], "big")]
        )
    else:
        encode(copy, foreign(25), "-metadata", f"comment={CLAIM.json()}")
        shutil.copy(beside(signed), beside(copy))
    report = verify(copy)
    assert report.verdict in ("tampered", "not found"), verdict(report)
    assert report.signature.state in ("changed", "invalid")


@pytest.mark.parametrize("name", ["a.mp4", "a.png"])
def test_no_flipped_byte_changes_what_a_signature_vouches_for(
    tmp_path: Path, ada: Public, name: str
) -> None:
    """A few bytes are signed by nobody: the padding of the manifest. They change nothing."""
    path = published(tmp_path / name, seconds=0.4).path
    whole, shown = path.read_bytes(), pixels(path)
    for at in np.random.default_rng(0).integers(0, len(whole), 4):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :])
        try:
            report = verify(path)
        except AnimateError:
            continue
        if report.signature.state == "trusted":
            assert report.claim == CLAIM, at
            assert pixels(path) == shown, at
        elif report.verdict == "authentic":
            assert report.signature.state == "none", at


def test_a_revoked_key_vouches_for_nothing(tmp_path: Path, ada: Public) -> None:
    path = published(tmp_path / "a.png").path
    Image.open(path).convert("RGB").save(tmp_path / "b.jpg", quality=95)
    assert verify(tmp_path / "b.jpg").verdict == "traced"
    keys.rotate(stolen=True)
    assert verify(path).signature.state == "revoked"
    assert verify(path).verdict == "marked"
    assert verify(tmp_path / "b.jpg").verdict == "marked"
    assert verify(published(tmp_path / "c.png").path).verdict == "authentic"


def test_a_rotated_key_still_vouches_for_what_it_signed(tmp_path: Path, ada: Public) -> None:
    path = published(tmp_path / "a.png").path
    keys.rotate()
    assert verify(path).verdict == "authentic"


def test_the_root_of_one_can_not_vouch_for_the_key_of_another(
    tmp_path: Path, ada: Public, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mallory, whom we trust to be Mallory, makes a certificate with the serial number of Ada's."""
    from animate.provenance.certificates import certificate, new_key, read_chain, to_pem

    root, leaf = new_key(), new_key()
    top = certificate("root", "Mallory", root, None, root)
    serial = read_chain(ada.certificates)[0].serial_number
    monkeypatch.setattr("animate.provenance.certificates.fingerprint", lambda _: f"{serial:016x}")
    forged = certificate("leaf", "Ada Example", leaf, top, root)
    monkeypatch.undo()
    monkeypatch.setenv("ANIMATE_HOME", str(tmp_path / "own home"))
    chain = to_pem(forged).decode() + to_pem(top).decode()
    half = Public("0" * 16, "Mallory", chain)
    signer = identity.Signer(half, leaf, identity.derive(leaf))
    frames = [picture(move=i / 500) for i in range(12)]
    out = publish(
        tmp_path / "a.mp4", frames, mark=Mark(Payload.of(CLAIM, signer.mark_key), signer.mark_key),
        claim=CLAIM, rate=Fraction(25), signer=signer,
    ).path  # fmt: skip
    known = [ada, Public("1" * 16, "Mallory", to_pem(top).decode())]
    monkeypatch.setattr(keys, "trusted", lambda: known)
    report = verify(out)
    assert report.verdict != "authentic", verdict(report)
    assert report.signature.state == "untrusted"


# ---------------------------------------------------------------- history


def test_what_an_input_carried_stays_in_the_history(tmp_path: Path, ada: Public) -> None:
    from animate.media.clips import sha256
    from animate.provenance.manifest import Ingredient

    photo = published(tmp_path / "photo.png").path
    assert str(Payload.of(CLAIM, ada.mark_key or b"")) in history(photo)
    plain = write(tmp_path / "plain.mkv", picture(), None)
    assert history(plain) == ""
    signer = keys.signer()
    inputs = [Ingredient("photo", photo, sha256(photo), history(photo)),
              Ingredient("driving video", plain, sha256(plain), history(plain))]  # fmt: skip
    out = publish(
        tmp_path / "out.mp4", [picture(move=i / 500) for i in range(12)], claim=OTHER,
        mark=Mark(Payload.of(OTHER, signer.mark_key), signer.mark_key), rate=Fraction(25),
        signer=signer, ingredients=inputs,
    ).path  # fmt: skip
    import json

    import c2pa

    whole = json.loads(c2pa.Reader(str(out)).json())
    active = whole["manifests"][whole["active_manifest"]]
    first, second = active["ingredients"]
    assert whole["manifests"][first["active_manifest"]]["signature_info"]["issuer"] == "Ada Example"
    assert "payload" in first["description"]
    assert second["title"] == "driving video"
    assert str(tmp_path) not in json.dumps(whole)
