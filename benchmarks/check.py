"""How long `policy-engine policy check` takes, and how much memory, as the rule book grows.

Run as `python -m benchmarks.check`. Every book is the shipped one with rows added to the files of its regimes, drawn
from a seed: copies of shipped rows with an id, a citation and sentences of their own, half of them with a condition
that stands nowhere else, and in every fifth bar an `unless`. The command runs as a process of its own, start of the
interpreter included; the memory is its largest resident set. With `--faulty N` one row in N has a misspelt word that
no other row has.
"""

from __future__ import annotations

import argparse
import csv
import io
import random
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

from policy_engine.domain.countries import COUNTRIES
from policy_engine.policy.reader import read_folder
from policy_engine.policy.rule_files import FOLDER

POLICIES = Path(__file__).parent.parent / "policies"


def write_book(folder: Path, rows: int, *, seed: int, faulty: int = 0) -> int:
    """Write a book of so many rows, and give the bytes of its rule files; one row in `faulty` has a fault."""
    dice = random.Random(seed)
    countries = sorted(COUNTRIES)
    shipped = read_folder(POLICIES)
    sheets: dict[str, list[dict[str, str]]] = {}
    for name, data in shipped.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        if name.startswith(FOLDER):
            sheets[name] = list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline="")))
    patterns = [(name, row) for name, filed in sheets.items() for row in filed]
    # A note that reads which bars stand cannot lift one.
    notes = [row["id"] for _, row in patterns if row["effect"] == "note" and "barred-by" not in row["party"]]
    for number in range(rows - len(patterns)):
        name, pattern = dice.choice(patterns)
        row = {**pattern, "id": f"{pattern['id']}-{number}"}
        row["citation"] = f"{pattern['citation']} ({number})"
        row["message"] = f"{pattern['message']} Row {number}."
        if dice.random() < 0.5:
            drawn = ",".join(dice.sample(countries, 4))
            row["place"] = f"{pattern['place']} & !located-in:{drawn}" if pattern["place"] else f"located-in:{drawn}"
            row["place"] = row["place"].replace(" | ", f" & !located-in:{drawn} | ")
        if row["effect"] == "deny" and not row["unless"] and dice.random() < 0.2:
            row["unless"] = dice.choice(notes)
        if faulty and number % faulty == 0:
            row["party"] = f"foreign-persn-{number}"
        sheets[name].append(row)
    size = 0
    for name, filed in sheets.items():
        text = io.StringIO()
        writer = csv.DictWriter(text, fieldnames=list(filed[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(filed)
        size += (folder / name).write_bytes(text.getvalue().encode())
    return size


def main(arguments_given: Sequence[str]) -> None:
    """Print seconds and peak memory for each size of book."""
    parser = argparse.ArgumentParser(description="Time and memory of `policy check` as the rule book grows.")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000], help="rows")
    parser.add_argument("--faulty", type=int, default=0, help="one row in so many has a fault; 0 is none")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args(arguments_given)
    print("    rows     MB  seconds  of CPU  peak MB  exit")
    for size in sorted(arguments.sizes):
        with tempfile.TemporaryDirectory() as folder:
            written = write_book(Path(folder), size, seed=arguments.seed, faulty=arguments.faulty)
            command = [
                sys.executable,
                "-m",
                "policy_engine.cli.main",
                "policy",
                "check",
                "--policies",
                folder,
                "--json",
            ]
            before, started = resource.getrusage(resource.RUSAGE_CHILDREN), perf_counter()
            done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)  # noqa: S603 - our own command
            seconds = perf_counter() - started
        # The largest of all processes so far: the sizes go up, so that it is that of the last one.
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        peak = after.ru_maxrss / 1024
        print(f"{size:8,} {written / 1e6:6.1f} {seconds:8.2f} {busy:7.2f} {peak:8.0f} {done.returncode:5}")


if __name__ == "__main__":
    main(sys.argv[1:])
