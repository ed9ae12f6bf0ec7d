"""What a search asks of a configuration: whatever leads to a text that fits is never dropped."""

import pytest
from test_searched_canvas import NAMES, NESTED, cases, searched

import dgemma_constrain as dc
from dgemma_constrain.automata.remainder import GROW
from dgemma_constrain.automata.stacks import FAR
from dgemma_constrain.canvas.guide import SAME, required


def cost(canvas, ids: list[int]) -> int | None:
    """What is asked after these first ids of a canvas, None if it is nothing."""
    machine, guide, i = canvas.compiled.machine, canvas._guide, len(ids)
    place, behind, ahead = guide.course
    if place[i] == SAME:
        return None
    text = canvas.compiled.vocabulary.decode_bytes(ids)
    while True:
        config = machine.read(machine.start, text)
        assert config >= 0
        answer = required(machine.machine, guide.remainder, config, place[i], behind[i], ahead[i])
        if answer == GROW:
            assert guide.grow(1 << 30)  # bytes
        elif not machine.lacks(answer):
            return answer


@pytest.mark.parametrize("name", NAMES)
def test_no_text_that_fits_is_dropped(name):
    asked = 0
    for case, canvas, solutions in cases(name, 30):
        if not canvas.has_paths:
            continue
        canvas._guide.forget()
        for ids in list(solutions)[:40]:
            for i in range(1, case.vocabulary.text_length(list(ids)) + 1):
                answer = cost(canvas, list(ids[:i]))
                asked += answer is not None
                assert answer != FAR, (canvas.pinned, ids, i)
    assert asked > 20


def test_what_cannot_read_what_is_pinned_is_dropped():
    vocabulary = dc.Vocabulary([*map(str.encode, ["(", ")", "x", "(("]), None], eos_id=4)
    canvas = searched(dc.grammar(NESTED), vocabulary).canvas(4, {1: 2, 2: 1, 3: 4})
    assert cost(canvas, [0]) == 0 and cost(canvas, [3]) == FAR


def test_what_costs_more_characters_than_there_are_positions_says_how_many():
    vocabulary = dc.Vocabulary([*map(str.encode, ["(", ")", "x", "((", "))"]), None], eos_id=5)
    canvas = searched(dc.grammar(NESTED), vocabulary).canvas(6, {2: 2, 5: 5})
    assert cost(canvas, [0, 0]) == 0 and cost(canvas, [3, 0]) == 1 and cost(canvas, [3, 3]) == 2
    assert cost(canvas, [3]) == 0  # what must be written in a gap isn't known before its last position
