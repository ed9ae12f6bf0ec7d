"""Candidates that the recogniser checks in a second, and whether it agrees with tree-sitter, on holes cut from real files.

    python -m benchmarks.infill_recogniser                       # Python, files of the standard library
    python -m benchmarks.infill_recogniser --language go FILE…   # JSON lines, one a language

CPU time. `edge_ms`: the text left of the hole is read; `per_kib`: the same by its size. `alive_us`, `fits_us`: a candidate, in
batches of 256. `single_us`: `alive` called for one. Candidates are the true middle, cut anywhere, then a piece from elsewhere.
`agree`: of 8 candidates a hole, in how many `fits` says what tree-sitter's own parse says; `lost`: parts of the true middle that
are called dead, which must be 0.
"""

from __future__ import annotations

import argparse
import glob
import json
import os
import random
import time

from tree_sitter import Parser

from dgemma_constrain.infill.edge import Edge
from dgemma_constrain.infill.languages import grammar


def measure(language: str, texts: list[str], holes: int) -> dict[str, object]:
    rng, parser = random.Random(0), Parser(grammar(language))
    Edge(language, b"").fits(b"", b"")  # loads the kernels
    spent = dict.fromkeys(("edge", "alive", "fits", "single"), 0.0)
    checks = same = lost = 0
    size = 0.0

    def timed(what, call):
        began = time.process_time()
        answer = call()
        spent[what] += time.process_time() - began
        return answer

    for k in range(holes):
        text = texts[k % len(texts)]
        a = rng.randrange(len(text))
        before, middle, after = text[:a].encode(), text[a : a + rng.choice([4, 16, 64])], text[a:]
        after = after[len(middle) :].encode()
        edge = timed("edge", lambda before=before: Edge(language, before))
        assert edge.known, f"{language}: a whole file that is not known to be whole before character {a}"
        size += len(before) / 1024
        parts = [middle[: rng.randrange(len(middle) + 1)] for _ in range(256)]
        pieces = [part + text[(at := rng.randrange(len(text))) : at + rng.randrange(9)] for part in parts]
        data = [piece.encode() for piece in pieces]
        timed("alive", lambda edge=edge, data=data: edge.alive_each(data))
        fits = timed("fits", lambda edge=edge, data=data, after=after: edge.fits_each(data, after))
        timed("single", lambda edge=edge, data=data: [edge.alive(one) for one in data])
        lost += int((edge.alive_each([part.encode() for part in parts]) == 0).sum())
        for one, said in list(zip(data, fits, strict=True))[:8]:
            same += bool(said) != parser.parse(before + one + after).root_node.has_error
        checks += len(data)
    micro = {f"{name}_us": round(1e6 * spent[name] / checks, 2) for name in ("alive", "fits", "single")}
    edge_ms = 1e3 * spent["edge"]
    return {
        "language": language, "holes": holes, "edge_ms": round(edge_ms / holes, 3), "per_kib": round(edge_ms / size, 4), **micro,
        "alive_per_second": round(checks / spent["alive"]), "agree": f"{same} of {8 * holes}", "lost": lost,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--language", default="python")
    parser.add_argument("--holes", type=int, default=200)
    parser.add_argument("files", nargs="*")
    given = parser.parse_args()
    names = given.files or sorted(glob.glob(os.path.join(os.path.dirname(os.__file__), "*.py")))
    texts, whole = [], Parser(grammar(given.language))
    for name in names:
        if not os.path.isfile(name) or os.path.getsize(name) > 100_000:
            continue
        with open(name, "rb") as file:
            data = file.read()
        try:
            text = data.decode()
        except UnicodeDecodeError:
            continue
        if len(text) > 200 and not whole.parse(data).root_node.has_error:
            texts.append(text)
    print(json.dumps(measure(given.language, texts, given.holes)))


if __name__ == "__main__":
    main()
