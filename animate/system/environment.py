"""Describe the environment of a run: versions, processor, GPU."""

from __future__ import annotations

import platform

import torch


def environment() -> dict[str, str]:
    """Versions and machine, for reports."""
    from animate import __version__

    machine = f"{platform.system()} {platform.machine()}, {torch.get_num_threads()} threads"
    if torch.cuda.is_available():
        machine += f", {torch.cuda.get_device_name()}"
    return {"animate": __version__, "torch": torch.__version__, "machine": machine}
