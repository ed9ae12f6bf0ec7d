"""What grammars cost: reading, unfolding and lifting them, and one denoising step on canvases of several lengths.

    python -m benchmarks.grammar                      # all bundled grammars; JSON lines on stdout, a table on stderr
    python -m benchmarks.grammar --grammars json arithmetic --lengths 64 256
    python -m benchmarks.grammar --no-peers --vocabulary-size 4096
    python -m benchmarks.grammar --unknown 40         # instead: how often `feasible` is None; 40 texts a source

Every time is the median of `--repeat` runs, in milliseconds, Python included. README.md says what each field means.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import Any, Callable, Iterator, TextIO

import torch

import dgemma_constrain as dc
from benchmarks.engine import PATIENCE, add_options, begin, milliseconds, print_line, random_logits
from benchmarks.peers import LLGuidance, installed, walk
from benchmarks.table import number, print_rows
from benchmarks.unknown import count_unknown
from dgemma_constrain.automata.encodings import utf8
from dgemma_constrain.automata.limits import Limits
from dgemma_constrain.canvas.canvas import Canvas
from dgemma_constrain.canvas.compiled import Compiled
from dgemma_constrain.constraints.grammar import bundled, rules
from dgemma_constrain.constraints.grammar.constraint import Grammar
from dgemma_constrain.constraints.nesting import Language
from dgemma_constrain.errors import ConstraintError, Infeasible
from dgemma_constrain.tokens import Vocabulary
from dgemma_constrain.tokens.lift import lift

AIMED = ("json", "arithmetic", "sql", "python_expression")
AIMS = {64: 50, 256: 500}  # canvas -> milliseconds a step
STEP = ("allowed_ms", "best_ms")  # what the aims hold for
DEPTHS = (1, 2, 4, 8, 16, 32, 64)
DEPTH_LENGTH = 64  # the canvas that shows the cost of depth
DEPTH_LIMITS = Limits(states=100_000, seconds=PATIENCE)
TRIES, TRYING = 200, 2.0  # reject-and-retry ends after so many tries, or seconds
WARM_UP = 'start: "(" start ")" | /[a-z]+/'


def timed(call: Callable[[], Any], repeat: int) -> tuple[Any, float]:
    """What the last of the calls returned, and their median time."""
    last: list[Any] = []

    def keep() -> None:
        last[:] = [call()]

    median = milliseconds(keep, repeat)
    return last[0], median


def measure(
    source: str,
    vocabulary: Vocabulary,
    logits: torch.Tensor,
    lengths: list[int],
    repeat: int,
    peers: dict[str, Any] | None,
) -> Iterator[dict[str, Any]]:
    """A line's fields, as they become known. Raises ConstraintError where a grammar goes no further."""
    constraint, read_ms = timed(lambda: dc.grammar(source), repeat)
    yield {"read_ms": read_ms}
    for name, engine in (peers or {}).items():
        yield {name: engine.measure(source, constraint.grammar, repeat)}
    compiled, found = prepare(constraint, None, vocabulary, Limits(), repeat)
    yield found
    if compiled.machine is None:
        yield {"depths": depths(compiled.constraint, vocabulary, logits[:DEPTH_LENGTH], repeat)}
    yield {"steps": [s for n in lengths for s in steps(compiled, logits[:n], repeat, peers)]}


def prepare(
    constraint: Grammar, max_depth: int | None, vocabulary: Vocabulary, limits: Limits, repeat: int
) -> tuple[Compiled, dict[str, Any]]:
    """Unfold, or make a cover to search under; spell in bytes, lift."""

    def unfold() -> tuple[Grammar, Language]:
        again = Grammar(constraint.grammar, max_depth)  # what is unfolded stays with its constraint
        return again, again.language(limits)

    def ready() -> Compiled:
        compiled = Compiled(lift(over_bytes, vocabulary, limits), vocabulary, constraint, machine=machine)
        compiled.canvas(0)
        return compiled

    (constraint, (dfa, machine)), unfold_ms = timed(unfold, repeat)
    over_bytes, bytes_ms = timed(lambda: utf8(dfa, limits), repeat)
    compiled, lift_ms = timed(ready, repeat)
    automaton = compiled.automaton
    network, network_ms = timed(lambda: Compiled(automaton, vocabulary, constraint, machine=machine).network, 1)
    return compiled, {
        "engine": "search" if machine is not None else "finite" if network is None else "chart",
        "network_ms": network_ms,
        "depth": constraint.depth(limits) if machine is None else None,
        "unfold_ms": unfold_ms,
        "bytes_ms": bytes_ms,
        "lift_ms": lift_ms,
        "byte_states": len(over_bytes.table),
        "states": automaton.states,
        "classes": automaton.class_count,
        "transitions": len(automaton.symbols),
        "memory_bytes": automaton.nbytes,
    }


def depths(constraint: Grammar, vocabulary: Vocabulary, logits: torch.Tensor, repeat: int) -> list[dict[str, Any]]:
    """What each depth of nesting costs, until one is too much; nothing where there is no nesting."""
    found: list[dict[str, Any]] = []
    for depth in DEPTHS if constraint.depth() is not None else ():
        line: dict[str, Any] = {"depth": depth, "length": len(logits)}
        found.append(line)
        try:
            compiled, costs = prepare(constraint, depth, vocabulary, DEPTH_LIMITS, 1)
            line |= {k: costs[k] for k in ("unfold_ms", "lift_ms", "states", "transitions", "memory_bytes")}
            line["best_ms"] = milliseconds(lambda: compiled.canvas(len(logits)).best(logits), repeat)
        except Infeasible as reason:  # at a greater depth there may be a text of this length
            line["infeasible"] = str(reason)
        except ConstraintError as error:
            line["error"] = f"{type(error).__name__}: {error}"
            break
    return found


def steps(compiled: Compiled, logits: torch.Tensor, repeat: int, peers: dict[str, Any] | None) -> list[dict[str, Any]]:
    """One denoising step with everything masked, with a random half, and with a quarter amid a sample's text."""
    length = len(logits)
    generator = torch.Generator().manual_seed(length)
    try:
        ids = compiled.canvas(length).sample(logits, generator=generator).ids
    except Infeasible as reason:
        return [{"length": length, "infeasible": str(reason)}]
    hole = max(0, compiled.vocabulary.text_length(ids) - length // 4) // 2
    masked = {
        "all": range(length),
        "half": torch.randperm(length, generator=generator)[: length - length // 2].tolist(),
        "hole": range(hole, hole + length // 4),
    }
    found = []
    for name, positions in masked.items():
        pinned = {i: ids[i] for i in sorted({*range(length)} - {*positions})}
        line, text = step(compiled, logits, pinned, repeat)
        line = {"length": length, "masked": name, "pinned": len(pinned)} | line
        if peers is not None:
            line |= {peer: engine.check(text, repeat) for peer, engine in peers.items() if engine.matcher}
            line["retry"] = reject_and_retry(compiled.canvas(length, pinned), logits, generator)
        found.append(line)
    return found


def step(
    compiled: Compiled, logits: torch.Tensor, pinned: dict[int, int], repeat: int
) -> tuple[dict[str, Any], list[int]]:
    """Every question of a step, each asked of a canvas of its own, so that making it is in each time; the best text."""

    def fresh() -> Canvas:
        return compiled.canvas(len(logits), pinned)

    found = fresh().best(logits)
    best = found.ids
    text = best[: compiled.vocabulary.text_length(best)]
    questions = {
        "canvas_ms": fresh,
        "feasible_ms": lambda: fresh().feasible,
        "allowed_ms": lambda: fresh().allowed(),
        "best_ms": lambda: fresh().best(logits),
    }
    times = {k: milliseconds(call, repeat) for k, call in questions.items()}
    return {"feasible": fresh().feasible, "proved": found.proved, "text_tokens": len(text)} | times, text


def reject_and_retry(canvas: Canvas, logits: torch.Tensor, generator: torch.Generator) -> dict[str, Any]:
    """Draw each position for itself from what the exact mask allows there, until the whole is valid or time is up."""
    began = time.perf_counter()
    chances = logits.masked_fill(~canvas.allowed(), -torch.inf).softmax(1)
    drawn = torch.multinomial(chances, TRIES, replacement=True, generator=generator).T.tolist()
    drawing = time.perf_counter()
    tries, valid = 0, False
    while not valid and tries < TRIES and time.perf_counter() - drawing < TRYING:
        valid = is_valid(canvas.compiled, drawn[tries])
        tries += 1
    return {"valid": valid, "tries": tries, "retry_ms": 1e3 * (time.perf_counter() - began)}


def is_valid(compiled: Compiled, ids: list[int]) -> bool:
    """Whether a filled canvas is a text, then only end and pad ids."""
    vocabulary = compiled.vocabulary
    end = vocabulary.text_length(ids)
    if vocabulary.special[ids[:end]].any() or not {*ids[end:]} <= {*vocabulary.eos_ids, vocabulary.pad_id}:
        return False
    try:
        return compiled.constraint.matches(vocabulary.decode_bytes(ids[:end]).decode())
    except UnicodeDecodeError:
        return False


class LLGuidanceLark(LLGuidance):
    """llguidance with a grammar in its dialect of Lark: our file, or, if refused, the same rules put plainly."""

    def __init__(self, vocabulary: Vocabulary):
        super().__init__(vocabulary)
        self.vocabulary = vocabulary

    def measure(self, source: str, read: rules.Grammar, repeat: int) -> dict[str, Any]:
        """{"notation", "compile_ms"}, and "error" where it takes neither; "refused": why not the file as it is."""
        found: dict[str, Any] = {}
        texts = {"file": bundled()[source].read_text("utf-8") if source in bundled() else source, "plain": plain(read)}
        for notation, text in texts.items():
            try:
                self.compile(text)
            except ValueError as error:
                self.matcher = None
                found["refused" if notation == "file" else "error"] = str(error)[:300]
            else:
                return found | {"notation": notation, "compile_ms": milliseconds(lambda: self.compile(text), repeat)}
        return found

    def compile(self, text: str) -> None:
        text = '%llguidance {"allow_initial_skip": true}\n' + text  # what is ignored may also stand at the beginning
        self.matcher = self.matcher_type(self.tokenizers["regex"], self.matcher_type.grammar_from_lark(text))
        if self.matcher.is_error():
            raise ValueError(self.matcher.get_error())

    def check(self, ids: list[int], repeat: int) -> dict[str, Any]:
        """A text from left to right: the mask of each position, its token, a last mask at the end; the tokens alone."""
        bits = torch.full((len(ids) + 1, -(-len(self.vocabulary) // 32)), -1, dtype=torch.int32)

        def masks() -> None:
            walk(self, bits, self.vocabulary, ids)

        def tokens() -> bool:
            self.start()
            return self.matcher.consume_tokens(ids) and self.matcher.is_accepting()

        try:
            first = milliseconds(masks, 1)  # before its caches are warm
            if not tokens():
                raise ValueError(f"refuses the end of {self.vocabulary.decode(ids)!r}")
        except (RuntimeError, ValueError) as error:
            return {"error": str(error)[:300]}
        return {
            "first_masks_ms": first,
            "masks_ms": milliseconds(masks, repeat),
            "tokens_ms": milliseconds(tokens, repeat),
        }


def plain(read: rules.Grammar) -> str:
    """A grammar as we read it, in Lark's notation without templates, imports and priorities."""

    def name(symbol: int) -> str:
        return f"T{symbol}" if symbol >= 0 else f"r{~symbol}"

    bodies: dict[int, list[str]] = {}
    for rule in read.rules:
        bodies.setdefault(rule.head, []).append(" ".join(map(name, rule.body)) or '""')
    lines = [f"start: r{read.start}"]
    lines += [f"r{head}: {' | '.join(alternatives)}" for head, alternatives in bodies.items()]
    for k, terminal in enumerate(read.terminals):
        pattern = terminal.pattern.replace("(?ai:", "(?i:").replace("\\/", "/").replace("/", "\\/")
        lines.append(f"T{k}: " + (json.dumps(terminal.pattern) if terminal.literal else f"/{pattern}/{terminal.flags}"))
    return "\n".join(lines + [f"%ignore T{k}" for k in read.ignore])


def print_table(lines: list[dict[str, Any]], lengths: list[int], out: TextIO) -> None:
    """One row a grammar, milliseconds: `best` on each canvas; the rest on the longest."""
    longest = max(lengths)
    head = ["grammar", "read", "unfold", "lift", "depth", "states", "classes", *(f"best {n}" for n in lengths)]
    head += ["half", "hole", "llguidance masks", "tokens", f"retry of {TRIES}"]
    print(f"\nms; `best` fully masked; half, hole, llguidance and retry: canvas of {longest}", file=out)
    rows = []
    for line in lines:
        found = {(s["length"], s["masked"]): s for s in line.get("steps", ()) if "masked" in s}
        free = found.get((longest, "all"), {})
        judged, retry = free.get("llguidance", line.get("llguidance", {})), free.get("retry")
        row = [line["grammar"], *(number(line.get(k)) for k in ("read_ms", "unfold_ms", "lift_ms"))]
        row += ["search" if line.get("engine") == "search" else f"{line.get('depth', '–')}".replace("None", "all")]
        row += [f"{line.get(k, '–')}" for k in ("states", "classes")]
        row += [number(found.get((n, "all"), {}).get("best_ms")) for n in lengths]
        row += [number(found.get((longest, k), {}).get("best_ms")) for k in ("half", "hole")]
        row += ["refused" if "error" in judged else number(judged.get("masks_ms")), number(judged.get("tokens_ms"))]
        row += ["–" if retry is None else f"{retry['tries']}" if retry["valid"] else "none"]
        rows.append(row)
    print_rows(head, rows, 18, out)
    print(aims(lines), file=out)


def aims(lines: list[dict[str, Any]]) -> str:
    """The slowest of `allowed` and `best`, whatever is masked, beside what it should be."""
    found = []
    for line in lines:
        if line["grammar"] in AIMED:
            slowest = {
                n: max(
                    (s[k] for s in line.get("steps", ()) if s["length"] == n and "masked" in s for k in STEP),
                    default=None,
                )
                for n in AIMS
            }
            verdicts = (
                "–" if v is None else f"{number(v)} ({'yes' if v < AIMS[n] else 'no'})" for n, v in slowest.items()
            )
            found.append(f"{line['grammar']} " + ("failed" if "error" in line else ", ".join(verdicts)))
    wanted = ", ".join(f"canvas of {n} under {aim}" for n, aim in AIMS.items())
    return f"aims, ms a step ({wanted}): " + ("; ".join(found) or "nothing measured that has one")


def arguments(argv: list[str] | None) -> argparse.Namespace:
    names = list(bundled())
    parser = argparse.ArgumentParser(prog="python -m benchmarks.grammar", description=__doc__.split("\n")[0])
    parser.add_argument("--grammars", nargs="+", choices=names, metavar="NAME", default=names, help=", ".join(names))
    parser.add_argument("--unknown", type=int, metavar="TEXTS", help="count holes where `feasible` is None")
    add_options(parser, [32, 64, 128, 256], 5, "llguidance and reject-and-retry")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    options = arguments(argv)
    versions = {name: number for name, number in installed().items() if name == "llguidance" and not options.no_peers}
    vocabulary = begin(options, versions)
    if options.unknown:
        for name in options.grammars:
            for line in count_unknown(name, vocabulary, options.unknown):
                print_line(line)
        return
    peers = None if options.no_peers else {name: LLGuidanceLark(vocabulary) for name in versions}
    logits = random_logits(max(DEPTH_LENGTH, *options.lengths), vocabulary)
    for _ in measure(WARM_UP, vocabulary, logits, options.lengths, 1, peers):  # the first call of a kernel loads it
        pass
    lines = []
    for name in options.grammars:
        line: dict[str, Any] = {"grammar": name}
        try:
            for found in measure(name, vocabulary, logits, options.lengths, options.repeat, peers):
                line |= found
        except ConstraintError as error:
            line["error"] = f"{type(error).__name__}: {error}"
        print_line(line)
        lines.append(line)
    print_table(lines, options.lengths, sys.stderr)


if __name__ == "__main__":
    main()
