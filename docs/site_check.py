"""What is wrong with the built pages: links that lead nowhere, pictures without a text, addresses of an odd form."""

from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class _Page(HTMLParser):
    """Ids, links and pictures of a page."""

    def __init__(self, html):
        super().__init__()
        self.ids, self.links, self.faults = set(), set(), []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.ids |= {attributes[key] for key in ("id", "name") if attributes.get(key)}
        self.links |= {attributes[key] for key in ("href", "src") if attributes.get(key)}
        if tag == "img" and not (attributes.get("alt") or "").strip():
            self.faults.append(f"a picture without alt text: {attributes.get('src', '')[:60]}")
        if tag == "iframe" and not attributes.get("title"):
            self.faults.append("a frame without a title")


def faults(folder: Path) -> list[str]:
    """One line for each fault of the pages under `folder`. Nothing is asked from the network."""
    pages = {path: _Page(path.read_text("utf-8")) for path in sorted(folder.rglob("*.html"))}
    found = []
    for path, page in pages.items():
        where = path.relative_to(folder).as_posix()
        if where.startswith("_static/"):  # of the theme, and not all of it a page; the explorer writes its own
            continue
        found += [f"{where}: {fault}" for fault in page.faults]
        found += [f"{where}: {link}: {fault}" for link in sorted(page.links) if (fault := _fault(link, path, pages))]
    return found


def _fault(link, path, pages):
    try:
        parts = urlsplit(link)
    except ValueError:
        return "is not an address"
    if parts.scheme in ("data", "mailto"):
        return None
    if parts.scheme or parts.netloc:
        good = parts.scheme == "https" and "." in parts.netloc and " " not in link
        return None if good else "is not an https address"
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if not target.is_file():
        return "leads to no file"
    if parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].ids:
        return "leads to no such place on that page"
    return None
