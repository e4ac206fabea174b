"""minifcn on several processes as a contender: with_minifcn's training, each rank with its share of the batch."""

import time

import inputs
import numpy as np
from with_minifcn import network, versions  # noqa: F401  (contender.py asks for it)

import minifcn as mf
from minifcn import ranks


def prepare(job: dict):
    """Return a function that does the job once, together with all other ranks, and returns what it computed."""
    return {"train": train, "all-reduce": all_reduce}[job["kind"]](job)


def train(job):
    model, (x, labels) = network(job), map(ranks.share, inputs.batch(job))
    optimiser = mf.optim.SGD(model.parameters(), 1e-4, bias_lr=2.0, bias_decay=False)
    weight = ranks.total(labels.size)

    def step():
        optimiser.zero_grad()
        loss = mf.softmax_cross_entropy(model(x), labels, reduction="sum") * (1 / weight)
        total = ranks.total(float(loss.data))
        loss.backward()
        ranks.total_gradients(model.parameters())
        optimiser.step()
        return np.float32(total)

    return step


def all_reduce(job):
    """The sum of the gradients alone."""
    parameters = network(job).parameters()
    for parameter in parameters.values():
        parameter.grad = np.ones_like(parameter.data)

    def add():
        ranks.total_gradients(parameters)
        return np.float32(0)

    return add


def orders(lines):
    """The lines that rank 0 is sent, on every rank; those that wait for one leave the cores to other contenders."""
    lines = iter(lines)
    while True:
        line = next(lines, "") if ranks.rank() == 0 else None
        there = ranks.world().Ibarrier()
        while not there.Test():
            time.sleep(0.001)
        if not (line := ranks.first_said(line)):
            return
        yield line


first, agreed = ranks.rank() == 0, ranks.first_said  # what rank 0 decides
