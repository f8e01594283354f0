"""The network against one built naively: Conv3d stem, upsampling before the 1x1 convolution."""

import pickle
import sys
import warnings
from bisect import bisect_left
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from hsichem import Cube, InputError
from hsichem.unet import network
from hsichem.unet.network import AT_ONCE, ChemicalUNet, Ensemble, Stem
from hsichem.unet.predict import predict_map
from hsichem.unet.weights import load_published


def naive(model, x, depth, padding, align_corners):
    """The same weights in the textbook order, looked up by their published names."""
    state = dict(model.named_parameters())

    def conv(x, name, pad=0):
        return F.conv2d(x, state[f"models.1.{name}.weight"], state[f"models.1.{name}.bias"], padding=pad)

    def block(x, name):
        return F.relu(conv(F.relu(conv(x, f"{name}.0", padding)), f"{name}.3", padding))

    x = F.conv3d(x[:, None], state["models.0.conv.weight"], state["models.0.conv.bias"], stride=(1, 2, 2))[:, 0]
    skips = [block(x, "first_convs")]
    for k in range(1, depth + 1):
        skips.append(block(F.max_pool2d(skips[-1], 2), f"contraction{k}.conv_block"))
    x = skips[-1]
    for k in range(depth, 0, -1):
        x = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=align_corners)(x)
        x = F.relu(conv(x, f"expansion{k}.upsample.up.1"))
        skip = skips[k - 1]
        trim = (skip.shape[2] - x.shape[2]) // 2
        skip = skip[:, :, trim : skip.shape[2] - trim, trim : skip.shape[3] - trim]
        x = block(torch.cat([skip, x], dim=1), f"expansion{k}.conv_block")
    return conv(x, "last_conv")


def randomise_biases(model):
    for p in model.parameters():
        if p.ndim == 1:
            nn.init.normal_(p, std=0.3)


def test_the_published_network_has_its_parameters_and_names():
    state = ChemicalUNet().state_dict()
    assert len(state) == 48
    assert sum(t.numel() for t in state.values()) == 28_973_342
    stem = {f"models.0.conv.{p}" for p in ("weight", "bias")}
    names = ["first_convs.0", "first_convs.3", "last_conv"]
    names += [f"contraction{k}.conv_block.{i}" for k in range(1, 5) for i in (0, 3)]
    names += [f"expansion{k}.conv_block.{i}" for k in range(1, 5) for i in (0, 3)]
    names += [f"expansion{k}.upsample.up.1" for k in range(1, 5)]
    assert set(state) == stem | {f"models.1.{n}.{p}" for n in names for p in ("weight", "bias")}


@pytest.mark.parametrize("align_corners", [True, False])
@pytest.mark.parametrize(
    ("padding", "depth", "rows", "cols"),
    [("same", 2, 24, 40), ("same", 3, 33, 16), ("valid", 1, 48, 41), ("valid", 2, 88, 97)],
)
def test_outputs_and_gradients_equal_the_naive_network(padding, depth, rows, cols, align_corners):
    torch.manual_seed(0)
    model = ChemicalUNet(bands=11, width=4, depth=depth, padding=padding, align_corners=align_corners)
    randomise_biases(model)
    x = torch.rand(2, 11, rows, cols)
    ours = model(x)
    assert ours.shape == (2, 1, model.output_size(rows), model.output_size(cols))
    our_gradients = torch.autograd.grad((ours**2).sum(), list(model.parameters()))
    theirs = naive(model, x, depth, int(padding == "same"), align_corners)
    their_gradients = torch.autograd.grad((theirs**2).sum(), list(model.parameters()))
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5 * float(theirs.detach().abs().max()))
    for a, b in zip(our_gradients, their_gradients, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4 * float(b.abs().max()))


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_the_stem_of_many_bands_is_the_published_convolution_and_grows_with_their_number(memory_format):
    """Not with its square, as it does where all bands are convolved with all."""
    torch.manual_seed(0)
    stem, work = Stem(), []
    for bands in (AT_ONCE + 7, 2 * AT_ONCE + 6, 4 * AT_ONCE + 6, 8 * AT_ONCE + 6):
        x = torch.rand(2, bands, 8, 6).to(memory_format=memory_format).requires_grad_()
        with FlopCounterMode(display=False) as counter:
            ours = stem(x)
        work.append(counter.get_total_flops())
        theirs = stem.conv(x[:, None])[:, 0]
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
        assert ours.is_contiguous(memory_format=memory_format)
        inputs = [x, *stem.parameters()]
        gradients = [torch.autograd.grad((out**2).sum(), inputs) for out in (ours, theirs)]
        for a, b in zip(*gradients, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4 * float(b.abs().max()))
    assert work[3] == 2 * work[2] == 4 * work[1]


@pytest.fixture
def in_strips(monkeypatch):
    """Every layer counts as large, and is made in strips of a few rows."""
    for name, value in {"LARGE": 0, "LARGE_IN_TRAINING": 0, "STRIP": 2000}.items():
        monkeypatch.setattr(network, name, value)


@pytest.mark.parametrize(("padding", "depth", "rows", "cols"), [("same", 2, 72, 41), ("valid", 2, 104, 97)])
def test_strips_change_neither_outputs_nor_gradients(in_strips, padding, depth, rows, cols):
    test_outputs_and_gradients_equal_the_naive_network(padding, depth, rows, cols, True)


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_a_map_in_strips_is_the_same_map(scene, padding, monkeypatch, request):
    torch.manual_seed(0)
    model = ChemicalUNet(bands=9, width=4, depth=2, padding=padding)
    randomise_biases(model)
    whole = predict_map(model, scene)
    request.getfixturevalue("in_strips")
    np.testing.assert_allclose(predict_map(model, scene), whole, rtol=1e-5, atol=1e-5 * np.abs(whole).max())


def test_strips_repeat_the_mixed_precision_of_the_way_forward(monkeypatch, request):
    torch.manual_seed(0)
    model, x = ChemicalUNet(bands=11, width=4, depth=1, padding="same"), torch.rand(1, 11, 64, 40)

    def gradients():
        with torch.autocast("cpu", torch.bfloat16):
            out = model(x)
        assert out.dtype == torch.bfloat16
        return [out.float(), *torch.autograd.grad(out.float().square().mean(), list(model.parameters()))]

    whole = gradients()
    request.getfixturevalue("in_strips")
    for a, b in zip(gradients(), whole, strict=True):
        torch.testing.assert_close(a, b, rtol=0.02, atol=0.02 * float(b.detach().abs().max()))


def test_weights_start_kaiming_normal_over_the_inputs_and_biases_at_zero():
    torch.manual_seed(0)
    for name, p in ChemicalUNet(width=16, depth=2).named_parameters():
        if p.ndim == 1:
            assert (p == 0).all(), name
        elif p.numel() > 500:
            assert float(p.detach().std()) == pytest.approx((2 / p[0].numel()) ** 0.5, rel=0.1), name


def test_the_memory_format_is_kept_and_does_not_change_the_map():
    """One image as it lies in a cube, (rows, cols, bands): every layer must run in that order, without a copy."""
    torch.manual_seed(0)
    model = ChemicalUNet(bands=11, width=4, depth=2, padding="same")
    randomise_biases(model)
    x = torch.rand(24, 40, 11).permute(2, 0, 1)[None]
    formats = []
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d) and layer.out_channels > 1:
            layer.register_forward_hook(
                lambda _, args, out: formats.append(out.is_contiguous(memory_format=torch.channels_last))
            )
    with torch.no_grad():
        as_it_lies = model(x)
        assert formats and all(formats)
        formats.clear()
        contiguous = model(x.contiguous())
        assert not any(formats)
    torch.testing.assert_close(as_it_lies, contiguous, rtol=1e-5, atol=1e-5 * float(contiguous.abs().max()))


def test_a_bf16_map_is_within_two_percent_of_its_range(scene):
    torch.manual_seed(0)
    model = ChemicalUNet(bands=9, width=4, depth=1, padding="same")
    exact, mixed = predict_map(model, scene), predict_map(model, scene, dtype=torch.bfloat16)
    assert 0 < np.abs(mixed - exact).max() < 0.02 * np.abs(exact).max()


def test_published_sizes():
    model = ChemicalUNet(width=1)
    assert (model.output_size(2360), model.output_size(1272)) == (996, 452)
    assert model.margin == 92
    for size, nearest in ((2362, "2360 and 2392"), (100, "376")):
        with pytest.raises(InputError, match=nearest):
            model.output_size(size)


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_every_size_called_fitting_runs_and_no_other_does(padding, depth):
    model = ChemicalUNet(bands=7, width=1, depth=depth, padding=padding)
    for size in range(2, 140):
        try:
            expected = model.output_size(size)
        except InputError:
            if padding == "valid":
                with pytest.raises(Exception):  # noqa: B017 - torch has several kinds for it
                    out = naive(model, torch.rand(1, 7, size, size), depth, 0, True)
                    assert 0 < out.shape[2] == size // 2 - 2 * model.margin
            continue
        assert model(torch.rand(1, 7, size, size)).shape[2:] == (expected, expected)


@pytest.mark.parametrize(("depth", "side", "seen"), [(1, 128, 40), (4, 1024, 440)])
def test_a_map_pixel_sees_as_many_rows_as_published_and_as_the_lesson_says(depth, side, seen):
    model = ChemicalUNet(bands=7, width=1, depth=depth, padding="same")
    for p in model.parameters():
        nn.init.constant_(p, 0.1 if p.ndim > 1 else 0)  # nothing cancels, no ReLU is shut

    @torch.no_grad()
    def reaches(rows):
        x = torch.zeros(1, 7, side, side)
        x[:, :, rows] = 1
        return bool(model(x)[0, 0, side // 4, side // 4] != 0)

    first = bisect_left(range(side), True, key=lambda r: reaches(slice(0, r + 1)))
    after = bisect_left(range(side), True, key=lambda r: not reaches(slice(r, side)))
    assert after - first == seen


def test_wrong_arguments_are_named():
    with pytest.raises(InputError, match='"valid" or "same"'):
        ChemicalUNet(padding="mirror")
    with pytest.raises(InputError, match=r"expected \(B, 9, H, W\)"):
        ChemicalUNet(bands=9, width=1, depth=1)(torch.zeros(1, 8, 48, 48))


@pytest.fixture
def scene():
    rng = np.random.default_rng(0)
    return Cube(rng.random((61, 83, 9), dtype=np.float32), np.arange(9.0))


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_a_tiled_map_equals_the_whole_one_without_aligned_corners(scene, padding):
    torch.manual_seed(1)
    model = ChemicalUNet(bands=9, width=3, depth=2, padding=padding, align_corners=False)
    whole = predict_map(model, scene)
    assert whole.shape == (30, 41)
    assert np.isfinite(whole).all()
    for tile in (8, 12, 16):
        np.testing.assert_allclose(predict_map(model, scene, tile=tile), whole, rtol=1e-5, atol=1e-5 * whole.std())


def test_a_valid_map_lies_over_the_middle_of_a_mirrored_image(scene):
    model = ChemicalUNet(bands=9, width=2, depth=1, padding="valid")
    padded = np.pad(scene.values[:60, :80], ((16, 16), (16, 16), (0, 0)), mode="reflect")
    by_hand = model(torch.from_numpy(padded).permute(2, 0, 1)[None])[0, 0].detach().numpy()
    cube = Cube(scene.values[:60, :80], scene.wavelengths)
    np.testing.assert_allclose(predict_map(model, cube), by_hand[:30, :40], rtol=1e-5, atol=1e-6)


def test_tiles_without_foreground_are_not_predicted(scene):
    model = ChemicalUNet(bands=9, width=2, depth=1, padding="same", align_corners=False)
    mask = np.zeros((61, 83), bool)
    mask[:16, :16] = True
    out = predict_map(model, Cube(scene.values, scene.wavelengths, mask), tile=8)
    assert np.isfinite(out[:8, :8]).all()
    assert np.isnan(out[8:]).all()
    assert np.isnan(out[:, 8:]).all()


def test_weights_make_the_round_trip(tmp_path, scene):
    members = [ChemicalUNet(bands=9, width=2, depth=2) for _ in range(2)]
    save_file(members[0].state_dict(), tmp_path / "a.safetensors")
    torch.save(members[1].state_dict(), tmp_path / "b.pt")
    expected = [predict_map(m, scene) for m in members]
    np.testing.assert_array_equal(predict_map(load_published(tmp_path / "a.safetensors"), scene), expected[0])
    np.testing.assert_array_equal(predict_map(load_published(tmp_path / "b.pt"), scene), expected[1])
    both = load_published(tmp_path)
    assert isinstance(both, Ensemble)
    np.testing.assert_allclose(predict_map(both, scene), np.mean(expected, axis=0), rtol=1e-5, atol=1e-6)


class Bomb:
    def __reduce__(self):
        return (open, ("bomb-went-off", "w"))


def test_files_that_are_not_plain_weights_are_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bomb.pt").write_bytes(pickle.dumps(Bomb(), protocol=2))
    (tmp_path / "short.safetensors").write_bytes(b"12")
    state = ChemicalUNet(bands=9, width=2, depth=1).state_dict()
    torch.save(Bomb(), tmp_path / "bomb2.pt")
    save_file({"models.1.first_convs.0.weight": state["models.1.first_convs.0.weight"]}, tmp_path / "part.safetensors")
    save_file({"other": torch.zeros(2)}, tmp_path / "other.safetensors")
    (tmp_path / "empty").mkdir()
    for name, message in {
        "bomb.pt": "cannot be read",
        "bomb2.pt": "cannot be read",
        "short.safetensors": "cannot be read",
        "part.safetensors": "models.0.conv.weight: missing",
        "other.safetensors": "no first layer",
        "empty": "holds no",
        "nowhere.pt": "not a file",
    }.items():
        with pytest.raises(InputError, match=message):
            load_published(tmp_path / name)
    assert not (tmp_path / "bomb-went-off").exists()


def test_other_band_counts_are_refused(scene):
    with pytest.raises(InputError, match="has 9 bands; the network takes 62"):
        predict_map(ChemicalUNet(width=1), scene)


def test_a_bounded_output_is_the_sigmoid_of_the_unbounded_one_in_percent():
    torch.manual_seed(3)
    free, bounded = (ChemicalUNet(bands=9, width=2, depth=1, padding="same", bounded=b) for b in (False, True))
    bounded.load_state_dict(free.state_dict())
    x = 5 * torch.randn(1, 9, 16, 16)
    torch.testing.assert_close(bounded(x), 100 / (1 + torch.exp(-free(x))))


def test_published_weights_warn_of_other_wavelengths(tmp_path):
    save_file(ChemicalUNet(width=1, depth=1).state_dict(), tmp_path / "a.safetensors")
    values = np.random.default_rng(0).random((20, 20, 62), dtype=np.float32)
    own = ChemicalUNet(width=1, depth=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        predict_map(load_published(tmp_path / "a.safetensors"), Cube(values, np.linspace(752, 1013, 62)))
        predict_map(own, Cube(values, np.linspace(1100, 1670, 62)))
    for model in (load_published(tmp_path / "a.safetensors"), load_published(tmp_path)):
        with pytest.warns(UserWarning, match="covers 1100-1670 nm; the network was trained on 750-1015 nm"):
            predict_map(model, Cube(values, np.linspace(1100, 1670, 62)))


def test_a_name_on_the_hub_is_fetched_with_weights_alone(tmp_path, monkeypatch):
    save_file(ChemicalUNet(bands=9, width=2, depth=1).state_dict(), tmp_path / "fold1.safetensors")
    asked = []

    def snapshot_download(name, allow_patterns):
        asked.append((name, allow_patterns))
        return str(tmp_path)

    monkeypatch.setitem(sys.modules, "huggingface_hub", SimpleNamespace(snapshot_download=snapshot_download))
    assert len(load_published("Sm00thix/unet_chemical_map").members) == 1
    assert asked == [("Sm00thix/unet_chemical_map", ["*.safetensors", "*.pt", "*.pth"])]
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(InputError, match=r"is not a local file or folder; to download it: pip install .hsichem\[hub\]"):
        load_published("Sm00thix/unet_chemical_map")
