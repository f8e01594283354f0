"""Which preprocessing, how many components: chosen by repeated cross-validation of the calibration samples alone."""

from dataclasses import dataclass

import numpy as np

from hsichem.pls.model import CrossValidation, checked, cross_validate, deal_folds, fit_pls

CANDIDATES = (
    *(None, "absorbance", "snv", "msc", "sg1", "sg2"),
    *("absorbance+snv", "absorbance+msc", "absorbance+sg1", "absorbance+sg2"),
    *("absorbance+snv+sg1", "absorbance+snv+sg2", "absorbance+sg1+snv"),
)


@dataclass(frozen=True)
class Choice:
    """What was chosen, and all that it was chosen from.

    curves: {preprocessing: CrossValidation} of every candidate, on the same folds.
    lowest: (preprocessing, components) of the lowest loss of all; limit: that loss plus its standard error.
    preprocessing, n_components: of all that have a loss within the limit, those with the fewest components.
    """

    curves: dict[str | None, CrossValidation]
    lowest: tuple[str | None, int]
    limit: float
    preprocessing: str | None
    n_components: int

    @property
    def cv(self) -> CrossValidation:
        """The curve of the chosen preprocessing. Its own `chosen` may differ: that knows no other candidate."""
        return self.curves[self.preprocessing]

    def table(self) -> str:
        """A line for each candidate, the lowest error first, then the sentence that explains the choice.

        Errors are relative: the root of the loss, in standard deviations of the reference values (1: no better than
        their mean), so that one column serves several responses too.
        """
        best, error_of_best = self._at(*self.lowest)
        chosen, _ = self._at(self.preprocessing, self.n_components)
        lines = [f"{'':22}{'lowest error':>13}{'with':>6}{'fewest within the limit':>25}"]
        for name, curve in sorted(self.curves.items(), key=lambda item: item[1].loss.min()):
            within = np.flatnonzero(curve.loss <= self.limit)
            fewest = str(within[0] + 1) if len(within) else "none"
            error, _ = self._at(name, curve.best)
            lines.append(f"{preprocessing_name(name):22}{error:13.3f}{curve.best:6}{fewest:>25}")
        return "\n".join(lines) + (
            f"\nThe lowest error, {best:.3f} ± {error_of_best:.3f}, is that of {preprocessing_name(self.lowest[0])} "
            f"with {self.lowest[1]} components.\nWithin one standard error of it, the fewest components are "
            f"{self.n_components}, with {preprocessing_name(self.preprocessing)} ({chosen:.3f})."
        )

    def _at(self, name, count) -> tuple[float, float]:
        """Root of the loss and its standard error."""
        curve = self.curves[name]
        root = np.sqrt(curve.loss[count - 1])
        return root, curve.loss_error[count - 1] / (2 * root)


def preprocessing_name(preprocessing: str | None) -> str:
    """The name of a preprocessing for readers: None is "reflectance"."""
    return preprocessing or "reflectance"


def choose_pls(
    mean_spectra, y, groups=None, candidates=CANDIDATES, max_components: int = 20, repeats: int = 5, seed: int = 0
) -> Choice:
    """Preprocessing and component count by repeated grouped cross-validation.

    mean_spectra (n, bands), y (n,) or (n, responses), groups (n,): as for `fit_pls`, of the calibration samples; what
    is to test the model must not be among them. candidates: steps as `hsichem.cubes.make_pipeline` takes them.
    Up to ten groups are the folds; more are assigned into ten folds, `repeats` times anew, the same for all candidates.
    All preprocessing happens within the fold. The one-standard-error rule (see `cross_validate`) is applied over all
    pairs of candidate and count; of pairs with equally few components, the lower loss wins.
    The lowest of many errors is too low, for it was chosen for being low: only samples that took no part in the choice
    tell the error of the chosen model (Varma and Simon 2006, doi 10.1186/1471-2105-7-91).
    """
    spectra, y = checked(mean_spectra, y)
    folds = deal_folds(len(y), groups, seed, repeats)
    curves = {name: cross_validate(spectra, y, folds, max_components, name) for name in candidates}
    lowest = min(curves, key=lambda name: curves[name].loss.min())
    at = curves[lowest].best - 1
    limit = curves[lowest].loss[at] + curves[lowest].loss_error[at]
    within = [(a + 1, loss, name) for name, cv in curves.items() for a, loss in enumerate(cv.loss) if loss <= limit]
    n_components, _, preprocessing = min(within, key=lambda pair: pair[:2])
    return Choice(curves, (lowest, at + 1), float(limit), preprocessing, n_components)


def linear_models(choice: Choice, reader, mean_spectra, y) -> dict:
    """{name: (RMSECV, model)} of the linear models to tune for a map: more and less stiff, more and less quiet.

    choice: of `choose_pls`; reader: of `fit_penalised` with a penalty by cross-validation; both of these samples.
    PLS with 1 to 8 components, of reflectance and of the chosen preprocessing; the penalised vector with five prices
    from 0.001 to 0.1.
    """
    models = {}
    for name in dict.fromkeys([choice.preprocessing, *[None][: None in choice.curves]]):
        rmsecv = choice.curves[name].rmsecv
        largest = fit_pls(mean_spectra, y, n_components=min(8, len(rmsecv)), preprocessing=name)
        for count in (c for c in (1, 2, 3, 4, 6, 8) if c <= largest.n_components):
            label = f"PLS {count}, {preprocessing_name(name)}"
            models[label] = float(rmsecv[count - 1]), largest.with_components(count)
    for penalty, rmsecv in reader.rmsecv.items():
        if 5e-4 < penalty < 0.2:
            models[f"penalised {penalty:g}"] = rmsecv, reader.with_penalty(penalty)
    return models
