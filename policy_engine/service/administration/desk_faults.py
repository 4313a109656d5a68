"""Why what a person wants to change at the desk is not done. Nothing was changed when one of these is raised."""

from __future__ import annotations

from policy_engine.formats.faults import Fault


class PersonNeeded(Exception):
    """The key is bound to no natural person, and this needs one."""


class KeyNotInForce(Exception):
    """The key was revoked before what its person does was recorded."""


class SecondPersonNeeded(Exception):
    """The person did the first half; the second half needs another one."""


class NothingThere(Exception):
    """No book, proposal, freeze or case has this id."""


class DeskConflict(Exception):
    """What is asked for does not fit what stands: it is done already, or something else came before it."""


class CasesNotAcknowledged(Exception):
    """A book drops or changes worked examples, and whoever approves it has not said that they looked at that.

    `report` is the digest to acknowledge; the names are those of the examples.
    """

    def __init__(self, message: str, *, report: str, removed: tuple[str, ...], changed: tuple[str, ...]) -> None:
        super().__init__(message)
        self.report = report
        self.removed = removed
        self.changed = changed


class AssessmentEnded(Exception):
    """The process that checked or assessed a book has ended without an answer, and another one after it."""


class NotAccepted(Exception):
    """A book or a membership document is not taken, with every fault."""

    def __init__(self, message: str, faults: tuple[Fault, ...] = ()) -> None:
        super().__init__(message)
        self.faults = faults
