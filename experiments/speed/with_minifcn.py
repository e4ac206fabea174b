"""minifcn as a contender: the work of each kind of job, written as a user of the package would."""

import inputs
import numpy as np

import minifcn as mf
from minifcn import cpu

mf.keep_freed_memory()
cpu.limit_blas()  # as the commands do


def prepare(job: dict):
    """Return a function that does the job once and returns what it computed, an array."""
    return {"layer": layer, "train": train, "inference": inference}[job["kind"]](job)


def layer(job):
    x, w, b, dy = inputs.layer(job)
    one = (1, 1)
    return {
        "forward": lambda: cpu.conv_forward(x, w, b, one, one),
        "input gradient": lambda: cpu.conv_input_grad(dy, w, x.shape, one, one),
        "weight gradient": lambda: cpu.conv_weight_grad(x, dy, w.shape, one, one),
    }[job["function"]]


def network(job):
    build = getattr(mf.models, job["network"])
    model = build(job["classes"], job["trunk"], job["pad"], dropout=job["dropout"], fc=job.get("fc"))
    for name, array in inputs.weights(job).items():
        parameter = model.parameters()[name]
        parameter.data[...] = array
        parameter.requires_grad &= not inputs.is_frozen(job, name)
    return model


def train(job):
    model, (x, labels) = network(job), inputs.batch(job)
    optimiser = mf.optim.SGD(model.parameters(), 1e-4, bias_lr=2.0, bias_decay=False)
    if job.get("low_memory"):
        optimiser.step_during_backward()
        model.recomputed = int(job["low_memory"])

    def step():
        optimiser.zero_grad()
        loss = mf.softmax_cross_entropy(model(x), labels)
        loss.backward()
        optimiser.step()
        return loss.data

    return step


def inference(job):
    model, (x, _) = network(job).eval(), inputs.batch(job)

    def scores():
        with mf.no_grad():
            return model(x).data

    return scores


def versions() -> dict:
    return {"NumPy": np.__version__, "BLAS": cpu.blas_kernel(), "threads": cpu.num_threads()}
