"""Counted randomness: every draw is keyed by what it is for, so it is the same after a resume or with any prefetching."""

import numpy as np


def counted_rng(*key: int) -> np.random.Generator:
    """Return a Philox generator for a tuple of non-negative integers, such as (seed, epoch, index)."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(key)))
