"""python -m tests.kills --kills 50 --seed 0: commands killed (SIGKILL) at random moments, and run again.

Each command is run undisturbed once. Then it is started, killed after a random share of that time, itself alone or with
its children, and gone on with as users would: the end must be the same, bit for bit, and after a kill no file under its
final name may be half of one. Printed is a table; exit status 1 if anything differs.
"""

import argparse
import csv
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

TESTS = Path(__file__).resolve().parent
ROOT = TESTS.parent
if str(TESTS) not in sys.path:
    sys.path[:0] = [str(TESTS), str(ROOT)]

from labelled_data import make_labelme  # noqa: E402
from PIL import Image  # noqa: E402
from small_checkpoint import make_checkpoint  # noqa: E402
from small_data import TINY as TINY_TRUNK  # noqa: E402
from small_data import WITH_TINY, assert_same_run, assert_same_tensors, make_pictures, make_set  # noqa: E402

from minifcn.models import TRUNKS  # noqa: E402
from minifcn.weights import checkpoint, open_weights  # noqa: E402

TINY = f"{WITH_TINY}\nfrom importlib import import_module\nmain = import_module(f'minifcn.{{sys.argv.pop(1)}}').main\n"
TINY += "loop.SAVE_SECONDS = 0\ncommand.command_line(lambda: main(sys.argv[1:]))"
LIMIT = 900  # seconds that a command may take
STEPS = "--trunk tiny --batch 2 --steps 12 --dropout 0.5 --warmup 3 --val-every 0.5 --name run"
TRAIN = f"{STEPS} --model fcn32s fcn16s --accumulate 2 --scale-jitter 0.3 --crop 24 32 --balance"
PRETRAIN = f"{STEPS} --size 32 --crop 28"
TABLE1 = "--steps 2 --batch 1 --lr 0.01 --seeds 1 --name run --jobs 2 --without pretraining stride footprint realtime"


class Task(NamedTuple):
    """start: of the data and the folder for results, the words of a command.  again: the same, of what a kill left;
    None where nothing is left to do.  compare: raises AssertionError where two folders of results differ.
    """

    start: Callable[[Path, Path], list]
    again: Callable[[Path, Path], list | None]
    compare: Callable[[Path, Path], None]


# --- the commands ---


def tiny(name: str, *words) -> list:
    return [sys.executable, "-c", TINY, name, *words]


def training(name: str, data: str, options: str) -> tuple[Callable, Callable]:
    """Start a run; go on with it if its config.json is there."""

    def start(inputs: Path, out: Path) -> list:
        return tiny(name, "--data", inputs / data, "--out", out, *options.split())

    def again(inputs: Path, out: Path) -> list:
        if (out / "run" / "config.json").exists():
            return tiny(name, "--resume", out / "run")
        shutil.rmtree(out / "run", ignore_errors=True)  # an empty folder: a new run would get another name
        return start(inputs, out)

    return start, again


def predict(inputs: Path, out: Path) -> list:
    return tiny("predict", inputs / "net.safetensors", inputs / "photos", "--out", out / "run", "--page")


def table1(inputs: Path, out: Path) -> list:
    return [sys.executable, "-m", "experiments.table1", "--data", inputs / "few", "--out", out, *TABLE1.split()]


def import_labels(inputs: Path, out: Path) -> list | None:
    if (out / "run").exists():  # it was renamed: only check_data had been running
        return None
    return tiny("import_labels", inputs / "raw", "--out", out / "run")


def make_inputs(inputs: Path) -> None:
    make_set(inputs / "shapes", sizes=[(32, 40), (27, 45)])
    make_set(inputs / "few", [("train", 12), ("val", 2), ("test", 2)], size=(40, 50))
    make_pictures(inputs / "colours", "tiny")
    make_labelme(inputs / "raw")
    with patch.dict(TRUNKS, tiny=TINY_TRUNK):
        make_checkpoint(inputs / "net.safetensors")
    shutil.copytree(inputs / "shapes" / "images", inputs / "photos")


# --- what must be the same ---


def relative(folder: Path) -> list[Path]:
    """The files in a folder, but for those that are not there yet by their names; without locks and outputs."""
    names = [path.relative_to(folder) for path in sorted(folder.rglob("*")) if path.is_file()]
    other = ("commits.txt", "output.txt")
    return [path for path in names if not (path.name in other or path.suffix == ".tmp" or "/." in f"/{path}")]


def same_bytes(out: Path, expected: Path) -> None:
    """All files are the same."""
    assert relative(out) == relative(expected)
    for path in relative(expected):
        assert (out / path).read_bytes() == (expected / path).read_bytes(), f"{path} differs"


def same_runs(out: Path, expected: Path) -> None:
    """Logs, pictures and all tensors are the same, and the scores; but not how long it took."""
    assert relative(out) == relative(expected)
    for path in relative(expected):
        one, other = out / path, expected / path
        if path.name == "last.safetensors":
            assert_same_run(one.parent, other.parent)
        elif path.name == "trunk.safetensors":
            (tensors, _), (others, _) = checkpoint.load(one), checkpoint.load(other)
            assert {k: x.tobytes() for k, x in tensors.items()} == {k: x.tobytes() for k, x in others.items()}, path
        elif path.suffix == ".safetensors":
            assert_same_tensors(one, other)
        elif path.suffix in (".csv", ".png"):
            assert one.read_bytes() == other.read_bytes(), f"{path} differs"
        elif path.suffix == ".json" and path.name not in ("config.json", "speed.json"):
            assert without_times(json.loads(one.read_text())) == without_times(json.loads(other.read_text())), path


def without_times(document):
    """A document without what a clock, a machine or a folder decides."""
    if isinstance(document, dict):
        left = {k: v for k, v in document.items() if "seconds" not in k and k not in TIMES}
        return {k: without_times(v) for k, v in left.items()}
    if isinstance(document, str):
        return re.sub(r" in \d+ s\b", "", document)  # a summary's
    return [*map(without_times, document)] if isinstance(document, list) else document


TIMES = {"peak_memory_bytes", "course", "commit", "machine", "time", "command"}


def half_written(folder: Path) -> list[str]:
    """What is not whole though it has its final name."""
    return [f"{path}: {error}" for path in relative(folder) if (error := wrong(folder / path))]


def wrong(path: Path) -> str:
    """What is wrong with a file, or nothing."""
    try:
        if path.suffix in (".png", ".jpg"):
            with Image.open(path) as image:
                image.load()
        elif path.suffix == ".json":
            json.loads(path.read_text())
        elif path.suffix == ".safetensors":
            open_weights(path)
        elif path.suffix == ".csv":
            text = path.read_text()
            width = {len(row) for row in csv.reader(text.splitlines())}
            assert text.endswith("\n") and len(width) == 1, "rows are not whole"
        elif path.suffix == ".html":
            assert path.read_text().rstrip().endswith("</html>"), "no end"
    except Exception as error:
        return f"{type(error).__name__}: {error}" if path.exists() else ""  # a child of what was killed tidied up
    return ""


TASKS = {
    "train": Task(*training("train", "shapes", TRAIN), same_runs),
    "pretrain": Task(*training("pretrain", "colours", PRETRAIN), same_runs),
    "predict": Task(predict, predict, same_bytes),
    "import": Task(import_labels, import_labels, same_bytes),
    "table1": Task(table1, table1, same_runs),
}

# --- the campaign ---


def complete(words: list) -> float:
    """Run a command to its end; return the seconds that it took."""
    start = time.monotonic()
    words = [str(word) for word in words]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, errors="replace", timeout=LIMIT)
    assert done.returncode == 0, f"exit status {done.returncode}: {done.stderr[-600:]}"
    return time.monotonic() - start


def kill(words: list, after: float, group: bool) -> bool:
    """Start a command and kill it, alone or with its children, after so many seconds; return whether it still ran."""
    words, quiet = [str(word) for word in words], {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    child = subprocess.Popen(words, cwd=ROOT, start_new_session=True, **quiet)
    try:
        child.wait(timeout=after)
        return False
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL) if group else child.kill()
        child.wait()
        return True


def disturbed(task: Task, inputs: Path, out: Path, expected: Path, seconds: float, rng: random.Random) -> dict:
    """Kill a command once or twice, run it to its end, compare; return what happened."""
    out.mkdir()
    words, found = task.start(inputs, out), {"kills": 0, "began": False, "wrong": []}
    for _ in range(rng.choice([1, 1, 2])):
        if words:
            found["kills"] += kill(words, rng.uniform(0, seconds), rng.random() < 0.5)
            found["began"] |= bool(relative(out))
            found["wrong"] += half_written(out)
            words = task.again(inputs, out)
    try:
        if words:
            complete(words)
        task.compare(out, expected)
        assert not list(out.rglob("*.tmp")), "a .tmp is left"
    except (AssertionError, subprocess.TimeoutExpired) as error:
        found["wrong"].append(" ".join(str(error).split())[:400])
    return found


def campaign(names: list[str], kills: int, seed: int, jobs: int, root: Path, tasks: dict = TASKS) -> dict[str, list]:
    """Kill the commands in turn, until there are so many kills; return what happened, by command."""
    inputs = root / "inputs"
    inputs.mkdir()
    make_inputs(inputs)
    seconds = {}
    for name in names:
        (root / name).mkdir()
        seconds[name] = complete(tasks[name].start(inputs, root / name))
    results, number = {name: [] for name in names}, 0
    with ThreadPoolExecutor(jobs) as pool:
        while (left := kills - sum(found["kills"] for all_of in results.values() for found in all_of)) > 0:
            todo = [(names[i % len(names)], i) for i in range(number, number + left)]
            number += left
            done = [
                pool.submit(
                    disturbed,
                    tasks[name],
                    inputs,
                    root / f"{i}",
                    root / name,
                    seconds[name],
                    random.Random(f"{seed} {i}"),
                )
                for name, i in todo
            ]
            for (name, _), future in zip(todo, done, strict=True):
                results[name].append(future.result())
    return results


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser("python -m tests.kills", description="Kill commands and go on with them.")
    add = parser.add_argument
    add("--kills", type=int, default=50, help="how many at least (default: %(default)s)")
    add("--seed", type=int, default=0)
    add("--jobs", type=int, default=2, help="commands at a time (default: %(default)s)")
    add("--task", action="append", choices=[*TASKS], help="these alone; repeatable")
    add("--keep", type=Path, help="folder for all results (default: none are kept)")
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="kills") as temporary:
        root = args.keep or Path(temporary)
        root.mkdir(exist_ok=True)
        results = campaign(args.task or [*TASKS], args.kills, args.seed, args.jobs, root)
    print(f"{'':10}{'kills':>8}{'runs':>8}{'with files':>12}{'exact':>8}")
    total = Counter()
    for name, found in results.items():
        row = {"kills": sum(f["kills"] for f in found), "runs": len(found), "began": sum(f["began"] for f in found)}
        row["exact"] = sum(not f["wrong"] for f in found)
        total.update(row)
        print(f"{name:10}{row['kills']:8}{row['runs']:8}{row['began']:12}{row['exact']:8}")
    print(f"{'all':10}{total['kills']:8}{total['runs']:8}{total['began']:12}{total['exact']:8}")
    wrongs = [f"{name}: {text}" for name, found in results.items() for f in found for text in f["wrong"]]
    print(*wrongs, sep="\n")
    return 1 if wrongs else 0


if __name__ == "__main__":
    sys.exit(main())
