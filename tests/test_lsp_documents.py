"""The document store against a naive one that keeps code units in a list and looks for line ends from the start."""

import random

import pytest

pytest.importorskip("lsprotocol", reason="the [lsp] extra is not installed")

from dgemma_lsp.documents import ENCODINGS, Document, OutOfStep, lines_of, units
from lsprotocol.types import (
    Position,
    Range,
    TextDocumentContentChangePartial,
    TextDocumentContentChangeWholeDocument,
)

PIECES = [
    "a",
    "b ",
    "\n",
    "\r",
    "\r\n",
    "\f",
    "\v",
    "\u2028",
    "\x85",
    "\x1c",
    "ä",
    "ß€",
    "𝄞",
    "👩‍👩‍👧",
    "e\u0301",
    "\ufeff",
    "\0",
    "한",
    "\ud800",
]


def code(character, encoding):
    if encoding == "utf-8":
        return len(character.encode())
    return 1 + (encoding == "utf-16" and ord(character) > 0xFFFF)


class Naive:
    """Walks through the characters from the start for every position."""

    def __init__(self, text, encoding):
        self.text, self.encoding = text.replace("\ud800", "\ufffd"), encoding

    def offset(self, position):
        i = 0
        for _ in range(position.line):
            while i < len(self.text) and self.text[i] not in "\r\n":
                i += 1
            if i == len(self.text):
                return i
            i += 2 if self.text[i : i + 2] == "\r\n" else 1
        column = 0
        while i < len(self.text) and self.text[i] not in "\r\n":
            column += code(self.text[i], self.encoding)
            if column > position.character:
                break
            i += 1
        return i

    def change(self, where, new):
        a, b = sorted((self.offset(where.start), self.offset(where.end)))
        self.text = self.text[:a] + new.replace("\ud800", "\ufffd") + self.text[b:]


def some_text(rng, most):
    return "".join(rng.choice(PIECES) for _ in range(rng.randrange(most)))


def edit(start, end, text):
    return TextDocumentContentChangePartial(range=Range(Position(*start), Position(*end)), text=text)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_thousands_of_random_edits_leave_the_text_that_a_naive_store_has(encoding):
    rng = random.Random(encoding)
    for _ in range(60):
        text = some_text(rng, 40)
        document, naive = Document.opened("u", "x", 0, text, encoding), Naive(text, encoding)
        for version in range(50):
            lines = len(document.lines) + 1
            a, b = sorted((rng.randrange(lines), min(rng.randrange(lines), rng.randrange(lines))))
            change = edit((a, rng.randrange(9)), (b, rng.randrange(9)), some_text(rng, 4))
            document.change([change], version)
            naive.change(change.range, change.text)
            assert document.text == naive.text
            assert document.lines == lines_of(document.text.encode())


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_offsets_and_positions_are_each_others_inverse(encoding):
    rng = random.Random(encoding)
    for _ in range(100):
        document = Document.opened("u", "x", 0, some_text(rng, 30), encoding)
        naive = Naive(document.text, encoding)
        for offset in range(len(document.text) + 1):
            position = document.position(offset)
            inside_an_end = document.text[max(offset - 1, 0) : offset + 1] == "\r\n"
            assert document.offset(position) == naive.offset(position) == offset - inside_an_end


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_position_inside_a_character_is_before_it(encoding):
    document = Document.opened("u", "x", 0, "a𝄞b", encoding)
    inside = Position(0, 2 if encoding != "utf-32" else 1)
    assert document.offset(inside) == 1
    assert units("𝄞", encoding) == {"utf-8": 4, "utf-16": 2, "utf-32": 1}[encoding]


def test_positions_past_the_end_mean_the_end():
    document = Document.opened("u", "x", 0, "ab\r\ncd")
    document.change([edit((0, 99), (0, 99), "!"), edit((77, 3), (99, 0), "?")], 1)
    assert document.text == "ab!\r\ncd?"


def test_a_range_the_wrong_way_round_is_turned():
    document = Document.opened("u", "x", 0, "abc\ndef")
    document.change([edit((1, 1), (0, 1), "-")], 1)
    assert document.text == "a-ef"


def test_a_line_end_put_behind_a_carriage_return_joins_it():
    document = Document.opened("u", "x", 0, "a\rb")
    document.change([edit((1, 0), (1, 0), "\n")], 1)
    assert document.text == "a\r\nb" and len(document.lines) == 2


def test_an_older_version_is_refused_until_the_whole_text_comes():
    document = Document.opened("u", "x", 5, "abc")
    with pytest.raises(OutOfStep, match="version 4 of u came after 5"):
        document.change([edit((0, 0), (0, 1), "")], 4)
    assert document.text == "abc" and not document.in_step
    document.change([TextDocumentContentChangeWholeDocument(text="new")], 6)
    assert document.text == "new" and document.in_step


def test_an_edit_of_a_long_document_touches_its_lines_only():
    document = Document.opened("u", "x", 0, "x = 1\n" * 10_000)
    kept = [id(line) for line in document.lines]
    document.change([edit((5_000, 4), (5_000, 5), "2")], 1)
    now = [id(line) for line in document.lines]
    assert [a == b for a, b in zip(kept, now)].count(False) == 1
