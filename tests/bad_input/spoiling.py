"""A run to begin, and files to spoil and to compare."""

from pathlib import Path


def training(data, out, *more):
    return f"--data {data} --out {out} --name run --model fcn32s --trunk tiny --batch 2 --warmup 0".split() + list(more)


def bytes_below(folder):
    return {path: path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


def cut(path, share=0.6):
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
