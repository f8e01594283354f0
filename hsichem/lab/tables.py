"""The numbers of a run as rows of text: one table of all methods for the page and the terminal, and small ones."""

# header, section and key in metrics["methods"][...]; the share stands beside the correlation: alone it misleads
COLUMNS = [
    ("RMSEP", "mean", "rmsep"),
    ("to PLS", "difference", "rmsep_ratio"),
    ("minus PLS", "difference", "rmsep_difference"),
    ("pixel RMSE", "map", "pixel_rmse"),
    ("pixels to PLS", "difference", "pixel_rmse_ratio"),
    ("correlation", "map", "correlation"),
    ("share", "variogram", "correlated_share"),
    ("slope", "map", "slope"),
    ("SD ratio", "map", "sd_ratio"),
    ("edge", "map", "edge_width"),
    ("outside", "map", "outside_share"),
    ("lowest", "map", "low"),
    ("highest", "map", "high"),
    ("bias", "mean", "bias"),
]
TEXT_COLUMNS = ("RMSEP", "to PLS", "pixel RMSE", "correlation", "share", "slope", "edge", "outside")  # fits a terminal
_MEANS = """RMSEP and bias: error of the mean of a test image. To PLS: RMSEP divided by that of PLS, on the same images;
minus PLS: their difference. Outside: pixels outside 0-100 %; lowest and highest: of all test images. """
_TRUTH = """The other columns compare maps with the truth, pixel by pixel, at the map's own resolution: error, the same
divided by that of PLS, correlation, slope of predicted on true values, ratio of their standard deviations, 10-90 %
width of edges beyond that of the truth (mm, or pixels of the image where the pitch is not known). """
_NO_TRUTH = """These images have no truth maps, so nobody can say here how far a pixel is off, how much contrast a map
keeps, or how sharp its edges are: such columns are left out. 04_spatial_variance says what can be known all the same,
and how to know more. """
_SHARES = """Share: the spatially correlated part of the map's variance. It says how smooth a map is, not whether it is
right: the null maps know nothing of the sample's chemistry and have a share too. Small: 95 % intervals, by bootstrap
over the animals, those of the share over blocks of the maps; what has none is an extreme, or not known. Errors and
values are in the unit of the reference."""

# title, section of the metrics, header -> key, legend; the keys of a section are the rows
TABLES = [
    (
        "What can be said without a truth",
        "without_truth",
        {"RMSEP": "rmsep", "share": "correlated_share", "noise": "noise", "errs at least": "errs_at_least"}
        | {"with PLS": "with_pls", "pixel RMSE": "pixel_rmse"},
        "Noise: from pixel to pixel, the root of the nugget. Errs at least: distance of the map from 0-100 %, as a "
        "root mean square. With PLS: correlation with the PLS map, pixel by pixel. These two and the pixel RMSE, where "
        "it is known, are of means over 2 x 2 pixels. What a null map reaches as well is no evidence for a map.",
    ),
    (
        "The U-Net against each PLS map",
        "unet_against",
        {"pixel RMSE, U-Net / this map": "pixel_rmse_ratio"},
        "Mean pixel RMSE of the U-Net's maps divided by that of the PLS map, each at its own resolution. Below 1 the "
        "U-Net is nearer to the truth. Small: paired 95 % interval, by bootstrap over the animals.",
    ),
    (
        "Smoothness sweep",
        "smoothness",
        {"share": "correlated_share", "slope": "slope", "SD ratio": "sd_ratio", "pixel RMSE": "pixel_rmse"}
        | {"RMSEP": "rmsep"},
        "One network for each weight of the smoothness term, trained on one fold. The share says how smooth its maps "
        "are, the other columns what that costs.",
    ),
    (
        "Shortcuts",
        "shortcuts",
        {"RMSEP": "rmsep", "correlation of means": "correlation", "mean moved by": "moved"},
        "Means predicted for test images of which something was taken away. A method that keeps its prediction did not "
        "use what is missing. On the mask alone nothing of the sample is left but its outline: a correlation with the "
        "reference there is a shortcut. Moved: root mean square of the change, in the unit of the reference.",
    ),
    (
        "Intervals for the mean",
        "conformal",
        {"promised": "promised_share", "held": "held_share", "width": "width", "images": "n"},
        "Conformal intervals (CV+) for the mean of an image, never for a pixel, and how many of the test images they "
        "hold. Small: 95 % Clopper-Pearson interval of that share, as if images were independent.",
    ),
    (
        "Does the ensemble's spread tell its error?",
        "calibration",
        {"error / spread": "ratio", "rank correlation": "rank_correlation"},
        "Pixels of all test images. 1 is calibrated, above 1 is too sure. The rank correlation says whether pixels on "
        "which the networks disagree err more.",
    ),
]


def head_to_head(metrics: dict, headers: tuple) -> list[list[str]]:
    """A row of text for each method, PLS first, then for each null map: its name, then the columns of these headers.

    A figure's interval stands on a second line.
    """
    rows = []
    for name, values in sorted(metrics.get("methods", {}).items(), key=lambda item: not item[0].startswith("PLS")):
        rows.append((name, values | {"difference": metrics.get("difference", {}).get(name, {})}))
    for name, null in metrics.get("nulls", {}).items():
        rows.append((f"null: {name}", {"map": null, "variogram": null}))
    chosen = [column for column in COLUMNS if column[0] in headers]
    return [[name, *(cell(values.get(section, {}), key) for _, section, key in chosen)] for name, values in rows]


def truth_known(metrics: dict) -> bool:
    """Whether the methods' maps were compared with truth maps."""
    return any("pixel_rmse" in values.get("map", {}) for values in metrics.get("methods", {}).values())


def legend(metrics: dict) -> str:
    """What the columns of the head-to-head table mean."""
    return _MEANS + (_TRUTH if truth_known(metrics) else _NO_TRUTH) + _SHARES


def drop_unknown(headers, rows) -> tuple[list, list]:
    """Headers and rows of text without the columns of which no row knows anything; the first one, of names, stays."""
    kept = [i for i in range(len(headers)) if i == 0 or any(row[i] != "-" for row in rows)]
    return [headers[i] for i in kept], [[row[i] for i in kept] for row in rows]


def text_table(metrics: dict, headers: tuple | None = None) -> str:
    """The head-to-head table for a terminal, without the intervals.

    headers: some of those in COLUMNS, and in its order; None for those of TEXT_COLUMNS of which some row knows
    something, at most 100 characters wide.
    """
    rows = head_to_head(metrics, headers or TEXT_COLUMNS)
    headers, rows = (["", *headers], rows) if headers else drop_unknown(["", *TEXT_COLUMNS], rows)
    rows = [[text.partition("\n")[0] for text in row] for row in (headers, *rows)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for name, *cells in rows:
        numbers = (text.rjust(width) for text, width in zip(cells, widths[1:], strict=True))
        lines.append("  ".join([name.ljust(widths[0]), *numbers]))
    return "\n".join(lines)


def cell(values: dict, key: str) -> str:
    """A figure, and on a second line its interval (`<key>_interval`) if it has one."""
    interval = values.get(f"{key}_interval")
    return text(values.get(key), key) + (f"\n{text(interval, key)}" if interval else "")


def text(value, key="") -> str:
    """A value as a reader wants it: shares in per cent, two digits after the point, "-" for what is not known."""
    if value is None:
        return "-"
    if isinstance(value, list | tuple):
        return " to ".join(text(part, key) for part in value).replace(" % to", " to")
    if key.endswith("_share"):
        return f"{100 * value:.2f} %"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 100 else f"{round(value, 2) + 0.0:.2f}"  # + 0.0: no -0.00
    return str(value)
