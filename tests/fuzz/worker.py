"""A process that makes cases and gives each to a command; it reports what came of it.

fine          exit status 0
refused       status 2 and one line that names the file; status 1 of commands that go on with other files
unclear       status 2 without such a line, control characters or warnings on the screen
accepted      status 0 for what is no good at all
traceback     any other exception
big           a gigabyte more than the process had, or "out of memory"
slow          over LIMIT seconds of the processor
execution     a canary, a new process, or a file opened for writing elsewhere
death         the parent sees that
"""

import faulthandler
import io
import os
import resource
import shutil
import sys
import time
import traceback
import warnings
import zlib
from contextlib import redirect_stderr, redirect_stdout
from functools import partial
from importlib import import_module
from pathlib import Path
from threading import RLock
from types import SimpleNamespace

import numpy as np
from tqdm import tqdm

from minifcn import check_data, command, import_labels

LIMIT = 10  # seconds
BIG = 1 << 30  # bytes
CEILING = 3 << 30  # bytes of address space beyond those at the start: then there is no more memory
PROCESSES = (
    "os.system",
    "os.exec",
    "os.fork",
    "os.forkpty",
    "os.posix_spawn",
    "os.spawn",
    "pty.spawn",
    "subprocess.Popen",
)
OURS = ("minifcn", "tests", "experiments")  # folders of files that a traceback is told by
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def serve(pipe, table: str, root: Path, folder: Path, seed: int) -> None:
    """Run the cases (name of kind, index) that come through the pipe, until None comes; send what each came to."""
    worker = Worker(import_module(table).KINDS, root, folder, seed)
    pipe.send("ready")
    while (case := pipe.recv()) is not None:
        try:
            pipe.send(worker.outcome(*case))
        except Exception:  # a fault of the campaign's own
            pipe.send(traceback.format_exc())


class Worker:
    """root: of scenes.make.  folder: the process's own, where the case lies.  seed: of the campaign."""

    def __init__(self, kinds: dict, root: Path, folder: Path, seed: int):
        from . import scenes  # brings SciPy

        scenes.patch()
        self.kinds, self.root, self.case, self.seed = kinds, root, folder.resolve() / "case", seed
        self.case.mkdir(parents=True)
        self.armed, self.seen = False, []
        sys.dont_write_bytecode = True
        tqdm.set_lock(RLock())  # its own would be left behind by a kill
        sys.addaudithook(self.audit)
        command.keep_freed_memory = lambda: None  # what one case takes is to be gone in the next
        import_labels.subprocess = SimpleNamespace(run=check_here)  # a process less for each import
        self.faults = open(folder / "faults.txt", "w")  # where it dies or hangs
        faulthandler.enable(self.faults)
        status = memory()
        self.resident = status["VmRSS"]
        resource.setrlimit(resource.RLIMIT_AS, (status["VmSize"] + CEILING, resource.RLIM_INFINITY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    def audit(self, event: str, arguments: tuple) -> None:
        if not self.armed:
            return
        if event in PROCESSES:
            self.seen.append(f"{event} {arguments!r}"[:200])
        elif event == "open" and isinstance(arguments[0], str | bytes) and (arguments[2] or 0) & WRITING:
            path = os.path.realpath(os.fsdecode(arguments[0]))
            if not path.startswith((str(self.case.parent), "/dev/null")):
                self.seen.append(f"opened for writing: {path}"[:200])

    def make(self, name: str, index: int) -> tuple:
        """Lay out a case; return the kind, the damaged file (below 0: whole), and the command to run."""
        kind, rng = self.kinds[name], np.random.default_rng((self.seed, zlib.crc32(name.encode()), index % 2**32))
        for old in self.case.parent.iterdir():
            if old.is_dir():
                shutil.rmtree(old)
        shutil.copytree(self.root / "scenes" / kind.scene, self.case)
        whole = (
            [path.read_bytes() for path in sorted((self.root / "seeds" / kind.seeds).iterdir())]
            if kind.seeds
            else [b""]
        )
        data, other = (whole[rng.integers(len(whole))] for _ in range(2))
        file = self.case / kind.places[rng.integers(len(kind.places))]
        if index >= 0:
            data = kind.damage[rng.integers(len(kind.damage))](rng, data, other)
        file.write_bytes(data)
        main, argv = kind.readers[rng.integers(len(kind.readers))](self.case, file)
        words = [word.replace(str(self.case.parent), "") for word in argv]
        (self.case / "how.txt").write_text(f"python -m {main.__module__} {' '.join(words)}\n")
        return kind, file, partial(main, argv)

    def outcome(self, name: str, index: int) -> dict:
        kind, file, main = self.make(name, index)
        os.chdir(self.case)
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
        self.faults.truncate(0)
        faulthandler.dump_traceback_later(0.8 * LIMIT, file=self.faults)
        self.seen, start, stream = [], time.process_time(), io.StringIO()
        with redirect_stdout(io.StringIO()) as out, redirect_stderr(stream):
            self.armed = True
            status, crash = run(main)
            self.armed = False
        faulthandler.cancel_dump_traceback_later()
        seconds, peak = time.process_time() - start, memory()["VmHWM"] - self.resident
        outcome, detail = judge(status, crash, out.getvalue(), stream.getvalue(), kind, file)
        if peak > BIG or (status == 2 and detail.startswith("error: out of memory")):
            outcome, detail = "big", f"{peak / 2**30:.2f} GiB, {detail}"
        if seconds > LIMIT:
            outcome, detail = "slow", f"{seconds:.0f} s, {detail}"
        if list(self.case.rglob("canary")) or self.seen:
            outcome, detail = "execution", "; ".join(self.seen) or "the canary is there"
        retire = memory()["VmRSS"] > self.resident + BIG // 2  # or the next case would have that for nothing
        return {"outcome": outcome, "detail": detail, "seconds": seconds, "memory": peak, "retire": retire}


def check_here(words: list[str]):
    """check_data, which import_labels runs in a process of its own."""
    return SimpleNamespace(returncode=check_data.main(words[3:]))


def memory() -> dict[str, int]:
    """The process's VmRSS, VmHWM (peak) and VmSize, bytes."""
    rows = (line.split() for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("Vm"))
    return {row[0][:-1]: 1024 * int(row[1]) for row in rows}


def run(main) -> tuple[int, BaseException | None]:
    """Run a command as its command line does; return its exit status, or what it raised."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            command.command_line(main)
    except SystemExit as ended:
        return ended.code, None
    except BaseException as error:
        return -1, error
    return -1, None


def judge(status: int, crash: BaseException | None, out: str, err: str, kind, file: Path) -> tuple[str, str]:
    """Return the outcome, and the line to tell of it."""
    if crash is not None:
        *_, frame = [f for f in traceback.extract_tb(crash.__traceback__) if {*OURS} & {*Path(f.filename).parts}]
        where = f"{Path(frame.filename).name}:{frame.lineno} {frame.name}"
        return "traceback", f"{where} {type(crash).__name__}: {' '.join(str(crash).split())[:150]}"
    lines = [line for line in err.replace("\r", "\n").split("\n") if line.strip()]
    errors = [line for line in lines if line.startswith("error: ")]
    odd = {c for c in (out + err) if not c.isprintable() and c not in "\n\r\t"}
    if odd:
        return "unclear", f"control characters on the screen: {sorted(odd)!r}"[:200]
    if warned := [line for line in lines if "Warning: " in line]:
        return "unclear", f"a warning on the screen: {warned[0][:150]}"
    if status == 0:
        return ("accepted", out[:150]) if kind.refuse else ("fine", "")
    place = str(file.parent if len(kind.places) > 1 else file)
    named = [line for line in errors if str(file) in line or str(file.parent) in line or place in line]
    if status == 2 and not (len(errors) == 1 and lines[-1] == errors[0] and named):
        return "unclear", " | ".join(errors)[:250] or f"status 2 and {lines[-3:]!r}"[:250]
    if status == 1 and str(file.parent) not in out + err:
        return "unclear", f"status 1, and {file.name} is not named"
    return (
        ("refused", errors[0][:200] if errors else out[:200]) if status in (1, 2) else ("unclear", f"status {status}")
    )
