"""What a run's folder says when it was damaged: a run that is finished counts as such, or its end is made again."""

import json
import os
import shutil
from pathlib import Path

import pytest
from small_data import fails, make_set

from minifcn import train
from minifcn.errors import InputError
from minifcn.training.evaluation import load
from minifcn.training.folder import Log, read_log, read_metrics
from minifcn.training.segmentation import Segmentation

pytestmark = pytest.mark.usefixtures("tiny_trunk", "no_drawing")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    data = make_set(tmp_path_factory.mktemp("sets") / "shapes", [("train", 2), ("val", 1)], size=(20, 24))
    out = tmp_path_factory.mktemp("runs")
    options = "--model fcn32s --trunk tiny --steps 2 --batch 1 --val-every 0.5 --init scratch --crop 16 16"
    assert train.main(f"--data {data} --out {out} --name run {options}".split()) == 0
    return out / "run"


@pytest.mark.parametrize("content", ["[" * 100_000, "{", "", "null", "7", '{"a":' * 100_000, "\ud800"])
def test_what_is_no_document_is_not_there(content, tmp_path):
    (tmp_path / "metrics.json").write_text(content, errors="surrogatepass")
    assert read_metrics(tmp_path) is None
    assert read_metrics(tmp_path / "nowhere") is None


ROWS = [{"step": k, "epoch": 0, "lr": 0.1, "loss": 0.5, "val_jaccard": 0.25} for k in (1, 2)]


@pytest.mark.parametrize("name", ["val_jac\0card", "val_other", "val_top1", "loss\x1b", ""])
def test_columns_of_another_name_are_refused(name, tmp_path):
    Log(tmp_path / "log.csv", ROWS, Segmentation.scores)
    assert read_log(tmp_path / "log.csv", 2, Segmentation.scores) == ROWS
    content = (tmp_path / "log.csv").read_bytes()
    (tmp_path / "log.csv").write_bytes(content.replace(b"val_jaccard", name.encode()))
    with pytest.raises(InputError, match="expected the rows of steps 1 to 2"):
        read_log(tmp_path / "log.csv", 2, Segmentation.scores)


@pytest.mark.parametrize("step", [3, 2**53])
def test_more_steps_than_rows(step, tmp_path):
    Log(tmp_path / "log.csv", ROWS, Segmentation.scores)
    with pytest.raises(InputError, match=f"expected the rows of steps 1 to {step}"):
        read_log(tmp_path / "log.csv", step, Segmentation.scores)


# --- what is trained can be read again ---


@pytest.mark.parametrize("given", ["--seed 9007199254740992", "--skip-scale 1e6 -1000000", "--skip-scale 0 1e-300"])
def test_a_run_s_checkpoints_are_read_whatever_its_options(given, finished, tmp_path):
    data = json.loads((finished / "config.json").read_text())["stages"][0]["data"]
    options = (
        f"--data {data} --out {tmp_path} --name run --model fcn32s --trunk tiny --steps 1 --batch 1 --init scratch"
    )
    assert train.main([*options.split(), *given.split()]) == 0
    assert load(tmp_path / "run" / "last.safetensors").meta["step"] == 1


def test_a_side_that_no_checkpoint_may_have(finished, tmp_path):
    data = json.loads((finished / "config.json").read_text())["stages"][0]["data"]
    with pytest.raises(InputError, match="--side: expected 0 to 16384, received 16385"):
        train.main(["--data", data, "--out", str(tmp_path / "runs"), "--side", "16385"])
    assert not (tmp_path / "runs").exists()


def test_class_names_that_no_checkpoint_may_have(tmp_path):
    data = make_set(tmp_path / "shapes", [("train", 2)], size=(20, 24))
    names = (Path(data) / "classes.txt").read_text().splitlines()
    (Path(data) / "classes.txt").write_text("\n".join([names[0] + "x" * 300, *names[1:]]), encoding="utf-8")
    options = (
        f"--data {data} --out {tmp_path} --name run --model fcn32s --trunk tiny --steps 1 --batch 1 --init scratch"
    )
    with pytest.raises(InputError, match="line 1 has over 256 characters"):
        train.main(options.split())
    assert not list(tmp_path.glob("run/*.safetensors"))


@pytest.mark.parametrize("name", ["config.json", "metrics.json", "log.csv"])
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with a name")
def test_a_pipe_in_a_run_s_folder_is_refused(name, finished, tmp_path, capsys):
    """It would be read for ever."""
    run = Path(shutil.copytree(finished, tmp_path / "run"))
    (run / "metrics.json").unlink()
    (run / name).unlink(missing_ok=True)
    os.mkfifo(run / name)
    assert fails(capsys, train.main, "--resume", run).startswith(f"error: {run / name}: not a regular file")
