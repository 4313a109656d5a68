"""The rows of the membership database as the text of a membership file.

YAML 1.2 in the shape that `membership_file` reads: flow mappings, one row on a line, sorted by their text. A text that
another reader might take for something else (`NO`, a date, a number, a colon inside) is quoted, what cannot be seen is
escaped, and an instant is plain RFC 3339.
"""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, Generic, TypeAlias, TypeVar

from policy_engine.domain.instants import Validity, format_instant
from policy_engine.domain.roster import (
    Account,
    Authorisation,
    Citizenship,
    ClusterReading,
    Consortium,
    Draw,
    Employment,
    Listing,
    Membership,
    Organisation,
    PermanentResidency,
    PersonEntry,
    Recorded,
    Roster,
    RosterRows,
    Stake,
    Statement,
    UsStatus,
)
from policy_engine.formats.faults import quoted

A = TypeVar(
    "A",
    Organisation,
    Employment,
    UsStatus,
    Citizenship,
    PermanentResidency,
    Account,
    Consortium,
    Membership,
    Stake,
    Authorisation,
    Draw,
    Listing,
    Statement,
    ClusterReading,
)

_FIRST: Final = datetime.min.replace(tzinfo=UTC)


def write_members(rows: RosterRows, *, recorded: bool = True, unknown: bool = False) -> str:
    """The rows as YAML 1.2 in the shape that `read_members` reads: one row on a line, in an order of their own.

    With `recorded` every row ever recorded is written with its `recorded_at`, so that reading the file gives the same
    rows; without it only what is known in the end, undated. With `unknown` a person's list that was never filed is
    written as null and not left out. Raises `ValueError` when rows belong to a person's list
    that was never filed, since the file has no shape for them.
    """
    if not recorded:
        rows = in_the_end(rows)
    sections = {
        "organisations": [_organisation_line(row) for row in rows.organisations],
        "ownership": [_stake_line(row) for row in rows.stakes],
        "people": _people_lines(rows, unknown=unknown),
        "accounts": _lines(rows.accounts, _ACCOUNT),
        "consortia": [_consortium_line(row) for row in rows.consortia],
        "memberships": _lines(rows.memberships, _MEMBERSHIP),
        "authorisations": _lines(rows.authorisations, _AUTHORISATION),
        "draws": [_draw_line(row) for row in rows.draws],
        "listings": _lines(rows.listings, _LISTING),
        "statements": [_statement_line(row) for row in rows.statements],
        "clusters": [_cluster_line(row) for row in rows.clusters],
    }
    written = [
        f"{name}:\n" + "".join(f"  - {line}\n" for line in sorted(lines)) for name, lines in sections.items() if lines
    ]
    return "".join(written) or "{}\n"


def in_the_end(rows: RosterRows, known_at: datetime | None = None) -> RosterRows:
    """What is known at an instant, or when every correction has been applied, without the instants of recording.

    Rows in a person's list that is unknown then are left out.
    """
    known = Roster.as_known(rows, known_at)
    people = tuple(known.people.values())
    return RosterRows(
        organisations=_undated(known.organisations.values()),
        people=tuple(
            PersonEntry(
                id=person.id,
                employments_filed=person.employments is not None,
                us_status_filed=person.us_statuses is not None,
                citizenships_filed=person.citizenships is not None,
                permanent_residencies_filed=person.permanent_residencies is not None,
            )
            for person in people
        ),
        employments=_undated(row for person in people for row in person.employments or ()),
        us_statuses=_undated(row for person in people for row in person.us_statuses or ()),
        citizenships=_undated(row for person in people for row in person.citizenships or ()),
        permanent_residencies=_undated(row for person in people for row in person.permanent_residencies or ()),
        accounts=_undated(known.accounts.values()),
        consortia=_undated(known.consortia.values()),
        memberships=_undated(itertools.chain.from_iterable(known.memberships.values())),
        stakes=_undated(itertools.chain.from_iterable(known.owners.values())),
        authorisations=_undated(itertools.chain.from_iterable(known.authorisations.values())),
        draws=_undated(itertools.chain.from_iterable(known.draws.values())),
        listings=_undated(itertools.chain.from_iterable(known.listings.values())),
        statements=_undated(itertools.chain.from_iterable(known.statements.values())),
        clusters=_undated(itertools.chain.from_iterable(known.clusters.values())),
    )


def _undated(rows: Iterable[A]) -> tuple[A, ...]:
    return tuple(replace(row, recorded_at=None) for row in rows)


_PLAIN: Final = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*(?: [A-Za-z0-9_./-]+)*")
_READ_DIFFERENTLY: Final = frozenset("y n yes no on off true false null nan infinity".split())
"""Plain words that are no text in YAML 1.1, in YAML 1.2 or in this project's documents."""


def _text(text: str | None) -> str:
    if text is None:
        return "null"
    if _PLAIN.fullmatch(text) is not None and text.lower() not in _READ_DIFFERENTLY:
        return str(text)
    return f'"{"".join(_escaped(character) for character in text)}"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _texts(texts: Iterable[str] | None) -> str:
    return "null" if texts is None else f"[{', '.join(_text(text) for text in texts)}]"


def _instant(instant: datetime | None) -> str:
    return "null" if instant is None else format_instant(instant)


def _count(count: int | None) -> str:
    return "null" if count is None else str(count)


def _decimal(number: Decimal | None) -> str:
    return "null" if number is None else f'"{number:f}"'


def _share(share: Decimal | None) -> str:
    """A share; one of 1 % and less with its sign, since without it a reader takes it for a fraction of one."""
    return f'"{share:f} %"' if share is not None and 0 < share <= 1 else _decimal(share)


def _flag(flag: bool | None) -> str:
    return "null" if flag is None else "true" if flag else "false"


def _interval(valid: Validity) -> tuple[tuple[str, str], tuple[str, str]]:
    return ("from", _instant(valid.start)), ("to", _instant(valid.end))


def _line(row: Recorded, *pairs: tuple[str, str]) -> str:
    """A flow mapping; when it was recorded stands last, and whether it was taken back then."""
    if row.recorded_at is not None:
        pairs = (*pairs, ("recorded_at", format_instant(row.recorded_at)))
    if row.retracted:
        pairs = (*pairs, ("retracted", "true"))
    return f"{{{', '.join(f'{name}: {value}' for name, value in pairs)}}}"


Pairs: TypeAlias = tuple[tuple[str, str], ...]
"""The members of a row in order, each with its value as it is written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layout(Generic[A]):
    """How a row of a kind is written; what is `rare` is left out where no row has it.

    Where one row has it the others say null, since a member that is left out leaves what is on file.
    """

    pairs: Callable[[A], Pairs]
    rare: tuple[str, ...]

    def line(self, row: A) -> str:
        """One row by itself."""
        return _lines((row,), self)[0]


def _lines(rows: Iterable[A], layout: _Layout[A]) -> list[str]:
    written = [(row, layout.pairs(row)) for row in rows]
    unused = set(layout.rare) - {name for _, pairs in written for name, value in pairs if value != "null"}
    return [_line(row, *(pair for pair in pairs if pair[0] not in unused)) for row, pairs in written]


def _organisation_line(row: Organisation) -> str:
    identifiers = "null"
    if row.identifiers is not None:
        identifiers = f"{{{', '.join(f'{_text(name)}: {_text(value)}' for name, value in row.identifiers)}}}"
    return _line(
        row,
        ("id", _text(row.id)),
        ("name", _text(row.name)),
        ("kind", _text(row.kind)),
        ("incorporated", _text(row.incorporated)),
        ("headquarters", _text(row.headquarters)),
        ("contract_country", _text(row.contract_country)),
        ("sector", _text(row.sector)),
        ("reseller", _flag(row.reseller)),
        ("identifiers", identifiers),
        ("aliases", _texts(row.aliases)),
    )


def _stake_line(row: Stake) -> str:
    percent = _share(row.percent)
    if row.minimum is not None or row.maximum is not None:
        percent = f"{{minimum: {_decimal(row.minimum)}, maximum: {_decimal(row.maximum)}}}"
    evidence = ("evidence", _text(row.evidence))
    parties = ("owner", _text(row.owner)), ("owned", _text(row.owned))
    return _line(row, *parties, ("percent", percent), *_interval(row.valid), evidence)


_PERSONAL_LISTS: Final = ("employments", "us_status", "citizenships", "permanent_residencies")


def _people_lines(rows: RosterRows, *, unknown: bool) -> list[str]:
    """A line for each entry; a list's rows stand under the first entry of the person that files the list."""
    entries = sorted(rows.people, key=lambda entry: (entry.id, entry.recorded_at or _FIRST))
    employments = _by_person((row.person, _personal_line(row)) for row in rows.employments)
    us_statuses = _by_person((row.person, _personal_line(row)) for row in rows.us_statuses)
    citizenships = _by_person((row.person, _personal_line(row)) for row in rows.citizenships)
    residencies = _by_person((row.person, _personal_line(row)) for row in rows.permanent_residencies)
    written: list[str] = []
    ever = {(entry.id, name) for entry in entries for name in _PERSONAL_LISTS if getattr(entry, f"{name}_filed")}
    for entry in entries:
        pairs = [("id", _text(entry.id))]
        for name, filed, lines in (
            ("employments", entry.employments_filed, employments),
            ("us_status", entry.us_status_filed, us_statuses),
            ("citizenships", entry.citizenships_filed, citizenships),
            ("permanent_residencies", entry.permanent_residencies_filed, residencies),
        ):
            if filed:
                pairs.append((name, f"[{', '.join(sorted(lines.pop(entry.id, ())))}]"))
            elif unknown or (entry.id, name) in ever:
                # Left out, it would be filed as another entry has it.
                pairs.append((name, "null"))
        written.append(_line(entry, *pairs))
    unfiled = sorted({*employments, *us_statuses, *citizenships, *residencies})
    if unfiled:
        raise ValueError(f"rows of {', '.join(quoted(person) for person in unfiled)} stand in lists that nobody filed")
    return written


_Personal: TypeAlias = Employment | UsStatus | Citizenship | PermanentResidency


def _personal_line(row: _Personal) -> str:
    """A row of one of a person's lists; whose it is stands around it."""
    said: tuple[tuple[str, str], ...]
    match row:
        case Employment():
            said = (("organisation", _text(row.organisation)), ("kind", _text(row.kind)))
        case UsStatus():
            said = (("kind", _text(row.kind)),)
        case _:
            said = (("country", _text(row.country)),)
    return _line(row, *said, *_interval(row.valid))


def _by_person(lines: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for person, line in lines:
        groups[person].append(line)
    return dict(groups)


def _account_pairs(row: Account) -> Pairs:
    return (
        ("id", _text(row.id)),
        ("kind", _text(row.kind)),
        ("organisation", _text(row.organisation)),
        ("person", _text(row.person)),
        ("gateway", _text(row.gateway)),
        ("cluster", _text(row.cluster)),
        *_interval(row.valid),
    )


def _consortium_line(row: Consortium) -> str:
    return _line(row, ("id", _text(row.id)), ("name", _text(row.name)))


def _membership_pairs(row: Membership) -> Pairs:
    credit = "null"
    if row.credit is not None:
        credit = f"{{amount: {_decimal(row.credit.amount)}, period: {_text(row.credit.period)}}}"
    return (
        ("organisation", _text(row.organisation)),
        ("consortium", _text(row.consortium)),
        *_interval(row.valid),
        ("status", _text(row.status)),
        ("seats", _count(row.seats)),
        ("credit", credit),
    )


def _authorisation_pairs(row: Authorisation) -> Pairs:
    return (
        ("id", _text(row.id)),
        ("regime", _text(row.regime)),
        ("kind", _text(row.kind)),
        ("holder", _text(row.holder)),
        ("models", _texts(row.models)),
        ("actions", _texts(row.actions)),
        ("countries", _texts(row.countries)),
        *_interval(row.valid),
        ("cap", "null" if row.named_users is None else f"{{named_users: {row.named_users}}}"),
        ("conditions", _texts(row.conditions)),
        ("persons", _texts(row.persons)),
        ("nationalities", _texts(row.nationalities)),
        ("employees_only", _flag(row.employees_only)),
        ("purposes", _texts(row.purposes)),
    )


def _draw_line(row: Draw) -> str:
    return _line(
        row, ("authorisation", _text(row.authorisation)), ("person", _text(row.person)), ("at", _instant(row.at))
    )


def _listing_pairs(row: Listing) -> Pairs:
    return (
        ("party", _text(row.party)),
        ("list", _text(row.list)),
        ("entry", _text(row.entry)),
        ("entry_version", _text(row.entry_version)),
        ("reference", _text(row.reference)),
        ("status", _text(row.status)),
        ("cleared_version", _text(row.cleared_version)),
        ("programmes", _texts(row.programmes)),
        ("requirement", _text(row.requirement)),
        *_interval(row.valid),
    )


def _statement_line(row: Statement) -> str:
    return _line(row, ("organisation", _text(row.organisation)), ("kind", _text(row.kind)), *_interval(row.valid))


def _cluster_line(row: ClusterReading) -> str:
    return _line(
        row,
        ("id", _text(row.id)),
        ("shared", _texts(row.shared)),
        ("accounts", _count(row.accounts)),
        ("exchanges_24h", _count(row.exchanges_24h)),
        ("as_of", _instant(row.as_of)),
    )


def _person_line(row: PersonEntry) -> str:
    """That a person is on file, and which lists are; their rows stand by themselves."""
    filed = (
        ("employments", row.employments_filed),
        ("us_status", row.us_status_filed),
        ("citizenships", row.citizenships_filed),
        ("permanent_residencies", row.permanent_residencies_filed),
    )
    return _line(row, ("id", _text(row.id)), ("lists on file", _texts(name for name, is_filed in filed if is_filed)))


_ACCOUNT: Final = _Layout(pairs=_account_pairs, rare=("from", "to"))
_MEMBERSHIP: Final = _Layout(pairs=_membership_pairs, rare=("seats", "credit"))
_AUTHORISATION: Final = _Layout(
    pairs=_authorisation_pairs, rare=("persons", "nationalities", "employees_only", "purposes")
)
_LISTING: Final = _Layout(pairs=_listing_pairs, rare=("programmes", "requirement"))
_LINES: Final[dict[type, tuple[str, Callable[[Any], str]]]] = {
    Organisation: ("organisation", _organisation_line),
    PersonEntry: ("person", _person_line),
    Employment: ("employment", _personal_line),
    UsStatus: ("US status", _personal_line),
    Citizenship: ("citizenship", _personal_line),
    PermanentResidency: ("permanent residency", _personal_line),
    Account: ("account", _ACCOUNT.line),
    Consortium: ("consortium", _consortium_line),
    Membership: ("membership", _MEMBERSHIP.line),
    Stake: ("share", _stake_line),
    Authorisation: ("authorisation", _AUTHORISATION.line),
    Draw: ("draw", _draw_line),
    Listing: ("listing", _LISTING.line),
    Statement: ("statement", _statement_line),
    ClusterReading: ("cluster", _cluster_line),
}


def row_text(row: Recorded) -> str:
    """One row on one line for people: what it is, of whom, and its fields as the file has them."""
    what, line = _LINES[type(row)]
    whose = f" of {_text(row.person)}" if line is _personal_line and isinstance(row, _Personal) else ""
    return f"{what}{whose} {line(row)}"
