"""The networks whose recall is measured by the size of objects: FCN-32s, 16s and 8s, each from VGG weights.

On toytown they are trained for it, on its scenes with objects of all sizes; on other data they are the table's.
"""

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
    if options.data != TOYTOWN:
        return []
    made = []
    for model in STRIDES:
        row = f"{model}_vgg"
        for seed in options.seeds:

            def settings(records, model=model, row=row, seed=seed):
                lr = records[table_run(row, options.seeds[0])]["settings"]["lr"]
                return options.settings(model, VGG, lr=lr, seed=seed, data=SIZES)

            after = [table_run(row, options.seeds[0])]  # by then its learning rate is known
            made.append(Job(run_name(options, model, seed), options.steps, settings, after))
    return made
