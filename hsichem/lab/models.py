"""A fitted model with all that it needs to map a new image, and what is known of how well it does."""

import hashlib
import json
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hsichem._base import InputError
from hsichem.cubes import Cube, NoiseScale, crop_and_bin, whole_blocks
from hsichem.lab.model_files import HANDED_OVER, LINEAR, read_folder, sha256_of_weights, write_folder
from hsichem.maps import Tuned, held_out_square, looks_of, with_mean
from hsichem.pls import LinearModel, PLSModel, t2_and_q

LEVEL = 0.95  # of the prediction interval
FAR = 1.5  # times brighter or darker than all calibration images
UNLIKE = 3  # times the limit of T2 or Q, which one sample in twenty of the same kind passes
# Of networks whose training the files do not tell.
PUBLISHED = {"response": "fat", "unit": "% w/w", "wavelengths": None, "crop_nm": None, "bin": 1, "mask": "brightness"}
PUBLISHED |= {"pitch_mm": None, "reflectance": None, "references": [0, 100], "colour_limits": [0, 100]}
PUBLISHED |= {"data": None, "metrics": None, "mean_errors": []}


def facts_of(images, cubes: list[Cube], reference) -> dict:
    """What a model's folder says of its calibration.

    images: the Dataset; cubes: its calibration images as the model read them; reference: (n,) their values.
    mean_errors, (m,) predicted less reference of test images, and metrics are for the caller to add.
    """
    first, entry = cubes[0], images.entry
    told = json.dumps({key: value for key, value in entry.items() if key != "folder"}, sort_keys=True)
    version = hashlib.sha256(told.encode()).hexdigest()[:12]
    brightness = [float(cube.mean_spectrum().mean()) for cube in cubes]
    return {
        "response": images.response,
        "unit": images.unit,
        "wavelengths": first.wavelengths.tolist(),
        "crop_nm": images.crop_nm and list(images.crop_nm),
        "bin": images.bin,
        "mask": entry.get("mask", "brightness" if entry["layout"] == "captures" else "none"),
        "pitch_mm": first.pitch_mm,
        "reflectance": [min(brightness), max(brightness)],
        "references": [float(np.min(reference)), float(np.max(reference))],
        "colour_limits": list(images.colour_limits),
        "data": {"name": images.name, "title": images.title, "licence": entry["licence"], "version": version},
        "metrics": None,
        "mean_errors": [],
    }


@dataclass(frozen=True)
class Model:
    """One of three: a linear model, such a model with a filter, or networks with theirs.

    method: its name; facts: of `facts_of`. linear, or networks with the settings `config` that built them and the
    `scale` of their input. tuned: the filter; then, and for networks, a map pixel is a block of 2 x 2 image pixels.
    reader: an unbiased linear model, for the held-out error; a network's mean is mixed with its mean by `weight`.
    guard, limits: a PLS model and its limits of T2 and Q for mean spectra. checksum: of the folder it was read from.
    """

    method: str
    facts: dict
    linear: LinearModel | None = None
    tuned: Tuned | None = None
    networks: tuple = ()
    config: object = None
    scale: NoiseScale | None = None
    reader: LinearModel | None = None
    weight: float = 0.0
    guard: PLSModel | None = None
    limits: tuple | None = None
    checksum: str = ""

    def __post_init__(self):
        if (self.linear is None) == (not self.networks):
            raise InputError(f"model {self.method!r}: expected either a linear model or networks.")
        if any(np.ndim(each.intercept) for each in (self.linear, self.reader, self.guard) if each):
            raise InputError(f"model {self.method!r} predicts several responses; fit one for each.")

    def map(self, cube: Cube) -> np.ndarray:
        """A calibrated cube -> float32 map in facts["unit"], NaN outside the mask.

        The cube has the model's bands, or those of the camera, which are then cropped and averaged as in calibration.
        The map is (rows, cols) where `step` is 1, (rows // 2, cols // 2) where it is 2: whole blocks in the mask count.
        Warns of another pitch, brightness, spectrum or content than in calibration. Raises InputError for other
        wavelengths or a mask without a pixel.
        """
        cube = self.prepared(cube)
        spectrum = cube.mean_spectrum()
        map_ = self.finished(self.seen(cube), cube.foreground, spectrum)
        self.check_range(spectrum, float(np.nanmean(map_, dtype=np.float64)))
        return map_

    @property
    def step(self) -> int:
        """Side of a map pixel in image pixels."""
        return 1 if self.linear and not self.tuned else 2

    @property
    def halo(self) -> int | None:
        """Rows around a strip of the image that its map depends on; None where it depends on the whole image."""
        if self.linear:
            return 0
        network = self.networks[0]
        return 2 * (7 * 2**network.depth + network.margin)  # see hsichem.unet.predict.windows

    @property
    def unit(self) -> int:
        """Where strips may begin: every so many rows, that blocks and poolings lie as in the whole image."""
        return 2 if self.linear else 2 * 2 ** self.networks[0].depth

    def prepared(self, cube: Cube) -> Cube:
        """The cube with the model's bands. Raises InputError where it has others; warns of another pitch."""
        want = np.array(self.facts["wavelengths"])
        if len(cube.wavelengths) != len(want):
            cube = crop_and_bin(cube, self.facts["crop_nm"], self.facts["bin"])
        have, who = cube.wavelengths, f"cube {cube.name!r}"
        if len(have) != len(want):
            raise InputError(
                f"{who}: {len(have)} bands of {have[0]:.0f}-{have[-1]:.0f} nm, cropped and averaged as in calibration; "
                f"{self.method} was fitted on {len(want)} bands of {want[0]:.0f}-{want[-1]:.0f} nm. Map images of the "
                "same camera and binning, or fit a model on these."
            )
        off, spacing = np.abs(have - want), np.ptp(want) / max(len(want) - 1, 1)
        at, most = int(off.argmax()), float(off.max())
        if most > spacing / 2:
            raise InputError(
                f"{who}: its wavelengths differ from those of {self.method} by up to {most:.1f} nm, {have[at]:.1f} for "
                f"{want[at]:.1f} nm, with bands {spacing:.1f} nm apart; fit a model on images of this camera."
            )
        if most > spacing / 10:
            self._warn(f"{who}: its wavelengths differ from those of {self.method} by up to {most:.1f} nm.")
        pitch, known = cube.pitch_mm, self.facts["pitch_mm"]
        if pitch and known and not 0.9 < pitch / known < 1.1:
            self._warn(f"{who}: pixel pitch {pitch:g} mm; {self.method} was fitted at {known:g} mm.")
        return cube

    def seen(self, cube: Cube) -> np.ndarray:
        """What the model makes of prepared pixels, before anything looks at the map as a whole.

        (rows, cols) of a linear model; (looks, rows // 2, cols // 2) of networks.
        """
        if self.linear:
            return self.linear.predict_map(cube)
        from hsichem.unet import predict_looks, predict_map

        cube = self.scale.apply(cube) if self.scale else cube
        if self.networks[0].by_looks:
            return np.mean([predict_looks(network, cube) for network in self.networks], axis=0)
        return np.mean([predict_map(network, cube) for network in self.networks], axis=0)[None]

    def finished(self, seen: np.ndarray, mask: np.ndarray, spectrum: np.ndarray) -> np.ndarray:
        """The map, of what `seen` returned, the image's mask, and its mean spectrum (bands,)."""
        if self.step == 1:
            return seen
        grid = whole_blocks(mask)
        if not grid.any():
            raise InputError(
                f"the mask has {mask.sum()} pixels, but no block of 2 x 2; {self.method} maps such blocks."
            )
        looks = looks_of(seen) if self.linear else seen
        map_ = self.tuned.apply(looks, grid) if self.tuned else np.where(grid, looks.mean(axis=0), np.nan)
        if self.networks and self.reader:
            mean = map_[grid].mean()
            mean += self.weight * (self.reader.predict(spectrum[None])[0] - mean)
            map_ = with_mean(map_, grid, mean)
        return map_.astype(np.float32, copy=False)

    def check_range(self, spectrum: np.ndarray, mean: float) -> None:
        """Warns where spectrum (bands,), its brightness or the predicted mean are not as those of calibration were."""
        if self.unlike(spectrum):
            t2, q = self.beyond(spectrum)
            self._warn(
                f"mean spectrum unlike those of the calibration images: T2 is {t2:.2g} and Q {q:.2g} times its limit. "
                "Do not trust this map."
            )
        low, high = self.facts["reflectance"] or (0, np.inf)
        if not low / FAR <= (bright := spectrum.mean()) <= high * FAR:
            self._warn(
                f"mean reflectance {bright:.3g}; the calibration images have {low:.3g} to {high:.3g}. "
                "Is the image calibrated, and its mask on the sample?"
            )
        low, high = self.facts["references"]
        if not low <= mean <= high:
            beyond = low - mean if mean < low else mean - high
            self._warn(
                f"mean {mean:.3g} {self.facts['unit']}, {beyond:.2g} beyond the references of {low:.3g} to {high:.3g}."
            )

    def interval(self, mean: float) -> tuple[float, float] | None:
        """Prediction interval for the mean of an image like the test images, or None: 95 % needs 19 of them.

        Split conformal: no distribution is assumed (Lei et al. 2018, doi 10.1080/01621459.2017.1307116).
        """
        errors = sorted(map(abs, self.facts["mean_errors"]))
        rank = int(np.ceil(LEVEL * (len(errors) + 1) - 1e-9))
        return None if rank > len(errors) else (mean - errors[rank - 1], mean + errors[rank - 1])

    def beyond(self, spectrum: np.ndarray) -> tuple[float, float] | None:
        """T2 and Q of a mean spectrum (bands,) over their limits: above 1 it is unlike the calibration images."""
        if not self.guard or not self.limits:
            return None
        return tuple((t2_and_q(self.guard, spectrum[None])[0] / self.limits).tolist())

    def unlike(self, spectrum: np.ndarray) -> bool:
        """Whether a mean spectrum (bands,) is far beyond the limits: nothing is then known of the map's error."""
        return max(self.beyond(spectrum) or (0,)) > UNLIKE

    def held_out(self, seen: np.ndarray, reading: np.ndarray, mask: np.ndarray) -> float | None:
        """Held-out error of the map's blocks of 2 x 2 pixels; None for networks that were not trained on hidden pixels.

        seen: of `seen`; reading: (rows, cols) map of the reader; mask: (rows, cols).
        """
        looks, grid = looks_of(seen) if self.linear else seen, whole_blocks(mask)
        if len(looks) < 2 or not grid.any():
            return None
        looks = self.tuned.apply_to_looks(looks, grid) if self.tuned else looks
        square, _ = held_out_square(looks, looks_of(reading), grid)
        return float(np.sqrt(max(square, 0.0)))

    def _warn(self, text: str) -> None:
        warnings.warn(text, stacklevel=4)


class PublishedModel(Model):
    """The published networks: 300 bands in, framed as they were trained (see hsichem.unet.published_input)."""

    halo = None

    def prepared(self, cube: Cube) -> Cube:
        return cube

    def seen(self, cube: Cube) -> np.ndarray:
        from hsichem.unet import published_input

        frame = published_input(cube)
        found = super().seen(frame)
        place = []
        for side, n in zip(frame.values.shape[:2], cube.values.shape[:2], strict=True):
            first = ((side - n) // 2 + 1) // 2  # an odd margin moves the map by half of its pixels
            place.append(slice(first, first + n // 2))
        return found[:, *place]


def save_model(folder, model: Model) -> Path:
    """Write models/<method>/ into a results folder: model.json and .safetensors files; returns it.

    It holds all that `load_model` needs, and runs nothing when read. Raises InputError where it cannot be written.
    """
    return write_folder(Path(folder), model)


def load_model(path) -> Model:
    """The model in a folder that `save_model` wrote, or published weights: a file, a folder, or a hub's name.

    Raises InputError for a folder without a model, one by a newer hsichem, and files that were changed or are missing.
    """
    path = Path(path)
    if (path / HANDED_OVER).is_file():
        return Model(**read_folder(path))
    if path.is_dir() and (
        inside := sorted(path.glob(f"models/*/{HANDED_OVER}")) or sorted(path.glob(f"*/{HANDED_OVER}"))
    ):
        listed = ", ".join(str(file.parent) for file in inside)
        raise InputError(f"{path} holds {len(inside)} models; give the folder of one: {listed}.")
    files = [path] if path.is_file() else [*path.iterdir()] if path.is_dir() else []
    weights = {file.suffix for file in files} & {".safetensors", ".pt", ".pth"} and path / LINEAR not in files
    hub = len(path.parts) == 2 and not path.is_absolute() and not Path(path.parts[0]).exists()
    if not weights and not hub:
        raise InputError(
            f"{path}: no model there; expected a folder with {HANDED_OVER}, as the notebooks write into models/ of a "
            "results folder, published weights, or the name of a hub's repository, owner/name."
        )
    from hsichem.unet import load_published

    network = load_published(path)
    return PublishedModel("U-Net published", PUBLISHED, networks=(network,), checksum=sha256_of_weights(network))
