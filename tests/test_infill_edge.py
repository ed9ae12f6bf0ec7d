"""What the recogniser says of candidates, beside tree-sitter's own parse of the same file."""

import glob
import json
import os
import random

import numpy as np
import pytest
from tree_sitter import Parser

from dgemma_constrain.infill import candidates
from dgemma_constrain.infill import edge as module
from dgemma_constrain.infill.edge import Edge
from dgemma_constrain.infill.languages import grammar

OWN = {
    "json": json.dumps({"a": [1, -2.5e3, True, None, "x\\n\"é"], "b": {"c": {}, "d": []}, "ü": "\U0001f600"}, indent=1),
    "javascript": """// a file
import { a, b as c } from './x.js'
const re = /[a-z/]+\\/(x)/gi, t = `one ${a + `two ${c}`} three`
export default class Ä extends B {
  #x = 1
  get index() { return this.#x }
  async *run(input, { default: d = 2, ...rest } = {}) {
    for await (const one of input) yield one?.instance ?? typeof one
    label: while (true) { if (a) break label; else continue }
    return
  }
}
const f = async x => ({ x, [x]: 1, 'in': a instanceof c })
let i = 0, j
i++
j = i / 2 / 3
""",
    "go": """package main

import "fmt"

type T[K comparable] struct {
	a, b int `json:"a"`
	m    map[K][]func(int) (string, error)
}

/* several
lines */
func (t *T[K]) run(defaults ...int) (err error) {
	for i, v := range defaults {
		switch x := v; {
		case x > 0x1F && i < 3:
			go fmt.Println("a\\n", 'b', `raw`, x<<2)
		default:
			continue
		}
	}
	defer func() { _ = recover() }()
	return nil
}
""",
    "c": """#include <stdio.h>
#define MAX(a, b) ((a) > (b) ? (a) : (b))
typedef struct node { int value; struct node *next; } node;
static unsigned long f(const node *n, int (*g)(int), char s[]) {
  for (int i = 0; i < 10; i++) {
    if (n->value == 'x' || !s[i]) goto end; /* a comment */
    a * b;
    printf("%d" L"x", (int)sizeof(node), g(-i), 1.5e-3f, 0xFFul);
  }
end:
  do { n = n->next; } while (n);
  return n ? MAX(1, 2) : 0;
}
""",
    "rust": """// a line
/* a /* nested */ block */
use std::{fmt, io::Read as _};
#[derive(Debug)]
pub struct S<'a, T: Clone> { x: &'a [T], y: Option<Box<dyn Fn(i32) -> u8>> }
impl<'a, T: Clone> S<'a, T> {
    /// documented
    fn f(&mut self) -> Result<(), io::Error> {
        let r = r#"raw " text"#; let c = 'c';
        match self.x.len() { 0 | 1 if true => return Ok(()), n @ 2..=5 => {}, _ => println!("{}", n) }
        for i in 0..10 { let v = if i > 3 { 1.0 } else { 2e3 } as f32; }
        Ok(())
    }
}
""",
    "java": """package a.b;
import java.util.*;
public class A<T extends Comparable<T>> implements B {
  @Override public int f(final int[] xs, String... rest) throws E {
    int instance = 1; /* c */ // d
    for (int x : xs) { if (x instanceof Integer i && i > 0) x >>>= 2; else continue; }
    return rest.length > 0 ? xs[0] : switch (instance) { case 1 -> 2; default -> 3; };
  }
}
""",
}  # fmt: skip
PIECES = [*")(][}{,;:=+. #/*'\"\n", "\n    ", "x", " x ", "1", "if ", "in", "return ", "->", "0x", "\\", "é", "`"]


def files(language):
    if language != "python":
        return [OWN[language]]
    names = sorted(glob.glob(os.path.join(os.path.dirname(os.__file__), "*.py")))
    random.Random(3).shuffle(names)
    found = []
    for name in names:
        with open(name, encoding="utf-8") as file:
            text = file.read()
        if 1000 < len(text) < 40_000 and whole("python", text.encode()):
            found.append(text)
        if len(found) == 12:
            break
    return found


def whole(language, data):
    return not Parser(grammar(language)).parse(data).root_node.has_error


def cuts(language, count, seed=0):
    """(before, middle, after) out of files that are whole."""
    rng, texts = random.Random(seed), files(language)
    for text in texts:
        assert whole(language, text.encode())
    for k in range(count):
        text = texts[k % len(texts)]
        a = rng.randrange(len(text))
        b = min(len(text), a + rng.choice([1, 3, 8, 20, 60]))
        yield text[:a], text[a:b], text[b:]


def mutated(middle, rng):
    pieces = list(middle)
    for _ in range(rng.choice([1, 1, 2, 3])):
        at, piece = rng.randrange(len(pieces) + 1), rng.choice(PIECES)
        if rng.random() < 0.4:
            pieces.insert(at, piece)
        elif pieces and rng.random() < 0.5:
            del pieces[at % len(pieces)]
        elif pieces:
            pieces[at % len(pieces)] = piece
    return "".join(pieces)


@pytest.mark.parametrize("language", ["python", *OWN])
def test_no_part_of_a_whole_file_is_dead(language):
    checked = 0
    for before, middle, after in cuts(language, 60):
        edge = Edge(language, before.encode())
        assert edge.known
        data = middle.encode()
        parts = [data[:k] for k in range(len(data) + 1)]  # in the middle of characters, too
        assert edge.alive_each(parts).all(), (before[-60:], parts[int(np.argmin(edge.alive_each(parts)))])
        assert edge.fits(data, after.encode())
        checked += len(parts)
    assert checked > 500


@pytest.mark.parametrize("language", ["python", *OWN])
def test_a_candidate_fits_exactly_if_tree_sitter_finds_no_error(language):
    rng, seen = random.Random(1), {True: 0, False: 0}
    for before, middle, after in cuts(language, 25, seed=1):
        edge = Edge(language, before.encode())
        texts = [mutated(middle, rng) for _ in range(12)]
        wanted = [whole(language, (before + one + after).encode()) for one in texts]
        fits = edge.fits_each([one.encode() for one in texts], after.encode())
        assert [bool(x) for x in fits] == wanted, (before[-60:], texts, after[:40])
        for one, good in zip(texts, wanted, strict=True):
            assert not good or edge.alive(one.encode())  # what fits is never given up on the way
            seen[good] += 1
    assert min(seen.values()) > 30


@pytest.mark.parametrize("language", ["python", "javascript", "go", "rust"])
def test_what_candidates_share_changes_no_answer(language):
    """Read one after the other, in any order, for both questions in turn, or each by an edge that has read nothing else."""
    rng = random.Random(2)
    for before, middle, after in cuts(language, 8, seed=2):
        edge, before, after = Edge(language, before.encode()), before.encode(), after.encode()
        texts = [mutated(middle, rng) for _ in range(6)]
        texts = [one.encode() for text in texts for one in (text, text[: len(text) // 2], text + rng.choice(PIECES))]
        alone = [Edge(language, before) for _ in texts]
        wanted = [(one.alive(text), one.fits(text, after)) for one, text in zip(alone, texts, strict=True)]
        for size in (1, 5, len(texts)):
            order = rng.sample(range(len(texts)), len(texts))
            for some in (order[i : i + size] for i in range(0, len(texts), size)):
                given = [texts[i] for i in some]
                said = zip(edge.alive_each(given), edge.fits_each(given, after), strict=True)
                assert [(bool(a), bool(b)) for a, b in said] == [wanted[i] for i in some], (before[-60:], given)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 200])
def test_candidates_are_told_apart_and_sorted_by_their_bytes(count):
    rng = random.Random(count)
    texts = [bytes(rng.choices(b"ab\xc3", k=rng.randrange(6))) for _ in range(count)]
    data = np.frombuffer(candidates.SEPARATOR.join((*texts, b"")) or b" ", np.uint8)
    begins, order, todo = (np.empty(n, np.int32) for n in (count + 1, count, 2 * count + 3))
    candidates._sorted(data, begins, order, todo)
    assert sorted(order) == list(range(count))
    assert [bytes(data[begins[i] : begins[i + 1] - 1]) for i in range(count)] == texts
    assert [texts[i] + b"\xff" for i in order] == sorted(text + b"\xff" for text in texts)


@pytest.mark.parametrize(
    "language, before, alive, dead",
    [
        ("python", "def f(x):\n    return x", ["", ".", " i", " in", "ex", "\n", "\n  # a", "\n    y", "\ny", " if 1 else '"], [")", "]", " )", "\n    else:", " 1"]),
        ("python", "x = (1,\n", ["\n", "      y", ")", "'a' f'{", "# ("], ["]", "= 1", ";"]),
        ("python", "x = f'{a", ["}'", "!", ":>{b}}", "[0]"], [")", "]"]),
        ("python", "class A:\n\tx = '''a\n", ["'''", "anything )", "''"], ["''')"]),
        ("json", '{"a": 1', ["", "2", ".", "e", "}", ",", ' , "b'], ["]", ":", ", 1", "}}", "{"]),
        ("javascript", "const x = f(a", [")", ", b", "?", "?.", "=", " instanceo", "\n/*"], ["]", "}", " b"]),
        ("go", "package m\nfunc f() { x :", ["=", "= y", "+"], [")", "]"]),
        ("c", "int f(void) { return u", ["8", '8"x"', "", ";", "(", "->"], ["]", ")", "}"]),
    ],
)  # fmt: skip
def test_what_can_and_what_cannot_go_on(language, before, alive, dead):
    edge = Edge(language, before.encode())
    assert [x for x in alive if not edge.alive(x.encode())] == []
    assert [x for x in dead if edge.alive(x.encode())] == []


@pytest.mark.parametrize(
    "candidate, fits",
    [("pass", True), ("pass\n    x = 1", True), ("pass\n  x = 1", True), ("pass\nx = 1", True), ("if x", False), ("x =", False), ("if x:\n        pass", True), ("'''", False), ("'''a\n'''", True), ("x = [", False), ("#", True), ("f(#", False), ("\\", True)],
)  # fmt: skip
def test_python_lines_and_strings_right_of_the_hole(candidate, fits):
    before, after = b"def f(x):\n    ", b"\n    return x\n"
    theirs = whole("python", before + candidate.encode() + after)
    assert Edge("python", before).fits(candidate.encode(), after) is theirs
    assert theirs is fits


def test_what_is_broken_left_of_the_hole_is_not_known():
    edge = Edge("python", b"def f(:\n    pass\n\nx = ")
    assert not edge.known and edge.alive(b"1") is None and edge.fits(b"1", b"\n") is None


def test_what_is_broken_right_of_the_hole_lets_nothing_fit():
    edge = Edge("python", b"x = ")
    assert edge.known and edge.fits(b"1", b"\ny = )\n") is False and edge.fits(b"1", b"\ny = 2\n") is True


@pytest.mark.parametrize("partly", [False, True])
def test_only_utf_8_is_read(partly):
    rng, odd = (
        random.Random(0),
        [0, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC1, 0xC2, 0xDF, 0xE0, 0xED, 0xEF, 0xF0, 0xF4, 0xF5, 0xFF],
    )
    ends = [
        b"",
        b"\x80",
        b"\x90",
        b"\xa0",
        *(bytes([a, b]) for a in (0x80, 0x90, 0xA0) for b in (0x80, 0xBF)),
        b"\x80\x80\x80",
        b"\x90\x80\x80",
    ]
    for _ in range(5000):
        data, codes = bytes(rng.choices(odd, k=rng.randrange(5))), np.zeros(8, np.int32)
        n = candidates._decoded(np.frombuffer(data + b" ", np.uint8), 0, len(data), codes, partly)
        possible = []
        for end in ends if partly else [b""]:
            try:
                possible.append((data + end).decode())
            except UnicodeDecodeError:
                continue
        assert (n >= 0) == bool(possible), data
        if n >= 0:
            assert min(possible, key=len).startswith("".join(map(chr, codes[:n])))


def test_a_heap_that_is_full_is_emptied_and_answers_stay(monkeypatch):
    before, after = OWN["go"][:200].encode(), OWN["go"][200:].encode()
    edge, texts = Edge("go", before), [(" " * k + "x").encode() for k in range(60)]
    wanted = edge.alive_each(texts).tolist(), edge.fits_each(texts, after).tolist()
    monkeypatch.setattr(module, "KEPT", 600)
    for _ in range(3):
        assert (edge.alive_each(texts).tolist(), edge.fits_each(texts, after).tolist()) == wanted


def test_a_byte_order_mark_and_an_empty_file():
    assert Edge("python", b"").fits(b"x = 1\n", b"") and Edge("python", b"").fits(b"", b"")
    assert Edge("python", b"\xef\xbb\xbfx = ").fits(b"1", b"\n")


@pytest.mark.parametrize(
    "language, before",
    [("rust", "pub(crat"), ("rust", "fn f() { let mu"), ("c", "unsigned lon"), ("python", "x = Tru"), ("java", "class A { boolea")],
)  # fmt: skip
def test_a_keyword_that_is_not_named_as_it_is_spelled_may_be_half_written(language, before):
    assert Edge(language, before.encode()).known


def test_a_candidate_that_is_no_text_spoils_no_other():
    edge = Edge("python", b"x = f(")
    assert edge.alive_each([b"\x80", b"a", b")", b"a b", b"\xff"]).tolist() == [0, 1, 1, 0, 0]
    assert edge.alive_each([b"\x80\x80", b"\xc1"]).tolist() == [0, 0] and edge.alive_each([b"\xc1", b"1"]).tolist() == [
        0,
        1,
    ]


@pytest.mark.parametrize("before", ['f"{', 'x = f"{a} b', "f'{a["])
def test_what_was_read_last_leaves_no_trace_in_the_scanner(before):
    """Python's keeps that it is in an f-string when it is told to load nothing."""
    after = b"try:\n    a\nexcept E:\n    b\n\n\nc = 1\n"
    assert Edge("python", before.encode()).known and Edge("python", after).known


def test_an_edge_goes_on_where_another_ended():
    """Of a text in two parts it says what it says of the whole."""
    source, draw = OWN["javascript"], random.Random(0)
    for _ in range(20):
        at = draw.randrange(len(source) // 2)
        stop = draw.randrange(at, len(source))
        more = Edge("javascript", source[:at].encode()).behind(source[at:stop].encode())
        whole = Edge("javascript", source[:stop].encode())
        texts, after = [source[stop : stop + 5].encode(), b"x", b")", b"}", b"`", b"*/"], source[stop + 5 :].encode()
        assert more.known == whole.known
        assert more.alive_each(texts).tolist() == whole.alive_each(texts).tolist()
        assert more.fits_each(texts, after).tolist() == whole.fits_each(texts, after).tolist()


def test_a_text_that_is_longer_than_the_room_there_is_has_room_again_with_another_text_right_of_the_hole():
    long = b"x + " * 3000 + b"y"  # `alive` makes room for it, and what is right of the hole is new to `fits`
    for after in (b"\n", b")\n", b" + 1\n"):
        edge = Edge("python", b"a = ")
        assert edge.alive(long) and edge.fits(long, after) == (after != b")\n")
        assert len(edge._changed) - len(edge._left) >= len(long)
