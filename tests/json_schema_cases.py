"""Random schemas, values for them, and many spellings of a value, all from a seed.

Names are always in alphabetical order, so that a sorted value is in schema order; a name is declared wherever it may
stand, and an object that declares names says `additionalProperties: false`: then what we write is what the standard
allows, but for escapes in listed strings (which are kept apart: `LISTED`) and integers such as 1.0 (never made here).
"""

import copy
import json
import random

LISTED = ["RED", "GREEN", "BLUE", 'QUOTE"D', "ÜML", "BACK\\SLASH", "B", "BC"]
FREE = [
    "",
    "a",
    "b",
    "ab",
    "abc",
    "x9",
    "9",
    "é",
    "😀",
    "a\nb",
    'a"',
    "\\",
    "/",
    "\x00",
    "\u2028",
    "héllo",
    "😀😀",
    "abcdef",
]
PATTERNS = ["^[a-z]+$", "[0-9]", "^a", "b$", "^.{2}$", "a|é", "^(ab|x)?", "^[^a]*$", "\\\\"]
NAMES = ["a", "b", "c", "d e", "é", "/~"]
TYPES = ["string", "integer", "number", "boolean", "null", "array", "object"]


class Cases:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.defs = {}

    def pick(self, values):
        return self.random.choice(values)

    def chance(self, probability):
        return self.random.random() < probability

    def schema(self):
        """A whole schema, with definitions that it may refer to."""
        for i in range(self.random.randrange(3)):
            self.defs[f"def {i}"] = self.part(2)
        root = self.part(0)
        return {**root, "$defs": self.defs} if self.defs else root

    def part(self, depth):
        roll = self.random.random()
        if roll < 0.08 and self.defs:
            return {"$ref": "#/$defs/" + self.pick(list(self.defs)).replace(" ", "%20")}
        if roll < 0.2:
            return {"anyOf": [self.part(depth + 1) for _ in range(self.random.randint(1, 3))]}
        if roll < 0.3:
            return self.listed()
        kinds = self.random.sample(TYPES[:5] if depth > 2 else TYPES, self.pick([1, 1, 1, 2, 3]))
        schema = {"type": kinds if len(kinds) > 1 or self.chance(0.2) else kinds[0]}
        for kind in kinds:
            schema |= self.keywords(kind, depth)
        if self.chance(0.15):
            schema |= self.keywords(self.pick(["string", "array", "object"]), 3) | schema  # maybe without effect
        if self.chance(0.15):
            schema["enum"] = [self.relisted(self.value(schema)) for _ in range(4)] + [self.pick(LISTED), 1, None]
        elif self.chance(0.15):
            schema["anyOf"] = [self.sibling(schema) for _ in range(self.random.randint(1, 3))]
        return schema

    def listed(self):
        values = [*LISTED, 0, 1, -7, 2.5, True, False, None, [], [1, "RED"], {}, {"a": None, "b": ["RED"]}]
        if self.chance(0.3):
            return {"const": self.pick(values)}
        return {"enum": self.random.sample(values, self.random.randint(1, 6))}

    def relisted(self, value):
        """With strings out of `LISTED`."""
        if isinstance(value, list):
            return [self.relisted(v) for v in value]
        if isinstance(value, dict):
            return {name: self.relisted(v) for name, v in value.items()}
        return self.pick(LISTED) if isinstance(value, str) else value

    def sibling(self, schema):
        """A branch that says more about what `schema` allows, without a type or with one of its own."""
        kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        kind = self.pick([*kinds, "string"])
        if kind == "object" and "properties" in schema:
            return (
                {"required": self.random.sample(list(schema["properties"]), 1)}
                if schema["properties"]
                else {"type": "object"}
            )
        return self.pick([{"type": kind}, {"type": kind}, self.keywords("string", 3) or {"type": kind}, self.listed()])

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
        if kind == "array":
            schema["items"] = self.part(depth + 1)
            if self.chance(0.3):
                schema["minItems"] = low
            if self.chance(0.3):
                schema["maxItems"] = high
        if kind == "object":
            names = sorted(self.random.sample(NAMES, self.random.randrange(5)))
            schema["properties"] = {name: self.part(depth + 1) for name in names}
            schema["required"] = [name for name in names if self.chance(0.4)]
            schema["additionalProperties"] = False
        return schema

    def value(self, schema, wild=0.1):
        """A value that often fits, mostly nearly."""
        if not isinstance(schema, dict) or self.chance(wild):
            return self.pick([*FREE, *LISTED, 0, 1, -3, 2.5, True, False, None, [], [1], {}, {"a": "a"}, {"zzz": 1}])
        if "$ref" in schema:
            return self.value(self.defs[schema["$ref"].split("/")[-1].replace("%20", " ")], wild)
        if "enum" in schema and self.chance(0.8):
            return copy.deepcopy(self.pick(schema["enum"]))
        if "const" in schema:
            return copy.deepcopy(schema["const"])
        if "type" not in schema:
            return self.value(self.pick(schema["anyOf"]), wild) if "anyOf" in schema else self.value(None)
        kind = self.pick(schema["type"]) if isinstance(schema["type"], list) else schema["type"]
        if kind == "array":
            return [self.value(schema["items"], wild) for _ in range(self.random.randrange(4))]
        if kind == "object":
            names = [n for n in schema["properties"] if n in schema["required"] or self.chance(0.5)]
            return {name: self.value(schema["properties"][name], wild) for name in names if not self.chance(wild / 2)}
        return {
            "string": lambda: self.pick(FREE),
            "integer": lambda: self.pick([0, 7, -12, 10**20]),
            "number": lambda: self.pick([0.5, -1.25e-7, 3, 6.25e-12]),
            "boolean": lambda: self.chance(0.5),
            "null": lambda: None,
        }[kind]()

    def spelling(self, value):
        """One of the many JSON texts of a value; listed strings and names keep their plain spelling."""
        if isinstance(value, str):
            return (
                json.dumps(value, ensure_ascii=False) if value in LISTED else f'"{"".join(map(self.character, value))}"'
            )
        if isinstance(value, list):
            return f"[{self.gap()}{self.commas(map(self.spelling, value))}]"
        if isinstance(value, dict):
            named = sorted(value.items())
            members = [
                f"{json.dumps(n, ensure_ascii=False)}{self.gap()}:{self.gap()}{self.spelling(v)}" for n, v in named
            ]
            return f"{{{self.gap()}{self.commas(members)}}}"
        return json.dumps(value)

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
