"""The `animate` command: arguments in, one call, one line out; all printing is done here."""

from animate.cli.entry import main

__all__ = ["main"]
