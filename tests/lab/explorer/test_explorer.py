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
    e = explored()
    plots = e.canvas.plots
    e.controls["variogram"].value = "band"
    assert e.canvas.plots[-1]["title"] == "Variogram of band"
    plots = e.canvas.plots
    e.controls["band"].value = 3
    assert e.canvas.plots is plots
    settle(e)
    assert e.canvas.plots[-1]["series"][0]["y"] != plots[-1]["series"][0]["y"]
    plots = e.canvas.plots
    settle(e)
    assert e.canvas.plots is plots  # nothing is stale
    e.pins = [(5, 5)]
    assert e.canvas.plots[0]["series"][1]["name"] == "pin 1"
    e.regions = SQUARE
    assert [line["name"] for line in e.canvas.plots[0]["series"]] == ["mean of the sample", "pin 1", "square"]


def test_the_cursor_gets_its_spectrum(monkeypatch):
    e, sent = explored(), []
    monkeypatch.setattr(e.canvas, "send", lambda message, buffers: sent.append((message, buffers)))
    e.canvas._handle_custom_msg({"kind": "at", "place": [5, 7]}, [])
    ((message, (data,)),) = sent
    assert message == {"kind": "spectrum", "place": [5, 7]}
    assert_array_equal(np.frombuffer(data, np.float32), small_cube().values[5, 7])
    e.canvas._handle_custom_msg({"kind": "at", "place": [25, 7]}, [])  # of a larger sample, just left
    assert sent[1][0]["place"] == [19, 7]
    explore(small_maps(small_cube())).canvas._handle_custom_msg({"kind": "at", "place": [5, 7]}, [])  # has no image


def test_who_moves_a_slider_sees_what_it_moves():
    e = explored()
    assert e.shown == ["PLS", "U-Net", "PLS Q"]  # as they were given; the image is on demand
    e.canvas.band = 3  # as a click on the spectrum does
    assert e.controls["band"].value == 3 and e.shown[-1] == "band"
    assert_array_equal(e.maps["band"], small_cube().values[:, :, 3])


def test_who_reads_answers_gets_them_fresh(tmp_path):
    e = explored(SQUARE)
    e.controls["band"].value = 3
    assert_array_equal(e.region_values("square")["band"], small_cube().values[4:14, 2:10, 3].ravel())
    with pytest.raises(InputError, match="no region 'circle'; expected one of square"):
        e.region_values("circle")
    assert e.region_values()["PLS"].size == small_cube().mask.sum()
    e.controls["band"].value = 5
    mean = small_cube().values[4:14, 2:10, 5].mean(dtype=np.float64)
    lines = e.save_csv(tmp_path / "regions.csv").read_text().splitlines()
    assert float(next(line for line in lines if line.startswith("mean,square,band")).split(",")[4]) == pytest.approx(
        mean
    )


def test_places_that_cannot_be():
    e = explored()
    with pytest.raises(InputError, match=r"pixel 20, 0 is outside the image of 20 rows"):
        e.pins = [(20, 0)]
    with pytest.raises(InputError, match="three or more"):
        e.regions = {"line": [(1, 1), (2, 2)]}
    with pytest.raises(InputError, match=r"\(row, column\) each"):
        e.regions = {"line": [(1, 1), (2, 2), (3,)]}
    with pytest.raises(InputError, match="'far' holds no pixel of the image of 20 rows"):
        e.regions = {"far": [(30, 30), (30, 40), (40, 40)]}
    assert e.pins == [] and e.regions == e.canvas.regions == {}
    with pytest.raises(InputError, match="no maps"):
        explore({})
    with pytest.raises(InputError, match="no settings"):
        explore("nowhere")


def test_maps_need_no_image():
    cube = small_cube()
    e = explore(small_maps(cube))
    assert [layer["name"] for layer in e.canvas.layers] == ["PLS", "U-Net", "PLS Q"] and "band" not in e.controls
    assert [plot["title"] for plot in e.canvas.plots] == ["Variogram of PLS"]
    assert e.region_values()["PLS"].size == cube.mask.sum()


def test_a_slider_sends_one_layer_and_a_reload_gets_it(monkeypatch):
    cube = small_cube()
    e = explored()
    sent = []
    monkeypatch.setattr(e.canvas, "send", lambda message, buffers: sent.append((message, buffers)))
    monkeypatch.setattr(e.canvas, "send_state", lambda key=None: sent.append(key))
    e.controls["band"].value = 3
    message, (data,) = next(each for each in sent if isinstance(each, tuple))
    assert not {"layers", "images"} & {each for each in sent if isinstance(each, str)}
    assert message["layer"]["name"] == "band" and message["layer"]["note"] == f"{cube.wavelengths[3]:.0f} nm"
    assert_array_equal(np.frombuffer(data, np.float32).reshape(20, 14), cube.values[:, :, 3])
    assert e.canvas.images[message["index"]] == data


def test_no_callback_uses_pyplot(monkeypatch):
    import matplotlib.pyplot as plt

    e = explored()
    monkeypatch.setattr(plt, "figure", lambda *_, **__: pytest.fail("pyplot in a callback"))
    e.controls["band"].value = 2
    e.controls["variogram"].value = "U-Net"
    e.regions = SQUARE
    settle(e)
    e.canvas._handle_custom_msg({"kind": "at", "place": [5, 7]}, [])
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
    values = np.frombuffer(base64.b64decode(state["images"][0]), np.float32)
    assert_array_equal(values, small_maps(small_cube())["PLS"].astype(np.float32).ravel())
