"""Compiled constraints on disk: they come back the same, or as a CacheError, and nothing in a file is trusted."""

import json
import os
import pickle
import random

import numpy as np
import pytest
import torch

import dgemma_constrain as dc
from dgemma_constrain.canvas import compiled as compiling
from dgemma_constrain.canvas import store

VOCABULARY = dc.Vocabulary(
    [bytes([b]) for b in range(32, 127)] + [b"in", b"the", b" a", None, None], eos_id=98, pad_id=99
)
CONSTRAINTS = {
    "regex": dc.regex("[a-z]{2,5}( the [a-z]+)*"),
    "json": dc.json_schema({"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}),
    "text": dc.text(),
    "one text": dc.literal("in the"),
    "the empty text": dc.literal(""),
    "words": dc.substring("the end in the beginning, a thin one"),
}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache folder, and every lift slow enough to be kept there."""
    monkeypatch.setenv("DGEMMA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(compiling, "SLOW", -1.0)
    return tmp_path / "cache"


@pytest.fixture
def lifts(monkeypatch):
    """How often something was lifted."""
    calls = []
    monkeypatch.setattr(compiling, "lift", lambda *a, lift=compiling.lift: calls.append(a) or lift(*a))
    return calls


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "one.safetensors"
    dc.compile(CONSTRAINTS["regex"], VOCABULARY, cache=False).save(path)
    return path


def same(a, b) -> bool:
    return all(np.array_equal(x, y) and x.dtype == y.dtype for x, y in zip(a.automaton, b.automaton, strict=True))


@pytest.mark.parametrize("name", CONSTRAINTS)
def test_what_was_saved_makes_the_same_canvases(name, tmp_path):
    path = tmp_path / "file"
    first = dc.compile(CONSTRAINTS[name], VOCABULARY, cache=False)
    first.save(path)
    again = dc.load_compiled(path, VOCABULARY)
    assert same(first, again) and again.constraint is None and again.vocabulary is VOCABULARY
    logits = torch.randn(12, len(VOCABULARY), generator=torch.Generator().manual_seed(0))
    a, b = first.canvas(12), again.canvas(12)
    assert a.feasible and b.feasible and torch.equal(a.allowed(), b.allowed()) and a.best(logits) == b.best(logits)
    assert os.listdir(tmp_path) == ["file"]  # no temporary file is left


def test_saving_replaces_a_file_whole_or_not_at_all(saved, monkeypatch):
    before = saved.read_bytes()
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        dc.compile("other", VOCABULARY, cache=False).save(saved)
    assert saved.read_bytes() == before and os.listdir(saved.parent) == [saved.name]


def test_a_file_for_another_vocabulary_is_refused(saved):
    tokens = [VOCABULARY.token_bytes(i) for i in range(len(VOCABULARY))]
    for other in (
        dc.Vocabulary([*tokens[:-3], b" b", None, None], eos_id=98, pad_id=99),
        dc.Vocabulary(tokens, eos_id=99, pad_id=98),
        dc.Vocabulary([*tokens, b"more"], eos_id=98, pad_id=99),
    ):
        with pytest.raises(dc.CacheError, match="was compiled for another vocabulary; compile the constraint again"):
            dc.load_compiled(saved, other)


def test_a_missing_file_is_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        dc.load_compiled(tmp_path / "nothing", VOCABULARY)


class Loud:
    def __reduce__(self):
        return print, ("this was unpickled",)


def retyped(whole: bytes, name: str, kind: str) -> bytes:
    """The file with one array said to be of another type, of as many bytes."""
    header = int.from_bytes(whole[:8], "little")
    entries = json.loads(whole[8 : 8 + header] or "{}")
    if name in entries:
        begin, end = entries[name]["data_offsets"]
        entries[name] |= {"dtype": kind, "shape": [(end - begin) // {"BF16": 2, "F8_E5M2": 1, "F32": 4}[kind]]}
    head = json.dumps(entries).encode()
    return len(head).to_bytes(8, "little") + head + whole[8 + header :]


def foreign_files(whole: bytes) -> dict[str, bytes]:
    from safetensors.numpy import save

    return {
        "empty": b"",
        "truncated header": whole[:40],
        "truncated data": whole[:-1],
        "longer": whole + b"\0",
        "text": b"hello, this is no compiled constraint\n" * 9,
        "zip": b"PK\3\4" + bytes(500),
        "pickle": pickle.dumps(Loud()),
        "huge header": b"\xff" * 7 + b"\x7f" + whole,
        "types that numpy lacks": retyped(whole, "classes", "BF16"),
        "bytes of another type": retyped(whole, "accept", "F8_E5M2"),
        "numbers of another type": retyped(whole, "targets", "F32"),
        "another program's tensors": save({"weight": np.zeros((2, 2), np.float32)}),
        "another version's": save({"classes": np.zeros(3, np.int32)}, {"format": "dgemma_constrain token automaton 0"}),
        "no tensors": save({}, {"format": store.FORMAT, "vocabulary": VOCABULARY.fingerprint, "sha256": "0" * 64}),
        "no checksum": save({}, {"format": store.FORMAT, "vocabulary": VOCABULARY.fingerprint}),
    }


@pytest.mark.parametrize("kind", foreign_files(b""))
def test_what_is_no_compiled_constraint_is_refused_and_not_unpickled(kind, saved, capsys):
    saved.write_bytes(foreign_files(saved.read_bytes())[kind])
    with pytest.raises(dc.CacheError, match=f"{saved}.*compile"):
        dc.load_compiled(saved, VOCABULARY)
    assert "unpickled" not in capsys.readouterr().out


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(dc.CacheError, match="compile"):
        dc.load_compiled(tmp_path, VOCABULARY)


def test_no_flipped_bit_goes_unnoticed(saved):
    whole = saved.read_bytes()
    rng = random.Random(0)
    header = 8 + int.from_bytes(whole[:8], "little")
    places = [*range(header), *(rng.randrange(header, len(whole)) for _ in range(300))]
    for place in places:
        damaged = bytearray(whole)
        damaged[place] ^= 1 << rng.randrange(8)
        saved.write_bytes(damaged)
        try:
            again = dc.load_compiled(saved, VOCABULARY)
        except dc.CacheError:
            continue
        assert same(again, dc.compile(CONSTRAINTS["regex"], VOCABULARY, cache=False)), place  # in the padding


def damaged_arrays(a) -> dict[str, dict[str, np.ndarray]]:
    """Changes, each of which would have a kernel read outside an array, or promise what does not hold."""

    def changed(array, place, value):
        array = array.copy()
        array[place] = value
        return array

    eos = VOCABULARY.eos_id
    moved = changed(changed(a.classes, a.members[0], -1), eos, 0)
    longer = changed(a.member_offsets, -1, len(a.members) + 1)
    rows = {k: getattr(a, k)[:0] for k in ("symbols", "targets", "accept", "distance")}
    letter = int(np.flatnonzero(a.classes >= 0)[0])
    return {
        "symbol too large": {"symbols": changed(a.symbols, -1, a.class_count)},
        "symbol below 0": {"symbols": changed(a.symbols, 0, -1)},
        "symbols not ascending": {"symbols": changed(a.symbols, slice(0, 2), a.symbols[0])},
        "target too large": {"targets": changed(a.targets, 0, a.states)},
        "target below 0": {"targets": changed(a.targets, -1, -1)},
        "class too large": {"classes": changed(a.classes, 5, a.class_count)},
        "class below -1": {"classes": changed(a.classes, 5, -2)},
        "classes too short": {"classes": a.classes[:-1]},
        "class without its member": {"classes": changed(a.classes, letter, -1)},
        "class of a special id": {"classes": changed(a.classes, eos, 0)},
        "member too large": {"members": changed(a.members, 0, len(VOCABULARY))},
        "member below 0": {"members": changed(a.members, 0, -1)},
        "member special": {"members": changed(a.members, 0, eos), "classes": moved},
        "member twice": {"members": np.append(a.members, a.members[-1:]), "member_offsets": longer},
        "class of nobody": {"member_offsets": np.append(a.member_offsets, a.member_offsets[-1:])},
        "member offsets past the end": {"member_offsets": changed(a.member_offsets, -1, len(a.members) + 9)},
        "no member offsets": {"member_offsets": a.member_offsets[:0]},
        "offsets past the end": {"offsets": changed(a.offsets, -1, len(a.symbols) + 1)},
        "offsets falling": {"offsets": changed(a.offsets, 1, len(a.symbols) + 5)},
        "offsets not from 0": {"offsets": changed(a.offsets, 0, -3)},
        "offsets too few": {"offsets": a.offsets[:-1]},
        "targets too few": {"targets": a.targets[:-1]},
        "accept too long": {"accept": np.append(a.accept, True)},
        "distance too short": {"distance": a.distance[:-1]},
        "distance wrong": {"distance": changed(a.distance, 0, 0)},
        "distance below 0": {"distance": changed(a.distance, 0, -1)},
        "distance at the top": {"distance": changed(a.distance, slice(None), 2**31 - 1)},
        "accepts nothing": {"accept": np.zeros_like(a.accept)},
        "no states": rows | {"offsets": a.offsets[:1]},
        "two axes": {"targets": a.targets[None]},
        "wrong type": {"targets": a.targets.astype(np.int64)},
    }  # fmt: skip


KINDS = damaged_arrays(dc.compile(CONSTRAINTS["regex"], VOCABULARY, cache=False).automaton)


@pytest.mark.parametrize("kind", KINDS)
def test_a_right_checksum_does_not_make_wrong_numbers_right(kind, tmp_path):
    automaton = dc.compile(CONSTRAINTS["regex"], VOCABULARY, cache=False).automaton
    assert any(getattr(automaton, k).tobytes() != v.tobytes() for k, v in KINDS[kind].items()) or kind == "two axes"
    store.write(tmp_path / "file", automaton._replace(**KINDS[kind]), VOCABULARY.fingerprint)
    with pytest.raises(dc.CacheError, match="compile"):
        dc.load_compiled(tmp_path / "file", VOCABULARY)


# Grammars that are searched

NESTED = dc.grammar('start: "(" start ")" | NAME+\nNAME: /[a-c]+/\n%ignore " "')
MIRROR = dc.grammar('root ::= "a" root "a" | [b-d] root "é" | "c"')
SEARCHED = {
    "grammar": NESTED,
    "without a lexer": MIRROR,
    "template": dc.template("<{a}> {b}{c}", a=NESTED, b=MIRROR, c=dc.regex("[x-z]*")),
    "and": "z" + ((NESTED & dc.regex(r"\(\(.*")) | MIRROR).repeat(1, 2),
}
SMALL = dc.Vocabulary(
    [*(bytes([b]) for b in range(32, 127)), b"((", b"))", b"aa", b"\xc3", b"\xa9", None, None], eos_id=100, pad_id=101
)


def save_searched(name: str, path):
    search = SEARCHED[name].searched()
    compiled = compiling._compiled(*search, SMALL, SEARCHED[name], dc.Limits(), False)
    compiled.save(path)
    return compiled


@pytest.mark.parametrize("name", SEARCHED)
def test_what_is_searched_is_saved_with_its_machine(name, tmp_path):
    first = save_searched(name, tmp_path / "file")
    again = dc.load_compiled(tmp_path / "file", SMALL)
    assert same(first, again) and type(again.machine) is type(first.machine) and not again.exact
    rng = random.Random(name)
    for seed in range(12):
        length, logits = rng.randint(1, 24), torch.Generator().manual_seed(seed)
        pinned = {rng.randrange(length): rng.randrange(len(SMALL)) for _ in range(rng.randint(0, 1))}
        logits = torch.randn(length, len(SMALL), generator=logits)
        a, b = first.canvas(length, pinned), again.canvas(length, pinned)
        assert a.feasible == b.feasible
        if a.feasible:
            assert a.best(logits) == b.best(logits) and a.best(logits).proved == b.best(logits).proved
    again.save(tmp_path / "copy")
    (arrays, said), (copied, same_said) = contents(tmp_path / "file"), contents(tmp_path / "copy")
    assert said == same_said and all(np.array_equal(arrays[k], copied[k]) for k in arrays)


def contents(path) -> tuple[dict, dict]:
    from safetensors import safe_open

    with safe_open(path, "np") as file:
        arrays = {k: file.get_tensor(k) for k in file.keys()}
    return arrays, json.loads(arrays["grammars"].tobytes())


def rewritten(path, arrays, said) -> None:
    """With a right checksum."""
    from safetensors.numpy import save

    arrays = arrays | {"grammars": np.frombuffer(json.dumps(said).encode(), np.uint8)}
    metadata = {
        "format": store.FORMAT,
        "vocabulary": SMALL.fingerprint,
        "sha256": store._digest(arrays),
        "exact": "False",
    }
    path.write_bytes(save(arrays, metadata))


@pytest.mark.parametrize("name", ["grammar", "without a lexer", "and"])
def test_whatever_a_file_says_of_a_grammar_it_is_refused_or_hangs_together(name, tmp_path):
    """Numbers, texts and lists changed at random, and the automata: what is loaded can be searched."""
    path = tmp_path / "file"
    save_searched(name, path)
    arrays, said = contents(path)
    rng = random.Random(name)
    refused = 0
    for trial in range(150):
        changed = json.loads(json.dumps(said))
        automata = arrays["automata"].copy()
        if len(automata) and trial % 2:
            automata[rng.randrange(len(automata))] = rng.choice([-2, -1, 0, 1, 5, 1000, 0x110000, 0x110001, 2**31 - 1])
        else:
            damage(changed, rng)
        rewritten(path, arrays | {"automata": automata}, changed)
        try:
            again = dc.load_compiled(path, SMALL)
        except dc.CacheError as error:
            assert "contradicts itself" in str(error)
            refused += 1
            continue
        with again.machine.lock:
            for text in (b"((a))", b"z((a)) aa", b"zaca", b"z\xc3\xa9"):
                again.machine.read(again.machine.start, text)
        assert again.canvas(5).feasible in (True, False, None)
    assert refused > 30


def damage(said, rng: random.Random) -> None:
    """Change something in nested lists and dictionaries."""
    while True:
        places = list(said) if isinstance(said, dict) else range(len(said))
        if not places:
            return
        place = rng.choice(list(places))
        if isinstance(said[place], (list, dict)) and said[place] and rng.random() < 0.9:
            said = said[place]
            continue
        said[place] = rng.choice([-1, 0, 1, 2, 7, 10**9, -(10**30), 1.5, True, None, "", "a*", "[", "x", [], [[0]], {}])
        return


def test_half_a_machine_is_refused(tmp_path):
    path = tmp_path / "file"
    save_searched("template", path)
    arrays, said = contents(path)
    for missing in ("grammars", "automata"):
        from safetensors.numpy import save

        some = {k: v for k, v in arrays.items() if k != missing}
        metadata = {"format": store.FORMAT, "vocabulary": SMALL.fingerprint, "sha256": store._digest(some)}
        path.write_bytes(save(some, metadata))
        with pytest.raises(dc.CacheError, match="corrupt"):
            dc.load_compiled(path, SMALL)


# The cache


def test_slow_lifts_are_kept_and_found_again(cache, lifts):
    first = dc.compile(CONSTRAINTS["regex"], VOCABULARY)
    assert len(lifts) == 1 and len(list(cache.iterdir())) == 1
    again = dc.compile(dc.regex("[a-z]{2}[a-z]{0,3}(?: the [a-z][a-z]*)*"), VOCABULARY)  # the same language
    assert len(lifts) == 1 and same(first, again) and again.constraint is not None
    dc.compile("other", VOCABULARY)
    dc.compile(CONSTRAINTS["regex"], dc.Vocabulary([b"a", b"b", b" the ", None], eos_id=3))
    assert len(lifts) == 3 and len(list(cache.iterdir())) == 3


def test_quick_lifts_are_not_kept(cache, lifts, monkeypatch):
    monkeypatch.setattr(compiling, "SLOW", 1000.0)
    for _ in range(2):
        dc.compile("in", VOCABULARY)
    assert len(lifts) == 2 and not cache.exists()


def test_without_the_cache_nothing_is_read_or_written(cache, lifts):
    dc.compile("in", VOCABULARY, cache=False)
    assert not cache.exists()
    dc.compile("in", VOCABULARY)
    dc.compile("in", VOCABULARY, cache=False)
    assert len(lifts) == 3


@pytest.mark.parametrize("damage", ["garbage", "truncated", "another automaton", "wrong numbers"])
def test_a_damaged_cache_is_rebuilt(damage, cache, lifts):
    first = dc.compile(CONSTRAINTS["regex"], VOCABULARY)
    (file,) = cache.iterdir()
    if damage == "wrong numbers":
        store.write(file, first.automaton._replace(**KINDS["target too large"]), VOCABULARY.fingerprint)
    elif damage == "another automaton":
        store.write(file, first.automaton, "another vocabulary")
    else:
        file.write_bytes(b"garbage" if damage == "garbage" else file.read_bytes()[:-9])
    again = dc.compile(CONSTRAINTS["regex"], VOCABULARY)
    assert len(lifts) == 2 and same(first, again)
    dc.compile(CONSTRAINTS["regex"], VOCABULARY)
    assert len(lifts) == 2


def test_a_cache_that_cannot_be_used_is_no_error(cache, lifts, monkeypatch):
    cache.write_text("a file where the folder should be")
    assert dc.compile("in", VOCABULARY).canvas(2).feasible
    monkeypatch.setenv("DGEMMA_CACHE", "/proc/nowhere")
    assert dc.compile("in", VOCABULARY).canvas(2).feasible
    assert len(lifts) == 2


def test_a_folder_in_the_place_of_a_cached_file_is_no_error(cache, lifts):
    dc.compile("in", VOCABULARY)
    (file,) = cache.iterdir()
    file.unlink()
    file.mkdir()
    assert dc.compile("in", VOCABULARY).canvas(2).feasible and len(lifts) == 2


def test_the_files_used_longest_ago_go_first(cache, lifts, monkeypatch):
    for n in range(4):
        dc.compile(f"in{n}", VOCABULARY)
        (newest,) = [f for f in cache.iterdir() if f.stat().st_mtime > 2000]
        os.utime(newest, (1000 + n, 1000 + n))
    size = max(f.stat().st_size for f in cache.iterdir())
    dc.compile("in0", VOCABULARY)  # is used again, so it stays
    monkeypatch.setattr(store, "CACHE_BYTES", 3 * size)
    dc.compile("in4", VOCABULARY)
    assert len(lifts) == 5 and len(list(cache.iterdir())) == 3
    for kept in ("in0", "in4", "in3"):
        dc.compile(kept, VOCABULARY)
    assert len(lifts) == 5


def test_the_cache_is_the_users_unless_told_otherwise(monkeypatch, tmp_path):
    monkeypatch.delenv("DGEMMA_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert store.folder().name == "dgemma_constrain"
