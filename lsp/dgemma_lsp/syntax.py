"""Whether a place in code is inside a comment or a string, by tree-sitter's grammar of the language."""

from __future__ import annotations

import importlib
from functools import lru_cache

# An editor's language id → the package with its grammar, and the function in it
GRAMMARS = {
    "python": "tree_sitter_python",
    "javascript": "tree_sitter_javascript",
    "javascriptreact": "tree_sitter_javascript",
    "typescript": "tree_sitter_typescript:language_typescript",
    "typescriptreact": "tree_sitter_typescript:language_tsx",
    "json": "tree_sitter_json",
    "jsonc": "tree_sitter_json",
    "go": "tree_sitter_go",
    "rust": "tree_sitter_rust",
    "java": "tree_sitter_java",
    "c": "tree_sitter_c",
    "cpp": "tree_sitter_cpp",
    "sh": "tree_sitter_bash",
    "shellscript": "tree_sitter_bash",
    "html": "tree_sitter_html",
    "css": "tree_sitter_css",
}
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


@lru_cache(maxsize=None)
def _parser(language: str):
    if language not in GRAMMARS:
        return None
    package, _, function = GRAMMARS[language].partition(":")
    try:
        from tree_sitter import Language, Parser

        return Parser(Language(getattr(importlib.import_module(package), function or "language")()))
    except ImportError:
        return None
