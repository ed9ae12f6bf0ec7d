"""What the named groups of a pattern hold in a text that matches.

Which of several ways to match counts is decided by order, which an automaton doesn't know. For flavour python `re` says
it. For flavour ecma a backtracking machine follows ECMA-262's own definition: earlier alternatives first, groups
forgotten at each turn of the loop around them, no empty turns, look-behind read from right to left. It remembers where
it failed, so it takes time in proportion to text × pattern.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from dgemma_constrain.constraints.regex.syntax import Alt, Boundary, Cat, Chars, Group, Node, Repeat, walk
from dgemma_constrain.errors import LimitExceeded

if TYPE_CHECKING:
    from dgemma_constrain.constraints.regex import Pattern

MAX_STEPS = 1_000_000  # of a program


def python_fields(pattern: Pattern, text: str) -> dict[str, str] | None:
    compiled = re.compile(pattern.pattern, re.IGNORECASE if pattern.ignore_case else 0)
    match = compiled.search(text) if pattern.search else compiled.fullmatch(text)
    return None if match is None else {name: held for name, held in match.groupdict().items() if held is not None}


def ecma_fields(pattern: Pattern, text: str) -> dict[str, str] | None:
    program = _program(pattern)
    numbers = {node.name: node.number for node in walk(pattern.root) if isinstance(node, Group) and node.name}
    groups = sum(isinstance(node, Group) for node in walk(pattern.root))
    visited: set = set()
    for start in range(len(text) + 1 if pattern.search else 1):
        captures = _run(program, 0, start, text, (None,) * (2 * groups + 2), not pattern.search, visited)
        if captures is not None:
            spans = {name: captures[2 * n : 2 * n + 2] for name, n in numbers.items()}
            return {name: text[slice(*span)] for name, span in spans.items() if None not in span}
    return None


@lru_cache(maxsize=256)
def _program(pattern: Pattern) -> list[tuple]:
    program: list[tuple] = []
    _emit(pattern.root, True, program)
    return [*program, ("end",)]


def _emit(node: Node, forward: bool, out: list[tuple]) -> None:
    """Append the steps that match `node`; going backward, parts come last to first and ends before starts."""
    if len(out) > MAX_STEPS:
        raise LimitExceeded(f"the fields of this pattern need more than {MAX_STEPS:,} steps; lower its repeat counts")
    if isinstance(node, Chars):
        out.append(("read", node.charset, 0 if forward else -1))
    elif isinstance(node, Cat):
        for part in node.parts if forward else node.parts[::-1]:
            _emit(part, forward, out)
    elif isinstance(node, Alt):
        jumps = []
        for part in node.parts[:-1]:
            fork = _reserve(out)
            _emit(part, forward, out)
            jumps.append(_reserve(out))
            out[fork] = ("fork", fork + 1, len(out))
        _emit(node.parts[-1], forward, out)
        for jump in jumps:
            out[jump] = ("jump", len(out))
    elif isinstance(node, Group):
        out.append(("save", 2 * node.number + (not forward)))
        _emit(node.body, forward, out)
        out.append(("save", 2 * node.number + forward))
    elif isinstance(node, Repeat):
        _emit_repeat(node, forward, out)
    elif isinstance(node, Boundary):
        out.append(("boundary", node.word, node.negated))
    else:
        look = _reserve(out)
        _emit(node.body, node.ahead, out)
        out.append(("end",))
        out[look] = ("look", look + 1, len(out), node.negative)


def _reserve(out: list[tuple]) -> int:
    out.append(())
    return len(out) - 1


def _emit_repeat(node: Repeat, forward: bool, out: list[tuple]) -> None:
    forget = ("forget", tuple(n.number for n in walk(node.body) if isinstance(n, Group)))
    forks = []
    for turn in range(node.least + (1 if node.most is None else node.most - node.least)):
        optional = turn >= node.least
        if optional:
            forks.append(_reserve(out))
            out.append(("enter", forks[-1]))
        out.append(forget)
        _emit(node.body, forward, out)
        if optional:
            out.append(("moved", forks[-1]))
    if node.most is None:
        out.append(("jump", forks[0]))
    for fork in forks:
        out[fork] = ("fork", len(out), fork + 1) if node.lazy else ("fork", fork + 1, len(out))


def _run(program: list, step: int, at: int, text: str, captures: tuple, whole: bool, visited: set) -> tuple | None:
    """The captures of the first way to match from here to an "end" (with `whole`, at the end of the text).

    `still` holds the optional turns that began at this very place. What is yet to come depends on (step, at, still)
    alone, and whatever was reached before has failed by now, or else the machine would have stopped.
    """
    stack = [(step, at, frozenset(), captures)]
    while stack:
        step, at, still, captures = stack.pop()
        while True:
            kind, *operands = program[step]
            if kind == "read":
                place = at + operands[1]
                if not 0 <= place < len(text) or text[place] not in operands[0]:
                    break
                at, still = at + (-1 if operands[1] else 1), frozenset()
            elif kind == "fork":
                if (step, at, still) in visited:
                    break
                visited.add((step, at, still))
                stack.append((operands[1], at, still, captures))
                step = operands[0]
                continue
            elif kind == "jump":
                step = operands[0]
                continue
            elif kind == "save":
                captures = (*captures[: operands[0]], at, *captures[operands[0] + 1 :])
            elif kind == "forget":
                cleared = {slot for n in operands[0] for slot in (2 * n, 2 * n + 1)}
                captures = tuple(None if i in cleared else c for i, c in enumerate(captures)) if cleared else captures
            elif kind == "enter":
                still |= {operands[0]}
            elif kind == "moved":
                if operands[0] in still:
                    break
            elif kind == "boundary":
                before, after = at > 0 and text[at - 1] in operands[0], at < len(text) and text[at] in operands[0]
                if (before != after) == operands[1]:
                    break
            elif kind == "look":
                inner, after, negative = operands
                found = _run(program, inner, at, text, captures, False, set())
                if (found is None) != negative:
                    break
                captures = captures if negative else found
                step = after
                continue
            else:
                if whole and at < len(text):
                    break
                return captures
            step += 1
    return None
