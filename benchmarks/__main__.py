"""`python -m benchmarks`: every benchmark, with its table."""

from __future__ import annotations

import sys

from benchmarks import check, decide, facts, impact, ledger, ownership, service

for benchmark in (decide, ownership, facts, service, check, impact, ledger):
    sys.stdout.write(f"\n{benchmark.__name__}\n")
    benchmark.main([])
