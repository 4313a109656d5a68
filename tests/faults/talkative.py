"""A service that breaks where nobody foresaw it, with facts of a person in the error: for a test of what it then says.

`python -m tests.faults.talkative PART` serves as `policy-engine serve` does, from the same settings, with one part
broken. Loggers of all libraries are opened to the lowest level first.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, NoReturn

import uvicorn

from policy_engine.app.application_log import configure_logging
from policy_engine.app.builder import KeepLog, Parts, build
from policy_engine.app.settings import Settings
from policy_engine.asgi import create_app
from policy_engine.service.sealing.sealed_log import Sealing

SECRET: Final = "CANARY-UNFORESEEN"


def _boom(*_: Any, **__: Any) -> NoReturn:
    raise RuntimeError(f"something about {SECRET}")


BREAK: Final[dict[str, Callable[[Parts], None]]] = {
    "nothing": lambda _: None,
    "keys": lambda parts: setattr(parts.ring, "current", _boom),
    "ids": lambda parts: setattr(parts.gate, "_new_id", _boom),
    "log": lambda parts: setattr(parts.log, "_commit", _boom),
    "desk": lambda parts: setattr(parts.desk, "clock", _boom),
    "sealer": lambda _: None,
}


@dataclass(frozen=True, slots=True)
class KeepBroken:
    """The companion of a service whose sealing breaks where nobody foresaw it."""

    work: KeepLog

    def __call__(self, *, report: Callable[[object], None], ending: Callable[[float], bool]) -> None:
        Sealing.seal = _boom  # type: ignore[method-assign]
        self.work(report=report, ending=ending)


def main(part: str) -> None:
    settings = Settings()
    configure_logging(settings.log_level)
    keep = KeepLog(settings)
    parts = build(settings, background=True, keep=KeepBroken(keep) if part == "sealer" else keep)
    BREAK[part](parts)
    for name in ("", *logging.root.manager.loggerDict):
        logging.getLogger(name).setLevel(logging.DEBUG)
    logging.getLogger("uvicorn").disabled = False
    uvicorn.run(
        create_app(parts),
        host=settings.host,
        port=settings.port,
        http="httptools",
        loop="uvloop",
        log_config=None,
        log_level="debug",
        access_log=False,
    )


if __name__ == "__main__":
    main(sys.argv[1])
