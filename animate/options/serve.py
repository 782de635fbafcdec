"""The options of `animate serve`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from animate.errors import AnimateError
from animate.system.settings import Group, setting

LOOPBACK = ("127.0.0.1", "localhost", "::1")  # addresses of this machine alone


@dataclass(frozen=True)
class Serve(Group):
    """How `animate serve` offers the page and its API; options of the command."""

    host: str = setting(
        "127.0.0.1", "address to listen on; any but this machine's own needs --token"
    )
    port: int = setting(8765, "its port; 0 takes a free one", least=0, most=65535)
    only: str = setting(
        "all", "what is offered: all, or verify (the detector alone)", words=("all", "verify")
    )
    name: str | None = setting(
        None, "domain name under which a proxy offers it; null: the address alone"
    )
    token: str = setting(
        "auto",
        "what a visitor must show: auto (a random one, unless only this machine is served), none "
        "(with only=verify), or 16 letters, digits, - and _, or more",
    )
    upload: int = setting(200, "largest upload, MiB, 1 to 4096", least=1, most=4096)
    pixels: float = setting(50, "largest photo or frame, megapixels", above=0)
    seconds: float = setting(120, "longest clip or recording, seconds", above=0)
    jobs: int = setting(8, "animations that may wait or run at once", least=1)
    sessions: int = setting(2, "live sessions at once", least=0)
    patience: float = setting(1800, "most seconds for one animation", above=0)
    keep: float = setting(60, "minutes until uploads and results are deleted", above=0)

    def check(self) -> None:
        known = self.token in ("auto", "none")
        if not known and not re.fullmatch(r"[\w-]{16,200}", self.token, re.ASCII):
            raise AnimateError(
                "the token is too short or has odd characters: use 16 letters, digits, - and _, or "
                "more, or auto"
            )
        if self.token == "none" and self.only != "verify" and not self.private:
            raise AnimateError(
                f"{self.name or self.host} can be reached from other machines: leave out "
                "--token none, or serve the detector alone with --only verify"
            )

    @property
    def private(self) -> bool:
        """Whether this machine alone can reach the server."""
        return self.host in LOOPBACK and self.name is None
