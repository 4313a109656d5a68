"""The first hour of somebody who has just cloned the project: `serve --demo` as it is installed, in a folder that looks
like the clone, and real shells beside it. Nothing here sets a clock."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from tests.conftest import POLICIES

_ULID: Final = r"[0-9A-HJKMNP-TV-Z]{26}"
_DIGEST: Final = r"sha256:[0-9a-f]{64}\b"
_NAMED: Final = (
    ("MC", re.compile(rf"\bMC-{_ULID}\b")),
    ("D", re.compile(rf"(?<![\w-]){_ULID}\b")),
    ("KEY", re.compile(r"policy-engine\.local/log/\d{4}\+[0-9a-f]{8}\+[A-Za-z0-9+/=]+")),
    ("SHOWN", re.compile(rf"(?<=--shown ){_DIGEST}")),
    ("ROWS", re.compile(rf"(?<=rows ){_DIGEST}")),
)
_VARIES: Final = (
    re.compile(_DIGEST),
    re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"),
    re.compile(r"(?<=root )[A-Za-z0-9+/]{43}="),
    re.compile(r"\b[0-9a-f]{64}\b|(?<=--cursor )\S+|[\d,]+(?= bytes of)|(?<=tile/entries/)\S+(?=: entry)"),
    re.compile(r"(?<=checkpoint of )\d{4}"),
    re.compile(r"(?<=/log/)\d{4}\b"),
    re.compile(r"\b\d+(?= entries| wait to)|(?<=entry )\d+|(?<=size )\d+"),
    re.compile(r"\b[\d.]+(?= ms a case)|\b\d+(?= of \d+ cases| cases hold| rules of | asked, of)"),
    re.compile(r"\d+ of \d+(?= rules| country groups| places| entries of)"),
    # The number in the log, which begins the line of a decision; how many rules a regime has.
    re.compile(r"(?m)^ *\d+ +(?!\d+$)|(?<=^  )[a-z-]+ +\d+$|(?<=unchanged) +\d+$"),
    re.compile(r" +(?=decided at)"),
)
"""What differs from one run to the next, or follows the rule book, and is no part of what the page tells."""
SECONDS: Final = 120.0


@dataclass(kw_only=True)
class Hour:
    """The folder, the line with which the second terminal begins, and what this run's ids are called on the page."""

    folder: Path
    opening: str
    url: str
    auditor: str
    names: dict[str, str] = field(default_factory=dict)

    def short(self, text: str) -> str:
        """The text with ids such as `MC-1`, counted as they come up."""
        for kind, real in _NAMED:
            text = real.sub(partial(self._named, kind), text)
        return text

    def _named(self, kind: str, real: re.Match[str]) -> str:
        count = sum(1 for name in self.names.values() if name.startswith(f"{kind}-"))
        return self.names.setdefault(real[0], f"{kind}-{count + 1}")

    def long(self, text: str) -> str:
        """The text with the ids that stand behind the short ones."""
        for real, name in self.names.items():
            text = re.sub(rf"\b{name}\b", real, text)
        return text

    def settled(self, text: str) -> str:
        """The text without what differs from one run to the next."""
        for varying in _VARIES:
            text = varying.sub("VARIES", text)
        return text

    def run(self, command: str, _: str) -> tuple[int, str]:
        """A command line, typed into a shell that begins as the page says, with everything that it prints."""
        done = subprocess.run(  # noqa: S602  the page's own commands, which need a shell
            f"{self.opening}\n{command}",
            shell=True,
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            check=False,
            timeout=SECONDS,
        )
        return done.returncode, done.stdout

    def ask(self, person: str, model: str, country: str) -> None:
        """A recorded decision."""
        document = {
            "subject": {"type": "person", "id": person},
            "model": model,
            "action": "infer",
            "place": {"country": country},
        }
        code, told = self.run(f"echo '{json.dumps(document)}' | policy-engine decide - --record", "")
        if "recorded as" not in told:
            raise AssertionError(f"nothing was decided ({code}): {told}")

    def take(self, key: str, checkpoint: str) -> None:
        """The verifier key of the year and the newest checkpoint, as an auditor fetches them."""
        years = json.loads(self._fetched("log/years"))["years"]
        (self.folder / key).write_text(f"{years[-1]['key']}\n", encoding="utf-8")
        (self.folder / checkpoint).write_bytes(self._fetched("log/checkpoint"))

    def _fetched(self, path: str) -> bytes:
        headers = {"Authorization": f"Bearer {self.auditor}"}
        request = urllib.request.Request(f"{self.url}/{path}", headers=headers)  # noqa: S310  the service of this test
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:  # noqa: S310
            fetched: bytes = answer.read()
        return fetched

    def wait_until_sealed(self) -> None:
        """Until every entry of the log is sealed: a person types slower than this."""
        end = time.monotonic() + SECONDS
        while True:
            code, told = self.run("policy-engine log verify --database --json", "")
            if code == 0 and all(year["waiting"] == 0 for year in json.loads(told)["years"]):
                return
            if time.monotonic() > end:
                raise AssertionError(f"the log is not sealed: {told}")


def _through(lines: Iterable[str], beginning: str) -> Iterator[str]:
    """The lines up to the first that begins so, with it."""
    for line in lines:
        yield line
        if line.startswith(beginning):
            return


@contextmanager
def hour(folder: Path) -> Iterator[Hour]:
    """`serve --demo` in a folder that looks like a fresh clone, and the line that it says to paste."""
    clone = folder / "policy-engine"
    shutil.copytree(POLICIES, clone / "policies")
    (clone / ".venv").symlink_to(sys.prefix)
    serving = subprocess.Popen(  # noqa: S603  this project
        [clone / ".venv" / "bin" / "policy-engine", "serve", "--demo"],
        cwd=clone,
        env={**os.environ, "POLICY_ENGINE_PORT": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        if serving.stdout is None or serving.stderr is None:
            raise AssertionError("both are pipes")
        told = "".join(_through(serving.stdout, "export PATH="))
        "".join(_through(serving.stderr, "serving on"))
        opening = told.splitlines()[-1]
        auditor = re.search(r"auditor \(ines\) +(\S+)", told)
        url = re.search(r"POLICY_ENGINE_URL=(\S+)", opening)
        if auditor is None or url is None:
            raise AssertionError(f"the keys are told otherwise: {told}")
        yield Hour(folder=clone, opening=opening, url=url[1], auditor=auditor[1])
    finally:
        serving.terminate()
        serving.communicate(timeout=60)
