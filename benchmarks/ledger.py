"""How fast a log is sealed and verified, on one core, with the flushes of a real directory.

Run as `python -m benchmarks.ledger`. Entries are drawn from a seed, a little shorter or longer than `--bytes`, and no
two are the same. The rates of work are per second of processor time and per second of the clock: sealing waits for the
disk at every file, and verification reads what is still in the page cache.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import perf_counter, process_time

from policy_engine.ledger.files import Directory
from policy_engine.ledger.note import SigningKey
from policy_engine.ledger.proof import Receipt, receipt_of
from policy_engine.ledger.sealer import EntrySource, seal
from policy_engine.ledger.verify import verify_log
from policy_engine.ledger.witness import FileWitness

ORIGIN = "benchmark.example/log"
KEY = SigningKey(name=ORIGIN, seed=b"\x11" * 32)


def draw(size: int, count: int, *, seed: int) -> EntrySource:
    """A source of so many entries of about that size; the same index is always the same entry."""
    filler = random.Random(seed).randbytes(size * 2).hex().encode()

    def entries(start: int) -> Iterator[tuple[int, bytes]]:
        for index in range(start, count):
            begin = index * 7 % size
            yield index, b'{"log_index":%d,"filler":"%s"}' % (index, filler[begin : begin + size - 40 + index % 17])

    return entries


def _row(what: str, count: int, clock: float, processor: float) -> str:
    return f"{what:34} {count / clock:12,.0f} {count / processor:12,.0f}"


def main(arguments_given: Sequence[str]) -> None:
    """Print the rates."""
    parser = argparse.ArgumentParser(description="Rates of sealing, verification and receipts.")
    parser.add_argument("--entries", type=int, default=100_000)
    parser.add_argument("--bytes", type=int, default=1_000, help="of an entry")
    parser.add_argument("--receipts", type=int, default=2_000)
    parser.add_argument("--steps", type=int, default=50, help="seals of ten entries each, after the first one")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args(arguments_given)
    dice = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as folder:
        store = Directory(Path(folder) / "log")
        witness = FileWitness.create(Path(folder) / "witness", origin=ORIGIN)

        def grow(count: int) -> None:
            source = draw(arguments.bytes, count, seed=arguments.seed)
            seal(key=KEY, store=store, entries=source, previous=witness.latest(), approve=witness.check)

        print(f"{'':34} {'per second':>12} {'per second of':>12}")
        print(f"{'':34} {'of the clock':>12} {'processor':>12}")
        clock, processor = perf_counter(), process_time()
        grow(arguments.entries)
        print(_row("entries sealed", arguments.entries, perf_counter() - clock, process_time() - processor))

        clock, processor = perf_counter(), process_time()
        signed = verify_log(store, KEY.verifier).signed
        print(_row("entries verified", arguments.entries, perf_counter() - clock, process_time() - processor))

        indices = [dice.randrange(arguments.entries) for _ in range(arguments.receipts)]
        clock, processor = perf_counter(), process_time()
        files = [receipt_of(store, index, signed).encode() for index in indices]
        print(_row("receipts made", len(files), perf_counter() - clock, process_time() - processor))

        by_index = dict.fromkeys(indices, b"")
        by_index.update(
            (index, entry)
            for index, entry in draw(arguments.bytes, arguments.entries, seed=arguments.seed)(0)
            if index in by_index
        )
        key = KEY.verifier
        clock, processor = perf_counter(), process_time()
        for index, data in zip(indices, files, strict=True):
            Receipt.parse(data).verify(by_index[index], key)
        print(_row("receipts verified", len(files), perf_counter() - clock, process_time() - processor))

        times: list[float] = []
        for step in range(1, arguments.steps + 1):
            clock = perf_counter()
            grow(arguments.entries + 10 * step)
            times.append(1e3 * (perf_counter() - clock))
        if times:
            print(f"\nsealing 10 more entries: p50 {statistics.median(times):.1f} ms, max {max(times):.1f} ms")


if __name__ == "__main__":
    main(sys.argv[1:])
