"""What the model practises: each task gives an `Example`, drawn from one seeded generator.

record    a text and the keys asked for   ->  a JSON record
wider     the same of many more families
document  the same for a list, a table, a log line, another record
several   rows or sentences               ->  an array of records
lookup    made-up keys and their values   ->  a JSON record
copy      a short text of odd words       ->  itself, or a run of it (where copying is learnt first)
fill      a form letter and some facts    ->  the letter, its holes filled
choose    options and a text              ->  one of the options
rewrite   a date, number, phone or name   ->  its normal form
code      code around a hole              ->  what stood in the hole
"""

import json
import random
import re
from dataclasses import dataclass

from documents import document, several, story, wider
from families import MORE
from sentences import DOMAINS, Fact, expand, listing
from told import TOLD
from values import LAST, MONTHS, UNITS, Values, in_words, invented
from wordings import FRAMES, LETTERS, NAMES, TOPICS

from dgemma_constrain.models.embedded.prompts import choice_prompt, fill_prompt, record_prompt

LANGUAGES = dict(python=5.5, javascript=1.7, go=1, rust=1, c=0.5)  # shares of the holes in code; of others 0.2


@dataclass
class Example:
    """A canvas between two texts. `pieces` alternate fixed, hole, fixed, … ; `after` is None when a prompt is answered."""

    task: str
    before: str
    pieces: list[str]
    after: str | None = None

    @property
    def answer(self) -> str:
        return "".join(self.pieces)


class Tasks:
    def __init__(self, rng: random.Random, files: list[dict], test: bool = False):
        """files: what `sources.load` gives; test: only what is held out."""
        self.rng, self.values, self.test = rng, Values(rng, test), test
        files = [f for f in files if f["test"] == test]
        self.sources: dict[str, list[str]] = {}
        for f in files:
            self.sources.setdefault(f["language"], []).append(f["text"])
        some = rng.sample(self.sources["python"], min(400, len(self.sources["python"])))
        self.words = sorted({w for s in some for w in re.findall(r"\b[a-z][a-z_]{2,14}\b", s)})

    def example(self, progress: float = 1.0) -> Example:
        """One example; early in training (progress 0 … 1) more of them are short copies."""
        early = max(0.0, 1 - 5 * progress)
        weights = dict(
            record=3,
            wider=8,
            lookup=1.5 + 2 * early,
            document=1.8,
            several=0.7,
            copy=0.4 + 5 * early,
            fill=1.1,
            choose=0.8,
            rewrite=1,
            code=4.5,
        )
        return getattr(self, self.rng.choices(list(weights), list(weights.values()))[0])()

    # -- records

    def record(self) -> Example:
        return self._facts(*story(self.rng, self.values))

    def wider(self) -> Example:
        return self._facts(*wider(self.rng, self.values), shuffled=0.85)

    def document(self) -> Example:
        return self._facts(*document(self.rng, self.values, DOMAINS + MORE + TOLD))

    def _facts(self, text: str, found: dict[str, Fact], roles: dict, shuffled: float = 0.6) -> Example:
        """shuffled: how often the keys stand in another order than the text has them; what the order says needn't be learnt from the words."""
        if self.rng.random() < 0.5:  # ask for nearly all
            asked = self.rng.sample(list(found), self.rng.randint(max(1, len(found) - 2), len(found)))
        else:
            asked = self.rng.sample(list(found), self.rng.randint(1, len(found)))
        asked = [found[role] for role in asked] if self.rng.random() < shuffled else [found[r] for r in found if r in asked]
        absent = [
            Fact(self.rng.choice(roles[r].keys), roles[r].type, None, list(roles[r].said))
            for r in roles
            if r not in found
        ]
        return self._record(text, asked, absent)

    def several(self) -> Example:
        text, rows = several(self.rng, self.values)
        facts = list({fact.key: fact for fact in rows[0].values()}.values())
        properties = {fact.key: self._schema(fact, plain=self.rng.random() < 0.5) for fact in facts}
        schema = {"type": "object", "properties": properties, "required": list(properties)}
        value = [{fact.key: fact.value for fact in row.values()} for row in rows]
        schema = {"type": "array", "items": schema}
        if self.rng.random() < 0.4:
            outer = self.rng.choice(["items", "rows", "people", "entries", "results", "list", "records", "data"])
            schema, value = {"type": "object", "properties": {outer: schema}, "required": [outer]}, {outer: value}
        return Example("several", record_prompt(schema, text), ["", self._json(value)])

    def lookup(self) -> Example:
        text, found, _ = listing(self.rng, self.values, self.words)
        asked = self.rng.sample(list(found.values()), self.rng.randint(1, len(found)))
        return self._record(text, asked, [Fact(invented(self.rng), "string", None)])

    def _record(self, text: str, asked: list[Fact], absent: list[Fact]) -> Example:
        rng, properties, value, required = self.rng, {}, {}, []
        asked = list({f.key: f for f in asked}.values())
        extra = [
            f
            for f in rng.sample(absent, min(len(absent), rng.choice([0, 0, 0, 1, 1, 2])))
            if f.key not in {g.key for g in asked}
        ]
        loose = rng.random() < 0.15  # plain "string" where a format could stand, everything optional
        for fact in sorted(asked + extra, key=lambda f: rng.random()) if rng.random() < 0.5 else asked + extra:
            schema = self._schema(fact, plain=loose or rng.random() < 0.5)
            if fact.value is None and rng.random() < 0.25 and fact.type != "enum":
                schema, value[fact.key] = schema | {"type": [schema["type"], "null"]}, None
                required.append(fact.key)
            elif fact.value is not None:
                value[fact.key] = fact.value
                if not loose and rng.random() < 0.85:
                    required.append(fact.key)
            properties[fact.key] = schema
        schema = {"type": "object", "properties": properties, "required": required}
        if len(value) > 2 and rng.random() < 0.12:
            schema, value = self._nested(schema, value)
        if rng.random() < 0.03:
            schema, value = {"type": "array", "items": schema}, [value]
        return Example("record", record_prompt(schema, text), ["", self._json(value)])

    def _schema(self, fact: Fact, plain: bool) -> dict:
        if fact.type == "enum":
            return {"enum": fact.options}
        if fact.type == "list":
            return {"type": "array", "items": {"type": "string"}}
        if fact.type in ("integer", "number", "boolean"):
            return {"type": fact.type}
        return {"type": "string"} if plain or fact.type == "string" else {"type": "string", "format": fact.type}

    def _nested(self, schema: dict, value: dict) -> tuple[dict, dict]:
        """Some of the record's keys moved into an object of their own."""
        keys, outer = (
            list(schema["properties"]),
            self.rng.choice(["details", "info", "data", "person", "address", "item", "contact", invented(self.rng)]),
        )
        if outer in keys:
            return schema, value
        cut = self.rng.randint(1, len(keys) - 1)
        first, second = keys[:cut], keys[cut:]
        pick = lambda of, names: {k: of[k] for k in names if k in of}  # noqa: E731
        inner = {
            "type": "object",
            "properties": pick(schema["properties"], second),
            "required": [k for k in schema["required"] if k in second],
        }
        whole = {
            "type": "object",
            "properties": pick(schema["properties"], first) | {outer: inner},
            "required": [k for k in schema["required"] if k in first] + [outer],
        }
        return whole, pick(value, [k for k in value if k in first]) | {
            outer: pick(value, [k for k in keys if k in second and k in value])
        }

    def _json(self, value) -> str:
        style = self.rng.random()  # nearly always the same: what is not said in the prompt cannot be known
        if style < 0.96:
            return json.dumps(value, ensure_ascii=False)
        return json.dumps(value, ensure_ascii=False, **self.rng.choice([dict(separators=(",", ":")), dict(indent=2)]))

    # -- copying

    def copy(self) -> Example:
        words = [
            self.rng.choice(
                [
                    self.rng.choice(self.words),
                    invented(self.rng),
                    self.values.code(),
                    self.values.first(),
                    self.values.name(),
                    self.values.email(),
                    self.values.phone(),
                    self.values.text(),
                    self.values.sentence(),
                ]
            )
            for _ in range(self.rng.randint(1, 6))
        ]
        glue = self.rng.choice([" ", " ", ", ", "\n", "_"])
        if self.rng.random() < 0.5:
            return Example("copy", "copy " + glue.join(words), ["", glue.join(words)])
        i = self.rng.randrange(len(words))
        rest = words[i + 1 : i + 1 + self.rng.randint(1, 3)]
        return Example("copy", f"after {words[i]}\n" + glue.join(words), ["", glue.join(rest)])

    # -- form letters

    def fill(self) -> Example:
        letter = expand(self.rng, self.rng.choice(LETTERS.split("\n")).replace("\\n", "\n"))
        roles = re.findall(r"{(\w+)}", letter)
        said = {role: self.values.kind("code" if role == "order" else role)[1] for role in roles}
        if self.rng.random() < 0.3 and "order" in said:
            said["order"] = "".join(self.rng.choices("0123456789", k=self.rng.randint(3, 7)))
        pieces = re.split(r"{\w+}", letter)
        pieces = [part for pair in zip(pieces, [said[role] for role in roles] + [""]) for part in pair]
        order = self.rng.sample(list(said), len(said)) if self.rng.random() < 0.5 else list(said)
        # A hole may be called something else, and the facts are stated in one way or another.
        names = {role: self.rng.choice([role] * 3 + NAMES.get(role, "x it value").split()) for role in said}
        style = self.rng.choice(["{n}: {v}", "{n}: {v}", "{v}", "{v}", "{v}", "{n} {v}", "{n} = {v}", "the {n} is {v}"])
        given = self.rng.choice([", ", "; ", "; ", "\n", " / "]).join(
            (style if self.rng.random() < 0.8 else self.rng.choice(["{v}", "{n} {v}"])).format(
                n=names[role], v=said[role]
            )
            for role in order
        )
        shown = re.sub(r"{(\w+)}", lambda m: "{%s}" % names[m[1]], letter)
        prompt = fill_prompt(shown, given) if self.rng.random() < 0.7 else given
        return Example("fill", prompt, pieces)

    # -- choices

    def choose(self) -> Example:
        rng = self.rng
        if rng.random() < 0.35:  # the option stands in the text
            options = list(
                dict.fromkeys(
                    rng.choice([self.values.first(), rng.choice(self.words), self.values.thing(), self.values.city()])
                    for _ in range(rng.randint(2, 5))
                )
            )
            right = rng.choice(options)
            text = rng.choice(
                [
                    "It was {}.",
                    "{} it is.",
                    "I would take the {}, please.",
                    "We met {} there.",
                    "The answer: {}",
                    "{} won.",
                ]
            ).format(right)
        else:
            options = rng.sample(list(TOPICS), rng.randint(2, 5))
            right = rng.choice(options)
            w, x, y = (word.replace("-", " ") for word in rng.sample(TOPICS[right].split(), 3))
            text = rng.choice(FRAMES).format(w=w, x=x, y=y).capitalize()
            right, options = right.rstrip("_"), [option.rstrip("_") for option in options]
        return Example("choose", choice_prompt(options, text), ["", right])

    # -- normal forms

    def rewrite(self) -> Example:
        rng, v = self.rng, self.values
        kinds = (
            "date date date number phone time words words price email initials code turned case percent clock".split()
        )
        kind = rng.choice(kinds)
        around = rng.choice(
            [
                "{}",
                "{}",
                "It was {}.",
                "on {}",
                "Please note {} for later.",
                "The value is {} today.",
                "We said {}, I think.",
            ]
        )
        if kind == "date":
            iso, said = v.date()
            y, m, d = iso.split("-")
            what, answer = rng.choice(
                [
                    ("date as YYYY-MM-DD", iso),
                    ("ISO date", iso),
                    ("date", iso),
                    ("year", y),
                    ("month", MONTHS[int(m) - 1]),
                    ("date as DD.MM.YYYY", f"{d}.{m}.{y}"),
                ]
            )
        elif kind == "number":
            n = rng.randint(1000, 10**7)
            said, what, answer = (
                rng.choice([f"{n:,}", f"{n:,}".replace(",", "'"), f"{n:,}".replace(",", " ")]),
                "number",
                str(n),
            )
        elif kind == "phone":
            said = v.phone()
            what, answer = rng.choice(
                [("phone as digits", re.sub(r"\D", "", said)), ("phone", said), ("phone number", said)]
            )
        elif kind == "time":
            h, m = rng.randint(1, 11), rng.choice([0, 15, 30, 45])
            late = rng.random() < 0.5
            said, what, answer = (
                f"{h}:{m:02d} {'pm' if late else 'am'}",
                rng.choice(["time as HH:MM", "time"]),
                f"{h + 12 * late:02d}:{m:02d}",
            )
        elif kind == "words":
            n = rng.choice([rng.randrange(13), rng.randrange(100), rng.randrange(10000)])
            said, what, answer = in_words(n), rng.choice(["number", "digits", "integer"]), str(n)
        elif kind == "turned":
            name = f"{v.first()} {v.word(LAST)}"
            first, last = name.split()
            said, what, answer = rng.choice(
                [(name, "last name, first name", f"{last}, {first}"), (f"{last}, {first}", "name", name),
                 (name, "last name", last), (name, "first name", first), (f"{last} {first}".upper(), "upper case", f"{last} {first}".upper())]
            )  # fmt: skip
        elif kind == "case":
            words = [rng.choice(self.words).strip("_") or "x" for _ in range(rng.randint(1, 3))]
            said = " ".join(words)
            what, answer = rng.choice(
                [
                    ("snake_case", "_".join(words)),
                    ("kebab-case", "-".join(words)),
                    ("upper case", said.upper()),
                    ("title case", said.title()),
                ]
            )
        elif kind == "percent":
            value, said = v.percent()
            what, answer = rng.choice([("percent as number", str(value)), ("number", str(value))])
        elif kind == "clock":
            h, m = rng.randint(1, 12), rng.choice([0, 15, 30, 45])
            spoken = UNITS[h]
            said = {0: f"{spoken} o'clock", 15: f"quarter past {spoken}", 30: f"half past {spoken}"}.get(
                m, f"quarter to {UNITS[h % 12 + 1]}"
            )
            what, answer = rng.choice(["time as HH:MM", "time"]), f"{h:02d}:{m:02d}"
        elif kind == "price":
            value, said = v.price()
            what, answer = rng.choice(["price", "amount", "number"]), str(value)
        elif kind == "initials":
            said = f"{v.first()} {v.first()}"
            what, answer = "initials", "".join(word[0] + "." for word in said.split())
        else:
            said = answer = v.email() if kind == "email" else v.code()
            what = {"email": "email", "code": rng.choice(["id", "code", "number"])}[kind]
        return Example("rewrite", f"{what}\n{around.format(said)}", ["", answer])

    # -- code

    def code(self) -> Example:
        """A hole of a few lines, the rest of a line, what stands in brackets, or one name."""
        rng = self.rng
        languages = list(self.sources)
        source = rng.choice(self.sources[rng.choices(languages, [LANGUAGES.get(one, 0.2) for one in languages])[0]])
        lines = source.splitlines(keepends=True)
        i = rng.randrange(len(lines))
        shape, size = rng.random(), rng.choice([1, 1, 1, 2, 3])
        start = sum(map(len, lines[:i]))
        line = lines[i].rstrip("\n")
        end = start + sum(map(len, lines[i : i + size])) - 1
        if shape < 0.35:
            start += len(line) - len(line.lstrip()) if rng.random() < 0.7 else 0
        elif shape < 0.65 and line.strip():
            start, end = start + rng.choice([m.start() for m in re.finditer(r"\b|$", line)]), start + len(line)
        else:
            spans = [m.span(1) for m in re.finditer(r"\(([^()]+)\)|= (.+)$", line) if m[1]] + [
                m.span() for m in re.finditer(r"\w+", line)
            ]
            if not spans:
                return self.code()
            a, b = rng.choice(spans)
            start, end = start + a, start + b
        hole = source[start:end]
        if not hole.strip() or len(hole) > 240:
            return self.code()
        back, ahead = rng.choice([(60, 25), (150, 0), (150, 60), (250, 100), (250, 100), (400, 150), (900, 300)])
        before, after = source[max(0, start - back) : start], source[end : end + ahead]
        return Example("code", before[before.find("\n") + 1 :] if start > back else before, ["", hole], after)
