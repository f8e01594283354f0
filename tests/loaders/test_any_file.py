"""read_any: MATLAB, NumPy, NetCDF, ENVI and folders, and what of them is refused."""

import pickle
import warnings

import h5py
import numpy as np
import pytest
from scipy.io import netcdf_file, savemat

from hsichem import InputError
from hsichem.loaders import envi
from hsichem.loaders.any_file import NotReflectance, read_any

NM = np.array([900.0, 910.5, 930.0, 950.25, 1000.0])
VALUES = np.random.default_rng(2).random((3, 4, 5))


def check(cube, name="x"):
    np.testing.assert_array_equal(cube.values, VALUES.astype(np.float32))
    np.testing.assert_allclose(cube.wavelengths, NM, rtol=1e-12)
    assert cube.name == name


def save_hdf5(path, variables, attributes=()):
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, values in variables.items():
            file[name] = values
        for name, key, value in attributes:
            file[name].attrs[key] = value


def save_classic(path, variables, dimensions, attributes=()):
    with netcdf_file(path, "w", version=2) as file:
        for name, values in variables.items():
            for dimension, length in zip(dimensions[name], values.shape, strict=True):
                if dimension not in file.dimensions:
                    file.createDimension(dimension, length)
            file.createVariable(name, values.dtype, dimensions[name])[:] = values
        for name, key, value in attributes:
            setattr(file.variables[name], key, value)


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("name", ["lambda", "Wavelengths", "wl", "center_wavelength"])
def test_matlab_5(tmp_path, name, compressed):
    variables = {"cube": VALUES, name: NM, "note": "text", "mask": np.ones((3, 4)), "n": 5.0, "info": {"a": 1}}
    savemat(tmp_path / "x.mat", variables, do_compression=compressed)
    check(read_any(tmp_path / "x.mat"))


def test_matlab_bands_first_descending_in_micrometres(tmp_path):
    variables = {"cube": VALUES[:, :, ::-1].transpose(2, 0, 1), "wavelength": NM[::-1] / 1000}
    savemat(tmp_path / "x.mat", variables)
    check(read_any(tmp_path / "x.mat"))


def test_where_two_axes_fit_the_bands_are_the_last(tmp_path):
    values = np.random.default_rng(6).random((5, 4, 5))
    savemat(tmp_path / "x.mat", {"cube": values, "lambda": NM})
    np.testing.assert_array_equal(read_any(tmp_path / "x.mat").values, values.astype(np.float32))


def test_matlab_7_3_stores_the_last_axis_first(tmp_path):
    variables = {"cube": VALUES.T, "lambda": NM[:, None], "#refs#/a": VALUES, "n": np.array([[5.0]])}
    save_hdf5(tmp_path / "x.mat", variables)
    check(read_any(tmp_path / "x.mat"))


def test_numpy_with_its_wavelengths_beside_it(tmp_path):
    np.save(tmp_path / "x.npy", VALUES)
    with pytest.raises(InputError, match=r"no wavelengths .* x.wavelengths.txt beside it"):
        read_any(tmp_path / "x.npy")
    beside = tmp_path / "x.wavelengths.txt"
    beside.write_text("\n".join(map(str, NM)))
    check(read_any(tmp_path / "x.npy"))
    beside.write_text(", ".join(map(str, NM / 1000)))
    check(read_any(tmp_path / "x.npy"))
    for text in ("", "nm 1 2 3 4", "1 2 3 nan 4"):
        beside.write_text(text)
        with pytest.raises(InputError, match="expected one number for each band, and nothing else"):
            read_any(tmp_path / "x.npy")


@pytest.mark.parametrize("version", ["3", "4"])
@pytest.mark.parametrize("bands_at", [0, 1, 2])
def test_netcdf(tmp_path, version, bands_at):
    axes = [0, 1]
    axes.insert(bands_at, 2)
    variables = {"image": VALUES.transpose(axes), "wavelength": NM / 1000, "time": np.zeros(2)}
    units = [("wavelength", "units", "um")]
    if version == "4":
        save_hdf5(tmp_path / "x.nc", variables, units)
        # a NetCDF-4 file begins with its signature
        (tmp_path / "x.nc").write_bytes((tmp_path / "x.nc").read_bytes()[512:])
    else:
        names = [("y", "x", "wavelength")[axis] for axis in axes]
        dimensions = {"image": names, "wavelength": ["wavelength"], "time": ["time"]}
        save_classic(tmp_path / "x.nc", variables, dimensions, units)
    check(read_any(tmp_path / "x.nc"))


def test_netcdf_conventions_packed_unsigned_and_missing(tmp_path):
    packed = (VALUES * 60_000).astype("u2")
    packed[1, 2, 3] = 65_535
    variables = {"image": packed.view("i2"), "wavelength": NM}
    dimensions = {"image": ["y", "x", "wavelength"], "wavelength": ["wavelength"]}
    attributes = [("image", "scale_factor", 0.5), ("image", "add_offset", -3.0), ("image", "_Unsigned", "true")]
    save_classic(tmp_path / "x.nc", variables, dimensions, [*attributes, ("image", "missing_value", 65_535.0)])
    with pytest.warns(NotReflectance):
        cube = read_any(tmp_path / "x.nc")
    assert np.argwhere(~cube.mask).tolist() == [[1, 2]]
    np.testing.assert_array_equal(cube.values[cube.mask], packed[cube.mask] * np.float32(0.5) - 3)


@pytest.mark.parametrize("values, said", [(VALUES * 4000, True), (VALUES, False), (VALUES * 0, False)])
def test_counts_are_not_taken_for_reflectance_without_a_word(tmp_path, values, said):
    blank = np.zeros((20, *VALUES.shape[1:]))  # a background of zeros does not hide them
    envi.write_cube(tmp_path / "x.hdr", np.concatenate([blank, values]).astype("f4"), NM)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        read_any(tmp_path / "x.hdr")
    assert [each.category for each in caught] == [NotReflectance] * said
    assert not said or "x.hdr: half of its values are above" in str(caught[0].message)


@pytest.mark.parametrize(
    "name, fix", [("x.tif", "Convert it: `gdal_translate"), ("x.CU3S", "Export it as ENVI"), ("x.h5", "Save")]
)
def test_formats_that_are_not_read_come_with_a_way(tmp_path, name, fix):
    (tmp_path / name).write_bytes(b"II*\0")
    with pytest.raises(InputError, match=f"not a known image: .* {fix}"):
        read_any(tmp_path / name)


def test_a_folder_of_a_format_that_is_not_read(tmp_path):
    (tmp_path / "s_001.cu3s").touch()
    with pytest.raises(InputError, match=r"no ENVI image in it, but \.cu3s; export it as ENVI"):
        read_any(tmp_path)


def test_an_envi_image_by_header_or_data_and_a_folder(tmp_path):
    for name in ("x", "WHITEREF_x", "DARKREF_x"):
        envi.write_cube(tmp_path / f"{name}.hdr", VALUES * ("WHITE" in name) + (name == "x"), NM)
    one = envi.read_cube(tmp_path / "x.hdr")
    for path in ("x.hdr", "x.raw"):
        np.testing.assert_array_equal(read_any(str(tmp_path / path)).values, one.values)
    np.testing.assert_array_equal(read_any(tmp_path).values, envi.read_capture(tmp_path).values)


def test_a_folder_of_real_netcdf_files_is_the_capture_made_from_them(mirror):
    folder = mirror / "specim-fx10"
    cube, crop = read_any(folder / "nc"), read_any(folder / "derived_specim_folder")
    assert cube.values.shape == (2, 1024, 448)
    np.testing.assert_array_equal(cube.values[:, 400:528], crop.values)
    np.testing.assert_array_equal(cube.wavelengths, crop.wavelengths)


def test_real_matlab_files_with_several_images_are_refused(mirror):
    with pytest.raises(InputError, match=r"found 3; its numbers: Pure_Fe_0 \(30, 30, 113\)"):
        read_any(mirror / "mineral-mixtures" / "Fe_Al" / "Pure_Fe.mat")
    with pytest.raises(InputError, match=r"found 0; .* Y \(198, 10000\)"):
        read_any(mirror / "jasper-ridge" / "JasperRidge2_R198.mat")


@pytest.mark.parametrize(
    "variables, message",
    [
        ({"a": VALUES, "b": VALUES, "wl": NM}, "exactly one variable of three axes, found 2"),
        ({"a": VALUES[0], "wl": NM}, "found 0; its numbers: a (4, 5), wl (1, 5)"),
        ({"a": VALUES}, "no wavelengths among a (3, 4, 5); name the vector 'wavelength'"),
        ({"a": VALUES, "wl": NM, "nm": NM}, "could both be the wavelengths"),
        ({"a": VALUES, "wl": NM * 0 + 513.342}, "every band has the wavelength 513.342 nm"),
        ({"a": VALUES * 1j, "wl": NM}, "found 0; its numbers: wl (1, 5)"),
        ({"a": VALUES * np.nan, "wl": NM}, "row 0, column 0, 900 nm is nan"),
        ({"a": np.ones((5, 5, 4)), "wl": NM}, "5 wavelengths for a (5, 5, 4)"),
        ({"a": VALUES > 0, "wl": NM}, "found 0"),
        ({"a": "text"}, "its numbers: none"),
    ],
)
def test_matlab_refused(tmp_path, variables, message):
    savemat(tmp_path / "x.mat", variables)
    with pytest.raises(InputError) as error:
        read_any(tmp_path / "x.mat")
    assert message in str(error.value)


def test_hdf5_neither_follows_links_nor_believes_a_size(tmp_path):
    save_hdf5(tmp_path / "secret.h5", {"cube": VALUES, "lambda": NM})
    layout = h5py.VirtualLayout((3, 4, 5), float)
    layout[:] = h5py.VirtualSource(tmp_path / "secret.h5", "cube", (3, 4, 5))
    with h5py.File(tmp_path / "x.mat", "w") as file:
        file["lambda"] = NM
        file["link"] = h5py.ExternalLink(tmp_path / "secret.h5", "cube")
        file["soft"] = h5py.SoftLink("/lambda")
        file.create_virtual_dataset("virtual", layout)
        file.create_dataset("outside", (3, 4, 5), "f8", external=[(tmp_path / "secret.h5", 0, 480)])
    with pytest.raises(InputError, match=r"found 0; its numbers: lambda \(5,\)"):
        read_any(tmp_path / "x.mat")
    with h5py.File(tmp_path / "x.mat", "w") as file:
        file["lambda"] = NM
        file.create_dataset("cube", (5, 2**20, 2**20), "f8", chunks=(1, 100, 100))
    with pytest.raises(InputError, match=r"more than a file of this size can hold"):
        read_any(tmp_path / "x.mat")


class Payload:
    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


def test_numpy_refused(tmp_path):
    path, planted = tmp_path / "x.npy", tmp_path / "planted"
    (tmp_path / "x.wavelengths.txt").write_text("900 910 920 930 940")
    np.save(path, VALUES)
    whole = path.read_bytes()
    np.save(path, np.array([{"an": "object"}], dtype=object), allow_pickle=True)
    pickled = path.read_bytes()
    huge = whole.replace(b"(3, 4, 5), }" + b" " * 20, b"(99999999999, 99999999999, 5), }")
    assert len(huge) == len(whole) and huge != whole
    for data in (b"", b"no array", pickle.dumps(Payload(planted)), pickled, huge, whole[:-1], whole + b"0"):
        path.write_bytes(data)
        with pytest.raises(InputError, match=r"x.npy: (cannot be read as a NumPy array|longer than the \(3, 4, 5\))"):
            read_any(path)
    assert not planted.exists()
    np.save(path, VALUES[0])
    with pytest.raises(InputError, match=r"found 0; its numbers: array \(4, 5\)"):
        read_any(path)


@pytest.mark.parametrize("form", ["mat", "deflated mat", "nc"])
@pytest.mark.filterwarnings("ignore:.*so the bands are sorted")
def test_broken_files_are_refused_whatever_they_hold(tmp_path, form):
    rng = np.random.default_rng(4)
    path = tmp_path / f"x.{form.split()[-1]}"
    if form == "nc":
        dimensions = {"cube": ["y", "x", "w"], "wavelength": ["w"]}
        save_classic(path, {"cube": VALUES, "wavelength": NM}, dimensions)
    else:
        savemat(path, {"cube": VALUES, "lambda": NM}, do_compression=form != "mat")
    good, refused = path.read_bytes(), 0
    for place in [*range(min(len(good), 330)), *range(330, len(good), 97)]:
        for data in (good[:place], good[:place] + rng.bytes(1) + good[place + 1 :]):
            path.write_bytes(data)
            try:
                read_any(path)
            except InputError:
                refused += 1
    assert refused > 300


def test_what_is_no_image_is_refused(tmp_path):
    (tmp_path / "x.jpg").write_bytes(b"")
    for path, message in {"x.jpg": "not a known image", "none.mat": "no such file", ".": "found none"}.items():
        with pytest.raises(InputError, match=message):
            read_any(tmp_path / path)
