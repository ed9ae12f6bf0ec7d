"""How the embedded model is trained: rows that hold several examples, what is masked in them, and that learning them works."""

import json
import random
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("tokenizers")

import jsonschema  # noqa: E402
from tokenizers import Tokenizer  # noqa: E402

from dgemma_constrain.models.embedded import DATA, Tokens  # noqa: E402
from dgemma_constrain.models.embedded.network import BOS, EOS, MASK, PAD, SEP, Denoiser, Shape  # noqa: E402

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "examples" / "train_embedded"))

from documents import story  # noqa: E402
from families import MORE  # noqa: E402
from muon import Optimizer, orthogonal  # noqa: E402
from noise import choose_scored, draw_masks  # noqa: E402
from packing import ANSWER, FIXED, GIVEN, HOLE, PROMPT, ROW, TAIL, pack, pairs, render  # noqa: E402
from sentences import DOMAINS  # noqa: E402
from tasks import Tasks  # noqa: E402
from train import SCORED, loss_of  # noqa: E402
from unseen import UNSEEN  # noqa: E402
from values import CITIES, FIRST, Values, held_out  # noqa: E402

CODE = "def area(width, height):\n    total = width * height\n    return total\n\n\nclass Box:\n    def __init__(self, n):\n        self.n = n\n"


@pytest.fixture(scope="module")
def tokens():
    return Tokens(Tokenizer.from_file(str(DATA / "tokenizer.json")))


def tasks(seed=0, test=False):
    files = [{"text": CODE * 20, "language": language, "test": test} for language in ("python", "javascript")]
    return Tasks(random.Random(seed), files, test)


def rendered(tokens, count, seed=0):
    source, found = tasks(seed), []
    while len(found) < count:
        if one := render(source.example(), tokens.encode, source.rng):
            found.append(one)
    return found


@pytest.fixture(scope="module")
def rows(tokens):
    packed = pack(rendered(tokens, 300))
    return {key: torch.from_numpy(value).long() for key, value in packed.items()}


def test_a_canvas_holds_the_answer_and_its_end(tokens):
    source, seen, pieces = tasks(1), set(), tokens.token_bytes()
    for _ in range(300):
        example = source.example()
        if (one := render(example, tokens.encode, source.rng)) is None:
            continue
        ids, part = one
        seen.add(example.task)
        said = b"".join(pieces[i] for i, p in zip(ids, part) if p in (FIXED, HOLE)).decode()
        assert said == example.answer
        tail = [i for i, p in zip(ids, part) if p == TAIL]
        assert tail == ([EOS] + [PAD] * len(tail))[: len(tail)]
        assert ids[0] == BOS and (example.after is not None or ids[(part != GIVEN).argmax() - 1] == SEP)
    assert seen == {"record", "copy", "fill", "choose", "rewrite", "code", "several"}


def test_records_are_what_their_text_says():
    source = tasks(2)
    for _ in range(200):
        example = source.record()
        value = json.loads(example.answer)
        assert example.before.startswith(("json {", "json [{"))
        for leaf in [v for v in (value.values() if isinstance(value, dict) else []) if isinstance(v, int) and v > 12]:
            text = example.before.split("\n", 1)[1]
            assert isinstance(leaf, bool) or str(leaf) in text or any(w in text for w in ("-", "teen", "ty", "hundred"))


def test_packed_rows_lose_nothing(tokens):
    items = rendered(tokens, 120, seed=3)
    packed = pack(items)
    assert packed["ids"].shape[1] == ROW
    found = []
    for ids, text, part in zip(packed["ids"], packed["text"], packed["part"]):
        for k in range(text[-1] + 1):
            one = ids[text == k].tolist(), part[text == k].tolist()
            if one[0] and one[0][0] == BOS:
                found.append(one)
    wanted = [(list(ids), part.tolist()) for ids, part in items]
    assert sorted(found) == sorted(wanted)


def test_pairs_are_prompts_and_answers_with_an_end(tokens):
    made = pairs(rendered(tokens, 200, seed=4))
    assert made["prompt"].shape[1] == PROMPT and made["answer"].shape[1] == ANSWER
    for prompt, answer in zip(made["prompt"].tolist(), made["answer"].tolist()):
        begin = prompt.index(BOS)
        assert set(prompt[:begin]) <= {PAD} and prompt[-1] == SEP
        end = answer.index(EOS)
        assert end > 0 and set(answer[end + 1 :]) <= {PAD}


def test_masks_lie_in_canvases_and_every_canvas_has_one(rows):
    torch.manual_seed(0)
    text, part = rows["text"], rows["part"]
    some, fixed, everything = 0, 0, 0
    for _ in range(20):
        mask = draw_masks(text, part)
        assert not (mask & (part == GIVEN)).any()
        for b in range(0, len(text), 5):
            for k in range(int(text[b].max()) + 1):
                canvas = (text[b] == k) & (part[b] != GIVEN)
                if canvas.any():
                    hidden = int((mask[b] & canvas).sum())
                    assert hidden > 0
                    some += 1
                    everything += hidden == int(canvas.sum())
        fixed += int((mask & (part == FIXED)).sum())
    assert 0.15 < everything / some < 0.6  # what decoding begins with is met often
    assert fixed < 0.6 * 20 * int((part == FIXED).sum())  # a template's own text mostly stands


def test_scored_positions_are_masked_and_weigh_one_in_all(rows):
    torch.manual_seed(0)
    mask = draw_masks(rows["text"], rows["part"])
    at, weight = choose_scored(rows["text"], rows["part"], mask, SCORED)
    assert mask.gather(1, at)[weight > 0].all()
    assert weight.sum().item() == pytest.approx(1)


def test_a_small_network_learns_a_few_rows(rows):
    torch.manual_seed(0)
    network = Denoiser(Shape(vocabulary=8192, width=32, layers=1, heads=2, hidden=32, pointer=16))
    optimizer = Optimizer(dict(network.named_parameters()), 2e-2, 2e-2)
    few = [rows[key][:1] for key in ("ids", "text", "part")]
    losses = []
    for _ in range(16):
        loss = loss_of(network, *few)
        loss.backward()
        optimizer.step(1.0)
        losses.append(loss.item())
    assert sum(losses[-4:]) < 0.8 * sum(losses[:4])


@pytest.mark.parametrize("shape", [(96, 24), (24, 96)])
def test_orthogonal_makes_all_directions_about_as_large(shape):
    torch.manual_seed(0)
    values = torch.linalg.svdvals(orthogonal(torch.randn(3, *shape)))
    assert values.min() > 0.4 and values.max() < 1.4


def test_held_out_words_are_drawn_in_tests_only():
    for test in (False, True):
        values = Values(random.Random(0), test)
        drawn = {values.word(pool, share_invented=0) for pool in (FIRST, CITIES) for _ in range(300)}
        assert {held_out(word) for word in drawn} == {test}


def test_what_is_called_unseen_is():
    keys = [{key for domain in some for role in domain[0].values() for key in role.keys} for some in (DOMAINS + MORE, UNSEEN)]
    assert not keys[0] & keys[1]
    texts = [{line for domain in some for line in domain[1].split("\n")} for some in (DOMAINS + MORE, UNSEEN)]
    assert not texts[0] & texts[1]


@pytest.mark.parametrize("kind", ["seen", "document", "unseen"])
def test_benchmark_records_obey_their_schema(kind):
    from benchmarks.model import copy_nearest, record, share_right

    rng = random.Random(0)
    values = Values(rng, test=True)
    for _ in range(100):
        text, schema, value = record(kind, rng, values)
        jsonschema.validate(value, schema)
        assert all(share_right(value, value)) and not any(share_right(value, None))
        assert copy_nearest(text, schema).keys() <= schema["properties"].keys()


def test_a_share_right_tells_types_apart():
    from benchmarks.model import share_right

    assert share_right({"a": 1, "b": True, "c": "1"}, {"a": 1.5, "b": 1, "c": "1"}) == [False, False, True]


def test_stories_state_each_value_once_it_is_a_word():
    rng = random.Random(5)
    values = Values(rng)
    for _ in range(200):
        text, found, _ = story(rng, values)
        for fact in found.values():
            if fact.type == "string" and "time" not in fact.key and isinstance(fact.value, str) and ":" not in fact.value:
                assert fact.value in text


def test_the_mask_id_never_stands_in_clean_rows(rows):
    assert not (rows["ids"] == MASK).any()
