"""Contenders side by side: each in its own process, results compared first, then timed in turns."""

import json
import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import numpy as np

HERE = Path(__file__).resolve().parent
TURN = 0.3  # seconds a contender works before it is the next one's turn


@dataclass
class Contender:
    """A process that does jobs, or several. side: a module beside this one; options are added to each of its jobs."""

    name: str
    side: str
    options: dict = field(default_factory=dict)
    threads: int = 2
    processes: int = 1
    environment: dict = field(default_factory=dict)

    def __enter__(self):
        threads = {"MINIFCN_THREADS": str(self.threads), "OMP_NUM_THREADS": str(self.threads)}
        command = [sys.executable, str(HERE / "contender.py"), self.side]
        if self.processes > 1:
            command = [str(Path(sys.executable).parent / "mpiexec"), "-n", str(self.processes), *command]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen(command, env=os.environ | threads | self.environment, **pipes)
        return self

    def ask(self, **order) -> dict:
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} died on {order}")
        return json.loads(line)

    def __exit__(self, *_):
        self.process.communicate()  # its orders end; waits, and closes both pipes


def measure(contenders: list[Contender], job: dict, rounds: int, tolerance: float) -> dict[str, float]:
    """Return {name: median seconds} of contenders that are running and do the same job.

    Raises RuntimeError where a result is further from the last contender's than `tolerance`, relative error.
    """
    results, seconds = {}, {c.name: [] for c in contenders}
    with tempfile.TemporaryDirectory() as folder:
        for c in contenders:
            file = os.path.join(folder, "result.npy")
            c.ask(prepare=job | c.options, result=file)
            results[c.name] = np.load(file).astype(np.float64)
    truth = results[contenders[-1].name]
    for name, result in results.items():
        error = np.linalg.norm(result - truth) / max(np.linalg.norm(truth), 1e-300)
        if not error <= tolerance:
            raise RuntimeError(f"{name} on {job}: relative error {error:.1e}, more than {tolerance:.0e}")
    for _ in range(rounds):
        for c in contenders:
            seconds[c.name] += c.ask(time=TURN)["seconds"]
    return {name: median(one) for name, one in seconds.items()}


def fresh(contenders: list[Contender], job: dict, rounds: int, tolerance: float) -> dict[str, float]:
    """measure() with processes that are started for this job alone."""
    with ExitStack() as stack:
        for c in contenders:
            stack.enter_context(c)
        return measure(contenders, job, rounds, tolerance)


def peak(contender: Contender, job: dict) -> int:
    """Return the most bytes of memory that a process of its own holds while it does the job."""
    with contender as c:
        c.ask(prepare=job | c.options)
        return c.ask(peak=True)["bytes"]
