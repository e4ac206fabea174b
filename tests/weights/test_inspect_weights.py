"""inspect_weights: everything that is in a file, where it goes, and one line for what cannot be read."""

import re
import subprocess
import sys

import handmade as by
import numpy as np
import pytest
from safetensors.numpy import save_file

from minifcn.errors import InputError
from minifcn.inspect_weights import main
from minifcn.weights import checkpoint

TORCHVISION = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)


def lines(capsys, path):
    main([str(path)])
    return capsys.readouterr().out.splitlines()


def columns(line):
    return re.split(r"  +", line)


def test_torchvision(tmp_path, capsys):
    numbers = dict(zip(by.CONVS, TORCHVISION, strict=True))
    arrays = {f"features.{numbers[name[:7]]}.{name[8:]}": x for name, x in by.trunk().items()}
    arrays |= {"classifier.0.weight": np.zeros((5, 98), np.float32), "classifier.6.bias": np.zeros(1000, np.float16)}
    arrays |= {"extra.weight": np.array(1.0)}
    save_file(arrays, tmp_path / "a")
    head, body = lines(capsys, tmp_path / "a")[:5], lines(capsys, tmp_path / "a")[5:]
    size = sum(x.nbytes for x in arrays.values()) / 1e6
    assert head == [
        f"{tmp_path / 'a'}: torchvision VGG-16, safetensors",
        "preprocessing: RGB of 0..255, minus 123.675 116.28 103.53, divided by 58.395 57.12 57.375",
        "classes: not said",
        f"29 arrays, {size:.1f} MB",
        "",
    ]
    assert columns(body[0]) == ["in the file", "shape", "type", "in minifcn"] and len(body) == 30
    rows = {columns(line)[0]: columns(line)[1:] for line in body[1:]}
    assert rows["features.5.weight"] == ["2x3x3x3", "float32", "conv2_1.weight 3x3x3x2"]
    assert rows["features.28.bias"] == ["2", "float32", "conv5_3.bias 2"]
    assert rows["classifier.0.weight"] == ["5x98", "float32", "fc6.weight 7x7x2x5"]
    assert rows["classifier.6.bias"] == ["1000", "float16", "skipped: ImageNet's classes"]
    assert rows["extra.weight"] == ["one number", "float64", "skipped: minifcn has no such layer"]


def test_pytorch_fcn(tmp_path, capsys):
    (tmp_path / "a").write_bytes(by.legacy(by.state_dict(by.tensors(by.trunk())), by.contents(by.trunk())))
    shown = lines(capsys, tmp_path / "a")
    assert shown[0] == f"{tmp_path / 'a'}: pytorch-fcn, legacy pickle"
    assert shown[1] == "preprocessing: BGR of 0..255, minus 104.007 116.669 122.679, divided by 1 1 1"


def test_checkpoint(tmp_path, capsys):
    tensors = {"model/conv1_1.bias": np.zeros(3, np.float16), "momentum/conv1_1.bias": np.zeros(3)}
    preprocessing = {"order": "RGB", "mean": [1, 2.5, 3], "std": [1, 1, 2]}
    checkpoint.save(tmp_path / "a", tensors, {"classes": ["sky", "Straße"], "preprocessing": preprocessing})
    shown = lines(capsys, tmp_path / "a")
    assert shown[0] == f"{tmp_path / 'a'}: minifcn checkpoint" and shown[3] == "2 arrays, 0.0 MB"
    assert shown[1] == "preprocessing: RGB of 0..255, minus 1 2.5 3, divided by 1 1 2"
    assert shown[2] == r"classes: sky, Stra\xdfe"
    assert columns(shown[6]) == ["model/conv1_1.bias", "3", "float16", "conv1_1.bias 3"]
    assert columns(shown[7]) == [
        "momentum/conv1_1.bias",
        "3",
        "float64",
        "skipped: momentum, which only --resume reads",
    ]
    checkpoint.save(tmp_path / "a", tensors, {})
    assert lines(capsys, tmp_path / "a")[1:3] == ["preprocessing: not said", "classes: not said"]


def test_bad_input_is_one_line_and_status_2(tmp_path):
    (tmp_path / "a.pth").write_text("<html>not found</html>")
    command = [sys.executable, "-m", "minifcn.inspect_weights", str(tmp_path / "a.pth")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith(f"error: {tmp_path / 'a.pth'}: a web page was saved") and done.stderr.count("\n") == 1
    with pytest.raises(InputError):
        main([str(tmp_path / "nowhere")])


def test_help_fits_a_screen(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    out = capsys.readouterr().out
    assert stop.value.code == 0 and out.count("\n") < 24 and max(map(len, out.splitlines())) <= 80
