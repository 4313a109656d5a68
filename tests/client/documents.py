"""The client's documents, out of the engine's own declarations: `python -m tests.client.documents [--verify]`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args, get_origin, get_type_hints

from policy_engine.shapes.answer import ShortAnswerDocument, ShortObligationDocument, ShortReasonDocument
from tests.conftest import ROOT

PAGE: Final = ROOT / "client" / "policy_engine_client" / "documents.py"
NAMES: Final[dict[type, str]] = {
    ShortReasonDocument: "Reason",
    ShortObligationDocument: "Obligation",
    ShortAnswerDocument: "Answer",
}
_HEAD: Final = '''"""What the engine answers, as it declares it. Written by a program: it is not edited by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
'''


def source() -> str:
    """The module as it is to be."""
    return "\n\n".join([_HEAD.rstrip(), *(_declared(shape, name) for shape, name in NAMES.items())]) + "\n"


def _declared(shape: type, name: str) -> str:
    hints = get_type_hints(shape, include_extras=False)
    meaning = " ".join((shape.__doc__ or "").split())
    lines = [
        "",
        "@dataclass(frozen=True, slots=True, kw_only=True)",
        f"class {name}:",
        f'    """{meaning}"""',
        "",
        *(f"    {field}: {_written(hint)}" for field, hint in hints.items()),
        "",
        "    @classmethod",
        f"    def read(cls, document: Mapping[str, Any]) -> {name}:",
        '        """The document as it came; what it does not declare is passed over."""',
        "        return cls(",
        *(f"            {field}={_read(field, hint)}," for field, hint in hints.items()),
        "        )",
    ]
    return "\n".join(lines)


def _plain(hint: Any) -> Any:
    hint = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    # A release may answer a word that an older client does not know.
    return str if get_origin(hint) is Literal else hint


def _written(hint: Any) -> str:
    hint = _plain(hint)
    if get_origin(hint) is tuple:
        return f"tuple[{_written(get_args(hint)[0])}, ...]"
    return str(NAMES.get(hint, hint.__name__))


def _read(field: str, hint: Any) -> str:
    hint, place = _plain(hint), f'document["{field}"]'
    if get_origin(hint) is tuple:
        item = _plain(get_args(hint)[0])
        return f"tuple({NAMES[item]}.read(one) for one in {place})" if item in NAMES else f"tuple({place})"
    return f"{NAMES[hint]}.read({place})" if hint in NAMES else place


def main(argv: list[str]) -> None:
    """Write the module, or say whether it is what it would be."""
    if "--verify" in argv:
        sys.exit(0 if PAGE.read_text(encoding="utf-8") == source() else f"{Path(PAGE).name} is stale")
    PAGE.write_text(source(), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
