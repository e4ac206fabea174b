"""Run a CUDA kernel of your own without a GPU: python -m minifcn.emulate, from a source checkout

    python -m minifcn.emulate my.cu --grid 4 --block 32,8 P=100 L=21 scores=P,L p=P,L --numpy my.py

compiles it for the emulator of tests/cuda, which needs g++, and launches it in three orders of blocks and threads,
every access checked. A fault is told in one line with block, thread and source line; the status is 1. Arguments:

    P=100              a number
    scores=P,L         an array of that shape: if the kernel only reads it (const), of random numbers, else
                       uninitialised, and the kernel must write all of it
    w=random:1000      random also where the kernel writes; w=zeros:1000; labels=0..20:P random whole numbers
    scores=given.npy   an array of a file

--numpy names a Python file with a function of the kernel's name. It takes what it needs of the arguments, by name, and
returns what the kernel must have written, in the kernel's order. Last come the bytes that were moved. least: each array
once. by threads: every access. by warps: the sectors of 32 bytes that the 32 threads of a warp touch together.
"""

import argparse

from .command import command_line, command_parser, from_checkout


def main(argv=None) -> int:
    usage = "FILE.cu --grid G --block B [options] [NAME=VALUE ...]"
    parser = command_parser("emulate", usage, __doc__.partition("\n\n")[2])
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("file", metavar="FILE.cu", help="the kernel's source")
    parser.add_argument("values", metavar="NAME=VALUE", nargs="*", help="the kernel's arguments, in any order")
    parser.add_argument("--grid", required=True, metavar="G", help="blocks: 4, or 4,2 or 4,2,1 (x first)")
    parser.add_argument("--block", required=True, metavar="B", help="threads of a block: 256, or 32,8")
    parser.add_argument("--kernel", metavar="NAME", help="which one, if the file has several")
    parser.add_argument("--numpy", metavar="FILE.py", help="a function of the kernel's name: what must come out")
    parser.add_argument("--real", choices=("float", "double"), default="float", help="what the macro REAL stands for")
    parser.add_argument("--shared", type=int, default=0, metavar="BYTES", help="of dynamic shared memory (default: 0)")
    parser.add_argument("--seed", type=int, default=0, help="of random arrays (default: 0)")
    args = parser.parse_intermixed_args(argv)
    return from_checkout("tests/cuda", "kernel_trial").run(args)


if __name__ == "__main__":
    command_line(main)
