"""Exercise 7: one step of SGD with momentum and weight decay.         Check it: python -m exercises sgd_momentum

The training chapter has the step with numbers, in its section "The step, by hand", and so has section 15 of "One
picture, from the loss back". Here you write it down yourself.

v is what a step remembers of the gradients so far, an array as large as w. Each step lets the old v fade to a fraction
of itself, `momentum`. Then it adds the new gradient as it is. Weight decay adds a little of w to the gradient, before v
remembers it. Then w moves downhill along the new v.

The rate multiplies v when it is used, not when it is remembered: so a new rate acts at once, on all that v holds.

How: two lines. Return new arrays, and leave w, g and v as they are.
"""


def sgd_step(w, g, v, lr, momentum, weight_decay):
    """w, g, v: weights, their gradient, what the last step remembered, all of one shape -> new w, new v."""
    raise NotImplementedError
