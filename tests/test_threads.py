"""Several batches at once: in order, a few ahead, and nothing stays behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
import torch

from animate.system.parallel import in_background, map_in_order


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_results_keep_their_order(threads: int) -> None:
    def work(item: int) -> int:
        time.sleep(0.001 * (7 - item % 8))  # the later the sooner
        return item * item

    assert list(map_in_order(work, range(40), threads)) == [i * i for i in range(40)]


def test_work_goes_on_side_by_side() -> None:
    both = threading.Barrier(2, timeout=10)
    assert list(map_in_order(lambda item: both.wait() >= 0, range(4), 2)) == [True] * 4


def test_something_else_goes_on_meanwhile() -> None:
    both = threading.Barrier(2, timeout=10)
    done = in_background(lambda item: (both.wait(), item)[1], 5)
    both.wait()
    assert done.result() == 5
    with pytest.raises(ValueError, match="x"):
        in_background(int, "x").result()


def test_items_are_asked_for_only_a_few_ahead() -> None:
    asked = []

    def items() -> Iterator[int]:
        for i in range(1000):
            asked.append(i)
            yield i

    results = map_in_order(abs, items(), 3)
    assert next(results) == 0
    assert len(asked) == 4


def test_an_error_comes_in_its_turn_and_ends_the_work() -> None:
    def work(item: int) -> int:
        if item == 3:
            raise ValueError("the third")
        return item

    results = map_in_order(work, range(100), 2)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="the third"):
        next(results)


def test_torch_has_its_threads_back_in_whatever_order_generators_end() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        outer, inner = map_in_order(abs, range(9), 2), map_in_order(abs, range(9), 2)
        next(outer)
        next(inner)
        outer.close()
        assert torch.get_num_threads() == 1
        inner.close()
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("end", ["read", "closed", "failed"])
def test_torch_has_its_threads_back(end: str) -> None:
    before, seen = torch.get_num_threads(), []

    def work(item: int) -> int:
        seen.append(torch.get_num_threads())
        if end == "failed":
            raise ValueError("at once")
        return item

    torch.set_num_threads(3)
    try:
        results = map_in_order(work, range(5), 2)
        if end == "read":
            list(results)
        elif end == "closed":
            next(results)
            results.close()
        else:
            with pytest.raises(ValueError, match="at once"):
                next(results)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
    assert set(seen) == {1}
