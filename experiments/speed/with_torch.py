"""PyTorch as a contender, in two styles.

tuned   the twin a PyTorch user with time would write: channels_last, bilinear interpolation instead of a dense
        transposed convolution, fused SGD, ReLU in place, inference_mode
plain   the same network as first written: NCHW, dense ConvTranspose2d with fixed weights, SGD as it comes

A training step may compute in bfloat16: by autocast, with weights in float32, or whole, weights and all.
"""

import os

import inputs
import numpy as np
import torch

F = torch.nn.functional


def prepare(job: dict):
    """Return a function that does the job once and returns what it computed, an array in NHWC."""
    return {"layer": layer, "train": train, "inference": inference}[job["kind"]](job)


def layer(job):
    memory_format = torch.channels_last if job["style"] == "channels_last" else torch.contiguous_format
    x, w, b, dy = (torch.from_numpy(array) for array in inputs.layer(job))
    x, dy = (t.permute(0, 3, 1, 2).contiguous(memory_format=memory_format) for t in (x, dy))
    w = w.permute(3, 2, 0, 1).contiguous(memory_format=memory_format)
    one = [1, 1]

    def gradient(which):
        mask = [which == 0, which == 1, False]
        backward = torch.ops.aten.convolution_backward
        return backward(dy, x, w, [job["K"]], one, one, one, False, [0, 0], 1, mask)[which]

    functions = {
        "forward": lambda: F.conv2d(x, w, b, padding=1),
        "input gradient": lambda: gradient(0),
        "weight gradient": lambda: gradient(1),
    }

    def run():
        with torch.inference_mode():
            return functions[job["function"]]()

    if job["function"] == "weight gradient":
        return run, lambda dw: dw.permute(2, 3, 1, 0).numpy()
    return run, nhwc


class Network:
    """An FCN with parameters by name; the crops are those of the published networks, or of padding "same"."""

    def __init__(self, job, where="cpu"):
        self.where = where  # a PyTorch device
        self.dtype = torch.bfloat16 if job.get("bfloat16") == "whole" else torch.float32
        self.tuned = job["style"] == "tuned"
        self.name, self.same, self.p = job["network"], job["pad"] == "same", job["dropout"]
        self.memory_format = torch.channels_last if self.tuned else torch.contiguous_format
        self.w = {}
        for name, array in inputs.weights(job).items():
            self.add(name, array).requires_grad_(not inputs.is_frozen(job, name))
        for name in ("upscore2", "upscore_pool4")[: len(inputs.SKIPS[self.name])]:
            self.add(f"{name}.weight", inputs.bilinear(2, job["classes"]))
        self.stride = int(self.name[3:-1])
        if not self.tuned:
            self.add("last.weight", inputs.bilinear(self.stride, job["classes"])).requires_grad_(False)

    def add(self, name, array):
        tensor = torch.from_numpy(array)
        if tensor.ndim == 4:  # (KH,KW,C,K) -> (K,C,KH,KW)
            tensor = tensor.permute(3, 2, 0, 1).contiguous(memory_format=self.memory_format)
        self.w[name] = tensor = tensor.to(self.where, self.dtype).requires_grad_()
        return tensor

    def __call__(self, x):
        size = x.shape[2:]
        pool3, pool4, x = self.trunk(x)
        score = self.conv("score_fr", x)
        if self.name != "fcn32s":
            score = self.join("upscore2", score, self.conv("score_pool4", pool4), 5)
        if self.name == "fcn8s":
            score = self.join("upscore_pool4", score, self.conv("score_pool3", pool3), 9)
        s = self.stride
        offset = s // 2 if self.same else {32: 19, 16: 27, 8: 31}[s]
        if self.tuned:  # outside the map a transposed convolution sees zeros
            score = F.interpolate(F.pad(score, (1, 1, 1, 1)), scale_factor=s, mode="bilinear", align_corners=False)
            return cut(score, offset + s // 2, size)
        return cut(F.conv_transpose2d(score, self.w["last.weight"], stride=s), offset, size)

    def conv(self, name, x, padding=0):
        return F.conv2d(x, self.w[f"{name}.weight"], self.w[f"{name}.bias"], padding=padding)

    def relu(self, x):
        return F.relu(x, inplace=self.tuned)

    def join(self, name, score, skip, offset):
        score = F.conv_transpose2d(score, self.w[f"{name}.weight"], stride=2)
        if self.same:
            return cut(score, 1, skip.shape[2:]) + skip
        return score + cut(skip, offset, score.shape[2:])

    def trunk(self, x):
        pools = {}
        for block, convs in enumerate(inputs.CONVS, 1):
            for i in range(1, convs + 1):
                x = self.relu(self.conv(f"conv{block}_{i}", x, 100 if block == i == 1 and not self.same else 1))
            pools[block] = x = F.max_pool2d(x, 2, ceil_mode=True)
        x = self.relu(self.conv("fc6", x, 3 if self.same else 0))
        x = F.dropout(x, self.p) if self.p else x
        x = self.relu(self.conv("fc7", x))
        return pools[3], pools[4], F.dropout(x, self.p) if self.p else x


def cut(x, offset, size):
    return x[:, :, offset : offset + size[0], offset : offset + size[1]]


def train(job, where="cpu"):
    model = Network(job, where)
    x, labels = data(job, model)
    learning = {name: w for name, w in model.w.items() if w.requires_grad}
    weights = [w for name, w in learning.items() if name.endswith(".weight")]
    biases = [w for name, w in learning.items() if name.endswith(".bias")]
    groups = [{"params": weights}, {"params": biases, "lr": 2e-4, "weight_decay": 0.0}]
    optimiser = torch.optim.SGD(groups, lr=1e-4, momentum=0.9, weight_decay=5e-4, fused=model.tuned or None)

    def step():
        optimiser.zero_grad()
        with torch.autocast(model.where, torch.bfloat16, enabled=job.get("bfloat16") == "autocast"):
            scores = model(x)
        loss = F.cross_entropy(scores.float(), labels, ignore_index=255)
        loss.backward()
        optimiser.step()
        return loss

    return step, lambda loss: loss.detach().numpy()


def inference(job):
    model = Network(job)
    x, _ = data(job, model)

    def scores():
        with torch.inference_mode() if model.tuned else torch.no_grad():
            return model(x)

    return scores, nhwc


def data(job, model):
    x, labels = (torch.from_numpy(array).to(model.where) for array in inputs.batch(job))
    return x.permute(0, 3, 1, 2).to(model.dtype, memory_format=model.memory_format), labels


def nhwc(tensor):
    return np.ascontiguousarray(tensor.permute(0, 2, 3, 1).numpy())


def versions() -> dict:
    return {"PyTorch": torch.__version__, "oneDNN": torch.backends.mkldnn.is_available()}


if "MINIFCN_THREADS" in os.environ:
    torch.set_num_threads(int(os.environ["MINIFCN_THREADS"]))
