"""Worked examples as JUnit XML, which build servers read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from xml.etree.ElementTree import Element, ElementTree, SubElement, indent

from policy_engine.decision.case_runner import CaseResult

_NO_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot have, not even escaped."""


def write_junit(file: Path, results: Sequence[CaseResult], seconds: float) -> None:
    """One suite with a test case for each worked example; `seconds` is what all of them took. Raises `OSError`."""
    failures = sum(not result.holds for result in results)
    counts = {
        "name": "policy cases",
        "tests": str(len(results)),
        "failures": str(failures),
        "errors": "0",
        "time": f"{seconds:.3f}",
    }
    root = Element("testsuites", counts)
    suite = SubElement(root, "testsuite", counts)
    for result in results:
        case = result.case
        name = _text(f"{case.id} {case.title}".rstrip())
        source = _text(case.source)
        told = SubElement(
            suite, "testcase", {"classname": source, "name": name, "file": source, "line": str(case.line)}
        )
        if not result.holds:
            failure = SubElement(told, "failure", {"message": _text(result.differences[0])})
            failure.text = _text("\n".join(result.differences))
    indent(root)
    ElementTree(root).write(file, encoding="utf-8", xml_declaration=True)


def _text(text: str) -> str:
    return _NO_XML.sub("\N{REPLACEMENT CHARACTER}", text)
