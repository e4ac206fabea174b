"""One run of a report, in a process of its own: python -m minifcn.report.worker FOLDER

Its settings come as a line of JSON on stdin, which its parent then holds open: when that closes, as it does also when
the parent was killed, the run saves a checkpoint and stops. Started again it goes on, bit for bit. At its end it writes
record.json, by which the report knows it, and keeps of its checkpoints the one that was chosen.
"""

import json
import os
import signal
import statistics
import sys
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path

from .. import runs
from ..datasets import has_split, open_dataset
from ..datasets.transforms import Preprocessing
from ..datasets.views import scaled
from ..errors import command_line
from ..evaluate import predict
from ..segmentation import SegmentationSettings
from ..train import run_stage
from ..trainer import Diverged, Stopped, write_json
from ..weights import load_model
from . import machine

RECORD = "record.json"
TIMED = 20  # pictures, one at a time, for the speed of inference


def main() -> int:
    folder = Path(sys.argv[1])
    settings = SegmentationSettings(**json.loads(sys.stdin.readline()))
    threading.Thread(target=stop_with_parent, daemon=True).start()
    with alone_in(folder), runs.stopping() as stop:
        try:
            metrics = run_stage(folder, settings, "cpu", stop)
            record = describe(folder, settings, metrics)
        except Stopped:
            return 130
        except Diverged as diverged:  # a learning rate that is too high is a result
            record = {"diverged": str(diverged)}
        config = json.loads((folder / "config.json").read_text())
        record |= {"settings": named(config["stages"][0]), "commit": machine.commit()}
        record |= {"machine": config["machine"] | {"cpu": machine.cpu_name()}}
        write_json(folder / RECORD, record)
        with suppress(FileNotFoundError):
            (folder / "last.safetensors").unlink()
    return 0


def stop_with_parent() -> None:
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGTERM)


@contextmanager
def alone_in(folder: Path):
    """Wait until no other process works in the folder: one whose parent was killed may still be saving."""
    with open(folder / "lock", "w") as file:
        try:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        except ImportError:  # Windows
            pass
        yield


def named(settings: dict) -> dict:
    """Settings with the names of data and first weights, not where they lie on this machine."""
    init = settings["init"] and "/".join(Path(settings["init"]).parts[-3:-1])
    if init and Path(settings["init"]).name != "best.safetensors":
        init = Path(settings["init"]).name
    return settings | {"data": Path(settings["data"]).name, "init": init}


def describe(folder: Path, settings: SegmentationSettings, metrics: dict) -> dict:
    """What a finished run found: its scores on the reported split, the course to them, and what they cost."""
    validations = metrics["validations"]
    chosen = max(validations, key=lambda v: v["jaccard"] or 0.0)
    pictures = metrics["steps"] * settings.batch * settings.accumulate
    found = {
        "steps": metrics["steps"],
        "seconds": metrics["train_seconds"],
        "seconds_a_picture": (metrics["train_seconds"] - sum(v["took"] for v in validations)) / pictures,
        "peak_memory_bytes": metrics["peak_memory_bytes"],
        "chosen": {"step": chosen["step"], "jaccard": chosen["jaccard"]},
        "course": [[v["step"], v["seconds"], v["jaccard"]] for v in validations],
    }
    if not settings.trial:
        split = reported_split(settings.data)
        seconds = time_inference(folder / "best.safetensors", settings, split)
        found |= {"split": split, "scores": metrics["test"], "inference_seconds_a_picture": seconds}
    return found


def reported_split(data: str) -> str:
    return "test" if has_split(data, "test") else "val"


def time_inference(checkpoint: Path, settings: SegmentationSettings, split: str) -> float:
    """The median time for one picture, from its pixels to its classes."""
    model, meta = load_model(checkpoint)
    preprocessing = Preprocessing.from_dict(meta["preprocessing"])
    dataset = scaled(open_dataset(settings.data, split), settings.scale)
    times = []
    for i in range(TIMED):
        picture, _ = dataset[i % len(dataset)]
        start = time.perf_counter()
        predict(model, preprocessing.apply(picture)[None])
        times.append(time.perf_counter() - start)
    return statistics.median(times)


if __name__ == "__main__":
    command_line(main)
