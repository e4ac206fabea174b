"""MatConvNet's networks, as imagenet-vgg-verydeep-16.mat: which arrays they have, and the mean of the pictures.

    layers     a cell of structs: name, type, weights {filters, biases}; in older files fields filters and biases
    meta       normalization.averageImage: the mean of the pictures, RGB, of each pixel or one for all;
               in older files normalization is a variable of its own

Filters are (KH,KW,C,K), as minifcn's. MATLAB drops sizes of 1 at the end, and has biases as rows or columns. A file
that is compressed (-v7) must be decompressed whole: it is the one format that is held in memory beside the network.
"""

from mmap import mmap

import numpy as np

from ..datasets.matlab import read_variables, struct_of
from ..datasets.transforms import Preprocessing
from ..errors import InputError
from .weight_file import Stored

VGG_MEAN = (123.68, 116.779, 103.939)  # of the pictures VGG was trained on, for files that do not say


def read_matconvnet(data: mmap) -> tuple[list[Stored], Preprocessing]:
    """Return a network's arrays, called NAME.filters and NAME.biases, and its preprocessing.

    Raises InputError where the file is damaged or holds no network.
    """
    variables = read_variables(data, ("layers", "meta", "normalization"))
    layers = variables.get("layers")
    if not isinstance(layers, list):  # a DagNN has params instead
        raise InputError("a MATLAB file, but no simple network of MatConvNet. Give imagenet-vgg-verydeep-16.mat")
    found = {}
    for layer in map(struct_of, layers):
        weights = layer.get("weights") or [layer.get("filters"), layer.get("biases")]
        if isinstance(weights, list) and isinstance(layer.get("name"), str):
            for kind, x in zip(("filters", "biases"), weights, strict=False):
                if isinstance(x, np.ndarray):
                    name = f"{layer['name']}.{kind}"
                    found[name] = Stored(name, x.shape, x.dtype.name, lambda x=x: x)
    older, meta = struct_of(variables.get("normalization")), struct_of(variables.get("meta"))
    normalization = older or struct_of(meta.get("normalization"))
    return list(found.values()), preprocessing_of(normalization.get("averageImage"))


def preprocessing_of(average) -> Preprocessing:
    """average: averageImage, (H,W,3), or three numbers, or None where the file has none."""
    if average is None:
        return Preprocessing("RGB", VGG_MEAN, (1, 1, 1))
    colours = isinstance(average, np.ndarray) and average.size > 0 and 3 in (average.size, average.shape[-1])
    mean = average.reshape(-1, 3).mean(axis=0, dtype=np.float64) if colours else np.full(3, np.nan)
    if not ((mean >= 0) & (mean <= 255)).all():
        raise InputError("damaged: its averageImage is no mean of pictures. Get the file again")
    return Preprocessing("RGB", tuple(mean), (1, 1, 1))
