"""Exercise 7: one step of SGD with momentum and weight decay.         Check it: python -m exercises sgd_momentum

    v = momentum v + (g + weight_decay w)        what the step remembers: a running sum of gradients
    w = w - lr v

The rate multiplies v when it is used, not when it is remembered: so a new rate acts at once, on all that v holds.

How: two lines. Return new arrays, and leave w, g and v as they are.
"""


def sgd_step(w, g, v, lr, momentum, weight_decay):
    """w, g, v: weights, their gradient, what the last step remembered, all of one shape -> new w, new v."""
    raise NotImplementedError
