"""The files of the JSON parsing test suite (../shared/data/json-test-suite), and who judges them wrongly.

    wrong = misjudged(accepts_bytes(constraint))        # [] for a constraint whose texts are just JSON

`y_` files are JSON, `n_` files are not, `i_` files are up to the reader: large numbers, lone surrogates, broken UTF-8.
"""

from pathlib import Path
from typing import Callable

from dgemma_constrain.automata.encodings import utf8
from dgemma_constrain.constraints.base import Constraint

FOLDER = Path(__file__).parents[2] / "shared/data/json-test-suite/test_parsing"


def files(kind: str) -> list[Path]:
    """The files of a kind: "y", "n" or "i"."""
    return sorted(FOLDER.glob(f"{kind}_*.json"))


def is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def accepts_bytes(constraint: Constraint) -> Callable[[bytes], bool]:
    """What a constraint says of raw bytes, UTF-8 or not: by its byte automaton, so up to its depth."""
    dfa = utf8(constraint.dfa())
    rows, classes, accept = dfa.table.tolist(), dfa.classes.tolist(), dfa.accept.tolist()

    def accepts(data: bytes) -> bool:
        state = 0
        for byte in data:
            state = rows[state][classes[byte]]
            if state < 0:
                return False
        return accept[state]

    return accepts


def misjudged(accepts: Callable[[bytes], bool]) -> list[str]:
    """The names of the `y_` files that are refused, the `n_` files that are accepted, and of anything accepted that is
    no UTF-8."""
    wrong = [file.name for file in files("y") if not accepts(file.read_bytes())]
    wrong += [file.name for file in files("n") if accepts(file.read_bytes())]
    return wrong + [file.name for file in files("i") if accepts(data := file.read_bytes()) and not is_utf8(data)]
