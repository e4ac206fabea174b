"""A small checkpoint that claims a large network is refused before any memory is taken for one."""

import subprocess
import sys
import tracemalloc

import numpy as np
import pytest

from minifcn.errors import InputError
from minifcn.models import MODELS, Widths
from minifcn.weights import checkpoint, load_model
from minifcn.weights.metadata import shapes_of

SPEC = {"name": "fcn32s", "num_classes": 21, "trunk": "vgg16", "pad": "same"}
PIXELS = {"order": "RGB", "mean": [0, 0, 0], "std": [1, 1, 1]}
CLAIMS = {
    "400 classes": {"num_classes": 400},
    "255 classes": {"num_classes": 255},
    "2^40 classes": {"num_classes": 2**40},
    "VGG-16": {},
    "8s": {"name": "fcn8s", "num_classes": 200},
    "a trunk of that name": {"trunk": "vgg99"},
    "dropout": {"dropout": 1e9},
    "pad": {"pad": 10**9},
    "a seed": {"seed": 10**300},
    "another dtype": {"dtype": "complex256"},
    "skips": {"skip_scale": [1e300, 1]},
    "a classifier": {"name": "vgg_classifier", "num_classes": 60_000},
}


def claim(path, **change):
    spec = SPEC | change
    names = [f"class {i}" for i in range(min(spec["num_classes"], 60_000))]
    meta = {"model": spec, "classes": names, "palette": [[0, 0, 0]] * min(len(names), 255), "preprocessing": PIXELS}
    checkpoint.save(path, {"model/conv1_1.weight": np.zeros((3, 3, 3, 64), "f")}, meta)
    return path


@pytest.mark.parametrize("what", [*CLAIMS])
def test_a_claim_takes_no_memory(what, tmp_path):
    path = claim(tmp_path / "a", **CLAIMS[what])
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=f"^{path}: "):
            load_model(path)
        assert tracemalloc.get_traced_memory()[1] < 2**24
    finally:
        tracemalloc.stop()


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_AS")
def test_predict_needs_no_memory_for_a_claim(tmp_path):
    """What NumPy does not tell tracemalloc counts here, too."""
    code = (
        "import resource, sys; from minifcn.weights import load_model; from minifcn.errors import InputError\n"
        "used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + 2**27,) * 2)\n"
        "try: load_model(sys.argv[1])\n"
        "except InputError as error: print(error)"
    )
    path = claim(tmp_path / "a", num_classes=255)
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "checkpoint of another network: conv1_1.bias is missing there" in done.stdout


@pytest.mark.parametrize("pad", [100, "same"])
@pytest.mark.parametrize("name", [*MODELS])
def test_shapes_are_those_of_the_network(name, pad):
    spec = {"num_classes": 5, "trunk": Widths((3, 4, 5, 6, 7), 8), "pad": pad}
    expected = {name: p.shape for name, p in MODELS[name](**spec).parameters().items()}
    assert shapes_of(MODELS[name], spec) == expected
