"""The claims about pretraining: verdicts on courses made by hand."""

import pytest

from experiments.table1 import pretraining, table
from experiments.table1.blocks import Table
from experiments.table1.table import run_name

SEEDS, LRS = [0, 1], [0.01, 0.03]


def run(model, *course):
    return {"settings": {"model": model}, "course": [list(point) for point in course], "scores": {"jaccard": 0.4}}


SLOW = ((10, 1.0, 0.1), (20, 2.0, 0.2), (30, 3.0, 0.37), (40, 4.0, 0.4))  # 0.36 is reached at step 30


def records(vgg, scratch=SLOW):
    return {
        run_name(f"{model}_{start}", seed): run(model, *course)
        for model in ("fcn32s", "fcn16s")
        for start, course in (("vgg", vgg), ("scratch", scratch))
        for seed in SEEDS
    }


def verdicts(found, cost=None):
    return {v.name: v for v in pretraining.verdicts(pretraining.races(found, SEEDS), cost)}


def test_reached_is_the_first_validation_with_the_score():
    course = run("fcn32s", (10, 1.5, None), (20, 2.5, 0.3), (30, 3.5, 0.2), (40, 4.5, 0.3))
    assert pretraining.reached(course, 0.3) == (20, 2.5)
    assert pretraining.reached(course, 0.31) is None


def test_the_goal_is_nine_tenths_of_the_final_score_from_scratch():
    race = pretraining.races(records(SLOW, ((10, 1.0, 0.5), (20, 2.0, 0.4))), SEEDS)[0]
    assert race["goal"] == pytest.approx(0.36) and race["scratch"] == (10, 1.0) and race["vgg"] == (30, 3.0)


@pytest.mark.parametrize(
    "vgg, verdict, figures",
    [
        (((10, 1.0, 0.5),), "supported", "fcn16s 0.33, 0.33; fcn32s 0.33, 0.33"),
        (((20, 2.0, 0.5),), "undecided", "0.67"),
        (((30, 3.0, 0.37),), "refuted", "1.00"),
        (((40, 4.0, 0.35),), "refuted", "not reached"),
    ],
)
def test_time_to_an_acceptable_result(vgg, verdict, figures):
    found = verdicts(records(vgg))
    assert list(found) == ["pretraining"]
    assert found["pretraining"].verdict == verdict and figures in found["pretraining"].found


def test_a_first_validation_that_finds_both_there_tells_nothing():
    found = verdicts(records(((10, 1.0, 0.5),), scratch=((10, 1.0, 0.4), (20, 2.0, 0.4))), 1.5)
    assert [v.verdict for v in found.values()] == ["undecided"] * 2
    nothing = verdicts(records(((10, 1.0, None),), scratch=((10, 1.0, None),)), 1.5)
    assert [v.verdict for v in nothing.values()] == ["undecided"] * 2


def test_ratios_that_the_first_validation_bounds_are_told():
    assert "In 4 of 4 the first validation" in verdicts(records(((10, 1.0, 0.5),)))["pretraining"].found
    assert "first validation" not in verdicts(records(((20, 2.0, 0.5),)))["pretraining"].found


def test_one_network_that_does_not_profit_refutes_and_one_seed_does_not():
    found = records(((10, 1.0, 0.5),))
    never = run("fcn32s", (40, 4.0, 0.1))
    assert verdicts(found | {run_name("fcn32s_vgg", 0): never})["pretraining"].verdict == "undecided"
    both = {run_name("fcn32s_vgg", seed): never for seed in SEEDS}
    assert verdicts(found | both)["pretraining"].verdict == "refuted"


@pytest.mark.parametrize("cost, verdict", [(1.5, "supported"), (2.5, "refuted")])
def test_the_cost_of_pretraining_counts(cost, verdict):
    found = verdicts(records(((10, 1.0, 0.5),)), cost)["scratch"]  # 1 s instead of 3
    assert found.verdict == verdict and f"{(1 + cost) / 3:.2f}" in found.found


def test_the_cost_undecided_where_networks_differ():
    found = records(((10, 1.0, 0.5),)) | {run_name("fcn32s_vgg", 1): run("fcn32s", (20, 2.0, 0.5))}
    assert verdicts(found, 1.5)["scratch"].verdict == "undecided"


def test_the_grid_shows_the_best_learning_rate_of_each_share():
    found = records(((10, 1.0, 0.5),))
    for start in pretraining.STARTS:
        for i, fraction in enumerate(pretraining.FRACTIONS):
            for k, lr in enumerate(LRS):
                better = k == (i % 2)
                score = {"chosen": {"jaccard": 0.3 if better else 0.2}, "steps": 40, "settings": {"model": "fcn16s"}}
                score |= {"scores": {"jaccard": 0.1 * i + (0.05 if better else 0.01) + (0.3 if start == "vgg" else 0)}}
                found[pretraining.grid_name(start, fraction, lr)] = score
    options = {"seeds": SEEDS, "lrs": LRS, "shipped": False}
    tables = [b for b in pretraining.blocks(found, options) if isinstance(b, Table)]
    assert tables[1].rows == [
        ["from VGG weights", "35.0", "45.0", "55.0", "65.0"],
        ["from scratch", "5.0", "15.0", "25.0", "35.0"],
    ]
    assert tables[2].rows[:2] == [
        ["from VGG weights, 0.125", "30.0", "20.0"],
        ["from VGG weights, 0.25", "20.0", "30.0"],
    ]
    assert all(len(row) == len(t.header) for t in tables for row in t.rows)


def test_races_are_told_without_the_grid():
    """SLOW ends with 0.4: from VGG it is passed at step 20, nine tenths of it at step 10."""
    found = records(((10, 1.0, 0.37), (20, 2.0, 0.5)))
    options = {"seeds": SEEDS, "lrs": LRS, "shipped": False}
    (races,) = (b for b in pretraining.blocks(found, options) if isinstance(b, Table))
    assert races.rows[0] == ["fcn32s", "0", "36.0", "10", "1", "30", "3", "20", "2"]
    assert len(races.header) == 9 and len(races.rows) == 4


def test_the_cost_in_the_code_is_the_card_s():
    """data/weights/README.md: the last minute of each run."""
    from minifcn.weights import shipped

    card = (shipped.folder() / "README.md").read_text(encoding="utf-8")
    rows = [line.split("|") for line in card.splitlines() if line.startswith("| phase")]
    minutes = {row[1].strip(): float(row[3]) for row in rows}  # the last row of each run counts
    assert len(minutes) == 2 and abs(60 * sum(minutes.values()) - pretraining.PRETRAINING_SECONDS) < 120


def test_jobs_of_the_grid_share_all_but_start_share_and_rate(tmp_path):
    from small_data import make_set

    from experiments.table1.jobs import Options

    data = make_set(tmp_path / "shapes", [("train", 40), ("test", 2)])
    options = Options(data=data, steps=8, batch=2, lrs=LRS, seeds=[5], scale=1.0, trunk="vgg_quarter", vgg="vgg.st")
    options.trained_on, options.fc, options.skip_scale, options.rate_steps = 36, None, (1.0, 1.0), None
    made = {job.name: job.settings for job in pretraining.jobs(options)}
    shared = {f"table/fcn16s_{start}/lr{lr}" for start in ("vgg", "scratch") for lr in LRS}  # all pictures: the table's
    assert len(made) == 2 * 3 * 2 and set(made) | shared == set(pretraining.run_names(LRS))
    assert shared < {job.name for job in table.jobs(options, tmp_path)}
    one = made["pretraining/scratch/0.25/lr0.03"]
    assert (one.init, one.fraction, one.lr, one.seed, one.steps) == (None, 0.25, 0.03, 5, 8)
    assert made["pretraining/vgg/0.5/lr0.01"].init == "vgg.st"
