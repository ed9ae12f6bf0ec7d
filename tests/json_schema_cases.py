"""Random schemas, values for them, and many spellings of a value, all from a seed.

Small worlds, so that keywords meet: few names, few values, numbers near the bounds.
"""

import copy
import itertools
import json
import random

STRINGS = ["", "a", "b", "ab", "abc", "x9", "9", "é", "😀", "a\nb", 'a"', "\\", "/", "\x00", "héllo", "abcdef", "RED"]
PATTERNS = ["^[a-z]+$", "[0-9]", "^a", "b$", "^.{2}$", "a|é", "^(ab|x)?", "^[^a]*$", "\\\\"]
NAMES = ["a", "b", "c", "ab", "é", "/~"]
NAME_PATTERNS = ["^a", "b", "^.$", "^[^a-c]"]
NUMBERS = [0, 1, 2, 3, -1, -2, 5, 10, 0.5, 1.5, -0.5, 2.25, 100, 1e3]
TYPES = ["string", "integer", "number", "boolean", "null", "array", "object"]
LISTED = [*STRINGS[:6], *NUMBERS[:5], 2.5, True, False, None, [], [1, "a"], [[]], {}, {"a": None, "b": ["a"]}, {"a": 1}]


class Cases:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.defs = {}

    def pick(self, values):
        return self.random.choice(values)

    def chance(self, probability):
        return self.random.random() < probability

    def some(self, values, most):
        return self.random.sample(values, self.random.randint(1, min(most, len(values))))

    def schema(self):
        """A whole schema, with definitions that it may refer to."""
        for i in range(self.random.randrange(3)):
            self.defs[f"def {i}"] = self.part(2)
        root = next(part for part in iter(lambda: self.part(0), None) if isinstance(part, dict))
        return {**root, "$defs": self.defs} if self.defs else root

    def part(self, depth):
        roll = self.random.random()
        if roll < 0.06 and self.defs:
            return {"$ref": "#/$defs/" + self.pick(list(self.defs)).replace(" ", "%20")}
        if roll < 0.1:
            return {"const": self.pick(LISTED)} if self.chance(0.3) else {"enum": self.some(LISTED, 6)}
        if roll < 0.13:
            return self.pick([True, False, {}])
        schema = {}
        kinds = self.random.sample(TYPES[:5] if depth > 2 else TYPES, self.pick([1, 1, 1, 2, 3]))
        if self.chance(0.75):
            schema["type"] = kinds if len(kinds) > 1 or self.chance(0.2) else kinds[0]
        for kind in kinds:
            schema |= self.keywords(kind, depth)
        if self.chance(0.35):
            schema |= self.joined(depth)
        return schema

    def joined(self, depth):
        """Something that joins schemas."""
        parts = [self.part(depth + 2) for _ in range(self.random.randint(1, 3))]
        keyword = self.pick(["allOf", "anyOf", "oneOf", "oneOf", "not", "if", "dependentSchemas", "dependentRequired"])
        if keyword == "not":
            return {"not": parts[0]}
        if keyword == "if":
            return dict(zip(("if", "then", "else"), parts))
        if keyword == "dependentSchemas":
            return {keyword: {self.pick(NAMES): parts[0]}}
        if keyword == "dependentRequired":
            return {keyword: {self.pick(NAMES): self.some(NAMES, 2)}}
        return {keyword: parts}

    def keywords(self, kind, depth):
        schema = {}
        low, high = sorted((self.random.randrange(4), self.random.randrange(5)))
        if kind == "string":
            if self.chance(0.4):
                schema["minLength"] = low
            if self.chance(0.4):
                schema["maxLength"] = high
            if self.chance(0.3):
                schema["pattern"] = self.pick(PATTERNS)
        if kind in ("number", "integer") and self.chance(0.6):
            for keyword in self.some(["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"], 2):
                schema[keyword] = self.pick(NUMBERS)
            if self.chance(0.4):
                schema["multipleOf"] = self.pick([1, 2, 3, 0.5, 0.25, 10])
        if kind == "array":
            if self.chance(0.4):
                schema["prefixItems"] = [self.part(depth + 1) for _ in range(self.random.randint(1, 3))]
            if self.chance(0.6):
                schema["items"] = self.part(depth + 1)
            if self.chance(0.3):
                schema["minItems"] = low
            if self.chance(0.3):
                schema["maxItems"] = high
            if self.chance(0.3):
                schema["contains"] = self.part(depth + 2)
                if self.chance(0.5):
                    schema["minContains"] = low
                if self.chance(0.5):
                    schema["maxContains"] = high
            if self.chance(0.1):
                schema["unevaluatedItems"] = self.part(depth + 2)
        if kind == "object":
            if self.chance(0.8):
                names = self.random.sample(NAMES, self.random.randrange(5))
                schema["properties"] = {name: self.part(depth + 1) for name in names}
                schema["required"] = [name for name in names if self.chance(0.3)]
            if self.chance(0.5):
                schema["additionalProperties"] = self.chance(0.3) if self.chance(0.6) else self.part(depth + 1)
            if self.chance(0.3):
                schema["patternProperties"] = {p: self.part(depth + 1) for p in self.some(NAME_PATTERNS, 2)}
            if self.chance(0.1):
                schema["propertyNames"] = {"pattern": self.pick(NAME_PATTERNS)}
            if self.chance(0.1):
                schema["minProperties"] = self.random.randrange(3)
            if self.chance(0.15):
                schema["maxProperties"] = self.random.randrange(3)
            if self.chance(0.1):
                schema["unevaluatedProperties"] = self.part(depth + 2)
        return schema

    def value(self, schema, wild=0.1, deep=0):
        """A value that often fits, mostly nearly."""
        if not isinstance(schema, dict) or self.chance(wild):
            return self.pick([*STRINGS, *NUMBERS, *LISTED, {"zzz": 1}])
        if "$ref" in schema:
            return self.value(self.defs[schema["$ref"].split("/")[-1].replace("%20", " ")], wild, deep + 1)
        if "enum" in schema and self.chance(0.9):
            return self.pick(schema["enum"])
        if "const" in schema:
            return schema["const"]
        for keyword in ("anyOf", "oneOf", "allOf"):
            if keyword in schema and self.chance(0.3):
                return self.value(self.pick(schema[keyword]), wild, deep + 1)
        kinds = schema.get("type", self.pick(TYPES[:5] if deep > 2 else TYPES))
        kind = self.pick(kinds) if isinstance(kinds, list) else kinds
        if kind == "array":
            firsts = schema.get("prefixItems", [])
            count = self.random.randrange(4)
            places = [firsts[i] if i < len(firsts) else schema.get("items", True) for i in range(count)]
            return [self.value(place, wild, deep + 1) for place in places]
        if kind == "object":
            declared = schema.get("properties", {})
            names = [n for n in declared if n in schema.get("required", ()) or self.chance(0.5)]
            if schema.get("additionalProperties", True) is not False and self.chance(0.4):
                names += [n for n in self.some(NAMES, 2) if n not in names]
            extra = schema.get("additionalProperties", True)
            return {n: self.value(declared.get(n, extra), wild, deep + 1) for n in names if not self.chance(wild / 2)}
        return {
            "string": lambda: self.pick(STRINGS),
            "integer": lambda: self.pick(NUMBERS[:8]),
            "number": lambda: self.pick(NUMBERS),
            "boolean": lambda: self.chance(0.5),
            "null": lambda: None,
        }[kind]()

    def spelling(self, value):
        """One of the many JSON texts of a value, names in the order in which they are."""
        if isinstance(value, str):
            return f'"{"".join(map(self.character, value))}"'
        if isinstance(value, list):
            return f"[{self.gap()}{self.commas(map(self.spelling, value))}]"
        if isinstance(value, dict):
            members = [f"{self.spelling(n)}{self.gap()}:{self.gap()}{self.spelling(v)}" for n, v in value.items()]
            return f"{{{self.gap()}{self.commas(members)}}}"
        text = json.dumps(value)
        if isinstance(value, bool) or value is None or "e" in text:
            return text
        return self.pick([text, text, text + ("0" if "." in text else ".0"), text + "e0", text + "E+00"])

    def commas(self, members):
        members = list(members)
        joint = f"{self.gap()},{self.gap()}"
        return joint.join(members) + self.gap() if members else ""

    def gap(self):
        return self.pick(["", "", "", " ", "\n\t", " \r\n "])

    def character(self, c):
        plain = json.dumps(c, ensure_ascii=False)[1:-1]
        units = c.encode("utf-16-be")
        escaped = "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))
        return self.pick(
            [plain, plain, plain, escaped, escaped.upper().replace("\\U", "\\u"), "\\/" if c == "/" else plain]
        )


FORMATS = {
    "date": ["2024-02-29", "2023-02-29", "2024-1-01", "20240101"],
    "ipv4": ["1.2.3.4", "1.2.3", "256.1.1.1", "01.2.3.4"],
    "ipv6": ["::1", "1::2::3", "fe80::1", "1:2:3:4:5:6:7:8", "12345::", "::ffff:1.2.3.4"],
}


class Wild(Cases):
    """More that meets: references back to the root, equal items, formats, names that need one another."""

    inside = 0  # arrays and objects around; only there may a reference lead back

    def schema(self):
        self.root = super().schema()
        return self.root

    def part(self, depth):
        return {"$ref": "#"} if self.inside and self.chance(0.1) else super().part(depth)

    def keywords(self, kind, depth):
        self.inside += 1
        schema = super().keywords(kind, depth)
        self.inside -= 1
        if kind == "array" and self.chance(0.3):
            schema["uniqueItems"] = self.chance(0.9)
        if kind == "string" and self.chance(0.2):
            schema["format"] = self.pick(list(FORMATS))
        if kind == "object" and self.chance(0.15):
            schema["dependentRequired"] = {name: self.some(NAMES, 2) for name in self.some(NAMES, 3)}
        if kind == "object" and self.chance(0.15):
            schema["minProperties"] = self.random.randrange(4)
        return schema

    def value(self, schema, wild=0.1, deep=0):
        if deep > 6:
            return self.pick(LISTED)
        if isinstance(schema, dict) and schema.get("$ref") == "#":
            return self.value(self.root, wild, deep + 1)
        if isinstance(schema, dict) and "format" in schema and self.chance(0.7):
            return self.pick(FORMATS[schema["format"]])
        return super().value(schema, wild, deep)

    def nearly(self, value):
        """The value with a change at some place."""
        value = holder = [copy.deepcopy(value)]
        key = 0
        while isinstance(holder[key], (list, dict)) and holder[key] and self.chance(0.6):
            holder = holder[key]
            key = self.pick(list(holder) if isinstance(holder, dict) else range(len(holder)))
        old = holder[key]
        if isinstance(old, list) and old:
            i = self.random.randrange(len(old))
            self.pick([lambda: old.pop(i), lambda: old.append(copy.deepcopy(old[i])), old.reverse])()
        elif isinstance(old, dict) and old:
            name = self.pick([*old, *NAMES])
            if old.pop(name, None) is None:
                old[name] = self.pick(LISTED)
        elif isinstance(old, (int, float)) and not isinstance(old, bool):
            holder[key] = self.pick([old + 1, float(old), -old, old + 0.5])
        elif isinstance(old, str):
            holder[key] = self.pick([old + "a", old[1:], old.upper(), "é" + old])
        else:
            holder[key] = self.pick(LISTED)
        return value[0]


def older(schema, year):
    """The schema as draft 2019-09 or 07 writes it, without what that doesn't have or `jsonschema` gets wrong there."""
    if isinstance(schema, list):
        return [older(part, year) for part in schema]
    if not isinstance(schema, dict) or year == 2020:
        return schema
    found = {}
    gone = {"unevaluatedItems", "unevaluatedProperties", *(["minContains", "maxContains"] if year == 7 else [])}
    renamed = {"prefixItems": "items", "items": "additionalItems"} if "prefixItems" in schema else {}
    if year == 7:
        renamed |= {"$defs": "definitions", "dependentRequired": "dependencies", "dependentSchemas": "dependencies"}
    for keyword, value in schema.items():
        if keyword in ("properties", "patternProperties", "dependentSchemas", "$defs"):
            value = {name: older(part, year) for name, part in value.items()}
        elif keyword == "$ref":
            value = value.replace("$defs", renamed.get("$defs", "$defs"))
        elif keyword not in ("enum", "const", "required", "dependentRequired"):
            value = older(value, year)
        if keyword not in gone and renamed.get(keyword, keyword) not in found:
            found[renamed.get(keyword, keyword)] = value
    return (
        {"allOf": [{"$ref": found.pop("$ref")}], **found} if year == 7 and len(found) > 1 and "$ref" in found else found
    )


def orders(value):
    """The value with its names in every order."""
    if isinstance(value, list):
        for items in itertools.product(*(list(itertools.islice(orders(item), 8)) for item in value)):
            yield list(items)
    elif isinstance(value, dict):
        for names in itertools.permutations(value):
            for members in itertools.product(*(list(itertools.islice(orders(value[n]), 8)) for n in names)):
                yield dict(zip(names, members))
    else:
        yield value
