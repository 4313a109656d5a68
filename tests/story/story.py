"""A document that tells a story in commands, and the world in which they are run.

Fenced blocks of `console` hold a command after `$ ` and what it printed. Comments of HTML before a block steer the
world, and are not shown:

    story: at INSTANT          the clock of the service stands there
    story: as PERSON           the next commands have a key of this person
    story: ask PERSON MODEL [PURPOSE]   a request is decided by the service and recorded
    story: write FILE          the next block is the content of the file
    story: append FILE         the next block goes to the end of the file
    story: swap FILE: OLD -> NEW        one text in the file is replaced by another
    story: copy FROM TO        a folder is copied
    story: exits CODE          the next command exits so
    story: sealed              everything that was recorded is sealed by now
    story: take KEY CHECKPOINT the verifier key and the newest checkpoint are fetched into these files
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import secrets
import shlex
import shutil
import socket
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import takewhile
from pathlib import Path
from typing import Final, Protocol

import uvicorn

from policy_engine.app.builder import Parts, build
from policy_engine.app.settings import Settings
from policy_engine.asgi import create_app
from policy_engine.cli.main import main
from policy_engine.cli.output import err, out
from policy_engine.domain.instants import parse_instant
from policy_engine.policy.names import names_read
from policy_engine.policy.reader import read_book, read_folder
from policy_engine.service.gate.keyring import ROLES
from tests.conftest import POLICIES
from tests.story.hour import Hour

START: Final = parse_instant("2026-06-01T09:00:00Z")
"""When the book of June was founded and the roster put on file."""

_STORY: Final = re.compile(r"<!-- story: (.*) -->")
_SECONDS: Final = re.compile(r"\d+(\.\d+)? (ms|s|seconds)\b")
_MICROSECONDS: Final = re.compile(r"\.0000\d\dZ")
_WIDTH: Final = 110
_DIGEST: Final = r"sha256:[0-9a-f]{64}\b"
_IDS: Final = re.compile(
    rf"\b(?:PROP|FREEZE|MC)-01STORY[0-9]+\b|\bRV-[A-Z2-7]{{24}}\b|(?<=--shown ){_DIGEST}|(?<=rows ){_DIGEST}"
    rf"|(?<=--cases ){_DIGEST}"
)


class Place(Protocol):
    """Where commands are run, and how what they print is told."""

    @property
    def folder(self) -> Path:
        """In which they are run."""
        ...

    def run(self, command: str, person: str) -> tuple[int, str]:
        """A command with its exit code and everything that it prints."""
        ...

    def short(self, text: str) -> str:
        """The text with names in place of ids, as a page has it."""
        ...

    def long(self, text: str) -> str:
        """The text with the ids that stand behind the names."""
        ...

    def settled(self, text: str) -> str:
        """The text without what differs from one run to the next."""
        ...


@dataclass(kw_only=True)
class World:
    """The service with a clock that the story sets, and the folder in which the commands are run."""

    folder: Path
    parts: Parts
    now: list[datetime]
    url: str
    keys: dict[str, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)

    def short(self, text: str) -> str:
        """The text with ids such as `PROP-1`, counted as they come up."""

        def named(found: re.Match[str]) -> str:
            kind = found[0].partition("-")[0]
            if found[0].startswith("sha256:"):
                kind = text[: found.start()].rsplit(maxsplit=1)[-1].lstrip("-").upper()
            count = sum(1 for name in self.names.values() if name.startswith(f"{kind}-"))
            return self.names.setdefault(found[0], f"{kind}-{count + 1}")

        return _IDS.sub(named, text)

    def long(self, text: str) -> str:
        """The text with the ids that stand behind the short ones."""
        for real, name in self.names.items():
            text = re.sub(rf"\b{name}\b", real, text)
        return text

    def settled(self, text: str) -> str:
        """The text without how long something took, and the microseconds by which the clock goes on at each look."""
        return _MICROSECONDS.sub(".000000Z", _SECONDS.sub("0 s", text))

    def key(self, person: str | None) -> str:
        """A token of the person, or of the gateway."""
        name = person or "gateway"
        if name not in self.keys:
            made = self.parts.ring.create(
                name=name,
                rights=ROLES["gateway"] if person is None else (*ROLES["compliance"], *ROLES["auditor"]),
                at=self.now[0],
                random_hex=secrets.token_hex,
                gateway="main",
                person=person,
            )
            self.keys[name] = made.token
        return self.keys[name]

    def ask(self, person: str, model: str, purpose: str = "") -> None:
        """A recorded decision."""
        body: dict[str, object] = {
            "subject": {"type": "person", "id": person},
            "model": model,
            "action": "infer",
            "place": {"country": "US"},
        }
        if purpose:
            body["purpose"] = purpose
        request = urllib.request.Request(  # noqa: S310  the service of this test
            f"{self.url}/decide",
            data=json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.key(None)}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request) as response:  # noqa: S310
            assert response.status == 200

    def run(self, command: str, person: str) -> tuple[int, str]:
        """A command with everything that it prints."""
        os.environ["POLICY_ENGINE_KEY"] = self.key(person)
        words = shlex.split(command)
        if words[0] != "policy-engine":
            raise ValueError(f"the story knows no command `{words[0]}`")
        told = io.StringIO()
        before = sys.argv
        sys.argv = words
        code = 0
        try:
            with contextlib.redirect_stdout(told), contextlib.redirect_stderr(told):
                main()
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        finally:
            sys.argv = before
        return code, told.getvalue()


@contextmanager
def world(migrated: Path, folder: Path, book: Path, roster: Path, start: datetime) -> Iterator[World]:
    """A service that was founded with a book, and whose roster is on file."""
    database = folder / "story.db"
    shutil.copyfile(migrated, database)
    now = [start]
    numbers = iter(range(10**6))
    settings = Settings(database_url=f"sqlite:///{database}", policies=book)

    def tick() -> datetime:
        now[0] += timedelta(microseconds=1)
        return now[0]

    def new_id(_: datetime) -> str:
        return f"01STORY{next(numbers):05d}"

    parts = build(settings, clock=tick, new_id=new_id)
    parts.desk.view.refresh()
    from policy_engine.service.administration.roster import import_members  # noqa: PLC0415  beside its only use

    import_members(
        parts.members,
        roster.read_bytes(),
        roster.name,
        # The roster names papers under an order that a book of before does not have yet.
        names=names_read(read_book(read_folder(POLICIES))),
        actor="desk",
        reason="roster",
        at=tick(),
    )
    parts.desk.view.refresh()
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(create_app(parts), log_level="critical", http="h11", loop="asyncio"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.01)
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    kept = dict(os.environ)
    os.environ |= {
        "POLICY_ENGINE_DATABASE_URL": settings.database_url,
        "POLICY_ENGINE_POLICIES": str(book),
        "POLICY_ENGINE_URL": url,
    }
    widths = out.width, err.width
    out.width = err.width = _WIDTH
    place = Path.cwd()
    os.chdir(folder)
    try:
        yield World(folder=folder, parts=parts, now=now, url=url)
    finally:
        out.width, err.width = widths
        os.chdir(place)
        os.environ.clear()
        os.environ.update(kept)
        server.should_exit = True
        thread.join(timeout=30)
        listening.close()


def told_again(text: str, place: Place) -> str:
    """The document with what its commands print now."""
    return "\n".join(_Telling(place=place, given=iter(text.splitlines())).lines()) + "\n"


@dataclass(kw_only=True)
class _Telling:
    """The document as far as it is told again."""

    place: Place
    given: Iterator[str]
    person: str = "dora"
    exits: int = 0
    pending: tuple[str, Path] | None = None

    def lines(self) -> Iterator[str]:
        for line in self.given:
            yield line
            steer = _STORY.fullmatch(line.strip())
            if steer is not None:
                self._steer(*steer[1].partition(" ")[::2])
            elif line.startswith("```"):
                yield from self._block(line)
                yield "```"

    def _steer(self, word: str, rest: str) -> None:
        folder = self.place.folder
        match word:
            case "at" if isinstance(self.place, World):
                self.place.now[0] = parse_instant(rest)
            case "as":
                self.person = rest
            case "ask" if isinstance(self.place, World | Hour):
                self.place.ask(*rest.split())
            case "take" if isinstance(self.place, Hour):
                self.place.take(*rest.split())
            case "sealed" if isinstance(self.place, Hour):
                self.place.wait_until_sealed()
            case "exits":
                self.exits = int(rest)
            case "copy":
                old, new = rest.split()
                shutil.copytree(folder / old, folder / new)
            case "write" | "append":
                self.pending = (word, folder / rest)
            case "swap":
                name, _, change = rest.partition(": ")
                _swap(folder / name, *change.partition(" -> ")[::2])
            case _:
                raise ValueError(f"the story knows no `{word}`")

    def _block(self, opening: str) -> list[str]:
        block = list(takewhile(lambda line: line != "```", self.given))
        if self.pending is not None:
            _put(*self.pending, block)
            self.pending = None
        elif opening == "```console":
            told, code = _told(block, self.place, self.person)
            if code != self.exits:
                raise AssertionError(f"{block[0]} exited with {code}, not with {self.exits}:\n" + "\n".join(told))
            self.exits = 0
            return told
        return block


def _told(block: list[str], place: Place, person: str) -> tuple[list[str], int]:
    command = " ".join(line.removesuffix("\\").strip() for line in _command(block)).removeprefix("$ ")
    code, told = place.run(place.long(command), person)
    return [*_command(block), *(line.rstrip() for line in place.short(told).splitlines())], code


def _command(block: list[str]) -> list[str]:
    lines = []
    for line in block:
        lines.append(line)
        if not line.endswith("\\"):
            break
    return lines


def _put(how: str, file: Path, block: list[str]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    text = "\n".join(block) + "\n"
    file.write_text((file.read_text(encoding="utf-8") if how == "append" else "") + text, encoding="utf-8")


def _swap(file: Path, before: str, after: str) -> None:
    text = file.read_text(encoding="utf-8")
    if text.count(before) != 1:
        raise AssertionError(f"`{before}` stands {text.count(before)} times in {file.name}")
    file.write_text(text.replace(before, after), encoding="utf-8")
