"""A trusted key speaks for itself and its user's other keys, and for nobody else."""

from __future__ import annotations

import json
import multiprocessing
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from animate.cli import main
from animate.errors import AnimateError
from animate.provenance import halves, identity, keys
from animate.provenance.certificates import certificate, new_key, read_chain, split, to_pem
from animate.provenance.credentials import read
from animate.provenance.fingerprint import Fingerprint
from animate.provenance.identity import Public, Signer, derive
from animate.provenance.manifest import Record, definition
from animate.provenance.signing_chain import signing_chain
from animate.publish.sign import sign
from animate.verification.verify import verify
from animate.watermark import Claim, Payload

pytestmark = pytest.mark.usefixtures("blind")
CLAIM = Claim("animate 0", "model", "a" * 64, "b" * 64, "c" * 64, "2026-01-01T00:00:00Z", "given")
GENERATED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"


class Home:
    """A user with an own ANIMATE_HOME; `with user:` acts as that user."""

    def __init__(self, folder: Path):
        self.folder = folder

    def __enter__(self) -> Home:
        self.patch = pytest.MonkeyPatch()
        self.patch.setenv("ANIMATE_HOME", str(self.folder))
        return self

    def __exit__(self, *_: object) -> None:
        self.patch.undo()

    def half(self, name: str = "", **arguments: Any) -> dict[str, Any]:
        """The public half of a user, who is made if need be."""
        with self:
            if name:
                keys.init(name)
            found: dict[str, Any] = json.loads(keys.export(**arguments))
            return found

    def signs(self, path: Path, identity_: str | None = None) -> Path:
        with self:
            return signed_by(keys.signer(identity_), path)

    def trusts(self, half: dict[str, Any], **arguments: Any) -> Public:
        self.folder.parent.mkdir(exist_ok=True, parents=True)
        file = self.folder.with_suffix(".json")
        file.write_text(json.dumps(half))
        with self:
            return keys.trust(file, **arguments)

    def judges(self, path: Path) -> str:
        with self:
            return read(path).state


def signed_by(signer: Signer, path: Path) -> Path:
    """A picture without a mark, signed with a record as the toolkit's."""
    y, x = np.mgrid[:64, :64]
    Image.fromarray(np.stack([x, y, x + y], -1).astype(np.uint8)).save(path)
    print_ = Fingerprint(1.0, np.zeros((1, 24, 24), np.uint8))
    payload = Payload.of(CLAIM, signer.mark_key)
    whole = definition(Record(CLAIM, str(payload), print_), payload, GENERATED)
    sign(path, path.with_suffix(".scratch"), path, whole, (), signer)
    return path


@pytest.fixture
def people(tmp_path: Path) -> dict[str, Home]:
    names = ("victor", "mallory", "verifier")
    return {name: Home(tmp_path / "homes" / name) for name in names}


def certified(name: str, authority: list[Any], *, number: int | None = None) -> Signer:
    """A key with a certificate of [key, intermediate, root] that others have too."""
    private, middle, root = authority
    key = new_key()
    with pytest.MonkeyPatch.context() as patch:
        if number is not None:
            patch.setattr("animate.provenance.certificates.fingerprint", lambda _: f"{number:016x}")
        leaf = certificate("leaf", name, key, middle, private)
    chain = "".join(to_pem(c).decode() for c in (leaf, middle, root))
    return Signer(Public(keys.identity_of(chain), name, chain, derive(key)), key, derive(key))


@pytest.fixture
def authority() -> list[Any]:
    top, below = new_key(), new_key()
    root = certificate("root", "Press", top, None, top)
    return [below, certificate("intermediate", "Press", below, root, top), root]


def half_of(signer: Signer) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(halves.text(replace(signer.public, mark_key=None)))
    return found


@pytest.mark.parametrize("length", [1, 2, 3])
def test_certificates_of_a_shared_authority_do_not_speak_for_each_other(
    tmp_path: Path, people: dict[str, Home], authority: list[Any], length: int
) -> None:
    victor = certified("Victor", authority)
    serial = read_chain(victor.public.certificates)[0].serial_number
    others = [certified("Mallory", authority), certified("Victor", authority),
              certified("Victor", authority, number=serial)]  # fmt: skip
    half = half_of(victor)
    half["certificates"] = "".join(split(half["certificates"])[:length])
    people["verifier"].trusts(half)
    assert people["verifier"].judges(signed_by(victor, tmp_path / "v.png")) == "trusted"
    for i, other in enumerate(others):
        file = signed_by(other, tmp_path / f"{i}.png")
        assert people["verifier"].judges(file) == "untrusted"
        with people["verifier"]:
            assert read(file).key == other.public.id


@pytest.mark.parametrize("name", ["Victor", "V" * 60, "\u00e9" * 32])
def test_rotated_keys_of_a_users_own_root_are_trusted_unseen(
    tmp_path: Path, people: dict[str, Home], name: str
) -> None:
    people["verifier"].trusts(people["victor"].half(name))
    with people["victor"]:
        keys.rotate()
    assert people["verifier"].judges(people["victor"].signs(tmp_path / "a.png")) == "trusted"


def test_two_chains_in_a_signature_name_nobody(tmp_path: Path, people: dict[str, Home]) -> None:
    """The reader of certificates: none of a cut or doubled store, those of the whole."""
    people["victor"].half("Victor")
    with people["victor"]:
        own = read_chain(keys.signer().public.certificates)
    file = people["victor"].signs(tmp_path / "a.png")
    import io

    import c2pa

    with c2pa.Reader(str(file)) as reader:
        label = json.loads(reader.json())["active_manifest"]
        into = io.BytesIO()
        reader.resource_to_stream(f"self#jumbf=/c2pa/{label}", into)
    store = into.getvalue()
    assert signing_chain(store, label)[0] == own[0]
    assert signing_chain(store, "another") == []
    assert signing_chain(store + store, label) == []
    for at in range(0, len(store), 97):
        assert signing_chain(store[:at], label) == []
    dice = np.random.default_rng(0)
    for _ in range(300):
        damaged = bytearray(store)
        damaged[dice.integers(len(store))] ^= 1 << int(dice.integers(8))
        signing_chain(bytes(damaged), label)  # certificates or none, never an exception


# ---------------------------------------------------------------- what a half may not do


def test_a_half_is_called_what_its_certificate_says(people: dict[str, Home]) -> None:
    half = people["mallory"].half("Mallory")
    with pytest.raises(AnimateError, match="contradicts itself"):
        people["verifier"].trusts({**half, "name": "Victor"})
    victor = people["victor"].half("Victor")
    mixed = split(victor["certificates"])[0] + split(half["certificates"])[-1]
    with pytest.raises(AnimateError, match="contradicts itself"):
        people["verifier"].trusts({**half, "id": victor["id"], "certificates": mixed})


@pytest.mark.parametrize("name", ["Victor", "victor ", "VICTOR", "\uff36ictor"])
def test_nobody_takes_a_name_that_is_known_here(people: dict[str, Home], name: str) -> None:
    people["verifier"].trusts(people["victor"].half("Victor"))
    again = people["mallory"].half(name)
    with pytest.raises(AnimateError, match="--name"):
        people["verifier"].trusts(again)
    assert people["verifier"].trusts(again, name="The other Victor").name == "The other Victor"
    assert people["verifier"].trusts(again).name == "The other Victor"  # kept
    with people["verifier"]:
        assert sorted(p.name for p in keys.trusted()) == ["The other Victor", "Victor"]


def test_a_half_of_the_same_key_changes_nothing_that_is_known(
    tmp_path: Path, people: dict[str, Home]
) -> None:
    """Mallory certifies Victor's key, cuts his chain, or gives a mark key of her own for him."""
    victor, mallory = people["victor"].half("Victor", mark_key=True), new_key()
    people["verifier"].trusts(victor)
    with people["verifier"]:
        before = keys.trusted()
    root = certificate("root", "Victor", mallory, None, mallory)
    public = read_chain(victor["certificates"])[0].public_key()

    class Borrowed:
        def public_key(self) -> Any:
            return public

    forged = to_pem(certificate("leaf", "Victor", Borrowed(), root, mallory)) + to_pem(root)
    for change in ({"certificates": forged.decode()}, {"mark_key": "A" * 44}):
        with pytest.raises(AnimateError, match="another meaning"):
            people["verifier"].trusts({**victor, **change})
    cut = {**victor, "certificates": split(victor["certificates"])[0]}
    people["verifier"].trusts({k: v for k, v in cut.items() if k != "mark_key"})
    with people["verifier"]:
        assert keys.trusted() == before
    with people["victor"]:
        keys.rotate()
    assert people["verifier"].judges(people["victor"].signs(tmp_path / "a.png")) == "trusted"


def test_nobody_claims_the_mark_key_of_another(people: dict[str, Home]) -> None:
    victor = people["victor"].half("Victor", mark_key=True)
    people["verifier"].trusts(victor)
    with pytest.raises(AnimateError, match="mark key"):
        people["verifier"].trusts(
            {**people["mallory"].half("Mallory"), "mark_key": victor["mark_key"]}
        )


def test_nobody_revokes_the_key_of_another(tmp_path: Path, people: dict[str, Home]) -> None:
    """Neither a key that is known, nor one that will be, nor the toolkit's; signed or not."""
    victor, mallory = people["victor"].half("Victor"), people["mallory"].half("Mallory")
    people["verifier"].trusts(victor)
    with people["victor"]:
        new = keys.rotate()
    listed = dict.fromkeys([victor["id"], new.id, identity.toolkit().public.id], "2026-01-01")
    with people["mallory"]:
        signer = keys.signer()
        own = json.loads(halves.text(signer.public, revoked=listed, signer=signer))
    people["verifier"].trusts(own)
    for doctored in ({**mallory, "revoked": listed}, {**victor, "revoked": listed}):
        people["verifier"].trusts(doctored)
    with people["verifier"]:
        assert keys.revocations() == {}
    for key in (victor["id"], new.id):
        file = people["victor"].signs(tmp_path / f"{key}.png", key)
        assert people["verifier"].judges(file) == "trusted"
    file = signed_by(identity.toolkit(), tmp_path / "toolkit.png")
    assert people["verifier"].judges(file) == "public"


def test_a_user_revokes_keys_of_the_own_root_that_the_verifier_never_saw(
    tmp_path: Path, people: dict[str, Home]
) -> None:
    first = people["victor"].half("Victor")
    with people["victor"]:
        stolen = keys.rotate().id
        stolen_signer = keys.signer()
        keys.rotate(stolen=True)
    people["verifier"].trusts(first)
    file = signed_by(stolen_signer, tmp_path / "a.png")
    assert people["verifier"].judges(file) == "trusted"
    news = people["victor"].half()
    assert stolen in news["revoked"]
    people["verifier"].trusts(news)
    assert people["verifier"].judges(file) == "revoked"
    people["verifier"].trusts(first)  # an old copy takes nothing back
    assert people["verifier"].judges(file) == "revoked"


def test_revocations_without_a_signature_are_named(
    people: dict[str, Home], capsys: pytest.CaptureFixture[str]
) -> None:
    half = people["victor"].half("Victor")
    file = people["verifier"].folder.with_suffix(".json")
    file.write_text(json.dumps({**half, "revoked": {half["id"]: "2026-01-01"}}))
    with people["verifier"]:
        assert main(["keys", "trust", str(file)]) == 0
        assert "without the signature" in capsys.readouterr().err
        assert keys.revocations() == {}


# ---------------------------------------------------------------- the toolkit's key


@pytest.mark.parametrize("kind", ["whole", "leaf", "below", "issued", "mark"])
def test_the_toolkits_public_key_can_not_be_trusted_by_accident(
    people: dict[str, Home], authority: list[Any], kind: str
) -> None:
    toolkit = identity.toolkit()
    own = certified("Mallory", authority)
    half = half_of(own)
    chain = split(toolkit.public.certificates)
    if kind in ("whole", "leaf"):
        half = half_of(toolkit)
        half["certificates"] = "".join(chain if kind == "whole" else chain[:1])
    elif kind == "below":
        half["certificates"] += chain[-1]
    elif kind == "issued":
        middle = [toolkit.private, *read_chain("".join(chain))[:1]]
        half = half_of(certified("Mallory", [*middle, read_chain("".join(chain))[-1]]))
        half["certificates"] = split(half["certificates"])[0]
    else:
        import base64

        half["mark_key"] = base64.b64encode(toolkit.mark_key).decode()
    with pytest.raises(AnimateError, match="everybody has"):
        people["verifier"].trusts(half)
    with people["verifier"]:
        assert keys.trusted() == []


def test_the_toolkits_certificates_are_nobodys_own(people: dict[str, Home], tmp_path: Path) -> None:
    toolkit = identity.toolkit()
    (tmp_path / "chain.pem").write_text(toolkit.public.certificates)
    (tmp_path / "key.pem").write_bytes(to_pem(toolkit.private))
    with people["mallory"], pytest.raises(AnimateError, match="everybody has"):
        keys.init("x", certificates=tmp_path / "chain.pem", private_key=tmp_path / "key.pem")


# ---------------------------------------------------------------- odd and damaged files


def layouts(pem: str) -> dict[str, str]:
    """One certificate as other programs write it, and as none should."""
    first, *body, last = pem.strip().splitlines()
    joined = "".join(body)
    return {
        "one line": f"{first}\n{joined}\n{last}\n",
        "spaces": "\n".join([first, *(line + "  " for line in body), last]),
        "crlf": "\r\n".join([first, *body, last, ""]),
        "header": "\n".join([first, "X-Note: hello", "", *body, last]),
        "tabs": "\n".join([first, *("\t" + line for line in body), last]),
        "no newline": f"{first}{joined}{last}",
        "damaged": f"{first}\n{joined[:-40]}\n{last}",
        "nothing": "",
    }


@pytest.mark.parametrize("layout", sorted(layouts("a\nb\nc")))
def test_an_odd_certificate_leaves_everybody_elses_files_verifiable(
    tmp_path: Path, people: dict[str, Home], layout: str
) -> None:
    people["verifier"].trusts(people["victor"].half("Victor"))
    half = people["mallory"].half("Mallory")
    chain = split(half["certificates"])
    for place in (0, -1):
        chain[place] = layouts(chain[place])[layout]
    odd = people["verifier"].folder / "trusted" / "odd.json"
    odd.write_text(json.dumps({**half, "certificates": "".join(chain)}))
    assert people["verifier"].judges(people["victor"].signs(tmp_path / "v.png")) == "trusted"
    with people["verifier"]:
        wrong, names = keys.damaged(), {p.name for p in keys.trusted()}
        assert len(wrong) + len(names) == 2
        assert all(line.count("\n") == 0 and str(odd) in line for line in wrong)
    expected = "untrusted" if wrong else "trusted"
    assert people["verifier"].judges(people["mallory"].signs(tmp_path / "m.png")) == expected


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\xfe", b"[" * 90_000, b'{"schema": 1}'])
def test_a_damaged_half_is_named_in_one_line_and_the_others_count(
    tmp_path: Path, people: dict[str, Home], content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    people["verifier"].trusts(people["victor"].half("Victor"))
    odd = people["verifier"].folder / "trusted" / "0.json"
    odd.write_bytes(content)
    file = people["victor"].signs(tmp_path / "v.png")
    with people["verifier"]:
        main(["verify", "--jobs", "1", str(file)])
        said = capsys.readouterr()
        assert "signed by 'Victor', an identity you trust" in said.out
        assert said.err.count("\n") == 1
        assert str(odd) in said.err
        assert verify(file).signature.state == "trusted"


def _revoke(arguments: tuple[str, str]) -> None:
    os.environ["ANIMATE_HOME"], key = arguments
    keys.revoke(key)


def test_revocations_at_the_same_time_are_all_kept(tmp_path: Path) -> None:
    ids = [f"{i:016x}" for i in range(60)]
    with multiprocessing.get_context("fork").Pool(3) as pool:
        pool.map(_revoke, [(str(tmp_path), key) for key in ids], chunksize=1)
    with Home(tmp_path):
        assert sorted(keys.revocations()) == ids
