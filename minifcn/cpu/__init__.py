"""The hot array loops in NumPy. Plain functions over arrays: no Tensor, no layer, no graph."""
# ruff: noqa: F401  (imported for others: device.py hands this module to the layers)

from numpy import asarray

from .batch_norm import batch_norm_backward, batch_norm_forward
from .classes import argmax, confusion_counts
from .conv import bias_grad
from .elementwise import relu_backward, relu_forward, sgd_update, sum_of_squares
from .loss import cross_entropy
from .pool import pool_backward, pool_forward
from .threads import blas_kernel, conv_choice, describe, keep_freed_memory, limit_blas, num_threads, start
from .upsample import upsample_backward, upsample_forward
from .winograd import conv_forward, conv_input_grad, conv_weight_grad  # conv.py has the same three without Winograd
