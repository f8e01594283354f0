"""The numbers as text: one table of all methods, in a hundred columns."""

from helpers.metrics import METRICS, without_truth

from hsichem.lab.tables import head_to_head, text, text_table


def test_the_terminal_has_the_same_numbers_in_a_hundred_columns():
    header, pls, unet, ramp = text_table(METRICS).splitlines()
    assert "correlation     share" in header
    assert pls.split()[1:] == ["1.23", "1.00", "140", "152", "0.31", "2.53", "%", "0.90", "43.21", "%"]
    assert unet.split()[:3] == ["U-Net", "2.50", "2.03"] and ramp.split()[:2] == ["null:", "ramp"]
    assert len({len(line) for line in (header, pls, unet, ramp)}) == 1
    names = {"PLS of a longer name": METRICS["methods"]["PLS"]}
    assert max(map(len, text_table(METRICS | {"methods": names}).splitlines())) <= 100
    few = text_table(METRICS, ("RMSEP", "slope")).splitlines()
    assert few[0].split() == ["RMSEP", "slope"] and few[1].split() == ["PLS", "1.23", "0.90"]


def test_what_needs_a_truth_has_no_column_where_there_is_none():
    header, *lines = text_table(without_truth()).splitlines()
    assert header.split() == ["RMSEP", "to", "PLS", "held-out", "share", "outside"] and len(lines) == 3
    header, *lines = text_table(without_truth(), ("RMSEP", "pixel RMSE")).splitlines()
    assert header.split() == ["RMSEP"] and len(lines) == 3


def test_linear_maps_stand_first():
    methods = {"U-Net": {}, "PLS": {}, "pixel network": {}, "linear median": {}}
    rows = [["map"], ["PLS"], ["linear median"], ["U-Net"], ["pixel network"]]
    assert head_to_head({"methods": methods}) == rows


def test_values_are_written_as_a_reader_wants_them():
    assert [text(value) for value in (None, 7, "x", 0.0, -0.00123, 0.05, 1e-6, -1e-17, 99.99, 100.4, -1234.5)] == [
        "-", "7", "x", "0.00", "-0.0012", "0.05", "1e-06", "0.00", "99.99", "100", "-1234"
    ]  # fmt: skip
    assert text(0.0253, "held_share") == "2.53 %" and text([0.1, 0.25], "held_share") == "10.00 to 25.00 %"
