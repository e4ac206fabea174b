"""The table's runs, what each starts from, and its figures worked out by hand."""

from pathlib import Path

import pytest
from small_data import make_set

from experiments.table1 import table
from experiments.table1.jobs import Options, choose
from experiments.table1.table import ROWS, run_name
from minifcn.errors import InputError

SEEDS, LRS = [0, 1], [0.01, 0.03]
OPTIONS = {"seeds": SEEDS, "lrs": LRS}


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    data = make_set(tmp_path_factory.mktemp("set") / "shapes", [("train", 22), ("test", 2)])
    return Options(
        data=data, steps=8, batch=2, lrs=LRS, seeds=SEEDS, scale=0.5, trunk="vgg_quarter", vgg="vgg.st", trained_on=19,
        fc=None, skip_scale=(1.0, 1.0), rate_steps=None,
    )  # fmt: skip


@pytest.fixture(scope="module")
def jobs(options):
    return {job.name: job for job in table.jobs(options, Path("root"))}


def test_the_rows_of_the_lab_report_and_what_they_start_from():
    assert table.lineage("fcn32s_vgg") == ["fcn32s_vgg"]
    assert table.lineage("fcn8s_fcn16s") == ["fcn32s_vgg", "fcn16s_fcn32s", "fcn8s_fcn16s"]
    assert table.lineage("fcn32s_on") == ["fcn32s_vgg", "fcn32s_on"] and ROWS["fcn32s_on"].model == "fcn32s"
    starts = {row.name: row.start for row in ROWS.values()}
    assert [name for name, start in starts.items() if start == "scratch"] == [
        "FCN-32s from scratch",
        "FCN-16s from scratch",
    ]
    assert all(name.startswith(row.model.upper().replace("FCN", "FCN-").replace("S", "s")) or name.startswith("control")
               for name, row in zip(starts, ROWS.values(), strict=True))  # fmt: skip


def test_every_run_comes_after_all_it_needs(jobs):
    seen = set()
    for job in jobs.values():
        assert set(job.after) <= seen, job.name
        seen.add(job.name)
    assert len(jobs) == 8 * (2 + 1 + 1)
    assert jobs["table/fcn16s_fcn32s/lr0.01"].after == ("table/fcn32s_vgg/seed0",)
    assert jobs["table/fcn16s_fcn32s/seed0"].after == ("table/fcn16s_fcn32s/lr0.01", "table/fcn16s_fcn32s/lr0.03")
    assert jobs["table/fcn16s_fcn32s/seed1"].after == ("table/fcn16s_fcn32s/seed0", "table/fcn32s_vgg/seed1")
    assert jobs["table/fcn16s_vgg/lr0.03"].after == ()


def test_settings_of_a_run(jobs, options):
    records = {run_name(row, 0): {"settings": {"lr": 0.01 if row == "fcn16s_vgg" else 0.03}} for row in ROWS}
    made = {name: job.with_rate(records).settings for name, job in jobs.items() if job.settings}
    assert {s.steps for s in made.values()} == {8} and all(s.held_out and s.scale == 0.5 for s in made.values())
    assert [made[f"table/fcn16s_vgg/lr{lr}"].lr for lr in LRS] == LRS
    seconds = {name: s for name, s in made.items() if name.endswith("seed1")}
    assert {name for name, s in seconds.items() if s.lr == 0.01} == {"table/fcn16s_vgg/seed1"}
    assert {s.seed for s in seconds.values()} == {1} and {s.seed for n, s in made.items() if n not in seconds} == {0}
    assert seconds[run_name("fcn32s_vgg", 1)].init == "vgg.st" and seconds[run_name("fcn16s_scratch", 1)].init is None
    for name, seed in (("seed1", 1), ("lr0.01", 0)):
        parent = Path(f"root/table/fcn16s_fcn32s/seed{seed}/best.safetensors").resolve()
        assert made[f"table/fcn8s_fcn16s/{name}"].init == str(parent)
    assert made["table/fcn8s_fcn16s/seed1"].model == "fcn8s"
    # 19 of 22 pictures are left to train on, 9 steps an epoch: a validation a step makes 8 in 8 steps
    assert {round(s.val_every * 9, 6) for s in made.values()} == {1.0}


@pytest.mark.parametrize(
    "scores, losses, best",
    [
        ((0.2, 0.1), (2, 1), 0.01),
        ((0.1, 0.2), (1, 2), 0.03),
        ((None, 0.0), (1, 2), 0.03),
        ((0.2, 0.2), (1, 2), 0.01),
        ((0.2, 0.2), (2, 1), 0.03),  # both, say, see nothing but background
    ],
)
def test_the_first_seed_is_the_best_of_its_learning_rates(jobs, scores, losses, best, tmp_path):
    found = [
        {"diverged": "x"} if score is None else {"chosen": {"jaccard": score}, "loss": loss}
        for score, loss in zip(scores, losses, strict=True)
    ]
    job = jobs["table/fcn8s_vgg/seed0"]
    records = dict(zip(job.after, found, strict=True))
    (tmp_path / "results").mkdir()
    for name in job.after:
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "best.safetensors").write_text(name)
    assert choose(job, tmp_path, records) is records[f"table/fcn8s_vgg/lr{best}"]
    assert (tmp_path / job.name / "best.safetensors").read_text() == f"table/fcn8s_vgg/lr{best}"


def test_all_diverged(jobs, tmp_path):
    records = {name: {"diverged": "x"} for name in jobs["table/fcn8s_vgg/seed0"].after}
    with pytest.raises(InputError, match="every learning rate diverged; give lower ones"):
        choose(jobs["table/fcn8s_vgg/seed0"], tmp_path, records)


def record(jaccard, seconds=10.0, **by_class):
    return {
        "steps": 8,
        "seconds": seconds,
        "peak_memory_bytes": 150_000_000,
        "split": "test",
        "scores": {"jaccard": jaccard, "class_jaccard": {"sky": jaccard, "car": None} | by_class},
        "course": [[4, seconds / 2, jaccard / 2], [8, seconds, jaccard]],
        "settings": {"lr": 0.01, "batch": 2},
    }


@pytest.fixture(scope="module")
def records():
    """Row i with seed s scores 0.1 (i + 1) + 0.01 s, and takes i + 1 seconds."""
    return {run_name(row, s): record(0.1 * (i + 1) + 0.01 * s, i + 1.0) for i, row in enumerate(ROWS) for s in SEEDS}


def test_a_line_of_the_table(records):
    speeds = {"fcn8s": {"training_ms": 50.4, "inference_ms": 20.0}, "fcn16s": {"training_ms": 1, "inference_ms": 1}}
    cells = table.line("fcn8s_fcn16s", records, SEEDS, speeds)
    line = dict(zip([*table.HEADER, "first", "second"], cells, strict=True))
    assert line == {
        "network": "FCN-8s from 16s weights",
        "Jaccard": "60.5",
        "s.d.": "0.7",  # of 60 and 61
        "lr": "0.01",
        "chain, steps": "24",
        "chain, s": "10",  # 1 + 3 + 6
        "memory, GB": "0.15",
        "training, ms": "50",
        "inference, pictures/s": "50.0",
        "first": "60.0",
        "second": "61.0",
    }


def test_differences_are_of_the_same_seed(records):
    records = records | {run_name("fcn32s_scratch", 1): record(0.25)}
    lines = {line[1]: line for line in table.differences(records, SEEDS)}
    assert lines["VGG weights, in 32s"][2:] == ["-12.0", "2.8", "-10.0", "-14.0"]  # 10 - 20, 11 - 25
    assert lines["the skip, for as many steps in all"][0] == "FCN-16s from 32s weights - control: FCN-32s trained on"
    assert lines["the skip, for as many steps in all"][2:] == ["-50.0", "0.0", "-50.0", "-50.0"]
    assert table.differences(records, [0])[0][3] == "-"


def test_the_blocks_hold_every_row(records, monkeypatch):
    seen = {}
    monkeypatch.setattr(table, "courses", lambda lines: seen.update(lines))
    blocks = table.blocks(records, OPTIONS, {})
    tables = [block for block in blocks if isinstance(block, table.Table)]
    assert [row[0] for row in tables[0].rows] == [row.name for row in ROWS.values()]
    assert all(len(row) == len(t.header) for t in tables for row in t.rows)
    assert len(tables[1].rows) == len(table.PAIRS)
    assert seen["FCN-32s from VGG weights"][1] == [[4, 0.5, 0.055], [8, 1.0, 0.11]]


def test_validations_are_spread_over_a_run(options):
    """13 steps in 8 parts are 2 a part, rounded up; never more validations than asked for."""
    assert round(options.settings("fcn32s", "scratch", steps=13).val_every * 9, 6) == 2


def test_rates_at_the_edge_of_the_grid_are_named(records):
    assert "At an edge of that grid: FCN-32s from VGG weights (0.01)" in table.rates(records, OPTIONS)
    assert "edge" not in table.rates(records, OPTIONS | {"lrs": [0.003, 0.01, 0.03]})
    assert table.rates(records, OPTIONS | {"lrs": [0.01]}).startswith("Learning rate 0.01 for all.")


def test_a_system_that_does_not_tell_memory(records):
    unknown = {name: r | {"peak_memory_bytes": None} for name, r in records.items()}
    assert "unknown" in table.line("fcn32s_vgg", unknown, SEEDS, {})


def test_the_best_row_of_a_network(records):
    """By the held-out tenth, not by what is reported: at once is row 7, and better there."""
    for better, mean in (("fcn8s_fcn16s", 0.605), ("fcn8s_vgg", 0.705)):
        held_out = {row: {"chosen": {"jaccard": 0.9 if row == better else 0.2}} for row in ROWS}
        found = {name: r | held_out[name.split("/")[1]] for name, r in records.items()}
        assert table.best_mean("fcn8s", found, SEEDS) == pytest.approx(mean)


def test_the_classes_of_each_row(records):
    """sky: the row's own score, mean of the seeds; car: in seed 1 of the last row alone."""
    last = [*ROWS][-1]
    records = records | {run_name(last, 1): record(0.9, car=0.25)}
    found = table.by_class(records, SEEDS)
    assert found.header == ["class", *(row.name for row in ROWS.values())]
    assert found.rows[0] == ["sky", *(f"{10 * (i + 1) + 0.5:.1f}" for i in range(7)), "85.0"]
    assert found.rows[1] == ["car", *"-------", "25.0"]


# --- learning rates chosen in short runs ---


def test_short_runs_choose_a_rate_for_each_kind_of_start(options):
    short = Options(**vars(options) | {"rate_steps": 3})
    jobs = {job.name: job for job in table.jobs(short, Path("root"))}
    leaders = {"vgg": "fcn32s_vgg", "scratch": "fcn32s_scratch", "row": "fcn16s_fcn32s"}
    assert {name for name in jobs if "/lr" in name} == {f"table/{x}/lr{lr}" for x in leaders.values() for lr in LRS}
    tried = [jobs[f"table/{x}/lr0.01"].settings for x in leaders.values()]
    assert {(settings.steps, settings.val_every) for settings in tried} == {(3, 0)}  # validated once, at the end
    assert jobs["table/fcn32s_scratch/rates"].after == ("table/fcn32s_scratch/lr0.01", "table/fcn32s_scratch/lr0.03")
    kinds = {"fcn16s_scratch": "scratch", "fcn8s_vgg": "vgg", "fcn8s_fcn16s": "row", "fcn32s_on": "row"}
    for row, kind in kinds.items():
        for seed in SEEDS:
            job = jobs[run_name(row, seed)]
            assert job.rate_of == f"table/{leaders[kind]}/rates" == job.after[0] and job.settings.steps == 8
    assert jobs["table/fcn16s_fcn32s/lr0.03"].after == ("table/fcn32s_vgg/seed0",)
    assert jobs["table/fcn16s_fcn32s/seed0"].after == ("table/fcn16s_fcn32s/rates", "table/fcn32s_vgg/seed0")
    seen = set()
    for job in jobs.values():
        assert set(job.after) <= seen, job.name
        seen.add(job.name)
    assert len(jobs) == 3 * (2 + 1) + 8 * 2


def test_records_that_are_other_runs_over_again(options, jobs):
    """They are not counted among the runs that a report cost."""
    assert table.copies(OPTIONS) == [name for name, job in jobs.items() if job.settings is None]
    short = {job.name: job for job in table.jobs(Options(**vars(options) | {"rate_steps": 3}), Path("root"))}
    twice = {name for name, job in short.items() if job.settings is None}
    assert twice <= set(table.copies(OPTIONS | {"rate_steps": 3}))


def test_skips_have_their_scale_but_from_scratch(options):
    scaled = Options(**vars(options) | {"skip_scale": [0.01, 0.002], "fc": 24})
    assert scaled.settings("fcn8s", "vgg").skip_scale == scaled.settings("fcn8s", "x.st").skip_scale == (0.01, 0.002)
    assert scaled.settings("fcn8s", "scratch").skip_scale == (1.0, 1.0) == options.settings("fcn8s", "vgg").skip_scale
    assert scaled.settings("fcn8s", "scratch").fc == 24 and options.settings("fcn8s", "vgg").fc is None
