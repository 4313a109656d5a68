"""The Casbin model file: its definitions are those that are compiled, and only the order of the matcher is free.

Casbin would take an effect that lets a grant outvote a bar, a matcher that drops a column, or `1 == 1`, and answer
allow from then on. So every section and definition is compared with `MODEL_TEMPLATE`, white space aside, and the
matcher goes through `compile_matcher`. Comments are whole lines that begin with `#`; further on in a line a `#` is part
of the definition, which is then refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from policy_engine.domain.rules import FACETS
from policy_engine.formats.faults import Findings, near_miss, quoted
from policy_engine.policy.csv_reader import decoded
from policy_engine.policy.judge import DEFAULT_MATCHER, MODEL_TEMPLATE, MatcherError, compile_matcher

_SECTION: Final = re.compile(r"\[([^\[\]]*)\]")
_MATCHER: Final = ("matchers", "m")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    number: int
    section: str
    key: str | None
    value: str


def read_matcher(data: bytes, findings: Findings) -> str:
    """The matcher of the model in its one spelling; faults are noted, and the default stands in for what is missing."""
    text = decoded(data, findings)
    if text is None:
        return DEFAULT_MATCHER
    expected = {(line.section, line.key): line.value for line in _lines(template())}
    found: dict[tuple[str, str | None], _Line] = {}
    for line in _lines(text):
        place = (line.section, line.key)
        what = f"the section {quoted(line.section)}" if line.key is None else f"the definition {quoted(line.key)}"
        if place in found:
            message = f"duplicate of {what}, which is on line {found[place].number} already"
            findings.add(line.number, 1, message, "keep one of the two")
        elif place not in expected:
            known = tuple(str(key or section) for section, key in expected)
            near = near_miss(line.key or line.section, known)
            remedy = "take it out" if near is None else f"take it out, or did you mean `{near}`?"
            findings.add(line.number, 1, f"{what} does not belong to the model", remedy)
        elif place != _MATCHER and _bare(line.value) != _bare(expected[place]):
            findings.add(
                line.number,
                1,
                f"{what} is not the one that is compiled: {quoted(line.value)}",
                f"write {line.key} = {expected[place]}",
            )
        found.setdefault(place, line)
    for (section, key), value in expected.items():
        if (section, key) not in found:
            what = f"the section [{section}]" if key is None else f"the definition `{key}` of [{section}]"
            remedy = f"write [{section}]" if key is None else f"write {key} = {value}"
            findings.add(1, 1, f"{what} is missing", remedy)
    if _MATCHER not in found:
        return DEFAULT_MATCHER
    return _matcher(found[_MATCHER], findings)


def template() -> str:
    """The model as the project ships it."""
    return MODEL_TEMPLATE.format(facets=", ".join(FACETS), matcher=DEFAULT_MATCHER)


def _matcher(line: _Line, findings: Findings) -> str:
    try:
        facets = compile_matcher(line.value)
    except MatcherError as error:
        findings.add(line.number, 1, str(error), f"write m = {DEFAULT_MATCHER}")
        return DEFAULT_MATCHER
    return " && ".join([*(f"tri(p.{facet}, r.{facet}, p.eft)" for facet in facets), _UNLIFTED])


_UNLIFTED: Final = DEFAULT_MATCHER.rpartition(" && ")[2]


def _lines(text: str) -> Iterator[_Line]:
    """The sections and definitions; a line that is neither is a definition without a value."""
    section = ""
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        heading = _SECTION.fullmatch(line)
        if heading is not None:
            section = heading[1].strip()
            yield _Line(number=number, section=section, key=None, value="")
        else:
            key, _, value = line.partition("=")
            yield _Line(number=number, section=section, key=key.strip(), value=value.strip())


def _bare(text: str) -> str:
    return "".join(text.split())
