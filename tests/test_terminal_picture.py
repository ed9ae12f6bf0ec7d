"""The live picture: what rich draws of each step."""

import io

import pytest
from denoisers import RandomDenoiser
from rich.console import Console
from test_trace_page import step

import dgemma_constrain as dc
from dgemma_constrain.diffusion.model import Model
from dgemma_constrain.show.terminal import Picture, printable, shade

PIECES = {0: None, 1: b"Dear", 2: b"\n  two", 3: b"\x1b[31m", 4: b"\xff"}


def console(width=60, height=20, **options) -> Console:
    return Console(file=io.StringIO(), width=width, height=height, color_system=None, **options)


def drawn(console: Console, picture) -> list[str]:
    with console.capture() as capture:
        console.print(picture)
    return capture.get().splitlines()


def test_a_step_is_figures_a_bar_and_the_canvas():
    c = console()
    picture = Picture(c, PIECES.get)
    picture.picture(step([1, None, None, None], [1, 2, 3, 0]))
    picture.picture(step([1, 2, None, None], [1, 2, 3, 0], committed=[1]))
    figures, bar, *canvas = drawn(c, picture.picture(step([1, 2, None, 0], [1, 2, 3, 0], committed=[3], remasked=[2])))
    assert figures == "step 3: 3 of 4 tokens  model 2 ms, constraint 0 ms"
    assert len(bar) == 60
    assert canvas == ["Dear⏎", "  two▒·"]


def test_blocks_follow_each_other_and_the_next_candidate_begins_anew():
    c = console()
    picture = Picture(c, PIECES.get)
    picture.picture(step([1], [1], committed=[0]))
    assert drawn(c, picture.picture(step([None], [1], offset=1, block=1)))[0].startswith("step 2, block 2: 1 of 2")
    picture.picture(step([1], [1], committed=[0], offset=1, block=1))
    figures, _, *canvas = drawn(c, picture.picture(step([None], [1])))
    assert figures.startswith("step 1: 0 of 1") and canvas == ["░"]


def test_no_token_can_steer_the_terminal():
    assert printable("\x1b[31m\x07\u202e\x9b") == "␛[31m���"
    c = console()
    _, _, *canvas = drawn(c, Picture(c, PIECES.get).picture(step([3, 4], [3, 4], committed=[0, 1])))
    assert canvas == ["␛[31m\\xff"]


@pytest.mark.parametrize("height", [6, 10, 24])
def test_a_long_canvas_shows_where_it_is_still_open(height):
    c = console(width=30, height=height)
    canvas = [1] * 300 + [None] * 5 + [1] * 300
    lines = drawn(c, Picture(c, PIECES.get).picture(step(canvas, [1] * 605)))
    assert len(lines) <= height and "░░░░░" in "".join(lines) and max(map(len, lines)) <= 30


def test_it_is_gone_when_the_text_is_there():
    file = io.StringIO()
    model = Model(RandomDenoiser())
    with Picture(Console(file=file, force_terminal=True, width=50, height=10), model.vocabulary.token_bytes) as picture:
        model.generate("x", dc.regex("[a-z ]{9}"), 12, 4, on_step=picture.draw)
    written = file.getvalue()
    assert "step 4" in written and "\x1b[?25l" in written
    assert written.rindex("\x1b[?25h") > written.rindex("step 4") and "\x1b[2K" in written[written.rindex("step 4") :]


def test_shades_go_from_red_to_green():
    low, high = (shade(p).triplet for p in (0.0, 1.0))
    assert low.red > low.green and high.green > high.red
