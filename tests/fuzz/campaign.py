"""python -m tests.fuzz --files 10000 --seed 0: that many damaged files, and what the commands make of them.

Long-lived processes run the cases; one that dies, hangs or keeps memory is replaced. Printed is a table of kinds and
outcomes (worker.py says what these are), then the first failure of each sort. Its files, and the command, are kept.
Exit status 1 if there is any failure. A case depends on --seed, its kind and its number alone: --only repeats one.
"""

import argparse
import itertools
import multiprocessing
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter, deque
from contextlib import suppress
from multiprocessing.connection import wait
from pathlib import Path

from tqdm import tqdm

from .worker import LIMIT, serve

GOOD = ("fine", "refused")
BAD = ("unclear", "accepted", "traceback", "big", "slow", "execution", "death")
PATIENCE = 60  # seconds that a case may take without using the processor, on a machine that is busy otherwise
START = 180  # seconds in which a process starts
TICK = os.sysconf("SC_CLK_TCK")
ALONE = {"MINIFCN_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}  # the cases run side by side


def main(argv: list[str] | None = None) -> int:
    from .kinds import KINDS

    parser = argparse.ArgumentParser("python -m tests.fuzz", description="Give damaged files to every command.")
    add = parser.add_argument
    add("--files", type=int, default=1000, help="how many, spread over the kinds (default: %(default)s)")
    add("--seed", type=int, default=0)
    add(
        "--jobs",
        type=int,
        default=len(os.sched_getaffinity(0)),
        help="processes (default: the cores, here %(default)s)",
    )
    add("--kind", action="append", choices=[*KINDS], help="these kinds alone; repeatable")
    add("--only", metavar="KIND:NUMBER", action="append", default=[], help="this case alone; repeatable")
    add("--keep", type=Path, default=Path("fuzz_found"), help="folder for files that failed (default: %(default)s)")
    args = parser.parse_args(argv)
    cases = spread(args.kind or [*KINDS], args.files)
    if args.only:
        cases = [(name, int(number)) for name, _, number in (only.rpartition(":") for only in args.only)]
    results = campaign(cases, args.seed, args.jobs, args.keep)
    print(table(results))
    if args.only:
        print(
            *(
                f"{kind}:{number}: {r['outcome']} {r['detail']}"
                for (kind, number), r in zip(cases, results, strict=True)
            ),
            sep="\n",
        )
    failures = report(results)
    print(*failures, f"{len(cases)} files, {sum(result['outcome'] in BAD for result in results)} failures", sep="\n")
    return 1 if failures else 0


def spread(kinds: list[str], files: int) -> list[tuple[str, int]]:
    """So many cases, (kind, number), of the kinds in turn."""
    return [(name, number) for number in range(-(-files // len(kinds))) for name in kinds][:files]


def campaign(cases: list, seed: int, jobs: int, keep: Path, table: str = "fuzz.kinds") -> list[dict]:
    """Run the cases; return what each came to, in their order. table: the module of KINDS.  keep: for failures."""
    context = multiprocessing.get_context("spawn")
    before = {name: os.environ.get(name) for name in ALONE}
    os.environ.update(ALONE)
    with tempfile.TemporaryDirectory(prefix="fuzz") as temporary:
        root, results = Path(temporary), [{} for _ in cases]
        try:
            make_scenes(context, root)
            todo = deque(enumerate(cases))
            folders = (root / f"worker{number}" for number in itertools.count())
            places = [Place(context, table, root, next(folders), seed) for _ in range(min(jobs, len(cases)))]
            with tqdm(total=len(cases), unit="file", leave=False, disable=None) as bar:
                while places:
                    wait([place.pipe for place in places], timeout=0.5)
                    for i, place in enumerate(places):
                        result = place.look()
                        if result is None:
                            continue
                        if place.number is not None:
                            results[place.number] = {"case": cases[place.number], **result}
                            keep_failure(results[place.number], place, keep)
                            place.number = None
                            bar.update()
                        if todo and place.gone:
                            places[i] = Place(context, table, root, next(folders), seed)
                        elif todo:
                            place.give(*todo.popleft())
                        else:
                            place.end()
                    places = [place for place in places if todo or not place.gone]
        finally:
            for name, value in before.items():
                os.environ.pop(name)
                os.environ.update({name: value} if value is not None else {})
    return results


def make_scenes(context, root: Path) -> None:
    from .scenes import make

    making = context.Process(target=make, args=(root,))
    making.start()
    making.join()
    if making.exitcode:
        raise RuntimeError("the whole files could not be made")


class Place:
    """A process and the case that it has, by its number; None: none."""

    def __init__(self, context, table: str, root: Path, folder: Path, seed: int):
        self.folder, self.gone = folder, False
        self.folder.mkdir()
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(theirs, table, root, folder, seed), daemon=True)
        self.process.start()
        theirs.close()
        self.number, self.since, self.used, self.waiting = None, time.monotonic(), 0.0, True

    def give(self, number: int, case: tuple[str, int]) -> None:
        self.number, self.since, self.used, self.waiting = number, time.monotonic(), self.processor(), True
        with suppress(OSError):  # if it has died, look() tells
            self.pipe.send(case)

    def look(self) -> dict | None:
        """What the case came to, {} where the process has just started, None while it goes on."""
        if self.gone or not self.waiting:
            return None
        try:
            if self.pipe.poll():
                answer = self.pipe.recv()
                self.waiting = False
                if answer == "ready":
                    return {}
                if isinstance(answer, str):
                    raise RuntimeError(f"the campaign's own fault:\n{answer}")
                if answer["retire"]:
                    self.end()
                return answer
        except (EOFError, ConnectionError):
            self.end()
            if self.number is None:
                raise RuntimeError("a process of the campaign did not start") from None
            return {"outcome": "death", "detail": f"{self.signal()}, {self.where()}"}
        seconds, used = time.monotonic() - self.since, self.processor() - self.used
        if self.number is not None and (used > LIMIT or seconds > PATIENCE):
            self.end()
            return {"outcome": "slow", "detail": f"ended after {seconds:.0f} s, {used:.0f} s of work, {self.where()}"}
        if self.number is None and seconds > START:
            raise RuntimeError("a process of the campaign did not start")
        return None

    def processor(self) -> float:
        """Seconds of the processor that the process has used."""
        with suppress(OSError):
            numbers = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
            return (int(numbers[11]) + int(numbers[12])) / TICK
        return 0.0

    def end(self) -> None:
        self.gone, self.waiting = True, False
        with suppress(OSError):
            self.pipe.send(None)
        self.process.join(0.1)
        self.process.kill()
        self.process.join()

    def signal(self) -> str:
        code = self.process.exitcode
        return signal.Signals(-code).name if code < 0 else f"exit status {code}"

    def where(self) -> str:
        """The package's innermost place in what faulthandler wrote."""
        text = (self.folder / "faults.txt").read_text(errors="replace")
        found = re.findall(r'File "[^"]*/(minifcn/[^"]*)", line (\d+) in (\w+)', text)
        return "{}:{} {}".format(*found[0]) if found else "where is not known"


def keep_failure(result: dict, place: Place, keep: Path) -> None:
    """Keep the files of a failure."""
    if result["outcome"] in BAD:
        kind, number = result["case"]
        result["kept"] = keep / f"{re.sub(r'[^a-zA-Z0-9]+', '_', kind)}_{number}"
        shutil.rmtree(result["kept"], ignore_errors=True)
        shutil.copytree(place.folder / "case", result["kept"], symlinks=True)


def table(results: list[dict]) -> str:
    """Kinds by outcomes, with the seconds that a case takes, the longest, and the most memory."""
    counts = Counter((result["case"][0], result["outcome"]) for result in results)
    kinds = [*dict.fromkeys(result["case"][0] for result in results), "all"]
    counts.update(("all", result["outcome"]) for result in results)
    lines = [f"{'':16}" + "".join(f"{outcome:>10}" for outcome in (*GOOD, *BAD)) + "     mean    max    MiB"]
    for kind in kinds:
        cases = [result for result in results if kind in ("all", result["case"][0])]
        seconds = [result.get("seconds", 0.0) for result in cases]
        most = max(result.get("memory", 0) for result in cases) / 2**20
        line = f"{kind:16}" + "".join(f"{counts[kind, outcome] or '.':>10}" for outcome in (*GOOD, *BAD))
        lines.append(f"{line}{sum(seconds) / len(cases):9.3f}{max(seconds):7.1f}{most:7.0f}")
    return "\n".join(lines)


def report(results: list[dict]) -> list[str]:
    """A line for each sort of failure: the first of them, and how many there are."""
    sorts: dict[tuple, list] = {}
    for result in results:
        if result["outcome"] in BAD:
            told = re.sub(r"/\S*/|\d+|'[^']*'", "", result["detail"])
            sorts.setdefault((result["case"][0], result["outcome"], told), []).append(result)
    lines = []
    for (kind, outcome, _), alike in sorts.items():
        first = alike[0]
        lines.append(f"{outcome} x {len(alike)}, {kind}:{first['case'][1]}: {first['detail']} [{first['kept']}]")
    return lines


if __name__ == "__main__":
    sys.exit(main())
