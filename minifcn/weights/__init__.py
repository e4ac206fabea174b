"""Bringing weights from a file into a network, and saying what came of each name."""

from dataclasses import dataclass, field

import numpy as np

from .. import checkpoint, device, models
from ..datasets.transforms import Preprocessing
from ..errors import InputError
from ..nn import Module


@dataclass
class Report:
    """What load_weights did, as lists of parameter names.

    loaded: copied from the file.  skipped: in the file only.  missing: in the network only, left as initialised.
    reinitialised: in both, but of another shape (another class count): left as initialised.
    meta: what travels in the checkpoint with the weights (classes, preprocessing, ...).
    """

    loaded: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    reinitialised: list[str] = field(default_factory=list)
    meta: dict = field(default_factory=dict)

    def table(self) -> str:
        """Return one line for each outcome, with the names it concerns."""
        rows = [
            ("loaded", _layers(self.loaded)),
            ("skipped (not in this network)", _layers(self.skipped)),
            ("initialised anew (not in the file)", _layers(self.missing)),
            ("REINITIALISED (other shape in the file)", _layers(self.reinitialised)),
        ]
        return "\n".join(f"  {what:<40} {names}" for what, names in rows if names)


def load_weights(model: Module, path) -> Report:
    """Copy into `model` every parameter that the checkpoint at `path` has under the same name and shape.

    Returns a Report. Raises InputError where the file cannot be read, or where nothing in it fits the network.
    """
    tensors, meta = checkpoint.load(path)
    weights = {name.removeprefix("model/"): x for name, x in tensors.items() if name.startswith("model/")}
    report = Report(meta=meta, skipped=[name for name in weights if name not in model.parameters()])
    for name, parameter in model.parameters().items():
        if name not in weights:
            report.missing.append(name)
        elif weights[name].shape != parameter.shape:
            report.reinitialised.append(name)
        else:
            parameter.data = device.of(parameter.data).asarray(weights[name].astype(parameter.dtype))
            report.loaded.append(name)
    if not any(name.startswith("conv") for name in report.loaded):
        raise InputError(f"{path}: none of its weights fit the network's trunk; give a checkpoint of the same --trunk")
    return report


def load_model(path, where: str = "cpu") -> tuple[Module, dict]:
    """Build the network that the checkpoint at `path` describes, with its weights; return it and the checkpoint's meta.

    where: the device it goes to, "cpu", "gpu" or "gpu:1".

    Raises InputError where the file cannot be read or does not hold exactly the weights of that network.
    """
    tensors, meta = checkpoint.load(path)
    try:
        spec = dict(meta["model"])
        model = models.MODELS[spec.pop("name")](**spec).to(where)
        meta["classes"], meta["palette"], Preprocessing.from_dict(meta["preprocessing"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: does not describe a network that minifcn can build ({error!r})") from error
    restore(path, tensors, {f"model/{name}": p.data for name, p in model.parameters().items()})
    return model, meta


def restore(path, tensors: dict[str, np.ndarray], targets: dict) -> None:
    """Copy tensors into arrays of the same names, on any device. Raises InputError unless names and shapes agree."""
    for name, target in targets.items():
        found = tensors[name].shape if name in tensors else "nothing"
        if found != target.shape:
            raise InputError(f"{path}: checkpoint of another network: {name} should be {target.shape}, it has {found}")
        target[...] = device.of(target).asarray(tensors[name])


def _layers(names: list[str]) -> str:
    """conv1_1.weight, conv1_1.bias, ... -> conv1_1 ..., with the number of arrays."""
    layers = list(dict.fromkeys(name.rsplit(".", 1)[0] for name in names))
    shown = ", ".join(layers) if len(layers) <= 6 else f"{', '.join(layers[:3])} ... {', '.join(layers[-2:])}"
    return f"{len(names)} arrays: {shown}" if names else ""
