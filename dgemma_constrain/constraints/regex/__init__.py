"""Regular expressions of two flavours, as automata.

Reading order: syntax, reader, parse_python, parse_ecma, characters, thompson, lookaround, compile, fields.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from dgemma_constrain.automata.limits import Limits
from dgemma_constrain.automata.nfa import NFA
from dgemma_constrain.constraints.regex.compile import to_nfa
from dgemma_constrain.constraints.regex.fields import ecma_fields, python_fields
from dgemma_constrain.constraints.regex.parse_ecma import EcmaReader, LegacyReader
from dgemma_constrain.constraints.regex.parse_python import PythonReader
from dgemma_constrain.constraints.regex.syntax import ANY_TEXT, Node, cat
from dgemma_constrain.errors import RegexError

_READERS = {"python": PythonReader, "ecma": EcmaReader}
_LOOSER = (EcmaReader, LegacyReader, PythonReader)


@dataclass(frozen=True)
class Pattern:
    """A pattern that was read. It matches whole texts, or with `search` texts that hold a match anywhere."""

    pattern: str
    flavor: str
    ignore_case: bool
    search: bool
    root: Node = field(repr=False, compare=False)
    groups: tuple[str, ...] = field(compare=False)  # the names of the named groups, in order

    def nfa(self, limits: Limits = Limits()) -> NFA:
        """The texts it matches. Raises LimitExceeded where look-around needs more states than `limits` allows."""
        return to_nfa(self.root, self.search, limits)

    def fields(self, text: str) -> dict[str, str] | None:
        """What each named group holds, those left out that took no part; None if the text does not match."""
        return (python_fields if self.flavor == "python" else ecma_fields)(self, text)

    def __reduce__(self):
        return parse, (self.pattern, self.flavor, self.ignore_case, self.search)


def parse(pattern: str, flavor: str = "python", ignore_case: bool = False, search: bool = False) -> Pattern:
    """Read a pattern; raises RegexError, with the position, for what the flavour forbids or no automaton can do."""
    if flavor not in _READERS:
        raise RegexError(f"flavor must be 'python' or 'ecma', not {flavor!r}")
    reader = _READERS[flavor](pattern, ignore_case)
    root = reader.read()
    return Pattern(pattern, flavor, ignore_case, search, root, tuple(reader.group_names))


def searched_loosely(pattern: str, limits: Limits = Limits(), at_start: bool = False) -> NFA:
    """The texts in which the pattern of a JSON schema is found: as ECMA-262 reads it with the `u` flag; if that is an error,
    without; if that is one, too, as Python does (`(?i)`, `\\A`, `(?P<name>…)`). at_start: only those that begin with it.

    Raises the first RegexError if none of them can read it; LimitExceeded.
    """
    errors = []
    for reader in _LOOSER:
        try:
            root = reader(pattern).read()
        except RegexError as error:
            errors.append(error)
        else:
            return to_nfa(cat([root, ANY_TEXT]), False, limits) if at_start else to_nfa(root, True, limits)
    raise errors[0]
