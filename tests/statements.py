"""SQL that is compiled once in a process, and not once for each of the thousands of databases of a test run.

SQLAlchemy keeps compiled statements for each engine, under the engine's own dialect. A service that is started for a
test compiles some seventy, which took more than a third of its time. What a dialect makes of a statement depends on
its class alone, as far as this project's statements go.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from sqlalchemy import Connection, Engine, event


class _Compiled(dict[Hashable, Any]):
    """Compiled statements by their keys, each with the class of the dialect in place of the dialect itself."""

    def get(self, key: Any, default: Any = None) -> Any:
        return super().get((type(key[0]), *key[1:]), default)

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__((type(key[0]), *key[1:]), value)


_compiled = _Compiled()


def share_compiled_statements() -> None:
    """For every engine of this process."""

    @event.listens_for(Engine, "engine_connect")
    def _(connection: Connection) -> None:
        connection.execution_options(compiled_cache=_compiled)
