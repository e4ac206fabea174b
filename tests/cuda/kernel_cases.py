"""The table of all cases of all kernels, which test_kernels.py and test_kernel_mutants.py share."""

import flat_cases
import large_cases
import map_cases

CASES = [*map_cases.CASES, *flat_cases.CASES, *large_cases.CASES]


def cases_of(kernel: str):
    return [case for case in CASES if case.kernel == kernel]
