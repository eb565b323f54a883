"""PyTorch: eager, with channels last, or compiled; always with the fused optimizer."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.networks import (
    BatchNorm,
    Conv,
    Dense,
    GlobalAvgPool,
    MaxPool,
    Relu,
    Residual,
    Shape,
    Step,
    walked,
)
from benchmarks.work import SGD, Adam, Batch, Task

THREADS = 2


class Added(nn.Module):  # type: ignore[misc]  # PyTorch is not looked into: the same with and without it
    """The input plus what the layers inside make of it."""

    def __init__(self, inside: nn.Sequential) -> None:
        super().__init__()
        self.inside = inside

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        added: torch.Tensor = x + self.inside(x)
        return added


class Training:
    def __init__(
        self, task: Task, weights: list[np.ndarray], *, channels_last: bool = False, compiled: bool = False
    ) -> None:
        if compiled and shutil.which("g++") is None:
            raise RuntimeError("torch.compile needs a C++ compiler, and there is no g++")
        torch.set_num_threads(THREADS)
        self.format = torch.channels_last if channels_last else torch.contiguous_format
        self.model = _module(task)
        with torch.no_grad():
            for parameter, array in zip(self.model.parameters(), weights, strict=True):
                parameter.copy_(torch.from_numpy(array))
        self.model = self.model.to(memory_format=self.format)
        self.optimizer = _optimizer(task.optimizer, self.model)
        self.forward: Any = torch.compile(self.model) if compiled else self.model

    def shapes(self) -> list[Shape]:
        return [tuple(parameter.shape) for parameter in self.model.parameters()]

    def run(self, batches: Iterator[Batch]) -> float:
        loss = torch.zeros(())
        for x, y in batches:
            scores = self.forward(torch.from_numpy(x).to(memory_format=self.format))
            loss = F.cross_entropy(scores, torch.from_numpy(y))
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
        return float(loss)


def _module(task: Task) -> nn.Sequential:
    built: list[nn.Module] = []
    for step in walked(task.network):
        if isinstance(step.layer, Residual):
            inside = len(step.layer.layers)
            built[-inside:] = [Added(nn.Sequential(*built[-inside:]))]
        else:
            built.append(_layer(step))
    return nn.Sequential(*built)


def _layer(step: Step) -> nn.Module:
    match step.layer:
        case Dense(units):
            return nn.Linear(step.input[0], units)
        case Conv(filters, stride, bias):
            return nn.Conv2d(step.input[0], filters, 3, stride=stride, padding=1, bias=bias)
        case BatchNorm():
            return nn.BatchNorm2d(step.input[0])
        case GlobalAvgPool():
            return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        case MaxPool():
            return nn.MaxPool2d(2)
    return nn.ReLU() if isinstance(step.layer, Relu) else nn.Flatten()


def _optimizer(optimizer: Adam | SGD, model: nn.Module) -> torch.optim.Optimizer:
    match optimizer:
        case Adam(rate, beta1, beta2, epsilon):
            return torch.optim.Adam(model.parameters(), lr=rate, betas=(beta1, beta2), eps=epsilon, fused=True)
        case SGD(rate, momentum):
            return torch.optim.SGD(model.parameters(), lr=rate, momentum=momentum, fused=True)
