"""The step on a GPU, on Triton's interpreter: kernels and buffers are the same, without a GPU and without speed.

What the CPU says of the same logits is the oracle; that one is held against brute force in test_canvas.py.
"""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

needs_triton = pytest.mark.skipif(not find_spec("triton"), reason="Triton is not installed")

COMMON = """
import warnings
warnings.filterwarnings("ignore")
import torch
import dgemma_constrain as dc
from dgemma_constrain.canvas import device, logits as places
from dgemma_constrain.canvas.posterior import NEVER
from dgemma_constrain.diffusion.raised import dtype_for, raised, raise_rows
from denoisers import words_vocabulary

vocabulary = words_vocabulary()
here = places.on_device

def on_gpu(work):
    places.on_device = lambda logits: True
    try:
        return work()
    finally:
        places.on_device = here

def steps_of(canvas):
    return [graph._step for graph in canvas._graph.on_device.values()]

def noise(*shape, seed=0, dtype=torch.float32):
    return (4 * torch.randn(*shape, len(vocabulary), generator=torch.Generator().manual_seed(seed))).to(dtype)

def failure(work):
    try:
        work()
    except dc.ConstraintError as error:
        return type(error).__name__, str(error)
"""


def run(script):
    """In a process of its own: Triton decides at import whether it interprets."""
    environment = {**os.environ, "TRITON_INTERPRET": "1", "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
    done = subprocess.run([sys.executable, "-c", COMMON + script], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@needs_triton
def test_the_best_string_and_the_marginals_are_those_of_the_cpu():
    out = run("""
cases = [
    (dc.regex("[a-c]{2,4}x?"), dict(length=5), torch.float32),
    (dc.regex("(ab|the )*[0-9]+"), dict(length=7, tail="any", more_tokens=2), torch.bfloat16),
    (dc.choice(["left", "right", "not at all"]), dict(length=6, tail="any"), torch.float32),
    (dc.text(), dict(length=3), torch.float16),
]
for k, (constraint, arguments, dtype) in enumerate(cases):
    free = dc.compile(constraint, vocabulary).canvas(**arguments)
    logits = noise(free.length, seed=k, dtype=dtype)
    logits[0, ::3] = -torch.inf
    ids = free.sample(logits).ids
    for canvas in (free, free.with_pins({1: ids[1], free.length - 1: ids[-1]})):
        best, theirs = canvas.best(logits), on_gpu(lambda: canvas.best(logits))
        assert len(steps_of(canvas)) == 1 and steps_of(canvas)[0].length == canvas.length
        assert abs(best.score - theirs.score) < 1e-4 and canvas.with_pins(dict(enumerate(theirs.ids))).feasible
        assert dtype != torch.float32 or best.ids == theirs.ids
        for temperature in (1.0, 0.5):
            ours = canvas.marginals(logits, temperature)
            theirs = on_gpu(lambda: canvas.marginals(logits, temperature))
            possible = ours > -torch.inf
            assert torch.equal(possible, theirs > -torch.inf) and theirs.dtype == torch.float32
            assert (ours - theirs)[possible].abs().max() < 1e-4
        print("same")
""")
    assert out.split() == ["same"] * 8


@needs_triton
def test_rows_of_a_batch_with_different_starts_ends_and_pins():
    out = run("""
compiled = dc.compile(dc.regex("[a-z]{2}-[0-9]{1,9}"), vocabulary)
ids = [vocabulary.encode(c)[0] for c in "ab-12"]
canvases = [
    compiled.canvas(6, tail="any"),
    compiled.canvas(6, {1: ids[1]}, tail="any", more_tokens=4),
    None,
    compiled.canvas(6, tail="any", after=ids[:3]),
    compiled.canvas(6, {5: ids[4]}, tail="any", after=ids[:2]),
]
for seed in (1, 2):  # the second time in buffers that the first one left
    for kind in (torch.float32, torch.bfloat16):
        logits = noise(5, 6, seed=seed).to(kind)
        out = torch.full(logits.shape, torch.nan, dtype=dtype_for(logits))
        assert on_gpu(lambda: raise_rows(canvases, logits, out)) == {}
        assert torch.equal(out[2], logits[2].to(out.dtype)) and steps_of(canvases[0])[0].batch == 2
        for row in (0, 1, 3, 4):
            marginals, best, logp = raised(canvases[row], logits[row])
            ids, theirs = on_gpu(lambda: canvases[row].best(logits[row]).ids), out[row]
            assert kind != torch.float32 or ids == best  # where entries tie either is
            assert marginals.dtype == theirs.dtype == out.dtype and theirs.isfinite().all() and theirs.min() == NEVER
            possible = marginals > NEVER / 2
            assert torch.equal(possible, theirs > NEVER / 2)
            for temperature in (1.0, 0.4, 0.7, 0.8):
                first, second = (theirs / torch.tensor(temperature)).topk(2, 1).values.T
                assert (theirs / temperature).argmax(1).tolist() == ids and (first > second).all()
            exact = canvases[row].marginals(logits[row])
            others = possible.scatter(1, torch.tensor(ids)[:, None], False)
            off = (exact - theirs.float()).abs() - 1e-4  # the interpreter cuts off what a GPU rounds
            assert (off <= torch.finfo(out.dtype).eps * exact.abs())[others].all()
            alone = on_gpu(lambda: raised(canvases[row], logits[row]))
            assert torch.equal(alone[0], theirs) and alone[1] == ids and abs(alone[2] - logp) < 1e-3 + (ids != best)
print("same")
""")
    assert out == "same\n"


@needs_triton
def test_what_is_wrong_with_the_logits_is_said_as_on_the_cpu():
    out = run("""
compiled = dc.compile(dc.regex("[ab]{4}"), vocabulary)
canvas = compiled.canvas(4)
nan, inf, never = noise(4), noise(4), noise(4)
nan[2, 7], inf[1, 9] = torch.nan, torch.inf
never[3] = -torch.inf
for logits in (nan, inf, never, noise(3), noise(4)[:, 1:]):
    for ask in (canvas.best, canvas.marginals):
        ours, theirs = failure(lambda: ask(logits)), on_gpu(lambda: failure(lambda: ask(logits)))
        assert ours == theirs and ours is not None, (ours, theirs)
both = torch.stack([noise(4), never])
out = torch.empty(both.shape)
failed = on_gpu(lambda: raise_rows([canvas, compiled.canvas(4)], both, out))
assert list(failed) == [1] and out[0].argmax(1).tolist() == canvas.best(both[0]).ids
assert on_gpu(lambda: failure(lambda: raise_rows([canvas, canvas], torch.stack([never, nan]), out)))[0] == "LogitsError"
print("same")
""")
    assert out == "same\n"


@needs_triton
def test_what_is_no_finite_automaton_or_too_large_is_answered_as_before():
    out = run("""
nested = dc.compile(dc.grammar('start: "(" start ")" | "x"'), vocabulary).canvas(5)
assert not on_gpu(lambda: nested.runs_with(noise(5)))
assert nested.best(noise(5)).ids == on_gpu(lambda: nested.best(noise(5))).ids
large = dc.compile(dc.regex("[a-z]{600}"), vocabulary).canvas(600)
assert large._graph.states > 600 and not on_gpu(lambda: large.runs_with(noise(600)))
empty = dc.compile(dc.regex("a?"), vocabulary).canvas(0)
assert on_gpu(lambda: empty.best(noise(0))).ids == []
print("same")
""")
    assert out == "same\n"
