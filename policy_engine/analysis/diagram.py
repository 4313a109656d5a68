"""Reduced ordered decision diagrams over variables with many values: sets and tables of profiles, exactly.

A diagram is a number. Under one `Diagrams` two diagrams are the same table if and only if they are the same number, so
that equality costs nothing and equal parts are kept and worked on once. Variables come in a fixed order; a node has one
child for each value of its variable, and a variable of which the table does not depend has no node. The ends are any
hashable values.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from functools import cache
from itertools import repeat
from typing import Final, TypeVar

Diagram = int
"""A table of profiles, by its number."""

Assignment = Sequence[int]
"""The number of a value for each variable, in the order of the variables."""

Cube = tuple[tuple[int, frozenset[int]], ...]
"""Profiles by some of their variables, each with the values it may have; every other variable is free."""

_Tables = TypeVar("_Tables", bound=tuple[Diagram, ...])


class Diagrams:
    """The diagrams over variables with so many values each."""

    def __init__(self, sizes: Sequence[int]) -> None:
        self.sizes: Final = tuple(sizes)
        self._end: Final = len(self.sizes)
        self._variables: list[int] = []
        self._children: list[tuple[int, ...]] = []
        self._values: dict[int, Hashable] = {}
        self._ends: dict[tuple[type, Hashable], int] = {}
        self._nodes: list[dict[tuple[int, ...], int]] = [{} for _ in self.sizes]
        self._done: dict[Hashable, dict[tuple[Diagram, ...], Diagram]] = {}
        self._parts: dict[Diagram, Mapping[Hashable, Diagram]] = {}
        self._shadows: dict[frozenset[int], dict[Diagram, Diagram]] = {}
        self._apart: set[tuple[Diagram, Diagram]] = set()
        self._no: Final = self.end(False)
        self._yes: Final = self.end(True)
        self._nothing: Final = self.end(None)

    def end(self, value: Hashable) -> Diagram:
        """The table that has this value everywhere."""
        key = (type(value), value)
        found = self._ends.get(key)
        if found is None:
            found = self._ends[key] = len(self._variables)
            self._variables.append(self._end)
            self._children.append(())
            self._values[found] = value
        return found

    def node(self, variable: int, children: Sequence[Diagram]) -> Diagram:
        """The table that goes on with one child for each value of the variable."""
        row = tuple(children)
        first = row[0]
        if row.count(first) == len(row):
            return first
        nodes = self._nodes[variable]
        found = nodes.get(row)
        if found is None:
            found = nodes[row] = len(self._variables)
            self._variables.append(variable)
            self._children.append(row)
        return found

    def at(self, diagram: Diagram, assignment: Assignment) -> Hashable:
        """What the table has for one profile."""
        while self._variables[diagram] != self._end:
            diagram = self._children[diagram][assignment[self._variables[diagram]]]
        return self._values[diagram]

    def _memory(self, operation: Hashable) -> dict[tuple[Diagram, ...], Diagram]:
        """What an operation was found to give, by the tables that it was given."""
        found = self._done.get(operation)
        if found is None:
            found = self._done[operation] = {}
        return found

    def combine(self, operation: Callable[..., Hashable], *diagrams: Diagram) -> Diagram:
        """The table of the operation on the tables' values, profile by profile.

        What was done is remembered by the operation itself: one that closes over what may change must be a new one.
        """
        variables, rows, values, done = self._variables, self._children, self._values, self._memory(operation)
        sizes, last = self.sizes, self._end

        def combined(key: tuple[Diagram, ...]) -> Diagram:
            found = done.get(key)
            if found is not None:
                return found
            variable = min([variables[diagram] for diagram in key])
            if variable == last:
                found = self.end(operation(*[values[diagram] for diagram in key]))
            else:
                columns = [
                    rows[diagram] if variables[diagram] == variable else repeat(diagram, sizes[variable])
                    for diagram in key
                ]
                found = self._joined(variable, list(zip(*columns, strict=True)), combined)
            done[key] = found
            return found

        return combined(diagrams)

    def _joined(self, variable: int, below: Sequence[_Tables], make: Callable[[_Tables], Diagram]) -> Diagram:
        """The node whose children are made of what is below at each value, each distinct one once."""
        made = dict.fromkeys(below, 0)
        for one in made:
            made[one] = make(one)
        return self.node(variable, [made[one] for one in below])

    def _below(self, one: Diagram, other: Diagram) -> tuple[int, list[tuple[Diagram, Diagram]]]:
        """The first variable of two tables, and what both go on with at each of its values."""
        first, second = self._variables[one], self._variables[other]
        rows = self._children
        if first == second:
            return first, list(zip(rows[one], rows[other], strict=True))
        if first < second:
            return first, [(child, other) for child in rows[one]]
        return second, [(one, child) for child in rows[other]]

    def _paired(
        self, name: Hashable, known: Callable[[Diagram, Diagram], Diagram | None], one: Diagram, other: Diagram
    ) -> Diagram:
        """What is `known` of two tables, and where nothing is, the table of what is below; remembered by name."""
        done = self._memory(name)

        def paired(key: tuple[Diagram, Diagram]) -> Diagram:
            found = known(*key)
            if found is None:
                found = done.get(key)
                if found is None:
                    variable, below = self._below(*key)
                    found = done[key] = self._joined(variable, below, paired)
            return found

        return paired((one, other))

    def _in_turn(
        self,
        name: Hashable,
        known: Callable[[Diagram, Diagram], Diagram | None],
        first: Diagram,
        others: Iterable[Diagram],
    ) -> Diagram:
        """What comes of pairing the first table with each of the others in turn."""
        for other in others:
            first = self._paired(name, known, first, other)
        return first

    def join(
        self, operation: Callable[..., Hashable], neutral: Hashable, absorbing: Hashable, *diagrams: Diagram
    ) -> Diagram:
        """The tables joined by an operation that takes them in any order, gives either of two that are alike, the other
        of a pair with the neutral value, and the absorbing one of any pair that has it: and, or, least, greatest.
        """
        nothing, everything = self.end(neutral), self.end(absorbing)
        values = self._values

        def known(one: Diagram, other: Diagram) -> Diagram | None:
            if other == nothing or one in (other, everything):
                return one
            if one == nothing or other == everything:
                return other
            if one in values and other in values:
                return self.end(operation(values[one], values[other]))
            return None

        return self._in_turn(operation, known, nothing, diagrams)

    def overlay(self, operation: Callable[..., Hashable], over: Diagram, base: Diagram) -> Diagram:
        """The base where the table over it has `None`, and elsewhere the operation on the values of both."""
        nothing, values = self._nothing, self._values

        def known(one: Diagram, other: Diagram) -> Diagram | None:
            if one == nothing:
                return other
            if one in values and other in values:
                return self.end(operation(values[one], values[other]))
            return None

        return self._paired(("overlay", operation), known, over, base)

    def filled(self, one: Diagram, other: Diagram) -> Diagram:
        """The first table, and where it has `None` the other."""
        nothing, values = self._nothing, self._values

        def known(one: Diagram, other: Diagram) -> Diagram | None:
            if one == nothing:
                return other
            return one if one in values or other in (one, nothing) else None

        return self._paired("filled", known, one, other)

    def within(self, region: Diagram, table: Diagram, absent: Hashable) -> Diagram:
        """The table where the region, a table of truth values, is true, and the absent value elsewhere."""
        return self._cut("within", self._yes, region, table, self.end(absent))

    def beyond(self, region: Diagram, table: Diagram, present: Hashable) -> Diagram:
        """The table where the region, a table of truth values, is false, and the present value where it is true."""
        return self._cut("beyond", self._no, region, table, self.end(present))

    def _cut(self, name: str, kept: Diagram, region: Diagram, table: Diagram, elsewhere: Diagram) -> Diagram:
        """The table where the region, a table of truth values, has the value kept, and a constant where it has not."""

        def known(one: Diagram, other: Diagram) -> Diagram | None:
            if one == kept or other == elsewhere:
                return other
            return elsewhere if one in (self._yes, self._no) else None

        return self._paired((name, elsewhere), known, region, table)

    def differing(self, one: Diagram, other: Diagram) -> Diagram:
        """Where two tables have different values, as a table of truth values."""
        return self._compared("differing", self._no, lambda _one, _other: True, one, other)

    def contrast(self, one: Diagram, other: Diagram) -> Diagram:
        """The pair of both tables' values where they differ, and `None` where they do not."""
        return self._compared("contrast", self._nothing, lambda *pair: pair, one, other)

    def _compared(
        self, name: str, alike: Diagram, unlike: Callable[..., Hashable], one: Diagram, other: Diagram
    ) -> Diagram:
        """What is told of the values of two tables where they differ, and what is where they are alike."""
        values = self._values

        def known(one: Diagram, other: Diagram) -> Diagram | None:
            if one == other:
                return alike
            return self.end(unlike(values[one], values[other])) if one in values and other in values else None

        return self._paired(name, known, one, other)

    def both(self, *diagrams: Diagram) -> Diagram:
        """Where every one of these tables of truth values is true."""
        return self.join(operator.and_, True, False, *diagrams)

    def either(self, *diagrams: Diagram) -> Diagram:
        """Where at least one of these tables of truth values is true."""
        return self.join(operator.or_, False, True, *diagrams)

    def less(self, diagram: Diagram, *others: Diagram) -> Diagram:
        """Where one table of truth values is true and none of the others is."""
        yes, no = self._yes, self._no

        def known(one: Diagram, other: Diagram) -> Diagram | None:
            if no in (one, other):
                return one
            return no if other in (one, yes) else None

        return self._in_turn("less", known, diagram, others)

    def meet(self, one: Diagram, other: Diagram) -> bool:
        """Whether two tables of truth values are true of somebody together, found without making the table of whom."""
        yes, no, apart = self._yes, self._no, self._apart

        def met(pair: tuple[Diagram, Diagram]) -> bool:
            if no in pair:
                return False
            if yes in pair or pair[0] == pair[1]:
                return True
            if pair in apart:
                return False
            if any(met(below) for below in dict.fromkeys(self._below(*pair)[1])):
                return True
            apart.add(pair)
            return False

        return met((one, other))

    def nowhere(self, diagram: Diagram) -> bool:
        """Whether a table of truth values is false everywhere."""
        return diagram == self._no

    def values(self, diagram: Diagram) -> frozenset[Hashable]:
        """Everything that the table has somewhere."""
        return frozenset(self._values[node] for node in self._under(diagram) if self._variables[node] == self._end)

    def support(self, diagram: Diagram) -> frozenset[int]:
        """The variables on which the table depends."""
        return frozenset(self._variables[node] for node in self._under(diagram)) - {self._end}

    def _under(self, diagram: Diagram, below: Callable[[Diagram], Iterable[Diagram]] | None = None) -> set[Diagram]:
        """The table and all that is below it, by its children or by those that are told."""
        seen = {diagram}
        waiting = [diagram]
        while waiting:
            node = waiting.pop()
            for child in self._children[node] if below is None else below(node):
                if child not in seen:
                    seen.add(child)
                    waiting.append(child)
        return seen

    def spread(
        self, diagram: Diagram, kept: Mapping[int, frozenset[int]], position: int
    ) -> tuple[frozenset[int], frozenset[int]]:
        """Of the profiles whose other named variables have one of the kept values: the values of one more variable with
        which the table is true of some, and those with which it is false of some."""
        variables, rows = self._variables, self._children

        def chosen(node: Diagram) -> Iterable[Diagram]:
            some = kept.get(variables[node])
            return rows[node] if some is None else [rows[node][index] for index in some]

        @cache
        def ends(node: Diagram) -> frozenset[Hashable]:
            if variables[node] == self._end:
                return frozenset({self._values[node]})
            return frozenset[Hashable]().union(*map(ends, set(chosen(node))))

        met = self._under(diagram, lambda node: chosen(node) if variables[node] < position else ())
        at = [node for node in met if variables[node] >= position]
        columns = [rows[node] if variables[node] == position else [node] * self.sizes[position] for node in at]
        found = [frozenset[Hashable]().union(*map(ends, below)) for below in zip(*columns, strict=True)]
        true, false = ([index for index, values in enumerate(found) if one in values] for one in (True, False))
        return frozenset(true), frozenset(false)

    def size(self, diagram: Diagram) -> int:
        """How many nodes the table has."""
        return len(self._under(diagram))

    def outside(self, diagram: Diagram, kept: Mapping[int, frozenset[int]]) -> Diagram:
        """A table of truth values with the profiles left out whose named variables all have one of the kept values."""
        cube = self._yes
        for variable in sorted(kept, reverse=True):
            cube = self.node(
                variable, [cube if index in kept[variable] else self._no for index in range(self.sizes[variable])]
            )
        return self.less(diagram, cube)

    def first(self, diagram: Diagram) -> tuple[tuple[int, int], ...]:
        """The values of one profile for which a table of truth values is true: at each variable the first that leads
        there.

        Raises `LookupError` when there is none.
        """
        if diagram == self._no:
            raise LookupError("no profile has this value")
        chosen = []
        while diagram != self._yes:
            row = self._children[diagram]
            index = next(index for index, child in enumerate(row) if child != self._no)
            chosen.append((self._variables[diagram], index))
            diagram = row[index]
        return tuple(chosen)

    def parts(self, diagram: Diagram) -> Mapping[Hashable, Diagram]:
        """For each value that the table has somewhere, where it has it, as a table of truth values."""
        held = self._parts.get(diagram)
        if held is None:
            variable = self._variables[diagram]
            if variable == self._end:
                held = {self._values[diagram]: self._yes}
            else:
                below = {child: self.parts(child) for child in set(self._children[diagram])}
                row = [below[child] for child in self._children[diagram]]
                values = dict.fromkeys(value for parts in below.values() for value in parts)
                held = {value: self.node(variable, [parts.get(value, self._no) for parts in row]) for value in values}
            self._parts[diagram] = held
        return held

    def shadow(self, diagram: Diagram, kept: frozenset[int]) -> Diagram:
        """Of a table of truth values: where, on the kept variables, it is true for some values of the others."""
        found = self._shadows.setdefault(kept, {self._no: self._no, self._yes: self._yes})
        last = max(kept, default=-1)
        variables, rows = self._variables, self._children

        def cast(node: Diagram) -> Diagram:
            held = found.get(node)
            if held is None:
                variable = variables[node]
                if variable > last:
                    # A table that is not false everywhere is true somewhere, and nothing below is kept.
                    held = self._yes
                elif variable in kept:
                    held = self.node(variable, [cast(child) for child in rows[node]])
                else:
                    held = self._no
                    for child in dict.fromkeys(rows[node]):
                        held = self.either(held, cast(child))
                        if held == self._yes:
                            break
                found[node] = held
            return held

        return cast(diagram)
