"""The explorer's sliders, pickers and text fields: plain ipywidgets."""

import ipywidgets as widgets


def make_controls(scene, source, by_weight) -> dict:
    """Name -> widget, only for what the scene (layers.Scene) and its source (see sources) have.

    by_weight: smoothness weight -> Layer of the U-Net trained with it.
    """
    made = {}
    if len(source.names) > 1:
        made["sample"] = widgets.Dropdown(options=list(source.names.items()), description="sample")
    if scene.cube is not None:
        bands = [(f"{nm:.0f} nm", k) for k, nm in enumerate(scene.cube.wavelengths)]
        made["band"] = widgets.SelectionSlider(options=bands, value=len(bands) // 2, description="band")
    if source.models:
        count = {"min": 1, "max": len(source.models), "value": source.components}
        made["components"] = widgets.IntSlider(description="PLS components", **count)
        width = {"min": 0, "max": max(5.0, source.smoothing), "step": 0.25, "value": source.smoothing}
        made["smoothing"] = widgets.FloatSlider(description="PLS smoothing (pixels)", **width)
    if by_weight:
        made["weight"] = widgets.SelectionSlider(options=list(by_weight), description="U-Net smoothness weight")
    names = [name for name, layer in scene.layers.items() if not layer.photo]
    first = "PLS" if "PLS" in names else names[-1]
    made["variogram"] = widgets.Dropdown(options=names, value=first, description="variogram of")
    for name, text in {"pins": "pinned pixels", "polygon": "region"}.items():
        places = {"placeholder": "row, column; row, column; ...", "continuous_update": False}
        made[name] = widgets.Text(description=text, **places)
    for each in made.values():
        each.style = {"description_width": "initial"}
    return made


def read_places(text: str) -> list[list[float]]:
    """ "row, column; row, column" as numbers. Raises ValueError where it is something else."""
    return [[float(number) for number in place.split(",")] for place in text.split(";") if place.strip()]


def write_places(places) -> str:
    """What `read_places` reads."""
    return "; ".join(f"{row:g}, {col:g}" for row, col in places)
