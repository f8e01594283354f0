"""The Cube: a reflectance spectrum in every pixel, with what is needed to read it."""

from dataclasses import dataclass

import numpy as np

from hsichem._base import InputError


@dataclass(frozen=True)
class Cube:
    """A hyperspectral image.

    values: (rows, cols, bands) float32 reflectance (or transmittance), 1 = the white reference; an array, or one
    OnDisk (see hsichem.cubes.stored).
    wavelengths: (bands,) nm, ascending.
    mask: (rows, cols) bool, True on the sample; None means that every pixel counts.
    pitch_mm: distance between pixel centres, mm; None where it is unknown.

    Raises InputError when the shapes disagree or the wavelengths do not ascend.
    """

    values: np.ndarray
    wavelengths: np.ndarray
    mask: np.ndarray | None = None
    pitch_mm: float | None = None
    name: str = ""

    def __post_init__(self):
        set_ = object.__setattr__  # the dataclass is frozen: a cube is never changed after it is made
        if not hasattr(self.values, "stored"):  # what is OnDisk stays there
            set_(self, "values", np.asarray(self.values, dtype=np.float32))
        set_(self, "wavelengths", np.asarray(self.wavelengths, dtype=np.float64))
        who = f"cube {self.name!r}: "
        if self.values.ndim != 3:
            raise InputError(f"{who}values have shape {self.values.shape}; expected (rows, cols, bands).")
        if self.wavelengths.shape != self.values.shape[2:]:
            raise InputError(
                f"{who}{self.wavelengths.shape} wavelengths for {self.values.shape[2]} bands; give one per band."
            )
        if not (np.isfinite(self.wavelengths).all() and (np.diff(self.wavelengths) > 0).all()):
            raise InputError(f"{who}wavelengths must be finite and ascend; sort the bands first.")
        if self.mask is None:
            return
        set_(self, "mask", np.asarray(self.mask))
        if self.mask.dtype != bool or self.mask.shape != self.values.shape[:2]:
            raise InputError(
                f"{who}mask is {self.mask.dtype} of shape {self.mask.shape}; "
                f"expected bool of shape {self.values.shape[:2]}."
            )

    @property
    def foreground(self) -> np.ndarray:
        """(rows, cols) bool: the mask, or all True where there is none."""
        return np.ones(self.values.shape[:2], bool) if self.mask is None else self.mask

    def mean_spectrum(self) -> np.ndarray:
        """(bands,) float64 mean over the foreground. Raises InputError when the mask is empty."""
        if not self.foreground.any():
            raise InputError(f"cube {self.name!r}: the mask is empty, so there is no spectrum to average.")
        return self.values[self.foreground].mean(axis=0, dtype=np.float64)
