"""How long a network takes for a picture, in training and in inference: one thread, alone, after all runs.

Runs side by side share a machine's caches and memory, so their own times say little of one network against another.
"""

import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from minifcn.training import machine
from minifcn.training.evaluation import predict
from minifcn.training.segmentation import Segmentation
from minifcn.training.settings import SegmentationSettings
from minifcn.training.task import open_run

from .own_process import in_own_process

STEPS, WARM = 20, 3  # timed; not timed before them


def measure(settings: dict) -> dict:
    """Return the record of a run's settings, from a process of its own: milliseconds a picture, medians."""
    return in_own_process(__name__, {"settings": settings}, threads=1)


def run(settings: dict) -> dict:
    """Train some steps, and segment some pictures of the reported split, here."""
    with TemporaryDirectory() as folder:
        chosen = SegmentationSettings(**settings | {"steps": WARM + STEPS})
        trained = open_run(Segmentation, Path(folder), chosen)
        task = trained.task
        steps, pictures = [], []
        for group in trained.groups():  # loaded in the background
            start = time.perf_counter()
            trained.train_step(group)
            steps.append(time.perf_counter() - start)
        for i in range(WARM + STEPS):
            picture, _ = task.test_set[i % len(task.test_set)]
            start = time.perf_counter()
            predict(task.model, task.preprocessing.apply(picture)[None])
            pictures.append(time.perf_counter() - start)
    return {
        "network": chosen.model,
        "training_ms": 1000 * median(steps[WARM:]) / chosen.batch,
        "inference_ms": 1000 * median(pictures[WARM:]),
        "peak": machine.peak(),
    }
