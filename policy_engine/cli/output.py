"""How the command line speaks: tables for people, JSON for programs, and the exit codes."""

from __future__ import annotations

import io
import json
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path
from typing import Annotated, BinaryIO, Final

import typer
from rich.console import Console

from policy_engine.formats.request_document import FieldFault, MalformedRequest

out: Final = Console(highlight=False, soft_wrap=True)
err: Final = Console(stderr=True, highlight=False, soft_wrap=True)


class Exit(IntEnum):
    """What the command says to the shell: done (for `decide`: allow), a check failed, wrong usage, deny (`decide`
    only), unavailable."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    DENY = 3
    UNAVAILABLE = 4


JsonFlag = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def print_json(value: object, *, where: Console = out) -> None:
    """One JSON document, on standard output."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2), err=where is err)


class _Stream(io.FileIO):
    """A device or a pipe, of which no position can be asked: some devices answer 0 wherever they are."""

    def seekable(self) -> bool:
        return False

    def seek(self, pos: int, whence: int = 0, /) -> int:
        raise io.UnsupportedOperation(f"seek to {pos} from {whence}")

    def tell(self) -> int:
        raise io.UnsupportedOperation("tell")


def _stream(path: Path) -> io.BufferedWriter:
    return io.BufferedWriter(_Stream(path, "wb"))


@contextmanager
def writing_to(path: Path, option: str = "--output") -> Iterator[BinaryIO]:
    """A file to be written: it has its name once all of it is there, and after an error nothing is left of it.

    What is a pipe or a character device, such as /dev/stdout, is written as it stands. Raises `MalformedRequest` for
    what cannot be opened or is no file, and `OSError` when writing fails.
    """
    try:
        kind = path.stat().st_mode if path.exists() else stat.S_IFREG
        if stat.S_ISCHR(kind) or stat.S_ISFIFO(kind):
            target, partial, file = path, None, _stream(path)
        elif not stat.S_ISREG(kind):
            what = "a directory" if stat.S_ISDIR(kind) else "no regular file"
            raise MalformedRequest(FieldFault(field=option, message=f"`{path}` is {what}: name the file to write"))
        else:
            target = path.resolve()
            partial = target.with_name(f"{target.name}.partial")
            file = partial.open("wb")
    except OSError as error:
        why = (error.strerror or type(error).__name__).lower()
        message = f"`{path}` cannot be written: {why}; name a file in a folder that is there and yours to write"
        raise MalformedRequest(FieldFault(field=option, message=message)) from error
    try:
        with file:
            yield file
        if partial is not None:
            partial.replace(target)
    finally:
        if partial is not None:
            partial.unlink(missing_ok=True)
