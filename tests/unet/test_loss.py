"""The loss against loops over pixels, and against its quirks worked out by hand."""

import numpy as np
import pytest
import torch

from hsichem import InputError
from hsichem.unet.loss import PUBLISHED_WEIGHTS, TERMS, map_losses

ONES = dict.fromkeys(TERMS, 1.0)


@pytest.fixture
def maps():
    g = torch.Generator().manual_seed(0)
    p = torch.randn(3, 1, 7, 6, generator=g) * 80 + 40
    m = torch.rand(3, 1, 7, 6, generator=g) > 0.3
    return p, m, torch.tensor([30.0, 40.0, 50.0])


def by_loops(p, m, y, variant, pitch):
    """The formulas of the paper's code, one pixel at a time."""
    p, m, y = p[:, 0].double().numpy(), m[:, 0].numpy(), y.numpy()
    terms = {name: [] for name in ("mse", "smoothness", "out_of_bounds")}
    for b, (rows, cols) in ((b, p.shape[1:]) for b in range(len(p))):
        inside = [(i, j) for i in range(rows) for j in range(cols) if m[b, i, j]]
        terms["mse"].append((np.mean([p[b, i, j] for i, j in inside]) - y[b]) ** 2)
        out = sum(max(-p[b, i, j], 0) ** 2 + max(p[b, i, j] - 100, 0) ** 2 for i, j in inside)
        terms["out_of_bounds"].append(out if variant == "published" else out / len(inside))
        if variant == "published":
            first = [(i, j) for i, j in inside if i < rows - 1 and j < cols - 1]
            squares = [(p[b, i + 1, j] - p[b, i, j]) ** 2 + (p[b, i, j + 1] - p[b, i, j]) ** 2 for i, j in first]
            terms["smoothness"].append(np.mean(squares))
        else:
            total = 0
            for di, dj in ((1, 0), (0, 1)):
                pairs = [(i, j) for i, j in inside if (i + di, j + dj) in inside]
                total += np.mean([(p[b, i + di, j + dj] - p[b, i, j]) ** 2 for i, j in pairs]) / pitch**2
            terms["smoothness"].append(total)
    return {name: np.mean(values) for name, values in terms.items()}


@pytest.mark.parametrize("variant", ["published", "corrected"])
def test_terms_equal_loops_over_pixels(maps, variant):
    got = map_losses(*maps, ONES, variant, pitch_mm=0.6)
    for name, value in by_loops(*maps, variant, pitch=0.6).items():
        assert float(got[name]) == pytest.approx(value, rel=1e-5)


def test_terms_are_weighted_and_summed(maps):
    weights = torch.nn.Conv2d(2, 3, 3).requires_grad_(False)
    plain = map_losses(*maps, ONES, parameters=weights.parameters())
    weighted = map_losses(*maps, PUBLISHED_WEIGHTS, parameters=weights.parameters())
    assert float(plain["l2"]) == pytest.approx(float((weights.weight**2).sum()))  # biases stay out
    for name in TERMS:
        assert float(weighted[name]) == pytest.approx(PUBLISHED_WEIGHTS[name] * float(plain[name]), rel=1e-6)
    assert float(weighted["total"]) == pytest.approx(sum(float(weighted[name]) for name in TERMS), rel=1e-6)


def test_published_out_of_bounds_grows_with_the_mask_and_corrected_does_not():
    for side, published in ((8, 0.064), (996, 992.016)):
        p = torch.full((1, 1, side, side), -1.0)
        m = torch.ones_like(p, dtype=torch.bool)
        args = (p, m, torch.tensor([50.0]), PUBLISHED_WEIGHTS)
        assert float(map_losses(*args)["out_of_bounds"]) == pytest.approx(published, rel=1e-4)
        assert float(map_losses(*args, "corrected")["out_of_bounds"]) == pytest.approx(1e-3, rel=1e-4)


def test_white_noise_costs_four_variances():
    p = torch.randn(1, 1, 400, 400, generator=torch.Generator().manual_seed(1)) * 3
    m = torch.ones_like(p, dtype=torch.bool)
    assert float(map_losses(p, m, torch.zeros(1), ONES)["smoothness"]) == pytest.approx(36, rel=0.03)


def test_background_leaks_into_the_published_smoothness_alone():
    p = torch.zeros(1, 1, 8, 8)
    m = torch.zeros_like(p, dtype=torch.bool)
    m[..., 2:6, 2:6] = True
    p[~m] = 50.0
    assert float(map_losses(p, m, torch.zeros(1), ONES)["smoothness"]) == pytest.approx(8 * 50**2 / 16)
    assert float(map_losses(p, m, torch.zeros(1), ONES, "corrected")["smoothness"]) == 0


def test_corrected_smoothness_does_not_depend_on_the_resolution():
    def at(pitch):
        y, x = torch.meshgrid(*[torch.arange(0, 20, pitch)] * 2, indexing="ij")
        p = (50 + 20 * torch.sin(x / 3) * torch.cos(y / 4))[None, None]
        m = torch.ones_like(p, dtype=torch.bool)
        return {
            v: float(map_losses(p, m, torch.zeros(1), ONES, v, pitch_mm=pitch)["smoothness"])
            for v in ("published", "corrected")
        }

    fine, coarse = at(0.1), at(0.2)
    assert coarse["corrected"] == pytest.approx(fine["corrected"], rel=0.03)
    assert coarse["published"] == pytest.approx(4 * fine["published"], rel=0.03)


@pytest.mark.parametrize("variant", ["published", "corrected"])
def test_gradients_equal_finite_differences(variant):
    g = torch.Generator().manual_seed(2)
    p = (torch.randn(2, 1, 4, 5, generator=g, dtype=torch.float64) * 80 + 40).requires_grad_()
    m = torch.ones_like(p, dtype=torch.bool)
    y = torch.tensor([20.0, 60.0], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda q: map_losses(q, m, y, ONES, variant)["total"], p)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mask": torch.zeros(3, 1, 7, 6, dtype=torch.bool)}, "empty"),
        ({"mask": torch.ones(7, 6, dtype=torch.bool)}, r"both \(B, 1, H, W\)"),
        ({"reference": torch.ones(2)}, r"expected \(3,\)"),
        ({"variant": "improved"}, '"published" or "corrected"'),
        ({"weights": {"mse": 1.0}}, "expected exactly"),
    ],
)
def test_bad_input_is_named(maps, change, message):
    p, m, y = maps
    arguments = {"prediction": p, "mask": m, "reference": y, "weights": ONES}
    with pytest.raises(InputError, match=message):
        map_losses(**(arguments | change))


def test_the_held_out_term_is_the_distance_from_a_reading_over_its_noise(maps):
    p, m, y = maps
    reading, noise = p + torch.randn(p.shape, generator=torch.Generator().manual_seed(1)), torch.tensor([1.0, 2.0, 4.0])
    four = map_losses(p, m, y, PUBLISHED_WEIGHTS)
    five = map_losses(p, m, y, PUBLISHED_WEIGHTS | {"held_out": 7.0}, reading=reading, noise=noise)
    inside = [((p - reading)[b][m[b]] ** 2).double().mean() / noise[b] ** 2 for b in range(3)]
    assert five["held_out"].item() == pytest.approx(7 * np.mean(inside), rel=1e-5)
    assert set(four) == {*TERMS, "total"} and all(four[name] == five[name] for name in TERMS)
    assert five["total"].item() == pytest.approx((four["total"] + five["held_out"]).item(), rel=1e-6)


def test_a_held_out_weight_needs_a_reading(maps):
    p, m, y = maps
    with pytest.raises(InputError, match=r"a weight for held_out and a reading of None; expected \(3, 1, 7, 6\)"):
        map_losses(p, m, y, ONES | {"held_out": 1.0})


def test_a_term_of_weight_0_is_told_and_takes_no_backward_pass(maps):
    unused = torch.ones(2, 2, requires_grad=True)  # by all terms but the size of the weights
    losses = map_losses(*maps, PUBLISHED_WEIGHTS | {"l2": 0.0}, parameters=[unused])
    assert float(losses["l2"]) == 0 and not losses["l2"].requires_grad
    assert map_losses(*maps, PUBLISHED_WEIGHTS, parameters=[unused])["l2"].requires_grad
