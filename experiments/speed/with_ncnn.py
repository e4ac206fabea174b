"""ncnn as a contender: inference of the whole FCN-32s in float32, as fast as its options make it.

Winograd (it chooses the tile), packed layouts and prepacked weights are on, 16-bit storage and arithmetic off.
Upsampling is bilinear interpolation, as in the tuned twin (with_torch.py), not a dense transposed convolution.
"""

import os
import tempfile
from pathlib import Path

import inputs
import ncnn
import numpy as np

OFFSET = {100: 19, "same": 16}  # the crop, for FCN-32s


def prepare(job: dict):
    """Return a function that does the job once and returns the scores (1,H,W,L), and what copies them."""
    if (job["kind"], job["network"]) != ("inference", "fcn32s"):
        raise ValueError("with_ncnn.py: inference of fcn32s only")
    net = ncnn.Net()
    options = net.opt
    options.num_threads = int(os.environ["OMP_NUM_THREADS"])
    options.use_fp16_packed = options.use_fp16_storage = options.use_fp16_arithmetic = False
    options.use_bf16_storage = options.use_bf16_packed = False
    lines, arrays = layers(job)
    header = f"7767517\n{len(lines)} {len(lines)}\n"  # its magic number; counts of layers and of maps
    with tempfile.TemporaryDirectory() as folder:
        param, model = Path(folder, "fcn32s.param"), Path(folder, "fcn32s.bin")
        param.write_text(header + "\n".join(lines) + "\n")
        with model.open("wb") as file:
            for array in arrays:
                file.write(array.tobytes())
        net.load_param(str(param))
        net.load_model(str(model))
    planes = np.ascontiguousarray(inputs.batch(job)[0][0].transpose(2, 0, 1))
    picture = ncnn.Mat(planes).clone()  # without clone it would not keep the array alive

    def scores():
        extractor = net.create_extractor()
        extractor.input("x", picture)
        _, found = extractor.extract("scores")
        return found

    return scores, lambda found: np.array(found).transpose(1, 2, 0)[None]


def layers(job: dict) -> tuple[list[str], list[np.ndarray]]:
    """The network as lines of ncnn's param file, each layer after the one before, and the contents of its bin file."""
    weights, lines, arrays = inputs.weights(job), ["Input x 0 1 x"], []

    def add(kind: str, name: str, settings: str) -> None:
        before = lines[-1].split()[1]
        lines.append(f"{kind} {name} 1 1 {before} {name} {settings}")

    def conv(name: str, padding: int, relu: bool) -> None:
        w, b = weights[f"{name}.weight"], weights[f"{name}.bias"]
        add("Convolution", name, f"0={w.shape[3]} 1={w.shape[0]} 4={padding} 5=1 6={w.size} 9={int(relu)}")
        arrays.extend([np.zeros(1, np.int32), np.ascontiguousarray(w.transpose(3, 2, 0, 1)), b])  # 0: float32 follows

    same = job["pad"] == "same"
    for block, convs in enumerate(inputs.CONVS, 1):
        for i in range(1, convs + 1):
            conv(f"conv{block}_{i}", 100 if block == i == 1 and not same else 1, True)
        add("Pooling", f"pool{block}", "0=0 1=2 2=2 5=0")  # the maximum; sizes rounded up
    conv("fc6", 3 if same else 0, True)
    conv("fc7", 0, True)
    conv("score_fr", 0, False)
    add("Padding", "padded", "0=1 1=1 2=1 3=1")
    add("Interp", "upsampled", "0=2 1=32.0 2=32.0")
    first = OFFSET[job["pad"]] + 16
    add("Crop", "scores", f"0={first} 1={first} 2=0 3={job['W']} 4={job['H']} 5={job['classes']}")
    return lines, arrays


def versions() -> dict:
    return {"ncnn": ncnn.__version__}
