"""Small weight files, written by the programs whose formats they are in, and the network in PyTorch that they are of.

A state is what PyTorch calls so: names and tensors in torchvision's or pytorch-fcn's way, of modules of PyTorch's own.
"""

from collections import OrderedDict

import numpy as np
import pytest

from minifcn.models import Widths

torch = pytest.importorskip("torch")
scipy_io = pytest.importorskip("scipy.io")
safetensors_torch = pytest.importorskip("safetensors.torch")
from twin import Twin  # noqa: E402  (needs torch)

nn = torch.nn
WIDTHS = Widths((4, 4, 6, 6, 8), 12)
CLASSES = 4  # as many as upscore2's kernel is wide: a forgotten transposition is not seen by its shape
RGB_MEAN = (121.5, 117.25, 104.0)  # of the .mat: not the usual one
CONVS = [f"conv{block}_{i}" for block, n in enumerate((2, 2, 3, 3, 3), 1) for i in range(1, n + 1)]
# after PyTorch's torchvision.models.vgg: a 3x3 convolution and a ReLU each, M for a pool
CONFIGURATION_D = [0, 0, "M", 1, 1, "M", 2, 2, 2, "M", 3, 3, 3, "M", 4, 4, 4, "M"]


def torchvision_vgg(widths=WIDTHS, seed=0):
    """VGG-16 as torchvision builds it, for pictures of 224 x 224 and ten classes, with random weights."""
    torch.manual_seed(seed)
    features, channels = [], 3
    for block in CONFIGURATION_D:
        if block == "M":
            features.append(nn.MaxPool2d(2, 2))
        else:
            features += [nn.Conv2d(channels, widths.blocks[block], 3, padding=1), nn.ReLU()]
            channels = widths.blocks[block]
    hidden = [nn.Linear(channels * 49, widths.fc), nn.ReLU(), nn.Dropout(), nn.Linear(widths.fc, widths.fc), nn.ReLU()]
    model = nn.Sequential(
        OrderedDict(
            features=nn.Sequential(*features),
            flatten=nn.Flatten(),
            classifier=nn.Sequential(*hidden, nn.Dropout(), nn.Linear(widths.fc, 10)),
        )
    )
    return enliven(model).eval()


def pytorch_fcn(network, widths=WIDTHS, classes=CLASSES, seed=0):
    """The layers of pytorch-fcn's FCN32s, FCN16s or FCN8s under their names, with random weights."""
    torch.manual_seed(seed)
    layers, channels = {}, 3
    for name in CONVS:
        width = widths.blocks[int(name[4]) - 1]
        layers[name], channels = nn.Conv2d(channels, width, 3, padding=100 if name == "conv1_1" else 1), width
    layers["fc6"], layers["fc7"] = nn.Conv2d(channels, widths.fc, 7), nn.Conv2d(widths.fc, widths.fc, 1)
    layers["score_fr"] = nn.Conv2d(widths.fc, classes, 1)
    for pool, width, join in (
        ("score_pool4", widths.blocks[3], "upscore2"),
        ("score_pool3", widths.blocks[2], "upscore_pool4"),
    ):
        if network == "fcn8s" or (network == "fcn16s" and pool == "score_pool4"):
            layers[pool] = nn.Conv2d(width, classes, 1)
            layers[join] = nn.ConvTranspose2d(classes, classes, 4, stride=2, bias=False)
    last, stride = {"fcn32s": ("upscore", 32), "fcn16s": ("upscore16", 16), "fcn8s": ("upscore8", 8)}[network]
    layers[last] = nn.ConvTranspose2d(classes, classes, 2 * stride, stride=stride, bias=False)
    return enliven(nn.ModuleDict(layers))


def enliven(model):
    """Random weights that keep the signal of about one size, positive biases: no ReLU is dead by construction."""
    for parameter in model.parameters():
        if parameter.ndim == 1:
            nn.init.uniform_(parameter, 0.1, 0.4)
        else:
            fan_in = parameter[0].numel() if parameter.shape[-1] < 8 or parameter.ndim == 2 else 16
            nn.init.normal_(parameter, std=(2 / fan_in) ** 0.5)
    return model


def by_our_names(state):
    """The tensors under minifcn's names, still in PyTorch's layout; torchvision's classifier as convolutions."""
    features = [n for n in range(len(CONFIGURATION_D) + 13) if f"features.{n}.weight" in state]
    theirs = {f"features.{n}": ours for n, ours in zip(features, CONVS, strict=False)}
    theirs |= {"classifier.0": "fc6", "classifier.3": "fc7", "upscore": "upscore32"}
    named = {}
    for name, tensor in state.items():
        layer, kind = name.rsplit(".", 1)
        if layer != "classifier.6":
            named[f"{theirs.get(layer, layer)}.{kind}"] = tensor.detach()
    for layer, kernel in (("fc6", 7), ("fc7", 1)):
        weight = named.get(f"{layer}.weight")
        if weight is not None and weight.ndim == 2:
            named[f"{layer}.weight"] = weight.reshape(weight.shape[0], -1, kernel, kernel)
    return named


def scores_of_twin(network, pad, tensors, x):
    """The twin's scores (N,L,H,W) -> array (N,H,W,L). tensors: under minifcn's names, in PyTorch's layout."""
    twin = Twin(network, pad, {})
    twin.w = {name: tensor.detach() for name, tensor in tensors.items()}
    return twin(x).numpy()


# --- writers ---


def write_legacy(path, state):
    torch.save(state, path, _use_new_zipfile_serialization=False)


def write_zip(path, state):
    torch.save(state, path)


def write_safetensors(path, state):
    safetensors_torch.save_file({name: tensor.detach().contiguous() for name, tensor in state.items()}, path)


def write_mat(path, state, old=False, average="pixel", compressed=False):
    """MatConvNet's nesting: a cell of structs, each with a cell of weights; in older files with two fields."""
    named = {name: tensor.numpy() for name, tensor in by_our_names(state).items()}
    layers = []
    for layer in [*CONVS, "fc6", "fc7"]:
        if f"{layer}.weight" not in named:
            continue
        filters, biases = named[f"{layer}.weight"].transpose(2, 3, 1, 0), named[f"{layer}.bias"]
        fields = {"filters": filters, "biases": biases[None]} if old else {"weights": cell(filters, biases[:, None])}
        layers.append({"name": layer, "type": "conv", "pad": np.ones((1, 4)), "stride": np.ones((1, 2)), **fields})
        layers.append({"name": f"relu{layer[4:]}", "type": "relu"})
        if layer in ("conv1_2", "conv2_2", "conv3_3", "conv4_3", "conv5_3"):
            layers.append({"name": f"pool{layer[4]}", "type": "pool", "method": "max", "pool": np.full((1, 2), 2.0)})
    layers.append(
        {"name": "fc8", "type": "conv", "weights": cell(np.zeros((1, 1, 12, 10), "f"), np.zeros((1, 10), "f"))}
    )
    layers.append({"name": "prob", "type": "softmax"})
    mean = np.array(RGB_MEAN, np.float32).reshape(1, 1, 3)
    normalization = {"imageSize": np.array([[224.0, 224, 3]]), "interpolation": "bicubic"}
    if average == "picture":  # whose mean is RGB_MEAN
        swing = np.linspace(-1, 1, 6, dtype=np.float32).reshape(2, 3, 1) * np.array([50, 7, 90], np.float32)
        normalization["averageImage"] = mean + swing
    elif average == "pixel":
        normalization["averageImage"] = mean
    classes = {"name": cell("n01440764", "n01443537"), "description": cell("tench", "goldfish")}
    about = (
        {"normalization": normalization, "classes": classes}
        if old
        else {"meta": {"normalization": normalization, "classes": classes}}
    )
    scipy_io.savemat(path, {"layers": cell(*layers), **about}, do_compression=compressed)


def cell(*values):
    """A MATLAB cell 1xN."""
    array = np.empty((1, len(values)), object)
    for i, value in enumerate(values):
        array[0, i] = value
    return array
