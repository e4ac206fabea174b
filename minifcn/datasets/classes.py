"""The list of a set's classes, classes.txt, labelmap.txt or class_dict.csv: a class a line, in the order of values.

    road                       or with the colours of the classes, which are needed if label pictures are RGB, and are
    traffic light              those of the predictions too (either all lines have one, or none):
    void
                               road 128 64 128      128 64 128 road      road,128,64,128      road:128,64,128::
                               traffic light #fa0000

A number before each name, or after it, must be its value, counted from 0. Empty lines, lines that start with # and
the header of a .csv file are skipped. A name such as "void" (labels.py has them) is no class: pixels with its value or
colour are ignored, as those of value 255 always are. It need not be the last line; if it is not, the ids of the classes
after it are one lower than their values in the files. A first line "__ignore__" without a colour, as labelme has it,
stands for the value -1: the names after it begin at 0.
"""

import re
from pathlib import Path

from ..errors import InputError
from .labels import VOID_NAMES, LabelCoding, cleaned
from .pictures import read_bytes, reading

CLASS_FILES = ("classes.txt", "labelmap.txt", "class_dict.csv")
_COLOUR = r"(?P<colour>\d+[\s,;]+\d+[\s,;]+\d+|#[0-9a-fA-F]{6})"
_COLOUR_FIRST = re.compile(rf"{_COLOUR}[\s,;:]+(?P<name>\D.*)")
# CVAT adds :parts:actions.
_NAME_FIRST = re.compile(rf"(?P<name>.+?)(?:(?:[\s,;]+|\s*:\s*){_COLOUR})?(?::[^:\d]*:[^:\d]*)?")
_NUMBERED = re.compile(r"(\d+)(?:\s*[,;:=)]\s*|\.?\s+)(.+)")
_NUMBER_LAST = re.compile(r"(\D+?)[\s,;:=]+(\d+)")
_RGBA = re.compile(r"(.*?)(?:[\s,;:]+\d+){3}[\s,;:]+(?:0|255)")
# A line of JSON, YAML, Markdown or another table, with a comment, or numbers only.
_NO_NAME = re.compile(r"([-*+]\s|//).*|.*[,;:\t{}\[\]=|].*|.*\s#.*|.*\d\s+\d.*|[\d\s]+")
_LONGEST = 256  # characters of a line, as of a name in a checkpoint: some expressions above take time like their square
_HEADER = {"class", "classes", "label", "labels", "name", "names", "class_name", "id", "index", "value"}


def find_classes(*folders: Path) -> Path | None:
    """Return the list of classes in the first of these folders that has one."""
    return next((folder / name for folder in folders for name in CLASS_FILES if (folder / name).is_file()), None)


def read_classes(path: Path) -> LabelCoding:
    """Read a list of classes. Raises InputError, which names the file and the line."""
    lines = [(i, name) for i, line in read_lines(path)[:300] if (name := cleaned(line).strip())]
    colours, numbered = {}, None
    words = {*re.findall(r"\w+", lines[0][1].lower())} if lines else set()
    header = {"r", "g", "b"} <= words or {"red", "green", "blue"} <= words
    last, rgba = _all_match(_NUMBER_LAST, lines), _all_match(_RGBA, lines[header:])
    last = last if last and all(int(match[2]) <= len(last) for match in last) else None  # "route 66" is a name
    for position, (number, line) in enumerate(lines[header:]):
        text = " ".join(last[position].group(2, 1)) if last else line
        given = None if _COLOUR_FIRST.fullmatch(text) else _NUMBERED.fullmatch(text)
        text = given[2] if given else text
        name, colour = (_COLOUR_FIRST.fullmatch(text) or _NAME_FIRST.fullmatch(text)).group("name", "colour")
        if colour:
            colour = tuple(bytes.fromhex(colour[1:]) if colour[0] == "#" else map(int, re.findall(r"\d+", colour)))
        numbered = bool(given) if numbered is None else numbered
        other = rgba or _NO_NAME.fullmatch(name) or (position == 0 and set() < words <= _HEADER)
        other = other or (name[0] in "'\"" and not colour)  # import_labels writes any name, with a colour
        named = not other and numbered == bool(given) and (not given or int(given[1]) == position)
        new = name not in colours and (colour is None or colour not in colours.values())
        alike = not colours or (colour is None) == (None in colours.values())
        if not (named and new and alike and max(colour or (0,)) < 256):
            wanted = "a new name, alone or with its value (all lines so, from 0 in order), and if the other lines have"
            wanted += " colours, a new one of three numbers from 0 to 255"
            raise InputError(f"{path}, line {number}: expected {wanted}, received {line[:80]!r}; correct the line")
        colours[name] = colour
    if lines and lines[0][1].lower() == "__ignore__":
        del colours[lines[0][1]]
    if not {name.lower() for name in colours} - VOID_NAMES or len(colours) > 255:
        raise InputError(f"{path}: {len(colours)} lines, expected 1 to 255, at least one a class; list each in a line")
    given = None if None in colours.values() else [*colours.values()]
    return LabelCoding(list(colours), given, f"correct the file, or {path}, which must list all values or all colours")


def _all_match(pattern: re.Pattern, lines: list[tuple[int, str]]) -> list[re.Match] | None:
    """The matches of all lines, or None, also where their names would be equal: "lane 1", "lane 2" are whole names."""
    found = [pattern.fullmatch(line) for _, line in lines]
    return found if all(found) and len({match[1] for match in found}) == len(found) > 1 else None


def read_lines(path: Path) -> list[tuple[int, str]]:
    """The lines of a text file that say something, with their numbers from 1."""
    with reading(path, "text", "save it as plain UTF-8 text"):
        text = read_bytes(path, 1 << 24).decode("utf-8-sig")
        lines = [(i, line) for i, line in enumerate(map(str.strip, text.splitlines()), 1) if line]
        if long := [i for i, line in lines if len(line) > _LONGEST]:
            raise InputError(f"line {long[0]} has over {_LONGEST:,} characters")
    return [(i, line) for i, line in lines if line[0] != "#" or _COLOUR_FIRST.fullmatch(line)]
