"""Real source files that lie on this machine, and holes cut out of them: what the benchmarks of code completion work on.

Files are those of the standard library, of installed packages and under /usr/include, /usr/share and /usr/bin; more folders can be
given (`--under`), such as unpacked packages. They are drawn by seed, by content (no two alike), of 300 to 60,000 bytes.
"""

from __future__ import annotations

import os
import random
import re
import sysconfig
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from tree_sitter import Parser

from dgemma_constrain.errors import LanguageError
from dgemma_constrain.infill.languages import KNOWN, detect, grammar

SIZES = 300, 60_000
KINDS = "node", "end", "span", "lines"
OPENING = re.compile(rb"/[/*]|<!--|<<|[a-zA-Z]{,2}(?:\"{3}|'{3}|[\"'`])|.", re.DOTALL)  # of a comment or a string


class Cut(NamedTuple):
    """What was cut out of a file. what: of a node its type, else how it was cut."""

    before: str
    middle: str
    after: str
    what: str


def folders() -> list[Path]:
    paths = sysconfig.get_paths()
    return [
        Path(p) for p in (paths["stdlib"], paths["purelib"], paths["include"], "/usr/include", "/usr/share", "/usr/bin")
    ]


def files(
    languages: list[str], count: int, seed: int, under: list[Path] | None = None
) -> dict[str, list[tuple[Path, str]]]:
    """Of each language up to `count` files, with their text."""
    by_ending = {ending: known.name for known in KNOWN for ending in known.endings.split()}
    named: dict[str, set[str]] = {language: set() for language in languages}
    for folder in [*folders(), *(under or [])]:
        for root, inner, names in os.walk(folder):
            inner.sort()
            for name in names:
                dot = name.rpartition(".")[2].lower() if "." in name else ""
                language = by_ending.get(dot) or ("bash" if not dot and root.startswith("/usr/bin") else None)
                if language in named:
                    named[language].add(os.path.join(root, name))
    found = {}
    for language, paths in named.items():
        chosen: dict[str, Path] = {}
        order = sorted(paths)
        random.Random(f"{seed} {language}").shuffle(order)
        for path in map(Path, order):
            if len(chosen) == count:
                break
            text = _text(path, language)
            if text is not None:
                chosen.setdefault(text, path)
        found[language] = [(path, text) for text, path in chosen.items()]
    return found


def _text(path: Path, language: str) -> str | None:
    try:
        if not path.is_file() or not SIZES[0] <= path.stat().st_size <= SIZES[1]:
            return None
        text = path.read_bytes().decode()
        return text if "\x00" not in text and detect(str(path), text) == language else None
    except (OSError, UnicodeDecodeError, LanguageError):
        return None


def errors(language: str, source: str | bytes) -> int:
    """How many ERROR and MISSING nodes a file has, parsed anew."""
    return error_nodes(language, source).total()


def error_nodes(language: str, source: str | bytes) -> Counter[tuple[str, int, int]]:
    """What a file's ERROR and MISSING nodes are, and where they start and end, in bytes; of one that the grammar hides, its parent."""
    root = Parser(grammar(language)).parse(source.encode() if isinstance(source, str) else source).root_node
    found: Counter[tuple[str, int, int]] = Counter()
    todo = [root] if root.has_error else []
    while todo:
        node = todo.pop()
        inner = [child for child in node.children if child.has_error or child.is_error or child.is_missing]
        if node.is_error or node.is_missing or not inner:
            what = f"missing {node.type}" if node.is_missing else "error" if node.is_error else "hidden"
            found[what, node.start_byte, node.end_byte] += 1
        todo += inner
    return found


def takes_in(language: str, cut: Cut) -> bool:
    """Whether a comment, a string or a heredoc that begins in what was cut out goes on in the text right of it."""
    ahead = cut.after.lstrip()
    if not ahead:
        return False
    data, start = "".join(cut[:3]).encode(), len(cut.before.encode())
    stop = start + len(cut.middle.encode())
    at = stop + len(cut.after[: len(cut.after) - len(ahead)].encode())
    node = Parser(grammar(language)).parse(data).root_node.descendant_for_byte_range(at, at + 1)
    while node is not None:
        if node.start_byte < stop and any(word in node.type for word in ("comment", "string", "heredoc", "char")):
            if OPENING.match(data, node.start_byte).end() > start:
                return True
        node = node.parent
    return False


def changed(language: str, text: str, how: str, draw: random.Random) -> str:
    """A file as others write it: with "crlf", a "bom", or "u2028" in place of blanks within lines, where that makes no error."""
    if how == "crlf":
        return re.sub("\r?\n", "\r\n", text)
    if how == "bom":
        return "\ufeff" + text.removeprefix("\ufeff")
    places, most = [m.start() for m in re.finditer(r"(?<=\w) (?=\w)", text)], errors(language, text)
    for at in draw.sample(places, min(9, len(places))):
        other = text[:at] + "\u2028" + text[at + 1 :]
        text = other if errors(language, other) <= most else text
    return text


def apart(language: str, text: str, count: int, holes: int, draw: random.Random) -> Iterator[list[Cut]]:
    """Several holes of one file, in order and apart from each other."""
    for _ in range(count):
        for _ in range(20):
            some = [next(cuts(language, text, 1, draw, (draw.choice(KINDS),))) for _ in range(holes)]
            some.sort(key=lambda cut: len(cut.before))
            if all(len(a.before) + len(a.middle) < len(b.before) for a, b in pairwise(some)):
                yield some
                break


def cuts(language: str, text: str, count: int, draw: random.Random, kinds: tuple[str, ...] = KINDS) -> Iterator[Cut]:
    """Holes of each kind in turn: a named node of up to 200 bytes (a kind of node first, then one of that kind); from somewhere
    in a line to its end; a span of up to 40 characters from anywhere; from somewhere in a line to the end of one of the next two."""
    data = text.encode()
    nodes: dict[str, list[tuple[int, int]]] = {}
    todo = [Parser(grammar(language)).parse(data).root_node]
    while todo:
        node = todo.pop()
        todo += node.children
        if node.is_named and 0 < node.end_byte - node.start_byte <= 200:
            nodes.setdefault(node.type, []).append((node.start_byte, node.end_byte))
    ends = [i for i, c in enumerate(text) if c == "\n"] or [len(text)]
    for k in range(count):
        kind = what = kinds[k % len(kinds)]
        if kind == "node" and nodes:
            what = draw.choice(sorted(nodes))
            first, last = draw.choice(nodes[what])
            a, b = len(data[:first].decode()), len(data[:last].decode())
        elif kind == "span":
            a = draw.randrange(len(text))
            b = min(len(text), a + draw.randrange(1, 41))
        else:
            i = draw.randrange(len(ends))
            start = text.rfind("\n", 0, ends[i]) + 1
            a = draw.randrange(start, ends[i] + 1)
            b = ends[min(i + (draw.randrange(1, 3) if kind == "lines" else 0), len(ends) - 1)]
        a, b = (max(at - (text[at - 1 : at + 1] == "\r\n"), int(text.startswith("\ufeff"))) for at in (a, b))
        yield Cut(text[:a], text[a:b], text[b:], what)
