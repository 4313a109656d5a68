"""US persons, foreign persons, and the country that a release is deemed to go to.

A US person is told by standing alone (15 CFR 772.1, 8 USC 1324b(a)(3)), never by citizenship. Under the EAR a release
to a foreign person is deemed to go to the most recent country of citizenship or permanent residency (15 CFR 734.13(b));
under the ITAR every citizenship ever held and every permanent residency held now counts (22 CFR 120.50(b)).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from policy_engine.domain.roster import Person, UsStatusKind

US_PERSON_KINDS: Final = frozenset(UsStatusKind) - {UsStatusKind.NONE}

_BEGINNING: Final = datetime.min.replace(tzinfo=UTC)


class ContradictionError(ValueError):
    """The file says two things at once; nobody may be judged by it."""


def status_at(person: Person, at: datetime) -> UsStatusKind | None:
    """The standing in force, `None` when none is on file for the instant.

    Raises `ContradictionError` when two different ones are in force.
    """
    kinds = {row.kind for row in person.us_statuses or () if row.valid.holds(at)}
    if len(kinds) > 1:
        raise ContradictionError(f"two US statuses are in force for person `{person.id}`")
    return next(iter(kinds), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeemedCountries:
    """Where a release to the person is deemed to go, with the fact that each rests on.

    More than one when two facts begin at the same instant: the law names no order then, so each is judged. More than
    one, too, when a fact has no beginning: it could be the most recent one, and `undated` names what would tell. Each
    of `cases` is then what the countries could come to, in positions of `countries`; else there is one case, of all.
    `missing` names what is not on file and could change the answer.
    """

    countries: tuple[str, ...]
    basis: tuple[str, ...]
    missing: tuple[str, ...]
    undated: tuple[str, ...] = ()
    cases: tuple[tuple[int, ...], ...] = ()


def deemed_countries(person: Person, at: datetime, *, undated_first: bool = False) -> DeemedCountries:
    """The most recent country of citizenship or permanent residency held at the instant (15 CFR 734.13(b)).

    With `undated_first`, which is how it was read once, what has no beginning is the oldest.
    """
    missing: list[str] = []
    if not person.citizenships:
        missing.append("person.citizenships")
    if person.permanent_residencies is None:
        missing.append("person.permanent_residencies")
    held: list[tuple[datetime | None, str, str]] = [
        (row.valid.start, row.country, f"{name} of {row.country}")
        for name, rows in (("citizenship", person.citizenships), ("residency", person.permanent_residencies))
        for row in rows or ()
        if row.valid.holds(at)
    ]
    if missing or not held:
        return DeemedCountries(countries=(), basis=(), missing=tuple(missing) or ("person.citizenships",))
    if not undated_first and len({country for _, country, _ in held}) > 1 and any(row[0] is None for row in held):
        return _undated(held)
    latest = max(start or _BEGINNING for start, _, _ in held)
    recent = sorted({(country, basis) for start, country, basis in held if (start or _BEGINNING) == latest})
    return DeemedCountries(
        countries=tuple(dict.fromkeys(country for country, _ in recent)),
        basis=tuple(basis for _, basis in recent),
        missing=(),
    )


def _undated(held: list[tuple[datetime | None, str, str]]) -> DeemedCountries:
    """Every country that could be the most recent one: those without a beginning, and the latest of the others."""
    dated = [row for row in held if row[0] is not None]
    latest = max((start for start, _, _ in dated if start is not None), default=None)
    open_ones = sorted({(country, basis) for start, country, basis in held if start is None})
    recent = sorted({(country, basis) for start, country, basis in dated if start == latest})
    candidates = [*open_ones, *recent]
    cases: list[tuple[int, ...]] = [(place,) for place in range(len(open_ones))]
    if recent:
        cases.append(tuple(range(len(open_ones), len(candidates))))
    names = {"citizenship": "person.citizenships", "residency": "person.permanent_residencies"}
    return DeemedCountries(
        countries=tuple(country for country, _ in candidates),
        basis=tuple(
            f"{basis}{'' if place >= len(open_ones) else ', since nobody knows when'}"
            for place, (_, basis) in enumerate(candidates)
        ),
        missing=(),
        undated=tuple(sorted({names[basis.partition(" ")[0]] for _, basis in open_ones})),
        cases=tuple(cases),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ItarCountries:
    """Every country that a release to the person is deemed to go to under 22 CFR 120.50(b)."""

    countries: tuple[str, ...]
    missing: tuple[str, ...]


def itar_countries(person: Person, at: datetime) -> ItarCountries:
    """Citizenships that have begun by the instant, ended ones too, and permanent residencies held at it."""
    missing: list[str] = []
    if person.citizenships is None:
        missing.append("person.citizenships")
    if person.permanent_residencies is None:
        missing.append("person.permanent_residencies")
    countries = {row.country for row in person.citizenships or () if row.valid.start is None or row.valid.start <= at}
    countries |= {row.country for row in person.permanent_residencies or () if row.valid.holds(at)}
    return ItarCountries(countries=tuple(sorted(countries)), missing=tuple(missing))
