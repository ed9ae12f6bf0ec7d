"""What can be wrong with a grammar that was read: terminals no lexer can use, rules that stand for no text."""

from __future__ import annotations

from typing import Callable, Iterable

from dgemma_constrain.automata.lr_tables import derivable
from dgemma_constrain.constraints.grammar.own_match import looks_outside
from dgemma_constrain.constraints.grammar.rules import Grammar, Terminal
from dgemma_constrain.errors import GrammarError, LimitExceeded


class Source:
    """The text of a grammar, for errors that say where."""

    def __init__(self, text: str, file: str | None):
        self.text, self.file = text, file

    def error_at(self, message: str, position: int) -> GrammarError:
        line = self.text.count("\n", 0, position) + 1
        return GrammarError(message, line, position - self.text.rfind("\n", 0, position), self.file)


def some(names: Iterable[str], limit: int = 5) -> str:
    """The first of these names, and how many more there are."""
    names = list(names)
    return ", ".join(names[:limit]) + (f" and {len(names) - limit} more" if len(names) > limit else "")


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
        raise error(f"no text ever completes {some(shown)}: every alternative needs the rule itself again", *shown)


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
    """The nonterminals that derive no text of terminals at all."""
    productive = derivable(grammar.rules, lambda terminal: True)
    return [n for n in range(len(grammar.nonterminals)) if n not in productive]
