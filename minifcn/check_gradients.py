"""Check every gradient against central differences: python -m minifcn.check_gradients

Each layer over a list of odd shapes and options (minifcn/cases.py), and each network (a very narrow one) with all its
parameters, in float64. Prints a table: what was checked, the shapes of its inputs and its options, how many derivatives
were compared, and the worst error. The exit status is 1 if any is above its tolerance: 1e-7 for what is linear in each
input, 1e-6 for the rest (see minifcn/gradients.py).
"""

import argparse
from collections.abc import Sequence

from tqdm import tqdm

from . import device
from .cases import Case, layer_cases, network_cases
from .command import add_device_option, command_line
from .gradients import GradientError, check
from .training.settings import Settings, check_ranges


def main(argv=None) -> int:
    parser = argparse.ArgumentParser(prog="python -m minifcn.check_gradients", description="Check all gradients.")
    parser.add_argument("--seed", type=int, default=0, help="of inputs and directions (default: 0)")
    add_device_option(parser)
    args = parser.parse_args(argv)
    check_ranges(vars(args), Settings)
    loops = device.start(args.device)
    return 1 if run([*layer_cases(args.seed), *network_cases(args.seed, args.device)], loops, args.seed) else 0


def run(cases: Sequence[Case], loops, seed: int = 0) -> int:
    """Check every case on a device (loops: cpu or gpu), print a line for each; return how many failed."""
    failures = 0
    print(f"{'op':<22} {'options':<58} {'entries':>7} {'worst error':>12}")
    for case in tqdm(cases, "gradients", leave=False, disable=None):
        try:
            worst, entries = check(case.function, case.leaves(loops), case.linear, seed=seed, name=case.op)
            line = f"{entries:>7} {worst:>12.1e}"
        except GradientError as error:
            failures += 1
            line = f"FAILED: {error}"
        tqdm.write(f"{case.op:<22} {case.options:<58} {line}")
    print(f"{len(cases) - failures} of {len(cases)} checks passed")
    return failures


if __name__ == "__main__":
    command_line(main)
