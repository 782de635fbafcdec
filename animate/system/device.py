"""Choose device, threads and precision for the machine at hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from animate.errors import AnimateError

PRECISIONS = ("auto", "float32", "bfloat16", "int8")
THREADS = 4  # most that threads=auto uses: more would wait for their input


def find_device(name: str) -> torch.device:
    """The device called `name`; "auto" is CUDA if available, else the CPU."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(1, device=device).cpu()
    except (RuntimeError, AssertionError) as error:
        raise AnimateError(f"device={name} can't be used here: use device=auto or cpu") from error
    return device


def find_threads(count: int | str, device: torch.device) -> int:
    """How many batches run at once; "auto" is torch's threads (at most 4) on a CPU, else 1."""
    if count == "auto":
        return min(THREADS, torch.get_num_threads()) if device.type == "cpu" else 1
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise AnimateError(f"threads is {count}: use auto, or a whole number from 1 on")
    return count


def find_precision(name: str, device: torch.device, supports_int8: bool = False) -> torch.dtype:
    """The type that a model renders in; `supports_int8` is the model's.

    "auto" is int8, else bfloat16, else float32: the first for which the machine has fast
    instructions. Raises AnimateError for int8 that model or machine doesn't support.
    """
    if name not in PRECISIONS:
        raise AnimateError(f"precision is {name}: use one of {', '.join(PRECISIONS)}")
    cpu = device.type == "cpu"
    able: Mapping[str, Any] = getattr(torch.cpu, "get_capabilities", dict)() if cpu else {}
    packs = supports_int8 and quick_at_int8(able)
    if name == "int8" and not packs:
        needs = "a processor with VNNI" if supports_int8 else "another motion model"
        raise AnimateError(f"precision=int8 needs {needs}: use precision=auto")
    if name != "auto":
        return {"float32": torch.float32, "bfloat16": torch.bfloat16, "int8": torch.int8}[name]
    if packs:
        return torch.int8
    if device.type == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        fast = quick_at_bfloat16(able)
    return torch.bfloat16 if fast else torch.float32


def quick_at_int8(able: Mapping[str, Any]) -> bool:
    """Whether a processor with these capabilities, and this torch, multiply int8 exactly (VNNI).

    Without VNNI sums of two products are clipped to 16 bits.
    """
    there = hasattr(torch.ops.onednn, "qconv2d_pointwise")
    return there and bool(able.get("avx512_vnni") or able.get("avx_vnni"))


def quick_at_bfloat16(able: Mapping[str, Any]) -> bool:
    """Whether a processor with these capabilities is faster in bfloat16 than in float32.

    An Intel processor with float16 also has AMX. Where a virtual machine hides AMX, the remaining
    bfloat16 instructions take twice as long as float32 (`docs/lab-notes.md`).
    """
    hidden = bool(able.get("avx512_fp16")) and "Intel" in str(able.get("cpu_name"))
    return bool(able.get("amx_bf16") or (able.get("avx512_bf16") and not hidden))
