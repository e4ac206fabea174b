"""What nobody damages by accident: pickles that call functions, bombs, forbidden pictures, lines that never end.

Whatever a payload would do leaves a file "canary" in the folder where it runs.
"""

import io
import pickle
import pickletools
import struct
import warnings
import zipfile
import zlib

import handmade as by
import numpy as np
from PIL import Image

from .damage import any_bytes, png_of

TOUCH, RUN = "open('canary', 'w').close()", "touch canary"
CALLS = [  # module, name, arguments
    *((module, "system", (RUN,)) for module in ("os", "posix")),
    *((module, "popen", (RUN,)) for module in ("os", "platform")),
    *((module, "mkdir", ("canary",)) for module in ("os", "posix")),
    *((module, "makedirs", ("canary",)) for module in ("os",)),
    *((module, name, (TOUCH,)) for module in ("builtins", "__builtin__") for name in ("exec", "eval")),
    *((module, "open", ("canary", "w")) for module in ("builtins", "__builtin__", "io", "_io", "codecs", "gzip")),
    *(("subprocess", name, (["touch", "canary"],)) for name in ("Popen", "call", "run", "check_call", "check_output")),
    *(("subprocess", name, (RUN,)) for name in ("getoutput", "getstatusoutput")),
    *((module, "run", (TOUCH,)) for module in ("cProfile", "profile", "pdb", "bdb")),
    ("timeit", "timeit", (TOUCH,)), ("timeit", "main", (["-n1", "-s", TOUCH],)), ("trace", "main", ()),
    ("pty", "spawn", (["touch", "canary"],)), ("shutil", "copyfile", ("/etc/passwd", "canary")),
    ("logging", "FileHandler", ("canary",)), ("sqlite3", "connect", ("canary",)), ("shelve", "open", ("canary",)),
    ("zipfile", "ZipFile", ("canary", "w")), ("tarfile", "open", ("canary", "w")), ("os", "mknod", ("canary",)),
    ("numpy", "save", ("canary", 0)), ("numpy", "savetxt", ("canary", [0])), ("bz2", "open", ("canary", "w")),
    ("numpy", "memmap", ("canary", "u1", "w+", 0, 1)), ("runpy", "run_path", ("x.py",)),
    ("numpy.testing._private.utils", "runstring", (TOUCH, {})), ("numpy.lib.format", "open_memmap", ("canary", "w+")),
    ("torch", "save", (0, "canary")), ("torch.hub", "load", (".", "canary")), ("torch", "load", ("weights",)),
    ("ctypes", "CDLL", ("libc.so.6",)), ("importlib", "import_module", ("antigravity",)),
    ("_codecs", "open", ("canary", "w")), ("numpy.core.multiarray", "fromfile", ("canary",)),
    ("operator", "methodcaller", ("touch",)), ("functools", "partial", (print, TOUCH)), ("pickle", "loads", (b"N.",)),
    ("builtins", "getattr", ("", "join")), ("builtins", "__import__", ("os",)),
    ("collections", "namedtuple", ("a", "b")),
    ("torch._utils", "_rebuild_tensor_v2.__globals__", ()), ("collections", "OrderedDict.__init__.__globals__", ()),
    ("torch", "FloatStorage.from_file", ("canary", True, 1)), ("_codecs", "lookup", ("zlib",)),
]  # fmt: skip


def payload(rng) -> bytes:
    """Opcodes that name a function and call it, in one of the ways that pickles have."""
    module, attribute, arguments = CALLS[rng.integers(len(CALLS))]
    arguments, named = pickle.dumps(arguments, 2)[2:-1], by.name(module, attribute)
    stacked = by.text(module) + by.text(attribute) + b"\x93"
    listed = b"(" + b"".join(pickle.dumps(x, 2)[2:-1] for x in pickle.loads(b"\x80\2" + arguments + b"."))
    ways = [named + arguments + b"R"] * 4 + [stacked + arguments + b"R", b"\x80\4" + stacked + arguments + b"R"]
    ways += [listed + f"i{module}\n{attribute}\n".encode(), b"(" + named + listed[1:] + b"o"]
    ways += [named + arguments + b"\x81", named + arguments + b"}\x92", b"\x82\1" + arguments + b"R"]
    ways += [named + b"}" + by.text("__setstate__") + stacked + b"s" + b"b", named + arguments + b"Rb"]
    ways += [arguments + named + b"Q", by.ORDERED + b")R(" + by.text("x") + named + arguments + b"Rub"]
    return ways[rng.integers(len(ways))]


ARRAYS = by.trunk()
SAVED = by.state_dict(by.tensors(ARRAYS))
PLACES = [at for _, _, at in pickletools.genops(SAVED)]


def hostile_pickle(rng, *_) -> bytes:
    """A payload alone, or between two instructions of a good pickle, in any container, at times damaged besides."""
    called = b"".join(payload(rng) + [b"", b"0"][rng.integers(2)] for _ in range(rng.integers(1, 3)))
    if rng.integers(3):
        at = PLACES[rng.integers(1, len(PLACES))]
        saved = SAVED[:at] + called + SAVED[at:]
    else:
        saved = b"\x80\2" + called + b"."
    if not rng.integers(4):
        saved = any_bytes(rng, saved, SAVED)
    contained = [by.legacy, by.zipped, lambda saved, _: saved][rng.integers(3)](saved, by.contents(ARRAYS))
    return contained


def damaged_pickle(rng, zip_format: bool) -> bytes:
    """Its instructions damaged, in a container with right checksums."""
    return (by.zipped if zip_format else by.legacy)(any_bytes(rng, SAVED, SAVED), by.contents(ARRAYS))


# --- pictures ---


def image(rng, mode="RGB", size=(24, 20)) -> Image.Image:
    return Image.fromarray(rng.integers(0, 256, (*size[::-1], 3)).astype(np.uint8)).convert(mode)


def saved(picture: Image.Image, kind: str, **options) -> bytes:
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        picture.save(stream, format=kind, **options)
    return stream.getvalue()


EPS = (
    b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 24 20\n%%EndComments\n(canary) (w) file closefile\nshowpage\n%%EOF\n"
)
MORE = [  # formats that Pillow reads but does not write: as much of them as lets it recognise them
    EPS, b"\xc5\xd0\xd3\xc6" + struct.pack("<6I", 32, len(EPS), 0, 0, 0, 0) + bytes(4) + EPS, b"%PDF-1.4\n1 0 obj\n",
    b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, 20, 24, 8, 3) + bytes(4000),
    b"SIMPLE  =                    T".ljust(80) * 36, b'/* XPM */\nstatic char *x[] = {\n"1 1 1 1",\n',
    b"\x59\xa6\x6a\x95" + struct.pack(">7I", 24, 20, 24, 1440, 1, 0, 0) + bytes(1440), b"GRIB\0\0\0\1" + bytes(90),
    b"\xd7\xcd\xc6\x9a" + bytes(60), b"BUFR" + bytes(90), b"\x89HDF\r\n\x1a\n" + bytes(90), b"FTEX" + bytes(60),
    b"P7 332\n#END_OF_COMMENTS\n24 20 255\n" + bytes(480), b"\0\0\1\xb3\1\x80\x14" + bytes(20),
]  # fmt: skip


def forbidden(rng, *_) -> bytes:
    """A picture of a format that is not allowed, whole or damaged behind its head."""
    Image.init()
    allowed = {"PNG", "JPEG", "MPO", "TIFF", "WEBP", "BMP", "DIB", "GIF", "PPM", "PDF"}
    data = MORE[rng.integers(len(MORE))]
    if rng.integers(2):
        kinds = sorted(Image.SAVE.keys() - allowed)
        for mode in ("RGB", "L", "1", "P"):
            try:
                data = saved(image(rng, mode), kinds[rng.integers(len(kinds))])
                break
            except Exception:  # that format has no such pictures
                continue
    return data[:40] + any_bytes(rng, data[40:], data) if rng.integers(3) == 0 and len(data) > 41 else data


def picture_bomb(rng, *_) -> bytes:
    """A small file of a large picture, or with text or a profile that unpacks to a lot."""
    side, zeros = int(rng.integers(2000, 9400)), zlib.compress(bytes(1 << 26))
    if rng.integers(4) == 0:
        return saved(Image.new("L", (side, side)), ["PNG", "GIF", "WEBP"][rng.integers(3)])
    head = struct.pack(">IIBBBBB", 24, 20, 8, 2, 0, 0, 0)
    extra = [(b"zTXt", b"Comment\0\0" + zeros), (b"iCCP", b"profile\0\0" + zeros), (b"iTXt", b"a\0\1\0\0\0" + zeros)]
    pixels = zlib.compress(bytes(1 << 26 if rng.integers(2) else 20 * 73))
    return png_of(
        [(b"IHDR", head), *[extra[rng.integers(3)]] * int(rng.integers(0, 4)), (b"IDAT", pixels), (b"IEND", b"")]
    )


# --- bombs of other formats ---


def matlab_bomb(rng, *_) -> bytes:
    """A .mat whose variable unpacks to a lot: zeros, cells in cells, or a great many of them."""
    deep = by.matrix(7, (1, 1), by.element(7, bytes(4)))
    for _ in range(rng.integers(1, 3000)):
        deep = struct.pack("<II", 14, len(deep) + 48) + by.matrix(1, (1, 1), b"")[8:] + deep
    contents = [
        bytes(1 << 27),
        deep,
        by.element(14, bytes(8)) * 200_000,
        by.matrix(1, (1, 1 << 20), by.element(14, b"") * (1 << 20)),
    ]
    return by.matlab(by.element(15, zlib.compress(contents[rng.integers(4)])) * int(rng.integers(1, 4)))


NAMES = [
    "train/red/x.png",
    ".",
    "",
    "/",
    "..",
    "../x.png",
    "train/red/../../x.png",
    "/etc/passwd",
    "train/\x1b[31m/x.png",
]
NAMES += [
    "train/a\nb/x.png",
    "val/val_annotations.txt",
    "val/images/x.png",
    "C:\\x.png",
    "train//x.png",
    "train/red/" + "x" * 300,
]
NAMES += ["train/<script>/x.png", "\\", "train/red/x.png/", "train", "val/red/\0.png", "train/./x.png"]


def add(archive: zipfile.ZipFile, name: str, content: bytes, method: int) -> None:
    """Add a member of any name, also of none."""
    entry = zipfile.ZipInfo("x")
    entry.filename, entry.compress_type = name, method
    archive.writestr(entry, content)


def odd_zip(rng, data: bytes, other: bytes) -> bytes:
    """A zip of pictures: members renamed, added, blown up or damaged, methods that are not usual; right checksums."""
    stream = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(stream, "w") as new:
        warnings.simplefilter("ignore")  # of double names
        for name in old.namelist():
            content, method = old.read(name), int(rng.choice([0, 8, 8, 8, 12, 14]))
            if rng.integers(8) == 0:
                content = [any_bytes(rng, content or b"\0", data), picture_bomb(rng), forbidden(rng), b""][
                    rng.integers(4)
                ]
            if rng.integers(20) == 0:
                name = NAMES[rng.integers(len(NAMES))]
            add(new, name, content, method)
        for _ in range(rng.integers(0, 3)):
            name, huge = NAMES[rng.integers(len(NAMES))], rng.integers(3) == 0
            add(new, name, bytes(1 << 27) if huge else picture_bomb(rng) if rng.integers(2) else b"x\ty\n" * 99, 8)
    return stream.getvalue() if rng.integers(3) else any_bytes(rng, stream.getvalue(), other)


# --- text ---

PARTS = [
    "road",
    "1",
    "255",
    "256",
    " ",
    "\t",
    ",",
    ":",
    "#",
    "#ff0000",
    "-",
    "*",
    "//",
    "[",
    "=",
    "|",
    '"',
    "'",
    ".",
    "0.",
    "é",
]
PARTS += [
    "\x1b[31m",
    "\u2028",
    "\x85",
    "\0",
    "__ignore__",
    "void",
    "1 2 3",
    ", ",
    "<b>",
    "../",
    "128 64 128",
    "\u202e",
    "a:",
]


def odd_text(rng, data: bytes, other: bytes) -> bytes:
    """A list in which lines are damaged, or replaced by long ones that repeat few parts."""
    if rng.integers(3) == 0:
        return any_bytes(rng, data, other)
    lines = data.decode().split("\n")
    for _ in range(rng.integers(1, 4)):
        parts = [PARTS[i] for i in rng.integers(0, len(PARTS), rng.integers(1, 5))]
        line = "".join(parts) * int(10 ** rng.uniform(0, 4.5)) + [*parts, "", "!"][rng.integers(len(parts) + 2)]
        at = int(rng.integers(len(lines)))
        lines[at : at + int(rng.integers(2))] = [line]
    return "\n".join(lines).encode()
