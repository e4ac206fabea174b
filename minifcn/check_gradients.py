"""Check every gradient against central differences: python -m minifcn.check_gradients

Each layer over a list of odd shapes and options (minifcn/cases.py), and each network (a very narrow one) with all its
parameters, in float64. Prints a table: what was checked, the shapes of its inputs and its options, the worst error, and
how many derivatives were compared. The exit status is 1 if any error is above its tolerance: 1e-7 for what is linear in
each input, 1e-6 for the rest (see minifcn/gradients.py).
"""

from . import cases
from .command import add_device_option, command_line, command_parser
from .training.settings import Settings, check_ranges


def main(argv=None) -> int:
    parser = command_parser("check_gradients", "[options]", "Check all gradients.")
    parser.add_argument("--seed", type=int, default=0, help="of inputs and directions (default: 0)")
    add_device_option(parser)
    args = parser.parse_args(argv)
    check_ranges(vars(args), Settings)
    checks = cases.gradient_checks(args.device, args.seed)
    failures = cases.run("worst error of each gradient, and the number of derivatives compared", checks)
    print(f"{failures} checks failed" if failures else "all checks passed")
    return 1 if failures else 0


if __name__ == "__main__":
    command_line(main)
