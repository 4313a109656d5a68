"""A page shows what it is given and obeys none of it, and a template that lacks a value makes no page."""

from __future__ import annotations

from pathlib import Path

import pytest
from jinja2 import UndefinedError

from policy_engine.render import pages
from policy_engine.render.pages import page
from policy_engine.shapes.health import IndexDocument

TEMPLATES = Path(pages.__file__).with_name("templates")
HOSTILE = "<script>alert(1)</script>"


def index(what: str) -> IndexDocument:
    return IndexDocument(name="x", what=what, engine="1", reference="/a", openapi="/b", alive="/c", ready="/d")


def test_what_is_given_to_a_page_is_shown_and_not_obeyed() -> None:
    made = page("index.html", title=HOSTILE, index=index(f'"{HOSTILE}'))
    assert "<script" not in made
    assert made.count("&lt;script&gt;") == 3


@pytest.mark.parametrize("name", sorted(one.name for one in TEMPLATES.glob("*.html") if one.name != "parts.html"))
def test_a_template_that_lacks_a_value_makes_no_page(name: str) -> None:
    with pytest.raises(UndefinedError):
        page(name)


def test_a_page_fetches_nothing() -> None:
    made = page("index.html", title="x", index=index("y"))
    assert not any(word in made for word in ("src=", "@import", "url(", "http:", "https:"))
