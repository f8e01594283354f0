"""HTML pages from the templates of this room: every value is escaped, and a page is whole or absent."""

from pathlib import Path

from hsichem._base import replacing

ROOM = Path(__file__).parent


def write_page(path, template: str, **values) -> Path:
    """Write a page from a template, which is named from this room's folder.

    In it `file(name)` is the text of another file there, as it is: for style sheets and scripts.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(ROOM), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.globals["file"] = lambda name: Markup((ROOM / name).read_text("utf-8"))
    text = environment.get_template(template).render(values)
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")
    return Path(path)
