"""From calibrated reflectance to what a model reads: crop, bin, absorbance, scatter correction, mask."""

import dataclasses
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from hsichem._base import InputError
from hsichem.cubes.cube import Cube
from hsichem.cubes.stored import changed

REFLECTANCE_FLOOR = 1e-3  # three absorbance units: below it the camera sees only its own noise
PIXELS = 10**6  # of all images together, that are enough to measure a scale on


def crop_and_bin(cube: Cube, crop_nm: tuple | None = None, bin: int = 1) -> Cube:
    """Keep the bands within crop_nm = (low, high) nm, then average runs of `bin` bands.

    The paper keeps the bands from 750 nm on and averages them in pairs: 300 bands become 62.
    Bands left over at the long end, fewer than `bin`, are dropped; either end of crop_nm may be None.
    Raises InputError when no band is left.
    """
    low, high = crop_nm or (None, None)
    keep = (cube.wavelengths >= (low or 0)) & (cube.wavelengths <= (high or np.inf))
    bands = keep.sum() // bin
    if bands == 0:
        raise InputError(
            f"cube {cube.name!r}: {keep.sum()} bands lie within {low}-{high} nm, too few for bins of {bin}; "
            f"the cube covers {cube.wavelengths[0]:.0f}-{cube.wavelengths[-1]:.0f} nm."
        )
    if bin == 1 and keep.all():
        return cube  # one on disk stays there
    first = np.flatnonzero(keep)[0]
    used = slice(first, first + bands * bin)  # wavelengths ascend, so the kept bands are one run
    shape = cube.values.shape[:2]
    return dataclasses.replace(
        cube,
        values=cube.values[:, :, used].reshape(*shape, bands, bin).mean(axis=3),
        wavelengths=cube.wavelengths[used].reshape(bands, bin).mean(axis=1),
    )


def absorbance(reflectance: np.ndarray) -> np.ndarray:
    """log10(1 / R), any shape. Reflectance below 0.001 counts as 0.001: noise has no logarithm."""
    return np.log(np.maximum(reflectance, REFLECTANCE_FLOOR)) * (-1 / np.log(10)).item()  # numpy's log10 is slower


def make_pipeline(steps: str | None):
    """Spectra (n, bands) -> spectra, as a scikit-learn Pipeline.

    steps: "absorbance", "snv" (standard normal variate), "msc" (multiplicative scatter correction), "sg1" and "sg2"
    (Savitzky-Golay first and second derivative, 11 bands, second order), joined by "+" in the order of use; None
    leaves reflectance as it is. Only MSC learns from other spectra, its reference: the mean of those it is fitted on.
    (Rinnan, van den Berg and Engelsen 2009, doi 10.1016/j.trac.2009.07.007.)
    Raises InputError for a step that is not known.
    """
    from chemotools.derivative import SavitzkyGolay
    from chemotools.scatter import MultiplicativeScatterCorrection, StandardNormalVariate
    from sklearn.pipeline import make_pipeline as chain
    from sklearn.preprocessing import FunctionTransformer

    known = {
        "absorbance": lambda: FunctionTransformer(absorbance),
        "snv": StandardNormalVariate,
        "msc": MultiplicativeScatterCorrection,
        "sg1": lambda: SavitzkyGolay(window_length=11, polyorder=2, deriv=1),
        "sg2": lambda: SavitzkyGolay(window_length=11, polyorder=2, deriv=2),
    }
    names = steps.split("+") if steps else []
    if unknown := [name for name in names if name not in known]:
        raise InputError(f"preprocessing {steps!r}: unknown step {unknown[0]!r}; known: {', '.join(known)}.")
    return chain(*([known[name]() for name in names] or [FunctionTransformer()]))  # without a function: the identity


def smooth(cube: Cube, sigma: float) -> Cube:
    """Gaussian filter of every band, sigma in pixels, within the foreground only; the background is set to 0."""
    inside = cube.foreground.astype(np.float32)
    weight = ndimage.gaussian_filter(inside, sigma, mode="constant")
    summed = ndimage.gaussian_filter(cube.values * inside[:, :, None], (sigma, sigma, 0), mode="constant")
    values = np.divide(summed, weight[:, :, None], where=cube.foreground[:, :, None], out=np.zeros_like(summed))
    return dataclasses.replace(cube, values=values)


@dataclass(frozen=True)
class NoiseScale:
    """Each band less its mean, in units of its pixel noise. centre, noise: (bands,) reflectance."""

    centre: np.ndarray
    noise: np.ndarray

    @classmethod
    def of(cls, cubes: list[Cube]) -> "NoiseScale":
        """Measured on calibration images: nothing of a test image may decide its scale.

        The noise comes from differences of neighbours along the rows, as median absolute value (borders do not count);
        one factor for all bands makes the pixels' standard deviation 1.
        Raises InputError when neighbours are the same in a band.
        """
        each = -(-sum(int(cube.foreground.sum()) for cube in cubes) // PIXELS)
        pixels, steps = [], []
        for cube in cubes:
            values, inside = np.asarray(cube.values), cube.foreground
            pixels.append(values[inside][::each])
            row, col = (index[::each] for index in np.nonzero(inside[:, 1:] & inside[:, :-1]))
            steps.append(values[row, col + 1] - values[row, col])
        pixels = np.concatenate(pixels)
        centre, noise = pixels.mean(axis=0, dtype=np.float64), np.median(np.abs(np.concatenate(steps)), axis=0)
        if not (noise > 0).all():
            raise InputError(
                f"{(noise == 0).sum()} bands have no noise at all in {len(steps)} images; crop them first."
            )
        noise *= ((pixels - centre) / noise).std()
        return cls(centre, noise)

    def apply(self, cube: Cube) -> Cube:
        """The cube in this scale; the background is 0."""
        return changed(cube, self._scaled)

    def _scaled(self, values: np.ndarray, inside: np.ndarray) -> np.ndarray:
        return np.where(inside[..., None], (values - self.centre) / self.noise, 0).astype(np.float32)


def scale_by_noise(cubes: dict, fit_on) -> dict:
    """Cubes by id -> the same in the NoiseScale of the ids in fit_on, so that a network hears the quiet bands best."""
    scale = NoiseScale.of([cubes[name] for name in fit_on])
    return {name: scale.apply(cube) for name, cube in cubes.items()}
