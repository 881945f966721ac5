"""What notebooks say of their published runs, computed anew from the committed tables."""

from pathlib import Path

import pandas as pd
import pytest
import yaml

from ialelib import metrics
from ialelib import metrics as ranks
from ialelib.experiments import batch_sizes, own_pool
from ialelib.experts import PAPER_EXPERTS
from ialelib.policy import load_policy
from ialelib.utils import cache

FOLDER = Path(__file__).parents[2] / "figures/cpu"


def compared(stem: str, reference: str = "random") -> pd.DataFrame:
    """AUBC, gain and p of each strategy, by its name."""
    return metrics.paired_tests(cache.read_table(FOLDER / f"{stem}.csv"), reference).set_index(
        "strategy"
    )


def test_entropy_and_the_policy_gain_on_the_toy_and_coreset_does_not() -> None:
    table = compared("01_toy_gaussians_curves")
    assert (table["seeds"] == 10).all()
    assert table.loc["entropy", "gain"] == pytest.approx(0.006, abs=6e-4)
    assert table.loc["policy", "gain"] == pytest.approx(0.005, abs=5e-4)
    assert table.loc["coreset", "gain"] == pytest.approx(0, abs=5e-4)
    for name in ("entropy", "policy"):
        assert table.loc[name, "p"] == pytest.approx(0.020, abs=5e-4)
        assert table.loc[name, "p_holm"] == pytest.approx(0.059, abs=5e-4)


def test_the_policy_needs_a_choice_among_ten_to_a_hundred_times_its_batch() -> None:
    curves = cache.read_table(FOLDER / "09_ablation_sizes_curves.csv")
    table = batch_sizes.summary(batch_sizes.aubc(curves)).set_index(["strategy", "acq", "n"])
    policy = table.loc["policy"]
    assert policy["seeds"].tolist() == [3] + [5] * 11
    claimed = {
        **{(1, 100): 0.050, (5, 100): 0.061, (10, 100): 0.051, (20, 100): 0.031, (40, 100): 0.001},
        **{(40, 1000): 0.030, (100, 2000): 0.011, (10, 10): 0.001, (10, 10000): -0.001},
        **{(10, 50): 0.039, (10, 200): 0.046, (10, 1000): 0.043},
    }
    assert policy["gain"].to_dict() == pytest.approx(claimed, abs=5.1e-4)
    margins = {(40, 100): 0.023, (10, 10): 0.012, (10, 10000): 0.027}
    assert policy["margin"].loc[list(margins)].to_dict() == pytest.approx(margins, abs=5.1e-4)
    single = table.xs((1, 100), level=("acq", "n"))["aubc"]
    said = {"policy": 0.846, "confidence": 0.836, "mc_dropout": 0.830, "entropy": 0.822}
    assert single[list(said)].to_dict() == pytest.approx(said, abs=5.1e-4)
    assert single["random"] == pytest.approx(0.796, abs=5e-4)
    assert max(single["badge"], single["coreset"]) < single["random"]
    large = table.xs((100, 2000), level=("acq", "n"))["gain"].drop(["random", "policy"])
    assert (large < 0).all()


def test_leaving_a_family_of_experts_out_costs_nothing_that_ten_seeds_can_show() -> None:
    random = compared("08_ablation_experts_curves")
    assert (random["seeds"] == 10).all()
    full = "mnist-cnn-short"
    assert random.loc[full, "aubc"] == pytest.approx(0.562, abs=5e-4)
    assert random.loc[full, "gain"] == pytest.approx(0.018, abs=5e-4)
    assert random.loc[full, "p_holm"] == pytest.approx(0.016, abs=5e-4)
    partial = random.filter(regex="no_", axis=0)["gain"].round(3)
    assert (partial.min(), partial.max()) == (0.012, 0.018)
    assert (partial.idxmin(), partial.idxmax()) == ("mnist-cnn-no_softmax", "mnist-cnn-no_coreset")
    against_full = compared("08_ablation_experts_curves", full).filter(regex="no_", axis=0)
    assert against_full["gain"].abs().max() < 0.006
    assert (against_full["p_holm"] > 0.9).all()


def test_the_policies_of_the_ablations_are_different_ones() -> None:
    for profile in ("quick/08_ablation_experts", "cpu/08_ablation_experts-state"):
        names = yaml.safe_load((FOLDER / f"../../params/{profile}.yaml").read_text())["policies"]
        assert len({load_policy(name).fingerprint() for name in names}) == len(names) > 2


def test_the_policies_of_the_exploration_differ_in_p() -> None:
    fixed, decay = (
        load_policy(f"mnist-cnn-{name}").about["imitation"] for name in ("short", "decay")
    )
    assert (fixed.pop("p"), decay.pop("p")) == (0.5, "decay")
    assert fixed == decay


def test_without_gradients_nothing_is_left_of_the_policy_and_predictions_do_not_matter() -> None:
    curves = cache.read_table(FOLDER / "state/08_ablation_experts_curves.csv")
    table = metrics.paired_tests(curves).set_index(["strategy", "dataset"])
    assert (table["seeds"] == 5).all()
    gains = table["gain"].round(3)
    sets = ["mnist", "fmnist", "kmnist-10k"]
    assert gains["mnist-cnn-no_gradients"][sets].tolist() == [0.001, -0.028, -0.044]
    assert gains["mnist-cnn-short"][sets].tolist() == [0.043, 0.011, 0.019]
    apart = (table["gain"]["mnist-cnn-no_predictions"] - table["gain"]["mnist-cnn-short"]).abs()
    assert (apart.round(3) == 0.001).all()
    areas = metrics.aubc_table(curves)
    behind = areas["mnist-cnn-short"] - areas["mnist-cnn-no_gradients"]
    assert (behind > 0).all()
    assert behind.groupby("dataset").mean()[sets].round(3).tolist() == [0.042, 0.039, 0.063]


def test_the_policy_of_a_cnn_gains_on_an_mlp_as_its_experts_do() -> None:
    curves = cache.read_table(FOLDER / "mlp/05_transfer_classifiers_curves.csv")
    table = metrics.paired_tests(curves).set_index(["dataset", "strategy"])
    assert set(curves["classifier"]) == {"mlp"}
    assert (table["seeds"] == 10).all()
    rounded = table.round(3)
    for dataset, *claimed in (
        ("mnist", 0.024, 0.014, 0.027, 0.025),
        ("fmnist", 0.012, 0.039, 0.018, 0.015),
        ("kmnist-10k", 0.018, 0.020, 0.016, 0.023),
    ):
        names = ("mnist-cnn", "mc_dropout", "badge")
        gain, *others = (rounded.loc[(dataset, name), "gain"] for name in names)
        assert [gain, rounded.loc[(dataset, "mnist-cnn"), "p_holm"], *others] == claimed
    assert (table.xs("coreset", level="strategy")["p_holm"] > 0.05).all()


def test_the_policy_of_a_resnet_chooses_for_a_cnn_as_the_cnns_own_does() -> None:
    curves = cache.read_table(FOLDER / "05_transfer_classifiers_curves.csv")
    table = metrics.paired_tests(curves).set_index(["dataset", "strategy"]).round(3)
    assert set(curves["classifier"]) == {"cnn"}
    assert (table["seeds"] == 10).all()
    for dataset, *claimed in (
        ("mnist", 0.033, 0.010, 0.045),
        ("fmnist", 0.017, 0.039, 0.016),
        ("kmnist-10k", 0.015, 0.041, 0.018),
    ):
        other, own = (dataset, "mnist-resnet18"), (dataset, "mnist-cnn")
        found = [table.loc[other, "gain"], table.loc[other, "p_holm"], table.loc[own, "gain"]]
        assert found == claimed
        here = table.xs(dataset)["aubc"].to_dict()
        assert max(here, key=lambda name: here[name]) in ("mc_dropout", "badge")
    against_own = metrics.paired_tests(curves, "mnist-cnn").query("strategy == 'mnist-resnet18'")
    assert against_own["p_holm"].min() > 0.3


def test_on_fashion_mnist_the_policy_gains_among_its_experts_and_alil_loses() -> None:
    table = compared("03_transfer_datasets_curves").round(3)
    assert (table["seeds"] == 10).all()
    claimed = {"policy": 0.018, "mc_dropout": 0.024, "ensemble": 0.024, "confidence": 0.021}
    claimed |= {"badge": 0.020, "entropy": 0.012, "coreset": -0.004, "alil": -0.033}
    assert table["gain"][list(claimed)].to_dict() == claimed
    corrected = {"policy": 0.029, "alil": 0.016}
    assert table["p_holm"][list(corrected)].to_dict() == pytest.approx(corrected, abs=6e-4)
    assert table["p_holm"][["entropy", "coreset"]].min() > 0.1
    to_policy = compared("03_transfer_datasets_curves", "policy")["p_holm"]
    assert to_policy[["mc_dropout", "ensemble", "confidence", "badge"]].min() > 0.5
    curves = cache.read_table(FOLDER / "03_transfer_datasets_curves.csv")
    means = curves.groupby(["strategy", "labels"])["accuracy"].mean()
    ahead = means["policy"] > means["random"]
    assert ahead.index[ahead].tolist() == list(range(60, 301, 10))


def test_on_kuzushiji_mnist_the_policy_leads_with_badge_and_alil_loses() -> None:
    table = compared("kmnist/03_transfer_datasets_curves").round(3)
    assert (table["seeds"] == 10).all()
    claimed = {"policy": 0.024, "badge": 0.026, "mc_dropout": 0.023, "confidence": 0.015}
    claimed |= {"entropy": 0.007, "coreset": -0.020, "alil": -0.026}
    assert table["gain"][list(claimed)].to_dict() == claimed
    corrected = {"policy": 0.016, "coreset": 0.029, "alil": 0.020}
    assert table["p_holm"][list(corrected)].to_dict() == pytest.approx(corrected, abs=6e-4)
    to_policy = compared("kmnist/03_transfer_datasets_curves", "policy")["p_holm"]
    assert to_policy[["badge", "mc_dropout"]].min() > 0.9
    assert to_policy["entropy"] == pytest.approx(0.016, abs=5e-4)
    assert to_policy["confidence"] == pytest.approx(0.055, abs=5e-4)


def test_a_policy_takes_what_its_experts_agree_on() -> None:
    shares = cache.read_table(FOLDER / "04_overlap_shares.csv")
    assert set(shares["dataset"]) == {"fmnist"}
    assert shares["seed"].nunique() == 5
    means = shares.pivot_table("share", "part", "batch").round()
    claimed = {"any": 80, "confidence": 50, "mc_dropout": 44, "entropy": 40, "coreset": 15}
    claimed |= {"uncertainty": 9, "soft-max": 9, "diversity": 7}
    assert means["policy"][list(claimed)].to_dict() == claimed
    assert means["random"]["any"] == 29
    experts = means.loc[list(PAPER_EXPERTS)]
    assert experts["policy"].idxmin() == "coreset"
    assert experts["policy"].mean() > 2 * experts["random"].mean()
    early, late = (shares.query(f"batch == 'policy' and labels {x}") for x in ("< 100", ">= 200"))
    found = [part.groupby("part")["share"].mean().round() for part in (early, late)]
    assert [part["any"] for part in found] == [85, 75]
    assert [part["ensemble"] for part in found] == [33, 35]


def test_over_six_sets_of_runs_only_the_ends_are_told_apart() -> None:
    settings = yaml.safe_load((FOLDER / "../../params/cpu/12_statistics.yaml").read_text())
    tables = [cache.read_table(FOLDER / "../.." / name) for name in settings["curves"]]
    runs = ranks.shared(ranks.collected(tables, settings["policy"]))
    mean = ranks.mean_ranks(runs)
    claimed = {"mc_dropout": 2.33, "ensemble": 2.33, "badge": 3.17, "confidence": 3.5}
    claimed |= {"policy": 3.83, "entropy": 5.83, "random": 7.33, "coreset": 7.67}
    assert mean.round(2).to_dict() == claimed
    assert ranks.friedman(runs) == pytest.approx(3e-5, rel=0.2)
    apart = ranks.critical_difference(len(mean), len(ranks.blocks(runs)))
    assert round(apart, 2) == 4.29
    ahead = {(a, b) for a in mean.index for b in mean.index if mean[b] - mean[a] > apart}
    best = ("mc_dropout", "ensemble")
    assert ahead == {(a, b) for a in best for b in ("random", "coreset")} | {("badge", "coreset")}
    matrix = ranks.penalty_matrix(runs)
    beating = {"policy": 2.7, "mc_dropout": 3.05, "badge": 3.05, "ensemble": 2.85}
    assert matrix.loc[list(beating), "random"].to_dict() == pytest.approx(beating)
    losses = {
        "mc_dropout": 0.6,
        "confidence": 0.45,
        "ensemble": 0.4,
        "coreset": 0.2,
        "entropy": 0.2,
    }
    beaten = matrix["policy"].drop("mean")
    assert beaten[beaten > 0].to_dict() == pytest.approx(losses)
    assert not matrix.loc["policy", ["mc_dropout", "ensemble", "badge", "confidence"]].any()
    lost = matrix.T["mean"]
    assert lost[["entropy", "coreset"]].min() > 2 * lost["policy"]


def test_policies_help_a_well_trained_classifier_and_mislead_a_badly_trained_one() -> None:
    curves = cache.read_table(FOLDER / "10_own_pool_curves.csv")
    unit = ["dataset", "strategy"]
    table = metrics.paired_tests(curves).set_index(unit)
    margin = own_pool.summary(own_pool.gains(curves)).set_index(unit)["margin"].round(3)
    assert (table["seeds"] == 20).all()
    for steps, name, *claimed in (
        (200, "mnist-cnn", 0.696, 0.019, 0.006),
        (200, "generalist", 0.697, 0.019, 0.010),
        (50, "mnist-cnn", 0.609, -0.035, 0.021),
        (50, "generalist", 0.630, -0.014, 0.010),
    ):
        row = f"fmnist-10k, {steps} steps", name
        assert [*table.loc[row, ["aubc", "gain"]].astype(float).round(3), margin[row]] == claimed
    assert table.xs("random", level="strategy")["aubc"].round(3).tolist() == [0.677, 0.644]
    p = table["p_holm"]
    assert p.xs("mnist-cnn", level="strategy").max() < 0.001
    assert p.xs("generalist", level="strategy").round(3).tolist() == [0.001, 0.007]


def test_a_policy_gains_at_every_width_that_is_not_refused() -> None:
    widths = own_pool.summary(
        own_pool.gains(cache.read_table(FOLDER / "16_embedding_widths_curves.csv"))
    )
    assert (widths["seeds"] == 20).all()
    assert (widths["gain"] > widths["margin"]).all()
    pooled = widths[widths["strategy"] == "pool"]
    assert pooled["width"].tolist() == [64, 128, 256, 512]
    assert pooled["gain"].round(3).tolist() == [0.023, 0.028, 0.026, 0.021]
    assert pooled["margin"].between(0.010, 0.013).all()


def test_the_class_free_policy_gains_from_its_own_width_on() -> None:
    curves = cache.read_table(FOLDER / "class_free/16_embedding_widths_curves.csv")
    adapted = own_pool.summary(own_pool.gains(curves))
    pooled = adapted.query("strategy == 'pool'")
    sure = pooled[pooled["gain"] > pooled["margin"]]
    assert (pooled["seeds"] == 10).all()
    assert sure["width"].tolist() == [128, 256, 512]
    assert sure["gain"].round(3).tolist() == [0.016, 0.019, 0.026]
    others = adapted.query("strategy == 'signs'")
    assert (others["gain"] < others["margin"]).all()
