"""Small images with known contents, and a model of each kind that was fitted on them."""

from types import SimpleNamespace

import numpy as np
import torch

from hsichem import Cube
from hsichem.cubes import NoiseScale
from hsichem.lab import Model, facts_of
from hsichem.maps import Tuned
from hsichem.pls import fit_penalised, fit_pls, t2_and_q_limits
from hsichem.unet import TrainConfig, build_network

NM = np.linspace(800, 1000, 12)
CONTENTS = np.linspace(10, 60, 8)
BAND = np.exp(-(((NM - 930) / 30) ** 2))  # where the constituent absorbs


def image(content, seed=0, shape=(24, 20), nm=NM, pitch=1.0, band=BAND):
    """Stripes of more and less around a content, % w/w, on a dark frame of two pixels."""
    rng, (rows, cols) = np.random.default_rng(seed), shape
    inside = np.zeros(shape, bool)
    inside[2:-2, 2:-2] = True
    inside[np.ix_((2, -3), (2, -3))] = False  # as an automatic mask leaves them out
    map_ = content + 8 * np.sign(np.sin(np.arange(rows) / 3))[:, None] * np.ones(cols)
    values = 0.5 - 0.003 * map_[:, :, None] * band + rng.normal(0, 0.002, (*shape, len(nm)))
    return Cube(np.where(inside[:, :, None], values, 0.05), nm, inside, pitch, f"c{seed}")


def calibration(preprocessing=None):
    """(cubes, spectra, PLS, reader, facts) of eight images."""
    cubes = [image(content, seed) for seed, content in enumerate(CONTENTS)]
    spectra = np.array([cube.mean_spectrum() for cube in cubes])
    pls = fit_pls(spectra, CONTENTS, n_components=2, preprocessing=preprocessing)
    reader = fit_penalised(spectra, CONTENTS, cubes, penalty=0.01)
    entry = {"layout": "captures", "licence": "none", "folder": "/home/me/meat"}
    images = SimpleNamespace(
        response="fat", unit="% w/w", crop_nm=(790, None), bin=1, colour_limits=(0.0, 100.0), name="toy", title="Toys",
        entry=entry,
    )  # fmt: skip
    facts = facts_of(images, cubes, CONTENTS) | {"mean_errors": np.linspace(-2, 2, 20).tolist()}
    return cubes, spectra, pls, reader, facts | {"metrics": {"mean": {"rmsep": 1.5, "rmsep_interval": [1.0, 2.0]}}}


def models(preprocessing=None):
    """{method: Model}: PLS, a filtered linear model, two networks."""
    cubes, spectra, pls, reader, facts = calibration(preprocessing)
    limits = t2_and_q_limits(pls, spectra, CONTENTS)
    common = {"reader": reader, "guard": pls, "limits": limits}
    tuned = Tuned("penalised 0.01", "total variation", 1.0, 2.5, 1.0, 2.0)
    shape = {"width": 4, "depth": 1, "padding": "same", "align_corners": False, "bounded": True}
    config = TrainConfig(**shape, weights=TrainConfig().weights | {"held_out": 100.0})
    networks = tuple(build_network(config, len(NM), fold) for fold in (1, 2))
    with torch.no_grad():  # untrained: at least not all near one end
        for network in networks:
            network.models[1].last_conv.weight *= 0.02
    scale = NoiseScale.of(cubes)
    return {
        "PLS": Model("PLS", facts, linear=pls, **common),
        "linear total variation": Model("linear total variation", facts, linear=reader, tuned=tuned, **common),
        "U-Net": Model(
            "U-Net", facts, networks=networks, config=config, scale=scale, tuned=tuned, weight=0.4, **common
        ),
    }
