"""Rewriting spans of a text: what is kept is kept byte for byte, and the constraint holds on the whole."""

import json
import random

import jsonschema
import pytest
from denoisers import RandomDenoiser
from tiny_models import build, diffusion_gemma_with_tokenizer

import dgemma_constrain as dc
from dgemma_constrain.diffusion.revise import around, cut, find_spans, layouts

SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
RECORD = '{"name": "Anna Ké🙂ller", "age": 34}'


@pytest.fixture(scope="module", params=["random", "embedded", "modernbert", "bert", "diffusion_gemma"])
def model(request, tmp_path_factory):
    if request.param == "random":
        return dc.Model(RandomDenoiser(block=16))
    if request.param == "embedded":
        return dc.load()
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "diffusion_gemma":
        diffusion_gemma_with_tokenizer(folder)
        return dc.load(str(folder))
    return dc.load(str(folder), **build(request.param, folder))


def check_kept(out, text, spans):
    """Every kept piece stands where it should, as bytes, and the new spans are what lies between."""
    new, old = 0, 0
    for (a, b), (start, end) in zip(spans, out.spans):
        assert out.text[new:start].encode() == text[old:a].encode()
        new, old = end, b
    assert len(spans) == len(out.spans) and out.text[new:].encode() == text[old:].encode()


@pytest.mark.parametrize(
    "options", [dict(steps=4), dict(steps=2, temperature=1.0, candidates=2), dict(steps=3, length=5)]
)
def test_what_is_kept_is_kept_byte_for_byte(model, options):
    text = "the cat sat. it said that 12 was all-a"
    for seed in range(3):
        rng = random.Random(seed)
        for count in (1, 2, 3):
            places = sorted(rng.sample(range(len(text) + 1), 2 * count))
            spans = list(zip(places[::2], places[1::2]))
            out = model.revise(text, spans, seed=seed, **options)
            check_kept(out, text, spans)


def test_the_constraint_holds_on_the_whole(model):
    text = '{"n": 12, "ok": true}'
    schema = {"properties": {"n": {"type": "integer"}, "ok": {"type": "boolean"}}, "required": ["n", "ok"]}
    constraint = dc.json_schema(schema, whitespace="compact")
    text = text.replace(" ", "")
    seen = set()
    for seed in range(4):
        start = text.index("12")
        out = model.revise(text, [(start, start + 2)], constraint, seed=seed, steps=3, temperature=1.0)
        jsonschema.validate(out.value, schema)
        check_kept(out, text, [(start, start + 2)])
        seen.add(out.text)
    assert len(seen) > 1
    with pytest.raises(dc.ConstraintError, match="no text satisfies both|no text satisfies"):
        model.revise("abc", [(0, 1)], dc.regex("[0-9]+"))


def test_other_lengths_are_found_where_the_usual_ones_do_not_fit():
    text = "x = 1234567;"
    for model in (dc.Model(RandomDenoiser()), dc.load()):
        out = model.revise(text, [(4, 11)], dc.regex(r"x = (0|7{11}|8{23});"), steps=3)
        assert out.text in ("x = 0;", "x = 77777777777;", "x = 88888888888888888888888;")


def test_any_unicode_and_any_place():
    model = dc.Model(RandomDenoiser())
    constraint = dc.json_schema(SCHEMA)
    for word in ("Anna", "Ké🙂ller", "34"):
        a = RECORD.index(word)
        out = model.revise(RECORD, [(a, a + len(word))], constraint, steps=4, temperature=1.0)
        jsonschema.validate(json.loads(out.text), SCHEMA)
        check_kept(out, RECORD, [(a, a + len(word))])
    for spans in ([(0, 0)], [(len(RECORD), len(RECORD))], [(0, len(RECORD))], [(3, 3), (5, 5), (9, 12)]):
        check_kept(model.revise(RECORD, spans, steps=2), RECORD, spans)


def test_the_model_sees_what_is_kept_on_both_sides():
    denoiser = RandomDenoiser(block=8)
    model, text = dc.Model(denoiser), "a long beginning, wrong word, and a long ending that follows it"
    model.revise(text, [(18, 23)], steps=2)
    v = denoiser.vocabulary
    for ids in denoiser.calls:
        assert v.decode(ids).startswith(text[:18]) and v.decode(ids).endswith(text[23:])
        assert ids.count(v.mask_id) <= len(ids)


def test_candidates_are_ranked_and_each_text_comes_once():
    model = dc.Model(RandomDenoiser())
    out = model.revise("a 1 b", [(2, 3)], dc.regex("a [0-2] b"), candidates=12, temperature=2.0, steps=1)
    texts = [out.text, *(o.text for o in out.others)]
    assert 1 < len(texts) == len(set(texts)) <= 3
    scores = [out.score, *(o.score for o in out.others)]
    assert scores == sorted(scores, reverse=True)
    for other in out.others:
        check_kept(other, "a 1 b", [(2, 3)])


@pytest.mark.parametrize(
    "text, spans, message",
    [
        ("abc", [], "no span"),
        ("abc", [(2, 1)], "no .start, end. within"),
        ("abc", [(0, 4)], "the text's 3 characters"),
        ("abc", [(-1, 2)], "within"),
        ("abc", [(1, 2), (0, 1)], "in order"),
        ("abc", [(0, 1), (1, 2)], "apart"),
        ("abc", [1], "no .start, end."),
        ("abc", [("0", "1")], "no .start, end."),
        (5, [(0, 1)], "needs a text"),
    ],
)
def test_spans_that_are_none_are_named(text, spans, message):
    with pytest.raises(dc.ConstraintError, match=message):
        dc.Model(RandomDenoiser()).revise(text, spans)


def test_pieces_are_found_again_wherever_they_repeat():
    rng = random.Random(0)
    for _ in range(300):
        pieces = ["".join(rng.choices("ab", k=rng.randrange(4))) for _ in range(rng.randrange(2, 5))]
        holes = ["".join(rng.choices("ab", k=rng.randrange(4))) for _ in pieces[1:]]
        text = pieces[0] + "".join(h + p for h, p in zip(holes, pieces[1:]))
        assert around(pieces).matches(text)
        spans = find_spans(text, pieces)
        assert cut(text, spans) == pieces if all(b < c for (_, b), (c, _) in zip(spans, spans[1:])) else True
        rest, at = "", 0
        for a, b in spans:
            rest, at = rest + text[at:a], b
        assert rest + text[at:] == "".join(pieces)


def test_layouts_pin_exactly_what_is_kept():
    v = RandomDenoiser().vocabulary
    for total, pinned in layouts(v, RECORD, [(10, 14), (31, 33)], "auto", 500):
        ids = [pinned.get(i, v.encode("#")[0]) for i in range(total)]
        assert v.decode(ids).replace("#", "") == RECORD[:10] + RECORD[14:31] + RECORD[33:]
