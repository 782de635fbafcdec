"""One training step: losses, gradients and updates of the model and its discriminator."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from animate.data.pairs import Pairs
from animate.errors import AnimateError
from animate.models.contract import MotionModel
from animate.system.device import find_precision
from animate.training.distributed import ProcessGroup

PRECISIONS = ("auto", "float32", "bfloat16", "float16")  # of autocast
Terms = dict[str, Tensor]


class Loss(Protocol):
    """Computes named, already weighted terms of a model on some pairs."""

    discriminator: nn.Module | None  # trained together with the model, if there is one

    def __call__(self, model: Any, pairs: Pairs, step: int, seed: int) -> Terms: ...

    def discriminator_loss(self, discriminator: Any, pairs: Pairs, step: int, seed: int) -> Terms:
        """The discriminator's terms on the images of the last call."""
        ...


class LossModule(nn.Module):
    """A loss and the network that it trains, as one module for DDP."""

    def __init__(self, learner: nn.Module, loss: Any) -> None:
        super().__init__()
        self.learner = learner
        self.loss = (loss,)  # in a tuple, so that networks in the loss aren't parameters of this

    def forward(self, *arguments: Any) -> Terms:
        return self.loss[0](self.learner, *arguments)


class Trainer:
    """A network, its optimiser (Adam) and its loss."""

    def __init__(
        self,
        network: nn.Module,
        loss: Any,
        group: ProcessGroup,
        betas: Sequence[float],
        clip_norm: float,
    ) -> None:
        self.network, self.clip_norm = network, clip_norm
        self.weights = [p for p in network.parameters() if p.requires_grad]
        self.optimiser = torch.optim.Adam(self.weights, betas=(betas[0], betas[1]), fused=True)
        self.loss_module = group.share(LossModule(network, loss))

    def learn(
        self, pairs: Pairs, step: int, seed: int, trainers: Trainers, last: bool, parts: int
    ) -> Terms:
        """Compute the terms on one of `parts` micro-batches and accumulate their gradients."""
        shared = isinstance(self.loss_module, DistributedDataParallel)
        syncing = self.loss_module.no_sync() if shared and not last else nullcontext()  # type: ignore[operator]
        with syncing:
            with trainers.autocast():
                terms = self.loss_module(pairs, step, seed)
            trainers.scaler.scale(torch.stack(list(terms.values())).sum() / parts).backward()
        return {name: value.detach() / parts for name, value in terms.items()}

    def step(self, lr: float, scaler: torch.amp.GradScaler) -> float:
        """Update the weights if the gradients are finite, and clear these; returns their norm."""
        for group in self.optimiser.param_groups:
            group["lr"] = lr
        scaler.unscale_(self.optimiser)
        norm = float(nn.utils.clip_grad_norm_(self.weights, self.clip_norm))
        if scaler.is_enabled() or norm < float("inf"):
            scaler.step(self.optimiser)
        self.optimiser.zero_grad(set_to_none=True)
        return norm


class Trainers:
    """Trains the model and, if the loss has one, its discriminator on the same pairs."""

    def __init__(
        self,
        model: MotionModel,
        loss: Loss,
        group: ProcessGroup,
        *,
        precision: str,
        betas: Sequence[float],
        clip_norm: float,
        compiled: bool,
    ) -> None:
        if precision not in PRECISIONS:
            raise AnimateError(f"unknown precision={precision}: use one of {', '.join(PRECISIONS)}")
        self.kind = group.device.type
        half = precision == "float16"
        self.precision = torch.float16 if half else find_precision(precision, group.device)
        self.scaler = torch.amp.GradScaler(self.kind, enabled=half)
        group.synchronise(model)
        self.each = [Trainer(model, loss, group, betas, clip_norm)]
        self.parts: dict[str, Any] = {"optimiser": self.each[0].optimiser}
        if loss.discriminator is not None:
            discriminator = loss.discriminator.to(group.device).train()
            self.each.append(
                Trainer(discriminator, loss.discriminator_loss, group, betas, clip_norm)
            )
            self.parts |= {
                "discriminator": discriminator,
                "discriminator_optimiser": self.each[1].optimiser,
            }
        if half:
            self.parts["scaler"] = self.scaler
        if compiled:
            model.compile()  # in place, so that the state keeps its names

    def autocast(self) -> torch.autocast:
        return torch.autocast(
            self.kind, self.precision, enabled=self.precision is not torch.float32
        )

    def learn(self, micro: Sequence[Pairs], step: int, seed: int) -> Terms:
        """Terms of all networks, averaged over micro-batches; gradients stay in the weights."""
        terms: Terms = {}
        for i, pairs in enumerate(micro):
            last = i == len(micro) - 1
            for trainer in self.each:
                for other in self.each:  # the other network is part of this loss but frozen
                    for weight in other.weights:
                        weight.requires_grad_(other is trainer)
                new = trainer.learn(pairs, step, seed, self, last, len(micro))
                for name, value in new.items():
                    terms[name] = terms[name] + value if name in terms else value
        return terms

    def step(self, lr: float) -> float:
        """Update all networks; returns the norm of the model's gradient."""
        norms = [trainer.step(lr, self.scaler) for trainer in self.each]
        self.scaler.update()
        return norms[0]
