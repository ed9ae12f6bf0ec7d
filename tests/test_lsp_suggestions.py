"""What may be shown, and what becomes of it."""

import pytest

pytest.importorskip("lsprotocol", reason="the [lsp] extra is not installed")

from dgemma_lsp.settings import Settings, updated
from dgemma_lsp.suggestions import KEPT, Memory, Pause, Suggestion, without_doubled_brackets


def test_typing_what_was_suggested_gives_the_rest_of_it():
    memory = Memory()
    memory.offer("u", "x = \ny", Suggestion("foo(1)", 4, 4))
    for typed in range(6):
        source = "x = " + "foo(1)"[:typed] + "\ny"
        assert memory.typed_through("u", source, 4 + typed) == Suggestion("foo(1)", 4, 4 + typed)
    assert memory.typed_through("u", "x = foo(1)\ny", 10) is None  # nothing is left
    assert memory.typed_through("u", "x = fa\ny", 6) is None  # something else was typed
    assert memory.typed_through("u", "z = fo\ny", 6) is None  # something before it changed
    assert memory.typed_through("u", "x = fo\nz", 6) is None  # something behind it changed
    assert memory.typed_through("v", "x = fo\ny", 6) is None


def test_a_document_that_was_closed_is_forgotten_and_no_more_than_so_many_are_kept():
    memory = Memory()
    for i in range(KEPT + 10):
        memory.keep("u", "x" * i, Suggestion("abc", i, i))
    assert len(memory._shown) == KEPT
    memory.forget("u")
    assert memory.typed_through("u", "x" * 50, 50) is None


def test_what_was_taken_and_what_was_turned_down_is_counted():
    memory = Memory()
    memory.offer("u", "x = ", Suggestion("foo", 4, 4))
    memory.settle("u", "x = f")
    assert memory.counts == {"shown": 1}
    memory.settle("u", "x = foo")
    assert memory.counts == {"shown": 1, "accepted": 1}
    memory.offer("u", "x = ", Suggestion("foo", 4, 4))
    memory.settle("u", "x = g")
    assert memory.counts == {"shown": 2, "accepted": 1, "rejected": 1}


def test_what_was_turned_down_twice_on_such_a_line_is_unwanted():
    memory, suggestion = Memory(), Suggestion("foo", 4, 4)
    for _ in range(2):
        assert not memory.unwanted("u", "x = ", suggestion)
        memory.offer("u", "x = ", suggestion)
        memory.settle("u", "x = g")
    assert memory.unwanted("u", "x = ", suggestion)
    assert memory.unwanted("u", "\n\n  x = ", Suggestion("foo", 8, 8))
    assert not memory.unwanted("u", "y = ", suggestion)
    assert not memory.unwanted("u", "x = ", Suggestion("bar", 4, 4))


@pytest.mark.parametrize(
    "source, text, shown",
    [
        ("foo(|)", "a, b)", "a, b"),
        ("foo(|", "a, b)", "a, b)"),
        ("foo(bar(|)", "x)", "x)"),  # one of the two is still open
        ("foo(bar(|))", "x))", "x"),
        ("x = [|];", "1, 2];", "1, 2"),
        ("f(|)", "g(1)", "g(1)"),
        ("f(|)", "a) + (b)", "a) + (b)"),
        ("f(|)", "')'", "')'"),  # in a string
        ("if (a) {\n|\n}", "return (1);\n}", "return (1);\n"),
        ("if (a) {\n|\n}", "if (b) { c(); }", "if (b) { c(); }"),
    ],
)
def test_no_bracket_is_closed_twice(source, text, shown):
    cursor = source.index("|")
    suggestion = Suggestion(text, cursor, cursor)
    assert without_doubled_brackets(suggestion, source.replace("|", "")).text == shown


def test_the_pause_follows_the_hand():
    pause = Pause()
    assert pause.seconds(75, 300, now=100) == 0  # nothing was typed
    for i in range(20):
        pause.edited(100 + i * 0.1)
    assert pause.seconds(75, 300, now=101.9) == pytest.approx(0.13)
    assert pause.seconds(75, 100, now=101.9) == pytest.approx(0.1)
    assert pause.seconds(200, 300, now=101.9) == pytest.approx(0.2)
    assert pause.seconds(75, 300, now=102.0) == pytest.approx(0.03)  # it has rested for a while already
    pause.edited(150)
    assert pause.seconds(75, 300, now=150) == pytest.approx(0.13)  # a long rest tells nothing about the hand


def test_settings_are_typed_and_what_is_wrong_is_said():
    settings, wrong = updated(Settings(), {"dgemma": {"debounceLeast": 10, "enabled": "yes", "colour": 1}})
    assert settings == Settings(debounceLeast=10)
    assert wrong == ["dgemma.enabled is 'yes', but true or false is needed"] + [w for w in wrong if "colour" in w]
    assert wrong[1].startswith("dgemma.colour is not known; there are enabled, model,")
    assert updated(Settings(), {"schemas": {"a": 1}, "debounceMost": True, "largest": -1})[0] == Settings()
    for nothing in (None, [], {"dgemma": []}, {"dgemma": None}):
        assert updated(Settings(), nothing) == (Settings(), [])
    assert updated(Settings(), [1])[1] == ["dgemma: an object is needed here, not [1]"]
