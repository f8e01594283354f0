"""Maps that know nothing of a sample but its mean, and pass for good ones."""

import numpy as np
from scipy import ndimage

from hsichem.maps.variogram import masked_values


def null_maps(reference_map, mask, mean: float, seed: int) -> dict[str, np.ndarray]:
    """Three maps that know nothing of the sample but its mean, and still look spatially correlated.

    reference_map: (rows, cols), the truth, or the best there is; mask: (rows, cols) bool; mean: wanted in the mask.
    Returns (rows, cols) float32 maps, NaN outside the mask, each with the mean given and the reference's standard
    deviation in the mask: "blurred noise" (white noise, Gaussian filter), "ramp" (a tilted plane) and
    "truth rotated" (by 180 degrees in the mask's bounding box, its edge values carried to where the mask has no pair).
    Raises InputError as `masked_values` does.
    """
    values = masked_values(reference_map, mask)
    sigma = max(2.0, 0.05 * np.sqrt(values.size))  # pixels; well above one, well below the sample
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal(mask.shape), sigma)
    rows, cols = np.indices(mask.shape)
    nearest = ndimage.distance_transform_edt(~mask, return_distances=False, return_indices=True)
    box = ndimage.find_objects(mask.astype(np.uint8))[0]
    rotated = np.asarray(reference_map, dtype=np.float64)[tuple(nearest)]
    rotated[box] = rotated[box][::-1, ::-1].copy()

    nulls = {}
    for name, null in {"blurred noise": noise, "ramp": rows + cols, "truth rotated": rotated}.items():
        inside = null[mask] - null[mask].mean()
        spread = inside.std()
        nulls[name] = np.full(mask.shape, np.nan, dtype=np.float32)
        nulls[name][mask] = mean + inside * (values.std() / spread if spread > 0 else 0)
    return nulls
