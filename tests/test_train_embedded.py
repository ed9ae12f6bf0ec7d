"""How the embedded model is trained: rows that hold several examples, what is masked in them, and that learning them works."""

import json
import random
import re
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("tokenizers")

import jsonschema  # noqa: E402
from safetensors.torch import load_file, save, save_file  # noqa: E402
from tokenizers import Tokenizer  # noqa: E402

from dgemma_constrain.models.embedded import DATA, Tokens  # noqa: E402
from dgemma_constrain.models.embedded.network import BOS, EOS, MASK, PAD, SEP, Denoiser, Shape  # noqa: E402

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "examples" / "train_embedded"))

import further  # noqa: E402
import sources  # noqa: E402
from documents import story, wider  # noqa: E402
from families import MORE  # noqa: E402
from further import Run, batches  # noqa: E402
from muon import Optimizer, orthogonal  # noqa: E402
from noise import choose_scored, draw_masks  # noqa: E402
from packing import ANSWER, FIXED, GIVEN, HOLE, PROMPT, ROW, TAIL, pack, pairs, render  # noqa: E402
from relations import relation  # noqa: E402
from sentences import DOMAINS, facts  # noqa: E402
from tasks import Tasks  # noqa: E402
from told import TOLD, read_families  # noqa: E402
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


def keys_of(families):
    return {key for roles, _, _ in families for role in roles.values() for key in role.keys}


def frames(family):
    """A family's templates with the kind of value in each slot instead of its name, and nothing but words."""
    roles, templates, _ = family
    return {
        " ".join(re.findall(r"\w+", re.sub(r"{(\w+)}", lambda m: f" {roles[m[1]].kind} ", line)))
        for line in templates.split("\n")
    }


def words(family):
    """The words of four letters and more in what a family says and asks for."""
    roles, templates, tails = family
    said = [re.sub(r"{\w+}", " ", "\n".join([templates, *tails]))]
    for role in roles.values():
        said += role.keys + [way for ways in role.said.values() for way in ways]
    return set(re.findall(r"[a-z]{4,}", " ".join(said).lower().replace("_", " ")))


def test_what_is_called_unseen_is():
    trained = DOMAINS + MORE + TOLD
    assert not keys_of(trained) & keys_of(UNSEEN)
    texts = [{line for domain in some for line in domain[1].split("\n")} for some in (trained, UNSEEN)]
    assert not texts[0] & texts[1]
    assert not {f for one in trained for f in frames(one)} & {f for one in UNSEEN for f in frames(one)}


def test_no_further_family_is_like_an_unseen_one():
    """What they share are words such as `date`, `number` and `without`: of an unseen family's words a fifth at most."""
    for other in UNSEEN:
        for family in TOLD:
            assert len(words(family) & words(other)) <= 0.2 * len(words(other)), list(family[0])


def test_made_up_families_never_have_an_unseen_key():
    rng = random.Random(6)
    values, unseen = Values(rng), keys_of(UNSEEN)
    for _ in range(5000):
        _, _, roles = relation(rng, values)
        assert not {key for role in roles.values() for key in role.keys} & unseen


def test_told_families_name_their_roles_and_use_them_all():
    assert len(TOLD) >= 60
    for roles, templates, tails in TOLD:
        assert set(re.findall(r"{(\w+)}", "\n".join([templates, *tails]))) == set(roles)
        for role in roles.values():
            assert role.keys and bool(role.said) == (role.kind in ("flag", "choice"))
            assert role.type in ("string", "integer", "number", "boolean", "enum", "date", "email", "list")


def test_a_told_family_is_read():
    text = "# tip\nwho name waiter served_by\nkind flag cash in_cash | in cash; with coins | by card\n> {who} was paid {kind}.\n+ It was {kind}.\n"
    (roles, templates, tails), *none = read_families(text)
    assert not none and templates == "{who} was paid {kind}." and tails == ["It was {kind}."]
    assert roles["who"].keys == ["waiter", "served_by"] and roles["kind"].type == "boolean"
    assert roles["kind"].said == {"true": ["in cash", "with coins"], "false": ["by card"]}


@pytest.mark.parametrize("source", [lambda r, v: relation(r, v), lambda r, v: facts(r, v, r.choice(TOLD)), wider])
def test_further_families_state_what_is_asked_for(source):
    rng = random.Random(7)
    values = Values(rng)
    for _ in range(400):
        text, found, roles = source(rng, values)
        assert "{" not in text and "[" not in text
        for name, fact in found.items():
            kind = roles[name].kind
            if kind in ("name", "first", "company", "city", "title", "label", "code", "product", "tag", "hash", "ip", "path"):
                assert fact.value in text
            if kind in ("flag", "choice"):
                assert any(way in text for way in roles[name].said[str(fact.value).lower() if kind == "flag" else fact.value])


def test_made_up_families_tell_roles_apart():
    """In one text no key could ask for two of its facts."""
    rng = random.Random(8)
    values = Values(rng)
    for _ in range(400):
        _, found, _ = relation(rng, values)
        assert len({fact.key for fact in found.values()}) == len(found)


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


def test_batches_hold_texts_of_one_length_and_lose_none(tokens):
    items = rendered(tokens, 200, seed=9)
    made, alone = batches(items, 600, random.Random(0))
    found = [(row.tolist(), part[k].tolist()) for ids, part in made for k, row in enumerate(ids)]
    found += [(list(ids), part.tolist()) for ids, part in alone]
    assert sorted(found) == sorted((list(ids), part.tolist()) for ids, part in items)
    assert all(len(ids) > 1 and ids.shape == part.shape and ids.size <= max(600, 2 * ids.shape[1]) for ids, part in made)


def test_training_further_goes_on_where_it_stopped(tokens, tmp_path):
    torch.manual_seed(0)
    shape = Shape(vocabulary=8192, width=32, layers=1, heads=2, hidden=32, pointer=16)
    start = tmp_path / "start"
    start.mkdir()
    (start / "config.json").write_text(json.dumps(asdict(shape)))
    save_file({name: p.detach().bfloat16() for name, p in Denoiser(shape).state_dict().items()}, start / "model.safetensors")
    args = SimpleNamespace(start=start, out=tmp_path, rate=1e-2, batch=400, keep=0.5)
    made, _ = batches(rendered(tokens, 120, seed=10), 400, random.Random(0))

    def run():
        one = Run(args)
        one.hidden, one.target_loss = one.network.hidden, one.network.target_loss  # as they are, not compiled
        return one

    first = run()
    total, weight, count, _ = first.step(iter(made), 1.0).tolist()
    assert total > weight > 0 and count == first.state["tokens"] >= 400
    first.save()
    second = run()
    assert second.state == first.state and second.state["step"] == 1
    losses = []
    for one in (first, second):
        torch.manual_seed(1)
        losses.append(one.step(iter(made[5:]), 1.0)[:3].tolist())
    assert losses[0] == losses[1]
    for name, p in first.optimizer.master.items():
        assert torch.equal(p, second.optimizer.master[name]) and torch.equal(first.average[name], second.average[name])
    assert any(not torch.equal(p, first.average[name]) for name, p in first.optimizer.master.items())


def test_what_is_installed_lies_between_the_weights_begun_with_and_the_average(tmp_path, monkeypatch):
    out, data = tmp_path / "out", tmp_path / "data"
    out.mkdir(), data.mkdir()
    save_file({"w": torch.tensor([0.0, 8.0]).bfloat16()}, out / "start.safetensors")
    whole = save({"w": torch.tensor([8.0, 0.0]).bfloat16()})
    (out / "model.safetensors.0").write_bytes(whole[:50]), (out / "model.safetensors.1").write_bytes(whole[50:])
    (out / "loss.jsonl").write_text('{"step": 1, "tokens": 5}\n{"saved": "model"}\n')
    (data / "loss.jsonl").write_text('{"step": 9}\n')
    monkeypatch.setattr(further, "DATA", data)
    further.install(out, 0.75)
    assert load_file(data / "model.safetensors")["w"].tolist() == [6.0, 2.0]
    lines = [json.loads(line) for line in (data / "loss.jsonl").read_text().splitlines()]
    assert lines == [{"step": 9}, {"further": True, "step": 1, "tokens": 5}]


@pytest.mark.skipif(not shutil.which("dpkg-deb"), reason="needs dpkg-deb")
def test_a_debian_package_gives_its_sources_and_the_licence_of_its_files(tmp_path):
    tree = tmp_path / "tree"
    for path, text in {
        "DEBIAN/control": "Package: librust-small-dev\nVersion: 1.2\nArchitecture: all\nMaintainer: Nobody <n@example.org>\nDescription: small\n",
        "usr/share/cargo/registry/small-1.2/src/lib.rs": "/// Adds.\npub fn add(a: i32, b: i32) -> i32 {\n    a + b\n}\n" * 12,
        "usr/share/cargo/registry/small-1.2/tests/all.rs": "fn main() {\n}\n" * 60,
        "usr/share/doc/librust-small-dev/copyright": "Files: debian/*\nLicense: GPL-3\n\nFiles: *\nCopyright: Nobody\nLicense: MIT or Apache-2.0\n",
    }.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text(text)
    archive = tmp_path / "librust-small-dev_1.2_all.deb"
    subprocess.run(["dpkg-deb", "--build", "--root-owner-group", tree, archive], check=True, capture_output=True)
    package, files = sources.read(archive)
    assert package == dict(name="librust-small-dev", version="1.2", licence="MIT or Apache-2.0")
    assert [(f["language"], f["path"].rpartition("/")[2]) for f in files] == [("rust", "lib.rs")]
