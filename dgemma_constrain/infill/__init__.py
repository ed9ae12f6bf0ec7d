"""Completing code: the middle of a file, always syntactically whole.

    import dgemma_constrain as dc

    dc.infill.complete("def area(r):\\n    return ", 26, language="python")

languages   which there are, and their tree-sitter grammars
hole        what is to be written where
judge       whether a file with the hole filled is whole
tables      a compiled grammar's LR tables
lexer       its lexer and external scanner
recogniser  parsing with them, all parses side by side
edge        whether what is left of a hole can be gone on with by a text
search      the likeliest strings of a canvas
tidy        what a model's text is tidied to
complete    the call: looks, searches, judges, ranks
"""

from typing import Any

__all__ = ["CodeCompletion", "complete"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    module = import_module(f"{__name__}.complete")
    for one in __all__:  # `complete` is the function from here on, not its module
        globals()[one] = getattr(module, one)
    return globals()[name]
