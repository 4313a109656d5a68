"""The tables. What is recorded is never changed: every table but `controls`, `keys` and
`webhook_cursors` only grows. What is derived from the records, the tables whose names begin with `decision_`, may be
thrown away and made from them again.

Instants are whole microseconds since 1970-01-01T00:00:00Z, percentages exact decimal text, lists JSON text, and a
closed word is stored as it is written in files. A null is unknown, `[]` is known to be empty.

`info["service"]` of a table is what the service's role may do with it, in the words of SQL's GRANT.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from types import NoneType, UnionType
from typing import Any, Final, TypeVar, get_args, get_type_hints

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Dialect,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    false,
)
from sqlalchemy.types import TypeDecorator, TypeEngine

from policy_engine.domain.roster import Credit
from policy_engine.shapes.member_rows import BY_ROWS, Section

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


class Coded(TypeDecorator[T]):
    """A value that stands in a column of another type; null is null."""

    impl: Any = Text
    cache_ok = True

    def __init__(
        self, write: Callable[[T], object], read: Callable[[Any], T], column: TypeEngine[Any] | None = None
    ) -> None:
        """`write` and `read` go between the value and what the column has: a text where no other type is given."""
        super().__init__()
        self.write, self.read, self.column = write, read, column
        self.impl = column or Text()

    def process_bind_param(self, value: T | None, _dialect: Dialect) -> object:
        return None if value is None else self.write(value)

    def process_result_value(self, value: Any, _dialect: Dialect) -> T | None:
        return None if value is None else self.read(value)


def micros(at: datetime) -> int:
    """An instant as it stands in a column. Raises `TypeError` for one without a zone."""
    return (at - _EPOCH) // _MICROSECOND


Instant: Final = Coded[datetime](
    micros,
    lambda stored: _EPOCH + timedelta(microseconds=stored),
    BigInteger(),
)
"""An aware instant, exact to the microsecond. Raises `TypeError` for one without a zone."""

Percent: Final = Coded[Decimal](str, Decimal)
"""An exact decimal, as text."""

Texts: Final = Coded[tuple[str, ...]](_json, lambda stored: tuple(json.loads(stored)))
"""A list in its own order."""

TextSet: Final = Coded[frozenset[str]](lambda value: _json(sorted(value)), lambda stored: frozenset(json.loads(stored)))
"""A set, written in the order of its code points."""

Pairs: Final = Coded[tuple[tuple[str, str | None], ...]](
    _json, lambda stored: tuple((name, held) for name, held in json.loads(stored))
)
"""Names with their values, as a list of pairs in its own order."""


def _credit(stored: str) -> Credit:
    amount, period = json.loads(stored)
    return Credit(amount=Decimal(amount), period=period)


CreditOfPeriod: Final = Coded[Credit](lambda value: _json((str(value.amount), value.period)), _credit)
"""An amount, exact, and its period, as a pair of texts."""


class WordColumn(Coded[E]):
    """A word of a closed list. Raises `ValueError` for one that is not on it."""

    cache_ok = True

    def __init__(self, words: type[E]) -> None:
        super().__init__(lambda value: words(value).value, words)
        self.words = words


metadata: Final = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)

# In SQLite an INTEGER primary key is the row's own number, and needs no index beside the table.
_ROW_NUMBER: Final = BigInteger().with_variant(Integer, "sqlite")
_ONLY_GROWS: Final = {"service": "SELECT, INSERT"}

controls: Final = Table(
    "controls",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("epoch", BigInteger, nullable=False),
    Column("membership_revision", BigInteger, nullable=False),
    CheckConstraint("id = 1", name="single"),
    info={"service": "SELECT, UPDATE"},
)

changed_names: Final = Table(
    "changed_names",
    metadata,
    # What reads otherwise since an epoch: a name of a view of the members, or with both empty whatever there is.
    Column("epoch", BigInteger, primary_key=True, autoincrement=False),
    Column("view", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    info={"service": "SELECT, INSERT, DELETE"},
    sqlite_with_rowid=False,
)

revisions: Final = Table(
    "revisions",
    metadata,
    Column("number", _ROW_NUMBER, primary_key=True, autoincrement=False),
    Column("recorded_at", Instant, nullable=False),
    Column("actor", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("added", BigInteger, nullable=False),
    info=_ONLY_GROWS,
)


def _column(name: str, hint: Any) -> Column[Any]:
    """The column of a row's field, by its type; what cannot be `None` cannot be null."""
    kinds = [one for one in get_args(hint) if one is not NoneType] if isinstance(hint, UnionType) else [hint]
    held = WordColumn(kinds[0]) if isinstance(kinds[0], type) and issubclass(kinds[0], StrEnum) else _TYPES[kinds[0]]
    return Column(name, held, nullable=isinstance(hint, UnionType))


_TYPES: Final[Mapping[Any, Any]] = {
    str: Text,
    bool: Boolean,
    int: BigInteger,
    datetime: Instant,
    Decimal: Percent,
    Credit: CreditOfPeriod,
    tuple[str, ...]: Texts,
    tuple[tuple[str, str | None], ...]: Pairs,
}
_COMMON: Final = frozenset({"valid", "recorded_at", "retracted"})
_FOUND_BY: Final = {"stakes": ("owned",), "draws": ("authorisation", "person")}
"""The fields by which rows are looked up, where it is not the first that names them."""


def looked_up_by(rows: str) -> tuple[str, ...]:
    """The fields by which the rows of a kind are looked up."""
    return _FOUND_BY.get(rows, BY_ROWS[rows].named_by[:1])


def _roster_table(section: Section) -> Table:
    """The rows of one section. Dated ones have the interval in which they are true."""
    hints = get_type_hints(section.row)
    validity: list[Column[datetime]] = [Column(name, Instant) for name in ("valid_from", "valid_to") if section.dated]
    table = Table(
        "cluster_readings" if section.rows == "clusters" else section.rows,
        metadata,
        Column("row_id", _ROW_NUMBER, Identity(always=True), primary_key=True),
        *(_column(name, hint) for name, hint in hints.items() if name not in _COMMON),
        *validity,
        Column("recorded_at", Instant, nullable=False),
        Column("retracted", Boolean, nullable=False, server_default=false()),
        Column("revision", BigInteger, ForeignKey(revisions.c.number), nullable=False),
        info=_ONLY_GROWS,
    )
    Index(None, *(table.c[column] for column in looked_up_by(section.rows)))
    # A process that holds a revision reads what was recorded since.
    Index(None, table.c.revision)
    return table


ROSTER: Final[Mapping[str, Table]] = {name: _roster_table(section) for name, section in BY_ROWS.items()}
"""The table of each kind of row, by the name that the kind has in `RosterRows`."""
draws: Final = ROSTER["draws"]

decisions: Final = Table(
    "decisions",
    metadata,
    # Dense from 0, taken under the log's lock in the transaction that commits the record.
    Column("log_index", _ROW_NUMBER, primary_key=True, autoincrement=False),
    Column("id", Text, nullable=False, unique=True),
    Column("body", LargeBinary, nullable=False),
    Column("decided_at", Instant, nullable=False),
    Column("valid_until", Instant, nullable=False),
    Column("allowed", Boolean, nullable=False),
    Column("hold", Boolean, nullable=False),
    Column("caller", Text, nullable=False),
    Column("request_id", Text),
    Column("request_digest", Text, nullable=False),
    Column("control_epoch", BigInteger, nullable=False),
    # 1 for the first decision under a request id, one more each time it was decided anew; `retry_of` is the one before.
    Column("attempt", Integer, nullable=False),
    Column("retry_of", Text),
    UniqueConstraint("request_id", "caller", "attempt"),
    Index(None, "decided_at"),
    info=_ONLY_GROWS,
)

changes: Final = Table(
    "changes",
    metadata,
    # The same dense numbers as the decisions': the two tables are one log.
    Column("log_index", _ROW_NUMBER, primary_key=True, autoincrement=False),
    Column("id", Text, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Column("actor", Text, nullable=False),
    Column("person", Text),
    Column("epoch", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Index(None, "kind", "log_index"),
    info=_ONLY_GROWS,
)

blobs: Final = Table(
    "blobs",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("body", LargeBinary, nullable=False),
    info=_ONLY_GROWS,
)

log_years: Final = Table(
    "log_years",
    metadata,
    Column("year", Integer, primary_key=True, autoincrement=False),
    Column("first_index", BigInteger, nullable=False),
    info=_ONLY_GROWS,
)

reviews: Final = Table(
    "reviews",
    metadata,
    Column("id", Text, primary_key=True),
    Column("subject", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("rule", Text, nullable=False),
    Column("opened_at", Instant, nullable=False),
    Column("decision", Text, nullable=False),
    Index(None, "opened_at"),
    info=_ONLY_GROWS,
)

_DERIVED: Final = {"service": "SELECT, INSERT, UPDATE, DELETE"}

decision_index: Final = Table(
    "decision_index",
    metadata,
    # Derived from the committed records, and made again from them at any time. Absent is null: not stated, not known.
    Column("log_index", _ROW_NUMBER, primary_key=True, autoincrement=False),
    Column("id", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Column("decision", Text, nullable=False),
    Column("hold", Boolean, nullable=False),
    Column("reason", Text),
    # The rules that decided, sorted, each on a line.
    Column("deciding_rules", Text),
    Column("subject", Text),
    Column("subject_type", Text),
    Column("place_country", Text),
    Column("model", Text),
    Column("tier", Text),
    Column("action", Text),
    Column("gateway", Text),
    Column("caller", Text, nullable=False),
    Column("policy_version", Text),
    Column("request_id", Text),
    # What few decisions have is found here; everything else that decisions are found by stands in `decision_parts`.
    Index(None, "subject", "log_index"),
    Index(None, "request_id", "log_index"),
    info=_DERIVED,
)

decision_parts: Final = Table(
    "decision_parts",
    metadata,
    # Which decisions of a part of the log (`store.postings`) have a value of a kind, derived like `decision_index`.
    Column("kind", Text, primary_key=True),
    Column("value", Text, primary_key=True),
    Column("part", BigInteger, primary_key=True, autoincrement=False),
    Column("members", LargeBinary, nullable=False),
    Index(None, "part"),
    info=_DERIVED,
    sqlite_with_rowid=False,
)

decision_spans: Final = Table(
    "decision_spans",
    metadata,
    # Which entries of a part are decisions, and the instants of the earliest and the latest of them.
    Column("part", _ROW_NUMBER, primary_key=True, autoincrement=False),
    Column("first_at", Instant, nullable=False),
    Column("last_at", Instant, nullable=False),
    Column("members", LargeBinary, nullable=False),
    info=_DERIVED,
)

decision_index_progress: Final = Table(
    "decision_index_progress",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    # The log index that is read next; -1 while what was derived is being thrown away.
    Column("next_index", BigInteger, nullable=False),
    CheckConstraint("id = 1", name="single"),
    info=_DERIVED,
)

webhook_cursors: Final = Table(
    "webhook_cursors",
    metadata,
    # How far each receiver of webhooks was told. Of several processes the one that holds a row delivers there.
    Column("name", Text, primary_key=True),
    Column("told", BigInteger, nullable=False),
    Column("failing_since", Instant),
    Column("disabled_at", Instant),
    Column("disabled", Text),
    Column("holder", Text),
    Column("held_until", Instant),
    info={"service": "SELECT, INSERT, UPDATE"},
)

keys: Final = Table(
    "keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("secret_hash", Text, nullable=False, unique=True),
    Column("rights", TextSet, nullable=False),
    Column("gateway", Text),
    Column("person", Text),
    Column("assertable", TextSet, nullable=False),
    # The kinds of rows that the key of a feed records, null for every other key.
    Column("feed", TextSet),
    Column("created_at", Instant, nullable=False),
    Column("revoked_at", Instant),
    info={"service": "SELECT, INSERT, UPDATE (revoked_at)"},
)
