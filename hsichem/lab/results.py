"""What one chapter leaves for the next: metrics.json and the maps, in one folder."""

import json
from pathlib import Path

import numpy as np

from hsichem._base import InputError, locked, replacing, short


class Results:
    """A results folder: metrics.json by section, maps/<method>/<sample>.npy (rows, cols) float32 in % w/w.

    A method's folder is its name in small letters, with "-" for spaces: "PLS smoothed" is in maps/pls-smoothed.
    """

    def __init__(self, folder):
        self.folder = Path(folder)

    def _maps_of(self, method: str) -> Path:
        return self.folder / "maps" / method.lower().replace(" ", "-")

    def metrics(self) -> dict:
        """All sections so far; empty before the first. Raises InputError when metrics.json is not JSON."""
        path = self.folder / "metrics.json"
        if not path.exists():
            return {}
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path} is not valid JSON ({error}); remove it and run the notebooks again.") from None
        for part in (found, *found.values()) if isinstance(found, dict) else (found,):
            if not isinstance(part, dict):
                raise InputError(
                    f"{path} holds {short(part)} where results should be; remove it and run the notebooks again."
                )
        return found

    def save(self, section: str, values: dict) -> None:
        """Add values to a section; numbers must be finite (None says that a figure does not exist)."""
        path = self.folder / "metrics.json"
        with locked(path):  # between reading and writing, another process could add what we would then drop
            metrics = self.metrics()
            metrics[section] = metrics.get(section, {}) | values
            # numpy numbers have item(); what has not is a mistake and raises
            text = json.dumps(metrics, indent=1, allow_nan=False, default=lambda number: number.item())
            with replacing(path) as part:
                part.write_text(text + "\n", encoding="utf-8")

    def save_map(self, method: str, sample: str, values: np.ndarray) -> None:
        """Keep a map (rows, cols); NaN where nothing was predicted."""
        with replacing(self._maps_of(method) / f"{sample}.npy") as part, open(part, "wb") as file:
            np.save(file, values.astype(np.float32))

    def save_figure(self, name: str, figure) -> None:
        """Keep a matplotlib Figure as a PNG file in the folder."""
        with replacing(self.folder / name) as part:
            figure.savefig(part, format="png", bbox_inches="tight")

    def maps(self, method: str) -> dict:
        """Sample id -> map of a method, empty when there is none yet."""
        files = sorted(self._maps_of(method).glob("*.npy"))
        return {file.stem: np.load(file, allow_pickle=False) for file in files}
