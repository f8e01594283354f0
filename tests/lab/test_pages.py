"""A page from a template: escaped, whole or absent."""

import pytest
from jinja2 import UndefinedError

from hsichem.lab import pages


@pytest.fixture
def room(tmp_path, monkeypatch):
    monkeypatch.setattr(pages, "ROOM", tmp_path)
    (tmp_path / "t.html.j2").write_text("<p title='{{ name }}'>{{ name }}</p>{{ file('x.css') }}{{ state | tojson }}")
    (tmp_path / "x.css").write_text("a > b {{ c }}")
    return tmp_path


def test_values_are_escaped_and_files_are_not(room):
    path = pages.write_page(room / "page.html", "t.html.j2", name="<i>'é", state={"x": "</script>"})
    page = path.read_text("utf-8")
    assert page.startswith("<p title='&lt;i&gt;&#39;é'>&lt;i&gt;&#39;é</p>a > b {{ c }}")
    assert "</script>" not in page


def test_a_value_that_is_not_given_leaves_no_page(room):
    with pytest.raises(UndefinedError, match="name"):
        pages.write_page(room / "page.html", "t.html.j2", state="x")
    assert not (room / "page.html").exists()
