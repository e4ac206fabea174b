"""minifcn: fully convolutional networks for image segmentation, from scratch in NumPy.

import minifcn as mf
model = mf.models.fcn32s(num_classes=9, trunk="vgg_quarter", pad="same")
loss = mf.softmax_cross_entropy(model(pictures), labels)
loss.backward()
"""

# ruff: noqa: F401 - what is imported here is the public API
from . import metrics, models, optim
from .autograd import Tensor, no_grad
from .cpu import keep_freed_memory
from .datasets import open_dataset
from .gradients import gradcheck
from .ops import (
    add,
    batch_norm,
    bilinear_upsample,
    conv2d,
    conv_transpose2d,
    crop,
    dropout,
    global_average,
    max_pool2d,
    relu,
    scale,
    softmax_cross_entropy,
)
from .training.evaluation import evaluate, load, predict
from .version import __version__
from .weights import load_weights
