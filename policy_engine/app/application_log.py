"""The application log: structured lines on standard error, for whoever operates the service.

It is no record of decisions. What cannot be written to it is counted and never stands in the way of a decision, whose
own record is durable before it is answered.
"""

from __future__ import annotations

import io
import json
import logging
import sys
import threading
from traceback import extract_tb
from types import TracebackType
from typing import Final, TextIO, cast

import structlog


class _StandardError(io.TextIOBase):
    """Standard error as it is at each write. A line that it does not take is lost, and the next one says how many."""

    def __init__(self) -> None:
        self._lost = 0

    def write(self, text: str) -> int:
        lost = {"event": "lines of this log were lost", "level": "error", "lost": self._lost}
        tells_lost = self._lost > 0 and text != "\n"
        try:
            sys.stderr.write(f"{json.dumps(lost)}\n{text}" if tells_lost else text)
            sys.stderr.flush()
        # A full disk, a reader that is gone, a stream that is closed, or none at all.
        except (OSError, ValueError, AttributeError):
            self._lost += text != "\n"
        else:
            self._lost = 0 if tells_lost else self._lost
        return len(text)


_STANDARD_ERROR: Final = cast(TextIO, _StandardError())


def configure_logging(level: str) -> None:
    """Structured lines on standard error. What is logged is chosen at each place and never holds facts of a person."""
    numbers = {"debug": 10, "info": 20, "warning": 30, "error": 40}
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(numbers[level]),
        logger_factory=structlog.PrintLoggerFactory(_STANDARD_ERROR),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(_STANDARD_ERROR)
    handler.setFormatter(_Unspeaking())
    root = logging.getLogger()
    root.setLevel(logging.WARNING)
    for earlier in [one for one in root.handlers if isinstance(one.formatter, _Unspeaking)]:
        root.removeHandler(earlier)
    root.addHandler(handler)
    threading.excepthook = _report_end_of_thread


_SPEAKING: Final = ("uvicorn", "opentelemetry.exporter")


class _Unspeaking(logging.Formatter):
    """What libraries log: of an exception its class and where it arose, since its text may carry facts of a person, and
    of their own words only the server's, and those of what sends spans: why a collector took none."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {"level": record.levelname.lower(), "logger": record.name}
        if record.name.startswith(_SPEAKING):
            line["event"] = record.getMessage().strip()
        if record.exc_info:
            line |= _fault(record.exc_info[0], record.exc_info[2])
        return json.dumps(line)


def _fault(kind: type[BaseException] | None, traceback: TracebackType | None) -> dict[str, object]:
    frames = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in extract_tb(traceback)]
    return {"fault": None if kind is None else kind.__name__, "at": frames}


def _report_end_of_thread(ended: threading.ExceptHookArgs) -> None:
    logger = structlog.get_logger("policy_engine")
    name = None if ended.thread is None else ended.thread.name
    logger.error("a thread has ended", thread=name, **_fault(ended.exc_type, ended.exc_traceback))
