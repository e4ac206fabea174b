"""FCN-32s, 16s and 8s in PyTorch, written from the paper and the reference's prototxt files.

NCHW; every upsampling is a dense transposed convolution, every crop a number. Nothing here imports minifcn; parameters
come as arrays by name, in the layout that minifcn keeps them in.
"""

import torch

F = torch.nn.functional
torch.set_num_threads(1)


class Twin:
    """network: "fcn32s", "fcn16s" or "fcn8s"; pad: 100 or "same"; arrays: name -> array, weights (KH,KW,C,K)."""

    def __init__(self, network, pad, arrays):
        self.network, self.same = network, pad == "same"
        self.w = {}
        for name, array in arrays.items():
            tensor = torch.from_numpy(array)
            if name.endswith(".weight"):
                tensor = tensor.permute(3, 2, 0, 1)  # (K,C,KH,KW); transposed ones: (inputs, outputs, KH, KW)
            tensor = tensor.clone(memory_format=torch.contiguous_format)  # its own memory
            self.w[name] = tensor.requires_grad_(not name.startswith(("upscore32", "upscore16", "upscore8")))

    def __call__(self, x):
        """x: array (N,H,W,3) -> scores, tensor (N,H,W,L)."""
        x = torch.tensor(x).permute(0, 3, 1, 2).contiguous()
        H, W = x.shape[2:]
        pool3, pool4, fc7 = self.trunk(x)
        score = self.conv("score_fr", fc7)
        if self.network == "fcn32s":
            score, offset = self.up("upscore32", score, 32), 16 if self.same else 19
        else:
            score = self.join("upscore2", score, self.conv("score_pool4", pool4), 5)
            if self.network == "fcn16s":
                score, offset = self.up("upscore16", score, 16), 8 if self.same else 27
            else:
                score = self.join("upscore_pool4", score, self.conv("score_pool3", pool3), 9)
                score, offset = self.up("upscore8", score, 8), 4 if self.same else 31
        return cut(score, offset, H, W).permute(0, 2, 3, 1)

    def conv(self, name, x, padding=0):
        return F.conv2d(x, self.w[f"{name}.weight"], self.w[f"{name}.bias"], padding=padding)

    def up(self, name, x, stride):
        return F.conv_transpose2d(x, self.w[f"{name}.weight"], stride=stride)

    def join(self, name, score, skip, offset):
        """Upsample by 2 and add the skip: pad 100 crops the skip at `offset`, "same" the upsampled scores at 1."""
        score = self.up(name, score, 2)
        if self.same:
            return cut(score, 1, *skip.shape[2:]) + skip
        return score + cut(skip, offset, *score.shape[2:])

    def trunk(self, x):
        pools = []
        for block, convs in enumerate((2, 2, 3, 3, 3), 1):
            for i in range(1, convs + 1):
                padding = 100 if block == i == 1 and not self.same else 1
                x = F.relu(self.conv(f"conv{block}_{i}", x, padding))
            x = F.max_pool2d(x, 2, ceil_mode=True)
            pools.append(x)
        fc6 = F.relu(self.conv("fc6", x, 3 if self.same else 0))
        return pools[2], pools[3], F.relu(self.conv("fc7", fc6))

    def gradient(self, name):
        """The gradient of a parameter as an array in minifcn's layout, None for the last upsampling."""
        grad = self.w[name].grad
        if grad is None:
            return None
        return (grad.permute(2, 3, 1, 0) if name.endswith(".weight") else grad).numpy()


def cut(x, offset, height, width):
    assert offset + height <= x.shape[2] and offset + width <= x.shape[3]
    return x[:, :, offset : offset + height, offset : offset + width]
