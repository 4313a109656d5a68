"""What may have ended, delivered to receivers that do not listen: webhooks in the form of Standard Webhooks.

- What is delivered is read from the changes on record, as `GET /watch` is. What waits is therefore kept by the log
  alone, and a cursor says how far each receiver was told; it survives a restart.
- Each receiver is told in the order of the log, at least once: the next event waits until the one before was taken.
  The id of an event is the same however often and by whichever process it is sent.
- Who is too far behind is not told each event any more but once that anything may have ended.
- A receiver that says that it is gone, or that took nothing for three days, is disabled until a person enables it.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Final, Protocol

import msgspec
from standardwebhooks import Webhook

from policy_engine.domain.instants import format_instant
from policy_engine.domain.ports import LogUnavailable, MembersUnavailable
from policy_engine.domain.webhooks import Cursor, Disabled, Receiver
from policy_engine.service.gate.endings import Endings, Reading, Told

ENDED: Final = "grants.ended"
RESET: Final = "grants.reset"

HOLD: Final = timedelta(seconds=5)
"""So long a process holds a receiver by one claim; as long it takes for another one to go on after a crash."""

MOST_BEHIND: Final = 1_000
"""Whoever has to be told of more changes than these is told once to forget everything."""

FIRST_PAUSE_SECONDS: Final = 1.0
LONGEST_PAUSE_SECONDS: Final = 300.0
"""Between two attempts: twice as long each time, and by chance up to a half shorter."""

GIVE_UP: Final = timedelta(days=3)
"""A receiver that took nothing for so long is disabled."""


class Undelivered(Exception):
    """Nothing was taken, and nobody answered; the text says why, and neither an address nor a secret."""


class ReceiverCursors(Protocol):
    """How far receivers were told. Methods raise `LogUnavailable`; what moves a cursor says whether the holder
    still held it."""

    def begin(self, names: Sequence[str], told: int) -> None: ...

    def claim(self, names: Sequence[str], holder: str, *, at: datetime, until: datetime) -> tuple[Cursor, ...]: ...

    def release(self, holder: str) -> None: ...

    def move(self, name: str, holder: str, *, told: int) -> bool: ...

    def fail(self, name: str, holder: str, *, since: datetime) -> bool: ...

    def disable(self, name: str, holder: str, *, at: datetime, why: Disabled) -> bool: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """What a courier needs of the outside. `post` gives the status that was answered, and raises `Undelivered`;
    `secrets` are those of a receiver, read anew each time, and raises `Undelivered` too. `chance` is from 0 to 1."""

    post: Callable[[Receiver, dict[str, str], bytes], int]
    secrets: Callable[[Receiver], tuple[str, ...]]
    clock: Callable[[], datetime]
    monotonic: Callable[[], float]
    chance: Callable[[], float]
    report: Callable[[str, str, str | None], None]
    """Is told of a receiver what became of it, and why: `FAILING`, `TAKEN`, `DISABLED`, `BEHIND`."""


FAILING: Final = "a webhook is not taken"
TAKEN: Final = "webhooks are taken again"
DISABLED: Final = "webhooks are sent there no more"
BEHIND: Final = "a receiver of webhooks is too far behind, and is told to forget everything"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What became of attempts in this process, whether the receiver is disabled, as far as is known here, and
    whether this process is who delivers there."""

    taken: int
    failed: int
    is_disabled: bool
    is_held: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Message:
    id: str
    body: bytes
    told: int
    """Everything up to this entry of the log is told with it."""


class _Named(msgspec.Struct):
    index: int
    change: str
    at: str


_named: Final = msgspec.json.Decoder(_Named)


class Courier:
    """Delivers to one receiver while this process holds it. `turn` has one caller at a time."""

    def __init__(
        self, receiver: Receiver, *, holder: str, endings: Endings, cursors: ReceiverCursors, outside: Outside
    ) -> None:
        self.receiver = receiver
        self._holder = holder
        self._endings = endings
        self._cursors = cursors
        self._outside = outside
        self._lock = threading.Lock()
        self._held: Cursor | None = None
        self._held_until = 0.0
        self._attempts = 0
        self._due = 0.0
        self._taken = self._failed = 0
        self._is_disabled = False

    def hold(self, cursor: Cursor | None, *, until: float) -> None:
        """This process holds the receiver until then, by its monotonic clock, or does not (`None`)."""
        with self._lock:
            if cursor is None:
                self._held = None
                return
            held = self._held if self._outside.monotonic() < self._held_until else None
            if held is None or (held.disabled_at is not None and cursor.disabled_at is None):
                # Somebody else may have gone on since, or a person has enabled it.
                self._attempts, self._due, self._held = 0, 0.0, cursor
            else:
                # What became of deliveries is known here first.
                self._held = replace(held, disabled_at=cursor.disabled_at, disabled=cursor.disabled)
            self._held_until = until
            self._is_disabled = cursor.disabled_at is not None

    def figures(self) -> Figures:
        with self._lock:
            is_held = self._held is not None and self._outside.monotonic() < self._held_until
        return Figures(taken=self._taken, failed=self._failed, is_disabled=self._is_disabled, is_held=is_held)

    def turn(self) -> None:
        """Tell the receiver what it was not told yet, as long as it takes it."""
        cursor = self._current()
        if cursor is None:
            return
        try:
            self._tell(cursor)
        except (LogUnavailable, MembersUnavailable):
            # Without the log nobody knows what ended; the next turn looks again.
            return

    def _tell(self, cursor: Cursor) -> None:
        reading = self._endings.after(cursor.told)
        for message in self._messages(cursor, reading):
            if self._current() is None or not self._deliver(message):
                return
        if reading.up_to > cursor.told and self._current() is not None:
            self._move(reading.up_to)

    def _messages(self, cursor: Cursor, reading: Reading) -> Iterator[_Message]:
        if reading.more and self._endings.left(cursor.told, most=MOST_BEHIND + 1) > MOST_BEHIND:
            yield self._reset(reading)
            return
        for one in reading.told:
            yield _ended(one)

    def _reset(self, reading: Reading) -> _Message:
        last = self._endings.last()
        if self._attempts == 0:
            self._outside.report(self.receiver.name, BEHIND, None)
        body = b'{"type":"%s","timestamp":"%s","data":{"index":%d}}' % (
            RESET.encode("ascii"),
            format_instant(self._outside.clock()).encode("ascii"),
            last,
        )
        first = b"".join(one.document for one in reading.told[:1])
        return _Message(id=_id(b"reset %d " % last + first), body=body, told=last)

    def _deliver(self, message: _Message) -> bool:
        """Whether it was taken."""
        outside = self._outside
        try:
            status = outside.post(self.receiver, self._headers(message), message.body)
            why = None if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES else f"answered {status}"
        except Undelivered as error:
            status, why = 0, str(error)
        if why is None:
            self._taken += 1
            self._move(message.told)
            return True
        self._failed += 1
        self._fail(why, gone=status == HTTPStatus.GONE)
        return False

    def _headers(self, message: _Message) -> dict[str, str]:
        now = self._outside.clock()
        text = message.body.decode("utf-8")
        signatures = [Webhook(one).sign(message.id, now, text) for one in self._outside.secrets(self.receiver)]
        return {
            "content-type": "application/json",
            "user-agent": "policy-engine",
            "webhook-id": message.id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": " ".join(signatures),
        }

    def _move(self, told: int) -> None:
        with self._lock:
            held = self._held
            if held is None:
                return
            was_failing, told = held.failing_since is not None, max(held.told, told)
            self._held = replace(held, told=told, failing_since=None)
            self._attempts, self._due = 0, 0.0
        if was_failing:
            self._outside.report(self.receiver.name, TAKEN, None)
        if not self._cursors.move(self.receiver.name, self._holder, told=told):
            self.hold(None, until=0.0)

    def _fail(self, why: str, *, gone: bool) -> None:
        outside, name, now = self._outside, self.receiver.name, self._outside.clock()
        with self._lock:
            held = self._held
            if held is None:
                return
            is_new = held.failing_since is None
            since = held.failing_since or now
            pause = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** min(self._attempts, 16))
            self._attempts += 1
            self._due = outside.monotonic() + pause * (1 - outside.chance() / 2)
            self._held = replace(held, failing_since=since)
        if is_new:
            outside.report(name, FAILING, why)
        if gone or now - since >= GIVE_UP:
            outside.report(name, DISABLED, why)
            self._disable(now, Disabled.GONE if gone else Disabled.FAILING)
        elif is_new and not self._cursors.fail(name, self._holder, since=since):
            self.hold(None, until=0.0)

    def _disable(self, now: datetime, why: Disabled) -> None:
        with self._lock:
            self._is_disabled = True
            if self._held is not None:
                self._held = replace(self._held, disabled_at=now, disabled=why)
        self._cursors.disable(self.receiver.name, self._holder, at=now, why=why)

    def _current(self) -> Cursor | None:
        """The cursor, where the receiver is held, is not disabled, and is due."""
        now = self._outside.monotonic()
        with self._lock:
            held = self._held
            if held is None or held.disabled_at is not None or now >= self._held_until or now < self._due:
                return None
            return held


def _ended(one: Told) -> _Message:
    named = _named.decode(one.document)
    body = b'{"type":"%s","timestamp":"%s","data":%s}' % (ENDED.encode("ascii"), named.at.encode(), one.document)
    # Not of the whole document: whom a change reaches may be told otherwise when it is told again.
    unique = b"%d %s %s" % (named.index, named.change.encode(), named.at.encode())
    return _Message(id=_id(unique), body=body, told=one.index)


def _id(of: bytes) -> str:
    return f"msg_{hashlib.sha256(of).hexdigest()[:32]}"


class Couriers:
    """The couriers of one process: which of them may deliver, and what became of it."""

    def __init__(
        self,
        receivers: Sequence[Receiver],
        *,
        holder: str,
        endings: Endings,
        cursors: ReceiverCursors,
        outside: Outside,
    ) -> None:
        """`holder` is a name that no other process has."""
        self._holder = holder
        self._endings = endings
        self._cursors = cursors
        self._outside = outside
        self._begun = False
        self.each = tuple(
            Courier(one, holder=holder, endings=endings, cursors=cursors, outside=outside) for one in receivers
        )

    def claim(self) -> None:
        """Hold the receivers that no other process holds, for `HOLD`. Without the database nothing is claimed, and
        what was held comes to its end."""
        names = [one.receiver.name for one in self.each]
        until, at = self._outside.monotonic() + HOLD.total_seconds(), self._outside.clock()
        try:
            if not self._begun:
                self._cursors.begin(names, self._endings.last())
                self._begun = True
            held = {one.name: one for one in self._cursors.claim(names, self._holder, at=at, until=at + HOLD)}
        except LogUnavailable:
            return
        for one in self.each:
            one.hold(held.get(one.receiver.name), until=until)

    def release(self) -> None:
        """Let other processes go on."""
        for one in self.each:
            one.hold(None, until=0.0)
        try:
            self._cursors.release(self._holder)
        except LogUnavailable:
            # What was held comes to its end by itself.
            return
