"""experiments/speed/gpu.py: every kernel has a job, what cannot be timed is told, and both training steps run."""

import numpy as np
import pytest
from small_data import fails

from experiments.speed import gpu as timings
from minifcn import gpu
from minifcn.gpu.signatures import kernels


def test_every_kernel_has_a_timing_that_runs(emulated_gpu):
    jobs = list(timings.jobs(1000, (36, 40, 5), 1, 3))
    for job in jobs:
        before = len(gpu.cuda.xp.launches)
        job.work()
        launched = {name for name, *_ in gpu.cuda.xp.launches[before:]}
        assert launched == (set() if job.kernel.startswith(timings.PRODUCT) else {job.kernel})
        assert job.moved > 0 and job.elements > 0
    assert {job.kernel for job in jobs} == {*kernels(), f"{timings.PRODUCT} bias_grad"}


def test_what_goes_wrong_is_told_and_the_rest_still_timed(emulated_gpu, capsys, monkeypatch):
    def out_of_memory():
        yield "a line"
        raise MemoryError("no room")

    monkeypatch.setattr(timings, "report", out_of_memory)
    monkeypatch.setattr(timings, "report_training", lambda where: iter(["0.1 s"]))
    timings.main([])
    out = capsys.readouterr().out
    assert "a line" in out and "not timed: MemoryError: no room" in out and "0.1 s" in out


def test_a_cpu_is_refused(capsys):
    assert "--device cpu: expected gpu or gpu:N" in fails(capsys, timings.main, "--device", "cpu")


def test_the_steps_that_are_timed(emulated_gpu):
    """Both run, here on tiny pictures and a narrow network."""
    job = timings.STEP | {"trunk": "vgg_quarter", "pad": "same", "classes": 3, "dropout": 0.0, "H": 33, "W": 40}
    rng = np.random.default_rng(0)
    x, labels = rng.standard_normal((1, 33, 40, 3), dtype=np.float32), rng.integers(0, 3, (1, 33, 40))
    step = timings.minifcn_step(job, x, labels, "gpu")
    assert step() == pytest.approx(np.log(3), rel=1e-6)  # score layers start at zero
    pytest.importorskip("torch")
    assert np.isfinite(timings.torch_step(job, "cpu")())
