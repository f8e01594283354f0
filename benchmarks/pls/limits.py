"""How many new spectra of the calibration's own kind lie beyond the 95 % limits of T2 and Q: 5 % would be right.

python benchmarks/pls/limits.py [--trials 40]

Simulated: 4 normal sources on 30 bands and normal noise; each calibration is tried on 500 new spectra. Beside ours,
from held-out samples: the three limits of Q that chemotools takes from the calibration's own residuals, and its T2.
Found with 40 trials: beyond our limits 4 to 6 %, beyond chemotools' T2 4 to 21 % and beyond its Q 6 to 62 %.
"""

import argparse
import warnings

import numpy as np
from chemotools.outliers import HotellingT2, QResiduals
from sklearn.cross_decomposition import PLSRegression
from tqdm import tqdm

from hsichem.pls.diagnostics import t2_and_q, t2_and_q_limits
from hsichem.pls.model import fit_pls

BANDS, SOURCES, NEW = 30, 4, 500
METHODS = ("chi-square", "percentile", "jackson-mudholkar")


def spectra(rng, n, loadings):
    """(n, BANDS) spectra and the content (n,) of the first source."""
    scores = rng.normal(size=(n, SOURCES))
    return 0.5 + scores @ loadings + rng.normal(0, 0.01, (n, BANDS)), scores[:, 0] + rng.normal(0, 0.1, n)


def alarms(rng, n, components):
    """Shares of new spectra beyond each limit: our T2 and Q, chemotools' T2, its Q by each method."""
    loadings = 0.05 * rng.normal(size=(SOURCES, BANDS))
    x, y = spectra(rng, n, loadings)
    new, _ = spectra(rng, NEW, loadings)
    ours, theirs = fit_pls(x, y, n_components=components), PLSRegression(components, scale=False).fit(x, y)
    found = [HotellingT2(theirs).fit(x), *(QResiduals(theirs, method=method).fit(x) for method in METHODS)]
    beyond = (t2_and_q(ours, new) > t2_and_q_limits(ours, x, y)).mean(axis=0)
    return [*beyond, *((each.predict(new) == -1).mean() for each in found)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=40)
    trials = parser.parse_args().trials
    warnings.filterwarnings("ignore", module="chemotools")
    columns = ("our T2", "our Q", "T2", *(f"Q {method}" for method in METHODS))
    print(f"{'samples':>8}{'components':>12}" + "".join(f"{name:>20}" for name in columns))
    for n in (40, 100, 200):
        for components in (3, 6, 12):
            rng = np.random.default_rng(n)
            rates = np.mean([alarms(rng, n, components) for _ in tqdm(range(trials), leave=False)], axis=0)
            print(f"{n:8}{components:12}" + "".join(f"{rate:20.1%}" for rate in rates))


if __name__ == "__main__":
    main()
