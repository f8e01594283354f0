"""What one chapter leaves for the next: metrics.json and the maps, in one folder."""

import glob
import json
from pathlib import Path

import numpy as np

from hsichem._base import InputError, locked, replacing, short


def folder_name(method: str) -> str:
    """The name of a method's folder, for its maps and its model."""
    return method.lower().replace(" ", "-")


class Results:
    """A results folder: metrics.json by section, maps/<method>/<sample>.npy (rows, cols) float32 in % w/w.

    A method's folder is its name in small letters, with "-" for spaces: "PLS smoothed" is in maps/pls-smoothed. The
    section "map_names" has the names as they were.
    """

    def __init__(self, folder):
        self.folder = Path(folder)

    def _maps_of(self, method: str) -> Path:
        return self.folder / "maps" / folder_name(method)

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
        """Keep a map (rows, cols), and its method's name; NaN where nothing was predicted."""
        folder = self._maps_of(method)
        with replacing(folder / f"{sample}.npy") as part, open(part, "wb") as file:
            np.save(file, values.astype(np.float32))
        if self.metrics().get("map_names", {}).get(folder.name) != method:
            self.save("map_names", {folder.name: method})

    def save_figure(self, name: str, figure) -> None:
        """Keep a matplotlib Figure as a PNG file in the folder."""
        with replacing(self.folder / name) as part:
            figure.savefig(part, format="png", bbox_inches="tight")

    def maps(self, method: str) -> dict:
        """Sample id -> map of a method, empty when there is none yet."""
        files = sorted(self._maps_of(method).glob("*.npy"))
        return {file.stem: np.load(file, allow_pickle=False) for file in files}

    def maps_of_sample(self, sample: str) -> dict:
        """Method's name -> its map of a sample; where no name was kept, the folder's own with spaces for "-"."""
        names, found = self.metrics().get("map_names", {}), {}
        for file in sorted(self.folder.glob(f"maps/*/{glob.escape(sample)}.npy")):
            folder = file.parent.name
            found[names.get(folder, folder.replace("-", " "))] = np.load(file, allow_pickle=False)
        return found


def latest_results(run) -> Results:
    """The newest maps of these settings, of a notebook (run.results) or of `hsichem run`; prints whose they are.

    run: of `read_settings`. Without a `results_dir` in the notebook, runs/ here and one folder up count, too.
    """
    mine = {name: getattr(run, name) for name in ("dataset", "preset", "seed")}
    folders = [run.folder]
    if run.results_dir is None:
        folders += [*Path().glob("runs/*"), *Path("..").glob("runs/*")]
    made = {}
    for folder in folders:
        times = [path.stat().st_mtime for path in folder.glob("maps/*/*.npy")]
        if times and Results(folder).metrics().get("settings") == mine:
            made[folder] = max(times)
    if not made:
        print("No maps yet: PLS is fitted here. `make run`, or notebooks 02 and 03, make the others.")
        return run.results
    newest = max(made, key=made.get)
    print(f"Maps of {newest.as_posix()}")
    return Results(newest)
