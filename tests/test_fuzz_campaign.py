"""The campaign of damaged files: a seeded thousand of them, and whether it would find what it looks for."""

import os
import sys
from pathlib import Path

import pytest

pytest.importorskip("scipy.io")
sys.path.append(str(Path(__file__).parent / "weights"))  # handmade

from fuzz.campaign import BAD, campaign, main, report, spread, table
from fuzz.kinds import KINDS
from fuzz.planted import EXPECTED

pytestmark = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux")
JOBS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1


def test_a_thousand_damaged_files(tmp_path):
    results = campaign(spread([*KINDS], 1000), 16, JOBS, tmp_path / "kept")
    failures = [result for result in results if result["outcome"] in BAD]
    assert not failures, "\n".join([table(results), *report(results)])
    for kind in KINDS.keys() - {"metrics.json"}:  # each is damaged enough to be refused; metrics are made anew
        outcomes = [result["outcome"] for result in results if result["case"][0] == kind]
        assert "refused" in outcomes, f"{kind}: {outcomes}"


def test_whole_files_are_taken(tmp_path):
    """Else damaged ones would be refused for another reason."""
    kinds = [name for name, kind in KINDS.items() if kind.seeds]
    results = campaign([(name, -i) for name in kinds for i in range(1, 6)], 0, JOBS, tmp_path)
    for result in results:
        no_fcn = result["outcome"] == "refused" and "describes no FCN" in result["detail"]  # predict with a bare VGG
        assert result["outcome"] == "fine" or no_fcn, result


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """What came of each planted fault, by its name, and where the failures are kept."""
    keep = tmp_path_factory.mktemp("kept")
    names = [*(function.__name__ for function in EXPECTED), "accepted"]
    results = campaign([(name, 0) for name in names], 0, JOBS, keep, "fuzz.planted")
    return dict(zip(names, results, strict=True)), keep


@pytest.mark.parametrize("fault, outcome", [(f.__name__, o) for f, o in EXPECTED.items()] + [("accepted", "accepted")])
def test_a_planted_fault_is_told_as_what_it_is(fault, outcome, planted):
    results, keep = planted
    found = results[fault]
    assert found["outcome"] == outcome, found
    if outcome in BAD:
        assert (keep / f"{fault}_0" / "x.bin").read_bytes() == b"damaged"
        assert (keep / f"{fault}_0" / "how.txt").read_text().startswith("python -m ")


def test_where_it_broke_is_told(planted):
    results, _ = planted
    assert "break_down KeyError: 'classes'" in results["break_down"]["detail"]
    assert "SIGABRT" in results["abort"]["detail"] and "SIGSEGV" in results["die"]["detail"]
    assert "os.system" in results["run_a_program"]["detail"]
    lines = table([*results.values()]).splitlines()
    assert lines[-1].split()[0] == "all" and len(lines) == len(results) + 2
    assert len(report([*results.values()])) == len(results) - 2  # all but fine and refused


def test_a_case_depends_on_its_number_alone(tmp_path, capsys):
    """Damaged twice alike, in whatever order and beside whatever others; another seed damages otherwise."""
    cases = [("config.json", 3), ("labels", 5)]
    first, second = (campaign(order, 7, 1, tmp_path) for order in (cases, [("classes", 0), *cases[::-1]]))
    plain = [(r["case"], r["outcome"], r["detail"].split("case/")[-1]) for r in first]
    assert plain == [(r["case"], r["outcome"], r["detail"].split("case/")[-1]) for r in second[:0:-1]]
    assert main(["--files", "4", "--kind", "SBD .mat", "--jobs", "1", "--keep", str(tmp_path)]) == 0
    assert "4 files, 0 failures" in capsys.readouterr().out
