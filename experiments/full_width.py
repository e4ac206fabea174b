"""FCN-16s at the full width of VGG-16, really trained on CamVid from a torchvision file, and what an epoch would take.

    env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE python -m experiments.full_width CAMVID

Writes the VGG-16 file as the published one is written (PyTorch's legacy format; random values serve, 0.5 GB in the
temporary folder), trains on whole pictures of 360 x 480, one at a time, and records seconds a step (checkpoints
included, validation not), the most memory that the process held, and the losses, in docs/results/. Needs PyTorch, to
write the file.
"""

import argparse
import csv
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

from experiments.results import commit, write
from experiments.results_page import FULL_WIDTH

SBD = 8498  # training pictures
CONVS = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)  # their numbers in torchvision's `features`
WIDTHS = (64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("camvid", type=Path)
    parser.add_argument("--steps", type=int, default=100)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        write_vgg16(Path(folder) / "vgg16.pth")
        data = Path(folder) / "camvid"  # the training split alone: no validation
        data.mkdir()
        for part in ("train", "trainannot"):
            (data / part).symlink_to((args.camvid / part).resolve())
        options = ["--data", "camvid", "--init", "vgg16.pth", "--model", "fcn16s", "--trunk", "vgg16", "--batch", "1"]
        options += ["--steps", str(args.steps), "--lr", "0.001", "--name", "run"]
        subprocess.run([sys.executable, "-m", "minifcn.train", *options], cwd=folder, check=True)
        record = summary(Path(folder) / "runs" / "run", args.steps, options)
    print(json.dumps(record, indent=1))
    write(FULL_WIDTH, record)


def write_vgg16(path: Path) -> None:
    """Write a VGG-16 with torchvision's names and shapes, He-initialised, in the format of the published file."""
    torch.manual_seed(0)
    shapes, channels = {}, 3
    for number, width in zip(CONVS, WIDTHS, strict=True):
        shapes[f"features.{number}"], channels = (width, channels, 3, 3), width
    shapes |= {"classifier.0": (4096, 512 * 7 * 7), "classifier.3": (4096, 4096), "classifier.6": (1000, 4096)}
    state = {}
    for name, shape in shapes.items():
        fan_in = shape[1] if len(shape) == 2 else shape[1] * 9
        state[f"{name}.weight"] = torch.randn(shape) * (2 / fan_in) ** 0.5
        state[f"{name}.bias"] = torch.zeros(shape[0])
    torch.save(state, path, _use_new_zipfile_serialization=False)


def summary(run: Path, steps: int, options: list[str]) -> dict:
    metrics, config = (json.loads((run / name).read_text()) for name in ("metrics.json", "config.json"))
    with open(run / "log.csv", newline="") as file:
        losses = [float(row["loss"]) for row in csv.DictReader(file)]
    assert metrics["steps"] == len(losses) == steps
    return {
        "command": f"python -m minifcn.train {' '.join(options)}",
        "machine": config["machine"],
        "commit": commit(),
        "steps": steps,
        "seconds_a_step": metrics["train_seconds"] / steps,
        "peak_memory_bytes": metrics["peak_memory_bytes"],
        "hours_an_epoch_of_sbd": metrics["train_seconds"] / steps * SBD / 3600,
        "loss_first_10": sum(losses[:10]) / 10,
        "loss_last_10": sum(losses[-10:]) / 10,
    }


if __name__ == "__main__":
    main()
