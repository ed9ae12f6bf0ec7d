"""The machine of a grammar, or of a composite, as arrays that say how it is made, and back.

Terminals are kept as patterns and rules as numbers, in JSON; tables and scanners are made anew, which takes some 50 ms for
a programming language. So whatever a file says, what comes of it is a machine that hangs together, or an error.
"""

from __future__ import annotations

import json

import numpy as np

from dgemma_constrain.automata.alphabet import Alphabet
from dgemma_constrain.automata.charset import TEXT_LIMIT
from dgemma_constrain.automata.dfa import DFA
from dgemma_constrain.constraints.grammar.check import check
from dgemma_constrain.constraints.grammar.composite import CompositeMachine, Parts
from dgemma_constrain.constraints.grammar.guesses import CALL, NONE
from dgemma_constrain.constraints.grammar.machine import GrammarMachine
from dgemma_constrain.constraints.grammar.rules import Grammar, Rule, Terminal
from dgemma_constrain.errors import ConstraintError, GrammarError

DTYPES = dict(grammars="U8", automata="I32")  # as safetensors calls them


def to_arrays(machine: GrammarMachine) -> dict[str, np.ndarray]:
    """grammars uint8[…], JSON; automata int32[…], the skeleton and the filters of a composite one after the other."""
    whole = isinstance(machine, CompositeMachine)
    grammars = machine.parts.grammars if whole else (machine.grammar,)
    said = {"grammars": [_described(g) for g in grammars], "marks": machine.parts.marks if whole else None}
    automata = (machine.parts.skeleton, *machine.parts.filters) if whole else ()
    return {
        "grammars": np.frombuffer(json.dumps(said).encode(), np.uint8),
        "automata": np.concatenate([np.zeros(0, np.int32), *(_row(dfa) for dfa in automata)]),
    }


def from_arrays(grammars: np.ndarray, automata: np.ndarray) -> GrammarMachine:
    """Raises ValueError for what `to_arrays` did not write."""
    try:
        said = json.loads(grammars.tobytes())
        made = tuple(_grammar(g) for g in said["grammars"])
        if said["marks"] is None:
            _demand(len(made) == 1 and not len(automata))
            return GrammarMachine(made[0])
        marks = tuple((_number(slot, CALL, 1 << 16), _number(what, NONE, 1 << 16)) for slot, what in said["marks"])
        dfas = []
        while len(automata):
            dfa, automata = _dfa(automata, 0 if dfas else len(marks))
            dfas.append(dfa)
        _demand(made and dfas)
        for slot, what in marks:
            _demand(0 <= what < len(made) if slot == CALL else slot < len(dfas) - 1 and what < len(dfas) - 1)
        return CompositeMachine(Parts(dfas[0], marks, tuple(dfas[1:]), made))
    except (KeyError, TypeError, RecursionError, ConstraintError, UnicodeError) as error:
        raise ValueError(str(error)) from None


def _demand(true: bool) -> None:
    if not true:
        raise ValueError("not written by to_arrays")


def _number(value, low: int, past: int) -> int:
    _demand(type(value) is int and low <= value < past)
    return value


def _described(g: Grammar) -> dict:
    terminals = [[t.name, t.pattern, t.flags, t.literal, t.priority] for t in g.terminals]
    rules = [[rule.head, *rule.body] for rule in g.rules]
    return dict(
        terminals=terminals, nonterminals=g.nonterminals, rules=rules, ignore=g.ignore, start=g.start,
        scannerless=g.scannerless,
    )  # fmt: skip


def _grammar(said: dict) -> Grammar:
    terminals = []
    for name, pattern, flags, literal, priority in said["terminals"]:
        _demand(
            all(type(s) is str for s in (name, pattern, flags))
            and type(literal) is bool
            and set(flags) <= set("aimsux")
        )
        terminals.append(Terminal(name, pattern, flags, literal, _number(priority, -(1 << 31), 1 << 31)))
    names = tuple(said["nonterminals"])
    _demand(all(type(name) is str for name in names) and type(said["scannerless"]) is bool)
    t, n = len(terminals), len(names)
    rules = tuple(Rule(_number(head, 0, n), tuple(_number(s, -n, t) for s in body)) for head, *body in said["rules"])
    ignore = tuple(_number(k, 0, t) for k in said["ignore"])
    grammar = Grammar(tuple(terminals), names, rules, ignore, _number(said["start"], 0, n), said["scannerless"])
    check(grammar, lambda message, *names: GrammarError(message))
    if grammar.scannerless:  # literals and single characters
        chains = (terminal.dfa() for terminal in terminals)
        _demand(all((d.targets == np.repeat(np.arange(d.states), np.diff(d.offsets)) + 1).all() for d in chains))
    return grammar


def _row(dfa: DFA) -> np.ndarray:
    a = dfa.alphabet
    arrays = (a.cuts, a.classes, dfa.offsets, dfa.symbols, dfa.targets, dfa.accept)
    return np.concatenate([[len(a.cuts), dfa.states, len(dfa.symbols)], *arrays]).astype(np.int32)


def _dfa(row: np.ndarray, marks: int) -> tuple[DFA, np.ndarray]:
    """The first automaton, over characters and so many marks, and the rest."""
    _demand(len(row) > 3 and (row[:3] >= 0).all())
    cuts, states, edges = row[:3].tolist()
    sizes = np.cumsum([3, cuts, cuts, states + 1, edges, edges, states])
    _demand(cuts and states and sizes[-1] <= len(row))
    cuts, classes, offsets, symbols, targets, accept = (row[a:b] for a, b in zip(sizes[:-1], sizes[1:]))
    size = int(classes.max()) + 1
    _demand(cuts[0] == 0 and (np.diff(cuts) > 0).all() and classes.min() >= -1 and classes[-1] == -1)
    _demand(cuts[-1] <= TEXT_LIMIT + marks and len(np.unique(classes[classes >= 0])) == size)
    alphabet = Alphabet(cuts, classes, size)
    _demand((np.diff(alphabet.first()) > 0).all() and (alphabet.of(np.arange(0xD800, 0xE000)) < 0).all())
    _demand(offsets[0] == 0 and offsets[-1] == edges and (np.diff(offsets) >= 0).all())
    _demand(((symbols >= 0) & (symbols < size) & (targets >= 0) & (targets < states)).all())
    _demand((np.diff(np.repeat(np.arange(states), np.diff(offsets)) * max(size, 1) + symbols) > 0).all())
    return DFA(alphabet, offsets.astype(np.int64), symbols, targets, accept != 0), row[sizes[-1] :]
