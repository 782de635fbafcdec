"""Keys are made without knowing X.509, lie where only their owner reads, and can be handed over."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from animate.cli import main
from animate.errors import AnimateError
from animate.provenance import identity, keys
from animate.provenance.certificates import certificate, new_key, read_chain, split, to_pem
from animate.watermark import TOOLKIT_KEY


def test_without_a_key_the_toolkits_public_one_is_used(own_home: Path) -> None:
    assert keys.current() is None
    assert keys.signer() is identity.toolkit()
    assert keys.signer().mark_key == TOOLKIT_KEY
    assert not own_home.exists()


def test_the_toolkits_identity_is_the_same_on_every_machine(own_home: Path) -> None:
    other = "from animate.provenance import identity; print(identity.toolkit().public.id)"
    said = subprocess.run([sys.executable, "-c", other], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == identity.toolkit().public.id


def test_a_chain_leads_from_the_leaf_to_a_root(own_home: Path) -> None:
    leaf, middle, root = read_chain(keys.init("Ada Example").certificates)
    for below, above in ((leaf, middle), (middle, root), (root, root)):
        below.verify_directly_issued_by(above)
    assert keys.whose(leaf.serial_number) == keys.current().id  # type: ignore[union-attr]


def test_what_is_signed_verifies_with_the_certificate(own_home: Path) -> None:
    chain = keys.init("Ada").certificates
    made = keys.signer().sign(b"words")
    assert identity.signed(chain, made, b"words")
    assert not identity.signed(chain, made, b"other words")
    assert not identity.signed(identity.toolkit().public.certificates, made, b"words")


def test_only_the_owner_can_read_what_is_kept(own_home: Path) -> None:
    keys.init("Ada")
    keys.rotate(stolen=True)
    files = [p for p in own_home.rglob("*") if p.is_file()]
    assert len(files) == 6
    assert {p.stat().st_mode & 0o777 for p in files} == {0o600}


def test_there_is_one_first_key(own_home: Path) -> None:
    keys.init("Ada")
    with pytest.raises(AnimateError, match="rotate"):
        keys.init("Ada")


def test_a_rotated_key_has_the_same_root_and_another_mark(own_home: Path) -> None:
    old = keys.init("Ada")
    new = keys.rotate()
    assert keys.current() == new
    assert new.anchor == old.anchor
    assert new.mark_key != old.mark_key
    assert [p.id for p in keys.trusted()] == [old.id, new.id]
    assert keys.signer(old.id).mark_key == old.mark_key


def test_a_revoked_key_signs_nothing_and_says_so_to_verifiers(own_home: Path) -> None:
    old = keys.init("Ada")
    keys.rotate(stolen=True)
    with pytest.raises(AnimateError, match="revoked"):
        keys.signer(old.id)
    assert old.id in json.loads(keys.export())["revoked"]
    keys.revoke(keys.current().id)  # type: ignore[union-attr]
    with pytest.raises(AnimateError, match="rotate"):
        keys.signer()


def test_an_expired_key_is_refused_by_name(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = keys.init("Ada")
    ends = key.expires()
    monkeypatch.setattr(identity.Public, "expires", lambda public: ends - timedelta(days=365 * 20))
    with pytest.raises(AnimateError, match=rf"key {key.id} expired on \d{{4}}-\d\d-\d\d.*rotate"):
        keys.signer(key.id)


def test_a_pass_phrase_locks_signing_and_the_mark_key(
    own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert keys.init("Ada", passphrase="open sesame").mark_key is None
    with pytest.raises(AnimateError, match="ANIMATE_PASSPHRASE"):
        keys.signer()
    with pytest.raises(AnimateError, match="check the pass-phrase"):
        keys.signer(passphrase="open barley")
    with pytest.raises(AnimateError, match="locked"):
        keys.rotate()
    monkeypatch.setenv("ANIMATE_PASSPHRASE", "open sesame")
    assert keys.signer().mark_key == keys.trusted()[0].mark_key


def test_the_public_half_carries_no_secret_unless_asked(
    own_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    public, half = keys.init("Ada"), tmp_path / "ada.json"
    half.write_text(keys.export())
    assert "PRIVATE" not in half.read_text()
    assert "mark_key" not in half.read_text()
    whole = keys.export(mark_key=True)
    monkeypatch.setenv("ANIMATE_HOME", str(tmp_path / "verifier"))
    assert keys.trust(half).mark_key is None
    assert keys.trusted() == [keys.trust(half)]
    half.write_text(whole)
    assert keys.trust(half) == public


def test_a_verifier_hears_of_revocations_with_the_new_public_half(
    own_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, half = keys.init("Ada"), tmp_path / "ada.json"
    half.write_text(keys.export())
    keys.rotate(stolen=True)
    news = keys.export()
    monkeypatch.setenv("ANIMATE_HOME", str(tmp_path / "verifier"))
    assert keys.trust(half).revoked is None
    half.write_text(news)
    keys.trust(half)
    assert first.id in keys.revocations()
    assert {p.id: p.revoked is not None for p in keys.trusted()}[first.id]


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"schema": "animate.public-key/9"}', "[" * 100_000,
     '{"schema": "animate.public-key/1", "id": "a", "name": 1, "certificates": "", "revoked": {}}',
     '{"schema": "animate.public-key/1", "id": "a", "name": 1, "certificates": 3, "revoked": {}}'],
)  # fmt: skip
def test_what_is_no_public_half_is_refused(own_home: Path, tmp_path: Path, text: str) -> None:
    (tmp_path / "half.json").write_text(text)
    with pytest.raises(AnimateError):
        keys.trust(tmp_path / "half.json")
    assert not keys.trusted()


def test_a_public_half_of_another_name_is_refused(own_home: Path, tmp_path: Path) -> None:
    keys.init("Ada")
    value = json.loads(keys.export())
    (tmp_path / "half.json").write_text(json.dumps({**value, "id": "0" * 16}))
    with pytest.raises(AnimateError, match="contradicts"):
        keys.trust(tmp_path / "half.json")


def test_own_certificates_are_used_and_checked(own_home: Path, tmp_path: Path) -> None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    root, leaf = new_key(), Ed25519PrivateKey.generate()
    top = certificate("root", "Press", root, None, root)
    chain = tmp_path / "chain.pem"
    chain.write_bytes(to_pem(certificate("leaf", "Press", leaf, top, root)) + to_pem(top))
    private = tmp_path / "key.pem"
    private.write_bytes(to_pem(leaf))
    with pytest.raises(AnimateError, match="both"):
        keys.init("Press", certificates=chain)
    backwards = tmp_path / "backwards.pem"
    backwards.write_text("".join(reversed(split(chain.read_text()))))
    with pytest.raises(AnimateError, match="leaf first"):
        keys.init("Press", certificates=backwards, private_key=private)
    public = keys.init("Press", certificates=chain, private_key=private)
    assert keys.signer().algorithm == "ed25519"
    assert len(keys.signer().sign(b"x")) == 64
    assert public.anchor == to_pem(top).decode()
    with pytest.raises(AnimateError, match="issued elsewhere"):
        keys.rotate()


def test_a_root_that_may_not_sign_documents_is_refused(own_home: Path, tmp_path: Path) -> None:
    root = new_key()
    (tmp_path / "a").write_bytes(to_pem(certificate("root", "Press", root, None, root)))
    (tmp_path / "b").write_bytes(to_pem(root))
    with pytest.raises(AnimateError, match="key usage"):
        keys.init("Press", certificates=tmp_path / "a", private_key=tmp_path / "b")


def test_a_leaf_lasts_years(own_home: Path) -> None:
    assert keys.init("Ada").expires() > datetime.now(timezone.utc) + timedelta(days=365 * 9)


def test_the_command_makes_lists_exports_and_rotates(
    own_home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["keys", "list"]) == 0
    assert "no key of your own" in capsys.readouterr().out
    assert main(["keys", "init", "--name", "Ada Example"]) == 0
    assert main(["keys", "rotate", "--revoke"]) == 0
    assert main(["keys", "list"]) == 0
    said = capsys.readouterr().out
    assert "current" in said
    assert "revoked" in said
    out = tmp_path / "half.json"
    assert main(["keys", "export", "-o", str(out)]) == 0
    assert main(["keys", "export", "-o", str(out)]) == 2
    assert json.loads(out.read_text())["name"] == "Ada Example"
    assert main(["keys", "trust", str(out)]) == 0
    assert main(["keys", "export", "nobody"]) == 2
    assert main(["keys", "revoke", "nobody"]) == 2


@pytest.mark.parametrize(
    "name", ["", "  ", "a\nb", "a\x1b[2J", "\udcff\udcfe", "a\u202eb", "a" * 65, "\u00e9" * 33]
)
def test_a_name_that_can_t_be_shown_or_kept_whole_is_refused_in_a_line(
    name: str, own_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["keys", "init", "--name", name]) == 2
    said = capsys.readouterr().err
    assert said.startswith("animate: the name ")
    assert said.count("\n") == 1
    assert not own_home.exists()


@pytest.mark.parametrize("name", ["a", " Ada Example ", "a" * 64, "\u00e9" * 32, "\u7530" * 21])
def test_a_name_is_kept_whole_and_its_certificates_differ(name: str, own_home: Path) -> None:
    public = keys.init(name)
    assert public.name == name.strip()
    chain = read_chain(public.certificates)
    assert len({one.subject for one in chain}) == len(chain)
    assert keys.rotate().name == public.name


@pytest.mark.parametrize("name", ["a\nb", "\x1b[2J", "   ", "x" * 5000, "\u202eeda"])
def test_a_half_with_another_name_than_its_certificate_is_refused_in_a_safe_line(
    name: str, own_home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keys.init("Ada")
    half = json.loads(keys.export())
    shutil.rmtree(own_home)
    (tmp_path / "half.json").write_text(json.dumps({**half, "name": name}))
    assert main(["keys", "trust", str(tmp_path / "half.json")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.isprintable()
    assert len(line) < 700


def test_a_home_that_can_not_be_written_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ANIMATE_HOME", str(tmp_path / "file"))
    with pytest.raises(AnimateError, match="ANIMATE_HOME"):
        keys.init("Ada")


@pytest.mark.parametrize(
    ("known", "strange"),
    [("2a8648ce3d030107", "2a8648ce3d03017f"), ("a003020102", "a003020142")],
    ids=["curve", "version"],
)
def test_a_certificate_of_an_unknown_kind_is_one_clear_line(known: str, strange: str) -> None:
    from cryptography.hazmat.primitives.serialization import Encoding

    key = new_key()
    der = certificate("root", "Ada", key, None, key).public_bytes(Encoding.DER)
    assert bytes.fromhex(known) in der
    changed = base64.b64encode(der.replace(bytes.fromhex(known), bytes.fromhex(strange))).decode()
    pem = f"-----BEGIN CERTIFICATE-----\n{changed}\n-----END CERTIFICATE-----\n"
    with pytest.raises(AnimateError, match="certificate can't be read"):
        read_chain(pem)


def test_a_damaged_revocation_still_counts(own_home: Path) -> None:
    key = keys.init("Ada")
    keys.revoke(key.id)
    for file in (own_home / "revoked").iterdir():
        file.write_bytes(b"\0")
    assert list(keys.revocations()) == [key.id]
    with pytest.raises(AnimateError, match="no key"):
        keys.revoke("../x")


def test_revocations_of_earlier_versions_count(own_home: Path) -> None:
    own_home.mkdir(exist_ok=True)
    (own_home / "revoked.json").write_text(json.dumps({"0" * 16: "2026-01-01T00:00:00Z"}))
    assert keys.revocations() == {"0" * 16: "2026-01-01T00:00:00Z"}
