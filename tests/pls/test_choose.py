"""The choice of preprocessing and component count: against the rule written out, and on meat."""

import numpy as np
import pytest

from hsichem import Cube, InputError, datasets
from hsichem.pls.choose import CANDIDATES, choose_pls, linear_models
from hsichem.pls.model import cross_validate, deal_folds, fit_pls
from hsichem.pls.penalised import fit_penalised


@pytest.fixture
def scattered():
    """Spectra (60, 30) whose path length varies much more than the content y (60,), so that scatter must go first."""
    rng = np.random.default_rng(0)
    bands = np.linspace(0, 1, 30)
    absorbed = np.exp(-(((bands - 0.4) / 0.1) ** 2))
    y = rng.uniform(0, 10, 60)
    path, offset = rng.uniform(0.5, 2, (60, 1)), rng.uniform(-0.2, 0.2, (60, 1))
    absorbance = path * (0.4 + bands**2 / 2 + 0.02 * y[:, None] * absorbed) + offset
    return 10 ** -(absorbance + rng.normal(0, 0.0005, absorbance.shape)), y


def test_it_finds_the_preprocessing_that_the_spectra_were_made_for(scattered):
    choice = choose_pls(*scattered, candidates=(None, "absorbance", "absorbance+snv"), repeats=2)
    assert choice.preprocessing == "absorbance+snv" and choice.lowest[0] == "absorbance+snv"
    assert choice.cv is choice.curves["absorbance+snv"]


def test_the_choice_is_the_one_standard_error_rule_over_all_pairs(scattered):
    spectra, y = scattered
    y = y + np.random.default_rng(1).normal(0, 2, 60)  # makes several candidates equally good
    groups, candidates = np.repeat(np.arange(20), 3), (None, "sg1", "absorbance", "snv", "msc")
    choice = choose_pls(spectra, y, groups, candidates, 8, repeats=3, seed=5)
    folds = deal_folds(60, groups, 5, repeats=3)
    pairs = []
    for order, name in enumerate(candidates):
        cv = cross_validate(spectra, y, folds, 8, name)
        pairs += [(cv.loss[a], cv.loss_error[a], a + 1, order) for a in range(8)]
    lowest = min(pairs)
    limit = lowest[0] + lowest[1]
    assert choice.lowest == (candidates[lowest[3]], lowest[2]) and choice.limit == pytest.approx(limit)
    fewest = min(pair[2] for pair in pairs if pair[0] <= limit)
    tied = [pair for pair in pairs if pair[0] <= limit and pair[2] == fewest]
    assert (choice.preprocessing, choice.n_components) == (candidates[min(tied)[3]], fewest)
    assert len({pair[3] for pair in pairs if pair[0] <= limit}) > 1  # or the case would be too easy


def test_the_table_says_why(scattered):
    choice = choose_pls(*scattered, candidates=(None, "absorbance+snv", "sg1"), repeats=1)
    table = choice.table()
    lines = table.splitlines()[1:]
    assert [line.split()[0] for line in lines[:3]] == sorted(
        ("reflectance", "absorbance+snv", "sg1"),
        key=lambda name: choice.curves[None if name == "reflectance" else name].loss.min(),
    )
    lowest = np.sqrt(choice.curves[choice.lowest[0]].loss.min())
    assert f"The lowest error, {lowest:.3f} " in table and f"are {choice.n_components}, with absorbance+snv" in table


def test_every_candidate_can_be_fitted(scattered):
    choice = choose_pls(*scattered, max_components=2, repeats=1)
    assert set(choice.curves) == set(CANDIDATES)


def test_the_linear_models_for_a_map_are_those_that_a_fit_gives(scattered):
    spectra, y = scattered
    rng = np.random.default_rng(2)
    cubes = [Cube(spectrum + rng.normal(0, 0.01, (8, 8, 30)), np.arange(30.0)) for spectrum in spectra]
    choice = choose_pls(spectra, y, candidates=(None, "absorbance+snv"), max_components=4, repeats=1)
    reader = fit_penalised(spectra, y, cubes)
    models = linear_models(choice, reader, spectra, y)
    counts = [f"PLS {count}, {name}" for name in ("absorbance+snv", "reflectance") for count in (1, 2, 3, 4)]
    prices = ("0.001", "0.00316", "0.01", "0.03162", "0.1")
    assert list(models) == [*counts, *(f"penalised {price}" for price in prices)]
    rmsecv, model = models["PLS 3, reflectance"]
    again = fit_pls(spectra, y, n_components=3)
    assert rmsecv == choice.curves[None].rmsecv[2]
    np.testing.assert_allclose(model.predict(spectra), again.predict(spectra), rtol=1e-8)
    rmsecv, model = models["penalised 0.01"]
    assert rmsecv == reader.rmsecv[0.01] and model.penalty == 0.01


def test_spectra_and_reference_values_must_match(scattered):
    with pytest.raises(InputError, match="expected"):
        choose_pls(scattered[0][:40], scattered[1])


@pytest.fixture(scope="module")
def meat(mirror):
    """Tecator: absorbance (216, 100) and fat, water, protein (216, 3) in % w/w."""
    samples = datasets.open_dataset("tecator").samples
    spectra = np.array([-np.log10(sample.load().values[0, 0].astype(float)) for sample in samples])
    return spectra, np.array([[sample.references[name] for name in ("fat", "water", "protein")] for sample in samples])


def test_fat_in_meat(meat):
    """216 distinct samples, SNV, 12 components: RMSECV near 2 % w/w."""
    spectra, contents = meat
    assert len(np.unique(spectra, axis=0)) == 216
    cv = choose_pls(spectra, contents[:, 0], candidates=("snv",), repeats=5).cv
    assert 1.8 < cv.rmsecv[11] < 2.4
    assert cv.rmsecv[11] < 0.8 * choose_pls(spectra, contents[:, 0], candidates=(None,), repeats=1).cv.rmsecv[11]


def test_three_contents_of_meat_at_once(meat):
    """One model of three keeps what binds them: fat, water and protein nearly add up to 100 %."""
    spectra, contents = meat
    model = fit_pls(spectra, contents, n_components=12, preprocessing="snv")
    predicted = model.predict(spectra)
    assert predicted.shape == contents.shape
    errors = np.sqrt(np.mean((predicted - contents) ** 2, axis=0))
    alone = [np.std(fit_pls(spectra, y, n_components=12, preprocessing="snv").predict(spectra) - y) for y in contents.T]
    assert (errors < 1.6 * np.array(alone)).all() and (errors < 0.25 * contents.std(axis=0)).all()
    assert predicted.sum(axis=1).std() < 1.5 * contents.sum(axis=1).std()
