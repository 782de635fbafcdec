"""`animate keys`: make, list, export, rotate, trust and revoke the keys that sign and mark."""

from __future__ import annotations

import argparse
from typing import Any

from animate.cli.arguments import command, refuse, some_path
from animate.cli.warnings import warn, warn_of_damaged_keys
from animate.errors import AnimateError
from animate.system.text import safe


def register(commands: Any) -> None:
    keys = commands.add_parser("keys", help="make, list, export, rotate and trust signing keys")
    actions = keys.add_subparsers(metavar="ACTION", required=True)
    init = command(actions, "init", make, "make a key of your own: `run` signs with it")
    init.add_argument(
        "--name", required=True, help="your name (at most 64 letters), which `animate verify` shows"
    )
    init.add_argument(
        "--certificates", type=some_path, metavar="PEM", help="your own certificates, leaf first"
    )
    init.add_argument(
        "--private-key",
        type=some_path,
        metavar="PEM",
        help="their private key: EC P-256 or Ed25519",
    )
    command(actions, "list", show, "list your keys, and other people's that you trust")
    export = command(actions, "export", hand_over, "print the public half, for people who verify")
    export.add_argument("key", nargs="?", metavar="KEY", help="its id (default: the current key)")
    export.add_argument(
        "--with-mark-key",
        action="store_true",
        help="add the secret that reads watermarks; anyone who has it can also forge them",
    )
    export.add_argument("-o", "--out", type=some_path, help="the file to write (default: print it)")
    rotate = command(actions, "rotate", replace, "make a new key; files signed before stay valid")
    rotate.add_argument(
        "--revoke", action="store_true", help="the old key was stolen: also revoke it"
    )
    for action in (init, rotate):
        action.add_argument(
            "--passphrase", action="store_true", help="ask for a pass-phrase that encrypts the key"
        )
    trust = command(actions, "trust", accept, "trust the public half of another person's key")
    trust.add_argument("file", type=some_path, metavar="FILE", help="output of their `keys export`")
    trust.add_argument(
        "--name", help="what to call them here (default: the name in their certificate)"
    )
    revoke = command(actions, "revoke", withdraw, "let no file count that a key signed or marked")
    revoke.add_argument("key", metavar="KEY", help="its id")


def make(arguments: argparse.Namespace, others: list[str]) -> int:
    refuse(others, arguments)
    from animate.provenance import keys

    passphrase = _passphrase() if arguments.passphrase else None
    public = keys.init(
        arguments.name,
        passphrase=passphrase,
        certificates=arguments.certificates,
        private_key=arguments.private_key,
    )
    print(f"key {public.id} of {safe(public.name)} made, valid until {public.expires():%Y-%m-%d}")
    print("give `animate keys export` to people who verify; back up the folder of the key")
    return 0


def show(arguments: argparse.Namespace, others: list[str]) -> int:
    refuse(others, arguments)
    from animate.provenance import keys
    from animate.system.paths import home

    warn_of_damaged_keys()
    own, newest = keys.identities(), keys.current()
    for public in keys.trusted():
        is_own = any(p.id == public.id for p in own)
        mark = "unknown" if public.mark_id is None else f"{public.mark_id:03x}"
        state = (
            f"revoked {public.revoked}" if public.revoked else f"until {public.expires():%Y-%m-%d}"
        )
        kind = "yours" if is_own else "trusted"
        kind += ", current" if newest and newest.id == public.id else ""
        print(f"{public.id}: {safe(repr(public.name))}, {kind}, {state}, mark key {mark}")
    if not own:
        print(f"no key of your own in {home()}: make one with `animate keys init --name NAME`")
    return 0


def hand_over(arguments: argparse.Namespace, others: list[str]) -> int:
    refuse(others, arguments)
    from animate.provenance import keys

    text = keys.export(arguments.key, mark_key=arguments.with_mark_key)
    if arguments.out is None:
        print(text, end="")
        return 0
    try:
        with arguments.out.open("x") as file:
            file.write(text)
    except OSError as error:
        raise AnimateError(f"{arguments.out} can't be written: {error.strerror}") from error
    return 0


def replace(arguments: argparse.Namespace, others: list[str]) -> int:
    refuse(others, arguments)
    from animate.provenance import keys

    public = keys.rotate(
        stolen=arguments.revoke, passphrase=_passphrase(False) if arguments.passphrase else None
    )
    print(f"key {public.id} of {safe(public.name)} made, valid until {public.expires():%Y-%m-%d}")
    return 0


def accept(arguments: argparse.Namespace, others: list[str]) -> int:
    refuse(others, arguments)
    from animate.provenance import keys

    public = keys.trust(arguments.file, name=arguments.name)
    if keys.unsigned_revocations(arguments.file):
        warn(
            f"{arguments.file} lists revoked keys without the signature of {public.id}, and they "
            "are left out: ask for a new export"
        )
    print(f"key {public.id} of {safe(repr(public.name))} is trusted from now on")
    return 0


def withdraw(arguments: argparse.Namespace, others: list[str]) -> int:
    refuse(others, arguments)
    from animate.provenance import keys

    if arguments.key not in {p.id for p in keys.trusted()}:
        raise AnimateError(f"there is no key {arguments.key}: see `animate keys list`")
    keys.revoke(arguments.key)
    print(f"key {arguments.key} is revoked")
    return 0


def _passphrase(new: bool = True) -> str:
    from getpass import getpass

    entered = getpass("pass-phrase: ")
    if new and getpass("again: ") != entered:
        raise AnimateError("the two pass-phrases differ: try again")
    if not entered:
        raise AnimateError("the pass-phrase is empty: leave out --passphrase for none")
    return entered
