"""Bugs to plant in kernels/*.cu: slips of the kinds that people make, and how each must come to light.

Not here, because the kernel would be as right as before, or because nothing without a GPU can tell:
- argmax: a lane without a class that starts as winner 0. It only wins where all scores are -inf, and there 0 is right.
- argmax: the mask of a whole warp in a warp that has fewer lanes. Lanes that do not exist count as exited.
- col2im with oy0 below 0: ofirst, which is not below 0, bounds it as well.
- im2col with `inside` below 0: e counts from 0.
- im2col without its wide loads where they are possible: slower, the same result.
- im2col, col2im: `blockIdx.x * blockDim.y` in 32 bits without a sign. 2^32 doubles are more than the emulator holds.
- max_pool's backward with oy0 one too low: the same result, one row of windows more is read. test_traffic sees that.
- upsample_backward: `t * inner` in 32 bits. Only a sum of more than 2^31 numbers would overflow.
"""

from dataclasses import dataclass

# How a bug is noticed: the beginning of a message, after kernel, block and thread.
WRONG, NOT_WRITTEN = "wrong result: ", "not written: "
OUT_READ, OUT_WRITE = "out-of-bounds read", "out-of-bounds write"
CONST = "write of 4 bytes to argument 0 (const float*), which is const"
UNWRITTEN = "read of uninitialised memory"
UNWRITTEN_SHARED = "atomic access of uninitialised shared memory"
RACE_WRITES, READ_RACE = "race: write after a write", "race: read after a write"
ATOMIC_RACE, READ_ATOMIC = "race: atomic access after a write", "race: read after an atomic access"
OVERFLOW = "undefined behaviour: signed overflow of *"
SHARED_INDEX = "undefined behaviour: index outside the array's bounds"
MISALIGNED = "undefined behaviour: misaligned access"
LACKS_LANE = "__shfl_down_sync: mask 00000000 lacks the calling lane 0"
DIVERGENT = "__shfl_down_sync, mask ffffffff, width 32: lane 0 of the mask executes __shfl_down_sync"
RETURNED = "__syncthreads() after "


@dataclass(frozen=True)
class Mutant:
    """In the file, `old` becomes `new`; it must stand there once, or `at` says which one is meant."""

    file: str
    what: str
    old: str
    new: str
    caught: str
    at: int | None = None

    def __str__(self):
        return f"{self.file}: {self.what}"

    def plant(self, source: str) -> str:
        parts = source.split(self.old)
        first = (self.at or 0) + 1
        assert len(parts) > first, f"{self}: the source has no {self.old!r}, or not so many"
        assert self.at is not None or len(parts) == 2, f"{self}: {self.old!r} occurs {len(parts) - 1} times"
        return self.old.join(parts[:first]) + self.new + self.old.join(parts[first:])


def of(file, *rows):
    return [Mutant(file, *row) for row in rows]


WARP_P = "long long p = (long long)blockIdx.x * warps + warp;"
ROW_P = "long long p = (long long)blockIdx.x * blockDim.y + threadIdx.y;"
INT_ROW_P = "int p = blockIdx.x * blockDim.y + threadIdx.y;"
QUAD_I = "long long i = 4 * ((long long)blockIdx.x * blockDim.x + threadIdx.x);"
INT_QUAD_I = "int i = 4 * (blockIdx.x * blockDim.x + threadIdx.x);"
GUARD = "if (p >= pixels) return;"
CHANNELS = "    for (int c = threadIdx.x; c < C; c += blockDim.x) {\n"
INSIDE = "in_picture && e >= inside && e < outside"
PLACED = f"cols[to + e] = {INSIDE} ? x[from + e] : T();"
COUNT, WIDE_COUNT = "counts[label * L + prediction]", "counts[(long long)label * L + prediction]"

ARGMAX = of(
    "argmax.cu",
    ("last class missing", "l < L; l", "l < L - 1; l", WRONG),
    ("last of ties", "return i < j;", "return i > j;", WRONG),
    ("NaN lost", "if (a_nan != b_nan) return a_nan;", "", WRONG),
    ("starts at 0", "real best = -__int_as_float(0x7f800000);", "real best = 0;", WRONG),
    ("lanes beyond the warp's width", "if (lane + step < width && ", "if (", WRONG),
    ("mask one lane short", "0xffffffffu >> (32 - width)", "0x7fffffffu >> (32 - width)", LACKS_LANE),
    (
        "some lanes skip a shuffle",
        "__shfl_down_sync(mask, best",
        "lane >= step ? best : __shfl_down_sync(mask, best",
        DIVERGENT,
    ),
    ("half of the lanes dropped", "int step = 16", "int step = 8", WRONG),
    ("no guard", "if (p >= P) return;", "", OUT_READ),
    ("pixel in 32 bits", WARP_P, "int p = blockIdx.x * warps + warp;", OUT_READ),
    ("every lane writes", "if (lane == 0) classes", "classes", RACE_WRITES),
)
BIAS_RELU = of(
    "bias_relu.cu",
    ("no guard", GUARD, "", OUT_READ),
    ("channels by 32, not by the block", "c += blockDim.x", "c += 32", WRONG),
    ("one channel too many", "c < C;", "c <= C;", OUT_READ),
    ("bias of the wrong channel", "b[c]", "b[C - 1 - c]", WRONG),
    ("always ReLU", "relu ? positive(v) : v", "positive(v)", WRONG),
    ("NaN lost", "v < 0 ? (real)0 : v", "v > 0 ? v : (real)0", WRONG),
    ("pixel in 32 bits", ROW_P, INT_ROW_P, OVERFLOW),
    ("forward: alignment not checked", "if (aligned && i + 4 <= n)", "if (i + 4 <= n)", MISALIGNED, 0),
    ("forward: y's alignment not checked", " | (unsigned long long)y)", ")", MISALIGNED, 0),
    ("forward: no tail", "y[k] = positive(x[k])", "if (!aligned) y[k] = positive(x[k])", NOT_WRITTEN),
    ("forward: tail too long", "k < i + 4 && k < n", "k < i + 4", OUT_READ, 0),
    ("forward: wide load over the end", "i + 4 <= n", "i < n", OUT_READ, 0),
    ("forward: writes its input", " y[k] = positive(x[k])", " ((real*)x)[k] = positive(x[k])", CONST),
    ("forward: index in 32 bits", QUAD_I, INT_QUAD_I, OUT_READ, 0),
    ("backward: y = 0 lets dy through, wide", "q.v[k] > 0", "q.v[k] >= 0", WRONG),
    ("backward: y = 0 lets dy through, tail", "y[k] > 0", "y[k] >= 0", WRONG),
    ("backward: dy's alignment not checked", "(unsigned long long)dy | ", "", MISALIGNED),
    ("backward: wide store one quad off", "*(quad*)(dy + i) = d", "*(quad*)(dy + i + 4) = d", OUT_WRITE),
    ("backward: index in 32 bits", QUAD_I, INT_QUAD_I, OUT_READ, 1),
)
COL2IM = of(
    "col2im.cu",
    ("no guard", GUARD, "", OUT_READ),
    ("first row of patches too early", "(iy - KH) / sy + 1", "(iy - KH) / sy", WRONG),
    ("first column of patches too early", "(ix - KW) / sx + 1", "(ix - KW) / sx", WRONG),
    ("rows: iy = KH in patch 0", "iy < KH", "iy <= KH", WRONG),
    ("columns: ix = KW in patch 0", "ix < KW", "ix <= KW", WRONG),
    ("rows: negative numbers divided", "iy < KH ? 0 : (iy", "(iy", WRONG),
    ("columns: negative numbers divided", "ix < KW ? 0 : (ix", "(ix", WRONG),
    ("last row of patches missing", "oy <= oy1", "oy < oy1", WRONG),
    ("last column of patches missing", "ox <= ox1", "ox < ox1", WRONG),
    ("one row of patches too many", "oy1 = iy / sy", "oy1 = iy / sy + 1", WRONG),
    ("one column of patches too many", "ix / sx)", "ix / sx + 1)", WRONG),
    ("right of the output", "min(OW - 1, ix / sx)", "ix / sx", OUT_READ),
    ("one column over the output", "min(OW - 1, ", "min(OW, ", OUT_READ),
    ("above the strip", "    oy0 = max(oy0, ofirst);\n", "", OUT_READ),
    ("below the strip", "    oy1 = min(oy1, ofirst + orows - 1);\n", "", OUT_READ),
    ("one row over the strip", "min(oy1, ofirst + orows - 1)", "min(oy1, ofirst + orows)", OUT_READ),
    ("strip ends as if it began at 0", "min(oy1, ofirst + orows - 1)", "min(oy1, orows - 1)", WRONG),
    ("strip begins at 0", "oy - ofirst) * OW", "oy) * OW", OUT_READ),
    ("sy for sx, first patch", "(ix - KW) / sx", "(ix - KW) / sy", WRONG),
    ("sy for sx, last patch", "ix / sx)", "ix / sy)", WRONG),
    ("sx for sy, last patch", "iy / sy;", "iy / sx;", WRONG),
    ("sx for sy, tap", "oy * sy", "oy * sx", WRONG),
    ("KH for KW", "(ix - KW) / sx", "(ix - KH) / sx", WRONG),
    ("sign of px", "(int)(p % W) + px", "(int)(p % W) - px", WRONG),
    ("sign of py", "first + py", "first - py", WRONG),
    ("first forgotten", " + first + py", " + py", WRONG),
    ("adds to what is there", "dx[p * C + c] = sum", "dx[p * C + c] += sum", UNWRITTEN),
    ("one sum for all channels", f"{CHANNELS}        real sum = 0;", f"    real sum = 0;\n{CHANNELS}", WRONG),
    ("last patch only", "sum += dcols", "sum = dcols", WRONG),
    ("pixels in no patch not written", "        dx[p", "        if (oy0 <= oy1 && ox0 <= ox1) dx[p", NOT_WRITTEN),
    ("kx, ky exchanged", "* KH + ky) * KW + kx)", "* KW + kx) * KH + ky)", WRONG),
    ("pictures of the output's height", "p / W / rows", "p / W / orows", OUT_READ),
    ("channels by 32, not by the block", "c += blockDim.x", "c += 32", NOT_WRITTEN),
    ("one channel too many", "c < C;", "c <= C;", RACE_WRITES),
    ("pixel in 32 bits", ROW_P, INT_ROW_P, OVERFLOW),
    ("row of dcols in 32 bits", "((((n * orows", "(((((int)n * orows", OVERFLOW),
)
CONFUSION = of(
    "confusion.cu",
    ("no barrier after zeroing", "= 0;\n    __syncthreads();", "= 0;", ATOMIC_RACE),
    ("no barrier before adding up", "__syncthreads();\n    if (shared)", "if (shared)", READ_ATOMIC),
    ("shared counts not zeroed", "block_counts[i] = 0;", ";", UNWRITTEN_SHARED),
    ("zeroes one count a thread", "i < CELLS; i += blockDim.x", "i < CELLS; i += CELLS", UNWRITTEN_SHARED),
    ("shared update not atomic", f"atomicAdd(&block_{COUNT}, 1u)", f"block_{COUNT}++", READ_RACE),
    ("global update not atomic", f"atomicAdd(&{WIDE_COUNT}, 1ull)", f"{WIDE_COUNT}++", READ_RACE),
    ("rows and columns exchanged", f"block_{COUNT}", "block_counts[prediction * L + label]", WRONG),
    ("shared for too many classes", "L * L <= CELLS", "L <= CELLS", SHARED_INDEX),
    ("void counted", "if (label == ignore_label) continue;", "", WRONG),
    ("negative labels", "label < 0 || ", "", SHARED_INDEX),
    ("prediction L is no class", "prediction >= L", "prediction > L", WRONG),
    ("label L is no class", "label >= L ||", "label > L ||", WRONG),
    ("all blocks take all pixels", "p += threads", "p += blockDim.x", WRONG),
    ("return before a barrier", "long long threads =", "if (threadIdx.x >= P) return; long long threads =", RETURNED),
    ("last cell not added", "i < L * L; i", "i < L * L - 1; i", WRONG),
    ("pixel in 32 bits", "long long p = (long long)", "int p = ", UNWRITTEN),
)
CROSS_ENTROPY = of(
    "cross_entropy.cu",
    ("no barrier", "    __syncthreads();\n", "", READ_RACE),
    ("gradient not weighted", "ds[l] = w * (", "ds[l] = (", WRONG),
    ("loss not weighted", "loss += (double)w * (", "loss += (", WRONG),
    ("pixels counted, not weights", "weight += w;", "weight += 1;", WRONG),
    ("void pixel without gradient", "for (int l = lane; l < L; l += width) ds[l] = 0;", "", NOT_WRITTEN),
    ("void pixel counted", "            continue;", "            weight += 1;\n            continue;", WRONG),
    ("maximum starts at 0", "largest = -__int_as_float(0x7f800000)", "largest = 0", WRONG),
    ("maximum not subtracted", "total += exp(s[l] - largest)", "total += exp(s[l])", WRONG),
    ("maximum not broadcast", "return __shfl_sync(mask, v, 0);", "return v;", WRONG, 0),
    ("sum not broadcast", "return __shfl_sync(mask, v, 0);", "return v;", WRONG, 1),
    ("maximum over lanes beyond the width", "if ((int)threadIdx.x % 32 + step < lanes) v = v", "v = v", WRONG),
    ("sum over lanes beyond the width", "if ((int)threadIdx.x % 32 + step < lanes) v += other;", "v += other;", WRONG),
    ("mask one lane short", "0xffffffffu >> (32 - lanes)", "0x7fffffffu >> (32 - lanes)", LACKS_LANE),
    ("blocks write to each other's sums", "sums[2 * blockIdx.x] = loss", "sums[blockIdx.x] = loss", RACE_WRITES),
    ("last warp's sums dropped", "lane < warps ? warp_loss", "lane < warps - 1 ? warp_loss", WRONG),
    ("first warp's sums for all", "warp_weight[lane]", "warp_weight[0]", WRONG),
    ("all blocks take all pixels", "p += (long long)gridDim.x * warps", "p += warps", RACE_WRITES),
    ("one pixel too many", "p < P;", "p <= P;", OUT_READ),
    ("return before the barrier", "double loss = 0,", "if (warp >= P) return; double loss = 0,", RETURNED),
    ("sign of the label", "/ total - (l == label)", "/ total + (l == label)", WRONG),
    ("last class not in the sum", "l < L; l += width) total", "l < L - 1; l += width) total", WRONG),
    ("every lane leaves the warp's sums", "if (lane == 0) {\n        warp", "{\n        warp", RACE_WRITES),
    ("row of scores in 32 bits", "s = scores + p * L", "s = scores + (int)p * L", OUT_READ),
)
IM2COL = of(
    "im2col.cu",
    ("no guard", "if (row >= pixels) return;", "", OUT_WRITE),
    ("sx for sy", "% OH) * sy", "% OH) * sx", WRONG),
    ("sy for sx", "(int)(p % OW) * sx", "(int)(p % OW) * sy", WRONG),
    ("sign of py", "sy - py", "sy + py", WRONG),
    ("sign of px", "sx - px", "sx + px", WRONG),
    ("ky0 forgotten", " - py + ky0", " - py", WRONG),
    ("first forgotten", "first + row", "row", WRONG),
    ("OH and OW exchanged", "p / OW % OH", "p / OH % OW", WRONG),
    ("pictures of the input's height", "p / OW / OH", "p / OW / H", OUT_READ),
    ("H and W exchanged", "(n * H + iy) * W + left", "(n * W + iy) * H + left", WRONG),
    ("above the picture", "iy >= 0 && ", "", OUT_READ),
    ("first row of the picture missing", "iy >= 0", "iy > 0", WRONG),
    ("below the picture", " && iy < H", "", OUT_READ),
    ("one row too many", "iy < H", "iy <= H", OUT_READ),
    ("left of the picture", "e >= inside && ", "", OUT_READ),
    ("first column missing", "e >= inside", "e > inside", WRONG),
    ("one column too many on the left", "max(0, -left)", "max(0, -left - 1)", OUT_READ),
    ("right of the picture", " && e < outside", "", OUT_READ),
    ("one column too many on the right", "W - left)", "W - left + 1)", OUT_READ),
    ("last column missing", "W - left)", "W - left - 1)", WRONG),
    ("left edge in pixels", "max(0, -left) * C", "max(0, -left)", OUT_READ),
    ("right edge in pixels", "min(KW, W - left) * C", "min(KW, W - left)", WRONG),
    ("KH for KW", "int width = KW * C", "int width = KH * C", OUT_WRITE),
    ("rows of cols of KW taps", "(row * KH + ky)", "(row * KW + ky)", RACE_WRITES),
    ("last row of the patch missing", "ky < KH;", "ky < KH - 1;", NOT_WRITTEN),
    ("last number of the row missing", "e < width;", "e < width - 1;", NOT_WRITTEN),
    ("elements by 32, not by the block", "e += blockDim.x", "e += 32", NOT_WRITTEN),
    ("padding not written", "            cols[to + e] =", "            if (in_picture) cols[to + e] =", NOT_WRITTEN),
    # The emulator does not see a local variable that nobody wrote, but what happens to be in it is a number of x.
    ("zero not set", PLACED, f"{{ T v; if ({INSIDE}) v = x[from + e]; cols[to + e] = v; }}", WRONG),
    ("wide for any number of channels", "C % 4 == 0 && aligned", "aligned", NOT_WRITTEN),
    ("wide for an even number of channels", "C % 4 == 0", "C % 2 == 0", NOT_WRITTEN),
    ("alignment not checked", "C % 4 == 0 && aligned", "C % 4 == 0", MISALIGNED),
    ("alignment of cols not checked", " | (unsigned long long)cols", "", MISALIGNED),
    ("alignment of x not checked", "(unsigned long long)x | ", "", MISALIGNED),
    ("channels counted one by one, wide", "W, C / 4, OH", "W, C, OH", OUT_READ),
    ("row in 32 bits", "long long row = (long long)", "int row = ", OVERFLOW),
    ("output pixel in 32 bits", "long long p =", "int p =", WRONG),
    ("row of cols in 32 bits", "to = (row * KH", "to = ((int)row * KH", OVERFLOW),
    ("place in cols in 32 bits", "cols[to + e]", "cols[(int)to + e]", OUT_WRITE),
    ("row of x in 32 bits", "from = ((n * H", "from = (((int)n * H", OVERFLOW),
    ("place in x in 32 bits", "x[from + e]", "x[(int)from + e]", OUT_READ),
)
MAX_POOL = of(
    "max_pool.cu",
    ("no guard", GUARD, "", OUT_READ, 0),
    ("NaN lost", "best == best && !(v <= best)", "v > best", WRONG),
    ("last of ties", "!(v <= best)", "!(v < best)", WRONG),
    ("pads with 0", "won < 0 || ", "", WRONG),
    ("taps counted from the picture's edge", "won = ky * KW + kx", "won = (ky - ky0) * KW + kx", WRONG),
    ("below the picture", "min(KH, H - top)", "KH", OUT_READ),
    ("left of the picture", "max(0, -left)", "0", OUT_READ),
    ("taps counted by columns", "won = ky * KW + kx", "won = kx * KH + ky", WRONG),
    ("H and W exchanged", "((n * H + top + ky) * W", "((n * W + top + ky) * H", OUT_READ),
    ("px for py", "% OH) * sy - py", "% OH) * sy - px", WRONG),
    ("winner in 7 bits", "(unsigned char)won", "(unsigned char)(won & 127)", WRONG),
    ("pixel of y in 32 bits", ROW_P, INT_ROW_P, OVERFLOW, 0),
    ("element of x in 32 bits", "real v = x[((n * H", "real v = x[(((int)n * H", OVERFLOW),
    ("backward: no guard", GUARD, "", OUT_READ, 1),
    ("backward: first column too far left", "(ix - KW) / sx + 1", "(ix - KW) / sx", WRONG),
    ("backward: right of the output", "min(OW - 1, ix / sx)", "ix / sx", OUT_READ),
    ("backward: last row of windows missing", "oy <= oy1", "oy < oy1", WRONG),
    ("backward: last window only", "sum += dy[o]", "sum = dy[o]", WRONG),
    ("backward: sx for sy", "(iy - oy * sy) * KW", "(iy - oy * sx) * KW", WRONG),
    ("backward: element in 32 bits", "long long o =", "int o =", OUT_READ),
)
SGD = of(
    "sgd.cu",
    ("decay outside the momentum", "v += weight_decay * w;", "w -= lr * weight_decay * w;", WRONG),
    ("no decay of infinity", "if (weight_decay != 0) v", "v", WRONG),
    ("momentum on the gradient too", "= momentum * v + dw;", "= momentum * (v + dw);", WRONG),
    ("alignment not checked", "if (aligned && i + 4 <= n)", "if (i + 4 <= n)", MISALIGNED),
    ("v's alignment not checked", " | (unsigned long long)v)", ")", MISALIGNED),
    ("wide load over the end", "i + 4 <= n)", "i < n)", OUT_READ),
    ("wide v not stored", "        *(quad*)(v + i) = qv;\n", "", WRONG),
    ("tail too long", "k < i + 4 && k < n", "k < i + 4", OUT_READ),
    ("tail one short", "k < i + 4 && k < n", "k < i + 4 && k < n - 1", WRONG),
    ("index in 32 bits", QUAD_I, INT_QUAD_I, OUT_READ),
)
UPSAMPLE = of(
    "upsample.cu",
    ("half a pixel off", "(stride - (real)0.5)", "stride", WRONG),
    ("above the first row", "if (i > 0) sum", "sum", OUT_READ),
    ("below the last row", "if (i < size) sum", "sum", OUT_READ),
    ("weights exchanged", "weight(t + stride, stride) * here[e - inner]", "weight(t, stride) * here[e - inner]", WRONG),
    ("length without the border", "int length = (size + 1) * stride;", "int length = size * stride;", NOT_WRITTEN, 0),
    ("neighbour in the row", "here[e - inner]", "here[e - 1]", OUT_READ),
    ("pictures of the wrong length", "row / length * size + i", "row / size * size + i", OUT_READ),
    ("no guard", "if (row >= outer * length) return;", "", OUT_READ),
    ("adds to what is there", "y[row * inner + e] = sum", "y[row * inner + e] += sum", UNWRITTEN),
    ("row of y in 32 bits", "long long row = (long long)", "int row = ", OVERFLOW, 0),
    ("backward: last tap missing", "t < 2 * stride;", "t < 2 * stride - 1;", WRONG),
    ("backward: size for stride", "row % size * stride", "row % size * size", OUT_READ),
    ("backward: one row too many", "row >= outer * size", "row > outer * size", OUT_READ),
    ("backward: row of dx in 32 bits", "long long row = (long long)", "int row = ", OVERFLOW, 1),
)
MUTANTS = [*ARGMAX, *BIAS_RELU, *COL2IM, *CONFUSION, *CROSS_ENTROPY, *IM2COL, *MAX_POOL, *SGD, *UPSAMPLE]
