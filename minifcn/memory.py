"""How much memory a training step needs, estimated before it starts, and how much this process has."""

import sys

from . import cpu, gpu
from .cpu.winograd import CHUNK
from .models.fcn import FCN32s
from .models.vgg import CONVS


def estimate(model: FCN32s, batch: int, height: int, width: int, low_memory: bool = False) -> int:
    """Return the bytes that training on batches of that size will hold at its peak, roughly.

    Weights, gradients (not with low_memory) and momentum; what the trunk keeps for backward; score maps at full
    resolution with the loss's gradient; the tiles that Winograd's weight gradient has in work (on a GPU the strips of
    im2col); 10 % on top for gradients in flight and other workspace. Python and its libraries come to some 0.1 GB more.
    """
    item = model.dtype.itemsize
    copies = 2 if low_memory else 3
    parameters = sum(p.data.size * (copies if p.requires_grad else 1) for p in model.parameters().values())
    h, w = height + 2 * model.conv1_padding - 2, width + 2 * model.conv1_padding - 2
    conv1 = batch * h * w * model.widths.blocks[0]
    kept = batch * height * width * 3 + conv1  # two of conv1's maps are alive in backward
    if model.loops is gpu:
        workspace = min(gpu.WORKSPACE, 9 * conv1)
    else:
        workspace = 2 * min(CHUNK, 36 * conv1 // 16)  # v and dm
    for convs, channels in zip(CONVS, model.widths.blocks, strict=True):
        kept += batch * h * w * channels * (convs - 1)  # the last one of a block is pooled and freed
        h, w = -(-h // 2), -(-w // 2)
        kept += batch * h * w * channels * (1 + 1 / item)  # the pool's output and its winners
    kept += batch * h * w * model.widths.fc * 4
    scores = batch * height * width * model.num_classes * 2
    return int(item * (parameters + kept + scores + workspace) * 1.1)


def resident(loops=cpu) -> int | None:
    """Return the bytes of memory this process holds, of the GPU's if told, or None where the system does not say."""
    if loops is gpu:
        return gpu.memory_held()
    try:
        with open("/proc/self/statm") as file:
            import resource

            return int(file.read().split()[1]) * resource.getpagesize()
    except (OSError, ImportError):
        return None


def peak(loops=cpu) -> int | None:
    """Return the most bytes this process has held, of the GPU's if told, or None where the system does not say."""
    if loops is gpu:
        return gpu.memory_held()  # its pool shrinks only where memory runs short
    try:
        import resource
    except ImportError:  # Windows
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def text(count: float | None) -> str:
    """1_500_000_000 -> '1.50 GB' (10^9 bytes)."""
    return "unknown" if count is None else f"{count / 1e9:.2f} GB"
