from __future__ import annotations

from policy_engine.formats.faults import Fault, FaultsError, near_miss, one_of, quoted


def fault(line: int, column: int, message: str = "wrong", remedy: str = "") -> Fault:
    return Fault(source="a.yaml", line=line, column=column, message=message, remedy=remedy)


def test_a_fault_reads_as_place_message_and_remedy() -> None:
    assert str(fault(3, 7, "`x` is wrong", "write `y`")) == "a.yaml:3:7: `x` is wrong; write `y`"


def test_a_fault_without_a_remedy_ends_with_its_message() -> None:
    assert str(fault(3, 7)) == "a.yaml:3:7: wrong"


def test_faults_are_told_once_and_in_the_order_of_the_file() -> None:
    error = FaultsError([fault(10, 1), fault(2, 9), fault(2, 3), fault(10, 1)])

    assert [(one.line, one.column) for one in error.faults] == [(2, 3), (2, 9), (10, 1)]
    assert str(error) == "a.yaml:2:3: wrong\na.yaml:2:9: wrong\na.yaml:10:1: wrong"


def test_a_file_cannot_forge_a_line_of_the_report() -> None:
    error = FaultsError([fault(1, 1, f"{quoted('x' + chr(10) + 'b.yaml:1:1: fine')} is wrong {chr(0x202E)}")])

    assert str(error) == "a.yaml:1:1: `x\\u000ab.yaml:1:1: fine` is wrong \\u202e"


def test_a_long_input_is_shortened() -> None:
    assert quoted("x" * 200) == f"`{'x' * 80}…`"


def test_a_near_miss_is_found_whatever_its_case_and_hyphens() -> None:
    assert near_miss("Lawful-Permanent Resident", ("citizen", "lawful_permanent_resident")) == (
        "lawful_permanent_resident"
    )


def test_the_remedy_for_a_wrong_word_names_the_nearest_and_all_others() -> None:
    assert one_of("activ", ("active", "suspended")) == "did you mean `active`? write one of active, suspended"
    assert one_of("xyz", ("active", "suspended")) == "write one of active, suspended"
