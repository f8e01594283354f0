"""The verdict on made-up runs in which each kind of method wins, with and without the truth; names do not matter."""

import pytest

from hsichem.maps import find_verdict

# pixel RMSE, RMSEP, held-out error
BASE = {"base": (17.0, 2.0, 24.0), "smooth": (8.0, 2.3, 9.0), "sharp": (13.0, 2.4, 14.0), "net": (11.0, 1.5, 12.0)}


def run_of(errors, truth=True, opponent="smooth", width=0.05):
    """metrics.json of a run with these errors; every interval is its number, give or take `width` of it."""

    def around(name, value):
        return {name: value, f"{name}_interval": [value * (1 - width), value * (1 + width)]}

    methods = {
        name: {
            "mean": {"rmsep": rmsep},
            "map": around("pixel_rmse", pixel) if truth else {"outside_share": 0.0},
            "held_out": around("held_out", held_out),
        }
        for name, (pixel, rmsep, held_out) in errors.items()
    }
    difference = {name: {"rmsep_ratio": rmsep / errors["base"][1]} for name, (_, rmsep, _) in errors.items()}
    if truth:
        for name in errors:
            difference[name] |= around("pixel_rmse_ratio", errors[name][0] / errors[opponent][0])
    fitted = {"opponent": opponent, "tuned": {"smooth": {}, "sharp": {}}, "shared_noise": {"excess": 0.005}}
    return {"methods": methods, "difference": difference, "02_pls_maps": fitted}


@pytest.mark.parametrize("truth", [True, False])
@pytest.mark.parametrize("winner", BASE)
def test_the_least_error_wins_whatever_its_kind_and_name(winner, truth):
    errors = BASE | {winner: (5.0, 1.0, 5.0)}
    found = find_verdict(run_of(errors, truth))
    assert (found["method"], found["known"], found["blind"]) == (winner, truth, winner)
    assert next(iter(found["error"])) == winner and sorted(found["error"].values()) == list(found["error"].values())
    assert found["sure"] and found["left_out"] == []
    assert found["error"][winner] == pytest.approx(5.0 if truth else (1 + 25) ** 0.5)


def test_with_the_truth_the_paired_interval_decides():
    found = find_verdict(run_of(BASE | {"net": (7.0, 1.5, 12.0)}))
    assert (found["method"], found["rival"], found["ratio"]) == ("net", "smooth", 7 / 8)
    assert found["interval"] == pytest.approx([7 / 8 * 0.95, 7 / 8 * 1.05]) and found["sure"]
    assert found["blind"] == "smooth"  # whose held-out error is less: wrong
    close = find_verdict(run_of(BASE | {"net": (7.9, 1.5, 12.0)}))
    assert close["method"] == "net" and close["interval"][1] > 1 and not close["sure"]


def test_where_the_opponent_wins_the_pair_is_turned_round():
    found = find_verdict(run_of(BASE))
    assert (found["method"], found["rival"], found["ratio"]) == ("smooth", "net", pytest.approx(8 / 11))
    assert found["interval"] == pytest.approx([8 / 11 / 1.05, 8 / 11 / 0.95]) and found["sure"]


@pytest.mark.parametrize(("second", "sure"), [(7.9, True), (7.1, False)])
def test_a_next_map_that_was_not_paired_has_to_be_apart(second, sure):
    found = find_verdict(run_of(BASE | {"net": (7.0, 1.0, 7.0), "sharp": (second, 1.0, 8.0)}))
    assert list(found["error"])[:2] == ["net", "sharp"] and found["rival"] == "smooth"
    assert found["apart"] is found["sure"] is sure


def test_without_the_truth_held_out_errors_must_be_apart_and_noise_not_shared():
    metrics = run_of(BASE, truth=False)
    found = find_verdict(metrics)
    assert (found["method"], found["rival"], found["interval"]) == ("smooth", None, None) and found["sure"]
    near = find_verdict(run_of(BASE | {"net": (0, 2.3, 9.5)}, truth=False))
    assert list(near["error"])[1] == "net" and not near["sure"]
    metrics["02_pls_maps"]["shared_noise"]["excess"] = 0.05
    assert find_verdict(metrics)["apart"] and not find_verdict(metrics)["sure"]


def test_a_good_map_of_a_wrong_mean_is_not_chosen_without_the_truth():
    assert find_verdict(run_of(BASE | {"net": (4.0, 12.0, 4.0)}, truth=False))["method"] == "smooth"


@pytest.mark.parametrize("truth", [True, False])
def test_networks_that_are_not_trained_are_not_judged(truth):
    errors = BASE | {"net": (1.0, 0.1, 1.0), "other": (2.0, 0.1, 2.0)}
    found = find_verdict(run_of(errors, truth), trained=False)
    assert found["left_out"] == ["net", "other"] and list(found["error"]) == ["smooth", "sharp", "base"]
    assert found["method"] == found["blind"] == "smooth"


def test_there_is_no_verdict_before_maps_are_compared():
    metrics = run_of(BASE)
    assert find_verdict({}) is None and find_verdict(metrics | {"difference": {}}) is None
    alone = {"methods": {"base": metrics["methods"]["base"]}, "difference": {"base": {"rmsep_ratio": 1.0}}}
    found = find_verdict(alone)
    assert (found["method"], found["rival"], found["sure"]) == ("base", None, False)
