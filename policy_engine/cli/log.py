"""`policy-engine log`: what was decided, straight from the database."""

from __future__ import annotations

import hashlib
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, BinaryIO, Final

import msgspec
import typer

from policy_engine.app.builder import cursor_key, open_sealing
from policy_engine.app.settings import Settings
from policy_engine.app.stores import open_stores
from policy_engine.cli.output import JsonFlag, err, failed, misused, option, out, print_json, standing_in, writing_to
from policy_engine.cli.output import tell as print_result
from policy_engine.cli.progress import progress
from policy_engine.cli.settings import settings_with_database
from policy_engine.domain.changes import KINDS
from policy_engine.domain.instants import InstantError, format_instant, parse_instant
from policy_engine.domain.ports import LogDamaged
from policy_engine.domain.spelling import one_spelling
from policy_engine.formats.faults import near_miss
from policy_engine.formats.identifiers import shown
from policy_engine.ledger.tiles import LogFault
from policy_engine.ledger.witness import WitnessUnreadable
from policy_engine.render import log_text as tell
from policy_engine.render.export import FORMS, export
from policy_engine.render.parquet import PARQUET, require_parquet, write_parquet
from policy_engine.service.audit.cursors import LONGEST_PAGE
from policy_engine.service.audit.inspect import PARAMETERS, STATISTICS, AsOf, Inspector, read_filters
from policy_engine.service.audit.on_file import FACTS, MembersThen, read_on_file
from policy_engine.service.audit.retired import RecordRetired
from policy_engine.service.sealing.sealed_log import HistoryRefused
from policy_engine.service.sealing.sealed_roots import SealedTrees, Trees, no_trees
from policy_engine.store.decision_index import Filters, Indexer
from policy_engine.store.log_entries import LogEntries

OnFileOption = Annotated[
    str | None,
    typer.Option(
        help="Only decisions about somebody of whom this was on file then, whether or not a rule read it:"
        f" {', '.join(fact.example for fact in FACTS.values())}.",
        rich_help_panel="Filters",
    ),
]

REPORTS: Final = {
    "touched": ("MODEL", "who asked for a model, what for, and what they were told", "touched:mythos-5"),
    "licence": (
        "ID",
        "allows for which a licence or another authorisation lifted a bar or carried the grant",
        "licence:D-1",
    ),
    "subject-after": (
        "ID@INSTANT",
        "decisions of a subject since a revocation or any instant",
        "subject-after:alice@2026-06-12T21:21:00Z",
    ),
    "organisation-after": ("ID@INSTANT", "the same of an organisation", "organisation-after:alder-bank@2026-06-12"),
    "revocation": (
        "NAME",
        "decisions since a key, an authorisation or a membership was revoked; the log has the instant",
        "revocation:alder-bank/glasswing",
    ),
    "overrides": (None, "freezes and their lifting, releases and refusals of reviews", "overrides"),
    "book": ("INSTANT", "the book in force at an instant, and who approved it", "book:2026-06-20T15:00:00Z"),
}
"""Saved reports: what each is given, what it tells, and an example."""

_REPORTS_HELP = "; ".join(f"{example}: {tells}" for _, tells, example in REPORTS.values())


def _with_filters(command: Callable[..., None]) -> Callable[..., None]:
    """The command with an option for each filter. It is given the texts of those that are used, by name, first."""
    options = [
        option(
            f"filter_{name}",
            Annotated[
                str | None, typer.Option(f"--{name.replace('_', '-')}", help=one.meaning, rich_help_panel="Filters")
            ],
        )
        for name, one in PARAMETERS.items()
    ]

    def run(**values: str | None) -> None:
        given = {name: text for name in PARAMETERS if (text := values.pop(f"filter_{name}")) is not None}
        command(given, **values)

    return standing_in(run, command, *options, given=1)


@contextmanager
def _open_inspector() -> Iterator[Inspector]:
    """The log of the settings' database, indexed up to now; an entry that is missing from it ends the command with a
    sentence and exit code 1. Raises the store's other errors."""
    settings = settings_with_database()
    try:
        with open_stores(settings) as stores:
            indexer = stores.indexer
            _index(indexer)
            trees, key = _sealed(settings, stores.entries)
            yield Inspector(index=stores.index, indexer=indexer, desk_log=stores.desk_log, cursor_key=key, trees=trees)
    except LogDamaged as damage:
        raise failed(damage) from damage


def _sealed(settings: Settings, entries: LogEntries) -> tuple[Trees, bytes]:
    """The trees of the sealed log and the key of cursors, where the settings lead to a sealed log that can be read.

    Without one, answers have no root, and cursors are good wherever there is none either: who runs the command has the
    database itself.
    """
    if not (settings.log_key.exists() and settings.ledger.exists()):
        return no_trees, _NO_KEY
    try:
        sealing = open_sealing(settings, entries)
        sealing.require_history()
        sealed = sealing.sealed()
        return SealedTrees(sealing, lambda: sealed), cursor_key(settings)
    except (HistoryRefused, LogFault, WitnessUnreadable, OSError) as error:
        err.print(
            f"no root is given, since the sealed log at `{settings.ledger}` cannot be used: {error}", markup=False
        )
        return no_trees, _NO_KEY


_NO_KEY: Final = b"no sealed log"


def _tell_unsealed(inspector: Inspector, as_of: AsOf) -> None:
    unsealed = inspector.unsealed(as_of) if as_of.tree is not None else 0
    if unsealed:
        err.print(f"{unsealed} newer entries of the log are not sealed yet, and not looked at", markup=False)


def _index(indexer: Indexer) -> None:
    behind = indexer.behind()
    with progress("indexing", total=behind, shown=behind > LONGEST_PAGE) as advanced:
        done = 0
        while taken := indexer.catch_up(LONGEST_PAGE):
            done += taken
            advanced(done)


@_with_filters
def query(
    given: Mapping[str, str],
    *,
    limit: Annotated[int, typer.Option(min=1, max=LONGEST_PAGE, help="How many decisions at most.")] = 20,
    cursor: Annotated[str | None, typer.Option(help="Continue where an earlier answer ended.")] = None,
    on_file: OnFileOption = None,
    stats: Annotated[
        str | None,
        typer.Option(
            help=f"Count by one or several of {', '.join(STATISTICS)}, such as rule,month: denials, unless --decision"
            " says otherwise. `rule` is the rule that decided."
        ),
    ] = None,
    report: Annotated[str | None, typer.Option(help=f"A saved report. {_REPORTS_HELP}.")] = None,
    as_json: JsonFlag = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print the counts of --stats as CSV.")] = False,
) -> None:
    """Search the decisions, newest first; count them; or make a saved report.

    Example: policy-engine log query --decision deny --place-country JP --from 2026-06-12

    Example: policy-engine log query --stats rule,month --model mythos-5

    Example: policy-engine log query --on-file citizenship:CN --decision deny

    Example: policy-engine log query --report touched:mythos-5
    """
    if report is not None and (stats is not None or on_file is not None):
        other = "--stats" if stats is not None else "--on-file"
        raise misused("--report", f"cannot be combined with {other}")
    counted_by = None if stats is None else _counted_by(stats)
    if as_csv and (counted_by is None or as_json):
        raise misused("--csv", "needs --stats, and cannot be combined with --json")
    filters = read_filters(given)
    with _open_inspector() as inspector, _members_then(on_file) as then:
        if report is not None:
            _report(inspector, report, given, limit=limit, as_json=as_json)
        elif counted_by is not None:
            if filters.decision is None and "decision" not in counted_by:
                filters = replace(filters, decision="deny")
            counted = inspector.statistics(filters, counted_by, then)
            tell.tell_retired(counted.retired, err)
            _tell_unsealed(inspector, counted.as_of)
            tell.tell_unread(counted.unread, err)
            if as_csv:
                typer.echo(tell.statistics_csv(counted), nl=False)
            else:
                say = partial(tell.tell_statistics, counted, filters.decision, out)
                print_result(tell.statistics_document(counted), say, as_json=as_json)
        else:
            page = inspector.page(filters, limit=limit, cursor=cursor, then=then)
            tell.tell_retired(page.retired, err)
            if cursor is None:
                _tell_unsealed(inspector, page.as_of)
            tell.tell_unread(page.unread, err)
            print_result(tell.page_document(page), partial(tell.tell_page, page, out), as_json=as_json)


@contextmanager
def _members_then(text: str | None) -> Iterator[MembersThen | None]:
    """What is asked of the members of the settings' database; nothing where nothing is."""
    if text is None:
        yield None
        return
    asked = read_on_file(text, "--on-file")
    with open_stores(settings_with_database()) as stores:
        yield MembersThen(stores.member_history, asked)


def _counted_by(text: str) -> tuple[str, ...]:
    """What is counted by. Raises `MalformedRequest`."""
    names = tuple(text.split(","))
    for name in names:
        if name not in STATISTICS:
            near = near_miss(name, tuple(STATISTICS))
            meant = "" if near is None else f"; did you mean `{near}`?"
            told = f"`{shown(name)}` is not one of {', '.join(STATISTICS)}{meant}"
            raise misused("--stats", told)
    if len(set(names)) < len(names):
        raise misused("--stats", "counts by one thing twice: name each once")
    return names


def _report(inspector: Inspector, report: str, given: Mapping[str, str], *, limit: int, as_json: bool) -> None:
    """The saved report, of the decisions that the filters leave."""
    name, _, value = report.partition(":")
    name = one_spelling(name)
    asks = REPORTS.get(name)
    if asks is None or (asks[0] is None) == bool(value):
        known = ", ".join(
            key if parameter is None else f"{key}:{parameter}" for key, (parameter, *_) in REPORTS.items()
        )
        raise misused("--report", f"is one of {known}")
    document, say = _made_report(inspector, name, value, given, limit)
    print_result(document, say, as_json=as_json)


def _made_report(
    inspector: Inspector, name: str, value: str, given: Mapping[str, str], limit: int
) -> tuple[dict[str, object], Callable[[], None]]:
    """The report for programs, and what tells it to people."""
    match name:
        case "touched":
            filters = read_filters({**given, "model": value})
            touches, retired = inspector.touches(filters), inspector.retired(filters)
            tell.tell_retired(retired, err)
            return tell.touches_document(touches, retired), partial(tell.tell_touches, touches, out)
        case "overrides":
            filters = read_filters(given)
            changes = inspector.overrides(filters.start, filters.end)
            return tell.changes_document(changes), partial(tell.tell_changes, changes, out)
        case "book":
            try:
                at = parse_instant(value)
            except InstantError as error:
                raise misused("--report", str(error)) from error
            found = inspector.book_at(at)
            return tell.book_document(found), partial(tell.tell_book, found, out)
        case "revocation":
            return _made_revocation(inspector, value, given, limit)
        case _:
            return _counted_decisions(inspector, _decisions_of(name, value, given), limit)


def _counted_decisions(
    inspector: Inspector, filters: Filters, limit: int
) -> tuple[dict[str, object], Callable[[], None]]:
    """How many decisions there are of each answer, and the newest."""
    page = inspector.page(filters, limit=limit, cursor=None)
    tell.tell_retired(page.retired, err)
    _tell_unsealed(inspector, page.as_of)
    counts = inspector.statistics(filters, ("decision",))
    document = {**tell.statistics_document(counts), **tell.page_document(page)}
    return document, partial(tell.tell_decisions, counts, page, out)


def _made_revocation(
    inspector: Inspector, value: str, given: Mapping[str, str], limit: int
) -> tuple[dict[str, object], Callable[[], None]]:
    found = inspector.revocations(value)
    if len(found) != 1:
        told = "; ".join(f"{one.what} at {format_instant(one.at)}" for one in found)
        why = (
            f"`{shown(value)}` names several: {told}; write ORGANISATION/CONSORTIUM, or subject-after:ID@INSTANT"
            if found
            else f"the log has no key, authorisation or membership `{shown(value)}` that was revoked or has ended;"
            " to give the instant yourself, write subject-after:ID@INSTANT or organisation-after:ID@INSTANT"
        )
        raise misused("--report", why)
    (over,) = found
    asked = {"from": format_instant(over.at), **given}
    if over.organisation is not None:
        asked["organisation"] = over.organisation
    filters = read_filters(asked, caller=over.caller)
    if filters.start is not None and filters.start < over.at:
        filters = replace(filters, start=over.at)
    document, say = _counted_decisions(inspector, filters, limit)

    def say_all() -> None:
        by = "" if over.change is None else f" by the change {over.change}"
        out.print(f"{over.what} at {format_instant(over.at)}{by}", markup=False)
        say()

    at = format_instant(over.at)
    return {"revocation": {"what": over.what, "at": at, "change": over.change}, **document}, say_all


def _decisions_of(name: str, value: str, given: Mapping[str, str]) -> Filters:
    if name == "licence":
        return read_filters({**given, "decision": "allow"}, authorisation=value)
    who, separator, since = value.rpartition("@")
    if not separator:
        raise misused("--report", f"is written as in {REPORTS[name][2]}")
    return read_filters({**given, name.removesuffix("-after"): who, "from": since})


def show(
    decision: Annotated[str, typer.Argument(metavar="ID", help="The id that the answer had, or that of a change.")],
    *,
    as_json: JsonFlag = False,
) -> None:
    """Show the record of a decision: what was asked, what was on file, which rules decided, and its log index.

    Of a change it shows what was changed, by whom and why; `log changes` and `--report overrides` have their ids.
    Exit 1 when no entry has the id, or when its record is no longer kept because its year was retired.

    Example: policy-engine log show 01K9Z5C0V4R8M2Q7T1X3Y6W0AB
    """
    with _open_inspector() as inspector:
        found = inspector.index.find(decision)
        if found is None:
            _show_change(inspector, decision, as_json=as_json)
            return
    print_result(tell.record_document(found), partial(tell.tell_record, found, out), as_json=as_json)


def _show_change(inspector: Inspector, change_id: str, *, as_json: bool) -> None:
    with open_stores(settings_with_database()) as stores:
        changes = stores.changes
        found = changes.find(change_id)
        if found is not None:
            rows = tell.rows_of(changes.content)
            say = partial(tell.tell_change, found, rows, out)
            print_result(tell.logged_change_document(found, rows), say, as_json=as_json)
            return
    try:
        inspector.require_kept(change_id)
    except RecordRetired as gone:
        raise failed(gone) from gone
    raise failed(f"no decision and no change has the id `{change_id}`")


_FAMILIES: Final = tuple(dict.fromkeys(kind.partition(".")[0] for kind in KINDS))


def changes(
    *,
    kind: Annotated[
        str | None,
        typer.Option(help=f"Only changes of one kind, such as freeze.declared, or of one of {', '.join(_FAMILIES)}."),
    ] = None,
    since: Annotated[str | None, typer.Option("--from", help="Changed at this instant or later.")] = None,
    until: Annotated[str | None, typer.Option("--to", help="Changed before this instant.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=LONGEST_PAGE, help="How many changes at most.")] = 20,
    as_json: JsonFlag = False,
) -> None:
    """List what people changed, the last recorded first: members, books, freezes, keys, reviews, holds, retired years.

    Each is an entry of the same log as the decisions: `log show ID` shows it, and `log receipt ID` proves it.

    Example: policy-engine log changes --kind freeze --from 2026-06-01
    """
    kinds = [one for one in KINDS if kind is None or kind in (one, one.partition(".")[0])]
    if not kinds:
        raise misused("--kind", f"is one of {', '.join((*_FAMILIES, *KINDS))}")
    given = {name: text for name, text in (("from", since), ("to", until)) if text is not None}
    filters = read_filters(given)
    with open_stores(settings_with_database()) as stores:
        listed = stores.changes
        asked = () if kind is None else kinds
        found = listed.newest(asked, start=filters.start, end=filters.end, limit=limit + 1)
        shown, more = found[:limit], len(found) > limit
        rows = tell.rows_of(listed.content)
        say = partial(tell.tell_listed, shown, rows, out, more=more)
        print_result(tell.listed_document(shown, rows, more=more), say, as_json=as_json)


@_with_filters
def export_log(
    given: Mapping[str, str],
    *,
    form: Annotated[
        str,
        typer.Option(
            "--format",
            help="jsonl: the exact records, one to a line. csv: flat columns. parquet: the same with their types.",
        ),
    ] = "jsonl",
    on_file: OnFileOption = None,
    output: Annotated[Path, typer.Option(help="The file to write; `-` is standard output.")] = Path("-"),
    size: Annotated[
        int | None,
        typer.Option(min=0, help="Only the log up to this size: the same size gives the same bytes again."),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Export decisions in the order of the log, and say of which log, with the SHA-256 of what was written.

    If the export goes to standard output, this summary goes to standard error, also with --json.

    Example: policy-engine log export --format csv --output june.csv --from 2026-06-01 --to 2026-07-01
    """
    if form not in (*FORMS, PARQUET):
        known = ", ".join((*FORMS, PARQUET))
        raise misused("--format", f"is one of {known}")
    if form == PARQUET:
        require_parquet()
    filters = read_filters(given)
    with _open_inspector() as inspector, _members_then(on_file) as then:
        keep = None if then is None else then.holds
        is_file = str(output) != "-" and (output.is_file() or not output.exists())
        beside = output.resolve().parent if is_file else None
        as_of = inspector.pin()
        inspector.require_names(filters)
        if size is not None and size > as_of.size:
            raise misused("--size", f"is at most {as_of.size} now")
        if size is None:
            _tell_unsealed(inspector, as_of)
        elif size < as_of.size:
            as_of = inspector.at(size)
        retired = inspector.retired(filters)
        tell.tell_retired(retired, err)
        if str(output) == "-":
            digest, length = _write(sys.stdout.buffer, inspector, filters, as_of, form, keep, beside)
            sys.stdout.buffer.flush()
        else:
            with writing_to(output) as file:
                digest, length = _write(file, inspector, filters, as_of, form, keep, beside)
    # The standard output has the export itself.
    told = err if str(output) == "-" else out
    if as_json:
        stands = msgspec.to_builtins(as_of.document())
        written = {"file": str(output), "bytes": length, "sha256": digest, "as_of": stands}
        print_json({**written, **tell.retired_document(retired)}, where=told)
    else:
        name = "" if told is err else f"{output}: "
        told.print(f"{name}{length:,} bytes of the log of size {as_of.size}; SHA-256 {digest}", markup=False)


_PIECE: Final = 2**20


def _write(
    file: BinaryIO,
    inspector: Inspector,
    filters: Filters,
    as_of: AsOf,
    form: str,
    keep: Callable[[bytes], bool] | None,
    beside: Path | None,
) -> tuple[str, int]:
    """SHA-256 and length of what was written. What comes before it in files is put `beside` it, where there is room."""
    digest, length = hashlib.sha256(), 0

    def write(piece: bytes) -> None:
        nonlocal length
        file.write(piece)
        digest.update(piece)
        length += len(piece)

    with ExitStack() as stack:
        advanced = stack.enter_context(progress("exporting", total=as_of.size))
        if form == PARQUET:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=".export-", dir=beside)))
            made = write_parquet(inspector.index, filters, folder, size=as_of.size, keep=keep, told=advanced)
            with made.open("rb") as written:
                while piece := written.read(_PIECE):
                    write(piece)
        else:
            for chunk in export(inspector.index, filters, size=as_of.size, form=form, keep=keep):
                write(chunk.data)
                advanced(chunk.through)
    return digest.hexdigest(), length
