"""Lark's grammar notation, read by Lark's own loader: what the operators, templates and imports mean is its business.

Lark writes out an alternative for each combination of choices in a sequence, so ten optional parts make 1,024. We only
recognise, so trees don't matter and choices may become rules of their own before Lark gets to see them.
"""

from __future__ import annotations

import re
import warnings
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from math import prod
from typing import TYPE_CHECKING, Iterable, Sequence

from dgemma_constrain.constraints.grammar.check import Source, check, some
from dgemma_constrain.constraints.grammar.rules import Grammar, Rule, Terminal
from dgemma_constrain.errors import GrammarError, GrammarWarning, RegexError

if TYPE_CHECKING:
    import lark.load_grammar

MAX_ALTERNATIVES = 8  # that one sequence may become
MAX_PIECES = 5_000  # that one terminal is put together from
MAX_TEMPLATE_USES = 1_000  # that differ in their arguments
MAX_ARGUMENT = 1_000  # names in an argument of a template, when those in it are written out


def read_lark(text: str, start: str = "start", file: str | None = None, import_paths: Sequence[str] = ()) -> Grammar:
    """The grammar in a text, which came from `file` if from any. Raises GrammarError, with the place."""
    source = _Source(text, file)
    _check_sizes(source)
    loaded = _load(source, import_paths)
    _refuse_declared(loaded, source)
    _check_ranges(loaded, source)
    _keep_reachable(loaded, start, source)
    _check_arguments(loaded, source)
    try:
        _name_choices(loaded)
        terminals, rules, ignore = loaded.compile([start], set())
    except Exception as error:  # whatever stops Lark is in the grammar: beside its own errors it has assertions, …
        raise source.translated(error) from None
    grammar = _plain(terminals, rules, ignore, start, source)
    check(grammar, source.error)
    return grammar


class _Source(Source):
    def error(self, message: str, *names: str) -> GrammarError:
        """An error at the first of these names that the text mentions, best where it is defined."""
        for name in names:
            if places := self.mentions.get(name):
                return self.error_at(message, next((p for p in places if self.defines(p, name)), places[0]))
        return GrammarError(message, file=self.file)

    @cached_property
    def mentions(self) -> dict[str, list[int]]:
        """Where each name stands; a literal counts as a name."""
        from lark.load_grammar import TERMINALS

        kinds = "COMMENT", "STRING", "REGEXP", "RULE", "TERMINAL"
        places: dict[str, list[int]] = {}
        for match in re.finditer("|".join(f"(?P<{kind}>{TERMINALS[kind]})" for kind in kinds), self.text):
            if match.lastgroup != "COMMENT":
                places.setdefault(match[0], []).append(match.start())
        return places

    def defines(self, position: int, name: str) -> bool:
        return re.match(r"(\{[^}]*\})?\s*(\.\s*-?\d+)?\s*:", self.text[position + len(name) :][:200]) is not None

    def translated(self, error: Exception, files: Iterable = ()) -> GrammarError:
        """Lark's error in one line. `files`: what was imported so far; if a place is given, it is in the last one."""
        from lark.exceptions import UnexpectedToken, VisitError

        if isinstance(error, VisitError):
            return self.translated(error.orig_exc, files)
        if isinstance(error, RecursionError):
            return GrammarError("this grammar is nested too deeply: name parts of it", file=self.file)
        if type(error).__name__ == "error":  # of `re`, or of the package `regex` that Lark uses if it is there
            patterns = [name for name in self.mentions if name[0] == "/" and name[1:].split("/")[0] in error.pattern]
            return self.error(f"a pattern that is none: {error}", *patterns)
        if isinstance(error, FileNotFoundError):
            module = str(error.filename).removesuffix(".lark")
            name = re.split(r"[/\\]", module)[-1]
            return self.error(f"there is no grammar {error.filename} to import; see import_paths", name)
        if len(error.args) > 1 and isinstance(error.args[1], SyntaxError):
            literals = [name for name in self.mentions if error.args[0] in name]
            return self.error(f"a bad escape in {error.args[0]!r}", *literals)
        message = str(error).strip() or f"Lark cannot read this ({type(error).__name__})"
        first = next(line.strip() for line in message.splitlines() if line.strip())
        if isinstance(error, UnexpectedToken):
            first = f"Unexpected {str(error.token)!r} at line {error.line} column {error.column}"
        if place := re.search(r",? at line (\d+),? column (\d+)", first):
            file = [self.file, *(str(getattr(f, "path", f)) for f in files)][-1]
            return GrammarError(first[: place.start()], int(place[1]), int(place[2]), file)
        quoted = re.findall(r"'(\w+)'", first)
        named = re.findall(r"(?:[Rr]ule|[Tt]erminal|for|at) (\w+)", first)
        return self.error(first, *quoted, *named, *re.findall(r'"(?:\\.|[^"])*"i?|\w+', first)[::-1])


def _load(source: _Source, import_paths: Sequence[str]) -> lark.load_grammar.Grammar:
    from lark.load_grammar import GrammarBuilder

    builder = GrammarBuilder(False, [str(path) for path in import_paths])
    try:
        builder.load_grammar(source.text, source.file or "<string>")
        return builder.build()
    except Exception as error:
        raise source.translated(error, builder.used_files) from None


def _refuse_declared(loaded: lark.load_grammar.Grammar, source: _Source) -> None:
    declared = [d[0] for d in loaded.rule_defs if d[2] is None] + [d[0] for d in loaded.term_defs if d[1][0] is None]
    if declared:
        reason = "only code beside the grammar says what text it stands for"
        raise source.error(f"%declare {declared[0]} cannot be part of a constraint: {reason}", declared[0])


def _check_ranges(loaded: lark.load_grammar.Grammar, source: _Source) -> None:
    """Lark asserts that both ends are single characters, in order."""
    from lark.load_grammar import eval_escaping

    trees = [definition[2] for definition in loaded.rule_defs] + [definition[1][0] for definition in loaded.term_defs]
    for tree in trees:
        for ends in tree.find_data("range"):
            low, high = (eval_escaping(end.value[1:-1]) for end in ends.children)
            if len(low) != 1 or len(high) != 1 or high < low:
                raise source.error("a range goes from one character to a later one", ends.children[0].value)


def _check_sizes(source: _Source) -> None:
    """Terminals that use each other twice, and again, grow exponentially; Lark would work on them for ever."""
    mentions = sorted((place, name) for name, places in source.mentions.items() for place in places)
    bodies: dict[str, list[str]] = {"": []}
    current = ""
    for place, name in mentions:
        if source.defines(place, name):
            current = name if name.isupper() else ""
            bodies.setdefault(current, [])
        else:
            bodies[current].append(name)
    del bodies[""]
    sizes: dict[str, int] = {}
    try:
        for name in TopologicalSorter(bodies).static_order():
            sizes[name] = sum(sizes[part] for part in bodies[name]) if name in bodies else 1
            if sizes[name] > MAX_PIECES:
                raise source.error(f"terminal {name} is put together from more than {MAX_PIECES:,} pieces", name)
    except CycleError:
        return  # Lark says so better


def _keep_reachable(loaded: lark.load_grammar.Grammar, start: str, source: _Source) -> None:
    """Drop the rules that `start` does not lead to, with a warning. (Lark drops them layer by layer.)"""
    from lark.grammar import Symbol

    definitions = {name: (parameters, tree) for name, parameters, tree, _ in loaded.rule_defs}
    if start not in definitions:
        there = f"there are {some(definitions)}" if definitions else "there are none"
        raise source.error(f"there is no rule {start!r} to start from, {there}; pass start=…")
    if definitions[start][0]:
        raise source.error(f"the start {start!r} is a template: write a rule that uses it", start)
    used = {start}
    waiting = [start]
    while waiting:
        _, tree = definitions.get(waiting.pop(), ((), None))
        found = {symbol.name for symbol in tree.scan_values(lambda v: isinstance(v, Symbol))} if tree else set()
        waiting.extend(found - used)
        used |= found
    loaded.rule_defs = [definition for definition in loaded.rule_defs if definition[0] in used]

    places = source.mentions
    idle = [name for name in definitions if name not in used and name in places]
    for name, _ in loaded.term_defs:  # one that helps to define others is mentioned there
        if name not in used and name not in loaded.ignore and len(places.get(name, ())) == 1:
            idle += [name] * source.defines(places[name][0], name)
    if idle:
        warnings.warn(f"{start!r} leads to no use of {some(idle)}", GrammarWarning, stacklevel=2)


def _check_arguments(loaded: lark.load_grammar.Grammar, source: _Source) -> None:
    """Templates that use each other with an argument twice, and again, make names of exponential size in Lark."""
    templates = {name: (parameters, tree) for name, parameters, tree, _ in loaded.rule_defs if parameters}
    sizes = {name: [1] * len(parameters) for name, (parameters, _) in templates.items()}  # of arguments, the largest

    def size(value, known: dict[str, int]) -> int:
        (what,) = value.children
        if getattr(what, "data", None) == "template_usage":
            return 1 + sum(size(argument, known) for argument in what.children[1:])
        return known.get(getattr(what, "name", ""), 1)

    waiting = [(dict[str, int](), tree) for _, parameters, tree, _ in loaded.rule_defs if not parameters]
    waiting += [(dict(zip(parameters, sizes[name])), tree) for name, (parameters, tree) in templates.items()]
    while waiting:
        known, tree = waiting.pop()
        for usage in tree.find_data("template_usage"):
            used, *arguments = usage.children
            before = sizes.get(used.name)
            if before is None:  # what a parameter stands for is not followed up
                continue
            after = [max(n, size(argument, known)) for n, argument in zip(before, arguments)]
            if max(after) > MAX_ARGUMENT:
                message = f"an argument of the template '{used.name}' is put together from more than {MAX_ARGUMENT:,}"
                raise source.error(f"{message} names; does it use itself?", used.name)
            if after != before:
                sizes[used.name] = after
                waiting.append((dict(zip(templates[used.name][0], after)), templates[used.name][1]))


# Choices -------------------------------------------------------------------------------------------------------------


class _Uses:
    """Stands for a template's options, which Lark copies for each new use of it; it would not stop by itself."""

    keep_all_tokens = False

    def __init__(self, template: str):
        self.template, self.left = template, MAX_TEMPLATE_USES

    def __deepcopy__(self, memo: dict) -> None:
        self.left -= 1
        if self.left < 0:
            what = f"'{self.template}' is used with more than {MAX_TEMPLATE_USES:,} different arguments"
            raise ValueError(f"the template {what}; does it use itself?")


def _name_choices(loaded: lark.load_grammar.Grammar) -> None:
    """Make rules of choices inside sequences where these would become too many alternatives."""
    namer = _ChoiceNamer()
    for i, (name, parameters, tree, _) in enumerate(loaded.rule_defs):
        namer.parameters = parameters
        namer.alternatives(tree)
        loaded.rule_defs[i] = (name, parameters, tree, _Uses(name) if parameters else None)
    loaded.rule_defs += namer.made


class _ChoiceNamer:
    def __init__(self):
        self.made: list[tuple] = []
        self.parameters: tuple[str, ...] = ()

    def alternatives(self, tree) -> int:
        """How many sequences Lark would make of a tree, which is changed so that they are few."""
        if tree.data == "value":
            return 1
        if tree.data == "alias":
            tree.data, tree.children = "expansion", [tree.children[0]]
        elif tree.data == "maybe":  # an optional part leaves a placeholder in Lark's trees
            from lark.lexer import Token

            tree.data, tree.children = "expr", [tree.children[0], Token("OP", "?")]
        if tree.data == "expansions":
            return sum(map(self.alternatives, tree.children))
        if tree.data == "expansion":
            counts = [self.alternatives(child) for child in tree.children]
            if prod(counts) > MAX_ALTERNATIVES and len(counts) > 1:
                tree.children = [self.named(c) if n > 1 else c for c, n in zip(tree.children, counts)]
                return 1
            return prod(counts)
        operand, operator, *bounds = tree.children
        inside = self.alternatives(operand)
        if operator != "~":
            return {"?": inside + 1, "*": 2, "+": 1}[operator]
        if inside > 1:
            tree.children[0] = self.named(operand)
        return max(1, int(bounds[-1]) - int(bounds[0]) + 1)

    def named(self, tree):
        """A new rule (or template, inside one) for a tree, and a use of it."""
        from lark import Tree
        from lark.grammar import NonTerminal

        name = f"__choice_{len(self.made)}"
        body = Tree("expansions", [Tree("expansion", [tree])])
        self.made.append((name, self.parameters, body, _Uses(name) if self.parameters else None))
        if not self.parameters:
            return Tree("value", [NonTerminal(name)])
        arguments = [Tree("value", [NonTerminal(parameter)]) for parameter in self.parameters]
        return Tree("value", [Tree("template_usage", [NonTerminal(name), *arguments])])


# Plain data ----------------------------------------------------------------------------------------------------------


def _plain(terminals, rules, ignore, start: str, source: _Source) -> Grammar:
    made = [(_terminal(t, source), t) for t in terminals]
    made.sort(
        key=lambda pair: (
            (-pair[0].priority, not pair[0].literal, -pair[1].pattern.max_width),
            (-len(pair[0].pattern), pair[0].name),
        )
    )
    symbols: dict[str, int] = {t.name: k for k, (t, _) in enumerate(made)}
    nonterminals = list(dict.fromkeys([start, *(str(rule.origin.name) for rule in rules)]))
    heads = {name: n for n, name in enumerate(nonterminals)}
    plain = [
        Rule(heads[rule.origin.name], tuple(symbols[s.name] if s.is_term else ~heads[s.name] for s in rule.expansion))
        for rule in rules
    ]
    return Grammar(
        terminals=tuple(t for t, _ in made),
        nonterminals=tuple(nonterminals),
        rules=tuple(dict.fromkeys(plain)),
        ignore=tuple(sorted({symbols[name] for name in ignore})),
        start=0,
    )


def _terminal(definition, source: _Source) -> Terminal:
    pattern = definition.pattern
    flags = "".join(sorted(pattern.flags))
    terminal = Terminal(definition.name, pattern.value, flags, pattern.type == "str", definition.priority)
    try:
        terminal.parsed()
    except RegexError as error:
        raise source.error(f"terminal {terminal}: {error}", definition.name, pattern.raw or "") from None
    return terminal
