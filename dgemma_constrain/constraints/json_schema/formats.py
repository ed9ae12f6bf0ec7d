"""`format` and `contentEncoding`: the strings that each name stands for, as automata over decoded characters.

    formats.language("date", 2020)          # DFA; None for a name that this draft doesn't define: it asserts nothing
    formats.LEFT_OUT.get("hostname")        # what is missing, if the automaton holds only a part of the format

The automata are exact but for the names in LEFT_OUT. Those hold less than their format, so what they accept is right,
but their complement isn't: what `at_most` does not hold is surely not of the format.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from itertools import pairwise
from typing import Callable, Sequence

import numpy as np

from dgemma_constrain.automata.charset import Charset
from dgemma_constrain.automata.dfa import DFA, compile_nfa, intersect, subtract, unite
from dgemma_constrain.automata.nfa import EPSILON, NFA, concat, literal, symbol, union
from dgemma_constrain.constraints import regex

LEFT_OUT = {
    "date": "the year 0000, which RFC 3339 has and most calendars don't",
    "date-time": "the year 0000; leap seconds at offsets that are no multiple of half an hour",
    "time": "leap seconds at offsets that are no multiple of half an hour",
    "hostname": "labels with -- in the third and fourth place (A-labels, xn--…, are no regular language); more than "
    "eight labels, or longer ones than 63, 63, 31, 15, 15, … characters (to count to 253 takes 30,000 states)",
    "email": "domains that are no such hostnames; IPv6 addresses in which :: stands for a single group",
    "idn-email": "domains that are no such idn-hostnames; IPv6 addresses in which :: stands for a single group",
    "idn-hostname": "labels with marks, with letters that need a context or are written from right to left; of more "
    "than eight characters if not all are ASCII; A-labels; more than four labels",
    "relative-json-pointer": "index manipulation, which the standard took up late (0+1)",
    "uri-template": "the operators that are reserved for extensions (= , ! @ |)",
    "regex": "parentheses in parentheses in parentheses; names and back-references; what Python reads differently",
}

# Of the formats in LEFT_OUT, at least all strings.
_AT_MOST = {
    "date": "[0-9]{4}-[0-9]{2}-[0-9]{2}",
    "date-time": "[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9:.Zz+-]*",
    "time": "[0-9]{2}:[0-9:.Zz+-]*",
    "hostname": "[A-Za-z0-9.-]*",
    "email": r"(?:[^\n]|\n)*@(?:[^\n]|\n)*",
    "idn-email": r"(?:[^\n]|\n)*@(?:[^\n]|\n)*",
    "idn-hostname": r"[^\x00-,/:-@\[-^`{-\x7f]*",
    "relative-json-pointer": r"[0-9](?:[^\n]|\n)*",
}

_SINCE = {"uri-reference": 6, "uri-template": 6, "json-pointer": 6, "duration": 2019, "uuid": 2019} | dict.fromkeys(
    ("date", "time", "idn-email", "idn-hostname", "iri", "iri-reference", "relative-json-pointer"), 7
)


def language(name: str, year: int = 2020) -> DFA | None:
    """The strings of a format, or None if this draft (4, 6, 7, 2019 or 2020) doesn't know it."""
    return None if name not in _FORMATS or year < _SINCE.get(name, 4) else _made(name)


@lru_cache(maxsize=32)
def at_most(name: str) -> DFA | None:
    """Of a format in LEFT_OUT, a language that holds at least all strings; None for that of all strings."""
    return _compiled(_AT_MOST[name]) if name in _AT_MOST else None


@lru_cache(maxsize=32)
def _made(name: str) -> DFA:
    made = _FORMATS[name]
    made = made if isinstance(made, str) else made()
    return _compiled(made) if isinstance(made, str) else made


def content(encoding: str) -> DFA | None:
    """The strings of a contentEncoding: "base64" (RFC 4648, padded, the unused bits 0); None for any other."""
    return _compiled(_BASE64) if encoding.lower() == "base64" else None


def _compiled(pattern: str) -> DFA:
    return compile_nfa(regex.parse(pattern).nfa())


def _either(*patterns: str) -> str:
    return f"(?:{'|'.join(patterns)})"


# Dates and times: RFC 3339 --------------------------------------------------------------------------------------------

_LEAP_YEAR = r"(?:[0-9][0-9](?:0[48]|[2468][048]|[13579][26])|(?:0[48]|[2468][048]|[13579][26])00)"
_YEAR = r"(?:[0-9]{3}[1-9]|[0-9]{2}[1-9]0|[0-9][1-9]00|[1-9]000)"
_MONTH_31, _MONTH_30 = "(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])", "(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
_DAYS = _either(_MONTH_31, _MONTH_30, "02-(?:0[1-9]|1[0-9]|2[0-8])")
_DATE = _either(f"{_YEAR}-{_DAYS}", f"{_LEAP_YEAR}-02-29")

_HOUR, _SIXTY, _FRACTION = "(?:[01][0-9]|2[0-3])", "[0-5][0-9]", r"(?:\.[0-9]+)?"
_USUAL = f"{_HOUR}:{_SIXTY}:{_SIXTY}{_FRACTION}(?:[Zz]|[+-]{_HOUR}:{_SIXTY})"


def _leap_seconds() -> str:
    """23:59:60 in UTC, at offsets of full and half hours: local time is UTC plus the offset."""
    found = [f"23:59:60{_FRACTION}[Zz]"]
    for offset in range(0, 24 * 60, 30):
        hour, minute = divmod((23 * 60 + 59 + offset) % (24 * 60), 60)
        back = -offset % (24 * 60)
        signed = [f"{sign}{m // 60:02}:{m % 60:02}" for sign, m in ((r"\+", offset), ("-", back))]
        found.append(f"{hour:02}:{minute:02}:60{_FRACTION}{_either(*signed)}")
    return _either(*found)


_TIME = _either(_USUAL, _leap_seconds())

_CLOCK = _either("[0-9]+H(?:[0-9]+M(?:[0-9]+S)?)?", "[0-9]+M(?:[0-9]+S)?", "[0-9]+S")
_CALENDAR = _either("[0-9]+Y(?:[0-9]+M(?:[0-9]+D)?)?", "[0-9]+M(?:[0-9]+D)?", "[0-9]+D")
_DURATION = f"P{_either('[0-9]+W', f'{_CALENDAR}(?:T{_CLOCK})?', f'T{_CLOCK}')}"


# Addresses: RFC 1123, 2673, 4291, 5321, 6531 --------------------------------------------------------------------------

_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4 = rf"{_OCTET}(?:\.{_OCTET}){{3}}"
_GROUP = "[0-9A-Fa-f]{1,4}"


def _ipv6(fewest: int = 1) -> str:
    """Eight groups, of which a :: replaces `fewest` or more; the last two may be an IPv4 address."""

    def groups(count: int) -> list[str]:
        if not count:
            return [""]
        whole = ":".join([_GROUP] * count)
        return [whole] if count < 2 else [whole, ":".join([_GROUP] * (count - 2) + [_IPV4])]

    found = groups(8)
    for before in range(8 - fewest + 1):
        for after in range(8 - fewest - before + 1):
            found += [f"{':'.join([_GROUP] * before)}::{tail}" for tail in groups(after)]
    return _either(*found)


_ATEXT = "A-Za-z0-9!#$%&'*+/=?^_`{|}~-"
_QTEXT = r" !#-\[\]-~"

# How long labels may be, first to last. With the dots 239 characters; a name may have 253.
_LABELS = (63, 63, 31, 15, 15, 15, 15, 15)
# An A-label of eight characters has at most 60: see `_unicode_label`.
_UNICODE_LABELS = (63, 63, 60, 60)


def _names(label: Callable[[int], DFA], longest: Sequence[int], dot: str = ".") -> DFA:
    """One or more labels, up to as many as are in `longest`, from the DFA of the labels of up to n characters."""
    rest = EPSILON
    for n in reversed(longest):
        label_and_rest = concat([label(n).nfa(), rest])
        rest = union([EPSILON, concat([symbol(Charset.of(dot)), label_and_rest])])
    return compile_nfa(label_and_rest)


@lru_cache(maxsize=8)
def _label(longest: int) -> DFA:
    """Letters, digits and inner hyphens (RFC 1123), the third and fourth not both hyphens (RFC 5890, 2.3.1)."""
    label = f"[A-Za-z0-9](?:[A-Za-z0-9-]{{0,{longest - 2}}}[A-Za-z0-9])?"
    return subtract(_compiled(label), _compiled("..--.*"))


@lru_cache(maxsize=8)
def _unicode_label(longest: int) -> DFA:
    """A label in ASCII, or one of up to eight characters (RFC 5891, 5.4): with letters that are valid anywhere, from
    left to right, and normal however they are put together.

    Its A-label then has four characters, and 7 or fewer for each of eight: the differences between the code points, in
    order, sum up to less than 2²¹, each is written as a number below nine times as large, in a base of 10 or more.
    """
    letters = _unicode_letters().pairs()
    some = "".join(f"{chr(lo)}-{chr(hi)}" for lo, hi in letters)
    label = f"[a-z0-9{some}](?:[a-z0-9{some}-]{{0,6}}[a-z0-9{some}])?"
    return unite(_label(longest), subtract(_compiled(label), _compiled("..--.*")))


@lru_cache(maxsize=1)
def _unicode_letters() -> Charset:
    """PVALID letters (RFC 5892, section 2) of bidirectional class L that don't combine with what is before them."""
    exceptions = "\u00df\u03c2\u0f0b\u3007"  # PVALID by section 2.6, whatever their properties
    disallowed = "\u0640\u07fa\u302e\u302f\u3031\u3032\u3033\u3034\u3035\u303b"
    jamo = set(range(0x1100, 0x1200)) | set(range(0xA960, 0xA980)) | set(range(0xD7B0, 0xD800))
    found = [
        point
        for point in range(0x80, 0x20000)  # what lies beyond is rare ideographs
        if unicodedata.category(c := chr(point)) in ("Ll", "Lo", "Lm")
        and unicodedata.bidirectional(c) == "L"
        and unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", c).casefold()) == c
        and c not in disallowed
        and point not in jamo
    ]
    return Charset.ranges((point, point) for point in found) | Charset.of(exceptions)


def _hostname() -> DFA:
    return _names(_label, _LABELS)


def _idn_hostname() -> DFA:
    return _names(_unicode_label, _UNICODE_LABELS, ".\u3002\uff0e\uff61")


def _email() -> DFA:
    return _mailbox("", _names(_label, _LABELS))


def _idn_email() -> DFA:
    return _mailbox("\u0080-\U0010ffff", _names(_unicode_label, _UNICODE_LABELS))


def _mailbox(more: str, domain: DFA) -> DFA:
    """RFC 5321, 4.1.2: a dot-string or quoted string of up to 64 octets, and a domain or address. `more`: RFC 6531."""
    dots = rf"[{more}{_ATEXT}]+(?:\.[{more}{_ATEXT}]+)*"
    quoted = rf'"(?:[{_QTEXT}{more}]|\\[ -~])*"'
    local = intersect(_compiled(_either(dots, quoted)), _octets(64))
    address = rf"\[{_either(_IPV4, f'[Ii][Pp][vV]6:{_ipv6(2)}')}\]"
    return compile_nfa(concat([local.nfa(), literal("@"), union([domain.nfa(), _compiled(address).nfa()])]))


def _octets(most: int) -> DFA:
    """Texts of up to so many bytes in UTF-8."""
    starts = [0, 0x80, 0x800, 0x10000, 0x110000]
    widths = tuple(Charset.ranges([(lo, hi - 1)]) for lo, hi in pairwise(starts))
    edges = [(n, k, n + k + 1) for n in range(most) for k in range(4) if n + k < most]
    jumps = [(n, most + 1) for n in range(most + 1)]
    return compile_nfa(NFA(most + 2, np.array(edges, np.int32), np.array(jumps, np.int32), widths))


# Resources: RFC 3986, 3987, 6570, 6901, 9562 --------------------------------------------------------------------------

_HEX2 = "%[0-9A-Fa-f]{2}"
_UCS = "\u00a0-\ud7ff\uf900-\ufdcf\ufdf0-\uffef" + "".join(
    f"{chr((plane << 16) + (0x1000 if plane == 14 else 0))}-{chr((plane << 16) + 0xFFFD)}" for plane in range(1, 15)
)
_PRIVATE = "\ue000-\uf8ff\U000f0000-\U000ffffd\U00100000-\U0010fffd"


def _uri(more: str = "", more_in_query: str = "", relative: bool = False) -> DFA:
    """RFC 3986, appendix A; `more`: further characters, as of RFC 3987."""
    plain = rf"A-Za-z0-9._~!$&'()*+,;={more}-"  # unreserved and sub-delims, and a hyphen at the end
    segment = f"(?:[:@{plain}]|{_HEX2})"
    no_colon = f"(?:[@{plain}]|{_HEX2})"
    future = r"[Vv][0-9A-Fa-f]+\.[:A-Za-z0-9._~!$&'()*+,;=-]+"
    host = _either(rf"\[{_either(_ipv6(), future)}\]", f"(?:[{plain}]|{_HEX2})*")
    authority = f"(?:(?:[:{plain}]|{_HEX2})*@)?{host}(?::[0-9]*)?"
    below = f"(?:/{segment}*)*"
    absolute = f"/(?:{segment}+{below})?"
    query = rf"(?:\?(?:[:@/?{more_in_query}{plain}]|{_HEX2})*)?"
    fragment = f"(?:#(?:[:@/?{plain}]|{_HEX2})*)?"
    whole = f"[A-Za-z][A-Za-z0-9+.-]*:{_either(f'//{authority}{below}', absolute, f'{segment}+{below}', '')}"
    if relative:
        whole = _either(whole, f"//{authority}{below}", absolute, f"{no_colon}+{below}", "")
    return _compiled(whole + query + fragment)


def _uri_template() -> str:
    literals = f"(?:[!#$&-;=?-\\[\\]_a-z~{_UCS}{_PRIVATE}]|{_HEX2})"
    letter = f"(?:[A-Za-z0-9_]|{_HEX2})"
    variable = rf"{letter}(?:\.?{letter})*(?:\*|:[1-9][0-9]{{0,3}})?"
    return rf"(?:{literals}|\{{[+#./;?&]?{variable}(?:,{variable})*\}})*"


_POINTER = "(?:/(?:[^~/]|~[01])*)*"
_DIGIT64, _TAIL4, _TAIL2 = "[A-Za-z0-9+/]", "[AQgw]", "[AEIMQUYcgkosw048]"
_BASE64 = f"(?:{_DIGIT64}{{4}})*(?:{_DIGIT64}{_TAIL4}==|{_DIGIT64}{{2}}{_TAIL2}=)?"


# Patterns: ECMA-262 with the u flag -----------------------------------------------------------------------------------


def _regex() -> str:
    """Patterns that ECMA-262 and Python's `re` both read, with parentheses two deep."""
    special = r"\\^$.*+?()\[\]{}|"
    hexadecimal = "[0-9A-Fa-f]"
    escape = (
        rf"\\(?:[dDwWsStnrfv/{special}]|x{hexadecimal}{{2}}"
        rf"|u(?:[0-9A-CEFa-cef]{hexadecimal}|[Dd][0-7]){hexadecimal}{{2}})"
    )
    ranges = [f"{d}-[{d}-9]" for d in range(10)] + ["a-[a-z]", "A-[A-Z]"]
    members = rf"(?:[^\\\]\[^&~|-]|{escape}|\\-|{'|'.join(ranges)})"
    atom = rf"(?:\.|[^{special}]|{escape}|\[\^?{members}+-?\])"
    order = [rf"{n},[{n}-9]" for n in range(10)]
    bounds = rf"\{{{_either('[0-9]{1,2},?', *order, '[0-9],[1-9][0-9]')}\}}"
    quantifier = rf"(?:(?:[*+?]|{bounds})\??)?"
    inside = rf"(?:{atom}{quantifier}|[|^$]|\\[bB])*"
    for _ in range(2):
        group = rf"\((?:\?:)?{inside}\){quantifier}|\(\?[=!]{inside}\)|\(\?<[=!]{atom}*\)"
        inside = rf"(?:{atom}{quantifier}|[|^$]|\\[bB]|{group})*"
    return inside


_FORMATS: dict[str, str | Callable[[], str | DFA]] = {
    "date": _DATE,
    "time": _TIME,
    "date-time": f"{_DATE}[Tt]{_TIME}",
    "duration": _DURATION,
    "email": _email,
    "idn-email": _idn_email,
    "hostname": _hostname,
    "idn-hostname": _idn_hostname,
    "ipv4": _IPV4,
    "ipv6": _ipv6,
    "uri": _uri,
    "uri-reference": lambda: _uri(relative=True),
    "iri": lambda: _uri(_UCS, _PRIVATE),
    "iri-reference": lambda: _uri(_UCS, _PRIVATE, relative=True),
    "uri-template": _uri_template,
    "uuid": "[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}",
    "json-pointer": _POINTER,
    "relative-json-pointer": f"(?:0|[1-9][0-9]*)(?:#|{_POINTER})",
    "regex": _regex,
}
NAMES = frozenset(_FORMATS)
