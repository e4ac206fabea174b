"""The networks whose recall is measured by the size of objects: FCN-32s, 16s and 8s, each from VGG weights.

On toytown they are trained for it, on its scenes with objects of all sizes; on other data they are the table's.
"""

from itertools import product

from minifcn.datasets import TOYTOWN

from .jobs import Job
from .objects import STRIDES
from .plan import VGG, Options
from .table import run_name as table_run

SIZES = "toytown_sizes"


def data_of(options: Options) -> str:
    return SIZES if options.data == TOYTOWN else options.data


def run_name(options: Options, model: str, seed: int) -> str:
    return f"stride/{model}/seed{seed}" if options.data == TOYTOWN else table_run(f"{model}_vgg", seed)


def jobs(options: Options) -> list[Job]:
    """The runs that the table does not have, with the learning rates that it chose."""
    made = []
    for model, seed in product(STRIDES, options.seeds if options.data == TOYTOWN else []):
        like = table_run(f"{model}_vgg", options.seeds[0])

        def settings(records, model=model, seed=seed, like=like):
            return options.settings(model, VGG, lr=records[like]["settings"]["lr"], seed=seed, data=SIZES)

        made.append(Job(run_name(options, model, seed), options.steps, settings, [like]))
    return made
