"""The forward pass for CPUs computes what the network says, whatever else is in the batch."""

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from dgemma_constrain.models.embedded import forward, load_embedded  # noqa: E402
from dgemma_constrain.models.embedded.forward import Forward  # noqa: E402
from dgemma_constrain.models.embedded.network import MASK, Denoiser, Shape  # noqa: E402

SHAPES = [
    Shape(vocabulary=53, width=24, layers=3, heads=2, hidden=20, pointer=8, context=48),
    Shape(vocabulary=300, width=64, layers=1, heads=4, hidden=96, pointer=16, context=64, softcap=5.0),
]


def wild(shape: Shape, seed: int) -> Denoiser:
    """A network in which nothing is zero or one, so that everything matters."""
    torch.manual_seed(seed)
    network = Denoiser(shape)
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.7 if parameter.dim() == 1 else 2 * parameter.shape[-1] ** -0.5)
    return network.eval()


def questions(shape: Shape, seed: int, lengths) -> tuple[list[list[int]], list[tuple[int, int]]]:
    """Texts with a canvas somewhere, at an edge, or all of it; partly masked."""
    generator = torch.Generator().manual_seed(seed)
    texts, spans = [], []
    for k, length in enumerate(lengths):
        ids = torch.randint(0, shape.vocabulary, (length,), generator=generator)
        start = [0, length // 3, length - 1][k % 3]
        stop = [length, 2 * length // 3 + 1, length][k % 3]
        ids[start:stop][torch.rand(stop - start, generator=generator) < 0.6] = MASK
        texts.append(ids.tolist())
        spans.append((start, stop))
    return texts, spans


@torch.no_grad()
def reference(network: Denoiser, text: list[int], span: tuple[int, int]) -> torch.Tensor:
    ids, places = torch.tensor([text]), torch.arange(len(text))[None]
    canvas = (places >= span[0]) & (places < span[1])
    return network.log_probabilities(network.hidden(ids, canvas), torch.arange(*span)[None], ids)[0]


@pytest.mark.parametrize("shape", SHAPES, ids=["narrow", "wide"])
@pytest.mark.parametrize("seed", range(3))
def test_in_float32_it_is_the_network(shape, seed):
    network = wild(shape, seed)
    texts, spans = questions(shape, seed, [1, 2, 3, 17, shape.context, 31, 5])
    for found, text, span in zip(Forward(network)(texts, spans), texts, spans, strict=True):
        wanted = reference(network, text, span)
        assert found.shape == wanted.shape and found.dtype == torch.float32
        assert torch.allclose(found, wanted, atol=2e-3)
        assert torch.allclose(found.exp(), wanted.exp(), atol=1e-5)


def test_of_the_model_that_ships_too():
    model = load_embedded(dtype=torch.float32)
    before, _ = model.frame("json {name: string, age: integer}\nAnna Keller, 34, moved to Zurich last spring.")
    texts, spans = [before + [MASK] * 48, model.encode('{"name": "Anna')], [(len(before), len(before) + 48), (2, 4)]
    for found, text, span in zip(model.forward(texts, spans), texts, spans):
        assert torch.allclose(found, reference(model.network, text, span), atol=1e-4)


def test_in_bfloat16_it_is_no_further_from_the_exact_result_than_the_network():
    exact, rounded = (load_embedded(dtype=dtype) for dtype in (torch.float32, torch.bfloat16))
    before, _ = exact.frame("json {total: number, due: date}\nCustomer;Total;Due\nTom Vrassik;$1204.50;3 October 2026")
    text, span = before + [MASK] * 48, (len(before), len(before) + 48)
    wanted = reference(exact.network, text, span)
    errors = [
        (answer - wanted).abs().mean().item()
        for answer in (rounded.forward([text], [span])[0], reference(rounded.network, text, span))
    ]
    assert 0 < errors[0] < 1.1 * errors[1] < 0.2


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_text_is_answered_as_if_alone(dtype):
    model = load_embedded(dtype=dtype)
    texts, spans = questions(model.network.shape, 4, [40, 71, 300, 71, 9])
    together = model.forward(texts, spans)
    for one, text, span in zip(together, texts, spans):
        assert torch.allclose(one, model.forward([text], [span])[0], atol=1e-4 if dtype == torch.float32 else 1e-2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_where_torch_has_no_packed_products_the_plain_ones_do(dtype, monkeypatch):
    def unknown(packed, x):
        raise NotImplementedError

    network = wild(SHAPES[1], 0).to(dtype)
    texts, spans = questions(SHAPES[1], 5, [30, 12])
    packed = Forward(network)(texts, spans)
    monkeypatch.setattr(forward, "_by_packed", unknown)
    for one, other in zip(packed, Forward(network)(texts, spans), strict=True):
        assert torch.allclose(one.exp(), other.exp(), atol=1e-5 if dtype == torch.float32 else 5e-2)


def test_another_dtype_is_an_error():
    with pytest.raises(TypeError, match="float16"):
        Forward(Denoiser(SHAPES[0]).half())
