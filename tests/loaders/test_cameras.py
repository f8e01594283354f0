"""Headers as cameras and programs write them, by class: read as SPy does, or with what is said beside; or refused.

The keys, their order and form are those of files in the wild; sizes and pixels are made here.
"""

import logging
import warnings

import numpy as np
import pytest
import spectral

from hsichem import InputError
from hsichem.loaders import envi

SHAPE = 3, 4, 5  # rows, cols, bands
AXES = {"bsq": (2, 0, 1), "bil": (0, 2, 1), "bip": (0, 1, 2)}
VALUES = np.arange(60).reshape(SHAPE) + 7
SIZES = "samples = 4\nlines   = 3\nbands   = 5\n"
NM = [450.5, 500, 650.25, 800, 1000]
UTM = "map info = {UTM, 1.000, 1.000, 380952.370, 5820372.350, 3.0e+001, 3.0e+001, 33, North, WGS-84, rotation=-27.0}\n"
UTM += 'coordinate system string = {PROJCS["UTM_33N",GEOGCS["GCS",DATUM["D",SPHEROID["W",6378137.0,298.25]]]]}\n'

# name: (header after its first line, dtype of the pixels, interleave)
READ = {
    "Specim Lumo": (
        "description = {\nFile Imported into ENVI}\nfile type = ENVI\nsensor type = FX10e , Lumo - Scanner v2018-517\n"
        "acquisition date = DATE(yyyy-mm-dd): 2019-07-09\nStart Time = UTC TIME: 18:28:06\n"
        + SIZES
        + "errors = {none}\ninterleave = bil\ndata type = 12\nheader offset = 0\nbyte order = 0\nx start = 0\n"
        "default bands = {4, 3, 2}\nhimg = {1, 4}\nfps = 29.94\ntint = 12.500000\nbinning = {2, 1}\n"
        "calibration pack = C:/Users/Public/x.scp\ntemperature = {\n28.19\n}\nWavelength = {\n450.50,\n500.00,\n"
        "650.25,\n800.00,\n1000.00\n}\nfwhm = {\n5.59,\n5.60\n}\n",
        "<u2",
        "bil",
    ),
    "Headwall Hyperspec III": (
        "description = {HEADWALL Hyperspec III[HEADWALL Hyperspec III],[HEADWALL Hyperspec III OR]}\n"
        + SIZES
        + "header offset = 0\nfile type = ENVI Standard\ndata type = 12\ninterleave = bil\nsensor type = Unknown\n"
        "byte order = 0\nwavelength units = nm\nwavelength = {\n450.5\n,500\n,650.25\n,800\n,1000\n}\n"
        ";AOI height = 1008\n;Array Pixel Pitch (um) = 6.5\n;POST AOI width : 1600\n;Nuc folder = C:/headwall/nuc\n",
        "<u2",
        "bil",
    ),
    "HySpex radiance": (
        SIZES + "header offset = 16\nfile type = ENVI Standard\ndata type = 4\ninterleave = bil\nbyte order = 0\n"
        "wavelength units = nm\nwavelength = {450.500 ,500.000 ,650.250 ,800.000 ,1000.000 }\n"
        "fwhm = {3.2 ,3.2 ,3.2 ,3.2 ,3.2 }\n",
        "<f4",
        "bil",
    ),
    "Resonon": (
        "interleave = bip\ndata type = 4\nlines = 3\nsamples = 4\nbands = 5\nbit depth = 12\nshutter = 21.003\n"
        "gain = 0.0\nframerate = 47.0\nreflectance scale factor = 1.0\nbyte order = 0\nheader offset = 0\n"
        "wavelength units = nanometers\nlabel = left, right {a=b}\ntimestamp = 2024-5-1_10:22:33\n"
        "wavelength = {450.5, 500.0, 650.25, 800.0, 1000.0}\nrotation = {{1.0, 0.0}, {0.0, 1.0}}\n",
        "<f4",
        "bip",
    ),
    "EnMAP, in micrometres": (
        "description = {a.bsq, http://doi.org/10.5880/enmap.2016.008, subset}\n"
        + SIZES
        + "header offset = 0\nfile type = ENVI Standard\ndata type = 2\ninterleave = bsq\nbyte order = 0\n"
        + UTM
        + "wavelength units = Micrometers\nz plot titles = {wavelength [!7l!3m]!N, reflectance [*10000]}\n"
        "data ignore value = -99\nband names = {\nband 8 (0.45, a), band 9, b {10}, band 11, band 12}\n"
        "wavelength = {\n 0.450500, 0.500000, 0.650250,\n 0.800000, 1.000000}\nreflectance scale factor = 10000.000",
        "<i2",
        "bsq",
    ),
    "PRISMA, exported": (
        SIZES + "header offset = 0\nfile type = ENVI Standard\ndata type = 12\ninterleave = bsq\nbyte order = 1\n"
        "bbl = { 1.0 , 1.0 , 1.0 , 1.0 , 1.0 }\nwavelength = {450.5,500.0,650.25,800.0,1000.0}\n"
        "sensor type = PRISMA\nwavelength units = Nanometers\ndata ignore value = 65535\n",
        ">u2",
        "bsq",
    ),
    "HyMap or CASI, unit unknown": (
        SIZES + "header offset = 0\nfile type = ENVI Standard\ndata type = 2\ninterleave = bil\nbyte order = 1\n"
        "wavelength units = Unknown\nmajor frame offsets = {0, 0}\nfile compression = 0\n"
        "wavelength = {\n  0.450500,  0.500000,  0.650250,\n  0.800000, 1.000000}\n",
        ">i2",
        "bil",
    ),
    "in capitals, tabs, MATLAB's": (
        "SAMPLES\t=\t4\nLINES\t=\t3\nBANDS\t=\t5\nDATA TYPE\t=\t5\nINTERLEAVE\t=\tBIP\nBYTE ORDER\t=\t0\n"
        "HEADER OFFSET = 0\nWAVELENGTH UNITS\t=\tNANOMETERS\nWAVELENGTH\t=\n{\n450.5,\t500,\t650.25,\t800,\t1000}\n"
        "SAMPLES = 4\n",
        "<f8",
        "bip",
    ),
}

# What SPy does not read so: (name of a class above, changes of its text, values, nm, words of the warning if any)
OWN = [
    ("Headwall Hyperspec III", {"byte order = 0\n": ""}, VALUES, NM, None),  # as PlantCV writes
    ("Specim Lumo", {"450.50,\n500.00,\n": "450.50\n500.00\n", "50.25,\n800.00,": "50.25\n800.00"}, VALUES, NM, None),
    ("Specim Lumo", {"1000.00\n}": "1000.00,\n}", "5.60\n}\n": "5.60\n}\n\x1a\0\0"}, VALUES, NM, None),
    ("Specim Lumo", {"650.25,\n800.00": "800.00,\n650.25"}, VALUES[:, :, [0, 1, 3, 2, 4]], NM, "bands are sorted"),
    ("Specim Lumo", {"fps": "autodarkstartline = 2\nfps"}, VALUES[:2], NM, "from line 2 on"),
    (
        "Headwall Hyperspec III",
        {"wavelength = {\n450.5\n,500\n,650.25\n,800\n,1000\n}": "band names = {450.5, 500, 650.25, 800, 1000}"},
        VALUES,
        NM,
        "'band names' are taken for wavelengths, 450.5 to 1000",
    ),
    (
        "Headwall Hyperspec III",
        {
            "wavelength units = nm\nwavelength = {\n450.5\n,500\n,650.25\n,800\n,1000\n}": "band names = {"
            "450.50 Nanometers,500.00 Nanometers,650.25 Nanometers,800.00 Nanometers,1000.00 Nanometers}"
        },
        VALUES,
        NM,
        "'band names' are taken for wavelengths, 450.50 Nanometers to 1000.00 Nanometers",
    ),
    (
        "Headwall Hyperspec III",
        {
            "wavelength units = nm\nwavelength = {\n450.5\n,500\n,650.25\n,800\n,1000\n}": "band names = {"
            "Band 1 (0.4505 um), Band 2 (0.5 um), Band 3 (0.65025 um), Band 4 (0.8 um), Band 5 (1.0 um)}"
        },
        VALUES,
        NM,
        "'band names' are taken for wavelengths",
    ),
    ("PRISMA, exported", {"{ 1.0 , 1.0": "{ 1.0 , 0.0"}, VALUES[:, :, [0, 2, 3, 4]], [NM[0], *NM[2:]], None),
]

REFUSED = [
    ("Specim Lumo", {"fps": "autodarkstartline = 0\nfps"}, "'autodarkstartline' is 0 of 3 lines"),
    ("Specim Lumo", {"fps": "autodarkstartline = 4\nfps"}, "'autodarkstartline' is 4 of 3 lines"),
    ("Specim Lumo", {"lines   = 3": "lines   = 4"}, "120 bytes, but its header declares 160"),  # stopped by hand
    ("EnMAP, in micrometres", {"wavelength = {\n 0": "was = {\n 0"}, "band names do not tell them all: 'band 8 (0.45'"),
    (
        "Headwall Hyperspec III",
        {
            "wavelength = {\n450.5\n,500\n,650.25\n,800\n,1000\n}": "band names = {"
            "Band 1, Band 2, Band 3, Band 4, Band 5}"
        },
        "band names do not tell them all: 'Band 1' ... 'Band 5'",
    ),
    (
        "Headwall Hyperspec III",
        {"wavelength = {\n450.5\n,500\n,650.25\n,800\n,1000\n}": "band names = {450.5, 500, 650.25, 800}"},
        "band names do not tell them all",
    ),
    ("Headwall Hyperspec III", {"= bil": "= bup"}, "'interleave' is 'bup'"),
    ("Headwall Hyperspec III", {"\n450.5\n,500": "\n650.25\n,650.25"}, "bands 1 and 2 both have the wavelength 650.25"),
    ("Headwall Hyperspec III", {"\n450.5": "\n0.0"}, "set bands without a wavelength to 0 in 'bbl'"),
    ("EnMAP, in micrometres", {"10000.000": "0.000000"}, "is 0; expected a number above 0, or none"),
    ("HyMap or CASI, unit unknown", {"file compression = 0": "file compression = 1"}, "its data are compressed"),
    ("HyMap or CASI, unit unknown", {"{0, 0}": "{128, 0}"}, "its data are framed"),
    ("HyMap or CASI, unit unknown", {"= Unknown": "= Index"}, "'wavelength units' is 'Index'"),
    ("HyMap or CASI, unit unknown", {"ENVI Standard": "ENVI  Spectral library"}, "expected an image of spectra"),
    ("HyMap or CASI, unit unknown", {"data type = 2": "data type = 6"}, "complex numbers"),
]


def write(folder, name, changes=()):
    text, dtype, interleave = READ[name]
    for old, new in dict(changes).items():
        assert old in text
        text = text.replace(old, new)
    offset = 16 if "header offset = 16" in text else 0
    (folder / "x.hdr").write_bytes(("ENVI\n" + text).replace("\n", "\r\n").encode())
    (folder / "x.raw").write_bytes(bytes(offset) + VALUES.transpose(AXES[interleave]).astype(dtype).tobytes())
    return folder / "x.hdr"


@pytest.mark.parametrize("name", READ)
def test_it_is_read_as_spy_reads_it(name, tmp_path):
    header = write(tmp_path, name)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cube = envi.read_cube(header)
    scale = 10_000 if "EnMAP" in name else 1
    np.testing.assert_allclose(cube.values, VALUES / scale, rtol=1e-6)
    np.testing.assert_allclose(cube.wavelengths, NM)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of keys in capitals
        logging.disable()
        image = spectral.open_image(str(header))
        logging.disable(logging.NOTSET)
    np.testing.assert_allclose(cube.values, np.asarray(image.load()), rtol=1e-6)


@pytest.mark.parametrize("name, changes, values, nm, said", OWN)
def test_it_is_read_where_spy_fails(name, changes, values, nm, said, tmp_path):
    header = write(tmp_path, name, changes)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        cube = envi.read_cube(header)
    assert [said in str(warning.message) for warning in caught] == ([True] if said else [])
    np.testing.assert_array_equal(cube.values, values)
    np.testing.assert_allclose(cube.wavelengths, nm)


@pytest.mark.parametrize("name, changes, message", REFUSED)
def test_it_is_refused_with_the_reason(name, changes, message, tmp_path):
    with pytest.raises(InputError) as error:
        envi.read_cube(write(tmp_path, name, changes))
    assert message in str(error.value)
