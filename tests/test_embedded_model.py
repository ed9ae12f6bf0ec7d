"""The embedded model: what its tokens are, what its logits promise, and that it reads what it was trained to read."""

import json
import subprocess
import sys

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("tokenizers")

from torch import nn  # noqa: E402

from dgemma_constrain.errors import ConstraintError  # noqa: E402
from dgemma_constrain.models.embedded import DATA, load_embedded  # noqa: E402
from dgemma_constrain.models.embedded.network import EOS, FLOOR, MASK, SPECIALS, Denoiser, Shape  # noqa: E402
from dgemma_constrain.models.embedded.prompts import choice_prompt, fill_prompt, record_prompt  # noqa: E402

PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "age": {"type": "integer"},
        "city": {"type": "string"},
        "email": {"type": "string", "format": "email"},
    },
    "required": ["name", "age", "city"],
}


@pytest.fixture(scope="module")
def model():
    return load_embedded()


def decode(model, before, after, length, steps=16):
    """Plain greedy masked decoding, without any constraint."""
    ids = torch.tensor([before + [MASK] * length + after])
    start, stop = len(before), len(before) + length
    for step in range(steps):
        masked = (ids[0, start:stop] == MASK).nonzero()[:, 0]
        if len(masked) == 0:
            break
        best, token = model.logits(ids, start, stop)[0, masked].max(-1)
        keep = best.topk(-(-len(masked) // (steps - step))).indices
        ids[0, start + masked[keep]] = token[keep]
    out = ids[0, start:stop].tolist()
    tokens = model.token_bytes()
    return b"".join(tokens[i] or b"" for i in (out[: out.index(EOS)] if EOS in out else out)).decode()


def test_every_single_byte_is_a_token(model):
    assert {bytes([b]) for b in range(256)} <= set(model.token_bytes())


def test_special_ids_add_no_text_and_no_text_encodes_to_one(model):
    assert model.token_bytes()[: len(SPECIALS)] == [None] * len(SPECIALS)
    assert min(model.encode("<mask><eos> <pad>\n<bos><sep>")) >= len(SPECIALS)


@pytest.mark.parametrize("text", ["Anna Keller", "naïve 🙂 日本", '{"a": [1,\n\t2]}', "\x00\x7f\r\n", ""])
def test_encoding_keeps_every_byte(model, text):
    tokens = model.token_bytes()
    assert b"".join(tokens[i] for i in model.encode(text)) == text.encode()


def test_a_value_has_the_same_tokens_in_a_sentence_and_in_json(model):
    value, sentence, record = (model.encode(s) for s in ("Zurich", "moved to Zurich last", '{"city": "Zurich"}'))
    assert set(value) <= set(sentence) and set(value) <= set(record)


def test_vocabulary_agrees_with_the_logits(model):
    vocabulary = model.vocabulary
    before, after = model.frame("copy hello")
    logits = model.logits(torch.tensor([before + [MASK] * 4 + after]), len(before), len(before) + 4)
    assert logits.shape == (1, 4, len(vocabulary))
    assert vocabulary.decode(model.encode("hello")) == "hello"


def test_logits_are_finite_normalised_float32_and_repeatable(model):
    before, _ = model.frame("json {a: string}\na is b")
    ids = torch.tensor([before + [MASK] * 8])
    first, second = (model.logits(ids, len(before), len(before) + 8) for _ in range(2))
    assert first.dtype == torch.float32 and torch.isfinite(first).all()
    assert torch.equal(first, second)
    assert torch.allclose(first.exp().sum(-1), torch.ones(1, 8), atol=1e-3)


def test_a_batch_gives_what_its_rows_give_alone(model):
    rows = [model.frame(p)[0] for p in ("copy one", "copy two")]
    size = min(map(len, rows))
    ids = torch.tensor([row[:size] + [MASK] * 4 for row in rows])
    together = model.logits(ids, size, size + 4)
    alone = torch.cat([model.logits(ids[b : b + 1], size, size + 4) for b in range(2)])
    assert torch.allclose(together, alone, atol=1e-2)


def test_too_long_a_prompt_is_an_error_with_both_lengths(model):
    with pytest.raises(ConstraintError, match=rf"\d+ tokens .* {model.context_length}"):
        model.frame("word " * 600)
    with pytest.raises(ConstraintError, match="600 tokens"):
        model.logits(torch.full((1, 600), MASK), 0, 600)


def test_infill_keeps_the_text_nearest_the_hole(model):
    tokens = model.token_bytes()
    before, after = model.frame_infill("a = 1\n" * 3000 + "last = ", "\nnext" + "\nb = 2" * 3000)
    text = [b"".join(tokens[i] or b"" for i in ids).decode() for ids in (before, after)]
    assert text[0].endswith("last = ") and text[1].startswith("\nnext")
    assert len(before) + len(after) <= model.context_length - 64


def test_target_loss_is_the_mixture_seen_from_one_token():
    torch.manual_seed(0)
    network = Denoiser(Shape(vocabulary=40, width=16, layers=1, heads=2, hidden=16, pointer=8, context=32))
    ids = torch.randint(5, 40, (2, 12))
    ids[:, 8:] = MASK
    canvas = torch.arange(12).expand(2, -1) >= 8
    hidden = network.hidden(ids, canvas)
    at, targets = torch.tensor([[8, 9], [10, 11]]), torch.randint(5, 40, (2, 2))
    whole = network.log_probabilities(hidden, at, ids).gather(2, targets[..., None])[..., 0]
    assert torch.allclose(-whole, network.target_loss(hidden, at, ids, targets), atol=1e-3)
    assert network.log_probabilities(hidden, at, ids).min() >= torch.tensor(FLOOR).log() - 1


def test_texts_in_one_row_dont_see_each_other():
    torch.manual_seed(0)
    network = Denoiser(Shape(vocabulary=40, width=16, layers=2, heads=2, hidden=16, pointer=8, context=32))
    for block in network.blocks:  # a fresh block does nothing
        nn.init.normal_(block.out.weight), nn.init.normal_(block.down.weight)
    rows = [torch.randint(5, 40, (1, n)) for n in (12, 7)]
    rows[0][:, 8:] = rows[1][:, 2:4] = MASK
    canvases = [torch.arange(12)[None] >= 8, (torch.arange(7)[None] >= 2) & (torch.arange(7)[None] < 6)]
    alone = [network.hidden(ids, canvas) for ids, canvas in zip(rows, canvases)]
    texts = torch.tensor([[0] * 12 + [1] * 7])
    ids = torch.cat(rows, 1)
    together = network.hidden(ids, torch.cat(canvases, 1), texts)
    assert torch.allclose(torch.cat(alone, 1), together, atol=1e-5)
    at, targets = torch.tensor([[9, 14]]), torch.randint(5, 40, (1, 2))
    losses = network.target_loss(together, at, ids, targets, texts)
    for k, (hidden, row, place) in enumerate(zip(alone, rows, (9, 2))):
        one = network.target_loss(hidden, torch.tensor([[place]]), row, targets[:, k : k + 1])
        assert torch.allclose(losses[:, k], one[:, 0], atol=1e-4)


def test_loading_needs_neither_transformers_nor_the_rest_of_the_package():
    code = "import sys; from dgemma_constrain.models.embedded import DATA, load_embedded; load_embedded(); assert 'transformers' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_record_prompt_names_keys_types_and_choices():
    schema = {
        "type": "object",
        "properties": {
            "id": {"type": ["integer", "null"]},
            "when": {"type": "string", "format": "date"},
            "status": {"enum": ["open", "closed"]},
            "owner": {"$ref": "#/$defs/owner"},
            "tags": {"type": "array", "items": {"type": "string"}},
            "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        },
        "required": ["id"],
        "$defs": {"owner": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}},
    }
    assert record_prompt(schema, " Hi. ") == (
        "json {id: integer | null, when?: date, status?: open | closed, owner?: {name: string}, tags?: [string], note?: string | null}\nHi."
    )


def test_record_prompt_ends_on_a_schema_that_contains_itself():
    tree = {"type": "object", "properties": {"child": {"$ref": "#"}}}
    assert record_prompt(tree, "x").startswith("json {child?: {child?: {")


def test_choice_and_fill_prompts():
    assert choice_prompt(["a", "b"], "text ") == "choose a | b\ntext"
    assert fill_prompt("Dear {name},", "Anna") == "fill Dear {name},\nwith Anna"


@pytest.mark.parametrize(
    "text, name, age, city",
    [
        ("Maria Lopez, 29, moved to Lisbon last year.", "Maria Lopez", 29, "Lisbon"),
        ("My name is John Smith, I'm 25 years old and I live in Boston.", "John Smith", 25, "Boston"),
        ("In Paris, Julie Martin turned 30 last week.", "Julie Martin", 30, "Paris"),
        ("At 62, Giovanni Rossi left Milan for Turin.", "Giovanni Rossi", 62, "Turin"),
        ("Name: Bob Dylan\nAge: 83\nCity: Malibu", "Bob Dylan", 83, "Malibu"),
        ("Peter Müller is thirty-five and works in Berlin.", "Peter Müller", 35, "Berlin"),
    ],
)
def test_it_reads_a_person_off_a_sentence(model, text, name, age, city):
    schema = {"type": "object", "properties": {k: PERSON["properties"][k] for k in ("name", "age", "city")}}
    before, after = model.frame(record_prompt(schema | {"required": ["name", "age", "city"]}, text))
    assert json.loads(decode(model, before, after, 48, steps=4)) == {"name": name, "age": age, "city": city}


def test_it_copies_words_that_do_not_exist(model):
    before, after = model.frame(record_prompt(PERSON, "Tom Vrassik (52) lives in Quorpado and likes tea."))
    assert json.loads(decode(model, before, after, 48)) == {"name": "Tom Vrassik", "age": 52, "city": "Quorpado"}


def test_it_finds_what_a_table_row_says_and_writes_dates_as_asked(model):
    properties = {"due": {"type": "string", "format": "date"}, "total": {"type": "number"}}
    schema = {"type": "object", "properties": properties, "required": ["due", "total"]}
    text = "Customer;Total;Due\nTom Vrassik;$1204.50;3 October 2026"
    before, after = model.frame(record_prompt(schema, text))
    assert json.loads(decode(model, before, after, 48, steps=4)) == {"due": "2026-10-03", "total": 1204.5}


def test_what_ships_stays_small():
    assert (DATA / "model.safetensors").stat().st_size <= 24e6
    assert sum(file.stat().st_size for file in (DATA / "diffusion_gemma").iterdir()) <= 8e6


def test_it_picks_an_option(model):
    before, after = model.frame(choice_prompt(["billing", "shipping", "bug"], "I was charged twice for my invoice."))
    assert decode(model, before, after, 8) == "billing"
