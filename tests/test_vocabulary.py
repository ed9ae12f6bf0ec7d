import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.vocabularies import generated_vocabulary
from dgemma_constrain.errors import VocabularyError
from dgemma_constrain.tokens import Vocabulary

BYTES = [bytes([byte]) for byte in range(256)]
small = Vocabulary([None, b"a", b"b", b"ab", b"ab", b"", b"\xc3", b"\xa9"], eos_id=0)
every_byte = Vocabulary(BYTES + [b"the", b" the", b"\xf0\x9f", None], eos_id=259)


@pytest.fixture(scope="module")
def real_size():
    return generated_vocabulary()


def test_ids_are_bytes_in_two_flat_arrays():
    assert len(small) == 8
    assert small.data.tobytes() == b"abababab"[:6] + b"\xc3\xa9"
    assert (small.data.dtype, small.offsets.dtype, small.special.dtype) == (np.uint8, np.int64, np.bool_)
    assert small.offsets.tolist() == [0, 0, 1, 2, 4, 6, 6, 7, 8]
    assert small.special.tolist() == [True, False, False, False, False, True, False, False]
    assert [small.token_bytes(i) for i in (0, 3, 5)] == [None, b"ab", None]


def test_eos_pad_and_mask_ids_add_no_text_whatever_their_bytes():
    v = Vocabulary([b"x", b"<eos>", b"<end>", b"<pad>", b"<mask>"], eos_id=[1, 2, 1], pad_id=3, mask_id=4)
    assert (v.eos_ids, v.eos_id, v.pad_id, v.mask_id) == ((1, 2), 1, 3, 4)
    assert v.special.tolist() == [False, True, True, True, True]
    assert v.decode([0, 1, 2, 3, 4, 0]) == "xx"
    assert v.data.tobytes() == b"x"


def test_a_vocabulary_may_have_no_end():
    v = Vocabulary([b"x"])
    assert (v.eos_ids, v.eos_id, v.pad_id, v.mask_id) == ((), None, None, None)


def test_decode_joins_bytes_across_tokens_and_replaces_what_is_not_utf8():
    assert small.decode([6, 7]) == "é"
    assert small.decode([6, 0, 7]) == "é"
    assert small.decode([1, 6, 2]) == "a\ufffdb"
    assert small.decode_bytes([6]) == b"\xc3"
    assert small.decode([]) == ""


@pytest.mark.parametrize("ids", [[1, 3], (1, np.int64(3)), np.array([1, 3], np.int32), torch.tensor([1, 3])])
def test_decode_takes_any_sequence_of_ints(ids):
    assert small.decode(ids) == "aab"


def test_a_whole_text_drops_one_leading_space_where_the_tokenizer_does():
    v = Vocabulary([b" a", b"a", b" "], strips_leading_space=True)
    assert [v.decode(ids) for ids in ([0, 0], [1, 0], [2, 0], [2, 2, 1])] == ["a a", "a a", " a", " a"]
    assert v.encode("a a") == [0, 0]
    assert v.decode(v.encode(" a")) == " a"
    assert v.encode("") == []
    assert v.decode(v.encode(" ")) == " "
    assert Vocabulary([b"a"], strips_leading_space=True).encode("a") == [0]


@pytest.mark.parametrize(
    "arguments, message",
    [
        (([],), "at least one token"),
        ((b"abc",), "sequence of bytes"),
        ((7,), "sequence of bytes"),
        (([b"a", "b"],), "token 1 must be bytes or None, not str"),
        (([b"a"], 1), "eos_id 1 is outside the vocabulary of 1 ids"),
        (([b"a"], [0, -1]), "eos_id -1 is outside"),
        (([b"a"], True), "eos_id must be an int, not True"),
        (([b"a"], None, 0.0), "pad_id must be an int, not 0.0"),
        (([b"a"], None, None, "0"), "mask_id must be an int, not '0'"),
    ],
)
def test_what_is_no_vocabulary_is_refused_with_the_reason(arguments, message):
    with pytest.raises(VocabularyError, match=message) as error:
        Vocabulary(*arguments)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "ids, message",
    [
        ([8], "id 8 is outside the vocabulary of 8 ids"),
        ([-1], "id -1 is outside"),
        ([True], "id must be an int, not True"),
        ([1.0], "id must be an int, not 1.0"),
        ([[1]], "id must be an int"),
        (3, "sequence of ints, not 3"),
        (torch.tensor([1.0]), "id must be an int"),
    ],
)
def test_decode_refuses_what_is_no_id(ids, message):
    with pytest.raises(VocabularyError, match=message):
        small.decode(ids)


@given(st.text())
def test_encode_spells_any_text_when_every_byte_has_a_token(text):
    ids = every_byte.encode(text)
    assert every_byte.decode_bytes(ids) == text.encode()
    assert not every_byte.special[ids].any()


def test_encode_uses_the_fewest_tokens():
    assert [every_byte.token_bytes(i) for i in every_byte.encode("the the")] == [b"the", b" the"]
    assert len(every_byte.encode("🙂")) == 3


def test_encode_names_the_byte_that_no_token_spells():
    with pytest.raises(VocabularyError, match="byte 0x63 at byte 2 of the text"):
        small.encode("abc")
    with pytest.raises(VocabularyError, match="byte 0x21 at byte 1 of the text"):
        Vocabulary([b" a"], strips_leading_space=True).encode("a!")
    with pytest.raises(VocabularyError, match="lone surrogate at character 1"):
        every_byte.encode("a\ud800")
    with pytest.raises(VocabularyError, match="takes a str, not bytes"):
        every_byte.encode(b"a")


def test_the_tokenizers_own_encoding_counts_only_if_it_gives_the_text_back():
    own = {"ab": [1, 2], "ba": [3], "a": [0, 1], "b": [99], "aa": [1, None]}
    v = Vocabulary([None, b"a", b"b", b"ab"], eos_id=0, encode=own.__getitem__)
    assert v.encode("ab") == [1, 2]  # its own, though [3] is shorter
    assert v.encode("ba") == [2, 1]  # decodes to something else
    assert v.encode("a") == [1]  # has an eos id in it
    assert v.encode("b") == [2]  # an id that does not exist
    assert v.encode("aa") == [1, 1]  # a character it does not know


def test_twins_sit_side_by_side_in_the_order_and_share_a_trie_node():
    assert [small.token_bytes(i) for i in small.order] == [b"a", b"ab", b"ab", b"b", b"\xa9", b"\xc3"]
    assert small.order.tolist() == [1, 3, 4, 2, 7, 6]
    assert small.trie.last[1] - small.trie.first[1] == 2


def test_a_vocabulary_of_special_ids_only_spells_the_empty_text():
    v = Vocabulary([None, None], eos_id=0)
    assert (len(v.order), len(v.trie.byte), v.encode(""), v.decode([0, 1])) == (0, 0, [], "")
    with pytest.raises(VocabularyError):
        v.encode("a")


def test_a_pickled_vocabulary_is_the_same_without_its_trie():
    assert small.trie
    again = pickle.loads(pickle.dumps(small))
    assert "trie" not in again.__dict__
    assert again.fingerprint == small.fingerprint
    assert again.encode("abé") == small.encode("abé")
    assert all(np.array_equal(a, b) for a, b in zip(again.trie, small.trie, strict=True))


def test_fingerprints_differ_whenever_a_compiled_constraint_would():
    tokens = [b"a", b"b", b"ab", None]
    variants = [
        Vocabulary(tokens),
        Vocabulary([b"a", b"ba", b"b", None]),  # the same bytes, cut elsewhere
        Vocabulary([*tokens, None]),
        Vocabulary(tokens, eos_id=3),
        Vocabulary(tokens, pad_id=3),
        Vocabulary(tokens, mask_id=3),
        Vocabulary(tokens, strips_leading_space=True),
    ]
    assert len({v.fingerprint for v in variants}) == len(variants)
    assert Vocabulary(tokens).fingerprint == variants[0].fingerprint


def test_a_generated_vocabulary_is_shaped_like_a_real_one(real_size):
    lengths = np.diff(real_size.offsets)
    assert len(real_size) == 262_144
    assert real_size.special.sum() == 6_096
    assert lengths.max() == real_size.trie.height == 48
    assert 7 < lengths.mean() < 9
    assert 550_000 < len(real_size.trie.byte) < 700_000
    tokens = [real_size.token_bytes(i) for i in real_size.order]
    assert tokens == sorted(tokens)
    assert len(tokens) - len(set(tokens)) == 109
    assert set(BYTES) | {b'":', b'",', b'{"', b" " * 31} <= set(tokens)
    assert 0.48 < sum(token.startswith(b" ") for token in tokens) / len(tokens) < 0.58


def test_a_generated_vocabulary_depends_on_nothing_but_its_arguments(real_size):
    assert generated_vocabulary(5000).fingerprint == generated_vocabulary(5000).fingerprint
    assert generated_vocabulary(5000).fingerprint != generated_vocabulary(5000, seed=1).fingerprint
    with pytest.raises(ValueError, match="4,096"):
        generated_vocabulary(1000)


def test_every_token_of_a_real_size_vocabulary_is_found_again_as_one_token(real_size):
    valid = [i for i in real_size.order[::97].tolist() if "\ufffd" not in real_size.decode([i])]
    for i in valid:
        ids = real_size.encode(real_size.decode([i]))
        assert [real_size.token_bytes(t) for t in ids] == [real_size.token_bytes(i)]


@given(st.text(max_size=60))
def test_a_real_size_vocabulary_spells_any_text(real_size, text):
    assert real_size.decode_bytes(real_size.encode(text)) == text.encode()
