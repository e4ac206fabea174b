"""Damage to whole files. Each function takes a generator and bytes, and returns other bytes; draws decide all."""

import json
import struct
import zlib
from copy import deepcopy

EXTREMES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1, 2**62, 2**63 - 1, 2**64 - 1)
ESCAPES = (b"\x1b[31m", b"\x1b]0;title\x07", b"\n", b"\r", b"\0", b"\x08", b"\xe2\x80\xae", b"<script>", b"%s", b"../")
DEEP = "DEEP"  # stands in a document for lists in lists, which json.dumps would not write
ODD = [None, True, False, 0, 1, -1, 2**31, 2**63, 10**30, 0.5, -0.0, 1e300, float("nan"), float("inf"), "", "x", "255"]
ODD += [
    "x" * 100_000,
    "\x1b[31mred\n",
    "../../x",
    "\ud800",
    [],
    {},
    [[]],
    [None],
    {"": None},
    [1, 2, 3],
    list(range(300)),
]
ODD += [DEEP, {"a": DEEP}]


def position(rng, size: int) -> int:
    """A place in so many bytes; half of the time near an end, where the structure is."""
    size = max(size, 1)
    near = min(size, 2000)
    places = rng.integers(near), size - 1 - rng.integers(near), rng.integers(size), rng.integers(size)
    return int(places[rng.integers(4)])


def flip(rng, data: bytes, _) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.integers(1, 5)):
        at = position(rng, len(changed))
        changed[at] = [changed[at] ^ 1 << rng.integers(8), 0, 255, rng.integers(256)][rng.integers(4)]
    return bytes(changed)


def truncate(rng, data: bytes, _) -> bytes:
    return data[: position(rng, len(data))]


def extreme(rng, data: bytes, _) -> bytes:
    """A number in the file, such as a length, becomes a very small or large one."""
    size, order, at = int(rng.choice([1, 2, 4, 8])), str(rng.choice(["little", "big"])), position(rng, len(data))
    value = EXTREMES[rng.integers(len(EXTREMES))] & (1 << 8 * size) - 1
    return data[:at] + value.to_bytes(size, order) + data[at + size :]


def move(rng, data: bytes, _) -> bytes:
    """A piece is taken out, doubled, or put elsewhere."""
    start, target = position(rng, len(data)), position(rng, len(data))
    piece = data[start : start + int(rng.integers(1, 200))]
    rest = [data[:start] + data[start + len(piece) :], data][rng.integers(2)]
    return rest[:target] + piece * int(rng.integers(0, 4)) + rest[target:]


def splice(rng, data: bytes, other: bytes) -> bytes:
    """The beginning of one file and the end of another."""
    return data[: position(rng, len(data))] + other[position(rng, len(other)) :]


def escape(rng, data: bytes, _) -> bytes:
    """Bytes that terminals, pages and paths take for more than letters."""
    at = position(rng, len(data))
    return data[:at] + ESCAPES[rng.integers(len(ESCAPES))] + data[at + int(rng.integers(0, 3)) :]


SIMPLE = (flip, truncate, extreme, move, splice, escape)


def any_bytes(rng, data: bytes, other: bytes) -> bytes:
    """One to three of the above."""
    for _ in range(rng.integers(1, 4)):
        data = SIMPLE[rng.integers(len(SIMPLE))](rng, data, other) or b"\0"
    return data


# --- inside what zlib packed: right checksums over wrong content ---


def png_chunks(data: bytes):
    """Yield kind and content of each chunk of a PNG."""
    at = 8
    while at + 12 <= len(data):
        (size,) = struct.unpack(">I", data[at : at + 4])
        yield data[at + 4 : at + 8], data[at + 8 : at + 8 + size]
        at += 12 + size


def png_of(chunks) -> bytes:
    whole = (
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(whole)


def inside_png(rng, data: bytes, other: bytes) -> bytes:
    """The chunks of a PNG: one of them damaged, doubled, or left out; packed pixels unpacked first. Right CRCs."""
    chunks = list(png_chunks(data))
    if data[:4] != b"\x89PNG" or not chunks:
        return any_bytes(rng, data, other)
    i = int(rng.integers(len(chunks)))
    kind, body = chunks[i]
    if kind == b"IDAT" and rng.integers(2):
        body = zlib.compress(any_bytes(rng, zlib.decompressobj().decompress(body, 1 << 24), other))
    elif kind == b"IHDR" and rng.integers(2):  # sizes that do not end the work before it begins
        body = struct.pack(">II", *rng.integers(1, 9000, 2)) + body[8:]
    else:
        body = SIMPLE[rng.integers(3)](rng, body or b"\0", b"\0")
    chunks[i : i + 1] = [[(kind, body)], [(kind, body)] * 2, []][min(2, rng.integers(8) // 6 * rng.integers(1, 3))]
    return png_of(chunks)


def inside_matlab(rng, data: bytes, other: bytes) -> bytes:
    """A compressed variable of a MATLAB file, unpacked, damaged and packed again."""
    if data[128:130] != b"\x0f\0":
        return any_bytes(rng, data, other)
    (size,) = struct.unpack("<I", data[132:136])
    content = zlib.decompressobj().decompress(data[136 : 136 + size], 1 << 24)
    packed = zlib.compress(any_bytes(rng, content, content))
    return data[:128] + struct.pack("<II", 15, len(packed)) + packed + data[136 + size :]


# --- JSON ---


def places(document, path=()):
    """Yield the path to every value in a document."""
    yield path
    pairs = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    for key, value in pairs:
        yield from places(value, (*path, key))


def odd_document(rng, document, depth: int = 20_000) -> str:
    """JSON in which one to three values are odd, missing or elsewhere."""
    document = json.loads(json.dumps(document))
    for _ in range(rng.integers(1, 4)):
        paths = list(places(document))
        *path, key = paths[rng.integers(1, len(paths))] if len(paths) > 1 else [None]
        value = deepcopy(ODD[rng.integers(len(ODD))])
        if key is None:
            document = value
            continue
        at = document
        for step in path:
            at = at[step]
        choice = rng.integers(8)
        if choice == 0:
            del at[key]
        elif choice == 1:
            at[key] = [at[key]]
        elif choice == 2 and isinstance(at, dict):
            at[f"{key}\x1b[31m\n"] = at.pop(key)
        elif choice == 3 and isinstance(at[key], int | float):
            at[key] = -at[key] if rng.integers(2) else at[key] * 10 ** int(rng.integers(1, 12))
        else:
            at[key] = value
    return json.dumps(document).replace(f'"{DEEP}"', "[" * depth + "]" * depth)


def any_json(rng, data: bytes, other: bytes) -> bytes:
    """A file of JSON: odd values, or damaged bytes."""
    if rng.integers(4):
        return odd_document(rng, json.loads(data)).encode("utf-8", "surrogatepass")
    return any_bytes(rng, data, other)
