"""The report from its results: a folder with a JSON file for each run and each measurement, and the scenes' pictures.

options.json                       what the command line decided      speed.json       milliseconds a picture
table__fcn16s_vgg__seed0.json      a run: settings, seed, scores,     ceiling.json     the truth, coarser and coarser
                                   course, commit, machine            objects.json     recall by the objects' size
pretraining__... stride__...       other runs                         footprint.json   memory and time, full width
                                                                      realtime.json    latency
"""

import json
from pathlib import Path

from minifcn import figures
from minifcn.errors import InputError
from minifcn.files import atomic_file

from . import cost_found, machine, pretraining, scenes, stride, table
from .blocks import Block, Heading, Plot, Report, Scenes, Text, markdown, prose
from .page import page
from .plots import courses

OPTIONS, SPEED, CEILING, OBJECTS, FOOTPRINT, REALTIME = "options speed ceiling objects footprint realtime".split()


def read(folder: Path) -> dict[str, dict]:
    """All results of a folder by their names: those of runs have slashes. InputError where there are none."""
    found = {}
    for path in sorted(folder.glob("*.json")):
        try:
            found[path.stem.replace("__", "/")] = json.loads(path.read_text())
        except ValueError as error:
            raise InputError(f"{path}: damaged ({error}); delete it, and run the report's command again") from error
    found.pop(scenes.LIST.removesuffix(".json"), None)
    if "command" not in found.get(OPTIONS, {}):
        raise InputError(f"{folder}: no results of a report (no whole {OPTIONS}.json); give the folder that has them")
    return found


def report(results: dict[str, dict], pictures: list[Scenes] = ()) -> Report:
    """Everything that the results tell. Parts that were not run, or not yet to their end, are left out."""
    options = results[OPTIONS]
    seeds, lrs = options["seeds"], options["lrs"]
    runs = {name: result for name, result in results.items() if "/" in name}
    measured = {name: r["records"] for name, r in results.items() if "of" in r and len(r["records"]) == r["of"]}
    picked = [table.run_name(row, seeds[0]) for row in table.ROWS]  # which are other runs over again
    blocks: list[Block] = [intro(options, [run for name, run in runs.items() if name not in picked])]
    complete = all(name in runs for name in table.run_names(seeds))
    if complete:
        speeds = {record["network"]: record for record in measured.get(SPEED, [])}
        blocks += table.blocks(runs, seeds, lrs, speeds, courses(table.courses(runs, seeds)))
    if pictures:
        blocks += [Heading("What it looks like"), *pictures]
    if CEILING in measured and OBJECTS in measured:
        blocks += stride.blocks(measured[OBJECTS], measured[CEILING])
    if complete and all(name in runs for name in pretraining.run_names(lrs)):
        seconds = pretraining.PRETRAINING_SECONDS if options["shipped"] else None
        blocks += pretraining.blocks(runs, seeds, lrs, seconds)
    for name, section in ((FOOTPRINT, cost_found.footprint), (REALTIME, cost_found.realtime)):
        if name in measured:
            blocks += [*section(measured[name]), Text(machine_line(measured[name]))]
    return Report(f"The lab report's table, on {options['data']}", blocks)


def intro(options: dict, runs: list[dict]) -> Text:
    """The command, and what it cost."""
    if not runs:
        return Text(f"`{options['command']}`")
    seeds, hours = ", ".join(map(str, options["seeds"])), sum(run.get("seconds", 0) for run in runs) / 3600
    scaled = "" if options["scale"] == 1 else f"; all pictures at {options['scale']:g} times their size"
    values = {"count": len(runs), "names": seeds, "hours": hours, "scaled": scaled, "machine": machine_line(runs)}
    return prose("intro", **options | values)


def machine_line(records: list[dict]) -> str:
    return machine.line(records[0]["machine"], sorted({record["commit"] for record in records}))


def write(results: Path, folder: Path) -> None:
    """Write report.html, report.md and its pictures into a folder, and say so."""
    made = report(read(results), scenes.read(results))
    folder.mkdir(parents=True, exist_ok=True)
    files = {"report.html": page(made).encode(), "report.md": markdown(made).encode()}
    files |= {f"{block.name}.png": block.png for block in made.blocks if isinstance(block, Plot)}
    for name, content in files.items():
        with atomic_file(folder / name) as file:
            file.write(content)
    drawn = {f"{block.name}.png": block for block in made.blocks if isinstance(block, Scenes)}
    for name, block in drawn.items():
        rows = [[scene[layer] for layer in scenes.REPORTED] for scene in block.scenes]
        figures.samples(folder / name, rows, list(scenes.REPORTED), block.classes, block.palette)
    print(f"wrote {', '.join(str(folder / name) for name in (*files, *drawn))}\nlook at {folder / 'report.html'}")
