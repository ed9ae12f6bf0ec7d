"""The denoising loop and the model object: whatever the model says, the text satisfies the constraint."""

import itertools
import json
import threading

import jsonschema
import pytest
from denoisers import RandomDenoiser

import dgemma_constrain as dc
from dgemma_constrain.canvas.searched import Searched
from dgemma_constrain.diffusion.schedules import SCHEDULES

SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 12},
        "age": {"type": "integer"},
        "tags": {"type": "array", "items": {"enum": ["a", "b"]}, "maxItems": 3},
    },
    "required": ["name", "age"],
    "additionalProperties": False,
}
CONSTRAINTS = {
    "schema": dc.json_schema(SCHEMA),
    "regex": dc.regex(r"(\d{1,3}\.){3}\d{1,3}"),
    "template": dc.template("Dear {name},\n{body}\nYours", name=dc.regex("[A-Z][a-z]+"), body=dc.regex("[a-z ]{5,20}")),
    "choice": dc.choice(["yes", "no", "maybe"]),
    "negative": ~dc.contains("e") & dc.regex("[a-z ]{3,30}"),
    "nothing": None,
}


@pytest.mark.parametrize("name", CONSTRAINTS)
def test_every_text_satisfies_its_constraint_whatever_the_settings(name):
    constraint = CONSTRAINTS[name]
    settings = itertools.product((1, 2, 7), (0.0, 1.0), SCHEDULES, (0.0, 0.6))
    for seed, (steps, temperature, schedule, remask) in enumerate(settings):
        model = dc.Model(RandomDenoiser(seed))
        options = dict(steps=steps, seed=seed, temperature=temperature, schedule=schedule, remask=remask)
        out = model.generate("prompt", constraint, length=64, **options)
        if constraint is not None:
            assert constraint.matches(out.text), constraint.explain(out.text)
        if name == "schema":
            jsonschema.validate(json.loads(out.text), SCHEMA)
            assert out.value == json.loads(out.text)
        if name == "template":
            assert out.text == f"Dear {out.fields['name']},\n{out.fields['body']}\nYours"
        assert len(out.ids) == 64


def test_without_the_constraint_the_same_model_writes_something_invalid():
    out = dc.Model(RandomDenoiser(0)).generate("prompt", length=64)
    with pytest.raises(ValueError):
        json.loads(out.text)


def test_the_same_seed_gives_the_same_text_and_another_seed_another():
    model = dc.Model(RandomDenoiser())
    texts = [model.generate("p", CONSTRAINTS["template"], seed=s, temperature=1.0).text for s in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]


def test_each_step_commits_part_of_one_valid_string_and_nothing_committed_changes():
    out = dc.Model(RandomDenoiser()).generate("p", CONSTRAINTS["schema"], steps=9, trace=True)
    vocabulary = dc.Model(RandomDenoiser()).vocabulary
    before: list = [None] * 64
    for step in out.trace.steps:
        stop = next((i for i, t in enumerate(step.proposal) if t in vocabulary.eos_ids), 64)
        assert CONSTRAINTS["schema"].matches(vocabulary.decode(step.proposal[:stop]))
        for i, (old, new) in enumerate(zip(before, step.canvas)):
            assert new == (step.proposal[i] if i in step.committed else old)
        assert all(row and row[0][1] >= row[-1][1] > 0 for row in step.alternatives)
        assert all(0 < c <= 1 + 1e-6 for c in step.confidence) and all(n > 0 for n in step.allowed)
        before = step.canvas
    assert len(out.trace.steps) == 9 and None not in before
    assert all(t in out.trace.pieces for step in out.trace.steps for t in step.proposal)


def test_remasked_positions_are_decided_again_once():
    out = dc.Model(RandomDenoiser()).generate("p", CONSTRAINTS["schema"], steps=12, remask=0.9)
    given_up = [i for step in out.trace.steps for i in step.remasked]
    assert given_up and len(given_up) == len(set(given_up))


def test_pins_come_back_as_they_are():
    model = dc.Model(RandomDenoiser())
    ids = model.vocabulary.encode('{"name": "')
    pinned = dict(enumerate(ids))
    out = model.generate("p", CONSTRAINTS["schema"], pinned=pinned, steps=5, remask=0.9)
    assert out.ids[: len(ids)] == ids and out.text.startswith('{"name": "')


def test_a_text_longer_than_a_canvas_is_written_in_blocks():
    constraint = dc.regex(r"(?:[a-z]{1,8} ){20}end")
    for seed in range(4):
        model = dc.Model(RandomDenoiser(seed, block=32))
        out = model.generate("p", constraint, length=250, steps=4)
        assert constraint.matches(out.text)
        assert {s.block for s in out.trace.steps} == set(range(1 + max(s.block for s in out.trace.steps)))
        assert max(s.block for s in out.trace.steps) >= 1


def test_pins_in_later_blocks_are_planned_for():
    constraint = dc.regex(r"(?:[a-z]{1,8} ){4,}end")
    for seed in range(4):
        model = dc.Model(RandomDenoiser(seed, block=16))
        word, end = model.vocabulary.encode("the "), model.vocabulary.encode("end")
        pinned = dict(enumerate(word, 40)) | dict(enumerate(end, 50)) | {50 + len(end): model.vocabulary.eos_id}
        out = model.generate("p", constraint, length=64, steps=4, pinned=pinned)
        assert constraint.matches(out.text) and all(out.ids[i] == t for i, t in pinned.items())
        late = {63: model.vocabulary.pad_id}  # the text ends before it; the tail goes on to there
        out = model.generate("p", dc.choice(["yes", "no"]), length=64, steps=2, pinned=late)
        assert out.text in ("yes", "no") and out.ids[63] == late[63]
    with pytest.raises(dc.Infeasible, match="position 50"):
        model.generate("p", dc.regex("[a-z]*"), length=64, pinned={50: model.vocabulary.encode("5")[0]})


def test_without_an_end_token_all_blocks_together_have_the_length():
    denoiser = RandomDenoiser(block=16)
    denoiser.vocabulary = dc.Vocabulary([None, None, None, *(bytes([b]) for b in range(256))], mask_id=2)
    model = dc.Model(denoiser)
    for length in (17, 40, 64):
        text = model.generate("p", dc.regex("(?:ab|xyz)*"), length=length, steps=3).text
        assert len(text) == length and dc.regex("(?:ab|xyz)*").matches(text)
    with pytest.raises(dc.Infeasible, match="no valid string has exactly 41 tokens"):
        model.generate("p", dc.regex("(?:ab)*"), length=41)


NESTED = 'start: "(" start ")" | "[" start "]" | /[a-z]/'


def test_grammars_that_are_searched_are_planned_for_over_all_blocks():
    """Nested deeper than any automaton goes; pins in later blocks; with and without an end token."""
    constraint = dc.template("<{code}>", code=dc.grammar(NESTED))
    for seed in range(3):
        model = dc.Model(RandomDenoiser(seed, block=16))
        middle, end = model.vocabulary.encode("x")[0], model.vocabulary.encode(">")[0]
        pinned = {70: middle, 140: end, 141: model.vocabulary.eos_id}
        out = model.generate("p", constraint, length=144, steps=2, pinned=pinned, temperature=seed)
        assert constraint.matches(out.text) and all(out.ids[i] == t for i, t in pinned.items())
        assert len(out.fields["code"]) >= 139 > constraint.depth()
    with pytest.raises(dc.Infeasible):
        model.generate("p", constraint, length=144, steps=2, pinned={0: middle, 100: end})


def test_without_an_end_token_a_searched_text_has_the_length_of_all_blocks():
    denoiser = RandomDenoiser(block=16)
    denoiser.vocabulary = dc.Vocabulary([None, None, None, *(bytes([b]) for b in range(256))], mask_id=2)
    constraint = dc.grammar("""start: "(" start ")" | "[" start "]" | "x" """)
    text = dc.Model(denoiser).generate("p", constraint, length=151, steps=2).text
    assert len(text) == 151 and constraint.matches(text)
    with pytest.raises(dc.Infeasible):
        dc.Model(denoiser).generate("p", constraint, length=150, steps=2)


@pytest.mark.parametrize("planned", [True, False])
def test_how_a_text_can_be_finished_is_not_searched_for_again(planned, monkeypatch):
    """What a search found behind one block is known to the next."""
    constraint = dc.template("<{code}>", code=dc.grammar(NESTED))
    model, blind = dc.Model(RandomDenoiser(block=16)), []
    search = Searched._search_blindly
    monkeypatch.setattr(Searched, "_search_blindly", lambda *a: blind.append(a) or search(*a))
    pinned = {i: model.vocabulary.encode("(")[0] for i in range(1, 70 if planned else 16)}
    out = model.generate("p", constraint, length=160, steps=3, pinned=pinned)
    assert constraint.matches(out.text) and len(out.ids) > 32
    assert len(blind) == 1


def test_an_end_in_a_block_ends_the_text():
    model = dc.Model(RandomDenoiser(block=16))
    out = model.generate("p", dc.choice(["yes", "no"]), length=64, steps=2)
    assert out.text in ("yes", "no") and len(out.ids) == 16


def test_the_best_of_several_candidates_is_returned():
    model = dc.Model(RandomDenoiser())
    scores = [model.generate("p", CONSTRAINTS["template"], seed=s, temperature=1.0).score for s in range(4)]
    assert model.generate("p", CONSTRAINTS["template"], candidates=4, temperature=1.0).score == pytest.approx(
        max(scores)
    )


def test_infill_writes_only_the_hole_and_sees_both_sides():
    denoiser = RandomDenoiser()
    model = dc.Model(denoiser)
    out = model.infill("x = [", "]\n", constraint=dc.regex(r"\d+(, \d+){2,5}"), steps=3)
    assert dc.regex(r"\d+(, \d+){2,5}").matches(out.text)
    assert denoiser.calls[-1][-2:] == denoiser.vocabulary.encode("]\n")
    assert dc.Model(RandomDenoiser()).infill("a", "b", length=5, steps=2).ids.__len__() == 5
    with pytest.raises(dc.Infeasible, match="at least"):
        model.infill("a", "b", constraint=dc.literal("é" * 100))


def test_cancelling_stops_before_the_next_step():
    cancel = threading.Event()
    seen = []

    def on_step(step):
        seen.append(step)
        if len(seen) == 2:
            cancel.set()

    with pytest.raises(dc.Cancelled):
        dc.Model(RandomDenoiser()).generate("p", CONSTRAINTS["schema"], steps=9, on_step=on_step, cancel=cancel)
    assert len(seen) == 2


@pytest.mark.parametrize(
    "arguments, message",
    [
        (dict(steps=0), "steps must be"),
        (dict(length=-1), "length must be"),
        (dict(length=600), "600 tokens do not fit"),
        (dict(candidates=0), "candidates must be"),
        (dict(schedule="fast"), "unknown schedule 'fast'; there are linear, cosine"),
        (dict(temperature=-1.0), "temperature must be"),
        (dict(temperature=float("nan")), "temperature must be"),
        (dict(constraint=dc.literal("x" * 70)), "at least 70 tokens are needed, but the canvas has 64"),
        (dict(constraint=dc.literal("a") & "b"), "no text satisfies both"),
        (dict(constraint=5), "a constraint or a text is needed"),
        (dict(pinned={64: 5}), "position must be"),
        (dict(pinned={-1: 5}), "position must be"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(dc.ConstraintError, match=message):
        dc.Model(RandomDenoiser()).generate("p", **arguments)
