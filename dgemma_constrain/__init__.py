"""Constraints that hold inside diffusion language models: exact inference over a whole canvas.

    import dgemma_constrain as dc

    model = dc.load()
    out = model.generate("Anna Keller is 34.", constraint=dc.regex(r"[A-Z][a-z]+, \\d+"))

Everything is imported on first use, so that importing the package, and `dgemma --help`, cost nothing.
"""

import importlib

__version__ = "0.1.0"

_HOME = {
    "constraints.terms": "literal choice text regex contains starts_with ends_with substring",
    "constraints.template": "template",
    "constraints.schema": "json_schema",
    "constraints.grammar.constraint": "grammar",
    "constraints.base": "Constraint Mismatch",
    "automata.limits": "Limits",
    "tokens.vocabulary": "Vocabulary",
    "canvas.compiled": "compile load_compiled Compiled",
    "canvas.canvas": "Canvas Completion",
    "diffusion.model": "Model",
    "diffusion.writing": "Output",
    "diffusion.settings": "Cancelled",
    "models.load": "load",
    "models.masked": "MaskedModel",
    "errors": "ConstraintError RegexError SchemaError UnsupportedSchema TemplateError GrammarError GrammarWarning "
    "LanguageError LimitExceeded EmptyConstraint VocabularyError LogitsError Infeasible CacheError",
}
_MODULE = {name: module for module, names in _HOME.items() for name in names.split()}
__all__ = sorted(_MODULE)


_PACKAGES = ("infill",)


def __getattr__(name: str):
    if name in _PACKAGES:
        return importlib.import_module(f"{__name__}.{name}")
    if name not in _MODULE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_MODULE[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, *_PACKAGES, "__version__"]
