"""Checks sgd_step by hand and against mf.optim.SGD, for one step and for many whose rate falls."""

import numpy as np

import minifcn as mf
from exercises.checking import Case, Part, Wrong, call, close, load, values


def truth(w, g, v, lr, momentum, weight_decay):
    parameter = mf.Tensor(w.copy(), requires_grad=True)
    parameter.grad = g
    optimiser = mf.optim.SGD({"w": parameter}, lr, momentum, weight_decay)
    optimiser.momentum_buffers["w"] = v.copy()
    optimiser.step()
    return parameter.data, optimiser.momentum_buffers["w"]


# --- slips ---


def step(by):
    """A wrong sgd_step from by(w, slope, v, lr, momentum) -> w, v, where slope is g with its decay."""

    def wrong(w, g, v, lr, momentum, weight_decay):
        return by(w, g + weight_decay * w, v, lr, momentum)

    return wrong


def rate_first(w, slope, v, lr, mu):
    return w - (mu * v + lr * slope), mu * v + lr * slope


def rate_first_downhill(w, slope, v, lr, mu):
    return w + (mu * v - lr * slope), mu * v - lr * slope


def undecayed(w, g, v, lr, momentum, weight_decay):
    return truth(w, g, v, lr, momentum, 0)


def growing(w, g, v, lr, momentum, weight_decay):
    v = momentum * v + (g - weight_decay * w)
    return w - lr * v, v


def decay_beside(w, g, v, lr, momentum, weight_decay):
    v = momentum * v + g
    return w - lr * v - lr * weight_decay * w, v


# --- cases ---


def random(shape, lr, momentum, weight_decay):
    w, g, v = np.random.default_rng(len(shape)).standard_normal((3, *shape))
    return dict(w=w, g=g, v=v, lr=lr, momentum=momentum, weight_decay=weight_decay)


FIRST = dict(w=np.array([1.0, 2]), g=np.array([10.0, -10]), v=np.zeros(2), lr=0.1, momentum=0.5, weight_decay=0.0)
FIRST_STEP = (np.array([0.0, 3]), np.array([10.0, -10]))
NEXT = FIRST | {"v": np.array([4.0, 4])}
NEXT_STEP = (np.array([1 - 1.2, 2 + 0.8]), np.array([12.0, -8]))  # v = 0.5 4 + 10, 0.5 4 - 10
DECAY = NEXT | {"weight_decay": 0.5}
DECAY_STEP = (np.array([1 - 1.25, 2 + 0.7]), np.array([12.5, -7]))  # 0.5 1 and 0.5 2 more

PART = Part(
    function="sgd_step",
    results=("w", "v"),
    truth=truth,
    cases=(
        Case("by hand: a first step, v is 0", FIRST, FIRST_STEP),
        Case("by hand: a second one", NEXT, NEXT_STEP),
        Case("by hand: with weight decay", DECAY, DECAY_STEP),
        Case("a kernel's shape", random((3, 3, 2, 4), 0.02, 0.9, 5e-4)),
        Case("no momentum", random((5,), 0.3, 0.0, 0.1)),
    ),
    slips={
        "The momentum is applied after the rate: v sums lr g (Caffe's form). Keep lr out of v, and multiply by "
        "it when v is used: w - lr v. Otherwise old steps keep the rate of their day.": step(rate_first),
        "The momentum is applied after the rate, and v points downhill: v sums -lr g. Here v sums the gradients "
        "themselves, and lr comes in w - lr v.": step(rate_first_downhill),
        "The step goes uphill: w - lr v, not w + lr v.": step(
            lambda w, slope, v, lr, mu: (w + lr * (mu * v + slope), mu * v + slope)
        ),
        "w moves by the old v. Compute the new v first, then w with it.": step(
            lambda w, slope, v, lr, mu: (w - lr * v, mu * v + slope)
        ),
        "The momentum is forgotten: v should keep momentum times what it was.": step(
            lambda w, slope, v, lr, mu: (w - lr * slope, slope)
        ),
        "Nothing of v fades: it is multiplied by momentum in every step.": step(
            lambda w, slope, v, lr, mu: (w - lr * (v + slope), v + slope)
        ),
        "The momentum multiplies the new gradient, too. It belongs to the old v only.": step(
            lambda w, slope, v, lr, mu: (w - lr * mu * (v + slope), mu * (v + slope))
        ),
        "The new gradient is multiplied by 1 - momentum (a running mean, as in Adam). Here v is a running sum.": step(
            lambda w, slope, v, lr, mu: (w - lr * (mu * v + (1 - mu) * slope), mu * v + (1 - mu) * slope)
        ),
        "That is Nesterov's momentum, which looks one step ahead. Here w moves by lr v.": step(
            lambda w, slope, v, lr, mu: (w - lr * (slope + mu * (mu * v + slope)), mu * v + slope)
        ),
        "v comes back as it was. Return the new one: the next step needs it.": step(
            lambda w, slope, v, lr, mu: (w - lr * (mu * v + slope), v)
        ),
        "w and v come back in the wrong order.": step(
            lambda w, slope, v, lr, mu: (mu * v + slope, w - lr * (mu * v + slope))
        ),
        "The weight decay is missing: the gradient that v sums is g + weight_decay w.": undecayed,
        "The weight decay has the wrong sign: with it weights would grow.": growing,
        "The weight decay moves w beside v, which does not remember it (AdamW's form). Here it is part of the gradient "
        "that v sums.": decay_beside,
    },
)


def steps(folder):
    student = load(folder / "sgd_momentum.py")
    yield from values(student, PART)
    parameter = mf.Tensor(np.array([3.0, -1]), requires_grad=True)
    optimiser = mf.optim.SGD({"w": parameter}, 0.1, 0.9, 0.01)
    w, v = parameter.data.copy(), np.zeros(2)
    for number in range(20):  # down a valley, 20 times as steep in one direction
        optimiser.lr = 0.1 * (1 - number / 20)
        parameter.grad = parameter.data * np.array([1, 20])
        optimiser.step()
        args = dict(w=w, g=w * np.array([1, 20]), v=v, lr=optimiser.lr, momentum=0.9, weight_decay=0.01)
        w, v = call(student, "sgd_step", args)
        if not close(w, parameter.data):
            raise Wrong(f"After {number + 1} steps down a valley your w is {w}, that of mf.optim.SGD {parameter.data}.")
    yield "20 steps down a valley with a rate that falls, beside mf.optim.SGD"
