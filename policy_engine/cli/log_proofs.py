"""`policy-engine log verify`, `reindex`, `replay`, `lookback`, `receipt`, `evidence`, `hold`, `holds`, `release` and
`retire`."""

from __future__ import annotations

import getpass
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from datetime import datetime
from functools import partial
from inspect import cleandoc
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import parse_qsl

import msgspec
import typer
from rich.text import Text

from policy_engine.app.builder import open_sealing
from policy_engine.app.clock import system_clock
from policy_engine.app.stores import Stores, open_stores
from policy_engine.cli.output import Exit, JsonFlag, err, failed, instant, misused, out, print_json, tell, writing_to
from policy_engine.cli.progress import progress
from policy_engine.cli.remote import ASSESSMENT_SECONDS, Misused, RemoteSettings, open_service
from policy_engine.cli.settings import settings_with_database
from policy_engine.domain.counted import many
from policy_engine.domain.desk import Desk, desk_after
from policy_engine.domain.instants import format_instant
from policy_engine.domain.ports import LogEntry, LogYear
from policy_engine.domain.roster import Roster
from policy_engine.formats.change import ChangeFault
from policy_engine.formats.record_reader import RecordFault, read_record
from policy_engine.ledger.files import Directory, LogLocked
from policy_engine.ledger.note import InvalidKey, InvalidNote, Note, VerifierKey, encode_base64
from policy_engine.ledger.proof import InvalidReceipt, Receipt
from policy_engine.ledger.tiles import LogFault
from policy_engine.ledger.witness import WitnessUnreadable
from policy_engine.render.log_text import tell_retired
from policy_engine.render.pack_readme import pack_readme
from policy_engine.render.proofs_text import tell_hold, tell_holds, tell_lost, tell_replay, tell_year, year_document
from policy_engine.service.administration.desk_faults import NothingThere
from policy_engine.service.audit.evidence import NotProvable, PackRequest, write_pack
from policy_engine.service.audit.inspect import read_filters
from policy_engine.service.audit.lookback import FoundAllow, Looked, NotJudged, lookback
from policy_engine.service.audit.names_on_record import NamesOnRecord
from policy_engine.service.audit.replay import KnownNow, Replayed, replay, replay_now
from policy_engine.service.audit.retention import MustBeKept, remove_retired
from policy_engine.service.audit.retired import RecordRetired, retired_between, retired_with
from policy_engine.service.sealing.sealed_log import EntryAltered, HistoryRefused, Sealing
from policy_engine.service.sealing.verification import (
    VerificationFailed,
    VerifiedYear,
    compare_rows,
    verify_beside,
    verify_copy,
    verify_index,
    verify_year,
)
from policy_engine.shapes.log import HoldDocument, HoldsDocument, RetiredDocument

WINDOW: Final = 200
"""Entries of the log that are read at once for a pack."""

_FAILURES: Final = (
    VerificationFailed,
    HistoryRefused,
    EntryAltered,
    WitnessUnreadable,
    InvalidReceipt,
    NotProvable,
    MustBeKept,
    LogFault,
    LogLocked,
    RecordFault,
    RecordRetired,
    NothingThere,
)

PAUSE_SECONDS: Final = 0.1
"""How long is waited for a sealer that is between two of its writes."""


class _Log(Stores):
    """The log of the settings, to be read."""

    def sealing(self) -> Sealing:
        """The sealed log. Raises `HistoryRefused` where its key is not, since one made now would be another."""
        if not self.settings.log_key.exists():
            raise HistoryRefused(
                f"there is no key at `{self.settings.log_key}`; verify a copy of the log with --tiles and --key"
            )
        return open_sealing(self.settings, self.entries)

    def desk(self) -> Desk:
        return desk_after(self.desk_log.changes())

    def roster(self) -> Roster:
        """The members as known now."""
        snapshot = self.members.snapshot()
        return Roster.as_known(snapshot.rows, revision=snapshot.revision)

    def decision(self, decision_id: str) -> LogEntry:
        """The entry under an id: a decision's, or a change's, which has a receipt as well, but is no record to be read.

        Raises `NothingThere`, and `RecordRetired` for an id of a retired year.
        """
        entry = self.entries.find(decision_id)
        if entry is None:
            retired = retired_with(self.desk(), decision_id)
            if retired is not None:
                raise RecordRetired(retired)
            raise NothingThere(f"no decision has the id `{decision_id}`")
        return entry


@contextmanager
def _open() -> Iterator[_Log]:
    """The log; what is wrong with it ends the command with a sentence and exit code 1. Raises the store's errors."""
    try:
        with open_stores(settings_with_database()) as stores:
            yield _Log(stores.settings, stores.engine)
    except ChangeFault as error:
        raise failed(f"a change in the database is not one that this release can read: {error}") from error
    except _FAILURES as error:
        raise failed(error) from error


# --- verify -----------------------------------------------------------------------------------------------------------


def verify(
    *,
    year: Annotated[int | None, typer.Option(help="Only this year of the log; by default every year.")] = None,
    older: Annotated[
        list[Path] | None, typer.Option(help="A checkpoint that was kept from earlier; may be given again.")
    ] = None,
    database: Annotated[
        bool, typer.Option("--database", help="Also hold every row of the database against the sealed log.")
    ] = False,
    index: Annotated[
        bool, typer.Option("--index", help="With --database: the index of decisions too, against their records.")
    ] = False,
    tiles: Annotated[Path | None, typer.Option(help="Verify a copy of one year's folder, with --key.")] = None,
    receipt: Annotated[Path | None, typer.Option(help="Verify a receipt, with --record and --key, offline.")] = None,
    record: Annotated[Path | None, typer.Option(help="The record that the receipt is for, byte for byte.")] = None,
    key: Annotated[Path | None, typer.Option(help="The verifier key: a file with one line.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Verify the sealed log: every entry, every tile, the checkpoint, and what the witness has seen.

    Exit 1 names the first fault, and every witness file and folder of a year that the database does not have. A history
    that the holder of the signing key has rewritten cannot be found in the log alone: keep a checkpoint elsewhere, and
    give it with --older.

    Example: policy-engine log verify --database --older checkpoint-of-june.txt

    Example: policy-engine log verify --receipt 01K9.tlog-proof --record 01K9.json --key 2026.vkey
    """
    if index and not database:
        raise misused("--index", "needs --database")
    if receipt is not None or record is not None:
        if receipt is None or record is None or key is None or tiles is not None or database or older:
            raise misused("--receipt", "needs --record and --key, and cannot be combined with anything else")
        _verify_receipt(receipt, record, _read_key(key), as_json=as_json)
    elif tiles is not None or key is not None:
        if tiles is None or key is None or database or year is not None:
            raise misused("--tiles", "needs --key, and cannot be combined with --year or --database")
        _verify_copy(tiles, _read_key(key), older or [], as_json=as_json)
    else:
        _verify_log(year, older or [], database=database, index=index, as_json=as_json)


def _read_key(path: Path) -> VerifierKey:
    try:
        return VerifierKey.parse(path.read_text(encoding="utf-8").strip())
    except (InvalidKey, UnicodeDecodeError) as error:
        raise misused("--key", f"`{path}` holds no verifier key: {error}") from error


def _verify_receipt(receipt: Path, record: Path, key: VerifierKey, *, as_json: bool) -> None:
    try:
        parsed = Receipt.parse(receipt.read_bytes())
        at = parsed.verify(record.read_bytes(), key).checkpoint
    except InvalidReceipt as error:
        raise failed(f"{receipt}: {error}") from error
    document = {"origin": at.origin, "index": parsed.index, "size": at.size, "root": encode_base64(at.root)}
    said = f"{record}: entry {parsed.index} of {at.origin}, whose checkpoint has {at.size} entries"
    tell(document, said, as_json=as_json)


def _verify_copy(folder: Path, key: VerifierKey, older: list[Path], *, as_json: bool) -> None:
    try:
        with progress("verifying") as shown:
            at = verify_copy(Directory(folder), key, older=_notes(older).values(), progress=shown)
    except VerificationFailed as error:
        raise failed(error) from error
    root = encode_base64(at.root)
    document = {"origin": at.origin, "size": at.size, "root": root}
    tell(document, f"{at.origin}: {at.size} entries, root {root}", as_json=as_json)


def _notes(paths: list[Path]) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in paths}


def _origin_of(path: Path, note: bytes) -> str:
    try:
        return Note.parse(note).text.decode().partition("\n")[0]
    except InvalidNote as error:
        raise misused("--older", f"`{path}` is not a checkpoint: {error}") from error


def _verify_log(year: int | None, older: list[Path], *, database: bool, index: bool, as_json: bool) -> None:
    notes = {path: (_origin_of(path, note), note) for path, note in _notes(older).items()}
    with _open() as log:
        sealing, retired = log.sealing(), log.desk().retired
        # The files first: a sealer makes a year in the database before it seals anything of it.
        left = sealing.left_of()
        all_years = log.entries.years()
        lost = {number: paths for number, paths in left.items() if all(one.year != number for one in all_years)}
        tell_lost(lost, err)
        years = [one for one in all_years if year is None or one.year == year]
        if year is not None and not years:
            raise NothingThere(f"the log has no year {year}")
        origins = {sealing.key(one.year).name for one in years}
        for path, (origin, _) in notes.items():
            if origin not in origins:
                raise misused("--older", f"`{path}` is a checkpoint of `{origin}`, which is not verified here")
        if all_years and all_years[0].first_index:
            raise VerificationFailed(f"entries 0 to {all_years[0].first_index - 1} of the log are in none of its years")
        told = []
        for one in years:
            kept = [note for origin, note in notes.values() if origin == sealing.key(one.year).name]
            told.append(_verify_year(log, sealing, one, kept, retired=one.year in retired, database=database))
            if not as_json:
                tell_year(told[-1], sealing.key(one.year).name, out)
        _verify_beside(log, database=database, index=index)
    if as_json:
        gone = [{"year": number, "files": [str(path) for path in lost[number]]} for number in sorted(lost)]
        print_json({"years": [year_document(one) for one in told], "lost": gone})
    elif not told and not lost:
        out.print("nothing is sealed yet")
    if lost:
        raise typer.Exit(Exit.FAILED)


def _verify_beside(log: _Log, *, database: bool, index: bool) -> None:
    if database:
        verify_beside(log.rows)
    if index:
        with progress("comparing the index") as shown:
            verify_index(log.rows, progress=shown)


def _verify_year(
    log: _Log, sealing: Sealing, year: LogYear, kept: list[bytes], *, retired: bool, database: bool
) -> VerifiedYear:
    with progress(f"verifying {year.year}") as shown:
        found = verify_year(
            sealing, year, older=kept, retired=retired, pause=partial(time.sleep, PAUSE_SECONDS), progress=shown
        )
    if not database or retired or found.checkpoint is None:
        return found
    with progress(f"comparing {year.year}") as shown:
        compared = compare_rows(sealing, log.rows, year, found.checkpoint.size, progress=shown)
    following = [one.first_index for one in log.entries.years() if one.year > year.year]
    end = min(following, default=log.entries.size())
    return replace(found, compared=compared, waiting=end - year.first_index - compared)


def reindex(*, as_json: JsonFlag = False) -> None:
    """Delete the index of decisions and build it again from their records.

    Listings, counts and reports come from the index, which proves nothing by itself: build it again before you rely on
    a listing. The service goes on deciding; listings answer 503 until the index is built.

    Example: policy-engine log reindex
    """
    with _open() as log, progress("indexing") as shown:
        size = log.entries.size()
        covered = log.indexer.rebuild(lambda done: shown(done, max(done, size)))
    tell({"entries": covered}, f"the index was built again from {covered} entries of the log", as_json=as_json)


# --- replay and lookback ----------------------------------------------------------------------------------------------

DecisionArgument = Annotated[str, typer.Argument(metavar="ID", help="The id that the answer had.")]


def replay_decision(
    decision: DecisionArgument,
    *,
    known_now: Annotated[
        bool, typer.Option("--known-now", help="With the members as known now, instead of as known then.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Decide again what is on record, at its own instant and under its own book, and compare byte for byte.

    Exit 0 when the result is the same. Exit 1 when it is not, with every place that differs, or when nothing could be
    compared, with the reason, such as a record that has only the digest of its request. With --known-now the answer and
    the facts are compared.

    Example: policy-engine log replay 01K9Z5C0V4R8M2Q7T1X3Y6W0AB
    """
    with _open() as log:
        body = log.decision(decision).body
        record = read_record(body)
        found: Replayed | KnownNow
        if known_now:
            judge = log.past.judge(record.policy_version, record.control_epoch)
            if judge is None:
                raise VerificationFailed(f"the book {record.policy_version} is not archived, or cannot be read")
            found = replay_now(record, body, log.roster(), judge)
            same = found.obstacle is None and not found.differences
        else:
            found = replay(record, body, log.past)
            same = found.same is True
    tell(msgspec.json.decode(found.document()), partial(tell_replay, found, out, same=same), as_json=as_json)
    raise typer.Exit(Exit.DONE if same else Exit.FAILED)


def look_back(
    *,
    rule: Annotated[str, typer.Option(help="The rule, by its id.")],
    start: Annotated[datetime, typer.Option("--from", parser=instant, help="Decided at this instant or later.")],
    end: Annotated[
        datetime | None, typer.Option("--to", parser=instant, help="Decided before this instant; by default now.")
    ] = None,
    book_now: Annotated[
        bool, typer.Option("--book-now", help="By the book in force now, instead of each by its own.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Find past allows that a rule would deny, each at its own instant, with the members as known today.

    Exit 0 when there are none, 1 when there are, or when one could not be judged. With --json each stands on a line of
    its own as soon as it is found, and the last line has the totals.

    Example: policy-engine log lookback --rule US-COM-2026-06-12 --from 2026-06-12T21:21:00Z --to 2026-06-30
    """
    before = end or system_clock()
    with _open() as log, ExitStack() as stack:
        judge = None
        desk = log.desk()
        if book_now:
            book = desk.book_at(desk.moment(system_clock()))
            judge = None if book is None else log.past.judge_of_any_time(book.fingerprint, log.members.control().epoch)
            if judge is None:
                raise VerificationFailed("no book is in force now, or it cannot be read")
        tell_retired(retired_between(desk, start, before), err)
        shown = stack.enter_context(progress("looking back"))
        found, obstacles, looked = 0, 0, Looked(decisions=0, allows=0, at=None, known=False)
        for told in lookback(log.desk_log, log.past, log.roster(), rule=rule, start=start, end=before, judge=judge):
            match told:
                case FoundAllow():
                    found += 1
                    _tell_found(told, as_json=as_json)
                case NotJudged():
                    obstacles += 1
                    _tell_found(told, as_json=as_json)
                case Looked():
                    looked = told
                    shown(told.decisions, None)
        if looked.allows > obstacles and not looked.known:
            raise misused("--rule", f"`{rule}` is in none of the books by which those decisions were judged")
    if as_json:
        totals = {"decisions": looked.decisions, "allows": looked.allows, "found": found, "not_judged": obstacles}
        typer.echo(msgspec.json.encode(totals).decode())
    else:
        out.print(f"{found} of {looked.allows} allows would be denied; {obstacles} could not be judged")
    raise typer.Exit(Exit.FAILED if found or obstacles else Exit.DONE)


def _tell_found(told: FoundAllow | NotJudged, *, as_json: bool) -> None:
    if as_json:
        typer.echo(msgspec.json.encode(told.document()).decode())
        return
    line = f"{told.decision_id}  {format_instant(told.at)}  "
    if isinstance(told, FoundAllow):
        line += f"{told.subject}  {told.action}  {told.model}  {' '.join(told.rules)}  {' '.join(told.codes)}"
    else:
        line += f"could not be judged: {told.obstacle}"
    out.print(Text(line))


# --- receipts and packs -----------------------------------------------------------------------------------------------


def receipt(
    decision: DecisionArgument,
    *,
    output: Annotated[Path | None, typer.Option(help="The file to write; by default ID.tlog-proof.")] = None,
    with_record: Annotated[Path | None, typer.Option("--record", help="Also write the record, byte for byte.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Write the receipt of a decision: the proof, for whoever has the verifier key, that it stands in the log.

    Example: policy-engine log receipt 01K9Z5C0V4R8M2Q7T1X3Y6W0AB --record 01K9Z5C0V4R8M2Q7T1X3Y6W0AB.json
    """
    with _open() as log:
        entry, sealing = log.decision(decision), log.sealing()
        made = sealing.receipt(entry)
        if made is None:
            raise NotProvable(f"`{decision}` is not sealed yet: try again in a second, while the service runs")
        year = sealing.year_of(entry.index)
        key = "" if year is None else sealing.key(year.year).verifier.encode()
    path = output or Path(f"{decision}.tlog-proof")
    path.write_bytes(made.encode())
    if with_record is not None:
        with_record.write_bytes(entry.body)
    said = f"{path}: entry {made.index}; verify it with the key {key}"
    tell({"file": str(path), "index": made.index, "key": key}, said, as_json=as_json)


def evidence(
    decisions: Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="Ids of decisions.")] = None,
    *,
    query: Annotated[
        str | None,
        typer.Option(help="Instead of ids, the filters of GET /decisions, such as `model=mythos-5&decision=allow`."),
    ] = None,
    output: Annotated[Path, typer.Option(help="The ZIP file to write.")],
    asked_by: Annotated[
        str | None, typer.Option(help="Who asks for the pack, which is written into it; by default the login name.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Pack decisions with all that proves and explains them: receipts, checkpoints, keys, books and who approved them.

    The pack is checked offline by the program in it, and says what was asked for, when, by whom and of which log. Two
    packs of the same decisions under the same checkpoints have the same SHA-256 of the contents.

    Example: policy-engine log evidence 01K9Z5C0V4R8M2Q7T1X3Y6W0AB --output evidence.zip

    Example: policy-engine log evidence --query "subject=person:alice&from=2026-06-12" --output evidence.zip
    """
    if bool(decisions) == (query is not None):
        raise misused("--query", "cannot be combined with ids: give one or the other")
    given = None if query is None else _filters_in(query)
    with _open() as log, progress("packing") as shown:
        sealing = log.sealing()
        sealed = sealing.sealed()
        size = 0 if sealed is None else sealed.end
        ids = None if decisions is None or given is not None else tuple(decisions)
        asked = PackRequest(by=asked_by or _login(), at=system_clock(), ids=ids, filters=given, log_size=size)
        found = (log.decision(one) for one in ids or ()) if given is None else _queried(log, given, size)
        with writing_to(output) as file:
            packed = write_pack(
                file,
                found,
                entries=log.entries,
                desk_log=log.desk_log,
                sealing=sealing,
                asked=asked,
                readme=pack_readme,
                progress=lambda done: shown(done, None),
            )
    held = (many(packed.records, "record"), many(packed.changes, "change"), many(packed.books, "book"))
    said = (
        f"{output}: {', '.join(held)}\nSHA-256 of the contents {packed.contents}\n"
        f"SHA-256 of the manifest {packed.manifest}"
    )
    tell({"file": str(output), **asdict(packed)}, said, as_json=as_json)


def _login() -> str:
    """Who runs the command, by the operating system's word."""
    try:
        return getpass.getuser()
    except (ImportError, KeyError, OSError):
        return "nobody named"


def _filters_in(query: str) -> dict[str, str]:
    """The filters of a query by their names. Raises `MalformedRequest`."""
    pairs = parse_qsl(query, keep_blank_values=True)
    given = dict(pairs)
    if len(given) != len(pairs):
        raise misused("--query", "has a filter twice")
    read_filters(given)
    return given


def _queried(log: _Log, given: Mapping[str, str], size: int) -> Iterator[LogEntry]:
    """The decisions that the filters leave of the log up to a size, in the order of the log."""
    filters = read_filters(given)
    tell_retired(retired_between(log.desk(), filters.start, filters.end), err)
    index, indexer = log.index, log.indexer
    while index.size() < size and indexer.catch_up(1_000):
        pass
    NamesOnRecord(index, log.desk_log).require(filters)
    for begin in range(0, size, WINDOW):
        for one in index.since(filters, size=size, begin=begin, width=WINDOW):
            yield LogEntry(index=one.log_index, at=one.at, body=one.body)


# --- holds and retiring -----------------------------------------------------------------------------------------------


_ROLE: Final = "auditor"
"""The role whose keys have the right `log:hold`, and may read what is held."""


def hold(
    *,
    decision: Annotated[list[str] | None, typer.Option(help="A decision, by its id.")] = None,
    organisation: Annotated[list[str] | None, typer.Option(help="An organisation that was judged or named.")] = None,
    subject: Annotated[list[str] | None, typer.Option(help="A requester or end user, as person:alice.")] = None,
    model: Annotated[list[str] | None, typer.Option(help="A model.")] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="The whole log; cannot be combined with the others.")
    ] = False,
    reason: Annotated[str, typer.Option(help="Why: the request or the proceedings that it answers.")],
    as_json: JsonFlag = False,
) -> None:
    """Place a legal hold: every record that has any one of the names is kept until the hold is released.

    A name that is not on file, in the catalogue or in the log is refused, with exit 1. The answer says how many records
    are held now; later ones are held too.

    Example: policy-engine log hold --organisation beihe-holding --reason "BIS request of 20 November 2026"
    """
    if not (decision or organisation or subject or model or everything):
        raise Misused("say what is held: --decision, --organisation, --subject or --model, or --all for the whole log")
    body = {
        "decisions": decision or [],
        "organisations": organisation or [],
        "subjects": subject or [],
        "models": model or [],
        "all": everything,
        "reason": reason,
    }
    with progress("looking for the records"):
        answer = open_service(role=_ROLE).post("log", "holds", body=body, seconds=ASSESSMENT_SECONDS)
    answer.tell(HoldDocument, partial(tell_hold, out=out), as_json=as_json)


def release(
    name: Annotated[str, typer.Argument(metavar="ID", help="The id of the hold, as `log holds` has it.")],
    *,
    reason: Annotated[str, typer.Option(help="Why: the agency's written authorisation, for instance.")],
    as_json: JsonFlag = False,
) -> None:
    """Release a legal hold. The retention periods of its records count again.

    Example: policy-engine log release HOLD-01K9... --reason "BIS letter of 2 March 2031"
    """
    answer = open_service(role=_ROLE).delete("log", "holds", name, body={"reason": reason})
    answer.tell(HoldDocument, partial(tell_hold, out=out), as_json=as_json)


def holds(*, as_json: JsonFlag = False) -> None:
    """List every legal hold, released ones too.

    Example: policy-engine log holds
    """
    open_service(role=_ROLE).get("log", "holds").tell(HoldsDocument, partial(tell_holds, out=out), as_json=as_json)


def retire(
    year: Annotated[int, typer.Argument(help="The year of the log.")],
    *,
    reason: Annotated[str, typer.Option(help="Why, for the record.")],
    as_json: JsonFlag = False,
) -> None:
    """Retire a year of the log when every retention period has ended and no hold stands; else exit 1 names the first.

    The service records it in the log, with your key. Then the records and the bundles of the year are removed, here:
    POLICY_ENGINE_DATABASE_URL has to name the role that owns the tables. It can be run again if it was interrupted.

    Example: policy-engine log retire 2026 --reason "retention schedule 2037"
    """
    with progress("looking at every clock and hold"):
        answer = open_service(role=_ROLE).post(
            "log", "retirements", body={"year": year, "reason": reason}, seconds=ASSESSMENT_SECONDS
        )
    retired = answer.read(RetiredDocument)
    with _open() as log, progress(f"removing {year}") as shown:
        removed = remove_retired(log.entries, log.sealing(), log.retirement, log.desk(), year, progress=shown)
    document = {"year": retired.year, "decisions": retired.decisions, "removed": removed}
    said = f"{year} is retired since {retired.retired_at}: {removed} decisions were removed"
    tell(document, said, as_json=as_json)


_WITH_THE_SERVICE: Final = (
    f"The service does it: POLICY_ENGINE_URL is where it is (default {RemoteSettings.model_fields['url'].default}), and"
    " POLICY_ENGINE_KEY a key that is bound to you and has the right log:hold; to list holds, decisions:read. Both are"
    f' in the role {_ROLE}: policy-engine keys create "NAME" --role {_ROLE} --person ID.'
)
for _asking in (hold, holds, release, retire):
    _asking.__doc__ = f"{cleandoc(_asking.__doc__ or '')}\n\n{_WITH_THE_SERVICE}"
