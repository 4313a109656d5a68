"""Changes of members through the service: shown before they count, narrow with one person, widen with two.

- What is sent is a membership document, or edits of single rows, and a reason. What comes of it is shown first: the
  rows that are new, and who gains or loses which model by them.
- Rows that can only narrow are on file at once, with the key of one person. A feed's key records rows of its own kinds
  at once, and nothing else. Everything else waits for another person, who approves the digest of what was shown.
- What was sent is read again, and judged again, when it is approved. Where the members have moved on so that other rows
  or other effects come of it, the approval is refused, and whoever approves looks again.
- The rows and the event that tells of them are one transaction, under the control epoch that they were made under.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, TypeAlias

import msgspec

from policy_engine.domain.changes import Actor, AtOnce, MembersApproved, MembersProposed, MembersWithdrawn
from policy_engine.domain.desk import MembersChange
from policy_engine.domain.narrowing import Widening, new_rows, not_of_feed, widenings
from policy_engine.domain.roster import Roster, RosterRows, with_rows
from policy_engine.formats.book_names import BookNames
from policy_engine.formats.change import digest_of
from policy_engine.formats.faults import Fault, FaultsError, quoted
from policy_engine.formats.membership_file import read_members, write_members
from policy_engine.formats.membership_writer import row_text
from policy_engine.formats.roster_rows import decode_rows, each_row, encode_rows
from policy_engine.policy.names import names_read
from policy_engine.service.administration.desk import Administration, Proposed, person_of, require_words, withdrawn
from policy_engine.service.administration.desk_faults import DeskConflict, NotAccepted, NothingThere, SecondPersonNeeded
from policy_engine.service.administration.member_edits import Edit, EditFault, rows_of_edit
from policy_engine.service.administration.member_preview import AccessChange, AccessChanges, AskedLast, effects_of
from policy_engine.service.administration.roster import rows_on
from policy_engine.service.administration.simulate import recorded
from policy_engine.service.gate.snapshot import Ground

CHANGE_PREFIX: Final = "MC-"
SOURCE: Final = "members"
_LAST: Final = datetime.max.replace(tzinfo=UTC)
"""Later than whatever is on file: once they are recorded, the new rows are the latest under their keys."""

_encoder: Final = msgspec.json.Encoder(order="sorted")


@dataclass(frozen=True, slots=True, kw_only=True)
class SentDocument:
    """A membership document, YAML or JSON, and how its faults name it."""

    content: bytes
    source: str = SOURCE

    def from_now(self, _: datetime) -> SentDocument:
        """The same: its rows say from when on they are true."""
        return self

    def rows(self, existing: RosterRows, names: BookNames | None) -> RosterRows:
        """Its rows beside those on file. Raises `FaultsError`."""
        return read_members(self.content, self.source, existing=existing, names=names)


@dataclass(frozen=True, slots=True, kw_only=True)
class SentEdits:
    """Edits of single rows, one after another."""

    edits: tuple[Edit, ...]

    def from_now(self, now: datetime) -> SentEdits:
        """The same, where those that say no instant and may do without one begin now."""
        return SentEdits(edits=tuple(edit.from_now(now) for edit in self.edits))

    @property
    def content(self) -> bytes:
        """As canonical JSON, under whose digest they are kept."""
        return _encoder.encode({"v": 1, "edits": self.edits})

    def rows(self, existing: RosterRows, names: BookNames | None) -> RosterRows:
        """The rows that make them. Raises `EditFault` and `FaultsError`."""
        made = RosterRows()
        for edit in self.edits:
            on_file = with_rows(existing, recorded(made, _LAST))
            made = with_rows(made, rows_of_edit(edit, on_file, names))
        return made


Sent: TypeAlias = SentDocument | SentEdits


class _KeptEdits(msgspec.Struct, forbid_unknown_fields=True):
    v: int
    edits: tuple[Edit, ...]


def edits_of(content: bytes) -> SentEdits:
    """The edits in their canonical JSON."""
    return SentEdits(edits=msgspec.json.decode(content, type=_KeptEdits).edits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What comes of what was sent: the new rows, everything on file with them, why some of them may
    widen, and who gains or loses what.

    `shown` is the digest of the rows and the effects, which a second person approves.
    """

    rows: RosterRows
    after: RosterRows
    widens: tuple[Widening, ...]
    effects: AccessChanges
    at_once: AtOnce | None
    shown: str

    @property
    def count(self) -> int:
        """How many rows are new."""
        return sum(1 for _ in each_row(self.rows))


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeFile:
    """A change with its rows; while it waits what comes of it now, or why it can no longer be approved."""

    change: MembersChange
    rows: RosterRows
    preview: Preview | None = None
    stale: str | None = None


class MemberChanges:
    """The use cases of changes of members."""

    def __init__(self, *, desk: Administration, asked_last: AskedLast) -> None:
        self.desk = desk
        self._asked_last = asked_last

    def preview(self, sent: Sent, *, feed: frozenset[str] = frozenset()) -> Preview:
        """What would come of it, with nothing recorded. Raises what `propose` raises of what was sent."""
        ground, now = self.desk.view.refresh(), self.desk.clock()
        return self._preview(sent.from_now(now), ground, now, feed)

    def propose(
        self, actor: Actor, sent: Sent, *, reason: str, feed: frozenset[str] = frozenset()
    ) -> tuple[str | None, Preview]:
        """Record what can be recorded at once, else ask for a second person; the id, and what was shown.

        There is no id, and nothing recorded, where every row is on file already. `feed` are the kinds of rows of a
        feed's key, none for a person's. Raises `PersonNeeded`, and `NotAccepted` without a reason, for a document with
        faults and for rows that are not of the feed.
        """
        if not feed:
            person_of(actor)
        require_words(reason, "a change of members needs a reason")
        now = self.desk.clock()
        sent = sent.from_now(now)
        name = CHANGE_PREFIX + self.desk.new_id(now)
        made: list[Preview] = []

        def make(ground: Ground, at: datetime) -> Proposed:
            preview = self._preview(sent, ground, at, feed)
            made.append(preview)
            if not preview.count:
                raise _NothingNew
            rows = encode_rows(preview.rows)
            event = MembersProposed(
                change=name,
                document=digest_of(sent.content),
                rows=digest_of(rows),
                shown=preview.shown,
                added=preview.count,
                reason=reason,
                at_once=preview.at_once,
                edits=isinstance(sent, SentEdits),
            )
            return Proposed(
                event=event,
                contents=(sent.content, rows, _effects_content(digest_of(rows), preview.effects)),
                rows=preview.rows if preview.at_once is not None else None,
                reason=reason,
                change=name,
            )

        try:
            self.desk.act(actor, make)
        except _NothingNew:
            return None, made[-1]
        return name, made[-1]

    def approve(self, actor: Actor, name: str, *, shown: str | None, note: str = "") -> ChangeFile:
        """Put the rows on file as the second person, who was shown what has the digest `shown`.

        Raises `PersonNeeded`, `NothingThere`, `SecondPersonNeeded` for who proposed it, `NotAccepted` without a digest,
        and `DeskConflict` for a change that is on file, for another digest, and for one that has become stale.
        """
        person = person_of(actor)

        def make(ground: Ground, at: datetime) -> Proposed:
            held = _held(ground, name)
            _refuse_done(held)
            proposer = person_of(held.proposer)
            if proposer == person:
                raise SecondPersonNeeded(f"{quoted(person)} proposed {quoted(name)}: another person has to approve it")
            if shown is None:
                raise NotAccepted(
                    f"an approval has to name what was shown: look at the change {quoted(name)}, and give its digest as"
                    " `shown`"
                )
            preview = self._again(held, ground, at)
            if preview.shown != shown:
                raise DeskConflict(
                    f"{quoted(shown)} is not the digest of what {quoted(name)} would do now, as the members stand at"
                    f" revision {ground.roster.revision}: look at the change again"
                )
            event = MembersApproved(
                change=name, rows=held.content.rows, shown=preview.shown, asked_by=proposer, note=note
            )
            return Proposed(
                event=event,
                contents=(_effects_content(held.content.rows, preview.effects),),
                rows=preview.rows,
                reason=held.content.reason,
                change=name,
            )

        self.desk.act(actor, make)
        return self.show(name)

    def withdraw(self, actor: Actor, name: str, *, reason: str) -> ChangeFile:
        """Take back a change that waits, so that nobody approves it any more: by who proposed it, or by anybody else.

        Raises `PersonNeeded`, `NothingThere`, `NotAccepted` without a reason, and `DeskConflict` for a change that is
        on file or was withdrawn before.
        """
        person_of(actor)
        require_words(reason, "a change that is withdrawn needs a reason")

        def make(ground: Ground, _: datetime) -> Proposed:
            _refuse_done(_held(ground, name))
            return Proposed(event=MembersWithdrawn(change=name, reason=reason))

        self.desk.act(actor, make)
        return self.show(name)

    def all(self) -> tuple[MembersChange, ...]:
        """Every change, the newest first."""
        return tuple(self.desk.view.refresh().desk.members.values())[::-1]

    def about(self, kind: str, name: str, *, at: datetime | None, known_at: datetime | None) -> tuple[str, int]:
        """What is on file about an id of a kind, as a membership file, and the revision that it is of.

        With `at` only what is true then; with `known_at` as it was known then. Raises `NothingThere`.
        """
        ground = self.desk.view.refresh()
        on_file = self.desk.log.rows_at(ground.roster.revision)
        known = Roster.as_known(on_file, known_at)
        held: dict[str, Collection[str]] = {
            "organisations": known.organisations,
            "people": known.people,
            "accounts": known.accounts,
            "consortia": known.consortia,
        }
        if name not in held.get(kind, ()):
            raise NothingThere(f"{quoted(name)} is not on file under {quoted(kind)}; the kinds are {', '.join(held)}")
        rows = rows_on(on_file, name, known_at=known_at, at=at) or RosterRows()
        return write_members(rows, unknown=True), ground.roster.revision

    def show(self, name: str) -> ChangeFile:
        """A change with its rows and, while it waits, with what comes of it now. Raises `NothingThere`."""
        ground = self.desk.view.refresh()
        held = _held(ground, name)
        rows = decode_rows(self._content(held.content.rows))
        if held.in_force is not None or held.withdrawal is not None:
            return ChangeFile(change=held, rows=rows)
        try:
            return ChangeFile(change=held, rows=rows, preview=self._again(held, ground, self.desk.clock()))
        except DeskConflict as stale:
            return ChangeFile(change=held, rows=rows, stale=str(stale))

    def _again(self, held: MembersChange, ground: Ground, at: datetime) -> Preview:
        """What comes of the document now. Raises `DeskConflict` where it is not the rows that were proposed."""
        again = f"propose it again: {quoted(held.content.change)} has become stale"
        try:
            content = self._content(held.content.document)
            sent = edits_of(content) if held.content.edits else SentDocument(content=content)
            preview = self._preview(sent, ground, at, frozenset())
        except NotAccepted as error:
            said = "; ".join(fault.message for fault in error.faults) or str(error)
            raise DeskConflict(
                f"what is on file has changed so that the rows cannot be recorded ({said}); {again}"
            ) from error
        if digest_of(encode_rows(preview.rows)) != held.content.rows:
            raise DeskConflict(f"what is on file has changed so that the document would record other rows; {again}")
        return preview

    def _content(self, digest: str) -> bytes:
        content = self.desk.log.content(digest)
        if content is None:
            raise NothingThere(f"the content {quoted(digest)} of the change is not in the archive")
        return content

    def _preview(self, sent: Sent, ground: Ground, at: datetime, feed: frozenset[str]) -> Preview:
        existing = self.desk.log.rows_at(ground.roster.revision)
        judge = ground.judge_at(at)
        rows = new_rows(existing, _read(sent, existing, None if judge is None else names_read(judge.book)))
        if feed:
            _refuse_other_kinds(existing, rows, feed)
        together = with_rows(existing, recorded(rows, _LAST))
        after = Roster.as_known(together, revision=ground.roster.revision)
        effects = effects_of(ground.roster, after, rows, judge_at=ground.judge_at, asked_last=self._asked_last, at=at)
        widens = widenings(existing, rows)
        at_once = AtOnce.FEED if feed else None if widens or effects.gained else AtOnce.NARROW
        shown = digest_of(_effects_content(digest_of(encode_rows(rows)), effects))
        return Preview(rows=rows, after=together, widens=widens, effects=effects, at_once=at_once, shown=shown)


class _NothingNew(Exception):
    """Every row is on file already."""


def _held(ground: Ground, name: str) -> MembersChange:
    held = ground.desk.members.get(name)
    if held is None:
        raise NothingThere(f"there is no change of members {quoted(name)}")
    return held


def _refuse_done(held: MembersChange) -> None:
    name = quoted(held.content.change)
    if held.in_force is not None:
        raise DeskConflict(f"the change {name} is on file already")
    if held.withdrawal is not None:
        raise DeskConflict(f"the change {name} {withdrawn(held.withdrawal)}")


def _read(sent: Sent, existing: RosterRows, names: BookNames | None) -> RosterRows:
    try:
        rows = sent.rows(existing, names)
    except FaultsError as error:
        raise NotAccepted("the rows have faults", tuple(error.faults)) from error
    except EditFault as error:
        raise NotAccepted(str(error)) from error
    if any(row.recorded_at is not None for row in each_row(rows)):
        raise NotAccepted("the service says when rows are recorded; leave out `recorded_at`")
    return rows


def _refuse_other_kinds(existing: RosterRows, rows: RosterRows, feed: frozenset[str]) -> None:
    refused = not_of_feed(existing, rows, feed)
    if refused:
        remedy = f"this key is a feed of {', '.join(sorted(feed))}; a person proposes anything else"
        raise NotAccepted(
            "a feed records rows of its own kinds and nothing else",
            tuple(Fault(source=SOURCE, line=1, column=1, message=row_text(row), remedy=remedy) for row in refused),
        )


def _effects_content(rows: str, effects: AccessChanges) -> bytes:
    """What a second person approves, as canonical JSON: the digest of the rows, and who gains or loses what."""
    return _encoder.encode(
        {
            "v": 1,
            "rows": rows,
            "gained": [_told(one) for one in effects.gained],
            "lost": [_told(one) for one in effects.lost],
        }
    )


def _told(effect: AccessChange) -> dict[str, object]:
    return {"subject": effect.subject, "organisation": effect.organisation, "model": effect.model}
