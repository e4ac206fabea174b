"""The machine: what results depend on, how much memory a training step needs, and how much this process has."""

import platform
import sys
from contextlib import suppress

import numpy as np

from .. import cpu, device, gpu
from ..models.fcn import FCN32s
from ..models.vgg import CONVS, HUGE

TILES = 1 << 23  # elements of Winograd's tiles in work (CHUNK in cpu/winograd.py), twice: of x and of dy
RECOMPUTED = 3  # blocks whose first map a run with low_memory does not keep (loop.py)


def estimate(model: FCN32s, batch: int, height: int, width: int, low_memory: bool = False) -> int:
    """Return the bytes that training on batches of that size will hold at its peak, roughly: estimate_parts' sum.

    Python and its libraries come to some 0.1 GB more.
    """
    return sum(estimate_parts(model, batch, height, width, low_memory).values())


def estimate_parts(model: FCN32s, batch: int, height: int, width: int, low_memory: bool = False) -> dict[str, int]:
    """Return the same bytes by part, as they are when the forward pass is done and at the peak after it.

    weights       all parameters
    momentum      of those that are learnt
    gradients     of the same, from one step to the next; none with low_memory
    activations   what the graph keeps for backward: the trunk's maps and winners, and the loss's gradient
    workspace     maps that are computed once more in backward (all of them, although only one block's are alive at a
                  time), a second one of conv1's, the scores themselves, the tiles that Winograd's weight gradient has
                  in work (on a GPU the strips of im2col), and 10 % of everything for gradients in flight and the rest
    """
    item, parameters = model.dtype.itemsize, model.parameters().values()
    weights = sum(p.data.size for p in parameters)
    learnt = sum(p.data.size for p in parameters if p.requires_grad)
    kept, in_flight = _maps(model, batch, height, width, RECOMPUTED if low_memory else 0)
    parts = {"weights": weights, "momentum": learnt, "gradients": 0 if low_memory else learnt, "activations": kept}
    parts = {name: int(item * size) for name, size in parts.items()}
    return parts | {"workspace": int(1.1 * (sum(parts.values()) + item * in_flight)) - sum(parts.values())}


def _maps(model: FCN32s, batch: int, height: int, width: int, recomputed: int) -> tuple[float, int]:
    """Elements of the maps that the graph keeps, and of what is alive for a while beside them."""
    scores = batch * height * width * model.num_classes
    h, w = (side + 2 * model.conv1_padding - 2 for side in (height, width))
    conv1 = batch * h * w * model.widths.blocks[0]
    tiles = min(gpu.WORKSPACE, 9 * conv1) if model.loops is gpu else 2 * min(TILES, 64 * conv1 // 36)
    kept, in_flight = batch * height * width * 3 + scores, conv1 + scores + tiles
    for block, (convs, channels) in enumerate(zip(CONVS, model.widths.blocks, strict=True), 1):
        size = batch * h * w * channels
        again = block <= recomputed or size >= HUGE  # the first map is not kept: models/vgg.py
        kept += size * (convs - 1 - again)  # the last one of a block is pooled and freed
        in_flight += size * again
        h, w = -(-h // 2), -(-w // 2)
        kept += batch * h * w * channels * (1 + 1 / model.dtype.itemsize)  # the pool's output and its winners
    return kept + batch * h * w * model.widths.fc * 4, in_flight


def resident(loops=cpu) -> int | None:
    """Return the bytes of memory that this process holds, on the GPU where `loops` is gpu; None where it is unknown."""
    return gpu.memory_held() if loops is gpu else _status("VmRSS")


def peak(loops=cpu) -> int | None:
    """Return the most bytes that this process has held, on the GPU where `loops` is gpu; None where it is unknown."""
    if loops is gpu:
        return gpu.memory_held()  # its pool shrinks only where memory runs short
    if most := _status("VmHWM"):
        return most  # ru_maxrss would begin with the peak of whoever started this process
    with suppress(ImportError):  # Windows
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _status(name: str) -> int | None:
    """Bytes that Linux says of this process; None on other systems."""
    with suppress(OSError, StopIteration), open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(name))


def text(count: float | None) -> str:
    """1_500_000_000 -> '1.50 GB' (10^9 bytes)."""
    return "unknown" if count is None else f"{count / 1e9:.2f} GB"


def machine(where: str = "cpu") -> dict:
    """What results depend on beside the settings, and times more so."""
    found = {"cpu": cpu_name(), "python": platform.python_version(), "numpy": np.__version__}
    found |= {"blas": cpu.blas_kernel(), "device": device.start(where).describe(), "threads": cpu.num_threads()}
    return found | {"system": f"{platform.system()} {platform.machine()}"}


def cpu_name() -> str:
    with suppress(OSError, StopIteration), open("/proc/cpuinfo") as file:
        return next(line.split(":")[1].strip() for line in file if line.startswith("model name"))
    return platform.processor() or platform.machine()
