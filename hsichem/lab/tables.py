"""The numbers of a run as rows of text, for the page and the terminal. What they mean is said in report.html.j2."""

# header -> section.key of metrics["methods"][...]; the share stands beside the correlation: alone it misleads
COLUMNS = {
    "RMSEP": "mean.rmsep",
    "to PLS": "difference.rmsep_ratio",
    "minus PLS": "difference.rmsep_difference",
    "held-out": "held_out.held_out",
    "pixel RMSE": "map.pixel_rmse",
    "to opponent": "difference.pixel_rmse_ratio",
    "correlation": "map.correlation",
    "share": "variogram.correlated_share",
    "slope": "map.slope",
    "SD ratio": "map.sd_ratio",
    "edge": "map.edge_width",
    "outside": "map.outside_share",
    "lowest": "map.low",
    "highest": "map.high",
    "bias": "mean.bias",
}
TEXT_COLUMNS = (
    "RMSEP",
    "to PLS",
    "held-out",
    "pixel RMSE",
    "slope",
    "outside",
    "correlation",
    "share",
)  # fits a terminal


def head_to_head(metrics: dict, headers=tuple(COLUMNS)) -> list[list[str]]:
    """Headers, then a row for each method, linear ones first, and for each null map, as `table` makes them.

    headers: some of those in COLUMNS, which also decides their order.
    """
    methods = sorted(metrics.get("methods", {}).items(), key=lambda item: not item[0].startswith(("PLS", "linear")))
    entries = {name: values | {"difference": metrics.get("difference", {}).get(name, {})} for name, values in methods}
    entries |= {
        f"null: {name}": dict.fromkeys(("map", "variogram", "held_out"), null)
        for name, null in metrics.get("nulls", {}).items()
    }
    return table(entries, {header: key for header, key in COLUMNS.items() if header in headers}, "map")


def table(entries: dict, columns: dict, first: str = "") -> list[list[str]]:
    """Headers, then a row of text for each entry: its name and its figures. Columns that no entry knows are left out.

    entries: name -> values; columns: header -> key in values, "section.key" where they are nested; first: the header
    above the names. An interval (`<key>_interval`) stands on a second line below its figure.
    """
    rows = [[name, *(_cell(values, *key.split(".")) for key in columns.values())] for name, values in entries.items()]
    kept = [0, *(i for i in range(1, len(columns) + 1) if any(row[i] != "-" for row in rows))]
    return [[row[i] for i in kept] for row in ([first, *columns], *rows)]


def _cell(values: dict, *keys: str) -> str:
    *sections, key = keys
    for section in sections:
        values = values.get(section, {})
    interval = values.get(f"{key}_interval")
    return text(values.get(key), key) + (f"\n{text(interval, key)}" if interval else "")


def text_table(metrics: dict, headers=TEXT_COLUMNS) -> str:
    """The head-to-head table for a terminal, without the intervals; with TEXT_COLUMNS at most 100 characters wide."""
    rows = [[cell.partition("\n")[0] for cell in row] for row in head_to_head(metrics, headers)]
    rows[0][0] = ""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for name, *cells in rows:
        numbers = (cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True))
        lines.append("  ".join([name.ljust(widths[0]), *numbers]))
    return "\n".join(lines)


def text(value, key="") -> str:
    """A value as a reader wants it: shares in per cent, two digits after the point, below 0.1 two that count; "-" if
    it is not known."""
    if value is None:
        return "-"
    if isinstance(value, list | tuple):
        return " to ".join(text(part, key) for part in value).replace(" % to", " to")
    if key.endswith("_share"):
        return f"{100 * value:.2f} %"
    if isinstance(value, float) and 1e-9 < abs(value) < 0.1:
        return f"{value:.2g}"
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 100 else f"{round(value, 2) + 0.0:.2f}"  # + 0.0: no -0.00
    return str(value)
