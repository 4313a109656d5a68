"""How the command line speaks: tables for people, JSON for programs, and the exit codes."""

from __future__ import annotations

import inspect
import io
import json
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from enum import IntEnum
from pathlib import Path
from typing import Annotated, BinaryIO, Final

import typer
from rich.console import Console

from policy_engine.domain.instants import InstantError, parse_instant
from policy_engine.formats.request_document import MalformedRequest, malformed

out: Final = Console(highlight=False, emoji=False, soft_wrap=True)
err: Final = Console(stderr=True, highlight=False, emoji=False, soft_wrap=True)


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


def tell(document: object, say: str | Callable[[], object], *, as_json: bool) -> None:
    """The result of a command: for a program as one document, for a person as a sentence or as what `say` prints."""
    if as_json:
        print_json(document)
    elif callable(say):
        say()
    else:
        out.print(say, markup=False)


def failed(why: object, code: Exit = Exit.FAILED) -> typer.Exit:
    """Say on standard error what is wrong; what ends the command with the code is given back, to be raised."""
    err.print(str(why), markup=False)
    return typer.Exit(code)


def misused(option: str, why: str) -> MalformedRequest:
    """What is wrong with what an option was given, to be raised."""
    return malformed(option, why)


def unreadable(error: OSError, path: Path, what: str = "written") -> typer.Exit:
    """As `failed`, of a file that cannot be written or read."""
    reason = (error.strerror or "unknown reason").lower()
    return failed(f"`{error.filename or path}` cannot be {what}: {reason}", Exit.USAGE)


def instant(text: str) -> datetime:
    """The instant in the text of an option. Raises `typer.BadParameter`, which names the option."""
    try:
        return parse_instant(text)
    except InstantError as error:
        raise typer.BadParameter(str(error)) from error


def standing_in(
    run: Callable[..., None], command: Callable[..., object], *options: inspect.Parameter, given: int = 0
) -> Callable[..., None]:
    """`run` under the name and the help of a command, with the parameters of the command but the first `given`, which
    `run` gives it itself, and with options of its own."""
    own = list(inspect.signature(command, eval_str=True).parameters.values())[given:]
    parameters = [*own, *options]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in parameters}
    run.__name__, run.__doc__ = command.__name__, command.__doc__
    return run


def option(name: str, annotation: object, default: object = None) -> inspect.Parameter:
    """An option for `standing_in`."""
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


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
            what = "a directory" if stat.S_ISDIR(kind) else "not a regular file"
            raise misused(option, f"`{path}` is {what}: name the file to write")
        else:
            target = path.resolve()
            partial = target.with_name(f"{target.name}.partial")
            file = partial.open("wb")
    except OSError as error:
        why = (error.strerror or type(error).__name__).lower()
        message = f"`{path}` cannot be written: {why}; name a file in a folder that is there and yours to write"
        raise misused(option, message) from error
    try:
        with file:
            yield file
        if partial is not None:
            partial.replace(target)
    finally:
        if partial is not None:
            partial.unlink(missing_ok=True)
