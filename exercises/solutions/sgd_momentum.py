"""One step of SGD with momentum and weight decay, PyTorch's form."""


def sgd_step(w, g, v, lr, momentum, weight_decay):
    """w, g, v: weights, their gradient, what the last step remembered, all of one shape -> new w, new v."""
    v = momentum * v + (g + weight_decay * w)
    return w - lr * v, v
