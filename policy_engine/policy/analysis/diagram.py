"""Reduced ordered decision diagrams over variables with many values: sets and tables of profiles, exactly.

A diagram is a number. Under one `Diagrams` two diagrams are the same table if and only if they are the same number, so
that equality costs nothing and equal parts are kept and worked on once. Variables come in a fixed order; a node has one
child for each value of its variable, and a variable of which the table does not depend has no node. The ends are any
hashable values.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from itertools import repeat
from typing import Final, TypeVar

Diagram = int
"""A table of profiles, by its number."""

Assignment = Sequence[int]
"""The number of a value for each variable, in the order of the variables."""

Cube = tuple[tuple[int, frozenset[int]], ...]
"""Profiles by some of their variables, each with the values it may have; every other variable is free."""

V = TypeVar("V", bound=Hashable)


class Diagrams:
    """The diagrams over variables with so many values each."""

    def __init__(self, sizes: Sequence[int]) -> None:
        self.sizes: Final = tuple(sizes)
        self._end: Final = len(self.sizes)
        self._variables: list[int] = []
        self._children: list[tuple[int, ...]] = []
        self._values: dict[int, Hashable] = {}
        self._ends: dict[tuple[type, Hashable], int] = {}
        self._nodes: dict[tuple[int, tuple[int, ...]], int] = {}
        self._done: dict[tuple[object, tuple[Diagram, ...]], Diagram] = {}
        self._parts: dict[Diagram, Mapping[Hashable, Diagram]] = {}
        self._plain: dict[tuple[Hashable, Diagram], Diagram] = {}

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
        key = (variable, row)
        found = self._nodes.get(key)
        if found is None:
            found = self._nodes[key] = len(self._variables)
            self._variables.append(variable)
            self._children.append(row)
        return found

    def value(self, diagram: Diagram) -> Hashable:
        """What a constant table has. Raises `KeyError` for one that is not constant."""
        return self._values[diagram]

    def is_constant(self, diagram: Diagram) -> bool:
        return self._variables[diagram] == self._end

    def at(self, diagram: Diagram, assignment: Assignment) -> Hashable:
        """What the table has for one profile."""
        while self._variables[diagram] != self._end:
            diagram = self._children[diagram][assignment[self._variables[diagram]]]
        return self._values[diagram]

    def combine(self, operation: Callable[..., Hashable], *diagrams: Diagram) -> Diagram:
        """The table of the operation on the tables' values, profile by profile.

        What was done is remembered by the operation itself: one that closes over what may change must be a new one.
        """
        key = (operation, diagrams)
        found = self._done.get(key)
        if found is not None:
            return found
        variables = self._variables
        variable = min([variables[diagram] for diagram in diagrams])
        if variable == self._end:
            found = self.end(operation(*[self._values[diagram] for diagram in diagrams]))
        else:
            columns = [
                self._children[diagram] if variables[diagram] == variable else repeat(diagram, self.sizes[variable])
                for diagram in diagrams
            ]
            seen: dict[tuple[Diagram, ...], Diagram] = {}
            children = []
            for below in zip(*columns, strict=True):
                child = seen.get(below)
                if child is None:
                    child = seen[below] = self.combine(operation, *below)
                children.append(child)
            found = self.node(variable, children)
        self._done[key] = found
        return found

    def join(
        self, operation: Callable[..., Hashable], neutral: Hashable, absorbing: Hashable, *diagrams: Diagram
    ) -> Diagram:
        """The tables joined by an operation that takes them in any order, gives either of two that are alike, the other
        of a pair with the neutral value, and the absorbing one of any pair that has it: and, or, least, greatest.
        """
        nothing, everything = self.end(neutral), self.end(absorbing)
        whole = nothing
        for diagram in diagrams:
            whole = self._pairwise(operation, nothing, everything, whole, diagram)
        return whole

    def overlay(self, operation: Callable[..., Hashable], over: Diagram, base: Diagram) -> Diagram:
        """The base where the table over it has `None`, and elsewhere the operation on the values of both."""
        if over == self.end(None):
            return base
        return self._ordered(operation, over, base)

    def _ordered(self, operation: Callable[..., Hashable], over: Diagram, base: Diagram) -> Diagram:
        key = (operation, (over, base))
        found = self._done.get(key)
        if found is not None:
            return found
        nothing = self._ends[type(None), None]
        first, second = self._variables[over], self._variables[base]
        variable = min(first, second)
        if variable == self._end:
            found = self.end(operation(self._values[over], self._values[base]))
        else:
            overs = self._children[over] if first == variable else repeat(over, self.sizes[variable])
            bases = self._children[base] if second == variable else repeat(base, self.sizes[variable])
            seen: dict[tuple[Diagram, Diagram], Diagram] = {}
            children = []
            for below in zip(overs, bases, strict=True):
                child = seen.get(below)
                if child is None:
                    child = below[1] if below[0] == nothing else self._ordered(operation, *below)
                    seen[below] = child
                children.append(child)
            found = self.node(variable, children)
        self._done[key] = found
        return found

    def within(self, region: Diagram, table: Diagram, absent: Hashable) -> Diagram:
        """The table where the region, a table of truth values, is true, and the absent value elsewhere."""
        return self._within(region, table, self.end(True), self.end(False), self.end(absent))

    def _within(self, region: Diagram, table: Diagram, yes: Diagram, no: Diagram, absent: Diagram) -> Diagram:
        if region == yes or table == absent:
            return table
        if region == no:
            return absent
        key = ((absent, "within"), (region, table))
        found = self._done.get(key)
        if found is not None:
            return found
        first, second = self._variables[region], self._variables[table]
        variable = min(first, second)
        regions = self._children[region] if first == variable else repeat(region, self.sizes[variable])
        tables = self._children[table] if second == variable else repeat(table, self.sizes[variable])
        seen: dict[tuple[Diagram, Diagram], Diagram] = {}
        children = []
        for below in zip(regions, tables, strict=True):
            child = seen.get(below)
            if child is None:
                child = seen[below] = self._within(*below, yes, no, absent)
            children.append(child)
        found = self._done[key] = self.node(variable, children)
        return found

    def differing(self, one: Diagram, other: Diagram) -> Diagram:
        """Where two tables have different values, as a table of truth values."""
        return self._compared("differing", _differ, one, other, self.end(False))

    def contrast(self, one: Diagram, other: Diagram) -> Diagram:
        """The pair of both tables' values where they differ, and `None` where they do not."""
        return self._compared("contrast", _pair, one, other, self.end(None))

    def _compared(
        self, name: str, operation: Callable[..., Hashable], one: Diagram, other: Diagram, alike: Diagram
    ) -> Diagram:
        if one == other:
            return alike
        key = (name, (one, other))
        found = self._done.get(key)
        if found is not None:
            return found
        first, second = self._variables[one], self._variables[other]
        variable = min(first, second)
        if variable == self._end:
            found = self.end(operation(self._values[one], self._values[other]))
        else:
            ones = self._children[one] if first == variable else repeat(one, self.sizes[variable])
            others = self._children[other] if second == variable else repeat(other, self.sizes[variable])
            seen: dict[tuple[Diagram, Diagram], Diagram] = {}
            children = []
            for below in zip(ones, others, strict=True):
                child = seen.get(below)
                if child is None:
                    child = seen[below] = self._compared(name, operation, *below, alike)
                children.append(child)
            found = self.node(variable, children)
        self._done[key] = found
        return found

    def _pairwise(
        self, operation: Callable[..., Hashable], neutral: Diagram, absorbing: Diagram, one: Diagram, other: Diagram
    ) -> Diagram:
        if one in (neutral, other):
            return other
        if other == neutral:
            return one
        if absorbing in (one, other):
            return absorbing
        pair = (one, other) if one < other else (other, one)
        key = (operation, pair)
        found = self._done.get(key)
        if found is not None:
            return found
        first, second = self._variables[one], self._variables[other]
        variable = min(first, second)
        if variable == self._end:
            found = self.end(operation(self._values[one], self._values[other]))
        else:
            ones = self._children[one] if first == variable else repeat(one, self.sizes[variable])
            others = self._children[other] if second == variable else repeat(other, self.sizes[variable])
            seen: dict[tuple[Diagram, Diagram], Diagram] = {}
            children = []
            for below in zip(ones, others, strict=True):
                child = seen.get(below)
                if child is None:
                    child = seen[below] = self._pairwise(operation, neutral, absorbing, *below)
                children.append(child)
            found = self.node(variable, children)
        self._done[key] = found
        return found

    def both(self, *diagrams: Diagram) -> Diagram:
        """Where every one of these tables of truth values is true."""
        return self.join(_and, True, False, *diagrams)

    def either(self, *diagrams: Diagram) -> Diagram:
        """Where at least one of these tables of truth values is true."""
        return self.join(_either, False, True, *diagrams)

    def nowhere(self, diagram: Diagram) -> bool:
        """Whether a table of truth values is false everywhere."""
        return diagram == self.end(False)

    def values(self, diagram: Diagram) -> frozenset[Hashable]:
        """Everything that the table has somewhere."""
        return frozenset(self._values[node] for node in self._below(diagram) if self._variables[node] == self._end)

    def support(self, diagram: Diagram) -> frozenset[int]:
        """The variables on which the table depends."""
        return frozenset(self._variables[node] for node in self._below(diagram)) - {self._end}

    def _below(self, diagram: Diagram) -> set[Diagram]:
        seen = {diagram}
        waiting = [diagram]
        while waiting:
            for child in self._children[waiting.pop()]:
                if child not in seen:
                    seen.add(child)
                    waiting.append(child)
        return seen

    def meets(self, diagram: Diagram, kept: Mapping[int, frozenset[int]], wanted: Hashable) -> bool:
        """Whether the table has the value somewhere where each named variable has one of its kept values."""
        target = self._ends.get((type(wanted), wanted))
        seen: set[Diagram] = set()
        waiting = [diagram]
        while waiting:
            node = waiting.pop()
            if node == target:
                return True
            if node in seen:
                continue
            seen.add(node)
            children = self._children[node]
            chosen = kept.get(self._variables[node])
            waiting += set(children) if chosen is None else {children[index] for index in chosen}
        return False

    def spread(
        self, diagram: Diagram, kept: Mapping[int, frozenset[int]], position: int
    ) -> tuple[frozenset[int], frozenset[int]]:
        """Of the profiles whose other named variables have one of the kept values: the values of one more variable with
        which the table is true of some, and those with which it is false of some."""
        above: set[Diagram] = set()
        at: set[Diagram] = set()
        waiting = [diagram]
        while waiting:
            node = waiting.pop()
            if node in above or node in at:
                continue
            if self._variables[node] >= position:
                at.add(node)
                continue
            above.add(node)
            children = self._children[node]
            chosen = kept.get(self._variables[node])
            waiting += children if chosen is None else [children[index] for index in chosen]
        ends: dict[Diagram, tuple[bool, bool]] = {}
        true, false = set(), set()
        for index in range(self.sizes[position]):
            for node in at:
                below = self._children[node][index] if self._variables[node] == position else node
                some, others = self._ends_below(below, kept, ends)
                if some:
                    true.add(index)
                if others:
                    false.add(index)
        return frozenset(true), frozenset(false)

    def _ends_below(
        self, node: Diagram, kept: Mapping[int, frozenset[int]], ends: dict[Diagram, tuple[bool, bool]]
    ) -> tuple[bool, bool]:
        """Whether the table is true, and whether it is false, of some of the kept below a node."""
        found = ends.get(node)
        if found is None:
            variable = self._variables[node]
            if variable == self._end:
                value = self._values[node]
                found = (value is True, value is False)
            else:
                children = self._children[node]
                chosen = kept.get(variable)
                below = set(children) if chosen is None else {children[index] for index in chosen}
                pairs = [self._ends_below(child, kept, ends) for child in below]
                found = (any(true for true, _ in pairs), any(false for _, false in pairs))
            ends[node] = found
        return found

    def size(self, diagram: Diagram) -> int:
        """How many nodes the table has."""
        return len(self._below(diagram))

    def outside(self, diagram: Diagram, kept: Mapping[int, frozenset[int]]) -> Diagram:
        """A table of truth values with the profiles left out whose named variables all have one of the kept values."""
        cube = self.end(False)
        for variable in sorted(kept, reverse=True):
            rest = self.end(True)
            cube = self.node(
                variable, [cube if index in kept[variable] else rest for index in range(self.sizes[variable])]
            )
        return self.both(diagram, cube)

    def first(self, diagram: Diagram, wanted: Hashable) -> tuple[tuple[int, int], ...]:
        """The values of one profile for which the table has the value: at each variable the first that leads there.

        Raises `LookupError` when there is none.
        """
        target = self._ends.get((type(wanted), wanted))
        reaching = self._reaching(diagram, target) if target is not None else frozenset[Diagram]()
        if diagram not in reaching:
            raise LookupError("no profile has this value")
        chosen = []
        while self._variables[diagram] != self._end:
            index, child = next(
                (index, child) for index, child in enumerate(self._children[diagram]) if child in reaching
            )
            chosen.append((self._variables[diagram], index))
            diagram = child
        return tuple(chosen)

    def parts(self, diagram: Diagram) -> Mapping[Hashable, Diagram]:
        """For each value that the table has somewhere, where it has it, as a table of truth values."""
        held = self._parts.get(diagram)
        if held is None:
            variable = self._variables[diagram]
            if variable == self._end:
                held = {self._values[diagram]: self.end(True)}
            else:
                nothing = self.end(False)
                below = {child: self.parts(child) for child in set(self._children[diagram])}
                row = [below[child] for child in self._children[diagram]]
                values = dict.fromkeys(value for parts in below.values() for value in parts)
                held = {value: self.node(variable, [parts.get(value, nothing) for parts in row]) for value in values}
            self._parts[diagram] = held
        return held

    def shadow(self, diagram: Diagram, kept: frozenset[int]) -> Diagram:
        """Of a table of truth values: where, on the kept variables, it is true for some values of the others."""
        key = ((kept, "shadow"), diagram)
        found = self._plain.get(key)
        if found is None:
            variable = self._variables[diagram]
            if variable == self._end:
                found = diagram
            else:
                children = [self.shadow(child, kept) for child in self._children[diagram]]
                if variable in kept:
                    found = self.node(variable, children)
                else:
                    distinct = list(dict.fromkeys(children))
                    found = distinct[0]
                    for child in distinct[1:]:
                        found = self.either(found, child)
            self._plain[key] = found
        return found

    def _reaching(self, diagram: Diagram, target: Diagram) -> frozenset[Diagram]:
        reaching: dict[Diagram, bool] = {}

        def reaches(node: Diagram) -> bool:
            found = reaching.get(node)
            if found is None:
                below = [reaches(child) for child in set(self._children[node])]
                found = reaching[node] = node == target or any(below)
            return found

        reaches(diagram)
        return frozenset(node for node, found in reaching.items() if found)


def _either(one: bool, other: bool) -> bool:
    return one or other


def _and(one: bool, other: bool) -> bool:
    return one and other


def _differ(_one: Hashable, _other: Hashable) -> bool:
    return True


def _pair(one: Hashable, other: Hashable) -> Hashable:
    return one, other
