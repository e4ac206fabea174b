"""The hot loops on a GPU: cpu's functions, with the same signatures, by launching kernels/*.cu through CuPy."""

# ruff: noqa: F401  what layers and commands ask of a device
from .batch_norm import batch_norm_backward, batch_norm_forward
from .classes import argmax, confusion_counts
from .conv import WORKSPACE, bias_grad, conv_forward, conv_input_grad, conv_weight_grad
from .cuda import NoGPU, asarray, describe, memory_held, owns, start
from .elementwise import relu_backward, relu_forward, sgd_update, sum_of_squares
from .loss import cross_entropy
from .pool import pool_backward, pool_forward
from .upsample import upsample_backward, upsample_forward
