"""What can be wrong with a grammar that was read: terminals no lexer can use, rules that stand for no text."""

from __future__ import annotations

from typing import Callable

from dgemma_constrain.constraints.grammar.own_match import looks_outside
from dgemma_constrain.constraints.grammar.rules import Grammar, Rule, Terminal
from dgemma_constrain.errors import GrammarError, LimitExceeded


def check(grammar: Grammar, error: Callable[..., GrammarError]) -> None:
    """Raise what `error` makes of a message and the names it is about, if there is anything wrong.

    A rule that leads back to itself with nothing added is fine: it adds no text.
    """
    for terminal in grammar.terminals:
        if not terminal.literal:
            try:
                _check_terminal(terminal, error)
            except LimitExceeded as limit:
                raise LimitExceeded(f"terminal {terminal}: {limit}") from None
    _check_ignored(grammar, error)
    endless = unproductive(grammar)
    if endless:
        names = [grammar.nonterminals[n] for n in endless]
        shown = [name for name in names if not name.startswith("__")] or names
        which = ", ".join(shown[:5]) + (f" and {len(shown) - 5} more" if len(shown) > 5 else "")
        raise error(f"no text ever completes {which}: every alternative needs the rule itself again", *shown)


def _check_terminal(terminal: Terminal, error: Callable[..., GrammarError]) -> None:
    dfa = terminal.dfa()
    if dfa.is_empty:
        raise error(f"terminal {terminal} matches no text", *_names(terminal))
    if dfa.accept[0]:
        raise error(f"terminal {terminal} matches the empty text; make it match a character or more", *_names(terminal))
    if looks_outside(terminal.parsed().root):
        what = f"terminal {terminal} looks at the text around it (^, $, \\b or a look-around that reaches its edge)"
        raise error(
            f"{what}; say it in the rules. A name needs no check for keywords: they win over it", *_names(terminal)
        )


def _names(terminal: Terminal) -> tuple[str, str]:
    return terminal.name, str(terminal)


def _check_ignored(grammar: Grammar, error: Callable[..., GrammarError]) -> None:
    used = {symbol for rule in grammar.rules for symbol in rule.body}
    for k in grammar.ignore:
        if k in used:
            terminal = grammar.terminals[k]
            what = f"terminal {terminal} is ignored, so no rule can ask for it"
            raise error(f"{what}; use another one there, or don't ignore it", *_names(terminal))


def unproductive(grammar: Grammar) -> list[int]:
    """The nonterminals that derive no text of terminals at all, by a worklist: linear in the size of the grammar."""
    waiting: dict[int, list[Rule]] = {}  # by nonterminal: the rules that need it
    missing: dict[Rule, int] = {}
    done: set[int] = set()
    ready: list[int] = []
    for rule in grammar.rules:
        needed = {~symbol for symbol in rule.body if symbol < 0}
        missing[rule] = len(needed)
        for n in needed:
            waiting.setdefault(n, []).append(rule)
        if not needed:
            ready.append(rule.head)
    while ready:
        n = ready.pop()
        if n in done:
            continue
        done.add(n)
        for rule in waiting.get(n, ()):
            missing[rule] -= 1
            if not missing[rule]:
                ready.append(rule.head)
    return [n for n in range(len(grammar.nonterminals)) if n not in done]
