"""What a renoising model is given: marginals with the best string on top, in a dtype as small as the logits'."""

import itertools

import pytest
import torch
from denoisers import words_vocabulary

import dgemma_constrain as dc
from dgemma_constrain.canvas.posterior import LEAD, NEVER, above, put_on_top
from dgemma_constrain.diffusion.raised import dtype_for, raise_rows, raised

TEMPERATURES = [1.0, *torch.linspace(0.05, 3, 60).tolist()]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_what_is_above_stays_above_through_rounding_and_any_temperature(dtype):
    whole = torch.arange(-(2**16), 0, dtype=torch.int32) << 16  # every bfloat16 below zero … and between
    below = (whole[:, None] + torch.arange(0, 2**16, 2**13, dtype=torch.int32)).flatten().view(torch.float32)
    below = torch.cat([below[(below >= NEVER) & (below < 0)], torch.zeros(1)])
    assert len(below) > 200_000
    top = above(below, dtype)
    assert (top - below >= LEAD * 0.8).all()
    for t in TEMPERATURES:
        high, low = (x.to(dtype) / torch.tensor(t) for x in (top, below))
        assert high.dtype == dtype and (high > low).all() and high.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_a_row_that_is_all_alike_has_its_id_on_top(dtype):
    for value in (-torch.inf, -40.0, -3.0, -1e-7, 0.0):
        values = torch.full((3, 50), value)
        values[:, 7] = 0.0
        put_on_top(torch.tensor([7, 3, 49]), values, dtype)
        assert values.to(dtype).argmax(1).tolist() == [7, 3, 49] and (values >= NEVER).all()


def cases():
    vocabulary = words_vocabulary()
    for seed, (constraint, given) in itertools.product(range(4), [
        (dc.regex("[a-c]{2,4}x?"), dict(length=5)),
        (dc.choice(["1.", ".1", "10", "01.10"]), dict(length=6, tail="any")),
        (dc.regex("(ab|the )*[0-9]+"), dict(length=7, tail="any", more_tokens=2)),
        (dc.grammar('start: "(" start ")" | "x"'), dict(length=6, tail="any")),
        (dc.text(), dict(length=9, pinned={2: 70})),
    ]):  # fmt: skip
        canvas = dc.compile(constraint, vocabulary).canvas(**given)
        generator = torch.Generator().manual_seed(seed)
        flat = 10.0 ** (1 - seed)  # the flatter, the closer what is best is to what isn't
        yield canvas, flat * torch.randn(canvas.length, len(vocabulary), generator=generator)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float16, torch.float64])
def test_the_answer_is_as_large_as_the_logits_and_its_argmax_is_the_best_string(dtype):
    for canvas, logits in cases():
        logits = logits.to(dtype)
        out, ids, logp = raised(canvas, logits)
        assert out.dtype == dtype_for(logits) == (torch.bfloat16 if dtype == torch.bfloat16 else torch.float32)
        assert ids == canvas.best(logits).ids and canvas.with_pins(dict(enumerate(ids))).feasible
        assert out.isfinite().all() and logp <= 0
        for t in TEMPERATURES:
            first, second = (out / torch.tensor(t)).topk(2, 1).values.T
            assert (first > second).all() and (out / torch.tensor(t)).argmax(1).tolist() == ids
        allowed = canvas.allowed()
        assert (out[~allowed] == NEVER).all()
        assert (out / 0.4).softmax(-1, dtype=torch.float32)[~allowed].eq(0).all()  # what isn't allowed is never drawn
        others = allowed.scatter(1, torch.tensor(ids)[:, None], False)
        assert torch.equal(out[others], canvas.marginals(logits)[others].clamp_min(NEVER).to(out.dtype))


def test_rows_are_written_where_they_belong_also_in_inference_mode():
    vocabulary = words_vocabulary()
    compiled = dc.compile(dc.regex("[a-z]{4}"), vocabulary)
    canvases = [
        compiled.canvas(4),
        None,
        compiled.canvas(4, {0: vocabulary.encode("q")[0]}),
        dc.compile("x" * 9, vocabulary).canvas(4),
    ]
    logits = torch.randn(4, 4, len(vocabulary)).bfloat16()
    with torch.inference_mode():
        for out in (torch.empty(logits.shape, dtype=logits.dtype), torch.empty(logits.shape)):
            failed = raise_rows(canvases, logits, out)
            assert list(failed) == [3] and torch.equal(out[1], logits[1].to(out.dtype))
            for row in (0, 2):
                assert out[row].argmax(1).tolist() == canvases[row].best(logits[row]).ids


def test_the_device_path_of_what_has_no_kernels_gives_the_same(monkeypatch):
    from dgemma_constrain.canvas import logits as reductions

    for dtype in (torch.bfloat16, torch.float32):
        for canvas, logits in cases():
            host = raised(canvas, logits.to(dtype))
            with monkeypatch.context() as patched:
                patched.setattr(reductions, "HostLogits", reductions.DeviceLogits)
                there = raised(canvas, logits.to(dtype))
            assert there[0].dtype == dtype and there[0].argmax(1).tolist() == there[1]
            assert torch.equal(there[0] == NEVER, host[0] == NEVER)
            assert dtype != torch.float32 or there[1] == host[1]
