"""stride.py and objects.py: small maps by hand, and networks whose recall is known to follow a law."""

import io
import json
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from experiments.table1 import objects as things
from experiments.table1 import stride
from experiments.table1.blocks import Plot, Report, Table, Verdict, markdown
from experiments.table1.objects import BINS, EDGES, bin_of, measure, objects, recall_curves, sums
from experiments.table1.stride import (
    CLAIM,
    by_nearest,
    by_shares,
    ceiling,
    comparisons,
    findings,
    rise,
    verdict,
    without_void,
)
from minifcn import models
from minifcn.datasets.transforms import Preprocessing

_ = 255


class Pictures:
    """A data set of label maps."""

    name, split, ignore_label = "maps", "val", 255

    def __init__(self, *maps, classes=("a", "b", "c")):
        self.maps, self.classes = [np.asarray(x, np.uint8) for x in maps], list(classes)

    def __len__(self):
        return len(self.maps)

    def __getitem__(self, i):
        return np.zeros((*self.maps[i].shape, 3), np.uint8), self.maps[i]


# --- the truth made coarser ---------------------------------------------------------------------------------------


def test_nearest_takes_the_class_of_the_middle():
    labels = np.array([[0, 0, 1, 1, 2], [0, 1, 1, 2, 2], [2, 2, 0, 0, 1]], np.uint8)
    np.testing.assert_array_equal(by_nearest(labels, 2), [[1, 1, 2, 2, 2], [1, 1, 2, 2, 2], [2, 2, 0, 0, 1]])
    np.testing.assert_array_equal(by_nearest(labels, 3), [[1, 1, 1, 2, 2]] * 3)  # column 4, where column 4 is the last
    np.testing.assert_array_equal(by_nearest(labels, 1), labels)


def test_void_takes_the_nearest_class():
    labels = np.array([[0, 0, 1, _], [0, _, _, 1]], np.uint8)
    np.testing.assert_array_equal(without_void(labels), [[0, 0, 1, 1], [0, 0, 1, 1]])
    assert (without_void(np.array([[_, _, _, 2]], np.uint8)) == 2).all()
    np.testing.assert_array_equal(without_void(np.array([[0, 7]]), ignore_label=7), [[0, 0]])


def test_shares_take_the_majority_where_all_cells_agree():
    labels = np.tile(np.array([[0, 1], [1, 1]], np.uint8), (3, 4))
    assert (by_shares(labels, 2, 2) == 1).all()
    labels[labels == 1] = _  # three quarters void: what is left decides
    assert (by_shares(labels, 2, 2) == 0).all()


def test_shares_are_interpolated_bilinearly():
    """One row of cells of 4: shares of class 1 are 1, 1/4, 0, at the middles 1.5, 5.5, 9.5: 1/2 at x = 4.17.

    x        0  1  2     3     4     5     6      7       8
    share    1  1  0.906 0.719 0.531 0.344 0.219  0.156   ...
    """
    row = [1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0]
    np.testing.assert_array_equal(by_shares(np.array([row] * 4, np.uint8), 4, 2), [[1] * 5 + [0] * 7] * 4)
    np.testing.assert_array_equal(by_shares(np.array([row] * 4, np.uint8).T.copy(), 4, 2).T, [[1] * 5 + [0] * 7] * 4)
    low, high, t = stride.between(12, 4)
    assert (low[4], high[4], t[4]) == (0, 1, 0.625) and 1 - 0.625 * (1 - 0.25) == 0.53125
    assert t[0] == 0 and low[11] == high[11] == 2


def test_shares_leave_void_out_of_the_area():
    """Cells of 2: class 1 has 1 of 1 labelled pixels, then 0 of 4. At x = 1 its share is 3/4, at x = 2 1/4."""
    labels = np.array([[1, _, 0, 0], [_, _, 0, 0]], np.uint8)
    np.testing.assert_array_equal(by_shares(labels, 2, 2), [[1, 1, 0, 0]] * 2)


def test_shares_of_ragged_maps():
    labels = np.arange(15).reshape(3, 5).astype(np.uint8) % 3
    assert by_shares(labels, 4, 3).shape == (3, 5)
    np.testing.assert_array_equal(by_shares(labels, 1, 3), labels)
    assert (by_shares(labels, 64, 3) == 0).all()  # five of each: the first


def test_the_ceiling_of_a_checkerboard():
    """Squares of 4, whole at factors 2 and 4. At 8 all cells are alike, and one class of two is left."""
    board = np.kron(np.indices((4, 4)).sum(0) % 2, np.ones((4, 4), int))
    found = ceiling(Pictures(board, classes=("a", "b")), (2, 4, 8))
    assert (found["data"], found["split"], found["pictures"]) == ("maps", "val", 1)
    scores = {factor: (nearest, shares) for factor, nearest, shares in found["jaccard"]}
    assert scores[2][0] == scores[4][0] == 1
    assert scores[8] == (0.25, 0.25)  # half of the pixels of the class that is left, nothing of the other
    assert scores[4][1] == scores[2][1] == 1  # even in a corner its own share of the four cells is 0.53
    json.dumps(found)


def test_the_ceiling_is_of_one_matrix_over_the_set_and_drops_void():
    halves = np.repeat([[0, 1]], 4, 0).repeat(4, 1)  # 4 x 8
    mostly = np.array([[0, 0, 0, 1, 1, 1, 1, 1]] * 4)
    void = np.full((4, 8), _)
    found = ceiling(Pictures(halves, mostly, void, classes=("a", "b")), (4,))
    # nearest: column 2 of each cell of 4, so of `mostly` column 3 alone is wrong: 4 pixels of 64
    assert found["jaccard"][0][1] == pytest.approx((28 / 32 + 32 / 36) / 2)
    void_middle = halves.copy()
    void_middle[2, 2] = _  # its neighbours stand in; a void prediction would count nothing, or as a class of its own
    (row,) = ceiling(Pictures(void_middle, classes=("a", "b")), (4,))["jaccard"]
    assert row == [4, 1, 1] and by_nearest(without_void(void_middle), 4).max() == 1
    wrong = np.array([[0, 0, 0, 0], [0, 0, 0, 0], [1, 1, _, 1], [1, 1, 1, 1]])
    assert ceiling(Pictures(wrong, classes=("a", "b")), (4,))["jaccard"][0][1] == pytest.approx(7 / 15 / 2)
    halves[:, 3] = mostly[:, 3] = _
    assert ceiling(Pictures(halves, mostly, classes=("a", "b")), (4,))["jaccard"][0][1] == 1


# --- objects ------------------------------------------------------------------------------------------------------

TRUTH = np.array(
    [
        [1, 1, 0, 0, 2, 2],
        [1, 1, 0, 0, 2, 2],
        [0, 0, 1, 0, _, _],
        [0, 0, 0, 0, 2, 2],
        [1, 0, 2, _, 2, 2],
        [1, 2, 0, 0, 0, 0],
    ],
    np.uint8,
)


@pytest.fixture
def all_sizes(monkeypatch):
    monkeypatch.setattr(things, "EDGES", 2.0 ** (np.arange(BINS + 1) / 2))


def test_objects_of_a_map(all_sizes):
    predicted = TRUTH.copy()
    predicted[0, 0] = 0
    predicted[3:5, 4] = 1
    predicted[5] = 1
    found = {(x.label, x.area, x.recall) for x in objects(TRUTH, predicted, (1, 2))}
    # class 1: a square with a pixel at its corner, one of 5 lost, and a column of 2, found. Class 2: a square, found;
    # a square below the void with half of it lost; two pixels that touch at a corner, one lost
    assert found == {(1, 5, 0.8), (1, 2, 1.0), (2, 4, 1.0), (2, 4, 0.5), (2, 2, 0.5)}
    assert objects(TRUTH, predicted, (1,)) == [x for x in objects(TRUTH, predicted, (1, 2)) if x.label == 1]


def test_small_objects_are_left_out_and_a_diameter_is_that_of_a_disc():
    labels = np.zeros((9, 9), np.uint8)
    labels[:4, :3] = 1  # 12 pixels: 3.9 across
    labels[5:, 5:8] = 1
    labels[8, 8] = 1  # 13: 4.07
    (found,) = objects(labels, labels, (1,))
    assert (found.area, found.recall) == (13, 1) and found.diameter == pytest.approx(4.068, abs=1e-3)
    with pytest.raises(ValueError, match=r"expected one \(H, W\), received \(9, 9\) and \(8, 9\)"):
        objects(labels, labels[1:], (1,))


def test_bins_are_half_octaves_from_4_to_1024():
    np.testing.assert_allclose(EDGES[[0, 1, 2, 16]], [4, 5.657, 8, 1024], atol=1e-3)
    assert [bin_of(d) for d in (4, 5.6, 5.7, 7.99, 8, 1023, 5000)] == [0, 0, 1, 1, 2, 15, 15]


def test_sums_of_objects():
    found = [
        things.Object(2, 20, 0.5),
        things.Object(2, 21, 1.0),
        things.Object(1, 20, 0.25),
        things.Object(2, 60, 1.0),
    ]
    assert sums(found, ["x", "car", "sign"]) == [["car", 0, 1, 0.25], ["sign", 0, 2, 1.5], ["sign", 2, 1, 1.0]]


def test_a_network_is_measured_picture_by_picture(monkeypatch):
    maps = np.zeros((2, 40, 48), np.uint8)
    maps[0, 4:20, 4:20] = 1
    maps[1, 4:20, 4:20] = 2
    maps[1, 30:34, 30:34] = 2
    seen = []

    def predict(model, x):
        seen.append((model, x.shape, x.dtype))
        out = np.where(np.arange(48) < 12, 1, 2)[None, None] * np.ones((1, 40, 1), int)
        return out.astype(np.uint8)

    monkeypatch.setattr(things, "predict", predict)
    model = models.fcn16s(3, trunk="vgg_quarter")
    record = measure(model, Preprocessing(), Pictures(*maps), seed=4)
    assert seen == [(model, (1, 40, 48, 3), np.float32)] * 2
    expected = [["b", 4, 1, 0.5], ["c", 0, 1, 1.0], ["c", 4, 1, 0.5]]
    background = [row for row in record["pixels"] if row[0] == "a"]
    assert sum(row[2] for row in background) == 2 and record["pixels"][len(background) :] == expected
    assert record == {"network": "fcn16s", "stride": 16, "seed": 4, "data": "maps", "pixels": record["pixels"]}
    assert json.loads(json.dumps(record)) == record
    assert measure(model, Preprocessing(), sizes(maps), 4)["pixels"] == [
        ["car", 4, 1, 0.5],
        ["sign", 0, 1, 1.0],
        ["sign", 4, 1, 0.5],
    ]


def test_which_classes_are_objects():
    assert things.wanted(Pictures()) == [0, 1, 2]
    assert things.wanted(sizes([])) == [1, 3, 2]
    one_s_own = Pictures(classes=("background", "red", "car"))
    one_s_own.name = "camvid"  # the folder's
    assert things.wanted(one_s_own) == [1, 2]


def sizes(maps):
    data = Pictures(*maps, classes=("road", "car", "sign", "person"))
    data.name = "toytown_sizes"
    return data


# --- the verdict --------------------------------------------------------------------------------------------------


def logistic(octaves):
    return 1 / (1 + np.exp(-1.5 * octaves))


def record(network, seed, law, objects=400, classes=("car", "sign"), noise=0.25):
    """A run of a network whose recall is law(diameter, stride), for each object with a noise."""
    rng = np.random.default_rng((seed, things.STRIDES[network], 7))
    sampled = np.random.default_rng(seed)  # the objects are the same for all networks
    found = []
    for label in range(len(classes)):
        for diameter in 2 ** sampled.uniform(2.05, 7.5, objects):
            area = max(13, round(np.pi / 4 * diameter**2))
            recall = law(diameter, things.STRIDES[network]) + rng.normal(0, noise)
            found.append(things.Object(label, area, float(np.clip(recall, 0, 1))))
    base = {"network": network, "stride": things.STRIDES[network], "seed": seed, "data": "toytown_sizes"}
    return base | {"pixels": sums(found, list(classes))}


def runs(law, seeds=(0, 1, 2), networks=("fcn8s", "fcn32s", "fcn16s"), **more):
    return [record(network, seed, law, **more) for seed in seeds for network in networks]


def in_strides(diameter, stride):
    return logistic(np.log2(diameter / stride))


def in_pixels(diameter, stride):
    return logistic(np.log2(diameter / 16))


def test_recall_that_depends_on_diameter_over_stride_is_support():
    found = verdict(runs(in_strides))
    assert found.verdict == "supported" and found.claim is CLAIM
    assert "seed 2: D_px 0." in found.found and "over" in found.found
    for seed in findings(runs(in_strides)):
        assert seed["d_rel"] < 0.1 * seed["d_px"] and seed["rise"] > 0.9 and seed["peak"] > 0.8


def test_recall_that_depends_on_pixels_alone_refutes():
    assert verdict(runs(in_pixels)).verdict == "refuted"


def test_a_little_dependence_on_the_stride_refutes_and_much_supports():
    """As the claim says: recall by diameter / stride^a has D_rel / D_px of about ((1 - a) / a)^2."""
    for a, expected in ((0.3, "refuted"), (0.8, "supported")):
        found = runs(lambda d, s, a=a: logistic(np.log2(d / 16) - a * np.log2(s / 16)), noise=0.05, objects=3000)
        assert verdict(found).verdict == expected
        for seed in findings(found):
            assert np.sqrt(seed["d_rel"] / seed["d_px"]) == pytest.approx((1 - a) / a, rel=0.3)


@pytest.mark.parametrize(("a", "expected"), [(0.5, "refuted"), (0.5625, "undecided"), (0.625, "supported")])
def test_between_support_and_refutation_nothing_is_decided(a, expected):
    """Recall is linear in size / stride^a, so that D_rel / D_px is exactly ((1 - a) / a)^2: 1, 0.6 and 0.36."""
    rows = {
        network: [["car", k, 64, 64 * (0.5 + (k - a * shift) / 32)] for k in range(12)]
        for network, shift in (("fcn32s", 4), ("fcn8s", 0))
    }
    records = [of(network, *rows[network]) for network in rows]
    (seed,) = findings(records)
    assert seed["pairs"] == 8 and seed["d_rel"] / seed["d_px"] == pytest.approx(((1 - a) / a) ** 2)
    assert verdict(records).verdict == expected


def test_noise_alone_is_not_support():
    def law(diameter, stride):
        return 0.5

    found = runs(law, noise=0.6)
    assert all(seed["rise"] < 0.9 for seed in findings(found))
    assert verdict(found).verdict != "supported"


def test_seeds_that_disagree_are_undecided():
    found = runs(in_strides, seeds=(0, 1)) + runs(in_pixels, seeds=(2,))
    assert verdict(found).verdict == "undecided"
    assert verdict(runs(in_pixels, seeds=(0, 1)) + runs(in_strides, seeds=(2,))).verdict == "undecided"


def test_recall_must_rise_with_the_size():
    """A law in diameter / stride, but the larger the worse: the curves fall together, and still it is no support."""
    found = runs(lambda d, s: 1 - in_strides(d, s))
    assert findings(found)[0]["d_rel"] < findings(found)[0]["d_px"] / 2 and findings(found)[0]["rise"] < -0.9
    assert verdict(found).verdict == "undecided"


def test_too_little_is_undecided():
    assert "too few comparisons" in verdict(runs(in_strides, objects=40)).found
    assert "too few comparisons" in verdict(runs(in_strides, networks=("fcn8s",))).found
    blind = [*runs(in_pixels, networks=("fcn16s", "fcn8s")), *runs(lambda d, s: 0.05, networks=("fcn32s",), noise=0.02)]
    assert "reaches a mean recall of 0.3 nowhere" in verdict(blind).found
    assert all(verdict(x).verdict == "undecided" for x in (runs(in_strides, objects=40), blind, []))


def of(network, *rows, seed=0):
    return {"network": network, "stride": things.STRIDES[network], "seed": seed, "data": "x", "pixels": list(rows)}


def test_comparisons_by_hand():
    """32s against 8s: the same diameter / stride is 4 bins lower."""
    coarse = of("fcn32s", ["car", 5, 20, 8.0], ["car", 6, 20, 10.0], ["sign", 6, 100, 50.0], ["car", 7, 19, 19.0])
    fine = of(
        "fcn8s",
        ["car", 2, 20, 12.0],
        ["car", 5, 40, 30.0],
        ["car", 6, 40, 32.0],
        ["sign", 2, 30, 3.0],
        ["car", 7, 90, 9.0],
    )
    # car 5 has no bin 1, sign 6 has no bin 6, car 7 has 19 objects
    assert comparisons([fine, coarse]) == {("fcn32s", "fcn8s"): [(0.5, 0.8, 0.6)]}
    (seed,) = findings([fine, coarse])
    assert (seed["pairs"], seed["seed"]) == (1, 0)
    assert (seed["d_px"], seed["d_rel"]) == (pytest.approx(0.09), pytest.approx(0.01))


def test_the_distances_of_each_pair():
    rows = {"fcn32s": 0.5, "fcn16s": 0.8, "fcn8s": 0.9}  # at bin 6; 0.6 in all bins below
    records = [
        of(name, *(["car", k, 20, 20 * (recall if k == 6 else 0.6)] for k in range(2, 7)), seed=seed)
        for name, recall in rows.items()
        for seed in (0, 1)
    ]
    for record in records:  # of 32s one bin, and none in the second seed
        record["pixels"] = record["pixels"] if record["stride"] != 32 else record["pixels"][4 + record["seed"] :]
    assert stride.pair_table(records).rows == [
        ["FCN-32s, FCN-16s", "0.0900 / 0.0100 (1)", "-"],
        ["FCN-32s, FCN-8s", "0.1600 / 0.0100 (1)", "-"],
        ["FCN-16s, FCN-8s", *["0.0033 / 0.0133 (3)"] * 2],  # bins 4, 5, 6: 0, 0, 0.01 and 0, 0, 0.04
    ]


def test_no_object_at_all():
    """Nothing to draw, and an undecided verdict."""
    made = stride.blocks([of(network) for network in things.STRIDES], [CEILING])
    assert [x.verdict for x in made if isinstance(x, Verdict)] == ["undecided"]
    assert isinstance(made[-1], Verdict)


def test_three_networks_are_three_pairs_within_a_class():
    rows = [[name, k, 20, k + more] for name, more in (("car", 1.0), ("sign", 1.5)) for k in range(12)]
    shifts = {("fcn32s", "fcn16s"): 2, ("fcn32s", "fcn8s"): 4, ("fcn16s", "fcn8s"): 2}
    assert comparisons([of(network, *rows) for network in things.STRIDES]) == {
        pair: [
            ((k + more) / 20, (k + more) / 20, (k - shift + more) / 20) for more in (1.0, 1.5) for k in range(shift, 12)
        ]
        for pair, shift in shifts.items()
    }


def test_the_rise_is_the_mean_over_classes_and_does_not_mix_them():
    up = [["car", k, 20, 2.0 + k] for k in range(5)]
    down = [["sign", k + 5, 20, 12.0 - k] for k in range(5)]  # higher than all of the cars', and falling
    assert rise(of("fcn8s", *up)) == pytest.approx(1) and rise(of("fcn8s", *down)) == pytest.approx(-1)
    assert rise(of("fcn8s", *up, *down)) == pytest.approx(0)
    assert rise(of("fcn8s", *up, *[["pole", k, 20, 20.0] for k in range(3)])) == pytest.approx(0.5)
    assert rise(of("fcn8s", *up[:2])) == 0


# --- curves and blocks --------------------------------------------------------------------------------------------


def test_curves_pool_the_classes_and_keep_the_bins_that_all_seeds_have():
    first = of("fcn16s", ["car", 2, 15, 5.0], ["sign", 2, 15, 10.0], ["car", 3, 20, 20.0], ["car", 4, 19, 19.0])
    second = of("fcn16s", ["car", 2, 40, 10.0], ["car", 4, 60, 60.0], seed=1)
    curves = recall_curves([second, first, of("fcn32s", ["car", 2, 20, 4.0])], relative=False)
    assert list(curves) == ["fcn32s", "fcn16s"]
    middles, recall = curves["fcn16s"]
    assert recall.tolist() == [[0.5], [0.25]] and middles == pytest.approx([8 * 2**0.25])
    middles, recall = recall_curves([first, second], relative=True)["fcn16s"]
    assert recall.tolist() == [[0.5], [0.25]] and middles == pytest.approx([8 * 2**0.25 / 16])


def test_the_same_middles_in_strides_for_all_networks():
    curves = recall_curves(runs(in_strides, seeds=(0,)), relative=True)
    middles = [set(np.log2(x).round(3).tolist()) for x, _ in curves.values()]
    for one, other in pairwise(middles):
        assert len(one & other) >= 6


CEILING = {"data": "toytown", "split": "val", "pictures": 3, "jaccard": [[4, 0.981, 0.97], [5, 0.5, 0.25]]}


def test_blocks_are_regenerated_from_json():
    made = stride.blocks(json.loads(json.dumps(runs(in_strides))), [CEILING])
    assert [x.verdict for x in made if isinstance(x, Verdict)] == ["supported"]
    text = markdown(Report("", made))
    assert "| factor | toytown val, nearest | toytown val, shares | paper, VOC |" in text
    assert "| 4 | 98.1 | 97.0 | 98.5 |\n| 5 | 50.0 | 25.0 |  |" in text
    assert "car, sign in the truth of toytown_sizes" in text
    by_size = next(x for x in made if isinstance(x, Table) and x.header[0] == "diameter (pixels)")
    assert by_size.header[1:] == ["fcn32s, stride 32", "fcn16s, stride 16", "fcn8s, stride 8"]
    first = [float(value) for value in by_size.rows[0][1:]]
    assert by_size.rows[0][0] == "4.8" and first == sorted(first)
    plots = [x for x in made if isinstance(x, Plot)]
    assert [plot.name for plot in plots] == ["ceiling", "recall_by_size"]
    for plot in plots:
        image = np.asarray(Image.open(io.BytesIO(plot.png)).convert("RGB"))
        assert min(image.shape[:2]) > 400 and len(np.unique(image.reshape(-1, 3), axis=0)) > 20


def test_the_claim_names_the_numbers_that_decide():
    assert f"rank correlation above {stride.RISES}," in CLAIM.supported_if
    assert f"at least {things.FEWEST};" in CLAIM.supported_if
    assert f"fewer than {stride.ENOUGH} comparisons" in CLAIM.refuted_if
    assert f"mean recall reaches {stride.SEEN} nowhere" in CLAIM.refuted_if
