"""The table of ISO 3166-2 in `policy_engine/domain/subdivisions.py`, made of the codes that pycountry has.

`python -m tests.domain.regenerate_subdivisions` writes it anew; `--verify` only says whether it differs, with exit
code 1.
"""

from __future__ import annotations

import sys
import textwrap
from importlib.metadata import version
from pathlib import Path
from typing import Final

import pycountry

TABLE: Final = Path(__file__).parents[2] / "policy_engine" / "domain" / "subdivisions.py"

_HEAD: Final = '''"""The parts of countries that ISO 3166-2 has a code for.

Written by `python -m tests.domain.regenerate_subdivisions` with the codes, and without the names, of {source}.
A country with many parts stands on several lines.
"""

from __future__ import annotations

from functools import cache
from typing import Final

_PARTS: Final = """
'''

_TAIL: Final = '''"""


def parts_of(country: str) -> frozenset[str]:
    """The codes of a country's parts, such as `UA-43`; empty for one without parts, and for what is no country."""
    return _parts().get(country, frozenset())


@cache
def _parts() -> dict[str, frozenset[str]]:
    parts: dict[str, set[str]] = {}
    for country, *codes in map(str.split, _PARTS.strip().splitlines()):
        parts.setdefault(country, set()).update(f"{country}-{code}" for code in codes)
    return {country: frozenset(codes) for country, codes in parts.items()}
'''


def table() -> str:
    """The module as its text."""
    parts: dict[str, list[str]] = {}
    for code in sorted(one.code for one in pycountry.subdivisions):
        country, _, part = code.partition("-")
        parts.setdefault(country, []).append(part)
    lines = [
        f"{country} {codes}"
        for country, all_codes in parts.items()
        for codes in textwrap.wrap(" ".join(all_codes), 110)
    ]
    source = f"pycountry {version('pycountry')}"
    return _HEAD.format(source=source) + "\n".join(lines) + "\n" + _TAIL


def main() -> int:
    """Write the table, or with `--verify` say whether it differs."""
    made = table()
    if "--verify" not in sys.argv[1:]:
        TABLE.write_text(made, encoding="utf-8")
        return 0
    if TABLE.read_text(encoding="utf-8") == made:
        return 0
    sys.stderr.write(f"{TABLE.name} differs: write it with `python -m tests.domain.regenerate_subdivisions`\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
