"""Bringing weights from a file into a network, and saying what came of each name.

recognise.py      opens a file: which format, and whether it is whole
torch_files.py    PyTorch's .pth, legacy and zip; pickles.py reads the pickles in them and can make tensors only
matconvnet.py     MatConvNet's .mat; matlab.py reads MATLAB's format
names.py          what their arrays are called here, in which layout, with which preprocessing
weight_file.py    what all of these return
"""

from dataclasses import dataclass, field

import numpy as np

from .. import device, models
from ..datasets.transforms import Preprocessing
from ..errors import InputError
from ..models.classifier import VGGClassifier
from ..nn import Module
from .recognise import MOMENTUM, open_weights
from .weight_file import Array, WeightFile, plain

__all__ = ["Report", "WeightFile", "load_model", "load_weights", "open_weights", "restore"]

IN_TRAINING = "a classifier in training; give the trunk.safetensors that its run ends with"
OTHER_TRUNK = "Choose the --trunk that it has; published files have vgg16"
BY_CLASS = ("score", "upscore", "fc8")  # layers whose shape depends on the number of classes


@dataclass
class Report:
    """What load_weights did, as lists of parameter names.

    loaded: copied from the file.  skipped: in the file only.  missing: in the network only, left as initialised.
    reinitialised: in both, but of another shape (another class count): left as initialised.
    meta: what travels in a checkpoint with the weights.  preprocessing, classes: what the file's network was trained
    with; None where that is not known.
    """

    loaded: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    reinitialised: list[str] = field(default_factory=list)
    meta: dict = field(default_factory=dict)
    preprocessing: Preprocessing | None = None
    classes: list[str] | None = None

    def table(self) -> str:
        """Return one line for each outcome, with the names it concerns."""
        rows = [
            ("loaded", _layers(self.loaded)),
            ("skipped (not in this network)", _layers(self.skipped)),
            ("initialised anew (not in the file)", _layers(self.missing)),
            ("REINITIALISED (other shape in the file)", _layers(self.reinitialised)),
        ]
        return "\n".join(f"  {what:<40} {names}" for what, names in rows if names)


def load_weights(model: Module, path, file: WeightFile | None = None) -> Report:
    """Copy into `model` every parameter that the file at `path` has under the same name, or one that maps to it.

    The file may be a checkpoint or another of the formats in recognise.py. Score and upsampling layers of another class
    count are left as initialised; the trunk must have the network's width. Arrays are read one at a time.
    file: what open_weights(path) returned, where it is open already.

    Returns a Report. Raises InputError where the file cannot be read, is damaged, or does not fit the network. All of
    it is checked first, so the network is then as it was; unless the file is altered during the call.
    """
    file, parameters = file or open_weights(path), model.parameters()
    arrays = {array.name: array for array in file.arrays if array.name}
    others = [plain(array.stored.name) for array in file.arrays if not array.name and array.why != MOMENTUM]
    if "conv1_1.mean" in arrays and "conv1_1.mean" not in parameters:
        raise InputError(f"{path}: {IN_TRAINING}")
    report = Report(meta=file.meta, preprocessing=file.preprocessing, classes=file.classes)
    report.skipped = [name for name in arrays if name not in parameters] + others
    for name, parameter in parameters.items():
        if name not in arrays:
            report.missing.append(name)
        elif arrays[name].shape == parameter.shape:
            report.loaded.append(name)
        elif name.startswith(BY_CLASS):
            report.reinitialised.append(name)
        else:
            raise InputError(
                f"{path}: none of its weights fit this trunk, as {name} is {arrays[name].shape} there and "
                f"{parameter.shape} here. {OTHER_TRUNK}"
            )
    if not any(name.startswith("conv") for name in report.loaded):
        raise InputError(f"{path}: holds none of the network's convolutions. Give weights of a VGG-16 or an FCN")
    for name in report.loaded:
        _check_finite(path, arrays[name])
    for name in report.loaded:
        restore(path, {name: arrays[name].read()}, {name: parameters[name].data})
    return report


def check_trunk(path, file: WeightFile, trunk: str) -> None:
    """Raise InputError unless the convolutions of a weight file have that trunk's widths."""
    blocks = models.TRUNKS[trunk].blocks
    if any(array.name == "conv1_1.mean" for array in file.arrays):
        raise InputError(f"{path}: {IN_TRAINING}")
    for array in file.arrays:
        if array.name.startswith("conv") and array.name.endswith(".bias"):
            width = blocks[int(array.name[4]) - 1]
            if array.shape != (width,):
                raise InputError(
                    f"{path}: none of its weights fit --trunk {trunk}: {array.name} has {array.shape[0]} numbers, "
                    f"not {width}. {OTHER_TRUNK}"
                )


def load_model(path, where: str = "cpu") -> tuple[Module, dict]:
    """Build the network that the checkpoint at `path` describes, with its weights; return it and the checkpoint's meta.

    where: the device it goes to, "cpu", "gpu" or "gpu:1".

    Raises InputError where the file cannot be read or does not hold exactly the weights of that network.
    """
    file = open_weights(path)
    if not file.meta:
        raise InputError(
            f"{path}: {file.format}, which says nothing of its classes. Make a checkpoint of it first: "
            "python -m minifcn.train --init FILE --steps 1 --lr 0, on data with its classes"
        )
    meta = file.meta
    try:
        spec = dict(meta["model"])
        if spec["name"] == VGGClassifier.name:
            raise InputError(
                f"{path}: a classifier of whole pictures; train an FCN from trunk.safetensors (--init) and give that"
            )
        model = models.MODELS[spec.pop("name")](**spec).to(where)
        meta["classes"], meta["palette"], Preprocessing.from_dict(meta["preprocessing"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: does not describe a network that minifcn can build ({error!r})") from error
    arrays = {array.stored.name: array for array in file.arrays}
    for name, parameter in model.parameters().items():
        key = f"model/{name}"
        restore(path, {key: arrays[key].read()} if key in arrays else {}, {key: parameter.data})
    return model, meta


def restore(path, tensors: dict[str, np.ndarray], targets: dict) -> None:
    """Copy tensors into arrays of the same names, on any device. Raises InputError unless names and shapes agree."""
    for name, target in targets.items():
        found = tensors[name].shape if name in tensors else "nothing"
        if found != target.shape:
            raise InputError(f"{path}: checkpoint of another network: {name} should be {target.shape}, it has {found}")
        target[...] = device.of(target).asarray(tensors[name])


def _check_finite(path, array: Array) -> None:
    """Raise InputError where an array holds NaN or infinity, as torchvision's VGG-16 without a classifier does."""
    x = array.stored.read()
    if x.size and not np.isfinite([x.min(), x.max()]).all():  # NaN propagates
        raise InputError(
            f"{path}: {plain(array.stored.name)} holds NaN or infinity; the file is damaged, or its network has no "
            "such layer. Give another one"
        )


def _layers(names: list[str]) -> str:
    """conv1_1.weight, conv1_1.bias, ... -> conv1_1 ..., with the number of arrays."""
    layers = list(dict.fromkeys(name.rsplit(".", 1)[0] for name in names))
    shown = ", ".join(layers) if len(layers) <= 6 else f"{', '.join(layers[:3])} ... {', '.join(layers[-2:])}"
    return f"{len(names)} arrays: {shown}" if names else ""
