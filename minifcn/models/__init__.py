"""FCN-32s, 16s and 8s on a VGG-16 trunk."""

from .fcn import FCN8s, FCN16s, FCN32s
from .vgg import TRUNKS, Widths  # noqa: F401 - of the public API

AT_ONCE = (0.01, 0.0001)  # skip scales of pool4 and pool3 with which the reference trains FCN-8s "at once"
fcn32s, fcn16s, fcn8s = FCN32s, FCN16s, FCN8s
MODELS = {model.name: model for model in (fcn32s, fcn16s, fcn8s)}
