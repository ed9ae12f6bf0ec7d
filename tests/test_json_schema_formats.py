"""Formats: the official suite, independent readings of the RFCs, the checkers of jsonschema, and random strings."""

import base64
import ipaddress
import itertools
import json
import random
import re
from datetime import date, datetime, timedelta
from pathlib import Path

import idna
import jsonschema
import pytest

from dgemma_constrain.automata.dfa import subtract
from dgemma_constrain.automata.kernels import distances, reversed_rows
from dgemma_constrain.constraints import regex
from dgemma_constrain.constraints.json_schema import compile_schema, formats

SUITE = Path(__file__).parents[2] / "shared/data/json-schema-test-suite/tests"
DRAFTS = {"2020-12": 2020, "2019-09": 2019, "7": 7}

# Valid strings of the suite that aren't accepted, by cause (formats.LEFT_OUT).
REFUSED = {
    "hostname": {"A-labels": 15},
    "idn-hostname": {"A-labels": 1, "contexts and right to left": 13, "more than eight characters": 4},
    "idn-email": {"marks": 1},
    "regex": {"names, back-references": 2, "read differently in Python": 4},
}


def suite(draft):
    for file in sorted((SUITE / f"draft{draft}" / "optional/format").glob("*.json")):
        for group in json.loads(file.read_text("utf-8")):
            for test in group["tests"]:
                if isinstance(test["data"], str):
                    yield group["schema"]["format"], test["data"], test["valid"]


@pytest.mark.skipif(not SUITE.exists(), reason="the official suite isn't here")
@pytest.mark.parametrize("draft", DRAFTS)
def test_the_official_suite(draft):
    refused = {}
    for name, text, valid in suite(draft):
        found = formats.language(name, DRAFTS[draft])
        if found is None:
            assert valid, (name, text)
        elif not valid:
            assert not found.accepts(text), (name, text)
        elif not found.accepts(text):
            assert name in formats.LEFT_OUT
            refused.setdefault(name, []).append(text)
    assert {name: len(texts) for name, texts in refused.items()} == {k: sum(v.values()) for k, v in REFUSED.items()}
    assert all(re.match("xn--", text) for text in refused["hostname"])


@pytest.mark.skipif(not SUITE.exists(), reason="the official suite isn't here")
def test_no_string_of_a_format_is_what_not_of_it_accepts():
    """Neither of those that are known nor of those that are left out."""
    refused = {name: compile_schema({"not": {"type": "string", "format": name}}) for name in formats.NAMES}
    texts = [(name, text) for name, text, valid in suite("2020-12") if valid and name in formats.NAMES]
    assert len(texts) > 200
    for name, text in texts:
        assert not refused[name].accepts(json.dumps(text)), (name, text)
    for name, most in ((name, formats.at_most(name)) for name in formats.LEFT_OUT):
        assert most is None or subtract(formats.language(name), most).is_empty
    for name, text in (("email", "no address"), ("hostname", "a b"), ("date", "today"), ("uri", "a b")):
        assert refused[name].accepts(json.dumps(text))


def test_what_a_draft_does_not_know_asserts_nothing():
    assert formats.language("color") is None and formats.language("unknown") is None
    assert formats.language("uuid", 7) is None and formats.language("duration", 7) is None
    assert formats.language("date", 6) is None and formats.language("uri-reference", 4) is None
    assert formats.language("uuid", 2019).same_language(formats.language("uuid"))
    assert formats.content("base64") is not None and formats.content("x-token") is None
    assert set(formats.LEFT_OUT) < formats.NAMES


# Random strings: walks through an automaton, and what comes of them when a few characters are changed


class Walks:
    def __init__(self, dfa, seed=0):
        self.dfa, self.chance = dfa, random.Random(seed)
        self.left = distances(*reversed_rows(dfa.offsets, dfa.targets), dfa.accept)
        self.pairs = {}

    def text(self, length):
        """A random text: any way for so many characters, then the shortest to an end."""
        dfa, state, out = self.dfa, 0, []
        while not (dfa.accept[state] and len(out) >= length and self.chance.random() < 0.8):
            row = range(dfa.offsets[state], dfa.offsets[state + 1])
            if len(out) >= length:
                row = [e for e in row if self.left[dfa.targets[e]] < self.left[state]] or row
            if not len(row):
                break
            e = self.chance.choice(row)
            label = int(dfa.symbols[e])
            if label not in self.pairs:
                self.pairs[label] = dfa.alphabet.charset([label]).pairs()
            lo, hi = self.chance.choice(self.pairs[label])
            out.append(chr(self.chance.randint(lo, hi)))
            state = dfa.targets[e]
        return "".join(out)

    def changed(self, text, characters):
        """The text with a few characters taken out, put in, doubled or replaced."""
        for _ in range(self.chance.randint(1, 3)):
            i = self.chance.randint(0, len(text))
            put = self.chance.choice([*characters, text[i : i + 1], ""])
            text = text[:i] + put + text[i + self.chance.randint(0, 1) :]
        return text


def both(name, characters, count=3000, longest=40):
    """Texts of a format, and texts near to them: (text, whether it is accepted)."""
    dfa = formats.language(name)
    walks = Walks(dfa)
    for _ in range(count):
        text = walks.text(walks.chance.randint(0, longest))
        assert dfa.accepts(text)
        yield text, True
        near = walks.changed(text, characters)
        yield near, dfa.accepts(near)


@pytest.mark.parametrize("name", ["date", "email", "idn-email", "ipv4", "ipv6", "regex", "uuid"])
def test_jsonschema_agrees_where_it_checks(name):
    checker = jsonschema.FormatChecker([name])
    exact = name not in (*formats.LEFT_OUT, "uuid")  # of a uuid it lets a hyphen too many pass, and any digits
    for text, accepted in both(name, "0123456789abcdefx:.-@[]() {}*?\\é\u0661", count=1500):
        if accepted or exact:
            assert checker.conforms(text, name) == accepted, text


def test_dates_are_those_of_the_calendar():
    found = formats.language("date")
    days = {f"{year:04}" for year in range(0, 10000)}
    for year in (
        "0000",
        "0001",
        "0004",
        "0100",
        "0400",
        "1600",
        "1900",
        "1999",
        "2000",
        "2024",
        "2100",
        "9996",
        "9999",
    ):
        for month, day in itertools.product(range(14), range(33)):
            text = f"{year}-{month:02}-{day:02}"
            try:
                right = bool(date.fromisoformat(text))
            except ValueError:
                right = False
            assert found.accepts(text) == right, text
    leap = {year for year in days if found.accepts(f"{year}-02-29")}
    assert leap == {f"{year:04}" for year in range(1, 10000) if (year % 4 == 0 and year % 100 != 0) or year % 400 == 0}


def test_leap_seconds_are_at_midnight_in_utc():
    found = formats.language("time")
    midnight = datetime(2016, 12, 31, 23, 59)
    for sign, hours, minutes in itertools.product((1, -1), range(24), (0, 15, 30)):
        offset = timedelta(hours=hours, minutes=minutes)
        suffix = f"{'+' if sign > 0 else '-'}{hours:02}:{minutes:02}"
        local = midnight + sign * offset
        assert found.accepts(f"{local:%H:%M}:60{suffix}") == (minutes != 15)
        assert found.accepts(f"{local:%H:%M}:60.25{suffix}") == (minutes != 15)
        assert found.accepts(f"{local:%H:%M}:59{suffix}")
        for wrong in (local + timedelta(minutes=30), local - timedelta(hours=1), local + timedelta(minutes=1)):
            assert not found.accepts(f"{wrong:%H:%M}:60{suffix}")
    for hour, minute in itertools.product(range(24), range(60)):
        assert found.accepts(f"{hour:02}:{minute:02}:60Z") == ((hour, minute) == (23, 59))


def test_date_times_are_a_date_and_a_time():
    when, day, time = (formats.language(name) for name in ("date-time", "date", "time"))
    for text, accepted in both("date-time", "0123456789TtZz:+-.", longest=30):
        assert accepted == (text[10:11] in ("T", "t") and day.accepts(text[:10]) and time.accepts(text[11:])), text


def is_duration(text):
    """RFC 3339, appendix A: units in order, none skipped between the first and the last; weeks alone."""
    match = re.fullmatch(r"P((?:\d+[A-Z])*)(?:(T)((?:\d+[A-Z])+))?", text, re.ASCII)
    if not match:
        return False
    units, clock = (re.sub(r"\d", "", part or "") for part in (match[1], match[3]))
    if units == "W" and not match[2]:
        return True
    return bool(units or clock) and units in "YMD" and clock in "HMS"


def test_durations():
    for text, accepted in both("duration", "0123PTYMWDHS.", longest=12):
        assert accepted == is_duration(text), text
    found = formats.language("duration")
    for length in range(6):
        for text in map("".join, itertools.product("P1TMDWS", repeat=length)):
            assert found.accepts(text) == is_duration(text), text


def test_addresses_are_those_that_ipaddress_reads():
    for name, read in (("ipv4", ipaddress.IPv4Address), ("ipv6", ipaddress.IPv6Address)):
        for text, accepted in both(name, "0123456789abcF:.", count=4000, longest=45):
            try:
                right = bool(read(text))
            except ValueError:
                right = False
            assert accepted == right, text
    found = formats.language("ipv6")
    for groups in itertools.product(("", "0", "1:2", "1.2.3.4", "abcde"), repeat=4):
        text = ":".join(groups)
        try:
            right = bool(ipaddress.IPv6Address(text))
        except ValueError:
            right = False
        assert found.accepts(text) == right, text


UNRESERVED = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
SUB = "!$&'()*+,;="


def is_uri(text, relative=False, more=lambda c: False, private=lambda c: False):
    """By the split of RFC 3986, appendix B, and what each part may hold."""

    def only(part, allowed):
        part = re.sub("%[0-9A-Fa-f]{2}", "", part)
        return all(c in UNRESERVED + SUB + allowed or more(c) for c in part)

    match = re.fullmatch(r"(?:([^:/?#]+):)?(?://([^/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#(.*))?", text, re.DOTALL)
    scheme, authority, path, query, fragment = match.groups()
    if scheme is None:
        if not relative or (authority is None and ":" in path.split("/")[0]):
            return False
    elif not re.fullmatch("[A-Za-z][A-Za-z0-9+.-]*", scheme):
        return False
    if authority is None:
        if path.startswith("//"):
            return False
    else:
        user, at, host = authority.rpartition("@")
        if at and not only(user, ":"):
            return False
        bracketed = re.fullmatch(r"\[(.*)\](:[0-9]*)?", host, re.DOTALL)
        if bracketed:
            if not re.fullmatch(rf"[vV][0-9A-Fa-f]+\.[{re.escape(UNRESERVED + SUB)}:]+", bracketed[1]):
                try:
                    ipaddress.IPv6Address(bracketed[1])
                except ValueError:
                    return False
                if "%" in bracketed[1]:
                    return False
        else:
            name, colon, port = host.partition(":")
            if not only(name, "") or not re.fullmatch("[0-9]*", port):
                return False
        if path and not path.startswith("/"):
            return False
    in_query = "".join("~" if private(c) else c for c in query or "")
    return only(path, ":@/") and only(in_query, ":@/?") and only(fragment or "", ":@/?")


def ucs(c):
    point = ord(c)
    if 0xA0 <= point <= 0xD7FF or 0xF900 <= point <= 0xFDCF or 0xFDF0 <= point <= 0xFFEF:
        return True
    return 0x10000 <= point < 0xF0000 and point & 0xFFFF <= 0xFFFD and not 0xE0000 <= point <= 0xE0FFF


def is_private(c):
    return 0xE000 <= ord(c) <= 0xF8FF or (ord(c) >= 0xF0000 and ord(c) & 0xFFFF <= 0xFFFD)


@pytest.mark.parametrize("name", ["uri", "uri-reference", "iri", "iri-reference"])
def test_uris_part_by_part(name):
    extra = {"more": ucs, "private": is_private} if name.startswith("iri") else {}
    characters = ["://", "//", "::", "[::1]", "[v1.a]", *":/?#[]@%1a é\ue000\ufffe\U0001fffe\\\n"]
    for text, accepted in both(name, characters, count=6000):
        assert accepted == is_uri(text, relative="reference" in name, **extra), text


@pytest.mark.parametrize("name", ["uri", "uri-reference"])
def test_all_short_uris(name):
    found = formats.language(name)
    for length in range(7):
        for text in map("".join, itertools.product("a1:/?@[", repeat=length)):
            assert found.accepts(text) == is_uri(text, relative="reference" in name), text


def test_email_addresses_part_by_part():
    atom = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+")
    host = formats.language("hostname")
    for text, accepted in both(
        "email", ["@", "..", '"', "\\", "[", "]", "é", "[1.2.3.4]", "[IPv6:::1]", "x" * 60], longest=60
    ):
        local, _, domain = text.rpartition("@")
        quoted = re.fullmatch(r'"(?:[ !#-\[\]-~]|\\[ -~])*"', local) is not None
        right = (quoted or all(atom.fullmatch(part) for part in local.split("."))) and len(local) <= 64 and "@" in text
        if domain.startswith("[") and domain.endswith("]"):
            try:
                six = domain[1:6].lower() == "ipv6:"
                right = right and bool(
                    ipaddress.IPv6Address(domain[6:-1]) if six else ipaddress.IPv4Address(domain[1:-1])
                )
            except ValueError:
                right = False
        else:
            right = right and host.accepts(domain)
        if accepted or "IPv6" not in text:
            assert accepted == right, text


def test_hostnames_stay_within_their_limits():
    walks = Walks(formats.language("hostname"))
    for k in range(2000):
        text = walks.text(walks.chance.choice([5, 20, 100, 300]))
        labels = text.split(".")
        assert len(text) <= 253 and all(
            re.fullmatch(r"(?!..--)[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?", x) for x in labels
        )
    found = formats.language("hostname")
    assert found.accepts("a-very-long-service-name.some-namespace.svc.cluster.local") and found.accepts(
        "1.2.3.4.in-addr.arpa"
    )
    assert not found.accepts("a." * 8 + "a") and not found.accepts("a" * 64)


def test_international_names_are_ones_that_idna_encodes():
    """Long ones, and eight characters as far apart as they can be: their A-labels stay within 63 octets."""

    walks = Walks(formats.language("idn-hostname"))
    longest = 0
    for k in range(3000):
        text = walks.text(walks.chance.choice([1, 8, 30, 100, 300]))
        spelt = idna.encode(text)
        assert len(spelt) <= 253
        longest = max(longest, *map(len, spelt.split(b".")))
    points = [p for lo, hi in formats._unicode_letters().pairs() for p in (lo, hi)]
    for k in range(3000):
        label = "".join(chr(walks.chance.choice(points[:: walks.chance.choice([1, 40])])) for _ in range(8))
        assert walks.dfa.accepts(label) and len(idna.encode(label)) <= 60


def test_international_local_parts_have_up_to_64_octets():
    found = formats.language("idn-email")
    for character in "aé한𝕏":
        most = 64 // len(character.encode())
        assert found.accepts(character * most + "@example.com")
        assert not found.accepts(character * (most + 1) + "@example.com")


def test_templates_variable_by_variable():
    variable = re.compile(
        r"(?:[A-Za-z0-9_]|%[0-9A-Fa-f]{2})+(?:\.(?:[A-Za-z0-9_]|%[0-9A-Fa-f]{2})+)*(?:\*|:[1-9][0-9]{0,3})?"
    )
    plain = re.compile(r"""(?:[^\x00-\x20"%<>\\^`{|}\x7f-\x9f]|%[0-9A-Fa-f]{2})*""")
    for text, accepted in both("uri-template", ["{", "}", "{?a,b*}", "%41", "%", *"+#./;?&=,!@|:0 1a<^`"]):
        if not all(ord(c) < 0x80 or ucs(c) or is_private(c) for c in text):
            continue
        pieces = re.split(r"\{([^{}]*)\}", text)
        right = all(plain.fullmatch(piece) for piece in pieces[::2])
        for inside in pieces[1::2]:
            listed = inside[1:] if inside[:1] and inside[0] in "+#./;?&" else inside
            right = right and all(variable.fullmatch(part) for part in listed.split(","))
        assert accepted == right, text


def test_pointers():
    pointer = formats.language("json-pointer")
    relative = formats.language("relative-json-pointer")
    for length in range(6):
        for text in map("".join, itertools.product("/~012#a", repeat=length)):
            right = text == "" or (text[0] == "/" and not re.search("~(?![01])", text))
            assert pointer.accepts(text) == right, text
            match = re.match("0|[1-9][0-9]*", text)
            rest = text[match.end() :] if match else None
            assert relative.accepts(text) == (match is not None and (rest == "#" or pointer.accepts(rest))), text


def test_patterns_are_ones_that_ecma_and_python_read():
    for text, accepted in both("regex", list("()[]{}?*+|^$\\-:=!<ab1,"), count=2500, longest=25):
        if accepted:
            regex.parse(text, flavor="ecma", search=True)
            re.compile(text)
    for text in (
        r"^[A-Z]{2,3}-\d+(?:\.\d+)?$",
        r"^(https?://)?[\w.-]+$",
        "",
        "(a|(b|c))*",
        r"\u00e9+?",
        "(?<!a)b(?=c)",
    ):
        assert formats.language("regex").accepts(text)


def test_base64_is_what_encoding_gives():
    found = formats.content("base64")
    chance = random.Random(0)
    for length in range(40):
        text = base64.b64encode(chance.randbytes(length)).decode()
        assert found.accepts(text)
        for wrong in (text + "=", text[:-1], " " + text, text + "\n", text + "A"):
            assert not (wrong and found.accepts(wrong)) or base64.b64encode(base64.b64decode(wrong)).decode() == wrong
    for length in range(6):
        for text in map("".join, itertools.product("AQB/=", repeat=length)):
            try:
                right = base64.b64encode(base64.b64decode(text, validate=True)).decode() == text
            except ValueError:
                right = False
            assert found.accepts(text) == right, text
