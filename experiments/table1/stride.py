"""Does the stride of the last prediction layer set the detail? The truth made coarser, and recall by objects' sizes.

ceiling() asks it without a network: the truth itself, coarser by a factor and upsampled again, as in appendix A of the
paper: about what upsampling alone leaves to a network that scores perfectly at that stride.
measure() (objects.py) asks trained networks. verdict() compares them, each finer network b with each coarser a:

    recall                     . a   at the same diameter in pixels     b(k) - a(k)
      |            b  . '  . '       at the same diameter / stride      b(k - shift) - a(k)
      |       . '  .  '  a
      |  . ' . '                     If size counts in strides, the second is 0, and b is a moved to the left by its
      +-------------------- bin k    stride's ratio; if it counts in pixels, the first is 0, and a is b.
"""

from itertools import chain, combinations, groupby
from math import log2
from statistics import mean

import numpy as np
from tqdm import tqdm

from minifcn.datasets import Dataset
from minifcn.metrics import ConfusionMatrix

from .blocks import Block, Heading, Plot, Table, Verdict, judge, prose
from .objects import FEWEST, STRIDES, means, recall_curves
from .plots import ceiling_plot, recall_plot, title

PAPER = {128: 50.9, 64: 73.3, 32: 86.1, 16: 92.8, 8: 96.4, 4: 98.5}  # per cent, VOC 2011: the paper's appendix A
ENOUGH = 6  # comparisons in a seed
SEEN = 0.3  # mean recall that each network reaches for some class and size, or it has not learnt the objects
RISES = 0.5  # mean over classes of Spearman's rank correlation of size and recall


def ceiling(dataset: Dataset, factors: tuple[int, ...] = (4, 8, 16, 32, 64), progress: str | None = None) -> dict:
    """The Jaccard of the truth when it is made coarser by each factor, and upsampled again, in two ways.

    {"data": name, "split": split, "pictures": N, "jaccard": [[factor, nearest, shares], ...]}
    """
    L, ignore_label = len(dataset.classes), dataset.ignore_label
    counts = {factor: [ConfusionMatrix(L, ignore_label) for _ in range(2)] for factor in factors}
    for i in tqdm(range(len(dataset)), progress, unit="picture", leave=False, disable=None):
        labels = dataset[i][1]
        if (labels == ignore_label).all():
            continue
        filled = without_void(labels, ignore_label)
        for factor, (nearest, shares) in counts.items():
            nearest.update(labels, by_nearest(filled, factor))
            shares.update(labels, by_shares(labels, factor, L, ignore_label))
    rows = [[factor, *(matrix.jaccard() for matrix in both)] for factor, both in counts.items()]
    return {"data": dataset.name, "split": dataset.split, "pictures": len(dataset), "jaccard": rows}


def without_void(labels: np.ndarray, ignore_label: int = 255) -> np.ndarray:
    """Labels (H, W) with the class of the nearest labelled pixel where there was void."""
    from scipy.ndimage import distance_transform_edt

    void = labels == ignore_label
    return labels[tuple(distance_transform_edt(void, return_distances=False, return_indices=True))]


def by_nearest(labels: np.ndarray, factor: int) -> np.ndarray:
    """Labels (H, W) of which each factor x factor cell has the class of its middle, (H, W).

    Of an even factor's four middle pixels it is the lower right one; of a cell cut by the edge, what is nearest to it.
    """
    y, x = (np.minimum(np.arange(size) // factor * factor + factor // 2, size - 1) for size in labels.shape)
    return labels[y[:, None], x]


def by_shares(labels: np.ndarray, factor: int, num_classes: int, ignore_label: int = 255) -> np.ndarray:
    """The best labels (H, W) by scores at a stride: class shares of each cell, bilinear upsampling, argmax.

    A cell's shares are those of its labelled pixels, and 0 for all classes where it has none.
    """
    OH, OW = (-(-size // factor) for size in labels.shape)
    y, x = np.nonzero(labels != ignore_label)
    places = (y // factor * OW + x // factor) * num_classes + labels[y, x]
    counts = np.bincount(places, minlength=OH * OW * num_classes).reshape(OH, OW, num_classes).astype(np.float32)
    shares = counts / np.maximum(counts.sum(2, keepdims=True), 1)
    for axis, size in enumerate(labels.shape):
        low, high, t = between(size, factor)
        t = np.expand_dims(t, (1 - axis, 2))
        shares = shares.take(low, axis) * (1 - t) + shares.take(high, axis) * t
    return shares.argmax(2).astype(np.uint8)  # (H, W, L) -> (H, W)


def between(size: int, factor: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each of `size` pixels the cells of `factor` pixels whose middles it lies between, and how far, 0 to 1.

    Beyond the outer middles there is their cell alone; a network's crop would have scores of the padding there.
    """
    last = -(-size // factor) - 1
    at = np.clip((np.arange(size) + 0.5) / factor - 0.5, 0, last).astype(np.float32)
    low = at.astype(int)
    return low, np.minimum(low + 1, last), at - low


def comparisons(records: list[dict]) -> dict[tuple[str, str], list[tuple[float, float, float]]]:
    """What can be compared among the networks of one seed: by the names of the coarser and the finer one.

    For each class and each bin of the coarser: its recall, the finer one's at the same diameter in pixels, and the
    finer one's at the same diameter / stride. All three have enough objects.
    """
    found = {}
    for coarse, fine in combinations(sorted(records, key=lambda r: -r["stride"]), 2):
        shift = round(2 * log2(coarse["stride"] / fine["stride"]))  # bins are half octaves
        a, b = means(coarse), means(fine)
        both = [(name, k) for name, k in a if {(name, k), (name, k - shift)} <= b.keys()]
        found[coarse["network"], fine["network"]] = [(a[x, k], b[x, k], b[x, k - shift]) for x, k in both]
    return {pair: compared for pair, compared in found.items() if compared}


def rise(record: dict) -> float:
    """The mean over classes of Spearman's rank correlation of bin and mean recall; 0 for a class that does not vary."""
    from scipy.stats import spearmanr

    classes = groupby(means(record).items(), lambda item: item[0][0])
    recalls = [[recall for _, recall in by_bin] for _, by_bin in classes]
    found = [spearmanr(range(len(x)), x).statistic if len(set(x)) > 1 else 0.0 for x in recalls if len(x) >= 3]
    return mean(found or [0.0])


def distances(compared: list[tuple[float, float, float]]) -> tuple[float, float]:
    """D_px and D_rel: the mean squared differences of the finer network's recall from the coarser one's."""
    coarse, *fine = np.transpose(compared or [(0.0, 0.0, 0.0)])
    return tuple(((recall - coarse) ** 2).mean() for recall in fine)


def findings(records: list[dict]) -> list[dict]:
    """For each seed: what it compares, D_px and D_rel, the number of comparisons, the networks' least rise and peak."""
    found = []
    for seed in sorted({r["seed"] for r in records}):
        chosen = [r for r in records if r["seed"] == seed]
        compared = comparisons(chosen)
        triples = list(chain(*compared.values()))
        d_px, d_rel = distances(triples)
        known = {"seed": seed, "compared": compared, "pairs": len(triples), "d_px": d_px, "d_rel": d_rel}
        peak = min(max(means(r).values(), default=0.0) for r in chosen)
        found.append(known | {"rise": min(map(rise, chosen)), "peak": peak})
    return found


def verdict(records: list[dict]) -> Verdict:
    """Put the claim to the test: records of at least two networks, in one seed or more."""
    seeds, why = findings(records), ""
    if not seeds or any(s["pairs"] < ENOUGH for s in seeds):
        why = "too few comparisons. "
    elif any(s["peak"] < SEEN for s in seeds):
        why = f"a network reaches a mean recall of {SEEN} nowhere. "
    supported = not why and all(s["rise"] > RISES and s["d_rel"] < s["d_px"] / 2 for s in seeds)
    refuted = not why and all(s["d_rel"] >= s["d_px"] for s in seeds)
    each = "seed {seed}: D_px {d_px:.4f}, D_rel {d_rel:.4f} over {pairs} comparisons, least rank correlation {rise:.2f}"
    return judge("stride", supported, refuted, why + "; ".join(each.format(**found) for found in seeds))


# --- what the report shows ---


def blocks(records: list[dict], ceilings: list[dict]) -> list[Block]:
    """records: as measure() makes them, of one data set.  ceilings: as ceiling() makes it, one."""
    (coarser,), names = ceilings, sorted({row[0] for r in records for row in r["pixels"]})
    header = "factor | {data} {split}, nearest | {data} {split}, shares | paper, VOC".format(**coarser).split(" | ")
    rows = [[str(f), f"{100 * a:.1f}", f"{100 * b:.1f}", str(PAPER.get(f, ""))] for f, a, b in coarser["jaccard"]]
    made = [
        Heading("What the stride decides"),
        prose("ceiling"),
        Table(header, rows),
        Plot("ceiling", ceiling_plot(coarser, PAPER), "What the stride alone allows, with a perfect network."),
        Heading("Recall by the size of objects", 3),
        prose("objects", names=", ".join(names), data=records[0]["data"], fewest=FEWEST),
        verdict(records),
    ]
    return made + (by_size(records) if any(means(r) for r in records) else [])


def by_size(records: list[dict]) -> list[Block]:
    """What the verdict comes from."""
    seeds = ["{seed} {pairs} {d_px:.4f} {d_rel:.4f} {rise:.2f}".format(**found).split() for found in findings(records)]
    return [
        Table(["seed", "comparisons", "D_px", "D_rel", "least rank correlation"], seeds),
        "By pair of networks, D_px / D_rel (comparisons):",
        pair_table(records),
        recall_table(records),
        Plot("recall_by_size", recall_plot(records), "Mean recall of objects; bands: from the worst to the best seed."),
    ]


def pair_table(records: list[dict]) -> Table:
    """D_px and D_rel of each two networks, in each seed."""
    seeds, rows = findings(records), []
    for pair in dict.fromkeys(chain(*(seed["compared"] for seed in seeds))):
        compared = [seed["compared"].get(pair) for seed in seeds]
        cells = ["{:.4f} / {:.4f} ({})".format(*distances(x), len(x)) if x else "-" for x in compared]
        rows.append([", ".join(map(title, pair)), *cells])
    return Table(["networks", *(f"seed {found['seed']}" for found in seeds)], rows)


def recall_table(records: list[dict]) -> Table:
    """Mean recall over the seeds, by diameter in pixels, in per cent."""
    curves = recall_curves(records, relative=False)
    columns = [dict(zip(x, 100 * recall.mean(0), strict=True)) for x, recall in curves.values()]
    rows = [[f"{x:.1f}", *(f"{c[x]:.1f}" if x in c else "" for c in columns)] for x in sorted(set(chain(*columns)))]
    return Table(["diameter (pixels)", *(f"{name}, stride {STRIDES[name]}" for name in curves)], rows)
