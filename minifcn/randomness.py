"""Counted randomness: a draw is keyed by what it is for, so it is the same after a resume or with any prefetching."""

import numpy as np


def counted_rng(*key: int) -> np.random.Generator:
    """Return a Philox generator for a tuple of non-negative integers, such as (seed, epoch, index).

    The length is part of the key: SeedSequence alone pads with zeros, so that (1, 2) and (1, 2, 0) would be one stream.
    """
    return np.random.Generator(np.random.Philox(np.random.SeedSequence((len(key), *key))))
