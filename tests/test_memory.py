import platform
import subprocess
import sys

import pytest

WORK = """
import resource, sys
import torch
from animate.system.memory import keep_memory
if sys.argv[1] == "kept":
    keep_memory()
def work():
    for _ in range(20):
        torch.ones(2**23)  # 32 MiB
work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
work()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""

GAPS = """
from pathlib import Path
import torch
from animate.system.memory import EVERY, keep_memory, trim_heap
keep_memory()
def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) >> 8  # MiB
blocks = [(torch.ones(2**18), torch.ones(2**10)) for _ in range(300)]  # 1 MiB, 4 KiB
kept = [small for _, small in blocks]
del blocks
full = resident()
assert list(trim_heap(range(EVERY))) == list(range(EVERY))
print(full - resident())
"""
glibc = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="only glibc's malloc has options"
)


def said(code: str, *arguments: str) -> int:
    command = [sys.executable, "-c", code, *arguments]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@glibc
def test_gaps_between_what_stays_go_back_while_frames_pass():
    assert said(GAPS) > 250


@glibc
def test_freed_memory_is_used_again_instead_of_cleared_anew():
    assert said(WORK, "kept") * 10 < said(WORK, "left")
