"""A network that sees one map pixel at a time: what can be learnt from spectra without their surroundings."""

from torch import nn

from hsichem.unet.network import KERNEL_BANDS, Stem, initialise


class PixelNetwork(nn.Module):
    """(B, bands, H, W) -> (B, 1, H/2, W/2): the U-Net's stem, then 1x1 convolutions.

    A map pixel depends on its own 2 x 2 image pixels and on nothing else, so what it knows stands in their spectra.
    It is trained and predicts as ChemicalUNet does; the hidden layers have 4 * width channels.
    """

    depth, margin, trained_nm = 0, 0, None  # no pooling, no border, no published training

    def __init__(self, bands: int, width: int):
        super().__init__()
        self.bands = bands
        layers = [Stem()]
        for inputs, outputs in ((bands - KERNEL_BANDS + 1, 4 * width), (4 * width, 4 * width)):
            layers += [nn.Conv2d(inputs, outputs, 1), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Conv2d(4 * width, 1, 1))
        initialise(self)

    def fitting_size(self, side: int) -> int:
        """The smallest side of a map, at least `side`: any will do."""
        return side

    def forward(self, x):
        return self.layers(x)
