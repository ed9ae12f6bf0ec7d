"""Where a text goes wrong first, and what could stand there: where it leaves the automaton, or the machine, that reads it; and
why a constraint has no complement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from dgemma_constrain.automata.charset import Charset, describe
from dgemma_constrain.automata.dfa import DFA
from dgemma_constrain.automata.limits import Limits
from dgemma_constrain.errors import LimitExceeded

if TYPE_CHECKING:
    from dgemma_constrain.constraints.base import Constraint
    from dgemma_constrain.constraints.grammar.machine import GrammarMachine


@dataclass(frozen=True)
class Mismatch:
    """The first place where a text goes wrong.

    position: a character offset; found: what stands there ("end of text" past the last character);
    expected: what could stand there instead.
    """

    position: int
    found: str
    expected: str

    def __str__(self) -> str:
        return f"at position {self.position}: found {self.found}, expected {self.expected}"


def by_automaton(dfa: DFA, text: str) -> Mismatch | None:
    """None if the text is accepted."""
    if dfa.is_empty:
        return Mismatch(0, found_at(text, 0), "nothing: no text satisfies this constraint")
    read, state = dfa.run(text)
    if read == len(text) and dfa.accept[state]:
        return None
    return Mismatch(read, found_at(text, read), _expected(_Automaton(dfa), state))


def by_machine(machine: GrammarMachine, text: str) -> Mismatch | None:
    """None if the text is accepted. Takes the machine's lock."""
    with machine.lock:
        machine.tidy()
        path = machine.path(text)
        if len(path) > len(text) and machine.accepts(path[-1]):
            return None
        return Mismatch(len(path) - 1, found_at(text, len(path) - 1), _expected(_Machine(machine), path[-1]))


def found_at(text: str, position: int) -> str:
    """What a message says stands there."""
    return repr(text[position]) if position < len(text) else "end of text"


class _Automaton(NamedTuple):
    dfa: DFA

    def accepts(self, state: int) -> bool:
        return bool(self.dfa.accept[state])

    def following(self, state: int) -> Charset:
        return self.dfa.next_characters(state)

    def only(self, state: int) -> int:
        return int(self.dfa.targets[self.dfa.offsets[state]])


class _Machine(NamedTuple):
    machine: GrammarMachine

    def accepts(self, state: int) -> bool:
        return self.machine.accepts(state)

    def following(self, state: int) -> Charset:
        return self.machine.alphabet.charset(self.machine.following(state))

    def only(self, state: int) -> int:
        return self.machine.step(state, self.machine.following(state)[0])


def _expected(reader: _Automaton | _Machine, state: int) -> str:
    """What can follow: a whole piece of text where only one can, otherwise the characters (and the end)."""
    forced = ""
    s = state
    while not reader.accepts(s) and len(forced) < 40:
        following = reader.following(s)
        if len(following) != 1:
            break
        forced += chr(following.bounds[0])
        s = reader.only(s)
    if forced:
        return repr(forced)
    following = reader.following(state)
    options = ([describe(following)] if following else []) + (["end of text"] if reader.accepts(state) else [])
    return " or ".join(options) or "nothing: no text begins so"


def short(constraint: object) -> str:
    """How a message names a constraint."""
    text = repr(constraint)
    return text if len(text) <= 80 else text[:79] + "…"


def why_no_complement(constraint: Constraint, limits: Limits) -> str | None:
    """Why ~ of a constraint is out of reach: what its automaton leaves out would wrongly pass. None: it leaves out nothing."""
    try:
        known = constraint.depth(limits) is None
    except LimitExceeded:
        known = False
    if not known:
        return (
            f"~ of a grammar with unbounded nesting is out of reach: {short(constraint)} is known up to a depth only, and what "
            "lies deeper would wrongly pass; say what you want instead of what you don't"
        )
    for note in constraint.narrowed:
        where = f"{note.keyword} at {note.pointer or '/'}"
        return f"~ of {short(constraint)} is out of reach: its automaton leaves out texts ({where})"
    return None
