"""Holes cut from real files, completed by the embedded model.

    python -m benchmarks.infill                # Python: the standard library
    python -m benchmarks.infill --holes 20 --budget 1000 --seed 1 FILE …

Two kinds of holes: what stands between a random place in a line and the line's end, and a random named node of at most 40
characters on one line. Reported by language: the share of holes that got an answer, of answers that leave the file whole (by a
new parse, against the file as it was before the cut, which is stricter than the judge: that tolerates errors that begin on
another line and that no placeholder mends), of first answers that are the very text that was cut, and milliseconds a completion.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from pathlib import Path

import dgemma_constrain as dc
from dgemma_constrain.infill.edge import Edge
from dgemma_constrain.infill.languages import detect, grammar

MODULES = ["ast", "heapq", "abc", "bisect", "calendar", "textwrap", "shlex", "string", "fractions", "queue"]


def holes(source: str, language: str, count: int, draw: random.Random) -> list[tuple[int, int]]:
    """(start, end) in characters, of both kinds in turn."""
    from tree_sitter import Parser

    data = source.encode()
    nodes, todo = [], [Parser(grammar(language)).parse(data).root_node]
    while todo:
        node = todo.pop()
        todo += node.children
        length = node.end_byte - node.start_byte
        if (
            node.is_named
            and 0 < length <= 40
            and node.start_point[0] == node.end_point[0]
            and "comment" not in node.type
        ):
            nodes.append((node.start_byte, node.end_byte))
    lines = [m for m in range(len(source)) if source[m] == "\n"]
    found = []
    while len(found) < count and nodes and lines:
        if len(found) % 2:
            a, b = draw.choice(nodes)
            found.append((len(data[:a].decode()), len(data[:b].decode())))
        else:
            end = draw.choice(lines)
            start = source.rfind("\n", 0, end) + 1
            line = source[start:end]
            indent = len(line) - len(line.lstrip())
            if line.strip() and not line.lstrip().startswith(("#", "//")):
                found.append((draw.randrange(start + indent, end), end))
    return found


def errors(language: str, source: str) -> int:
    from tree_sitter import Parser

    found, todo = 0, [Parser(grammar(language)).parse(source.encode()).root_node]
    while todo:
        node = todo.pop()
        found += node.is_error or node.is_missing
        todo += [child for child in node.children if child.has_error or child.is_missing]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--holes", type=int, default=6, help="in a file")
    parser.add_argument("--budget", type=float, default=1000.0, help="milliseconds")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    files = options.files or [Path(__import__(module).__file__) for module in MODULES]
    draw, model = random.Random(options.seed), dc.load()
    dc.infill.complete("x = ", 4, "python", model, 10_000)  # loads and compiles
    rows: dict[str, list[tuple[bool, int, int, bool, bool, float]]] = {}
    for path in files:
        source = path.read_text("utf-8", errors="strict")
        language = detect(str(path), source)
        whole = errors(language, source)
        for start, end in holes(source, language, options.holes, draw):
            began = time.perf_counter()
            answers = dc.infill.complete(source, (start, end), language, model, options.budget)
            ms = 1e3 * (time.perf_counter() - began)
            clean = sum(errors(language, source[:start] + a.text + source[end:]) <= whole for a in answers)
            exact = bool(answers) and answers[0].text.strip() == source[start:end].strip()
            edge = Edge(language, source[:start].encode())
            true = edge.alive(source[start:end].encode()) is not False
            rows.setdefault(language, []).append((bool(answers), len(answers), clean, exact, true, ms))
    print(
        "| language | holes | answered | clean | exact | true middle alive | ms, median | ms, 95 % |\n|---|---|---|---|---|---|---|---|"
    )
    for language, all_ in rows.items():
        times = sorted(row[5] for row in all_)
        given = sum(row[1] for row in all_)
        print(
            f"| {language} | {len(all_)} | {_share(sum(row[0] for row in all_), len(all_))} | "
            f"{_share(sum(row[2] for row in all_), given)} | {_share(sum(row[3] for row in all_), len(all_))} | "
            f"{_share(sum(row[4] for row in all_), len(all_))} | {statistics.median(times):.0f} | "
            f"{times[int(0.95 * (len(times) - 1))]:.0f} |"
        )


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "-"


if __name__ == "__main__":
    main()
