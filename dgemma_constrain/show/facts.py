"""What a constraint is made of once compiled, and what that costs."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from dgemma_constrain.automata.encodings import utf8
from dgemma_constrain.canvas.compiled import Compiled
from dgemma_constrain.constraints.base import Constraint
from dgemma_constrain.tokens.lift import lift
from dgemma_constrain.tokens.vocabulary import Vocabulary

LONGEST_SHOWN = 200  # characters of the shortest text


def constraint_facts(constraint: Constraint, vocabulary: Vocabulary) -> dict[str, Any]:
    """The three automata, the time to make them, and the language's shortest text and size (texts: None for infinitely
    many; depth: up to which nesting is exact, None where all of it is).

    searched: whether no automaton holds the constraint; then these are of its cover. charted: whether canvases know
    nesting of any depth, by a chart. Raises EmptyConstraint, LimitExceeded.
    """
    fresh = pickle.dumps(constraint)  # does not hold what is already compiled
    (characters, machine), compile_ms = _timed(lambda: pickle.loads(fresh).language())
    if machine is None and characters.is_empty:
        constraint.check_not_empty()
    vocabulary.trie  # made once for a vocabulary, not for a constraint
    (octets, tokens), lift_ms = _timed(lambda: (octets := utf8(characters), lift(octets, vocabulary)))
    charted = machine is None and Compiled(tokens, vocabulary, constraint).network is not None
    return {
        "texts": characters.count(),
        "shortest": characters.shortest() if machine is None else machine.close(machine.start).decode(),
        "fewest_tokens": int(tokens.distance[0]),
        "characters": {
            "states": characters.states,
            "classes": characters.alphabet.size,
            "transitions": len(characters.targets),
        },
        "bytes": {
            "states": len(octets.table),
            "classes": octets.table.shape[1],
            "transitions": int((octets.table >= 0).sum()),
        },
        "tokens": {"states": tokens.states, "classes": tokens.class_count, "transitions": len(tokens.targets)},
        "searched": machine is not None,
        "charted": charted,
        "depth": constraint.depth() if machine is None else None,
        "vocabulary": len(vocabulary),
        "compile_ms": compile_ms,
        "lift_ms": lift_ms,
        "memory_bytes": memory(characters) + memory(octets) + memory(tokens),
    }


def _timed(make: Callable[[], Any]) -> tuple[Any, float]:
    """What `make` makes, and the milliseconds. If quick, the second time counts: the first may have loaded kernels."""
    for _ in range(2):
        began = time.perf_counter()
        made = make()
        seconds = time.perf_counter() - began
        if seconds > 1:
            break
    return made, round(1e3 * seconds, 2)


def memory(what: Any) -> int:
    """Bytes in the arrays of a dataclass or named tuple, and of those inside it."""
    if isinstance(what, np.ndarray):
        return what.nbytes
    if is_dataclass(what):
        return sum(memory(getattr(what, field.name)) for field in fields(what))
    return sum(map(memory, what)) if isinstance(what, tuple) else 0


def facts_text(facts: dict[str, Any]) -> str:
    """The facts for a reader."""
    shortest = facts["shortest"]
    shortest = repr(shortest if len(shortest) <= LONGEST_SHOWN else shortest[: LONGEST_SHOWN - 1] + "…")
    rows = [f"{'':12}{'states':>10}{'classes':>10}{'transitions':>14}"]
    for name in ("characters", "bytes", "tokens"):
        part = facts[name]
        rows.append(f"{name:12}{part['states']:>10,}{part['classes']:>10,}{part['transitions']:>14,}")
    texts = "infinitely many" if facts["texts"] is None else _number(facts["texts"])
    nesting = "of any depth, by search; the automata are a cover, which holds more" if facts["searched"] else ""
    if facts["depth"] is not None:
        nesting = f"exact up to a depth of {facts['depth']}"
        if facts["charted"]:
            nesting = (
                f"exact to any depth, by a chart; the automata, for what is too large for it, hold {facts['depth']}"
            )
    rows += [
        "",
        f"texts       {texts}",
        *([f"nesting     {nesting}"] if nesting else []),
        f"shortest    {shortest}",
        f"            at least {facts['fewest_tokens']:,} of the vocabulary's {facts['vocabulary']:,} tokens",
        f"time        {facts['compile_ms']:,.1f} ms to compile, {facts['lift_ms']:,.1f} ms to lift to tokens",
        f"memory      {facts['memory_bytes'] / 2**20:,.2f} MiB",
    ]
    return "\n".join(rows)


def _number(n: int) -> str:
    if n.bit_length() < 64:
        return f"{n:,}"
    return (
        f"about 10^{int(n.bit_length() * 0.30103)}"  # Python won't write the longest ones, nor would anybody read them
    )
