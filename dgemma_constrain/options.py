"""Options that several commands share."""

from __future__ import annotations

import functools
import json

import click

from dgemma_constrain.inputs import Hole, Length, Text, TextFile

setting = functools.partial(click.option, show_default=True)

whitespace = setting(
    "--whitespace", type=click.Choice(["any", "compact", "pretty"]), default="any", help="Where it may stand."
)
property_order = setting(
    "--property-order", type=click.Choice(["schema", "any"]), default="schema", help="In which names may stand."
)
on_unsupported = setting(
    "--on-unsupported", type=click.Choice(["error", "relax"]), default="error", help="Of what cannot be expressed."
)


def _registry(context: click.Context, _, texts: tuple[str, ...]):
    """A `referencing.Registry` of the schemas, by their $id."""
    if not texts:
        return None
    from referencing import Registry, Resource
    from referencing.jsonschema import DRAFT202012

    named = []
    for text in texts:
        try:
            resource = Resource.from_contents(json.loads(text), default_specification=DRAFT202012)
            named.append((resource.id(), resource))
        except (ValueError, AttributeError, TypeError):
            named.append((None, None))
    if any(name is None for name, _ in named):
        context.fail("--ref: a file must hold a JSON schema with an $id")
    return Registry().with_resources(named)


references = click.option(
    "--ref",
    "references",
    type=TextFile(),
    multiple=True,
    callback=_registry,
    help="A file that references lead to, by its $id.",
)
flavor = setting("--flavor", type=click.Choice(["python", "ecma"]), default="python", help="Whose syntax.")
ignore_case = click.option("--ignore-case", is_flag=True, help="Letters match in either case.")
start = click.option("--start", metavar="RULE", help="The rule for the whole text, instead of start (GBNF: root).")
max_depth = click.option(
    "--max-depth", type=click.IntRange(0), metavar="N", help="How often what contains itself may nest."
)

HOLES = {
    "regex": click.option("--hole", "hole_regex", type=Hole("REGEX"), metavar="NAME=REGEX", multiple=True, help="What may fill a hole; without it, any text."),
    "grammar": click.option("--hole-grammar", type=Hole("GRAMMAR"), metavar="NAME=GRAMMAR", multiple=True, help="The same, by a grammar: a name, or a file."),
    "schema": click.option("--hole-schema", type=Hole("FILE", TextFile()), metavar="NAME=FILE", multiple=True, help="The same, by a file with a JSON Schema."),
}  # fmt: skip


def _holes(all_: dict) -> dict[str, dict[str, str]]:
    """What was given of holes, by name, as a row gives it; all_: loses it."""
    pairs = [(name, {kind: value}) for kind in HOLES for name, value in all_.pop(f"hole_{kind}")]
    found = dict(pairs)
    if len(found) < len(pairs):
        click.get_current_context().fail("--hole gives a hole twice")
    return found


def filling(command):
    """Give a command the options that say what fills holes. It gets `holes`: see `given.py`."""

    @functools.wraps(command)
    def collected(**all_):
        holes = _holes(all_)
        return command(holes=holes, **all_)

    for option in reversed(HOLES.values()):
        collected = option(collected)
    return collected


CONSTRAINT = {
    "schema": click.option("--schema", type=TextFile(), help="A file with a JSON Schema."),
    "regex": click.option("--regex", type=Text(), help="A regular expression."),
    "grammar": click.option("--grammar", type=Text(), help="A grammar: a name, or a file that ends in .lark or .gbnf."),
    "template": click.option("--template", type=Text(), help="A template with {holes}."),
    "choices": click.option("--choice", "choices", type=Text(), multiple=True, help="One of several texts."),
    **{f"hole_{kind}": option for kind, option in HOLES.items()},
    "whitespace": whitespace,
    "flavor": flavor,
    "ignore_case": ignore_case,
    "start": start,
    "max_depth": max_depth,
}


def constraining(command):
    """Give a command the options that say a constraint. It gets `given`, one at most, and `how`: see `given.py`."""

    @functools.wraps(command)
    def collected(**all_):
        how = {name: all_.pop(name) for name in CONSTRAINT}
        given = {name: how.pop(name) for name in ("schema", "regex", "grammar", "template", "choices")}
        given = {name: value for name, value in given.items() if value not in (None, ())}
        holes = _holes(how)
        context = click.get_current_context()
        if len(given) > 1:
            context.fail(f"{context.info_name} takes one of --schema, --regex, --grammar, --template, --choice")
        if holes:
            if "template" not in given:
                context.fail("--hole belongs to --template")
            given["holes"] = holes
        return command(given=given, how=how, **all_)

    for option in reversed(CONSTRAINT.values()):
        collected = option(collected)
    return collected


COUNT = {"type": click.IntRange(1), "metavar": "N"}
WRITING = {
    "length": setting("--length", type=Length(min=0), metavar="N|auto", default="auto", help="At most so many tokens."),
    "steps": setting("--steps", **COUNT, default=16, help="Denoising steps a canvas."),
    "seed": setting("--seed", type=click.IntRange(0, 2**32 - 1), metavar="N", default=0, help="Same seed, same text."),
    "candidates": setting("--candidates", **COUNT, default=1, help="Write so many, keep the best."),
    "temperature": click.option("--temperature", type=click.FloatRange(0), metavar="T", help="0 (usual): the likeliest."),
    "schedule": click.option("--schedule", type=Text(), metavar="NAME", help="How many tokens a step decides: linear (usual), cosine, confidence[=P], entropy[=H]."),
    "remask": setting("--remask", type=click.FloatRange(0, 1), metavar="P", default=0, help="Redo what is less sure."),
    "trace": click.option("--trace", type=click.Path(dir_okay=False), help="Write every step to this HTML page."),
    "as_json": click.option("--json", "as_json", is_flag=True, help="Print JSON: text, value, fields, score, …"),
    "quiet": click.option("--quiet", is_flag=True, help="No picture, no notes on stderr."),
    "model": setting("--model", default="embedded", help="Which model writes: a name, a hub id or a folder."),
    "trust_remote_code": click.option("--trust-remote-code", is_flag=True, help="Run the code that comes with the model."),
}  # fmt: skip


def _collecting(names):
    """A decorator that gives a command these options; it gets them as one dict, `options`."""

    def decorator(command):
        @functools.wraps(command)
        def collected(**given):
            return command(options={name: given.pop(name) for name in names}, **given)

        for name in reversed(names):
            collected = WRITING[name](collected)
        return collected

    return decorator


writing = _collecting(list(WRITING))
writing_many = _collecting([name for name in WRITING if name not in ("trace", "as_json")])


def _list_grammars(context: click.Context, _, wanted: bool) -> None:
    if wanted:
        from dgemma_constrain.constraints.grammar import bundled

        for name, path in bundled().items():
            about = path.read_text(encoding="utf-8").partition("\n")[0].removeprefix("//").strip()
            click.echo(f"{name:18}{about}")
        context.exit()


list_grammars = click.option(
    "--list",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_list_grammars,
    help="Show the grammars by name.",
)
