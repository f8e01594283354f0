"""Images as the published network reads them."""

import numpy as np
import pytest

from hsichem import Cube, InputError
from hsichem.unet.weights import published_input


def test_the_published_input_is_a_frame_of_edge_spectra():
    values = np.random.default_rng(0).uniform(size=(5, 4, 300)).astype(np.float32)
    mask = np.ones((5, 4), bool)
    mask[0] = False
    frame = published_input(Cube(values, np.interp(np.arange(300), [0, 175.5, 299], [386, 750, 1015]), mask), 9, 8)
    pairs = values[:, :, 176:].reshape(5, 4, 62, 2).mean(axis=3)
    np.testing.assert_allclose(frame.values[2:7, 2:6], pairs, rtol=1e-6)
    edge = np.concatenate([pairs[:, 0], pairs[:, -1]]).mean(axis=0)
    outside = np.ones((9, 8), bool)
    outside[2:7, 2:6] = False
    np.testing.assert_allclose(frame.values[outside], np.broadcast_to(edge, (52, 62)), rtol=1e-5)
    assert frame.mask[3:7, 2:6].all() and frame.mask.sum() == 16
    for wrong in ((5, 4, 299), (10, 4, 300)):
        with pytest.raises(InputError, match=r"expected at most \(9, 8, 300\)"):
            published_input(Cube(np.zeros(wrong), np.arange(wrong[2]) + 1.0), 9, 8)
