"""The wheels' LR tables and lexers, read from memory."""

import numpy as np
import pytest

from dgemma_constrain.errors import LanguageError
from dgemma_constrain.infill import tables as module
from dgemma_constrain.infill.languages import KNOWN, grammar
from dgemma_constrain.infill.lexer import STATE, new_block, token
from dgemma_constrain.infill.tables import tables


@pytest.mark.parametrize("known", KNOWN, ids=lambda k: k.name)
def test_every_value_agrees_with_the_binding(known):
    read, binding = tables(known.name), grammar(known.name)
    assert (
        len(read.table) == binding.parse_state_count and read.table.shape[1] <= binding.node_kind_count
    )  # and aliases
    for state in np.random.default_rng(0).integers(1, len(read.table), 40).tolist():
        for symbol in range(1, read.table.shape[1]):
            row = read.actions[read.starts[read.table[state, symbol]] : read.starts[read.table[state, symbol] + 1]]
            ours = read.table[state, symbol] if symbol >= read.reserved.shape[1] else 0
            if symbol < read.reserved.shape[1] and len(row) and row[-1][0] in (module.SHIFT, module.SKIP):
                ours = row[-1][1] or state
            assert binding.next_state(state, symbol) == ours


def test_a_table_that_differs_is_an_error():
    read = tables("json")
    wrong = read._replace(table=np.roll(read.table, 1, axis=1))
    with pytest.raises(LanguageError, match="could not be read: its state 1 differs"):
        module._check("json", wrong, read.reserved.shape[1])


@pytest.mark.parametrize(
    "language, text, name, end",
    [("json", ' {"a": 1}', "{", 2), ("python", "  '''a", "string_start", 5), ("python", "import x", "import", 6), ("python", "imports = 1", "identifier", 7)],
)  # fmt: skip
def test_a_token_is_read_by_the_wheels_own_lexer(language, text, name, end):
    read, saved, room = tables(language)._replace(names=()), np.zeros(STATE, np.uint8), np.zeros(STATE, np.uint8)
    characters = np.array([ord(c) for c in text], np.int32)
    symbol, stop, _ = token(read, new_block(), characters, 1, np.int64(0), saved, np.int64(0), room)
    assert (tables(language).names[symbol], stop) == (name, end)
