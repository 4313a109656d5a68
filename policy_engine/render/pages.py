"""Pages, made from the templates beside this file and from values of any room above.

A page is one file: it fetches nothing and runs nothing, for light, dark and paper. Every value is escaped, so that what
a book, a roster or a person wrote is shown and never obeyed. A name that a template asks for and is not given is an
error, never an empty place.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from policy_engine.domain.counted import many
from policy_engine.domain.instants import format_instant

_TEMPLATES: Final = Environment(
    loader=FileSystemLoader(Path(__file__).with_name("templates")),
    autoescape=True,
    undefined=StrictUndefined,
    auto_reload=False,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)


def page(template: str, **values: object) -> str:
    """What a template makes of some values. Raises what the values raise, and `jinja2.TemplateError`."""
    return _TEMPLATES.get_template(template).render(values)


def _sentence(text: str) -> str:
    """A phrase as a sentence: with a capital and a full stop."""
    return f"{text[:1].upper()}{text[1:]}."


def _pretty(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


_TEMPLATES.filters |= {"instant": format_instant, "pretty": _pretty, "sentence": _sentence}
_TEMPLATES.globals |= {"many": many}
