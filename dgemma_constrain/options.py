"""Options that several commands share."""

from __future__ import annotations

import functools

import click

from dgemma_constrain.inputs import Hole, Length, Text

setting = functools.partial(click.option, show_default=True)

whitespace = setting(
    "--whitespace", type=click.Choice(["any", "compact", "pretty"]), default="any", help="Where it may stand."
)
flavor = setting("--flavor", type=click.Choice(["python", "ecma"]), default="python", help="Whose syntax.")
ignore_case = click.option("--ignore-case", is_flag=True, help="Letters match in either case.")
start = click.option("--start", metavar="RULE", help="The rule for the whole text, instead of start (GBNF: root).")
max_depth = click.option(
    "--max-depth", type=click.IntRange(0), metavar="N", help="How often a rule may nest in itself."
)
holes = click.option("--hole", "holes", type=Hole(), multiple=True, help="What may fill a hole; without it, any text.")

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


def writing(command):
    """Give a command the options of all that write a text; it gets them as one dict, `options`."""

    @functools.wraps(command)
    def collected(**given):
        return command(options={name: given.pop(name) for name in WRITING}, **given)

    for option in reversed(WRITING.values()):
        collected = option(collected)
    return collected


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
