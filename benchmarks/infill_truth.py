"""Whether what was cut out of real files is accepted again: by the recogniser (`alive`, `fits`) and by the judge.

    python -m benchmarks.infill_truth                                 # Python: the standard library and installed packages
    python -m benchmarks.infill_truth --languages go,rust --holes 2000 --seed 1 --under FOLDER
    python -m benchmarks.infill_truth --languages all --holes 200 --written crlf

Whole files are those that tree-sitter finds no error in. `known`: the text left of the hole could be read. `fits` knows nothing
of errors, so it is asked of whole files only. The judge is asked of the hole as `complete` sees it, with the word around the
cursor. A number is of holes accepted of how many. Some truths the judge refuses by rule, and they are counted apart, told by new
parses:

takes in    a comment, string or heredoc begins in it and goes on in the text right of the hole. Where that reads as code with a
            placeholder, an answer mustn't take it away, unless what ends the comment or string stands there and ends nothing else
own errors  in a file with errors: it leads to an ERROR or MISSING node that the file doesn't have with the placeholder, and that
            touches it: there is something wrong with the truth itself
new errors  the same, but none of these nodes touches it

In a file with errors, those on the hole's line are put up with as in `complete`: where none of the texts that may mend it does.

Groups are two or three holes of one whole file: the judge is asked in the order in which `complete` fills several regions, first
with placeholders in those that come later, then with all others filled; `fits` of all at once. Each refusal is printed with --show.
"""

from __future__ import annotations

import argparse
import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from benchmarks.infill_holes import Cut, apart, changed, cuts, error_nodes, errors, files, takes_in
from dgemma_constrain.infill.edge import Edge, warm_up
from dgemma_constrain.infill.hole import Hole, find
from dgemma_constrain.infill.judge import Judge
from dgemma_constrain.infill.languages import KNOWN
from dgemma_constrain.infill.regions import joined, kept, placeholders

COLUMNS = {
    "known": "known", "alive": "alive", "fits": "fits", "judge": "judge", "takes in": "judge, where it takes in",
    "rest": "judge, with errors", "new errors": "judge, new errors", "own errors": "judge, own errors", "fits of all": "groups: fits", "judge of all": "groups: judge", "in turn": "groups: in turn",
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--languages", default="python", help="comma-separated, or all")
    parser.add_argument("--holes", type=int, default=1000, help="in a language")
    parser.add_argument("--each", type=int, default=8, help="in a file")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--under", action="append", type=Path, default=[])
    parser.add_argument("--written", choices=("crlf", "bom", "u2028"), help="change the files so")
    parser.add_argument("--show", action="store_true")
    options = parser.parse_args()
    names = [known.name for known in KNOWN] if options.languages == "all" else options.languages.split(",")
    warm_up()
    print("| language | files | " + " | ".join(COLUMNS.values()) + " | s |\n" + "|---" * (3 + len(COLUMNS)) + "|")
    for language, found in files(names, -(-options.holes // options.each), options.seed, options.under).items():
        began, draw, n = time.monotonic(), random.Random(options.seed), Counter()
        for path, text in found:
            if options.written:
                text = changed(language, text, options.written, draw)
            whole = not errors(language, text)
            groups = [[cut] for cut in cuts(language, text, options.each, draw)]
            if whole:
                groups += apart(language, text, options.each // 4, 2 + len(text) % 2, draw)
            for group in groups:
                said = list((in_one_place if len(group) == 1 else in_several)(language, group, whole))
                n.update(said)
                refused = [what for what, accepted in said if not accepted]
                if refused and options.show:
                    shown = [(cut.what, cut.before[-50:], cut.middle[:160], cut.after[:50]) for cut in group]
                    print(f"  {'+'.join(refused)} {path}:{group[0].before.count(chr(10)) + 1} {shown}")
        row = [_share(n[what, True], n[what, True] + n[what, False]) for what in COLUMNS]
        print("|", " | ".join([language, str(len(found)), *row, f"{time.monotonic() - began:.0f}"]), "|", flush=True)


def in_one_place(language: str, group: list[Cut], whole: bool) -> Iterator[tuple[str, bool]]:
    """What was asked of a truth, and whether it was accepted."""
    cut = group[0]
    hole = find(cut.before + cut.after, len(cut.before))
    now = hole.head + hole.tail
    judge = Judge(language, hole.before, hole.after, now)
    truth = hole.head + cut.middle + hole.tail
    clean = judge.verdict(truth).clean
    if not whole:
        if not clean and not any(judge.verdict(text).clean for text in judge.repairs()):
            judge.forgive()
            clean = judge.verdict(truth).clean
        yield _with_errors(language, hole, truth, judge.placeholder), clean
        return
    yield ("takes in" if takes_in(language, cut) else "judge"), clean
    before, middle, after = (part.encode() for part in cut[:3])
    edge = Edge(language, before)
    yield "known", edge.known
    if edge.known:
        yield "alive", bool(edge.alive(middle))
        yield "fits", edge.fits(middle, after) is not False


def in_several(language: str, group: list[Cut], whole: bool) -> Iterator[tuple[str, bool]]:
    """The same of several truths together, none of which takes in what lies right of it."""
    if any(takes_in(language, cut) for cut in group):
        return
    text = "".join(group[0][:3])
    pieces = kept(text, [(len(cut.before), len(cut.before) + len(cut.middle)) for cut in group])
    truths = [cut.middle for cut in group]
    source, places = joined(pieces, [""] * len(group))
    unwritten = placeholders(language, source, places)
    first = [_alone(language, pieces, [*truths[:k], *unwritten[k:]], k, truths[k]) for k in range(len(group))]
    again = [_alone(language, pieces, truths, k, truths[k]) for k in range(len(group) - 1)]
    yield "in turn", all(first + again)
    yield "judge of all", all(_alone(language, pieces, truths, k, truths[k]) for k in range(len(group)))
    edge = Edge(language, group[0].before.encode())
    behind = len(group[-1].before) + len(group[-1].middle)
    middle = text[len(group[0].before) : behind]
    yield "fits of all", edge.known and edge.fits(middle.encode(), text[behind:].encode()) is not False


def _alone(language: str, pieces: list[str], texts: list[str], k: int, truth: str) -> bool:
    source, places = joined(pieces, texts)
    hole = find(source, places[k])
    judge = Judge(language, hole.before, hole.after, hole.head + texts[k] + hole.tail)
    return judge.verdict(hole.head + truth + hole.tail).clean


def _with_errors(language: str, hole: Hole, truth: str, placeholder: str) -> str:
    """Whether the file as it was has an ERROR or MISSING node that it doesn't have with the placeholder, and touches the truth."""
    start, sides = len(hole.before.encode()), []
    for text in (truth, placeholder):
        stop = start + len(text.encode())
        nodes = error_nodes(language, hole.before + text + hole.after)
        sides.append(Counter())
        for (what, *ends), count in nodes.items():
            sides[-1][what, *((at >= stop, at - stop if at >= stop else at) for at in ends)] += count
    new = sides[0] - sides[1]
    if not new:
        return "rest"
    touching = any(
        (first[0] and first[1] == 0 or not first[0]) and (last[0] or last[1] >= start) for _, first, last in new
    )
    return "own errors" if touching else "new errors"


def _share(part: int, whole: int) -> str:
    return f"{part} of {whole}" if part < whole else str(whole)


if __name__ == "__main__":
    main()
