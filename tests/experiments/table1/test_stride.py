"""The verdict on the stride: networks whose recall is known to follow a law, and records by hand."""

import io
import json

import numpy as np
import pytest
from made_up_sizes import in_pixels, in_strides, logistic, of, runs
from PIL import Image

from experiments.table1 import objects as things
from experiments.table1 import stride
from experiments.table1.blocks import Heading, Plot, Table, Verdict, markdown
from experiments.table1.stride import comparisons, findings, rise, verdict


def test_recall_that_depends_on_diameter_over_stride_is_support():
    found = verdict(runs(in_strides))
    assert found.verdict == "supported" and found.name == "stride"
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


CEILING = {"data": "toytown", "split": "val", "pictures": 3, "jaccard": [[4, 0.981, 0.97], [5, 0.5, 0.25]]}


def test_blocks_are_regenerated_from_json():
    made = stride.blocks(json.loads(json.dumps(runs(in_strides))), [CEILING])
    assert [x.verdict for x in made if isinstance(x, Verdict)] == ["supported"]
    text = markdown([Heading(""), *made])
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
    claim = verdict([])
    assert f"rank correlation above {stride.RISES}," in claim.supported_if
    assert f"at least {things.FEWEST};" in claim.supported_if
    assert f"fewer than {stride.ENOUGH} comparisons" in claim.refuted_if
    assert f"mean recall reaches {stride.SEEN} nowhere" in claim.refuted_if
