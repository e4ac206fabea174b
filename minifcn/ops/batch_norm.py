"""Batch normalisation: every channel gets mean 0 and variance 1 over the batch and all places; then a bias, and a ReLU.

    xhat = (x - mean) / sqrt(var + eps)         mean, var over N, H, W, for each channel
    y = xhat + b                                or max(xhat + b, 0)
    db = sum of dy        dx = (dy - mean(dy) - xhat mean(dy xhat)) / sqrt(var + eps)

Ioffe, Szegedy 2015, section 3, without their gamma: before a ReLU and another normalised layer a scale changes nothing.
The classifier is trained with it; an FCN has none, as mean and var are folded into the weights (models/classifier.py).
"""

from .. import device
from ..autograd import Function, Tensor
from .checks import fit

EPS = 1e-5


class BatchNorm(Function):
    total = staticmethod(lambda x: x)  # over all processes that have a share of the batch: see ranks.py

    def forward(self, x, b):
        y, self.xhat, mean, var = device.of(x).batch_norm_forward(x, b, EPS, self.relu, self.total)
        self.statistics = mean, var  # (K,) each
        self.y = y if self.relu else None
        return y.reshape(x.shape)

    def backward(self, dy):
        # --- dx, db ---
        dx, db = device.of(dy).batch_norm_backward(dy, self.y, self.xhat, self.statistics[1], EPS, self.total)
        return dx.reshape(dy.shape), db

    def branch(self):
        return None if self.y is None else self.y > 0


def batch_norm(x, b, relu: bool = False) -> tuple[Tensor, tuple]:
    """Normalise x (N,H,W,K) over the batch and add b (K,) -> y (N,H,W,K), and (mean, var), arrays (K,) of no gradient.

    relu: whether to finish with max(y, 0). Raises ValueError for shapes that do not fit.
    """
    function = BatchNorm(relu=relu)
    y = function(*fit("batch_norm", x=(x, "N H W K"), b=(b, "K")))
    return y, function.statistics
