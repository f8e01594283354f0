"""The page as a browser would see it, parsed by html.parser and not by the code that wrote it."""

import base64
import json
from html.parser import HTMLParser

import pytest
from helpers.metrics import METRICS, without_truth

from hsichem import InputError, datasets
from hsichem.cli import OPTIONS
from hsichem.lab.report import RUN_OPTIONS, figure_caption, write_report

PNG = base64.b64encode(b"\x89PNG not really").decode()
VOID = {"meta", "img", "link", "br"}


class Page(HTMLParser):
    """Tags with attributes; tables as rows of text; the open tags at the end."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.tables, self.open, self.text, self.cell = [], [], [], "", False
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])
        if tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, text):
        self.text += text
        if self.open and self.open[-1] in ("td", "th", "small"):
            self.tables[-1][-1][-1] += text


def executed(source, outputs, parameters):
    cell = {"cell_type": "code", "source": source, "metadata": {"tags": ["report"]}, "outputs": outputs}
    other = {"cell_type": "markdown", "source": ["not for the page"], "metadata": {}}
    return json.dumps({"cells": [other, cell], "metadata": {"papermill": {"parameters": parameters}}})


@pytest.fixture
def results(tmp_path, monkeypatch):
    """A folder where 01 is done, 02 has failed, and 03 was never run."""
    notebooks = [tmp_path / f"0{i}_part.ipynb" for i in (1, 2, 3)]
    monkeypatch.setattr("hsichem.lab.report.find_notebooks", lambda: notebooks)
    folder = tmp_path / "results"
    folder.mkdir()
    (folder / "metrics.json").write_text(json.dumps(METRICS))
    (folder / "maps.png").write_bytes(b"maps of all methods")
    parameters = {"dataset": "phantom-belly", "preset": "fast", "seed": 3, "epochs": 5, "results_dir": "/somewhere"}
    parameters["scheduler"] = "local"
    image = {"output_type": "display_data", "data": {"image/png": PNG[:8] + "\n" + PNG[8:] + "\n"}}
    source = ["# Figure: A map of fat. Look at the <edges>;\n", "# they blur.\n", "show()\n", "# Not caption.\n"]
    (folder / "01_part.ipynb").write_text(executed(source, [image], parameters))
    (folder / "02_part.failed.ipynb").write_text(executed(source, [], parameters))
    return folder


@pytest.fixture
def page(results):
    return Page(write_report(results).read_text("utf-8"))


def table_with(page, header):
    (table,) = [table for table in page.tables if header in table[0]]
    return table


def test_the_page_is_well_formed_accessible_and_alone(page):
    assert page.open == []
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for tag, attributes in page.tags:
        assert tag not in ("script", "link", "iframe", "b", "i")
        assert attributes.get("src", "data:").startswith("data:")
        assert attributes.get("href", "#head-to-head").removeprefix("#") in ids
        if tag == "th":
            assert attributes["scope"] in ("row", "col", "rowgroup")
        if tag == "img":
            assert attributes["alt"] in (
                "A map of fat",
                "One test image: the truth and the maps of the methods, on one scale",
            )
    assert ("html", {"lang": "en"}) in page.tags
    names = [tag for tag, _ in page.tags]
    assert names.count("table") == names.count("caption") == 13
    assert names.count("h2") == len([tag for tag, attributes in page.tags if "href" in attributes])
    assert max(len(row) for table in page.tables for row in table) <= 7


def test_the_explorer_is_linked_where_there_is_one(results):
    assert ("a", {"href": "explorer.html"}) not in Page(write_report(results).read_text("utf-8")).tags
    (results / "explorer.html").touch()
    assert ("a", {"href": "explorer.html"}) in Page(write_report(results).read_text("utf-8")).tags


def test_the_style_asks_for_nothing_from_outside(results):
    html = write_report(results).read_text("utf-8")
    style = html.partition("<style>")[2].partition("</style>")[0]
    assert "prefers-color-scheme: dark" in style and "url(" not in style and "@import" not in style


def rows_of(page, header):
    """Method -> header -> its cell, in the first table that has the header."""
    header, *rows = next(table for table in page.tables if header in table[0] and table[0][0] == "map")
    return header, {row[0]: dict(zip(header, row, strict=True)) for row in rows if len(row) > 1}


def test_head_to_head_holds_methods_and_nulls_and_the_rest_is_folded(page):
    header, rows = rows_of(page, "to PLS")
    assert header == ["map", "RMSEP", "to PLS", "held-out", "pixel RMSE", "slope", "outside"]
    assert list(rows) == ["PLS", "U-Net", "null: ramp"]
    assert rows["PLS"]["RMSEP"] == "1.23 0.90 to 1.60" and rows["PLS"]["pixel RMSE"] == "152 140 to 163"
    assert rows["U-Net"]["to PLS"] == "2.03 1.40 to 2.90" and rows["U-Net"]["slope"] == "-"
    assert rows["PLS"]["outside"] == "43.21 %"
    _, rows = rows_of(page, "minus PLS")
    assert rows["U-Net"]["minus PLS"] == "1.27 0.60 to 1.94" and rows["U-Net"]["to opponent"] == "0.21 0.18 to 0.25"
    assert rows["PLS"]["lowest"] == "-1012"
    _, rows = rows_of(page, "edge")
    assert rows["PLS"]["edge"] == "1.88" and rows["U-Net"]["correlation"] == "-"
    assert (rows["null: ramp"]["share"], rows["null: ramp"]["correlation"]) == ("100.00 %", "-0.02")
    for table in page.tables:  # wherever a share stands, the pixels' truth stands beside it
        assert "share" not in table[0] or "pixel RMSE" in table[0]
    folded = page.text.index("More figures of the same maps")
    assert "A network that sees the neighbours" in page.text[:folded]
    assert page.text.index("Outside: pixels") < folded < page.text.index("Correlation: of predicted")


@pytest.mark.parametrize(
    "row",
    [
        ["weight 20", "100.00 %", "0.08", "0.10", "33.30"],
        ["U-Net, mask alone", "9.00", "-", "8.50"],
        ["PLS", "90.00 %", "95.00 % 75.00 to 100.00 %", "7.00", "20"],
        ["U-Net", "6.20", "0.25"],
        ["PLS", "0.21 0.18 to 0.25"],
        ["bound", "3.50", "30.00", "0.20"],
    ],
)
def test_the_small_tables_have_their_numbers(page, row):
    assert [row in table for table in page.tables].count(True) == 1


def said(results, metrics=None):
    """The verdict of the page."""
    if metrics:
        (results / "metrics.json").write_text(json.dumps(metrics))
    text = Page(write_report(results).read_text("utf-8")).text
    return " ".join(text[text.index("Believe") : text.index("One test image")].split())


def test_the_page_opens_with_a_verdict_of_three_sentences(results):
    assert said(results, trained(results)) == (
        "Believe the U-Net map: its pixels are nearest to the truth of the test images and err by 31.80 % w/w; the "
        "next is PLS with 152. This is sure for images like these: its error is 0.21 times that of PLS (paired 95 % "
        "interval 0.18 to 0.25); without the truth the choice is the same. Next, look at its maps for stains, glare "
        "and rims, which no number sees, and then map new captures."
    )
    (results / "models" / "u-net").mkdir(parents=True)
    assert said(results).endswith("new captures, from the folder of this page: hsichem map models/u-net NEW -o maps.")


def test_the_verdict_without_truth_rests_on_two_numbers_and_says_what_they_cannot_see(results):
    without = trained(results, without_truth())
    assert said(results, without) == (
        "Believe the U-Net map: the error to expect of its pixels, from the error of the mean and the held-out "
        "error, is the smallest, 30.10 % w/w; the next is PLS with 140. This is likely: the 95 % intervals of the two "
        "held-out errors are apart, but an error that all pixels of an image share, and the linear models too, shows "
        "in no number here. Next, look at its maps for stains, glare and rims, which no number sees, and then map new "
        "captures."
    )
    without["02_pls_maps"]["shared_noise"] = {"excess": 0.05}
    unsure = said(results, without)
    assert "This is not sure" in unsure and "share noise, which favours noisy maps" in unsure
    assert unsure.endswith("Next, capture and analyse more test samples before you prefer it to PLS.")


def test_networks_that_are_not_trained_get_no_verdict(results, page):
    assert said(results).endswith(
        "Next, run the preset lesson: here the networks are not trained, so there is no verdict on U-Net."
    )
    assert "Nothing was compared with it" in said(results) and "Believe the PLS map" in said(results)
    assert "What is said here of the U-Net is no evidence" in page.text
    fast = json.loads((results / "metrics.json").read_text()) | {"settings": {"preset": "fast"}}
    assert "no verdict on U-Net" in said(results, trained(results, fast))
    (results / "01_part.ipynb").write_text(executed([], [], {"preset": "lesson", "epochs": 29}))
    assert "no verdict on U-Net" in said(results, METRICS)
    (results / "01_part.ipynb").write_text(executed([], [], {"preset": "lesson", "epochs": 30}))
    assert "Believe the U-Net map" in said(results)


def trained(results, metrics=METRICS):
    """The metrics, of a run whose parameters leave the epochs to the preset."""
    (results / "01_part.ipynb").write_text(executed([], [], {}))
    return metrics


def test_what_needs_a_truth_is_left_out_where_there_is_none(results):
    (results / "metrics.json").write_text(json.dumps(without_truth()))
    reason = {"output_type": "stream", "text": ["Only on phantom-belly."]}
    (results / "01_part.ipynb").write_text(executed(["# Figure: Errors. Of pixels.\n", "show()"], [reason], {}))
    page = Page(write_report(results).read_text("utf-8"))
    header, _ = rows_of(page, "to PLS")
    assert header == ["map", "RMSEP", "to PLS", "held-out", "outside"]
    assert rows_of(page, "share")[0] == ["map", "held-out", "share"]
    assert rows_of(page, "lowest")[0] == ["map", "minus PLS", "lowest", "highest", "bias"]
    sweep = next(table for table in page.tables if table[1][0] == "weight 20")
    assert sweep == [["", "share", "SD ratio"], ["weight 20", "100.00 %", "0.10"]]
    for gone in (
        "The U-Net against each linear map",
        "nearest to the truth",
        "spread tell its error",
        "Correlation: of predicted",
        "the truth and",
        "Only on phantom-belly",  # nobody asked for it
    ):
        assert gone not in page.text
    assert "no truth maps" in page.text and "Its cell drew no figure" not in page.text


def test_everything_is_escaped_and_complete(page):
    assert ["variant", "<b>published</b>"] in table_with(page, "setting")
    assert ["share & <i>sense</i>", "99.91 %", "99 %", "yes", "it is"] in table_with(page, "claim")
    assert "A map of fat. Look at the <edges>; they blur." in page.text
    entry = datasets.read_manifest()["phantom-belly"]
    assert ["licence", entry["licence"]] in table_with(page, "field")
    assert ["citation", entry["citation"]] in table_with(page, "field")
    assert "hsichem run --dataset phantom-belly --preset fast --seed 3 -p epochs 5 --scheduler local" in page.text
    assert set(RUN_OPTIONS) == set(OPTIONS) - {"results_dir"}  # the command line refuses -p for what has an option
    assert "/somewhere" not in page.text  # results_dir is of one machine
    maps, image = [attributes["src"] for tag, attributes in page.tags if tag == "img"]
    assert base64.b64decode(maps.partition(",")[2]) == b"maps of all methods"
    assert base64.b64decode(image.removeprefix("data:image/png;base64,")) == base64.b64decode(PNG)


def test_what_is_missing_is_said(results, page):
    assert "It stopped; see 02_part.failed.ipynb" in page.text
    assert "It has not been run into this folder" in page.text
    (results / "metrics.json").write_text("{}")
    (results / "maps.png").unlink()
    (results / "01_part.ipynb").write_text(executed([], [], {}))
    text = Page(write_report(results).read_text("utf-8")).text
    for what in ("Verdict", "Methods", "Licence and citation", "Maps on one scale"):
        assert f"{what}: missing." in text


def test_a_folder_without_metrics_or_with_broken_ones_is_an_input_error(results):
    (results / "metrics.json").write_text("{")
    with pytest.raises(InputError, match="not valid JSON"):
        write_report(results)
    (results / "metrics.json").unlink()
    with pytest.raises(InputError, match=r"no metrics\.json"):
        write_report(results)
    assert not (results / "report.html").exists()


def test_a_caption_is_the_opening_comment():
    assert figure_caption("# Figure: one\n#  two.\nx = 1  # no\n# no") == "one two."
    assert figure_caption("# Some comment\nx = 1") == "Figure without a caption"
