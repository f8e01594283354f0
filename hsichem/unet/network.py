"""The networks: a spectral stem and a U-Net of the published layout, names and sizes; and one that sees single pixels.

Source: Engstrøm et al. 2025, doi 10.1002/cem.70041; Ronneberger et al. 2015, arXiv 1505.04597. Two steps are
computed in a cheaper order with the same result (see Stem and Up), and large layers in strips of rows, which saves
memory (see Strips); tests hold them against the naive order.
"""

from collections import OrderedDict

import torch
from torch import nn
from torch.nn import functional as F

from hsichem._base import InputError

KERNEL_BANDS = 7  # of the stem
AT_ONCE = 64  # bands that the stem makes; the published network has 56
LARGE, LARGE_IN_TRAINING = 2**22, 2**24  # a layer of more values is made in strips; in training, that costs time
STRIP = 2**21  # values of a strip


class Stem(nn.Module):
    """Conv3d of one filter over 7 bands x 2 x 2 pixels, stride 2 in space: (B, bands, H, W) -> (B, bands-6, H/2, W/2).

    Conv3d has no fast CPU kernel, so the filter is laid out as a band matrix for conv2d: AT_ONCE bands by themselves,
    for of all bands it would be zeros but for a diagonal, and the work would grow with their number squared. All later
    layers keep the memory format of x: channels_last is faster forwards, contiguous is faster to train (measured on
    CPU).
    """

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv3d(1, 1, (KERNEL_BANDS, 2, 2), stride=(1, 2, 2))

    def forward(self, x):
        # torch asks the strides for the format, which one image, or some of its bands, leave open
        channels_last = x.is_contiguous(memory_format=torch.channels_last)
        starts = range(0, x.shape[1] - KERNEL_BANDS + 1, AT_ONCE)
        parts = [self._some(x[:, start : start + AT_ONCE + KERNEL_BANDS - 1], channels_last) for start in starts]
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)

    def _some(self, x, channels_last):
        out_bands = x.shape[1] - KERNEL_BANDS + 1
        out = torch.arange(out_bands, device=x.device)[:, None]
        weight = x.new_zeros((out_bands, x.shape[1], 2, 2), dtype=self.conv.weight.dtype)
        weight[out, out + torch.arange(KERNEL_BANDS, device=x.device)] = self.conv.weight[0, 0]
        if channels_last:
            weight = weight.contiguous(memory_format=torch.channels_last)
        return F.conv2d(x, weight, self.conv.bias.expand(out_bands), stride=2)


def conv_block(inputs: int, outputs: int, padding: int) -> nn.Sequential:
    """Two 3x3 convolutions with ReLU; named 0 and 3 as in the published weights."""
    first, second = (nn.Conv2d(channels, outputs, 3, padding=padding) for channels in (inputs, outputs))
    layers = {"0": first, "1": nn.ReLU(inplace=True), "3": second, "4": nn.ReLU(inplace=True)}
    return nn.Sequential(OrderedDict(layers))


def in_strips(layers, *images):
    """What the layers make of the images, joined; where that is large, some rows at a time (see Strips).

    layers: a conv_block, what comes after it, and before it a Stem or a pooling, if any.
    """
    last = [each for layer in layers for each in layer.modules() if getattr(each, "kernel_size", 0) == (3, 3)][-1]
    scale = 1 if isinstance(layers[0], nn.Sequential) else 2
    rows, cols = (side // scale - 4 * (not last.padding[0]) for side in images[0].shape[2:])
    row = len(images[0]) * last.out_channels * cols
    if rows * row <= (LARGE_IN_TRAINING if torch.is_grad_enabled() else LARGE):
        return run(layers, images)
    strips, step = [], max(1, STRIP // row)
    for first in range(0, rows, step):
        stop = min(first + step, rows)
        start, end = (max(first - 2, 0), min(stop + 2, rows)) if last.padding[0] else (first, stop + 4)
        strips.append((slice(first, stop), slice(scale * start, scale * end), slice(first - start, stop - start)))
    parameters = [parameter for layer in layers for parameter in layer.parameters()]
    return Strips.apply(layers, strips, len(images), *images, *parameters)


def run(layers, images):
    x = torch.cat(images, dim=1) if len(images) > 1 else images[0]
    for layer in layers:
        x = layer(x)
    return x


class Strips(torch.autograd.Function):
    """Layers, strip by strip: what lies between them is never whole in memory. Backwards it is computed once more."""

    @staticmethod
    def forward(ctx, layers, strips, count, *tensors):
        device = tensors[0].device.type
        ctx.layers, ctx.strips, ctx.parameters = layers, strips, tensors[count:]
        ctx.autocast = device, torch.get_autocast_dtype(device), torch.is_autocast_enabled(device), False
        ctx.save_for_backward(*tensors[:count])
        out = None
        for rows, source, kept in strips:
            part = run(layers, [image[:, :, source] for image in tensors[:count]])
            if out is None:  # in the memory format of its parts
                batch, channels, _, cols = part.shape
                order = ((0, 2, 3, 1), (0, 3, 1, 2)) if part.stride(1) == 1 else ((0, 1, 2, 3),) * 2
                shape = batch, channels, strips[-1][0].stop, cols
                out = part.new_empty([shape[side] for side in order[0]]).permute(order[1])
            out[:, :, rows] = part[:, :, kept]
        return out

    @staticmethod
    def backward(ctx, gradient):
        images, parameters, wanted = ctx.saved_tensors, ctx.parameters, ctx.needs_input_grad[3:]
        sums = [torch.zeros_like(t) if w else None for t, w in zip((*images, *parameters), wanted, strict=True)]
        for rows, source, kept in ctx.strips:
            shown = [i[:, :, source].detach().requires_grad_(w) for i, w in zip(images, wanted, strict=False)]
            with torch.enable_grad(), torch.autocast(*ctx.autocast):
                part = run(ctx.layers, shown)[:, :, kept]
            here = [s if s is None else s[:, :, source] for s in sums[: len(images)]] + sums[len(images) :]
            pairs = [(s, t) for s, t in zip(here, (*shown, *parameters), strict=True) if s is not None]
            found = torch.autograd.grad(part, [t for _, t in pairs], gradient[:, :, rows])
            for (s, _), value in zip(pairs, found, strict=True):
                s += value
        return None, None, None, *sums


class Contraction(nn.Module):
    """Halve the image, double the channels: (B, C, H, W) -> (B, 2C, H/2 - trim, W/2 - trim)."""

    def __init__(self, inputs: int, padding: int):
        super().__init__()
        self.pool, self.conv_block = nn.MaxPool2d(2), conv_block(inputs, 2 * inputs, padding)

    def forward(self, x):
        return in_strips([self.pool, self.conv_block], x)


class Up(nn.Module):
    """Bilinear x 2, 1x1 convolution, ReLU: (B, 2C, H, W) -> (B, C, 2H, 2W).

    The 1x1 convolution is done first, on a quarter of the pixels: bilinear weights sum to 1, so the two commute.
    """

    def __init__(self, outputs: int, align_corners: bool):
        super().__init__()
        self.align_corners = align_corners
        self.up = nn.Sequential(OrderedDict([("1", nn.Conv2d(2 * outputs, outputs, 1))]))

    def forward(self, x):
        x = F.interpolate(self.up(x), scale_factor=2, mode="bilinear", align_corners=self.align_corners)
        return F.relu_(x)


class Expansion(nn.Module):
    """Double the image and join the last skip, cropped at its centre: (B, 2C, H, W) -> (B, C, 2H - trim, 2W - trim)."""

    def __init__(self, outputs: int, padding: int, align_corners: bool):
        super().__init__()
        self.upsample = Up(outputs, align_corners)
        self.conv_block = conv_block(2 * outputs, outputs, padding)

    def forward(self, x, skips, *after):
        """after: layers that follow."""
        x, skip = self.upsample(x), skips.pop()
        top, left = (skip.shape[2] - x.shape[2]) // 2, (skip.shape[3] - x.shape[3]) // 2
        skip = skip[:, :, top : top + x.shape[2], left : left + x.shape[3]]
        return in_strips([self.conv_block, *after], skip, x)


def initialise(network) -> None:
    """Kaiming-normal (fan-in) weights and zero biases, as published."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Conv3d):
            nn.init.kaiming_normal_(module.weight)
            nn.init.zeros_(module.bias)


class UNet(nn.Module):
    """(B, channels, H, W) -> (B, 1, H, W) with "same" padding, or (B, 1, H - 2m, W - 2m) with "valid"."""

    def __init__(self, channels: int, width: int, depth: int, padding: int, align_corners: bool):
        super().__init__()
        self.depth, self.padding = depth, padding
        self.first_convs = conv_block(channels, width, padding)
        for level in range(1, depth + 1):
            setattr(self, f"contraction{level}", Contraction(width * 2 ** (level - 1), padding))
        for level in range(depth, 0, -1):
            setattr(self, f"expansion{level}", Expansion(width * 2 ** (level - 1), padding, align_corners))
        self.last_conv = nn.Conv2d(width, 1, 1)

    def forward(self, skips):
        """skips: a list with the output of first_convs; it is emptied on the way, so that each is freed once used."""
        for level in range(1, self.depth + 1):
            skips.append(getattr(self, f"contraction{level}")(skips[-1]))
            if not (self.padding or torch.is_grad_enabled()):  # keep what its expansion will see, and no more
                edge = 12 * 2 ** (self.depth - level) - 8
                skips[-2] = skips[-2][:, :, edge:-edge, edge:-edge].clone()
        x = skips.pop()
        for level in range(self.depth, 0, -1):
            x = getattr(self, f"expansion{level}")(x, skips, *([self.last_conv] if level == 1 else []))
        return x


class ChemicalUNet(nn.Module):
    """A cube to a chemical map at half its resolution; the defaults are the published network.

    Input (B, bands, H, W) reflectance; output (B, 1, H/2, W/2) with padding="same", and smaller by `margin` pixels on
    every side with padding="valid". bounded: squeeze the output into 0-100 %, which is not published.
    Raises InputError when `padding` is unknown, or when an image has a size or band count the network cannot take.
    """

    def __init__(self, bands=62, width=64, depth=4, padding="valid", align_corners=True, bounded=False):
        super().__init__()
        if padding not in ("valid", "same"):
            raise InputError(f'padding {padding!r}; expected "valid" or "same".')
        if bands < KERNEL_BANDS or width < 1 or depth < 1:
            raise InputError(f"bands {bands}, width {width}, depth {depth}; expected at least {KERNEL_BANDS}, 1 and 1.")
        self.bands, self.depth, self.padding, self.bounded = bands, depth, padding, bounded
        self.trained_nm = None  # (first, last) wavelength of the training images, where it is known
        self.by_looks = False  # trained on images with hidden pixels, so it has to be shown such
        unet = UNet(bands - KERNEL_BANDS + 1, width, depth, int(padding == "same"), align_corners)
        self.models = nn.ModuleList([Stem(), unet])
        initialise(self)

    @property
    def margin(self) -> int:
        """Output pixels that "valid" padding takes off every side: 92 at depth 4; 0 with "same"."""
        return 6 * 2**self.depth - 4 if self.padding == "valid" else 0

    def output_size(self, size: int) -> int:
        """The side of the map for an input side of `size` pixels. Raises InputError when it does not fit."""
        half = size // 2
        fitting = self.fitting_size(half - 2 * self.margin)
        if fitting != half - 2 * self.margin:
            below, above = (2 * (side + 2 * self.margin) for side in (max(fitting - 2**self.depth, 0), fitting))
            raise InputError(
                f"an image side of {size} pixels does not fit depth {self.depth} with {self.padding!r} padding; "
                f"the nearest that do: {f'{below} and ' if below > 4 * self.margin else ''}{above}."
            )
        return fitting

    def fitting_size(self, side: int) -> int:
        """The smallest side of a map, at least `side`, whose pooled sizes are all even."""
        step = 2**self.depth
        smallest = step if self.padding == "same" else min(4, step)  # less would leave nothing below the deepest pool
        return smallest + max(0, -(-(side - smallest) // step)) * step

    def forward(self, x):
        if x.ndim != 4 or x.shape[1] != self.bands:
            raise InputError(f"input of shape {tuple(x.shape)}; expected (B, {self.bands}, H, W).")
        for side in x.shape[2:]:
            self.output_size(side)
        stem, unet = self.models
        x = unet([in_strips([stem, unet.first_convs], x)])
        return 100 * torch.sigmoid(x) if self.bounded else x


@torch.no_grad()
def start_at(network, content: float) -> None:
    """Let an untrained bounded network begin near this content, in %, everywhere: far from the ends of 0-100 %."""
    last = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)][-1]
    last.weight.mul_(0.1)
    last.bias.fill_(float(torch.logit(torch.tensor(content / 100), eps=1e-3)))


class PixelNetwork(nn.Module):
    """(B, bands, H, W) -> (B, 1, H/2, W/2): the U-Net's stem, then 1x1 convolutions.

    A map pixel depends on its own 2 x 2 image pixels and on nothing else, so what it knows stands in their spectra.
    It is trained, bounded and predicts as ChemicalUNet does; the hidden layers have 4 * width channels.
    """

    depth, margin, trained_nm, by_looks = 0, 0, None, False  # no pooling, no border, no published training

    def __init__(self, bands: int, width: int, bounded=False):
        super().__init__()
        self.bands, self.bounded = bands, bounded
        layers = [Stem()]
        for inputs, outputs in ((bands - KERNEL_BANDS + 1, 4 * width), (4 * width, 4 * width)):
            layers += [nn.Conv2d(inputs, outputs, 1), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Conv2d(4 * width, 1, 1))
        initialise(self)

    def fitting_size(self, side: int) -> int:
        """The smallest side of a map, at least `side`: any will do."""
        return side

    def forward(self, x):
        x = self.layers(x)
        return 100 * torch.sigmoid(x) if self.bounded else x


class Ensemble(nn.Module):
    """The mean map of several networks of one shape, e.g. one per fold."""

    def __init__(self, members):
        super().__init__()
        self.members = nn.ModuleList(members)
        first = self.members[0]
        self.bands, self.depth, self.margin = first.bands, first.depth, first.margin
        self.fitting_size, self.trained_nm, self.by_looks = first.fitting_size, first.trained_nm, first.by_looks

    def forward(self, x):
        return torch.stack([member(x) for member in self.members]).mean(dim=0)
