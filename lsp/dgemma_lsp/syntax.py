"""Whether a place in code is inside a comment or a string, by tree-sitter's grammar of the language."""

from __future__ import annotations

from functools import cache

import dgemma_constrain as dc
from dgemma_constrain.infill import languages

_CODE = ("interpolation", "template_substitution", "command_substitution", "expansion")  # in a string, but none of it


def inside(source: str, cursor: int, language: str) -> str | None:
    """ "comment", "string", or None: neither, or a language that isn't known."""
    parser = _parser(language)
    if parser is None:
        return None
    text = source.encode()
    at = len(source[:cursor].encode())
    node = parser.parse(text).root_node.descendant_for_byte_range(max(at - 1, 0), at)
    while node is not None:
        if node.type in _CODE and node.start_byte < at < node.end_byte:
            return None
        ends = (
            node.end_byte if not text[node.start_byte : node.end_byte].endswith((b"\n", b"*/")) else node.end_byte - 1
        )
        if "comment" in node.type and node.start_byte < at <= ends:
            return "comment"
        if ("string" in node.type or "char" in node.type) and node.start_byte < at < node.end_byte:
            return "string"
        node = node.parent
    return None


@cache
def _parser(language: str):
    try:
        grammar = languages.grammar(language)
    except dc.LanguageError:
        return None
    from tree_sitter import Parser

    return Parser(grammar)
