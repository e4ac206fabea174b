"""Exercise 3: the way back through a max pool.             Check it: python -m exercises pool_backward

On the way there, each output is the largest number of its window, channel by channel:

    y[n, oy, ox, c] = max over ky, kx of  x[n, oy s + ky, ox s + kx, c]         ky, kx = 0 .. k - 1

Rows and columns that are left over at the end, where no whole window fits, are in no window.
Only the winner has changed the output, so only the winner gets its gradient. Of equal winners the first gets it, rows
before columns. With s < k windows overlap, and an input that has won several of them collects from each.

How: for each window find out which of its k k numbers won (np.argmax gives the first of equals; np.unravel_index or
divmod make a row and a column of its answer), and add dy there.
"""

import numpy as np


def pool_backward(dy, x, k, stride):
    """dy (N,OH,OW,C), x (N,H,W,C) as it came in on the way there, k and stride ints -> dx (N,H,W,C)."""
    raise NotImplementedError
