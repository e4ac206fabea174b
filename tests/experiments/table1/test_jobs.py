"""Runs in processes of their own: in order, once, over a kill, and each error told."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest
from small_data import make_set
from test_own_process import alive

from experiments.table1 import jobs
from experiments.table1.jobs import Job, run_jobs
from minifcn.errors import InputError
from minifcn.files import LOCK
from minifcn.training.loop import Stopped
from minifcn.training.settings import SegmentationSettings
from minifcn.weights import checkpoint

PROC = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="looks for processes in /proc")
GO_ON = SimpleNamespace(requested=False)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_set(tmp_path_factory.mktemp("set") / "shapes", [("train", 12), ("test", 2)])


def settings(data, **others):
    return SegmentationSettings(**{"model": "fcn32s", "data": data, "steps": 2, "held_out": True, "clip": 5.0} | others)


def test_a_run_starts_after_those_it_needs_and_from_what_they_made(data, tmp_path):
    second = settings(data, model="fcn16s", init=str(tmp_path / "a" / "first" / "best.safetensors"))
    todo = [Job("b/second", second, ("a/first",), keep=False), Job("a/first", settings(data))]
    records = run_jobs(todo, tmp_path, 2, GO_ON)
    assert list(records) == ["a/first", "b/second"]
    first, second = records.values()
    assert second["settings"]["init"] == "a/first" and second["settings"]["data"] == "shapes"
    assert first["split"] == "test" and 0 <= first["scores"]["jaccard"] <= 1
    assert first["chosen"]["jaccard"] == max(jaccard for _, _, jaccard in first["course"])
    assert first["machine"]["threads"] >= 1 and first["machine"]["cpu"] and first["commit"]
    assert str(tmp_path) not in json.dumps(records), "a path of this machine"
    kept = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.safetensors")}
    assert kept == {"a/first/best.safetensors"}
    assert "conv1_1" in (tmp_path / "b" / "second" / jobs.OUTPUT).read_text()  # loaded from the first


def test_what_is_finished_is_not_done_again(data, tmp_path, monkeypatch):
    todo = [Job("one", settings(data))]
    records = run_jobs(todo, tmp_path, 1, GO_ON)
    monkeypatch.setattr(jobs, "start", lambda *_, **__: pytest.fail("started again"))
    assert run_jobs(todo, tmp_path, 1, GO_ON) == records


def test_the_best_run_is_that_run_and_the_others_checkpoints_go(data, tmp_path, monkeypatch):
    todo = [
        Job("two", after=("a", "b")),
        Job("next", settings(data), ("two",), rate_of="two"),
        Job("a", settings(data, lr=0.02)),
        Job("b", settings(data, lr=1e-6)),
    ]
    monkeypatch.setattr(jobs, "held_out_score", lambda record: record["settings"]["lr"])
    records = run_jobs(todo, tmp_path, 2, GO_ON)
    assert records["two"] == records["a"] != records["b"] and records["next"]["settings"]["lr"] == 0.02
    assert json.loads((tmp_path / "results" / "two.json").read_text()) == records["a"]
    _, meta = checkpoint.load(tmp_path / "two" / "best.safetensors")
    assert meta["settings"]["lr"] == 0.02
    assert [path.parent.name for path in sorted(tmp_path.rglob("*.safetensors"))] == ["next", "two"]


def test_what_a_record_tells(data):
    metrics = {"steps": 5, "train_seconds": 12.0, "peak_memory_bytes": 1, "test": {"jaccard": 0.2}}
    points = ((2, 0.4), (4, 0.4), (5, None))
    metrics["validations"] = [{"step": s, "seconds": s / 2, "jaccard": j, "loss": s / 4} for s, j in points]
    found = jobs.found(settings(data, batch=3), metrics)
    assert found["chosen"] == {"step": 2, "jaccard": 0.4}  # of equals the first, as the trainer keeps it
    assert found["course"] == [[2, 1.0, 0.4], [4, 2.0, 0.4], [5, 2.5, None]]
    assert (found["steps"], found["seconds"], found["loss"], found["split"]) == (5, 12.0, 1.25, "test")
    assert found["scores"] == {"jaccard": 0.2}


def test_divergence_is_a_result_where_nothing_starts_from_it(data, tmp_path):
    hot = settings(data, steps=3, lr=1e30)
    record = run_jobs([Job("hot", hot, may_diverge=True)], tmp_path, 1, GO_ON)["hot"]
    assert "lr 1e+30" in record["diverged"] and "scores" not in record
    with pytest.raises(InputError, match=r"needed: .*lr 1e\+30.*output\.txt there"):
        run_jobs([Job("needed", hot)], tmp_path, 1, GO_ON)  # others start from it


def test_an_error_names_the_run_and_the_cause(data, tmp_path):
    (tmp_path / "damaged.safetensors").write_bytes(b"nothing")
    todo = [Job("bad", settings(data, init=str(tmp_path / "damaged.safetensors")))]
    with pytest.raises(InputError, match=r"bad: .*damaged.safetensors"):
        run_jobs(todo, tmp_path, 1, GO_ON)


PARENT = """
import json, sys
from pathlib import Path
from types import SimpleNamespace
from experiments.table1.jobs import Job, run_jobs
from minifcn.training.settings import SegmentationSettings
if __name__ == "__main__":
    chosen = SegmentationSettings(**json.loads(sys.argv[2]))
    run_jobs([Job("run", chosen)], Path(sys.argv[1]), 1, SimpleNamespace(requested=False))
"""
LONG = {"model": "fcn32s", "steps": 60, "held_out": True, "val_every": 1, "clip": 5.0}


def start_parent(root, data):
    return subprocess.Popen([sys.executable, "-c", PARENT, str(root), json.dumps(LONG | {"data": data})])


def wait_for(path: Path):
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} did not appear"
        time.sleep(0.02)


def run_pid(folder: Path) -> int:
    """The process that holds a run's folder: it has its lock open."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if any(Path(os.readlink(fd)) == folder / LOCK for fd in (process / "fd").iterdir()):
                return int(process.name)
    raise AssertionError(f"nobody is at work in {folder}")


@PROC
def test_a_parent_that_is_killed_takes_its_runs_with_it_and_they_go_on_bit_for_bit(data, tmp_path):
    parent = start_parent(tmp_path / "killed", data)
    wait_for(tmp_path / "killed" / "run" / "last.safetensors")
    orphan = run_pid(tmp_path / "killed" / "run")
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    for name in ("killed", "left_alone"):  # the first at once, while the orphan may still be saving
        again = start_parent(tmp_path / name, data)
        assert again.wait() == 0
    killed, alone = (tmp_path / name / "run" for name in ("killed", "left_alone"))
    assert (killed / "log.csv").read_bytes() == (alone / "log.csv").read_bytes()
    assert "stopping after this step" in (killed / jobs.OUTPUT).read_text()  # the orphan was told
    assert not alive(orphan), "it has saved, and waits for more to do"
    a, b = (json.loads((run.parent / "results" / "run.json").read_text()) for run in (killed, alone))
    assert a["scores"] == b["scores"] and a["chosen"] == b["chosen"]


def test_a_folder_is_one_run_s_at_a_time(tmp_path):
    entered = []

    def second():
        with jobs.alone_in(tmp_path, wait=True):
            entered.append(time.monotonic())

    with jobs.alone_in(tmp_path):
        thread = threading.Thread(target=second)
        thread.start()
        time.sleep(0.3)
        with pytest.raises(InputError, match=f"process {os.getpid()} on .* is at work here"), jobs.alone_in(tmp_path):
            pytest.fail("two in one folder")
        left = time.monotonic()
    thread.join()
    assert entered[0] >= left


def test_a_request_to_stop_saves_every_run(data, tmp_path):
    class Later:
        """Asks once the run has begun."""

        @property
        def requested(self):
            return (tmp_path / "run" / "log.csv").exists()

    chosen = SegmentationSettings(**LONG | {"data": data, "steps": 100_000})
    with pytest.raises(Stopped):
        run_jobs([Job("run", chosen)], tmp_path, 1, Later())
    _, meta = checkpoint.load(tmp_path / "run" / "last.safetensors")
    assert 0 < meta["step"] < 100_000 and not (tmp_path / "results" / "run.json").exists()


@PROC
@pytest.mark.parametrize("number, raised", [(signal.SIGKILL, InputError), (signal.SIGTERM, Stopped)])
def test_a_run_that_is_killed_is_named_and_the_others_save(number, raised, data, tmp_path):
    class Never:
        """Once both runs have a checkpoint it kills the first."""

        sent = False

        @property
        def requested(self):
            if not self.sent and all((tmp_path / name / "last.safetensors").exists() for name in ("first", "other")):
                self.sent = True
                os.kill(run_pid(tmp_path / "first"), number)
            return False

    long = SegmentationSettings(**LONG | {"data": data, "steps": 100_000})
    todo = [Job(name, long) for name in ("first", "other")]
    with pytest.raises(raised, match="first"):
        run_jobs(todo, tmp_path, 2, Never())
    assert "stopping after this step" in (tmp_path / "other" / jobs.OUTPUT).read_text()
    rows = (tmp_path / "other" / "log.csv").read_text().count("\n") - 1
    assert checkpoint.load(tmp_path / "other" / "last.safetensors")[1]["step"] == rows, "not saved where it stopped"


def test_a_record_tells_each_commit_it_was_made_with(tmp_path, monkeypatch):
    (tmp_path / "commits.txt").write_text("abc")  # as reports had it before: no line end
    for commit in ("abc", "version 1.2", "version 1.2"):
        monkeypatch.setattr(jobs, "commit", lambda commit=commit: commit)
        found = jobs.note_commit(tmp_path)
    assert found == "abc, resumed at version 1.2"
