import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from mpl_toolkits.axes_grid1.anchored_artists import AnchoredSizeBar

from hsichem import InputError
from hsichem.lab import plotting
from hsichem.lab.plotting import (
    BACKGROUND,
    MAP_COLOURS,
    OVER,
    UNDER,
    show_maps,
    show_spectra,
    show_variograms,
    use_style,
)
from hsichem.maps import Variogram

RNG = np.random.default_rng(0)
MAPS = {"truth": RNG.uniform(0, 100, (40, 60)), "U-Net": RNG.uniform(-50, 150, (16, 26))}
LAGS = np.arange(1, 11)


def images(fig):
    return [ax.images[0] for ax in fig.axes if ax.images]


def test_maps_share_one_scale_and_keep_outside_colours_apart():
    fig = show_maps(MAPS, limits=(0, 100))
    first, second = images(fig)
    assert first.norm is second.norm and (first.norm.vmin, first.norm.vmax) == (0, 100)
    under, over, background = (np.array(to_rgb(c)) for c in (UNDER, OVER, BACKGROUND))
    scale = MAP_COLOURS(np.linspace(0, 1, 256))[:, :3]
    assert all(np.abs(scale - c).max(axis=1).min() > 0.15 for c in (under, over, background))
    # drawn: what colour a pixel of each kind gets
    drawn = second.cmap(second.norm([-1e-3, 100.001]))[:, :3]
    np.testing.assert_allclose(drawn, [under, over])
    colorbar = fig.axes[-1]
    assert colorbar.get_ylabel() == "fat (% w/w)" and colorbar._colorbar.extend == "both"


def test_a_truth_that_nobody_knows_has_no_panel():
    fig = show_maps({"unknown": None} | MAPS | {"binned": None}, pitch_mm=0.8)
    assert [ax.get_title() for ax in fig.axes if ax.images] == list(MAPS)
    assert [image.get_array().shape for image in images(fig)] == [(40, 60), (16, 26)]


def test_background_is_not_a_value():
    mask = np.zeros((40, 60), bool)
    mask[5:20, 5:20] = True
    (image,) = images(show_maps({"truth": MAPS["truth"]}, mask))
    np.testing.assert_array_equal(np.ma.getmaskarray(image.get_array()), ~mask)
    np.testing.assert_allclose(image.to_rgba(image.get_array())[0, 0, :3], to_rgb(BACKGROUND))


@pytest.mark.parametrize(("pitch", "length"), [(0.8, 10), (0.4, 5), (0.15, 2)])
def test_scale_bar_is_as_long_as_it_says(pitch, length):
    fig = show_maps(MAPS, pitch_mm={"truth": pitch, "U-Net": 2 * pitch})
    (bar,) = [a for ax in fig.axes for a in ax.artists if isinstance(a, AnchoredSizeBar)]
    (line,) = bar.size_bar.get_children()
    assert bar.txt_label.get_text() == f"{length} mm" and line.get_width() == length
    fig.canvas.draw()
    ax, image = fig.axes[0], images(fig)[0]
    # the patch's transform takes the unit square to the screen
    drawn = np.diff(line.get_transform().transform([(0, 0), (1, 0)])[:, 0])[0]
    left, right = ax.transData.transform([(image.get_extent()[0], 0), (image.get_extent()[1], 0)])[:, 0]
    assert drawn / (right - left) == pytest.approx(length / (60 * pitch))


def test_maps_of_any_resolution_are_drawn_at_one_physical_size():
    fig = show_maps(MAPS, pitch_mm={"truth": 0.8, "U-Net": 1.6})
    fig.canvas.draw()
    per_mm = [ax.transData.transform([(0, 0), (1, 0)])[:, 0] for ax in fig.axes[:2]]
    assert np.diff(per_mm[0])[0] == pytest.approx(np.diff(per_mm[1])[0])
    extents = [image.get_extent() for image in images(fig)]
    assert [right - left for left, right, *_ in extents] == pytest.approx([48, 41.6])


def test_maps_refuse_a_wrong_mask_and_half_known_pitch():
    with pytest.raises(InputError, match="'U-Net' is \\(16, 26\\), its mask \\(40, 60\\)"):
        show_maps(MAPS, np.ones((40, 60), bool))
    with pytest.raises(InputError, match="a pitch for every map"):
        show_maps(MAPS, pitch_mm={"truth": 0.8, "U-Net": None})
    assert not plt.get_fignums()


def test_variograms_are_in_mm_where_the_pitch_is_known():
    fit = Variogram("exponential", 2.0, 6.0, 5.0)
    fig = show_variograms(
        {"PLS": (LAGS, fit(LAGS), fit), "U-Net": (LAGS, fit(LAGS), fit)}, pitch_mm={"PLS": 0.5, "U-Net": None}
    )
    pls, unet = fig.axes
    assert (pls.get_xlabel(), unet.get_xlabel()) == ("distance (mm)", "distance (pixels)")
    assert pls.get_ylabel() == "semivariance ((% w/w)²)"
    np.testing.assert_allclose(pls.lines[0].get_xdata(), LAGS * 0.5)
    for ax in (pls, unet):
        points, curve, nugget, sill = ax.lines
        np.testing.assert_allclose(np.interp(points.get_xdata(), *curve.get_data()), points.get_ydata(), rtol=1e-2)
        assert nugget.get_ydata() == [2, 2] and sill.get_ydata() == [8, 8]


def test_the_style_has_the_palette():
    with matplotlib.rc_context():
        use_style()
        names = ("BLUE", "VERMILLION", "GREEN", "ORANGE", "PURPLE", "SKY")
        found = [to_rgb(colour) for colour in plt.rcParams["axes.prop_cycle"].by_key()["color"]]
        assert found == [*(to_rgb(getattr(plotting, name)) for name in names), (0, 0, 0)]
        assert plt.rcParams["figure.dpi"] == 110 and plt.rcParams["figure.constrained_layout.use"]


def test_every_figure_is_closed_and_labelled():
    use_style()
    fit = Variogram("gaussian", 0.0, 0.0, float("nan"))  # a flat map must not break the figure
    figures = [
        show_maps(MAPS, pitch_mm=None),
        show_variograms({"flat": (LAGS, np.zeros(10), fit)}),
        show_spectra([900, 950, 1000], {"fat": [0.1, 0.5, 0.2]}),
    ]
    assert not plt.get_fignums()
    for fig in figures:
        fig.canvas.draw()
    for fig in figures[1:]:
        assert all(ax.get_xlabel() and ax.get_ylabel() for ax in fig.axes)
