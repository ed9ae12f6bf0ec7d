"""Everything that can go wrong with a constraint, a vocabulary or a canvas, as one family of exceptions.

Each message is one line that names the place and the way out; `dgemma` prints it as it is.
"""


class ConstraintError(ValueError):
    """Base of every error this package raises on purpose."""


class RegexError(ConstraintError):
    """A pattern that cannot be read, or is not regular. `position` is a character offset into `pattern`."""

    def __init__(self, message: str, pattern: str = "", position: int | None = None):
        self.pattern, self.position = pattern, position
        place = "" if position is None else f" at position {position} of {_short(pattern)}"
        super().__init__(message + place)


class SchemaError(ConstraintError):
    """Not a JSON Schema, or one that contradicts itself. `pointer` is a JSON pointer into the schema."""

    def __init__(self, message: str, pointer: str = "", keyword: str | None = None):
        self.pointer, self.keyword = pointer, keyword
        super().__init__(f"{message} (at {pointer or '/'})")


class UnsupportedSchema(SchemaError):
    """A keyword (or a use of one) that this version cannot express; nothing is ignored silently."""


class GrammarError(ConstraintError):
    """A grammar that cannot be read, or that stands for no text. `line` and `column` count from 1, in `file` if any."""

    def __init__(self, message: str, line: int | None = None, column: int | None = None, file: str | None = None):
        self.line, self.column, self.file = line, column, file
        place = ([f"line {line}, column {column}"] if line else []) + ([file] if file else [])
        super().__init__(message + (f" ({' of '.join(place)})" if place else ""))


class GrammarWarning(UserWarning):
    """Something in a grammar that is no error, but hardly meant: rules that are never used."""


class LanguageError(ConstraintError):
    """A programming language that isn't known, or whose grammar isn't installed; the message names the package."""


class TemplateError(ConstraintError):
    """A template that cannot be read, or whose holes cannot be filled consistently."""


class LimitExceeded(ConstraintError):
    """A compile that grew past its limit on states or time; the message says which limit and what to change."""


class EmptyConstraint(ConstraintError):
    """A constraint that no text satisfies."""


class VocabularyError(ConstraintError):
    """A tokenizer that cannot be read exactly, or a vocabulary that does not fit (size, ids)."""


class LogitsError(ConstraintError):
    """Logits of the wrong shape or dtype, or with NaN or +inf in them."""


class Infeasible(ConstraintError):
    """No valid string of this length agrees with the pins; the message says why."""


class CacheError(ConstraintError):
    """A compiled file that is corrupt, from another version, or for another vocabulary."""


def _short(text: str, limit: int = 60) -> str:
    return repr(text if len(text) <= limit else text[: limit - 1] + "…")
