"""Compiling the kernels ahead of their first use.

The kernels are Python that numba compiles when they are first called, and keeps on disk from then on. The first call on
a machine therefore takes some 40 seconds that no later one does; a program that has somebody waiting says so first.
"""

from __future__ import annotations

import gc
import hashlib
import os
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import dgemma_constrain as dc
from dgemma_constrain.cache import folder


def kernels_are_cold(stage: str = "kernels") -> bool:
    """Whether `warm_up` hasn't run yet with this package, numba, Python and place for compiled kernels.

    Quick, and no more than a hint: numba itself decides what it must compile.
    """
    return not _stamp(stage).exists()


def warm_up(report: Callable[[int, int], None] | None = None, stage: str = "kernels") -> None:
    """Call every kernel once on something tiny; or those of the "search" and of charts, which only grammars need; or those
    that complete "code".

    `report(done, of)` is called between the parts.
    """
    parts = {
        "kernels": [_automata, _algebra, _constraints, _grammar, _lift, _canvas, _rare, _model],
        "search": [_chart, _search],
        "code": [_recogniser, _code],
    }[stage]
    thresholds = gc.get_threshold()
    gc.set_threshold(50_000)  # compilers make many small objects: a tenth of the time would go into looking for garbage
    try:
        for done, part in enumerate(parts):
            if report is not None:
                report(done, len(parts))
            part()
    finally:
        gc.set_threshold(*thresholds)
    if report is not None:
        report(len(parts), len(parts))
    try:
        folder().mkdir(parents=True, exist_ok=True)
        _stamp(stage).touch()
    except OSError:
        pass  # it will be announced again, that's all


def _stamp(stage: str) -> Path:
    compiled = os.environ.get("NUMBA_CACHE_DIR", Path(__file__).parent)
    what = f"{dc.__version__} {version('numba')} {sys.version} {compiled}"
    return folder() / f"{stage}-{hashlib.sha256(what.encode()).hexdigest()[:16]}"


def _automata() -> None:
    dc.regex("a[b-z]{1,9}|é").explain("abc!")


def _algebra() -> None:
    either = dc.literal("ab") | dc.regex("[a-z]{2}")
    (either & ~dc.literal("cd") & dc.contains("b")).matches("ab")


def _constraints() -> None:
    dc.substring("one two two").matches("two")
    dc.template("{n}+{n}={m}", n=dc.choice(["1", "2"]), m=dc.regex(r"\d").repeat(1, 6)).fields("1+1=2")
    schema = {"type": "object", "properties": {"n": {"type": "integer"}, "s": {"type": "string"}}}
    dc.json_schema(schema).matches('{"n": 3, "s": "t"}')


def _grammar() -> None:
    dc.grammar('start: NAME "(" (start ("," start)*)? ")" | NAME | "1" ".." "2"\nNAME: /[a-z]+/\n%ignore " "').dfa()


def _vocabulary(**options) -> dc.Vocabulary:
    tokens = [bytes([b]) for b in range(256)] + [b"ab", b" a", None, None, None]
    return dc.Vocabulary(tokens, eos_id=258, pad_id=259, mask_id=260, **options)


def _lift() -> None:
    vocabulary = _vocabulary()
    vocabulary.decode(vocabulary.encode("ab ab"))
    dc.compile(dc.regex("(ab| a|é){1,3}"), vocabulary, cache=False)
    dc.compile(dc.regex("(ab| a|é){1,3}"), _vocabulary(strips_leading_space=True), cache=False)


def _canvas() -> None:
    import torch

    canvas = dc.compile(dc.regex("(ab| a|é){1,3}"), _vocabulary(), cache=False).canvas(6)
    logits = torch.zeros(6, 261)
    canvas.allowed()
    canvas.mask_(logits.clone())
    canvas.sample(logits)
    canvas.marginals(logits)
    canvas.posterior(logits).of(canvas.best(logits).ids)


def _rare() -> None:
    """What is only needed by long runs of similar states, by tokens that lead nowhere, by probabilities very far apart,
    and by pins that contradict each other."""
    import torch

    dc.compile(dc.regex("(?s:.{80})"), _vocabulary(), cache=False)
    dc.compile(dc.regex("a(bc)?"), dc.Vocabulary([b"a", b"ab", None], eos_id=2), cache=False)
    canvas = dc.compile(dc.choice(["ax", "by"]), _vocabulary(), cache=False).canvas(2)
    logits = torch.zeros(2, 261)
    logits[0, ord("b")] = logits[1, ord("x")] = -5000.0
    canvas.sample(logits)
    canvas.marginals(logits)
    try:
        canvas.with_pins({0: ord("a"), 1: ord("y")}).check()
    except dc.Infeasible:
        pass


def _model() -> None:
    import torch

    model = dc.load().denoiser
    model.logits(torch.full((1, 4), model.vocabulary.mask_id), 1, 3)


def _chart() -> None:
    import torch

    compiled = dc.compile(
        dc.grammar('start: NAME "(" (start ("," start)*)? ")" | NAME\nNAME: /[a-z]+/'), _vocabulary(), cache=False
    )
    canvas = compiled.canvas(6)
    canvas.allowed()
    canvas.best(torch.zeros(6, 261))
    canvas.sample(torch.zeros(6, 261))
    canvas.marginals(torch.zeros(6, 261))


def _search() -> None:
    import torch

    logits = torch.zeros(6, 261)
    for source in (
        'start: NAME "(" (start ("," start)*)? ")" | NAME\nNAME: /[a-z]+/\n%ignore " "',
        'root ::= "a" root "b" | "c"',
    ):
        compiled = dc.compile(dc.grammar(source), _vocabulary(), cache=False).deeper
        canvas = compiled.canvas(6)
        canvas.best(logits)
        canvas.sample(logits)
        compiled.canvas(2, more_tokens=1).check()
        compiled.canvas(6)._guide
    nested = dc.template("<{n}>", n=dc.grammar('root ::= "a" root "b" | "c"'))
    nested.matches("<acb>")
    dc.compile(nested, _vocabulary(), cache=False).deeper.canvas(6)._guide


def _recogniser() -> None:
    from dgemma_constrain.infill.edge import Edge

    Edge("python", b"x = ").fits(b"1", b"\n")


def _code() -> None:
    dc.infill.complete("x = \n", 4, "python", budget=60_000, steps=1)
