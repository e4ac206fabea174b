"""A measurement in a process of its own: its peak memory is then its own, and it can be bound to cores."""

import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryFile

from minifcn.errors import InputError

START = """
import importlib, json, os, sys, threading
module, arguments, cores = sys.argv[1], *map(json.loads, sys.argv[2:])
if cores is not None:
    os.sched_setaffinity(0, cores)  # before NumPy is there: the threads it starts are bound alike
threading.Thread(target=lambda: sys.stdin.read() or os._exit(1), daemon=True).start()  # its parent is gone
print(json.dumps(importlib.import_module(module).run(**arguments)))
"""


def in_own_process(module: str, arguments: dict, cores: list[int] | None = None, threads: int | None = None) -> dict:
    """Return module.run(**arguments) of a new process: bound to some cores, with so many threads, where told.

    The process ends with this one, but Ctrl-C does not reach it. InputError with its last words where it fails.
    """
    command = [sys.executable, "-c", START, module, json.dumps(arguments), json.dumps(cores)]
    environment = os.environ | ({} if threads is None else {"MINIFCN_THREADS": str(threads)})
    here = Path(__file__).resolve().parents[2]  # the child is to import this package and no other
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "start_new_session": True}
    with TemporaryFile() as errors, subprocess.Popen(
        command, cwd=here, env=environment, stderr=errors, **pipes
    ) as process:  # fmt: skip
        try:
            printed = process.stdout.read()
        finally:
            process.stdin.close()
        if process.wait():
            errors.seek(0)
            words = " ".join(errors.read().decode(errors="replace").split())[-500:] or "no message: out of memory?"
            raise InputError(f"{module}: {arguments}: the process ended with {process.returncode}: {words}")
    return json.loads(printed.decode().splitlines()[-1])
