"""The JSON Schema Test Suite: `python -m benchmarks.json_schema_suite [draft …] [--list] [--file NAME]`.

For every group of the drafts 2020-12, 2019-09 and 07 (and their optional/format): does it compile, is every valid instance
accepted in several spellings (white space, escapes, numbers) and some order of its names, and is every invalid one
rejected in all of them. A group is *right*, *refused* with a reason, *partial* (a valid instance is left out, and the
constraint's `narrowed` says so: formats that are known in part), or *wrong*. Prints a Markdown table.

`format` is an assertion in optional/format and an annotation elsewhere, as the suite has it. Names stand in schema order in
our texts, so a valid instance needs one order that is accepted. The suite is read from ../shared/data next to the checkout.
"""

from __future__ import annotations

import argparse
import itertools
import json
import pathlib
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, NamedTuple

from referencing import Registry, Resource
from referencing.jsonschema import specification_with

from dgemma_constrain.automata.limits import Limits
from dgemma_constrain.constraints.json_schema import compile_schema
from dgemma_constrain.errors import LimitExceeded, SchemaError, UnsupportedSchema

SUITE = pathlib.Path(__file__).parents[2] / "shared/data/json-schema-test-suite"
DRAFTS = {
    "draft2020-12": "https://json-schema.org/draft/2020-12/schema",
    "draft2019-09": "https://json-schema.org/draft/2019-09/schema",
    "draft7": "http://json-schema.org/draft-07/schema#",
}
MAX_ORDERS = 200
LIMITS = Limits(states=200_000)  # a schema may have a quarter; a meta-schema of many vocabularies has 600,000, and takes a minute
RESULTS = ("right", "refused", "partial", "wrong")


class Outcome(NamedTuple):
    """What became of a group: one of RESULTS; and why, if it isn't right."""

    draft: str
    file: str
    group: str
    result: str
    why: str = ""


def files(draft: str) -> list[pathlib.Path]:
    folder = SUITE / "tests" / draft
    return sorted(folder.glob("*.json")) + sorted((folder / "optional/format").glob("*.json"))


def registry(draft: str) -> Registry:
    """The documents that the suite expects at http://localhost:1234."""
    specification = specification_with(DRAFTS[draft])
    return Registry().with_resources(
        (
            f"http://localhost:1234/{path.relative_to(SUITE / 'remotes').as_posix()}",
            Resource.from_contents(json.loads(path.read_text()), default_specification=specification),
        )
        for path in (SUITE / "remotes").rglob("*.json")
    )


def outcomes(draft: str, path: pathlib.Path, documents: Registry) -> Iterator[Outcome]:
    """Of every group in a file."""
    name = path.relative_to(SUITE / "tests" / draft).as_posix().removesuffix(".json")
    for group in json.loads(path.read_text(), parse_float=Decimal):
        yield Outcome(draft, name, group["description"], *_judge(draft, name, group, documents))


def _judge(draft: str, name: str, group: dict[str, Any], documents: Registry) -> tuple[str, str]:
    schema = group["schema"]
    if isinstance(schema, dict) and "$schema" not in schema:
        schema = {"$schema": DRAFTS[draft], **schema}
    try:
        compiled = compile_schema(_text(schema), formats=name.startswith("optional"), registry=documents)
        compiled.dfa(LIMITS)
    except (UnsupportedSchema, LimitExceeded) as error:
        return "refused", str(error)
    except SchemaError as error:
        hopeless = not any(test["valid"] for test in group["tests"])
        return ("right", "") if hopeless else ("wrong", f"{error}")
    for test in group["tests"]:
        found = accepted(lambda text: compiled.accepts(text, LIMITS), test["data"])
        if found != {test["valid"]}:
            what = "valid but not accepted" if test["valid"] else "invalid but accepted"
            result = "partial" if test["valid"] and compiled.narrowed else "wrong"
            return result, f"{what}{' in one spelling' if len(found) > 1 else ''}: {_text(test['data']):.120}"
    return "right", ""


def accepted(accepts: Callable[[str], bool], value: Any) -> set[bool]:
    """The answers for several spellings of a value, each in the best of several orders of names."""
    orders = list(itertools.islice(_orders(value), MAX_ORDERS))
    return {any(accepts(_spelling(v, random.Random(k) if k else None)) for v in orders) for k in range(4)}


def _orders(value: Any) -> Iterator[Any]:
    """The value with its names in every order."""
    if isinstance(value, list):
        for items in itertools.product(*map(list, map(_some_orders, value))):
            yield list(items)
    elif isinstance(value, dict):
        for names in itertools.permutations(value):
            for members in itertools.product(*(list(_some_orders(value[name])) for name in names)):
                yield dict(zip(names, members))
    else:
        yield value


def _some_orders(value: Any) -> Iterator[Any]:
    return itertools.islice(_orders(value), 30)


def _text(value: Any) -> str:
    return _spelling(value, None)


def _spelling(value: Any, chance: random.Random | None) -> str:
    """JSON text: plain, or with white space, escapes and numbers as chance has it."""

    def gap() -> str:
        return chance.choice(["", "", " ", "\n\t"]) if chance else ""

    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    if isinstance(value, str):
        return '"' + "".join(_character(c, chance) for c in value) + '"'
    if isinstance(value, list):
        items = f"{gap()},{gap()}".join(_spelling(item, chance) for item in value)
        return f"[{gap()}{items}{gap()}]"
    if isinstance(value, dict):
        members = f"{gap()},{gap()}".join(
            f"{_spelling(n, chance)}{gap()}:{gap()}{_spelling(v, chance)}" for n, v in value.items()
        )
        return f"{{{gap()}{members}{gap()}}}"
    number = str(value)
    if chance and "E" not in number:
        number = chance.choice([number, number + ("0" if "." in number else ".0"), number + "e0", number + "E+00"])
    return number


def _character(c: str, chance: random.Random | None) -> str:
    plain = json.dumps(c, ensure_ascii=False)[1:-1]
    if not chance or chance.random() < 0.7:
        return plain
    units = c.encode("utf-16-be", "surrogatepass").hex()
    escaped = "".join("\\u" + units[i : i + 4] for i in range(0, len(units), 4))
    return chance.choice([escaped, escaped.upper().replace("\\U", "\\u")])


def table(found: list[Outcome]) -> str:
    """Markdown: a line for each file, a column for each draft."""
    drafts = [draft for draft in DRAFTS if any(o.draft == draft for o in found)]
    counts = Counter((o.file, o.draft, o.result) for o in found)
    counts.update(("**all**", o.draft, o.result) for o in found)
    lines = [f"| groups: {' / '.join(RESULTS)} | {' | '.join(drafts)} |", "|---|" + "---|" * len(drafts)]
    for file in [*dict.fromkeys(o.file for o in sorted(found, key=lambda o: ("/" in o.file, o.file))), "**all**"]:
        cells = []
        for draft in drafts:
            numbers = [counts[file, draft, result] for result in RESULTS]
            cells.append(" / ".join(map(str, numbers)) if any(numbers) else "")
        lines.append(f"| {file} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("drafts", nargs="*", default=list(DRAFTS), help="of " + ", ".join(DRAFTS))
    parser.add_argument("--list", action="store_true", help="name the groups that are not right, and why")
    parser.add_argument("--file", default="", help="only files with this in their names")
    options = parser.parse_args(arguments)
    if not SUITE.exists():
        print(f"there is no JSON Schema Test Suite at {SUITE}", file=sys.stderr)
        return 2
    found = []
    for draft in options.drafts:
        documents = registry(draft)
        for path in files(draft):
            if options.file in path.as_posix():
                found += outcomes(draft, path, documents)
    print(table(found))
    if options.list:
        for outcome in found:
            if outcome.result != "right":
                print(f"\n{outcome.result}: {outcome.draft} {outcome.file}: {outcome.group}\n    {outcome.why}")
    return int(any(outcome.result == "wrong" for outcome in found))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
