"""Sets of JSON numbers, as automata over one canonical spelling of each.

A number's *canonical spelling* is its plain decimal one: no exponent, no zeros that could go, no -0: `-?int(.frac)?`.
One number, one spelling, so sets of numbers are plain languages: `intersect unite subtract` of `automata.dfa` are their
algebra, two sets are equal if their DFAs are, and the complement of a set is `subtract(everything(), it)`.

    from dgemma_constrain.constraints.json_schema import numbers
    from dgemma_constrain.constraints.json_schema.number_spellings import spellings

    percent = intersect(numbers.integers(), numbers.interval(Decimal(0), Decimal(100)))
    percent = numbers.multiples(Decimal(5), within=percent)
    numbers.accepts(percent, 35)                 # True; so are 35.0 and Decimal("3.5e1")
    spellings(percent, limits)                   # NFA: 35, 35.0, 3.5e1, 0.35E+2, …

JSON numbers are read as int or Decimal, never as binary floats: `json.loads(text, parse_float=Decimal)`.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Hashable, Iterable, Iterator

import numpy as np

from dgemma_constrain.automata.charset import Charset, char
from dgemma_constrain.automata.dfa import DFA, compile_nfa, intersect, subtract, unite
from dgemma_constrain.automata.limits import Limits
from dgemma_constrain.automata.nfa import EPSILON, NFA, concat, literal, repeat, star, strings, symbol, union
from dgemma_constrain.errors import ConstraintError, LimitExceeded

Value = int | float | Decimal  # float: what its shortest decimal spelling says

MAX_DIGITS = 5_000  # of one number, written plainly
MAX_REMAINDERS = 100_000  # states of a remainder automaton
MAX_COPRIME = 10_000  # remainders that no further digits make equal, so that all of their states are in the minimal one
FEW_REMAINDERS = 1_000  # below this, listing isn't thought of
MAX_MULTIPLES = 100_000  # multiples that are listed one by one

_DIGIT = symbol(Charset.of("0123456789"))
_DIGITS = repeat(_DIGIT, 1, None)
_WHOLE = union([literal("0"), concat([symbol(Charset.of("123456789")), star(_DIGIT)])])
_MINUS = union([EPSILON, literal("-")])


def canonical(value: Value) -> str:
    """The plain decimal spelling. Raises LimitExceeded for what has more than MAX_DIGITS digits so."""
    sign, whole, fraction = _parts(value)
    return sign + whole + ("." + fraction if fraction else "")


def _parts(value: Value) -> tuple[str, str, str]:
    """The sign, the digits before the point (at least one) and those after it (the last not 0)."""
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        raise ConstraintError(f"a number is needed here, not {value!r:.60}")
    number = Decimal(value) if isinstance(value, int) else Decimal(str(value))
    if not number.is_finite():
        raise ConstraintError(f"{value} is no JSON number")
    negative, digits, exponent = number.as_tuple()
    if len(digits) + abs(exponent) > MAX_DIGITS and number:
        raise LimitExceeded(f"the number {value:.20g} has more than {MAX_DIGITS:,} digits, written without exponent")
    text = "".join(map(str, digits)) + "0" * max(exponent, 0) if number else "0"
    places = -min(exponent, 0) if number else 0
    text = text.rjust(places + 1, "0")
    whole, fraction = text[: len(text) - places], text[len(text) - places :]
    return "-" if negative and number else "", whole.lstrip("0") or "0", fraction.rstrip("0")


def accepts(numbers: DFA, value: Value) -> bool:
    """Whether the set holds this number."""
    return numbers.accepts(canonical(value))


@lru_cache(maxsize=1)
def unsigned() -> DFA:
    """JSON numbers without sign and exponent; zeros may end the fraction, so not all of them are canonical."""
    return compile_nfa(concat([_WHOLE, union([EPSILON, concat([literal("."), _DIGITS])])]))


@lru_cache(maxsize=1)
def everything() -> DFA:
    """All numbers."""
    fraction = concat([literal("."), star(_DIGIT), symbol(Charset.of("123456789"))])
    spelt = concat([_MINUS, _WHOLE, union([EPSILON, fraction])])
    return subtract(compile_nfa(spelt), compile_nfa(literal("-0")))


@lru_cache(maxsize=1)
def integers() -> DFA:
    """All whole numbers; 1.0 and 1e2 are some."""
    return subtract(compile_nfa(concat([_MINUS, _WHOLE])), compile_nfa(literal("-0")))


def values(listed: Iterable[Value]) -> DFA:
    """Just these numbers."""
    return compile_nfa(strings([canonical(value) for value in listed]))


def interval(
    least: Value | None = None, most: Value | None = None, above: Value | None = None, below: Value | None = None
) -> DFA:
    """The numbers x with least ≤ x ≤ most and above < x < below: minimum, maximum and the exclusive ones."""
    numbers = everything()
    if least is not None:
        numbers = subtract(numbers, _less(canonical(least)))
    if above is not None:
        numbers = subtract(numbers, unite(_less(canonical(above)), values([above])))
    if most is not None:
        numbers = intersect(numbers, unite(_less(canonical(most)), values([most])))
    if below is not None:
        numbers = intersect(numbers, _less(canonical(below)))
    return numbers


@lru_cache(maxsize=256)
def _less(bound: str) -> DFA:
    """The numbers below one given by its canonical spelling."""
    whole, _, fraction = bound.removeprefix("-").partition(".")
    smaller = compile_nfa(_smaller(whole, fraction))
    if bound.startswith("-"):  # -x < -b if x > b
        smaller = unite(smaller, compile_nfa(literal(bound[1:])))
        spelt = concat([literal("-"), subtract(intersect(everything(), unsigned()), smaller).nfa()])
    else:
        spelt = union([smaller.nfa(), concat([literal("-"), unsigned().nfa()])])
    return intersect(everything(), compile_nfa(spelt))


def _smaller(whole: str, fraction: str) -> NFA:
    """Canonical spellings without sign of what is smaller than whole.fraction (and some that are not canonical).

    States (i, order): i digits read, and how they compare with the first i of `whole`. Fewer digits are a smaller
    number, so the order counts only after as many digits as `whole` has. Then the fraction: ("tight", i) while equal.
    """
    digits, edges, final = "0123456789", [], []
    for i, d in enumerate(whole):
        for before in "<=>" if i else "=":
            for after, some in (("<", digits[: int(d)]), ("=", d), (">", digits[int(d) + 1 :])):
                order = after if before == "=" else before
                edges.append(((i, before), some, (i + 1, order)))
        if i:
            final += [(i, "<"), (i, "="), (i, ">")]
    end = len(whole)
    final += [(end, "<"), *([(end, "=")] if fraction else [])]
    edges += [(state, ".", "free") for state in final if state != (end, "=")]
    edges += [("free", digits, "free")]
    if fraction:
        edges.append(((end, "="), ".", ("tight", 0)))
    for i, d in enumerate(fraction):
        edges += [(("tight", i), digits[: int(d)], "free"), (("tight", i), d, ("tight", i + 1))]
        final.append(("tight", i))
    return automaton((0, "="), edges, [*final, "free"])


_some = lru_cache(maxsize=256)(Charset.of)


def automaton(start: Hashable, edges: list[tuple[Hashable, str, Hashable]], final: list[Hashable]) -> NFA:
    """The NFA of a list of edges (state, characters, state)."""
    number: dict[Hashable, int] = {start: 0}
    labels: dict[Charset, int] = {}
    rows = [
        (
            number.setdefault(source, len(number)),
            labels.setdefault(_some(some), len(labels)),
            number.setdefault(target, len(number)),
        )
        for source, some, target in edges
        if some
    ]
    jumps = [(number[state], len(number)) for state in final if state in number]
    return NFA(
        len(number) + 1,
        np.array(rows, np.int32).reshape(-1, 3),
        np.array(jumps, np.int32).reshape(-1, 2),
        tuple(labels),
    )


def multiples(of: Value, within: DFA | None = None, limits: Limits = Limits()) -> DFA:
    """The multiples of a number > 0, out of `within` (all numbers, if None).

    With of = size · 10**exponent (120 has size 12, 0.25 has 25) a remainder automaton takes size × (places of `of` + 1)
    states. Where that is too large, the multiples in `within` are listed instead, if it is bounded and they are few.
    Otherwise raises LimitExceeded.
    """
    _, whole, fraction = _parts(of)
    size, exponent = int(whole + fraction), -len(fraction)
    if size <= 0 or of < 0:
        raise ConstraintError(f"multiples of {of}: the number must be above 0")
    while exponent >= 0 and size % 10 == 0:
        size, exponent = size // 10, exponent + 1
    within = everything() if within is None else within
    states = size * (1 + max(-exponent, 0))
    found = None if states <= FEW_REMAINDERS else _listed(size, exponent, within)
    if found is None:
        coprime = size
        for prime in (2, 5):
            while coprime % prime == 0:
                coprime //= prime
        if states > MAX_REMAINDERS or coprime > MAX_COPRIME:
            raise LimitExceeded(
                f"the multiples of {canonical(of):.40} need more than {MAX_COPRIME:,} states; "
                "take one with fewer digits, or bounds between which there are fewer of them"
            )
        found = _remainders(size, exponent)
    return intersect(found, within, limits)


def _listed(size: int, exponent: int, within: DFA) -> DFA | None:
    """The multiples of size · 10**exponent between bounds of one digit that hold `within`; None if they are many."""
    reach = next((reach for reach in _reaches(size, exponent) if _is_within(within, reach)), None)
    if reach is None:
        return None
    digit = next(digit for digit in range(1, 11) if _is_within(within, reach - 1, digit))
    signs = [""] if intersect(within, interval(below=0)).is_empty else ["", "-"]
    most = digit * Fraction(10) ** (reach - 1 - exponent) // size
    listed = [canonical(Decimal(f"{n * size}e{exponent}")) for n in range(int(most) + 1)]
    return compile_nfa(strings([sign + text for sign in signs for text in listed if text != "0" or not sign]))


def _reaches(size: int, exponent: int) -> Iterator[int]:
    """The powers of ten below which there are few multiples."""
    reach = 1
    while 10 ** max(reach - exponent, 0) // size <= MAX_MULTIPLES:
        yield reach
        reach += 1


def _is_within(numbers: DFA, power: int, digit: int = 1) -> bool:
    """Whether all are below digit · 10**power, and above its negative."""
    bound = Decimal(digit).scaleb(power)
    return subtract(numbers, interval(above=-bound, below=bound)).is_empty


@lru_cache(maxsize=64)
def _remainders(size: int, exponent: int) -> DFA:
    """The multiples of size · 10**exponent.

    The state (j, r), numbered r + size · j: the digits read so far, j of them after the point, leave r as one whole
    number. They stand for digits / 10**j, a multiple where digits · 10**(places - j) leaves 0. For a positive exponent,
    whole numbers only: the multiples of `size`, with so many zeros after them.
    """
    places, end = max(-exponent, 0), size * (1 + max(-exponent, 0))
    remainder, digit = np.arange(size), np.arange(10)[:, None]
    source, onward = np.broadcast_to(remainder, (10, size)), (10 * remainder + digit) % size
    label = np.broadcast_to(digit, (10, size))
    steps = [(source, label, onward)]
    steps += [(source + j * size, label, onward + (j + 1) * size) for j in range(1, places)]
    edges = [np.stack(step, -1).reshape(-1, 3) for step in steps]
    if places:  # the first place: the point is read on the way, in a state of its own
        point = np.stack([remainder, np.full(size, 10), end + remainder], -1)
        edges += [point, np.stack([end + source, label, onward + size], -1).reshape(-1, 3)]
        end += size
    final = [r + j * size for j in range(places + 1) for r in range(size) if r * 10 ** (places - j) % size == 0]
    jumps = np.array([(state, end) for state in final])
    charsets = tuple(char(c) for c in "0123456789.")
    digits = NFA(end + 1, np.concatenate(edges).astype(np.int32), jumps.astype(np.int32), charsets)
    if exponent > 0:
        digits = union([literal("0"), concat([digits, literal("0" * exponent)])])
    return intersect(everything(), compile_nfa(concat([_MINUS, digits])))
