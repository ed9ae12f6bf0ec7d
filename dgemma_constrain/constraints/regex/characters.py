"""Which characters a class, a property or a case-insensitive letter stands for.

Nothing is tabulated here: `\\d \\w \\s` are asked of `re`, properties of the `regex` module, letter case of `str`, each
once, by one sweep over all characters.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Callable
from unicodedata import normalize

import numpy as np

from dgemma_constrain.automata.charset import ANY, EMPTY, Charset, char

ECMA_LINE_BREAKS = Charset.of("\n\r\u2028\u2029")
_ECMA_SPACES = ECMA_LINE_BREAKS | Charset.of(
    "\t\v\f \u00a0\ufeff\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
)
_DIGITS = Charset.ranges([(0x30, 0x39)])
_WORD = Charset.ranges([(0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A)])
_LETTERS = Charset.ranges([(0x41, 0x5A), (0x61, 0x7A)])
_ASCII = {"d": _DIGITS, "w": _WORD, "s": Charset.of(" \t\n\r\f\v")}


@lru_cache(maxsize=1)
def _everything() -> str:
    """All Unicode characters, in order; the 2048 surrogates are none, so places from 0xD800 on are shifted by them."""
    points = np.concatenate([np.arange(0xD800), np.arange(0xE000, 0x110000)])
    return points.astype("<u4").tobytes().decode("utf-32-le")


def _matching(finditer: Callable) -> Charset:
    """The characters in the spans that `finditer` (of a compiled `[…]+`) finds among all characters."""
    spans = np.array([match.span() for match in finditer(_everything())], np.int32).reshape(-1, 2)
    first, last = spans[:, 0], spans[:, 1] - 1
    pairs = np.stack([first + 0x800 * (first >= 0xD800), last + 0x800 * (last >= 0xD800)], 1)
    return Charset.ranges(pairs.tolist())


def single(character: str) -> Charset:
    """The set of one character; a surrogate is in no text."""
    return char(character) if character < "\ud800" else char(character) & ANY


@lru_cache(maxsize=None)
def shorthand(letter: str, flavor: str) -> Charset:
    """`\\d \\w \\s` and their complements `\\D \\W \\S`; flavor: "python", "ascii" (python under (?a)) or "ecma"."""
    if letter.isupper():
        return ~shorthand(letter.lower(), flavor)
    if flavor == "python":
        return _matching(re.compile(rf"\{letter}+").finditer)
    return _ECMA_SPACES if flavor == "ecma" and letter == "s" else _ASCII[letter]


# Letter case ----------------------------------------------------------------------------------------------------


@lru_cache(maxsize=None)
def _cased() -> list[str]:
    """Every character that case changes in any way. Most blocks have none, and are asked as a whole."""
    every = _everything()
    blocks = (every[i : i + 256] for i in range(0, len(every), 256))
    blocks = (b for b in blocks if not b == b.lower() == b.upper() == b.casefold())
    return [c for b in blocks for c in b if not c == c.lower() == c.upper() == c.casefold()]


def _python_fold(character: str) -> str:
    # `re` compares simple lower cases, and takes two lower-case letters for equal if their upper cases are (s and ſ).
    lower = character.lower()
    return (lower if len(lower) == 1 else lower[0]).upper()


_FOLDS: dict[str, Callable[[str], str]] = {
    "python": _python_fold,
    "ascii": lambda c: c.lower() if c.isascii() else c,
    # ECMA-262 asks for *simple* case folding. Two characters have the same simple folding exactly if they have the
    # same full one: where that is longer, the simple one (ẞ → ß, ᾈ → ᾀ) leads to another character with it.
    "ecma": str.casefold,
}


@lru_cache(maxsize=None)
def _case_classes(flavor: str) -> tuple[np.ndarray, np.ndarray]:
    """The cased characters in order, and for each the number of its class of equals."""
    cased = _cased()
    folded: dict[str, int] = {}
    classes = [folded.setdefault(_FOLDS[flavor](c), len(folded)) for c in cased]
    return np.array([ord(c) for c in cased], np.int32), np.array(classes, np.int32)


@lru_cache(maxsize=4096)
def ignoring_case(charset: Charset, flavor: str) -> Charset:
    """The set, with everything that differs from a member in letter case only."""
    points, classes = _case_classes(flavor)
    inside = np.searchsorted(charset.bounds, points, "right") & 1 == 1
    touched = np.zeros(int(classes.max()) + 1, bool)
    touched[classes[inside]] = True
    extra = points[touched[classes] & ~inside]
    return charset | Charset.ranges((p, p) for p in extra.tolist()) if len(extra) else charset


# Unicode properties (ECMA-262, tables 69 and 70, and PropertyValueAliases.txt) ---------------------------------

_BINARY = """
    ASCII ASCII_Hex_Digit=AHex Alphabetic=Alpha Any Assigned Bidi_Control=Bidi_C Bidi_Mirrored=Bidi_M
    Case_Ignorable=CI Cased Changes_When_Casefolded=CWCF Changes_When_Casemapped=CWCM Changes_When_Lowercased=CWL
    Changes_When_NFKC_Casefolded=CWKCF Changes_When_Titlecased=CWT Changes_When_Uppercased=CWU Dash
    Default_Ignorable_Code_Point=DI Deprecated=Dep Diacritic=Dia Emoji Emoji_Component=EComp Emoji_Modifier=EMod
    Emoji_Modifier_Base=EBase Emoji_Presentation=EPres Extended_Pictographic=ExtPict Extender=Ext
    Grapheme_Base=Gr_Base Grapheme_Extend=Gr_Ext Hex_Digit=Hex IDS_Binary_Operator=IDSB IDS_Trinary_Operator=IDST
    ID_Continue=IDC ID_Start=IDS Ideographic=Ideo Join_Control=Join_C Logical_Order_Exception=LOE Lowercase=Lower
    Math Noncharacter_Code_Point=NChar Pattern_Syntax=Pat_Syn Pattern_White_Space=Pat_WS Quotation_Mark=QMark
    Radical Regional_Indicator=RI Sentence_Terminal=STerm Soft_Dotted=SD Terminal_Punctuation=Term
    Unified_Ideograph=UIdeo Uppercase=Upper Variation_Selector=VS White_Space=space XID_Continue=XIDC XID_Start=XIDS
"""
# Asked by the long name only: `regex` takes some short ones, such as VS and IDC, for the names of blocks.
_BINARY_NAMES = {spelling: word.split("=")[0] for word in _BINARY.split() for spelling in word.split("=")}
_CATEGORIES = frozenset(
    """
    Cased_Letter LC Close_Punctuation Pe Connector_Punctuation Pc Control Cc cntrl Currency_Symbol Sc Dash_Punctuation
    Pd Decimal_Number Nd digit Enclosing_Mark Me Final_Punctuation Pf Format Cf Initial_Punctuation Pi Letter L
    Letter_Number Nl Line_Separator Zl Lowercase_Letter Ll Mark M Combining_Mark Math_Symbol Sm Modifier_Letter Lm
    Modifier_Symbol Sk Nonspacing_Mark Mn Number N Open_Punctuation Ps Other C Other_Letter Lo Other_Number No
    Other_Punctuation Po Other_Symbol So Paragraph_Separator Zp Private_Use Co Punctuation P punct Separator Z
    Space_Separator Zs Spacing_Mark Mc Surrogate Cs Symbol S Titlecase_Letter Lt Unassigned Cn Uppercase_Letter Lu
    """.split()
)
_OURS = {"Any": ANY, "ASCII": Charset.ranges([(0, 0x7F)]), "Surrogate": EMPTY, "Cs": EMPTY}
# How the names of scripts look; whether there is such a script is asked of `regex`, which is lax about spelling.
_SCRIPT = re.compile("(?!Katakana_Or_Hiragana|Hrkt)(SignWriting|[A-Z][a-z]+(_[A-Z][a-z]+)*)")


def _changes_when_nfkc_casefolded() -> Charset:
    def same(text: str) -> bool:
        return text == normalize("NFKC", normalize("NFKC", text).casefold())

    every = _everything()
    blocks = (every[i : i + 256] for i in range(0, len(every), 256))
    changed = Charset.of("".join(c for b in blocks if not same(b) for c in b if not same(c)))
    return changed | unicode_property("Default_Ignorable_Code_Point")


@lru_cache(maxsize=None)
def unicode_property(name: str, value: str | None = None) -> Charset | None:
    """`\\p{name}` or `\\p{name=value}` as ECMA-262 spells them (no other spelling counts); None if there is none."""
    if value is None:
        query = f"General_Category={name}" if name in _CATEGORIES else _BINARY_NAMES.get(name)
        if query is None:
            return None
    elif name in ("General_Category", "gc"):
        return unicode_property(value) if value in _CATEGORIES else None
    elif name in ("Script", "sc", "Script_Extensions", "scx") and _SCRIPT.fullmatch(value):
        query = f"{name}={value}"
    else:
        return None
    if name in _OURS:
        return _OURS[name]
    if name == "Assigned":
        return ~unicode_property("Cn")
    if query == "Changes_When_NFKC_Casefolded":  # the one property that `regex` lacks
        return _changes_when_nfkc_casefolded()
    import regex  # only few patterns need it

    try:
        return _matching(regex.compile(rf"\p{{{query}}}+").finditer)
    except regex.error:
        return None
