"""`python -m benchmarks`: every benchmark, with its table."""

from __future__ import annotations

import sys

from benchmarks import decide, facts, ownership, service

for benchmark in (decide, ownership, facts, service):
    sys.stdout.write(f"\n{benchmark.__name__}\n")
    benchmark.main([])
