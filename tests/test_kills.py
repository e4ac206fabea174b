"""Kills at random moments of the commands that no other test kills so, and of faulty ones."""

import sys
from pathlib import Path

import kills
import pytest
from small_checkpoint import make_checkpoint

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")


def test_predict_and_import_end_alike_after_kills(tmp_path):
    results = kills.campaign(["predict", "import"], 5, 16, 1, tmp_path)
    assert sum(found["kills"] for all_of in results.values() for found in all_of) >= 5
    assert not [found["wrong"] for all_of in results.values() for found in all_of if found["wrong"]]


HALF = """
import sys, time
with open(sys.argv[1] + "/half.json", "w") as file:
    file.write("[1, 2")
    file.flush()
    time.sleep(1)
    file.write("]")
"""
COUNT = """
import sys, time
with open(sys.argv[1] + "/log.csv", "a") as file:
    file.write("a,b\\n")
time.sleep(1)
"""


@pytest.mark.parametrize("code, told", [(HALF, "half.json: JSONDecodeError"), (COUNT, "log.csv differs")])
def test_a_planted_fault_is_seen(code, told, tmp_path):
    """A file that is written where it is; a row that is written again."""

    def start(_, out):
        return [sys.executable, "-c", code, out]

    task = kills.Task(start, start, kills.same_bytes)
    results = kills.campaign(["faulty"], 3, 1, 3, tmp_path, {"faulty": task})
    assert any(told in text for found in results["faulty"] for text in found["wrong"]), results


@pytest.mark.usefixtures("tiny_trunk")
def test_what_is_not_whole_is_told(tmp_path):
    whole = make_checkpoint(tmp_path / "last.safetensors")
    for name, content in {
        "cut.safetensors": whole.read_bytes()[:-1],
        "log.csv": b"step,loss\n1,0.5\n2",
        "page.html": b"<html>",
        "a.png": b"\x89PNG",
        "metrics.json": b"{",
    }.items():
        Path(tmp_path, name).write_bytes(content)
    (tmp_path / "a.json.tmp").write_text("{")
    told = kills.half_written(tmp_path)
    assert [text.split(":")[0] for text in told] == ["a.png", "cut.safetensors", "log.csv", "metrics.json", "page.html"]
