"""The explorer without a browser: what follows from which change, and when."""

import base64
import json
import re

import numpy as np
import pytest
from helpers.explored import SQUARE, explored, small_cube, small_maps
from numpy.testing import assert_array_equal

from hsichem import InputError
from hsichem.lab import explore


def settle(explorer):
    """What the browser says when it has drawn and nothing has moved since."""
    explorer.canvas._handle_custom_msg({"kind": "settled"}, [])


def test_a_slider_leaves_answers_for_later_and_a_pin_does_not():
    e = explored(SQUARE)
    plots, region = e.canvas.plots, e.canvas.region
    e.controls["band"].value = 3
    assert e.canvas.plots is plots and e.canvas.region is region
    settle(e)
    band = small_cube().values[4:14, 2:10, 3]
    assert e.canvas.region["rows"][0][3] == pytest.approx(band.mean())
    region = e.canvas.region
    settle(e)
    assert e.canvas.region is region  # nothing is stale
    e.pins = [(5, 5)]
    assert e.canvas.plots[0]["series"][1]["name"] == "pin 1"
    e.controls["variogram"].value = "U-Net"
    assert e.canvas.plots[-1]["title"] == "Variogram of U-Net"
    e.polygon = []
    assert e.canvas.region["title"] == "The whole sample"


def test_who_reads_answers_gets_them_fresh(tmp_path):
    e = explored(SQUARE)
    e.controls["band"].value = 3
    assert_array_equal(e.region_values()["band"], small_cube().values[4:14, 2:10, 3].ravel())
    e.controls["band"].value = 5
    mean = small_cube().values[4:14, 2:10, 5].mean(dtype=np.float64)
    lines = e.save_csv(tmp_path / "region.csv").read_text().splitlines()
    assert float(next(line for line in lines if line.startswith("mean,band")).split(",")[3]) == pytest.approx(mean)


def test_places_that_cannot_be():
    e = explored()
    with pytest.raises(InputError, match=r"pixel 20, 0 is outside the image of 20 rows"):
        e.pins = [(20, 0)]
    with pytest.raises(InputError, match="three or more"):
        e.polygon = [(1, 1), (2, 2)]
    with pytest.raises(InputError, match="no maps"):
        explore({})
    with pytest.raises(InputError, match="no settings"):
        explore("nowhere")


def test_maps_need_no_image():
    cube = small_cube()
    e = explore(small_maps(cube))
    assert [layer["name"] for layer in e.canvas.layers] == ["PLS", "U-Net", "PLS Q"] and "band" not in e.controls
    assert [plot["title"] for plot in e.canvas.plots] == ["Histogram of the region", "Variogram of PLS"]
    assert e.canvas.region["rows"][0][2] == cube.mask.sum()


def test_a_typed_polygon_is_the_region_and_a_typing_mistake_is_said():
    e = explored()
    e.controls["polygon"].value = "4, 2; 14, 2; 14, 10; 4, 10"
    assert e.polygon == e.canvas.polygon == [[4, 2], [14, 2], [14, 10], [4, 10]]
    before = e.canvas.region
    for text in ("4, 2; fourteen", "4, 2; 5, 5", "1; 2; 3"):
        e.controls["polygon"].value = text
        assert "region not understood" in e.canvas.status and e.canvas.region == before
    e.canvas.polygon = []  # as the browser's button does
    assert e.controls["polygon"].value == "" and e.polygon == []


def test_a_slider_sends_one_layer_and_a_reload_gets_it(monkeypatch):
    cube = small_cube()
    e = explored()
    sent = []
    monkeypatch.setattr(e.canvas, "send", lambda message, buffers: sent.append((message, buffers)))
    monkeypatch.setattr(e.canvas, "send_state", lambda key=None: sent.append(key))
    e.controls["band"].value = 3
    assert len(sent) == 1
    message, (data,) = sent[0]
    assert message["layer"]["name"] == "band" and message["layer"]["note"] == f"{cube.wavelengths[3]:.0f} nm"
    assert_array_equal(np.frombuffer(data, np.float32).reshape(20, 14), cube.values[:, :, 3])
    assert e.canvas.images[message["index"]] == data


def test_no_callback_uses_pyplot(monkeypatch):
    import matplotlib.pyplot as plt

    e = explored()
    monkeypatch.setattr(plt, "figure", lambda *_, **__: pytest.fail("pyplot in a callback"))
    e.controls["band"].value = 2
    e.controls["variogram"].value = "U-Net"
    e.polygon = SQUARE[:3]
    settle(e)
    e._repr_mimebundle_()
    assert plt.get_fignums() == []


def test_the_saved_page_is_whole_and_asks_no_network(tmp_path):
    text = explored(pins=[(5, 5)], name="</script><b>&").save_html(tmp_path / "page.html").read_text("utf-8")
    assert text.count("</script>") == 1 and text.count("<script") == 1
    assert "<title>Maps of &lt;/script&gt;&lt;b&gt;&amp;</title>" in text
    assert not re.search(r"(src|href)=|@import|fetch\(|url\(", text)
    assert set(re.findall(r"https?://[^\s\"']+", text)) <= {"http://www.w3.org/2000/svg"}
    state = json.loads(text[text.index("page({") + 5 : text.rindex(", document.getElementById")])
    assert state["title"] == "Maps of </script><b>&"
    values = np.frombuffer(base64.b64decode(state["images"][2]), np.float32)
    assert_array_equal(values, small_maps(small_cube())["PLS"].astype(np.float32).ravel())
