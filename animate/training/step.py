"""One step of learning: losses and their gradients, the model's and its discriminator's."""

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

PRECISIONS = ("auto", "float32", "bfloat16", "float16")
Terms = dict[str, Tensor]


class Loss(Protocol):
    """Named terms, already weighted, of a model on some pairs."""

    discriminator: nn.Module | None  # a network that judges pictures and learns alongside, or None

    def __call__(self, model: Any, pairs: Pairs, step: int, seed: int) -> Terms: ...

    def discriminator_loss(self, discriminator: Any, pairs: Pairs, step: int, seed: int) -> Terms:
        """The discriminator's terms on the pictures of the last call."""
        ...


class LossModule(nn.Module):
    """A loss and the network it teaches as one module, for a team to share."""

    def __init__(self, learner: nn.Module, loss: Any) -> None:
        super().__init__()
        self.learner = learner
        self.loss = (loss,)  # in a tuple, for what it holds is not to be taught

    def forward(self, *arguments: Any) -> Terms:
        return self.loss[0](self.learner, *arguments)


class Trainer:
    """A network, its optimiser (Adam) and its objective."""

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
        """The terms on one micro-batch of `parts`; adds their gradients to the weights'."""
        shared = isinstance(self.loss_module, DistributedDataParallel)
        waiting = self.loss_module.no_sync() if shared and not last else nullcontext()  # type: ignore[operator]
        with waiting:
            with trainers.autocast():
                terms = self.loss_module(pairs, step, seed)
            trainers.scaler.scale(torch.stack(list(terms.values())).sum() / parts).backward()
        return {name: value.detach() / parts for name, value in terms.items()}

    def step(self, rate: float, scaler: torch.amp.GradScaler) -> float:
        """Move the weights and forget the gradients, unless these aren't finite; their norm."""
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        scaler.unscale_(self.optimiser)
        norm = float(nn.utils.clip_grad_norm_(self.weights, self.clip_norm))
        if scaler.is_enabled() or norm < float("inf"):
            scaler.step(self.optimiser)
        self.optimiser.zero_grad(set_to_none=True)
        return norm


class Trainers:
    """Trains the model and, where the loss has one, its discriminator on the same pairs."""

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
            raise AnimateError(f"precision is {precision}: use one of {', '.join(PRECISIONS)}")
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
        """The terms of everyone, in the mean over micro-batches; gradients are left in place."""
        terms: Terms = {}
        for i, pairs in enumerate(micro):
            last = i == len(micro) - 1
            for trainer in self.each:
                for other in self.each:  # who judges, or is judged, does not learn from it
                    for weight in other.weights:
                        weight.requires_grad_(other is trainer)
                found = trainer.learn(pairs, step, seed, self, last, len(micro))
                for name, value in found.items():
                    terms[name] = terms[name] + value if name in terms else value
        return terms

    def step(self, rate: float) -> float:
        """Everyone moves; the norm of the model's gradient."""
        norms = [trainer.step(rate, self.scaler) for trainer in self.each]
        self.scaler.update()
        return norms[0]
