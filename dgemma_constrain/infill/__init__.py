"""Completing code: the middle of a file, always syntactically whole.

    import dgemma_constrain as dc

    dc.infill.complete("def area(r):\\n    return ", 26, language="python")

languages   which there are, and their tree-sitter grammars
hole        what is to be written where
parsing     tree-sitter's parser with a deadline
judge       whether a file with the hole filled is whole
faults      what is wrong with it, and whether that is more than with another text
python      whether Python itself reads it, told by a few statements
tables      a compiled grammar's LR tables
lexer       its lexer and external scanner
recogniser  parsing with them, all parses side by side
candidates  many texts in one call, what they share read once
edge        whether what is left of a hole can be gone on with by a text
yields      the least texts of a grammar, read off its tables
closing     the shortest texts that bring a hole to its end
steering    what both, and a caller's constraint, allow
search      the likeliest strings of a canvas
tidy        what a model's text is tidied to
looks       what the model is shown, and says
renoised    the same of a model without masks
completion  the call: looks, searches, judges, ranks
joint       holes that may begin what a later one ends
regions     several holes, filled together
"""

from typing import Any

__all__ = ["CodeCompletion", "complete"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from dgemma_constrain.infill import completion

    return getattr(completion, name)
