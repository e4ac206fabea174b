"""The speeds of the report's table: what is timed, and what of it counts."""

from types import SimpleNamespace

import numpy as np

from experiments.table1 import speed
from minifcn.datasets.transforms import Preprocessing


def test_medians_of_a_picture_without_the_first_ones(monkeypatch):
    clock, done = SimpleNamespace(now=0.0), {"steps": 0, "pictures": 0}

    def work(kind: str, seconds: list[float]) -> None:
        clock.now += seconds[done[kind]]
        done[kind] += 1

    class Task:
        model, preprocessing = "the model", Preprocessing()
        test_set = [(np.zeros((2, 2, 3), np.uint8), None)] * 5

    class Run:
        task = Task

        def __init__(self, kind, folder, settings):
            self.steps = settings.steps

        def groups(self):
            for _ in range(self.steps):
                clock.now += 1000  # waiting for pictures is no part of a step
                yield "pictures"

        def train_step(self, group):
            work("steps", [90.0] * 3 + [8.0] * 11 + [50.0] * 9)

    monkeypatch.setattr(speed.time, "perf_counter", lambda: clock.now)
    monkeypatch.setattr(speed, "open_run", Run)
    monkeypatch.setattr(speed, "predict", lambda model, x: work("pictures", [70.0] * 3 + [3.0] * 11 + [60.0] * 9))
    record = speed.run({"model": "fcn16s", "data": "anything", "steps": 400, "batch": 4})
    assert done == {"steps": 23, "pictures": 23}
    assert (record["network"], record["training_ms"], record["inference_ms"]) == ("fcn16s", 2000.0, 3000.0)
