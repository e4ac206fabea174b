"""The report from its results: a folder with a JSON file for each run and each measurement, and the scenes' pictures.

options.json                       what the command line decided      speed.json       milliseconds a picture
table__fcn16s_vgg__seed0.json      a run: settings, seed, scores,     ceiling.json     the truth, coarser and coarser
                                   course, commit, machine            objects.json     recall by the objects' size
pretraining__... stride__...       other runs                         footprint.json   memory and time, full width
                                                                      realtime.json    latency
"""

import json
from pathlib import Path
from statistics import mean

from minifcn import figures
from minifcn.errors import InputError, say
from minifcn.files import atomic_file

from . import cost, pretraining, scenes, stride, table
from .blocks import Block, Heading, Plot, Scenes, markdown, page, prose

OPTIONS, SPEED, CEILING, OBJECTS, FOOTPRINT, REALTIME = "options speed ceiling objects footprint realtime".split()


def read(folder: Path) -> dict[str, dict]:
    """All results of a folder by their names: those of runs have slashes. InputError where there are none."""
    found = {}
    for path in sorted(folder.glob("*.json")):
        try:
            found[path.stem.replace("__", "/")] = json.loads(path.read_text())
        except ValueError as error:
            raise InputError(f"{path}: damaged ({error}); delete it, and run the report's command again") from error
    if "command" not in found.get(OPTIONS, {}):
        raise InputError(f"{folder}: no results of a report (no whole {OPTIONS}.json); give the folder that has them")
    for record in found.values() if (names := found[OPTIONS].get("mean_of")) else ():
        if scores := record.get("scores"):  # of a run
            scores["jaccard"] = mean_of(names, scores)
    return found


def mean_of(names: list[str], scores: dict) -> float:
    """The mean Jaccard of some classes; 0 for one that is neither there nor predicted."""
    return mean(scores["class_jaccard"][name] or 0.0 for name in names)


def report(results: dict[str, dict], pictures: list[Scenes] = ()) -> list[Block]:
    """Everything that the results tell. Parts that were not run, or not yet to their end, are left out."""
    options = results[OPTIONS]
    measured = {name: r["records"] for name, r in results.items() if "of" in r and len(r["records"]) == r["of"]}
    complete = all(name in results for name in table.run_names(options["seeds"]))
    blocks = [Heading(f"The lab report's table, on {options['data']}", 1), intro(options, results)]
    if complete:
        speeds = {record["network"]: record for record in measured.get(SPEED, [])}
        blocks += table.blocks(results, options, speeds)
    if pictures:
        blocks += [Heading("What it looks like"), *pictures]
    if CEILING in measured and OBJECTS in measured:
        blocks += stride.blocks(measured[OBJECTS], measured[CEILING])
    if complete:
        blocks += pretraining.blocks(results, options)
    for name, section in ((FOOTPRINT, cost.footprint), (REALTIME, cost.realtime)):
        if name in measured:
            blocks += [*section(measured[name]), machine_line(measured[name])]
    return blocks


def intro(options: dict, results: dict[str, dict]) -> str:
    """The command, and what it cost."""
    runs = [result for name, result in results.items() if "/" in name and name not in table.copies(options)]
    if not runs:
        return f"`{options['command']}`"
    seeds, hours = ", ".join(map(str, options["seeds"])), sum(run.get("seconds", 0) for run in runs) / 3600
    scaled = "" if options["scale"] == 1 else f"; all pictures at {options['scale']:g} times their size"
    values = {"count": len(runs), "names": seeds, "hours": hours, "scaled": scaled, "machine": machine_line(runs)}
    return prose("intro", **options | values)


def machine_line(records: list[dict]) -> str:
    """A sentence on the machine that records name, and their commits."""
    commits = sorted({record["commit"] for record in records})
    return prose("machine", **records[0]["machine"], commits=", ".join(commits))


def write(folder: Path) -> None:
    """Write report.html, report.md and its pictures into a folder that has the results, and say so."""
    made = report(read(folder / "results"), scenes.read(folder / "results"))
    files = {"report.html": page(made).encode(), "report.md": markdown(made).encode()}
    files |= {f"{block.name}.png": block.png for block in made if isinstance(block, Plot)}
    for name, content in files.items():
        with atomic_file(folder / name) as file:
            file.write(content)
    drawn = {f"{block.name}.png": block for block in made if isinstance(block, Scenes)}
    for name, block in drawn.items():
        rows = [[scene[layer] for layer in scenes.REPORTED] for scene in block.scenes]
        figures.samples(folder / name, rows, list(scenes.REPORTED), block.classes, block.palette)
    say(f"wrote {', '.join(str(folder / name) for name in (*files, *drawn))}", f"look at {folder / 'report.html'}")
