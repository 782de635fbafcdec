"""Training in several processes: ranks, averages, and batch statistics over all processes.

torchrun starts them and sets RANK, WORLD_SIZE and LOCAL_RANK; in a single process all is a no-op.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from animate.errors import AnimateError
from animate.models.geometry import precise


@dataclass(frozen=True)
class ProcessGroup:
    """The `size` processes of a run, of which this is number `rank`, from 0."""

    device: torch.device
    rank: int = 0
    size: int = 1

    @classmethod
    def join(cls, device: str) -> ProcessGroup:
        """Join the process group (NCCL for GPUs, else gloo); each process gets its own GPU."""
        size = int(os.environ.get("WORLD_SIZE", "1"))
        if device == "cuda" and size > 1:
            device = f"cuda:{os.environ['LOCAL_RANK']}"
            torch.cuda.set_device(device)
        if size == 1:
            return cls(torch.device(device))
        if not distributed.is_initialized():
            distributed.init_process_group("nccl" if device.startswith("cuda") else "gloo")
        return cls(torch.device(device), distributed.get_rank(), size)

    def leave(self) -> None:
        if self.size > 1:
            distributed.destroy_process_group()

    def rows(self, batch: int, accumulate: int) -> list[slice]:
        """Slices of this process's micro-batches in the `batch` pairs of a step.

        Raises AnimateError if the batch can't be split evenly."""
        parts = self.size * accumulate
        if accumulate < 1 or batch % parts:
            raise AnimateError(
                f"optim.batch={batch} can't be split into {parts} equal parts ({self.size} "
                f"processes, {accumulate} micro-batches): change optim.batch or optim.accumulate"
            )
        part = batch // parts
        starts = range(self.rank * accumulate * part, (self.rank + 1) * accumulate * part, part)
        return [slice(start, start + part) for start in starts]

    def mean(self, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Average each scalar over all processes."""
        if self.size == 1 or not values:
            return dict(values)
        stacked = torch.stack([v.detach().float() for v in values.values()])
        distributed.all_reduce(stacked)
        return dict(zip(values, stacked / self.size, strict=True))

    def any(self, flag: bool) -> bool:
        """Whether the flag is set in any process."""
        if self.size == 1:
            return flag
        raised = torch.tensor(float(flag), device=self.device)
        distributed.all_reduce(raised)
        return bool(raised > 0)

    def share(self, loss_module: nn.Module) -> nn.Module:
        """Wrap a loss module in DDP, which averages gradients over processes."""
        if self.size == 1:
            return loss_module
        with warnings.catch_warnings():
            # Some supported versions of torch lack the newer name of broadcast_buffers.
            warnings.simplefilter("ignore", FutureWarning)
            return DistributedDataParallel(
                loss_module, broadcast_buffers=False, find_unused_parameters=True
            )

    def synchronise(self, model: nn.Module) -> nn.Module:
        """Make batch normalisation use the statistics of all processes, in place."""
        if self.size > 1 and self.device.type == "cuda":
            return nn.SyncBatchNorm.convert_sync_batchnorm(model)
        if self.size > 1:
            for module in model.modules():
                if type(module) is nn.BatchNorm2d:
                    module.__class__ = SyncedNorm
        return model


class Sum(torch.autograd.Function):
    """Sum a tensor over all processes; sums its gradient likewise."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        x = x.clone()
        distributed.all_reduce(x)
        return x

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        gradient = gradient.contiguous().clone()
        distributed.all_reduce(gradient)
        return gradient


class SyncedNorm(nn.BatchNorm2d):
    """Batch normalisation over all processes on a CPU, which torch lacks."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        wide, axes = precise(x), (0, 2, 3)
        count = wide.new_tensor(float(x.numel() // x.shape[1]))
        distributed.all_reduce(count)
        mean = Sum.apply(wide.sum(axes)) / count
        centred = wide - mean[:, None, None]
        variance = Sum.apply(centred.square().sum(axes)) / count
        with torch.no_grad():
            assert self.num_batches_tracked is not None
            self.num_batches_tracked += 1
            for running, new in (
                (self.running_mean, mean),
                (self.running_var, variance * count / (count - 1)),
            ):
                assert running is not None
                running.lerp_(new.detach(), self.momentum or 0.0)
        scale = (variance + self.eps).rsqrt() * self.weight
        return (centred * scale[:, None, None] + self.bias[:, None, None]).to(x.dtype)
