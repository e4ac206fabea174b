"""Opens weight files of every known format, and copies them into a network.

torch_files.py    PyTorch's .pth, legacy and zip; pickles.py reads the pickles in them and can make tensors only
caffe.py          Caffe's .caffemodel
matconvnet.py     MatConvNet's .mat; datasets/matlab.py reads MATLAB's format
checkpoint.py     minifcn's own files, read and written, and other safetensors files
metadata.py       what these may say beside their weights
names.py          what their arrays are called here, in which layout, with which preprocessing
weight_file.py    what all of these return
shipped.py        the files that come with minifcn
"""

import json
import mmap
import re
from dataclasses import dataclass

import numpy as np

from .. import device, models
from ..datasets.transforms import Preprocessing
from ..errors import InputError
from ..nn import Module
from .caffe import may_be_caffe, read_caffe
from .checkpoint import read_safetensors
from .matconvnet import read_matconvnet
from .metadata import checked, shapes_of
from .names import place
from .torch_files import read_legacy, read_zip
from .weight_file import Array, WeightFile, errors_of, plain

KERAS = (
    "Convert a VGG16 of Keras in Python: import h5py, re, safetensors.numpy as s; a = {}; "
    "h5py.File('FILE').visititems(lambda n, x: a.update({n: x[()]}) if hasattr(x, 'shape') else None); "
    "s.save_file({'conv%s_%s.%s' % (*re.search(r'block(.)_conv(.)', n).groups(), 'weight' if x.ndim > 1 else 'bias'): "
    "x.transpose(3, 2, 0, 1).copy() if x.ndim > 1 else x for n, x in a.items() if '_conv' in n}, 'vgg16.safetensors')"
)
ONNX = (
    "Convert it in Python: import onnx, onnx.numpy_helper as h, safetensors.numpy as s; m = onnx.load('FILE'); "
    "s.save_file({x.name: h.to_array(x).copy() for x in m.graph.initializer}, 'weights.safetensors', "
    "{p.key: p.value for p in m.metadata_props})"
)
MISTAKES = {  # how files begin that are given by mistake
    rb"\Z": "is empty. Get the file again",
    rb"\s*<(!doctype|html|\?xml|head|body)": "a web page was saved instead of the file. Open its address in a browser",
    rb"version https://git-lfs": "a pointer of Git LFS instead of the file. Get the file with: git lfs pull",
    rb"MATLAB 7.3 MAT-file": "a MATLAB 7.3 file, which is HDF5 and not read. Save it again in MATLAB, with -v7",
    rb"\x89HDF\r\n\x1a\n": f"an HDF5 file, as of Keras, and not read. {KERAS}",
    rb"\x08[\1-\x20][\x12\x1a\x22\x28\x32\x3a\x42]": f"an ONNX file, which is not read. {ONNX}",
    rb"": "not a weight file of any known kind. Known are checkpoints of minifcn, torchvision's VGG-16 and FCNs of "
    "pytorch-fcn as .pth or .safetensors, MatConvNet's imagenet-vgg-verydeep-16.mat, and Caffe's .caffemodel",
}
LONGEST_HEADER = 1 << 24  # bytes of a safetensors file; VGG-16's has 3,000
MOMENTUM = "momentum, which only --resume reads"
REPLACEABLE = ("score", "upscore", "fc")  # layers whose shape depends on the number of classes, or on --fc


# --- opening ---


def open_weights(path) -> WeightFile:
    """Recognise a weight file, verify what its format lets one verify, and return it; its arrays are not read yet.

    Raises InputError where the file is missing, of a kind that is not read, damaged, or not a VGG-16's or an FCN's. Of
    the numbers themselves only the zip .pth and minifcn's checkpoints have checksums.
    """
    with errors_of(path) as name, open(name, "rb") as file:
        kind, preprocessing, meta = recognise(file.read(4096)), None, {}
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)  # what is not read takes no memory
        if kind == "safetensors":
            stored, meta, ours = read_safetensors(name)
            exported = ("classes", "preprocessing", "model") if "preprocessing" in meta else ("classes",)  # in JSON
            meta = checked(meta if ours else {key: json.loads(meta[key]) for key in exported if key in meta})
            preprocessing = Preprocessing.from_dict(meta["preprocessing"]) if "preprocessing" in meta else None
            if ours:
                arrays = [Array(x, x.name.partition("model/")[2], x.shape, MOMENTUM, x.read) for x in stored]
                return WeightFile("minifcn checkpoint", arrays, preprocessing, meta.get("classes"), meta)
        elif kind == "MATLAB 5":
            stored, preprocessing = read_matconvnet(data)
        elif kind == "zip":
            stored = read_zip(data, name)
        else:
            stored = read_caffe(data) if kind == "caffemodel" else read_legacy(data)
        whose, usual, arrays = place(stored)
        return WeightFile(f"{whose}, {kind}", arrays, preprocessing or usual, meta.get("classes"), meta)


def recognise(head: bytes) -> str:
    """Return what a file is by its first bytes. InputError, with what it is instead, where it is not read."""
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= LONGEST_HEADER:
        return "safetensors"  # first, as the bytes of its header's length may look like anything
    for beginning, kind in ((b"PK", "zip"), (b"\x80", "legacy pickle"), (b"MATLAB 5.0 MAT-file", "MATLAB 5")):
        if head.startswith(beginning):
            return kind
    if may_be_caffe(head):
        return "caffemodel"
    raise InputError(next(what for beginning, what in MISTAKES.items() if re.match(beginning, head, re.IGNORECASE)))


# --- loading ---


@dataclass
class Report:
    """What load_weights did, as lists of parameter names.

    loaded: copied from the file.  skipped: in the file only.  missing: in the network only, left as initialised.
    reinitialised: in both, but their layer of another shape (another class count or --fc): left as initialised.
    preprocessing, classes: what the file's network was trained with; None where that is not known.
    """

    loaded: list[str]
    skipped: list[str]
    missing: list[str]
    reinitialised: list[str]
    preprocessing: Preprocessing | None
    classes: list[str] | None

    def table(self) -> str:
        """Return one line for each outcome, with the names it concerns."""
        rows = {"loaded": self.loaded, "skipped (not in this network)": self.skipped}
        rows |= {"initialised anew (not in the file)": self.missing}
        rows |= {"REINITIALISED (other shape in the file)": self.reinitialised}
        return "\n".join(f"  {what:<40} {_layers(names)}" for what, names in rows.items() if names)


def load_weights(model: Module, path, file: WeightFile | None = None, whole: bool = False) -> Report:
    """Copy into `model` every parameter that the file at `path` has under the same name, or one that maps to it.

    The file may be of any format that open_weights knows. Layers of another class count, or another width of fc6 and
    fc7, are left as initialised; the convolutions must have the network's width. Arrays are read one at a time.
    file: what open_weights(path) returned, where it is open already.  whole: whether every parameter must be there.

    Returns a Report. Raises InputError where the file cannot be read, is damaged, or does not fit the network. All of
    it is checked first, so the network is then as it was; unless the file is altered during the call.
    """
    file, parameters = file or open_weights(path), model.parameters()
    report = compare({name: p.shape for name, p in parameters.items()}, path, file, whole)
    arrays = {array.name: array for array in file.arrays if array.name in report.loaded}
    for array in arrays.values():  # torchvision has a VGG-16 whose classifier is NaN
        x, there = array.read(), plain(array.stored.name)
        if x.size and not np.isfinite([x.min(), x.max()]).all():  # NaN propagates
            raise InputError(f"{path}: {there} holds NaN or infinity, as a damaged or missing layer. Use another file")
    for name, array in arrays.items():
        target = parameters[name].data
        target[...] = device.of(target).asarray(array.read())
    return report


def compare(expected: dict[str, tuple], path, file: WeightFile, whole: bool) -> Report:
    """What load_weights would do for parameters of these names and shapes. Raises InputError where they do not fit."""
    arrays = {array.name: array for array in file.arrays if array.name}
    if "conv1_1.mean" in arrays and "conv1_1.mean" not in expected:
        raise InputError(f"{path}: a classifier in training; give the trunk.safetensors that its run ends with")
    skipped = [name for name in arrays if name not in expected]
    skipped += [plain(array.stored.name) for array in file.arrays if not array.name and array.why != MOMENTUM]
    missing = [name for name in expected if name not in arrays]
    reshaped = [name for name, shape in expected.items() if name in arrays and arrays[name].shape != shape]
    for name in reshaped:
        if not name.startswith(REPLACEABLE):
            why = f"as {name} is {arrays[name].shape} there and {expected[name]} here"
            raise InputError(f"{path}: none of its weights fit this trunk, {why}. Choose its --trunk")
    if not any(name.startswith("conv") for name in expected if name in arrays):
        raise InputError(f"{path}: holds none of the network's convolutions. Give weights of a VGG-16 or an FCN")
    if whole and missing + reshaped:
        lacking = (missing + reshaped)[0]
        raise InputError(f"{path}: checkpoint of another network: {lacking} is missing there, or of another shape")
    layers = {name.rsplit(".", 1)[0] for name in reshaped}  # a bias is of no use without its weights
    reshaped = [name for name in expected if name in arrays and name.rsplit(".", 1)[0] in layers]
    loaded = [name for name in expected if name in arrays and name not in reshaped]
    return Report(loaded, skipped, missing, reshaped, file.preprocessing, file.classes)


def load_model(path, where: str = "cpu") -> tuple[Module, dict]:
    """Build the network that the checkpoint at `path` describes, with its weights; return it and the checkpoint's meta.

    where: the device it goes to, "cpu", "gpu" or "gpu:1".

    Raises InputError where the file cannot be read or does not hold exactly the weights of that network.
    """
    file = open_weights(path)
    try:
        spec = dict(file.meta["model"])
        network = models.MODELS[spec.pop("name")]
        expected = shapes_of(network, spec)
        [file.meta[name] for name in ("classes", "palette", "preprocessing")]
    except (KeyError, TypeError, ValueError) as error:
        why, of = "describes no FCN with its classes and colours", "it (of a classifier: of trunk.safetensors)"
        way_out = f"Make a checkpoint of {of}, on its data: minifcn.train --init FILE --model ITS --steps 1 --lr 0"
        raise InputError(f"{path}: {file.format}, which {why}. {way_out}") from error
    compare(expected, path, file, whole=True)  # before any memory is taken for them
    model = network(**spec).to(where)
    load_weights(model, path, file)
    model.meta = file.meta
    return model, file.meta


def _layers(names: list[str]) -> str:
    """conv1_1.weight, conv1_1.bias, ... -> conv1_1 ..., with the number of arrays."""
    layers = list(dict.fromkeys(name.rsplit(".", 1)[0] for name in names))
    shown = ", ".join(layers) if len(layers) <= 6 else f"{', '.join(layers[:3])} ... {', '.join(layers[-2:])}"
    return f"{len(names)} arrays: {shown}"
