"""Whether what was cut out of real files is accepted again: by the recogniser (`alive`, `fits`) and by the judge.

    python -m benchmarks.infill_truth                                 # Python: the standard library and installed packages
    python -m benchmarks.infill_truth --languages go,rust --holes 2000 --seed 1 --under FOLDER

The judge is asked of every file, errors and all, of the hole as `complete` sees it: with the word around the cursor. `fits` knows nothing of errors, so it is asked of files that tree-sitter finds
whole; `known` says for how many of those the text left of the hole could be read. Each refusal is printed with --show.
"""

from __future__ import annotations

import argparse
import random
import time
from collections import Counter
from pathlib import Path

from benchmarks.infill_holes import cuts, errors, files
from dgemma_constrain.infill.edge import Edge, warm_up
from dgemma_constrain.infill.hole import find
from dgemma_constrain.infill.judge import Judge
from dgemma_constrain.infill.languages import KNOWN


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--languages", default="python", help="comma-separated, or all")
    parser.add_argument("--holes", type=int, default=1000, help="in a language")
    parser.add_argument("--each", type=int, default=8, help="in a file")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--under", action="append", type=Path, default=[])
    parser.add_argument("--show", action="store_true")
    options = parser.parse_args()
    names = [known.name for known in KNOWN] if options.languages == "all" else options.languages.split(",")
    warm_up()
    print(
        "| language | files | with errors | holes | judge, in whole files | in others | holes in whole files | known | alive | fits | too many parses | s |"
    )
    print("|" + "---|" * 12)
    for language, found in files(names, -(-options.holes // options.each), options.seed, options.under).items():
        began, draw, n = time.monotonic(), random.Random(options.seed), Counter()
        for path, text in found:
            whole = not errors(language, text)
            n["files"] += 1
            n["broken"] += not whole
            for cut in cuts(language, text, options.each, draw):
                before, middle, after = (part.encode() for part in cut[:3])
                refused = []
                n["holes"] += 1
                hole = find(cut.before + cut.after, len(cut.before))
                judge = Judge(language, hole.before, hole.after, hole.head + hole.tail)
                verdict = judge.verdict(hole.head + cut.middle + hole.tail)
                if not verdict.clean:
                    refused.append("judge" if whole else "judge*")
                if whole:
                    n["whole"] += 1
                    edge = Edge(language, before)
                    if not edge.known:
                        refused.append("known")
                    else:
                        alive, fits = edge.alive(middle), edge.fits(middle, after)
                        refused += ["alive"] * (not alive) + ["fits"] * (fits is False)
                        n["limit"] += fits is None
                n.update(refused)
                if refused and options.show:
                    end = cut.before[-50:], cut.middle[:160], cut.after[:50]
                    print(
                        f"  {'+'.join(refused)} {path}:{cut.before.count(chr(10)) + 1} {cut.what}: {end[0]!r} [{end[1]!r}] {end[2]!r}"
                    )
        right = [
            _share(n["whole"] - n["judge"], n["whole"]),
            _share(n["holes"] - n["whole"] - n["judge*"], n["holes"] - n["whole"]), n["whole"], *(
            _share(n["whole"] - n["known"] - (n[what] if what != "known" else 0), n["whole"]) for what in ("known", "alive", "fits")
        ), n["limit"], f"{time.monotonic() - began:.0f}"]  # fmt: skip
        print("|", " | ".join(map(str, [language, n["files"], n["broken"], n["holes"], *right])), "|", flush=True)


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.2f} %" if whole else "-"


if __name__ == "__main__":
    main()
