import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgemma_constrain.tokens.trie import KIND, build_trie, fewest_tokens, sort_tokens

# few letters and lengths around the sorting key's seven bytes: many prefixes, ties and twins
token_lists = st.lists(
    st.binary(min_size=1, max_size=4)
    | st.text("\x00a\xff", min_size=1, max_size=17).map(lambda text: text.encode("latin-1")),
    max_size=40,
)


def flat(tokens):
    data = np.frombuffer(b"".join(tokens), np.uint8).copy()
    offsets = np.concatenate([[0], np.cumsum([len(token) for token in tokens])]).astype(np.int64)
    return data, offsets


def trie_of(tokens):
    data, offsets = flat(tokens)
    order = sort_tokens(data, offsets, np.arange(len(tokens)))
    return order, build_trie(data, offsets, order)


def spelled(trie):
    """The string of every node."""
    path, strings = [], []
    for byte, depth in zip(trie.byte, trie.depth, strict=True):
        path[depth - 1 :] = [byte]
        strings.append(bytes(path))
    return strings


@given(token_lists)
def test_tokens_sort_like_python_sorts_bytes_and_twins_stay_in_id_order(tokens):
    order, _ = trie_of(tokens)
    assert order.tolist() == sorted(range(len(tokens)), key=tokens.__getitem__)


@given(token_lists)
def test_every_prefix_is_one_node_and_every_token_ends_at_its_own(tokens):
    order, trie = trie_of(tokens)
    strings = spelled(trie)
    assert strings == sorted({token[:n] for token in tokens for n in range(1, len(token) + 1)})
    for k, string in enumerate(strings):
        ending = order[trie.first[k] : trie.last[k]].tolist()
        assert ending == [i for i, token in enumerate(tokens) if token == string]
    assert trie.height == max(map(len, tokens), default=0)


@given(token_lists)
def test_skip_leaves_the_subtree_and_first_counts_the_tokens_in_it(tokens):
    order, trie = trie_of(tokens)
    strings = spelled(trie)
    for k, string in enumerate(strings):
        inside = [s.startswith(string) for s in strings]
        assert trie.skip[k] == k + sum(inside)
        below = order[trie.first[k] : trie.first[trie.skip[k]]].tolist()
        assert sorted(below) == [i for i, token in enumerate(tokens) if token.startswith(string)]


@given(st.lists(st.binary(min_size=1, max_size=4) | st.text("aZ7-\n", min_size=1).map(str.encode), max_size=20))
def test_below_has_the_kinds_of_all_bytes_below_a_node(tokens):
    _, trie = trie_of(tokens)
    for below, string in zip(trie.below.tolist(), spelled(trie), strict=True):
        rest = {byte for token in tokens if token.startswith(string) for byte in token[len(string) :]}
        assert below == sum({1 << int(KIND[byte]) for byte in rest})


@given(token_lists, st.data())
def test_a_trie_over_some_of_the_tokens_is_the_trie_of_those_alone(tokens, draw):
    data, offsets = flat(tokens)
    some = draw.draw(st.lists(st.sampled_from(range(len(tokens))), unique=True)) if tokens else []
    part = build_trie(data, offsets, sort_tokens(data, offsets, np.array(some, np.int32)))
    _, alone = trie_of([tokens[i] for i in some])
    assert all(np.array_equal(a, b) for a, b in zip(part, alone, strict=True))


def test_the_documented_example():
    order, trie = trie_of([b"b", b"ab", b"a", b"ac", b"ab"])
    assert order.tolist() == [2, 1, 4, 3, 0]
    assert bytes(trie.byte) == b"abcb"
    assert [array.tolist() for array in trie[1:]] == [
        [1, 2, 2, 1],
        [3, 2, 3, 4],
        [0, 1, 3, 4, 5],
        [1, 3, 4, 5],
        [1, 0, 0, 0],
    ]


@pytest.mark.parametrize("tokens, ids", [([b"b", b"a"], [0, 1]), ([b"ab", b"a"], [0, 1]), ([b"", b"a"], [0, 1])])
def test_unsorted_or_empty_tokens_are_refused(tokens, ids):
    with pytest.raises(ValueError, match="sorted order"):
        build_trie(*flat(tokens), np.array(ids))


@given(token_lists, st.text("\x00a\xff", max_size=12).map(lambda text: text.encode("latin-1")))
def test_a_split_has_the_fewest_tokens_or_none_exists(tokens, text):
    order, trie = trie_of(tokens)
    found, reached = fewest_tokens(np.frombuffer(text, np.uint8).copy(), trie.byte, trie.skip, trie.first, trie.last)
    cost = {0: 0}  # offset -> fewest tokens to reach it
    for at in range(len(text)):
        for token in tokens:
            if at in cost and text.startswith(token, at):
                cost[at + len(token)] = min(cost.get(at + len(token), 99), cost[at] + 1)
    assert reached == max(cost)
    if len(text) in cost:
        assert b"".join(tokens[order[p]] for p in found) == text
        assert len(found) == cost[len(text)]
    else:
        assert len(found) == 0
