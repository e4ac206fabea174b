"""MatConvNet's networks, as imagenet-vgg-verydeep-16.mat: which arrays they have, and the mean of the pictures.

    layers     a cell of structs: name, type, weights {filters, biases}; in older files fields filters and biases
    params     of a DagNN instead: structs of name (the layer's, and f or b) and value
    meta       normalization.averageImage: the mean of the pictures, RGB, of each pixel or one for all;
               in older files normalization is a variable of its own
    net        of MatConvNet's training: a struct of all these. Its layers may have no names; then their order tells

Filters are (KH,KW,C,K), as minifcn's. MATLAB drops sizes of 1 at the end, and has biases as rows or columns. A file
that is compressed (-v7) must be decompressed whole: it is the one format that is held in memory beside the network.
"""

from collections.abc import Iterator
from mmap import mmap

import numpy as np

from ..datasets.matlab import read_variables, struct_of
from ..datasets.transforms import Preprocessing
from ..errors import InputError
from .names import TRUNK
from .weight_file import Stored, plain

VGG_MEAN = (123.68, 116.779, 103.939)  # of the pictures VGG was trained on, for files that do not say


def read_matconvnet(data: mmap) -> tuple[list[Stored], Preprocessing]:
    """Return a network's arrays, called NAME.filters and NAME.biases, and its preprocessing.

    Raises InputError where the file is damaged or holds no network.
    """
    variables = read_variables(data, ("layers", "params", "meta", "normalization", "net"))
    variables = struct_of(variables.get("net")) or variables
    layers, params = variables.get("layers"), variables.get("params")
    if not isinstance(layers, list) and not isinstance(params, list):
        some = ", ".join(map(plain, list(variables)[:6])) or "nothing in it"
        raise InputError(f"a MATLAB file with {some}, but no network of MatConvNet. Of a DagNN save net.saveobj()")
    arrays = of_params(params) if isinstance(params, list) else of_layers(layers)
    found = {name: x for name, x in arrays if isinstance(x, np.ndarray)}
    stored = [Stored(name, x.shape, x.dtype.name, lambda x=x: x) for name, x in found.items()]
    older, meta = struct_of(variables.get("normalization")), struct_of(variables.get("meta"))
    normalization = older or struct_of(meta.get("normalization"))
    return stored, preprocessing_of(normalization.get("averageImage"))


def of_layers(layers: list) -> Iterator[tuple[str, object]]:
    """Yield the names and values of a simple network's arrays."""
    unnamed = iter(TRUNK)
    for layer in map(struct_of, layers):
        weights, name = layer.get("weights") or [layer.get("filters"), layer.get("biases")], layer.get("name")
        if layer.get("type") == "bnorm":
            raise InputError("normalised by batch. Fold that into the weights, or give another VGG-16")
        if not isinstance(name, str) or not name:
            name = next(unnamed, "fc8") if layer.get("type") == "conv" else ""
        if isinstance(weights, list):
            yield from zip((f"{name}.filters", f"{name}.biases"), weights, strict=False)


def of_params(params: list) -> Iterator[tuple[str, object]]:
    """Yield the names and values of a DagNN's arrays."""
    for param in (param for param in params if isinstance(param, dict)):
        name, kinds = str(param.get("name")), {"f": ".filters", "b": ".biases"}
        yield name[:-1] + kinds.get(name[-1:], f".{name[-1:]}"), param.get("value")


def preprocessing_of(average) -> Preprocessing:
    """average: averageImage, (H,W,3), or three numbers, or None where the file has none."""
    if average is None:
        return Preprocessing("RGB", VGG_MEAN, (1, 1, 1))
    colours = isinstance(average, np.ndarray) and average.size > 0 and 3 in (average.size, average.shape[-1])
    mean = average.reshape(-1, 3).mean(axis=0, dtype=np.float64) if colours else np.full(3, np.nan)
    if not ((mean >= 0) & (mean <= 255)).all():
        raise InputError("damaged: its averageImage is no mean of pictures. Get the file again")
    return Preprocessing("RGB", tuple(mean), (1, 1, 1))
