"""predict takes a bounded number of bytes for a pixel: reading, windows, scaling back, drawing, the page."""

import subprocess
import sys

import pytest
from PIL import Image

SIDE = 3000

# Prints by how many bytes the process grew; its network finds a class in no time.
PREDICT = """
import resource, sys
from importlib import import_module
import numpy as np
from minifcn.training import evaluation
predict = import_module("minifcn.predict")

def classify(model, x, look=None):
    return np.zeros(x.shape[:3], np.uint8)

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)

evaluation.classify = classify
small, large, *options = sys.argv[1:]
predict.pace = lambda model: 0
predict.main(["--model", "camvid", small, *options])
before = peak()
assert predict.main(["--model", "camvid", large, *options]) == 0
print("grew", peak() - before)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no resource")
@pytest.mark.parametrize("most, options", [(14, "--page"), (28, "--side 0 --compare labels")])
def test_bytes_a_pixel(most, options, tmp_path):
    """Drawn at once, the overlay alone would take 50."""
    (tmp_path / "labels").mkdir()
    for name, size in (("small", (300, 200)), ("large", (SIDE, SIDE))):
        Image.new("RGB", size, (90, 140, 60)).save(tmp_path / f"{name}.jpg")
        Image.new("L", size).save(tmp_path / "labels" / f"{name}.png")
    command = [sys.executable, "-c", PREDICT, "small.jpg", "large.jpg", *options.split()]
    child = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=tmp_path)
    assert child.returncode == 0, child.stderr
    grown = int(child.stdout.split("grew ")[1])
    assert grown < most * SIDE**2 + 50e6, f"{grown / SIDE**2:.1f} bytes a pixel"
