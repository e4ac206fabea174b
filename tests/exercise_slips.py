"""Wrong answers: each is a worked solution with pieces of its text replaced, as a slip of the pen would.

exercise -> words of the sentence that it must get -> the replacements (old, new), the first place each.
"""

KERNEL_LOOP = "for (int c = lane; c < C; c += 32) sum += x[p * C + c] * w[c];"
ALONE = "for (int c = 0; c < C; c++) sum += x[p * C + c] * w[c];"
SHUFFLES = "for (int step = 16; step > 0; step /= 2) sum += __shfl_down_sync(0xffffffffu, sum, step);"
END = "if (lane == 0) y[p] = sum + bias;"
WINNER = "ky, kx = divmod(np.argmax(window), k)"
ADD = "dx[n, top + ky, left + kx, c] += dy[n, oy, ox, c]"
WINDOW = "dx[n, top : top + k, left : left + k, c] += "
SUM = "np.exp(s).sum(axis=1, keepdims=True)"
SHIFT = "    s = s - s.max(axis=1, keepdims=True)\n"
MASK = "labelled = labels != ignore"
LOSS = "loss = -log_p[np.arange(n), label].sum() / n"
P = "(np.exp(scores) / np.exp(scores).sum(3, keepdims=True))"
VOID_LOGS = f"np.append(log_p[np.arange(n), label], np.log({P}[~labelled][:, 0]))"
VOID_PULLS = f"dscores[~labelled] = ({P}[~labelled] - np.eye(scores.shape[3])[0]) / n"
SCATTERED = "dpadded[:, top : top + KH, left : left + KW, :] += dpatch"
CUT = "padding : padding + H, padding : padding + W"
PAD = "((0, 0), (padding, padding), (padding, padding), (0, 0))"
V, W = "v = momentum * v + (g + weight_decay * w)", "return w - lr * v, v"
TENT = "1 - abs(np.arange(2 * s) - (s - 0.5)) / s"
SPREAD = "y[:, iy * s : iy * s + 2 * s, ix * s : ix * s + 2 * s] += pixel * weights"
GATHERED = "(patch * weights).sum(axis=(1, 2))"
CONV = "start + stride * ((k - 1) / 2 - p), stride * s"
TRANSPOSED = "start - stride * ((k - 1) / 2 - p), stride"


def over_axis(axis):
    """Softmax with a sum over another axis of the scores."""
    p = f"np.exp(scores) / np.exp(scores).sum(axis={axis}, keepdims=True)"
    return [(SHIFT, ""), (f"s - np.log({SUM})", f"np.log({p})[labelled]")]


WRONG = {
    "conv_forward": {
        "turned by 180": [("patch, w)", "patch, w[::-1, ::-1])")],
        "(a transposed kernel)": [("nyxc,yxck", "nyxc,xyck")],
        "Channels in and out": [("yxck->nk", "yxkc->nk")],
        "The bias is missing": [(" + b", "")],
        "with every product": [("+ b", "+ KH * KW * C * b")],
        "with every place of the kernel": [("+ b", "+ KH * KW * b")],
        "The stride is forgotten": [("oy * stride, ox * stride", "oy, ox")],
        "repeats the picture's edge": [(PAD + ")", PAD + ', mode="edge")')],
        "above and to the left only": [(PAD, "((0, 0), (2 * padding, 0), (2 * padding, 0), (0, 0))")],
        "below and to the right only": [(PAD, "((0, 0), (0, 2 * padding), (0, 2 * padding), (0, 0))")],
        "cut out: it is one of the padded": [("padded[:, top", "x[:, top")],
        "The padding is forgotten.": [("H + 2 * padding", "H"), ("W + 2 * padding", "W"), (PAD, "((0, 0),) * 4")],
        "The last row and column": [("stride + 1\n", "stride\n"), ("stride + 1\n", "stride\n")],
    },
    "conv_dx": {
        "turned by 180": [(":], w)", ":], w[::-1, ::-1])")],
        "(a transposed kernel)": [("yxck->nyxc", "xyck->nyxc")],
        "Channels in and out": [("yxck->nyxc", "yxkc->nyxc")],
        "the later one replaces": [("+= dpatch", "= dpatch")],
        "you take the mean": [
            (SCATTERED, f"{SCATTERED}\n            seen[:, top : top + KH, left : left + KW, :] += 1"),
            ("    for oy", "    seen = np.zeros_like(dpadded)\n    for oy"),
            ("return dpadded", "return (dpadded / np.maximum(seen, 1))"),
        ],
        "The stride is forgotten": [("oy * stride, ox * stride", "oy, ox")],
        "cut off at the wrong end": [(CUT, ":H, :W")],
        "nothing is left": [(CUT, "padding : -padding, padding : -padding")],
        "The gradient has the wrong sign": [("+= dpatch", "-= dpatch")],
        "The padding is still there": [("[:, padding : padding + H, padding : padding + W, :]", "")],
    },
    "pool_backward": {
        "to all of the equal winners": [(ADD, f"{WINDOW}(window == window.max()) * dy[n, oy, ox, c]")],
        "shared out among": [
            (ADD, f"won = window == window.max()\n                    {WINDOW}won / won.sum() * dy[n, oy, ox, c]")
        ],
        "Of equal winners the last": [(WINNER, "ky, kx = np.argwhere(window == window.max())[-1]")],
        "the first by columns": [(WINNER, "kx, ky = divmod(np.argmax(window.T), k)")],
        "spread evenly": [(ADD, f"{WINDOW}dy[n, oy, ox, c] / (k * k)")],
        "the whole gradient": [(ADD, f"{WINDOW}dy[n, oy, ox, c]")],
        "The smallest number": [("argmax", "argmin")],
        "furthest from zero": [("argmax(window)", "argmax(abs(window))")],
        "the later one replaces": [("] += dy", "] = dy")],
        "All channels have the same": [("argmax(window)", "argmax(x[n, top : top + k, left : left + k].max(axis=2))")],
        "The stride is forgotten": [("oy * stride, ox * stride", "oy, ox")],
        "The gradient has the wrong sign": [("] += dy", "] -= dy")],
        "multiplied by the winner's value": [(ADD, f"{ADD} * window.max()")],
    },
    "softmax_cross_entropy": {
        "and 0 times that is not": [
            (LOSS, "loss = -(np.log(np.exp(log_p)) * np.eye(scores.shape[3])[label]).sum() / n")
        ],
        "The mean is missing, in loss and gradient": [(".sum() / n\n", ".sum()\n"), ("ds / n", "ds")],
        "The mean is missing in the gradient": [("ds / n", "ds")],
        "The mean is missing in the loss": [(".sum() / n\n", ".sum()\n")],
        "the number of all pixels": [(".sum() / n\n", ".sum() / labels.size\n"), ("ds / n", "ds / labels.size")],
        "the gradient by all pixels": [("ds / n", "ds / labels.size")],
        "the number of pictures": [(".sum() / n\n", ".sum() / len(labels)\n"), ("ds / n", "ds / len(labels)")],
        "The mean runs over classes": [(".sum() / n\n", ".sum() / scores.size\n"), ("ds / n", "ds / scores.size")],
        "by pixels times classes. Divide": [("ds / n", "ds / scores.size")],
        "the wrong axis, the columns": over_axis(2),
        "the wrong axis, the rows": over_axis(1),
        "the wrong axis, the pictures": over_axis(0),
        "over all axes at once": over_axis(None),
        "the log of a sum that it is in": [(SHIFT, "")],
        "infinite by infinite": [
            (SHIFT, ""),
            (f"s - np.log({SUM})", f"np.log(np.exp(s) / {SUM})"),
            ("ds = np.exp(log_p)", f"ds = np.exp(s) / {SUM}"),
        ],
        "each exp is 0, and so": [("s.max(axis=1, keepdims=True)", "s.max()")],
        "p is 0 / 0": [
            ("s.max(axis=1, keepdims=True)", "s.max()"),
            (f"s - np.log({SUM})", f"np.log(np.exp(s) / {SUM})"),
        ],
        "p[np.arange(n), label].": [("log_p[np.arange(n), label]", "log_p[:, label]")],
        "label], before the mean": [("log_p[np.arange(n), label].sum() / n", "log_p[:, label].mean()")],
        "label], in loss and gradient": [
            ("log_p[np.arange(n), label]", "log_p[:, label]"),
            ("ds[np.arange(n), label]", "ds[:, label]"),
        ],
        "The gradient has the wrong sign": [("ds / n", "-ds / n")],
        "The 1 at the label is missing": [("    ds[np.arange(n), label] -= 1\n", "")],
        "Void pixels get a gradient": [
            (
                "dscores[labelled]",
                "e = np.exp(scores)\n    dscores = e / e.sum(3, keepdims=True) / n\n    dscores[labelled]",
            )
        ],
        "count as class 0": [(MASK, f"labels = np.where(labels == ignore, 0, labels)\n    {MASK}")],
        "in the sum of the loss": [(LOSS, f"log_all = {VOID_LOGS}\n    loss = -log_all.sum() / n")],
        "have a gradient, that of label 0": [
            ("    return loss, dscores", f"    {VOID_PULLS}\n    return loss, dscores")
        ],
        "out of the divisor alone": [
            (LOSS, f"log_all = {VOID_LOGS}\n    loss = -log_all.sum() / n"),
            ("    return loss, dscores", f"    {VOID_PULLS}\n    return loss, dscores"),
        ],
        "count as the last class": [
            (MASK, f"labels = np.where(labels == ignore, scores.shape[3] - 1, labels)\n    {MASK}")
        ],
        "255 is written": [(MASK, "labelled = labels != 255")],
        "The loss has the wrong sign": [("loss = -", "loss = ")],
        "base 10": [("return loss", "return loss / np.log(10)")],
        "you divide 0 by 0": [("return 0.0, dscores", "return np.float64(0) / 0, dscores")],
        "the whole gradient": [("return 0.0, dscores", "return np.float64(0) / 0, dscores / 0")],
    },
    "bilinear_upsampling": {
        "half a pixel off: it": [("(s - 0.5)", "s")],
        "half a pixel off to the left": [("(s - 0.5)", "(s - 1)")],
        "falls to 0 within": [("(s - 0.5)) / s", "(s - 0.5)) / (s - 0.5)")],
        "The weights add up to 1.": [(TENT, f"({TENT}) / s")],
        "half as wide": [(TENT, "1 - abs(np.arange(s) - (s - 1) / 2) / s")],
        "the later one replaces": [("+= pixel", "= pixel")],
        "The two tents are added": [("np.outer(tent(s), tent(s))", "(np.add.outer(tent(s), tent(s)) / 2)")],
        "The weight is the product of both": [("np.outer(tent(s), tent(s))", "np.outer(np.ones(2 * s), tent(s))")],
        "Each pixel is repeated": [("y = np.zeros", "return np.kron(x, np.ones((1, s, s, 1)))\n    y = np.zeros")],
        "The last s rows": [("    return y", "    return y[:, : H * s, : W * s]")],
        "Rows and columns are exchanged": [("N, H, W, C = x.shape", "x = x.swapaxes(1, 2)\n    N, H, W, C = x.shape")],
        "the mean of its patch": [(GATHERED, "patch.mean(axis=(1, 2))")],
        "the sum of its patch": [(GATHERED, "patch.sum(axis=(1, 2))")],
        "divided by their sum": [(GATHERED, f"{GATHERED} / weights.sum()")],
        "gather with the product": [(GATHERED, "(patch * tent(s)[:, None]).sum(axis=(1, 2))")],
        "at one place of the gradient": [(GATHERED, "dy[:, (iy + 1) * s, (ix + 1) * s]")],
    },
    "crop_offset": {
        "Off by half a pixel: pixels 0 .. k - 1 have": [("(k - 1) / 2", "k / 2")],
        "(k - 1) // 2 rounds down": [("(k - 1) / 2", "(k - 1) // 2")],
        "k // 2 is the middle only": [("(k - 1) / 2", "k // 2")],
        "it moves the first window": [("/ 2 - p)", "/ 2 + p)")],
        "each `stride` picture pixels wide": [("stride * ((k", "((k")],
        "multiply by the old one": [("+ stride * ((k", "+ stride * s * ((k")],
        "The padding is not multiplied": [("stride * ((k - 1) / 2 - p)", "stride * (k - 1) / 2 - p")],
        "The new stride is not s": [(", stride * s", ", s")],
        "The start of the input is forgotten": [("start + stride", "stride")],
        "which are smaller": [("start - stride * (", "start - stride * s * (")],
        "That goes the wrong way": [("start - stride", "start + stride")],
        "The stride grows": [("stride = stride / s", "stride = stride * s")],
        "Off by half a pixel, again": [(TRANSPOSED, TRANSPOSED.replace("(k - 1)", "k"))],
        "cuts rows off": [(TRANSPOSED, TRANSPOSED.replace("- p", "+ p"))],
        "rows count from 0": [("/ a[1]", "/ a[1] + 1")],
        "one further on": [("/ a[1]", "/ a[1] - 1")],
        "The sign is wrong": [("(b[0] - a[0])", "(a[0] - b[0])")],
        "in picture pixels. Rows": [(" / a[1]", "")],
        "The start of b is forgotten": [("(b[0] - a[0])", "-a[0]")],
    },
    "sgd_momentum": {
        "after the rate: v sums lr g": [(V, "v = momentum * v + lr * (g + weight_decay * w)"), ("lr * v, v", "v, v")],
        "v points downhill": [(V, "v = momentum * v - lr * (g + weight_decay * w)"), ("- lr * v, v", "+ v, v")],
        "The step goes uphill": [("w - lr", "w + lr")],
        "w moves by the old v": [(V, "old = v\n    " + V), ("lr * v", "lr * old")],
        "The momentum is forgotten": [("momentum * v + ", "")],
        "Nothing of v fades": [("momentum * v", "v")],
        "multiplies the new gradient, too": [(V, "v = momentum * (v + g + weight_decay * w)")],
        "multiplied by 1 - momentum": [("+ (g", "+ (1 - momentum) * (g")],
        "Nesterov": [("lr * v, v", "lr * (g + weight_decay * w + momentum * v), v")],
        "v comes back as it was": [(V, "old = v\n    " + V), ("v, v", "v, old")],
        "in the wrong order": [("w - lr * v, v", "v, w - lr * v")],
        "The weight decay is missing": [(" + weight_decay * w", "")],
        "with it weights would grow": [("+ weight_decay", "- weight_decay")],
        "AdamW": [(" + weight_decay * w", ""), ("lr * v, v", "lr * v - lr * weight_decay * w, v")],
    },
    "kernel": {
        "Lanes take turns: c += 32": [("c += 32", "c++")],
        "A guard is missing": [("if (p >= P) return;", "")],
        "w has C numbers": [("c < C", "c <= C")],
        "A race": [(f"{SHUFFLES}\n    {END}", "if (lane == 0) y[p] = bias;\n    __syncwarp();\n    y[p] += sum;")],
        "The mask lacks a lane": [("0xffffffffu", "0x7fffffffu")],
        "Some lanes of the mask never come": [(SHUFFLES, f"if (lane < 16) {SHUFFLES}\n    __syncwarp();")],
        "they have returned": [("float sum", "if (lane >= C) return;\n    float sum")],
        "That memory is read before": [
            (
                "float sum = 0",
                "__shared__ float s[128];\n    if (lane) s[threadIdx.x] = 1;\n    float sum = 0 * s[threadIdx.x]",
            )
        ],
        "Work out the index": [("x[p * C + c]", "x[p * C + c - 1]")],
        "y is read before": [("y[p] = sum", "y[p] += sum")],
        "too large for an int": [("long long p = (long long)", "int p = ")],
        "only to be read": [("float sum = 0;", "float sum = 0;\n    ((float*)x)[p * C] = 0;")],
        "The loop has no end": [("step > 0; step /= 2", "step >= 0; step /= 2")],
        "It does not compile:\nkernel.cu:9:": [("threadIdx.x % 32", "threadIdx.x % 32 lanes")],
        "received: no kernel of that name": [("void score", "void scores")],
        "and its parameters are": [("long long P", "int P")],
        "the sum of lane 0 alone": [(SHUFFLES, "")],
        "The bias is missing": [("sum + bias", "sum")],
        "32 times, once a lane": [("float sum = 0", "float sum = bias"), ("sum + bias", "sum")],
        "for every channel": [("* w[c]", "* w[c] + bias"), ("sum + bias", "sum")],
        "missing, the first": [("step = 16", "step = 8")],
        "missing, the last": [("step > 0", "step > 1")],
        "Only the first 32": [("for (int c = lane; c < C; c += 32)", "int c = lane;\n    if (c < C)")],
        "the last C % 32 channels": [
            ("c = lane; c < C; c += 32", "c = lane * (C / 32); c < (lane + 1) * (C / 32); c++")
        ],
        "32 times the sum": [("c = lane", "c = 0"), ("c += 32", "c++")],
        "the sum of x alone": [(" * w[c]", "")],
        "the score of pixel 0": [("x[p * C + c]", "x[c]")],
        "Right, but it reads 32 times the bytes": [("c = lane", "c = 0"), ("c += 32", "c++"), (SHUFFLES, "")],
        "more bytes than it needs": [(END, f"if (lane == 0) y[p] = 0;\n    __syncwarp();\n    {END}")],
        "y[0] is never written": [("lane == 0", "lane == 0 && p > 0")],
        "each thread has taken a pixel": [
            ("blockIdx.x * warps + warp", "blockIdx.x * blockDim.x + threadIdx.x"),
            ("c = lane", "c = 0"),
            ("c += 32", "c++"),
            (SHUFFLES, ""),
            ("if (lane == 0) y", "y"),
        ],
        "Neighbouring lanes should read": [
            ("lane; c < C; c += 32", "lane * ((C + 31) / 32); c < C && c < (lane + 1) * ((C + 31) / 32); c++")
        ],
        "ask for 8 times": [(KERNEL_LOOP, f"if (lane == 0) {ALONE}"), (SHUFFLES, "")],
        "Block 0 should write": [("blockIdx.x * warps + warp", "warp * gridDim.x + blockIdx.x")],
    },
}
