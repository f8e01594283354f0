"""An image that is read some lines at a time, for those that are larger than memory."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

from hsichem.cubes import Cube


@dataclass(frozen=True)
class Lines:
    """shape: (rows, cols, bands); read(start, stop): these lines as a Cube, calibrated where the image has to be."""

    shape: tuple[int, int, int]
    read: Callable[[int, int], Cube]

    @classmethod
    def of(cls, cube: Cube) -> "Lines":
        """Those of an image in memory."""

        def read(start, stop):
            mask = None if cube.mask is None else cube.mask[start:stop]
            return dataclasses.replace(cube, values=cube.values[start:stop], mask=mask)

        return cls(cube.values.shape, read)
