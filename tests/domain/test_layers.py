"""A mapping that was changed in places is the mapping with these changes, and the one before stays what it was."""

from __future__ import annotations

from random import Random

import pytest

from policy_engine.domain.layers import COPIED, Layered, changed


@pytest.mark.parametrize("size", [0, 10, COPIED, COPIED + 1, 3 * COPIED])
def test_changes_one_after_another_give_what_a_dictionary_gives(size: int) -> None:
    random = Random(size)
    plain = {str(number): number for number in range(size)}
    held, layered = changed(dict(plain), {}), False
    for _ in range(60):
        names = [str(random.randrange(size + 50)) for _ in range(random.choice([1, 3, 200]))]
        new = {name: random.choice([None, random.randrange(1_000)]) for name in names}
        before, said = held, dict(plain)
        held = changed(held, new)
        for name, value in new.items():
            if value is None:
                plain.pop(name, None)
            else:
                plain[name] = value
        layered |= isinstance(held, Layered)
        assert dict(before) == said
        assert dict(held) == plain
        assert held == plain
        assert len(held) == len(plain)
        for name in (*names, "0", "none"):
            assert held.get(name) == plain.get(name)
            assert held.get(name, "other") == plain.get(name, "other")
            assert (name in held) == (name in plain)
            if name not in plain:
                with pytest.raises(KeyError):
                    held[name]
            else:
                assert held[name] == plain[name]
    assert layered == (size > COPIED)


def test_what_is_otherwise_is_put_into_the_ground_before_it_is_copied_too_often() -> None:
    held = changed({str(number): number for number in range(COPIED + 1)}, {})
    for number in range(3 * COPIED):
        held = changed(held, {str(number): 0})
        if isinstance(held, Layered):
            assert len(held.other) <= COPIED
    assert set(held.values()) == {0}
