"""Golden files: whole answers of ten worked examples, and the words of `policies/README.md`.

`python -m tests.golden.regenerate` writes them anew; `--verify` only says which differ, with exit code 1.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Final

from policy_engine.decision.conclude import Basis, conclude
from policy_engine.domain.rules import REASON_MEANINGS
from policy_engine.domain.sentences import NOT_CHECKED
from policy_engine.domain.words import VOCABULARY
from policy_engine.formats.record import encode_answer
from policy_engine.policy.cases import Case
from policy_engine.service.administration.simulate import SIMULATED_ID
from tests.conftest import CASES, POLICIES, judge_of

FOLDER: Final = Path(__file__).parent
GOLDEN_CASES: Final = (
    "ACT-01",
    "AUT-18",
    "CHN-08",
    "CON-06",
    "LST-19",
    "ORD-16",
    "ORD-20",
    "OWN-18",
    "PER-10",
    "TIM-07",
)
START: Final = "<!-- words: written by `python -m tests.golden.regenerate` from policy_engine/domain/words -->"
END: Final = "<!-- end of words -->"
CODES_START: Final = "<!-- codes: written by `python -m tests.golden.regenerate` from policy_engine/domain/rules.py -->"
CODES_END: Final = "<!-- end of codes -->"


def golden_answer(case: Case) -> str:
    """The whole answer, and every row in force at the instant with what it did; a row that did not match is silent."""
    judge = judge_of(case)
    caller = replace(case.caller, explain=True)
    basis = Basis(judge=judge, roster=case.roster())
    concluded = conclude(case.request, caller, basis, decision_id=SIMULATED_ID, at=case.at).decision
    decision = replace(concluded, policy_version="golden files do not follow the version")
    states = {finding.rule: finding.state.value for finding in decision.verdict.findings}
    rows = {row.id: states.get(row.id, "silent") for row in judge.book.rows if row.valid.holds(case.at)}
    document = {"case": case.id, "rows_in_force": rows, "answer": json.loads(encode_answer(decision))}
    return json.dumps(document, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def words_table() -> str:
    """The vocabulary as a table of Markdown, by column."""
    lines = ["| word | columns | reads | meaning | example | clause |", "|---|---|---|---|---|---|"]
    for word in sorted(VOCABULARY.values(), key=lambda one: (one.columns, one.name)):
        name = f"{word.name}:…" if word.parameter else word.name
        meaning = f"{word.meaning} The parameter: {word.parameter.text}." if word.parameter else word.meaning
        clause = word.clause.source if word.clause.checked else f"{word.clause.source}{NOT_CHECKED}"
        cells = (f"`{name}`", ", ".join(word.columns), word.reads.absent, meaning, f"`{word.example}`", clause)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)


def codes_table() -> str:
    """The reason codes as a table of Markdown, in the order of their groups."""
    rows = (f"| `{code}` | {meaning} |" for code, meaning in REASON_MEANINGS.items())
    return "\n".join(["| reason code | says |", "|---|---|", *rows])


def handbook() -> str:
    """`policies/README.md` with the tables of words and of codes between their marks."""
    text = (POLICIES / "README.md").read_text(encoding="utf-8")
    for start, end, table in ((START, END, words_table()), (CODES_START, CODES_END, codes_table())):
        before, _, rest = text.partition(start)
        _, _, after = rest.partition(end)
        text = f"{before}{start}\n\n{table}\n\n{end}{after}"
    return text


def files() -> dict[Path, str]:
    """Every golden file with what it should hold."""
    found = {FOLDER / f"{name}.json": golden_answer(CASES.named(name)) for name in GOLDEN_CASES}
    return {**found, POLICIES / "README.md": handbook()}


def differing() -> list[Path]:
    """The golden files that are not what they should be."""
    return [path for path, text in files().items() if not path.exists() or path.read_text(encoding="utf-8") != text]


def main() -> None:
    """Write or verify."""
    if "--verify" in sys.argv[1:]:
        wrong = differing()
        for path in wrong:
            sys.stdout.write(f"{path} differs\n")
        sys.exit(bool(wrong))
    for path, text in files().items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
