"""Published ways to train an FCN, by name: what `--recipe` presets; an option given beside it counts more.

default    this project's: quick, for any data            batch 2, mean loss, lr 0.01 falling to 0, norm clipped
paper      Long, Shelhamer, Darrell, CVPR 2015, 4.3       batch 20, mean loss, lr 1e-4
reference  the authors' Caffe solvers and networks        batch 1, SUM of the pixels' losses, lr 1e-10, momentum 0.99

Both published ones use a fixed learning rate, twice that for biases, no decay of biases, whole pictures, neither
mirrored nor scaled, and dropout. From FCN-32s to 16s to 8s the learning rate falls a hundredfold each time (the paper
says so of 16s). A network with skips whose score layers do not come from an FCN of the same classes is trained "at
once", as the reference's fcn8s-atonce: with the first learning rate and its skips scaled down, in the reference three
times as long. The networks after it in a chain keep those scales, as they keep its weights.

A sum over the pixels makes the gradient, and so the step, as many times larger: 1e-10 on the sum over a picture of
375 x 500 is 1.9e-5 on its mean. Caffe sums over the pixels of a picture, but takes the mean over pictures: with more
than one picture a step, the reference's rate is divided by their number, and its decay multiplied.
"""

from ..errors import InputError
from ..models import AT_ONCE, MODELS

PUBLISHED = {"schedule": "constant", "warmup": 0, "clip": 0.0, "weight_decay": 5e-4}
PUBLISHED |= {"dropout": 0.5, "flip": False, "pad": 100}
PAPER = PUBLISHED | {"batch": 1, "reduction": "mean", "momentum": 0.9, "upsampling": "learnt"}
REFERENCE = PUBLISHED | {"batch": 1, "reduction": "sum", "momentum": 0.99, "upsampling": "fixed"}
RECIPES = {"default": {}, "paper": PAPER, "reference": REFERENCE}
PAPER_PICTURES = 20  # an update, whatever --batch
LR = {"paper": 1e-4, "reference": 1e-10}  # of 32s; a hundredth for each skip
ITERATIONS = 100_000  # of the reference; at once: three times as many


def presets(recipe: str, given: dict) -> dict:
    """Return what is given, and what a recipe sets beside it for every network of a chain."""
    chosen = RECIPES[recipe] | given
    wanted = RECIPES[recipe].get("reduction")
    if wanted and chosen["reduction"] != wanted and "lr" not in given:
        raise InputError(f"--reduction {chosen['reduction']}: --recipe {recipe} is for a {wanted}; give --lr too")
    if recipe == "paper":
        chosen.setdefault("accumulate", max(1, PAPER_PICTURES // chosen["batch"]))
    return chosen


def of_stage(recipe: str, model: str, at_once: bool, pictures: int) -> dict:
    """Return what a published recipe sets for one network of a chain: lr, skip_scale, the reference's decay and steps.

    at_once: its score layers are new, and it has skips.  pictures: of an update.
    """
    if recipe == "default":
        return {}
    chosen = {"lr": LR[recipe] * (1 if at_once else 0.01 ** len(MODELS[model].skips))}
    if at_once:
        chosen["skip_scale"] = AT_ONCE
    if recipe == "reference":
        chosen["lr"] /= pictures
        chosen["weight_decay"] = PUBLISHED["weight_decay"] * pictures
        chosen["steps"] = ITERATIONS * (3 if at_once else 1)
    return chosen
