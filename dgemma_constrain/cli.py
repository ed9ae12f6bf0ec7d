"""The `dgemma` command. What a command writes goes to stdout, everything else to stderr.

Anything heavy is imported when a command needs it, so that `--help` answers at once.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

import dgemma_constrain as dc
from dgemma_constrain import interrupt
from dgemma_constrain.complete_command import complete_command
from dgemma_constrain.errors import ConstraintError, EmptyConstraint, GrammarWarning, Infeasible, LimitExceeded
from dgemma_constrain.inputs import Prompt, Span, Text, TextFile
from dgemma_constrain.options import (
    constraining,
    filling,
    flavor,
    ignore_case,
    list_grammars,
    max_depth,
    on_unsupported,
    property_order,
    references,
    setting,
    start,
    whitespace,
    writing,
    writing_many,
)  # fmt: skip
from dgemma_constrain.running import print_line, refuse, warm_up_kernels, write_text

if TYPE_CHECKING:
    from referencing import Registry

EXIT_CODES = """\b
Exit codes:
  0    fine
  1    nothing can satisfy the constraint, or not in this length; rows of a batch failed
  2    wrong usage, or an input that can't be read
  3    a limit on size, states or time was exceeded
  4    an error inside dgemma itself
  130  interrupted (Ctrl-C)
  141  whoever read stdout has gone
"""


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog=EXIT_CODES,
)
@click.version_option(dc.__version__, prog_name="dgemma")
def dgemma() -> None:
    """Text from a diffusion language model that satisfies a constraint, always.

    \b
    Examples:
      dgemma regex '[A-Z][a-z]+, \\d+' 'Anna Keller is 34.'
      dgemma choose positive negative 'I love this, excellent!'
      dgemma fill 'Dear {name}, see you on {day}.' --hole name='[A-Z][a-z]+' 'name: Anna, day: Monday'
      dgemma inspect --regex '\\d{4}-\\d{2}-\\d{2}'
    """


dgemma.add_command(complete_command)


@dgemma.command("json", short_help="Read a text into JSON that satisfies a schema.")
@click.option("--schema", type=TextFile(), required=True, help="A file with a JSON Schema.")
@whitespace
@property_order
@max_depth
@on_unsupported
@references
@click.option("--from-text", is_flag=True, help="Strings are runs of words of TEXT, numbers stand in it.")
@click.argument("text", type=Prompt())
@writing
def json_command(
    schema: str,
    whitespace: str,
    property_order: str,
    max_depth: int | None,
    on_unsupported: str,
    references: Registry | None,
    from_text: bool,
    text: str,
    options: dict,
) -> None:
    """Read TEXT (-: stdin) into JSON that satisfies a schema.

    With --from-text nothing is made up: free strings and numbers are taken from TEXT.

    \b
    Example:
      echo '{"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
             "required": ["name", "age"]}' > person.json
      dgemma json --schema person.json --from-text 'Maria Lopez, 29, moved to Lisbon last year.'
    """
    from dgemma_constrain.models.embedded.prompts import record_prompt

    constraint = dc.json_schema(
        schema,
        whitespace,
        max_depth,
        text if from_text else None,
        property_order=property_order,
        on_unsupported=on_unsupported,
        registry=references,
    )
    write_text(record_prompt(json.loads(schema), text), constraint, options, parsed=True)


@dgemma.command("regex", short_help="Write a text that matches a pattern.")
@click.argument("pattern", type=Text())
@click.argument("prompt", type=Prompt())
@flavor
@ignore_case
@writing
def regex_command(pattern: str, prompt: str, flavor: str, ignore_case: bool, options: dict) -> None:
    """Answer PROMPT (-: stdin) with a text that matches PATTERN as a whole.

    \b
    Example:
      dgemma regex '\\d{4}-\\d{2}-\\d{2}' $'date as YYYY-MM-DD\\nIt was March 5, 2021.'
    """
    write_text(prompt, dc.regex(pattern, flavor, ignore_case=ignore_case), options)


@dgemma.command("grammar", short_help="Write a text in a context-free grammar.")
@click.argument("grammar", type=Text())
@click.argument("prompt", type=Prompt(), default="")
@start
@max_depth
@list_grammars
@writing
def grammar_command(grammar: str, prompt: str, start: str | None, max_depth: int | None, options: dict) -> None:
    """Answer PROMPT (-: stdin) with a text in GRAMMAR: a name from --list, or a file that ends in .lark or .gbnf.

    \b
    Examples:
      dgemma grammar --list
      dgemma grammar semver 'the version after 1.2.3'
    """
    write_text(prompt, dc.grammar(grammar, start, max_depth), options, searched=True)


@dgemma.command("fill", short_help="Fill the holes of a template.")
@click.argument("template", type=Text())
@click.argument("prompt", type=Prompt(), default="")
@filling
@writing
def fill_command(template: str, prompt: str, holes: dict, options: dict) -> None:
    """Fill the {holes} of TEMPLATE with what PROMPT (-: stdin) says.

    {{ and }} stand for braces.

    \b
    Example:
      dgemma fill 'Dear {name}, see you on {day}.' --hole name='[A-Z][a-z]+' --hole day='[A-Z][a-z]+day' \\
          'name: Anna, day: Monday'
      dgemma fill 'Version {v} is out.' --hole-grammar v=semver 'v: 1.2.3'
    """
    from dgemma_constrain.given import constraint_from
    from dgemma_constrain.models.embedded.prompts import fill_prompt

    constraint = constraint_from({"template": template, "holes": holes}, {})
    write_text(fill_prompt(template, prompt), constraint, options, searched=any("grammar" in h for h in holes.values()))


@dgemma.command("choose", short_help="Pick one of several texts.")
@click.argument("choices", type=Text(), nargs=-1, required=True, metavar="CHOICE CHOICE... PROMPT")
@writing
def choose_command(choices: tuple[str, ...], options: dict) -> None:
    """Pick the CHOICE that fits PROMPT (-: stdin), which comes last.

    \b
    Example:
      dgemma choose positive negative 'I love this, excellent!'
    """
    from dgemma_constrain.models.embedded.prompts import choice_prompt

    *choices, prompt = choices
    if not choices:
        refuse("choose needs at least one choice, and the prompt last")
    prompt = Prompt()(prompt)
    write_text(choice_prompt(choices, prompt), dc.choice(choices), options, room_for=choices)


@dgemma.command("revise", short_help="Write spans of a text anew.")
@click.argument("text", type=Prompt())
@click.option("--span", "spans", type=Span(), multiple=True, required=True, help="What to rewrite, in characters.")
@click.option("--regex", "pattern", type=Text(), help="What the whole text must match.")
@click.option("--schema", type=TextFile(), help="A file with a JSON Schema that the whole text must satisfy.")
@writing
def revise_command(text: str, spans: tuple, pattern: str | None, schema: str | None, options: dict) -> None:
    """Write each --span of TEXT (-: stdin) anew and keep the rest, byte for byte. What changes is shown on stderr.

    \b
    Example:
      dgemma revise 'Dear Anna, see you on Someday.' --span 22:29 --regex 'Dear \\w+, see you on (Mon|Tues|Fri)day.'
    """
    if pattern is not None and schema is not None:
        refuse("revise takes one of --regex, --schema")
    constraint = dc.regex(pattern) if pattern is not None else None if schema is None else dc.json_schema(schema)
    out = write_text(text, constraint, options, parsed=schema is not None, spans=spans)
    for (a, b), (start, end) in () if options["quiet"] else zip(spans, out.spans):
        click.echo(f"{a}:{b} {text[a:b]!r} -> {out.text[start:end]!r}", err=True)


@dgemma.command("batch", short_help="Write a text for every row of a file.")
@click.option("--in", "source", type=click.Path(exists=True, dir_okay=False), required=True, help="Rows, JSON lines.")
@click.option("--out", type=click.Path(dir_okay=False), required=True, help="Results, JSON lines; added to.")
@constraining
@click.option("--from-text", is_flag=True, help="Strings and numbers of a schema are taken from the prompt.")
@setting("--batch-size", "size", type=click.IntRange(1), metavar="N", default=16, help="Rows run together.")
@setting("--engine", type=click.Choice(["local", "ray"]), default="local", help="Here, or on a Ray cluster.")
@click.option("--workers", type=click.IntRange(1), metavar="N", help="On Ray; else one for each GPU, or machine.")
@writing_many
def batch_command(
    source: str, out: str, given: dict, how: dict, from_text: bool, size: int, engine: str, workers: int | None, options: dict
) -> None:  # fmt: skip
    """Write a text for every row of --in, and add it to --out as soon as it is there.

    A row is a prompt (a JSON string), or an object with "prompt" and perhaps "id", "length" and a constraint of its own:
    "schema", "regex", "grammar", "template" (and "holes") or "choices". A result has the row's line number and its id, and
    what --json prints elsewhere, or "error" and "kind". A job that was stopped goes on where it was when it is started
    again. Exit code 1: all is done, but some rows have an error.

    \b
    Example:
      printf '%s\\n' '"It was March 5, 2021."' '{"id": "b", "prompt": "The 4th of July, 1998."}' > prompts.jsonl
      dgemma batch --in prompts.jsonl --out results.jsonl --regex '\\d{4}-\\d{2}-\\d{2}'
      cat results.jsonl
    """
    if workers and engine != "ray":
        refuse("--workers belongs to --engine ray")
    if engine == "local":
        warm_up_kernels(options["quiet"], "grammar" in given)
    from dgemma_constrain.batch.command import run

    if run(source, out, given, how, from_text, options, size, engine, workers):
        click.get_current_context().exit(1)


@dgemma.command("inspect", short_help="What a constraint costs.")
@constraining
@click.option(
    "--tokenizer", metavar="PATH", help="A tokenizer.json or a folder with one, instead of the embedded model's."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--quiet", is_flag=True, help="No notes on stderr.")
def inspect_command(given: dict, how: dict, tokenizer: str | None, as_json: bool, quiet: bool) -> None:
    """What a constraint costs: states, classes, memory, time; its shortest text, and how many texts it has.

    \b
    Example:
      dgemma inspect --regex '\\d{4}-\\d{2}-\\d{2}'
    """
    if not given:
        refuse("inspect needs one of --schema, --regex, --template, --grammar, --choice")
    warm_up_kernels(quiet)
    from dgemma_constrain.given import constraint_from
    from dgemma_constrain.show.facts import constraint_facts, facts_text

    constraint = constraint_from(given, how)
    if "grammar" in given:
        warm_up_kernels(quiet, searched=True)  # not before it is known to be a grammar
    vocabulary = dc.Vocabulary.from_tokenizer(tokenizer) if tokenizer else dc.load().vocabulary
    facts = constraint_facts(constraint, vocabulary)
    print_line(json.dumps(facts, ensure_ascii=False) if as_json else facts_text(facts))


def main(argv: list[str] | None = None) -> int:
    """Run a command; returns its exit code. Every error is one line on stderr."""
    interrupt_seen = interrupt.watch() if argv is None else None
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(encoding="utf-8")  # whatever the locale says: texts are any Unicode
    # Threads that wait by spinning make a step 20 times slower where other programs want the same cores.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        arguments = sys.argv[1:] if argv is None else list(argv)
        with _warnings_in_one_line(), dgemma.make_context("dgemma", arguments or ["--help"]) as context:
            dgemma.invoke(context)
        return 0
    except click.exceptions.Exit as finished:
        return finished.exit_code
    except KeyboardInterrupt:
        if interrupt_seen:
            interrupt_seen.set()
        return _fail(interrupt.CODE, "interrupted")
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # so that the flush at exit finds nobody to complain to
        return 141
    except click.ClickException as error:
        command = error.ctx.command_path if getattr(error, "ctx", None) else "dgemma"
        return _fail(2, f"{error.format_message()} (see {command} --help)")
    except (Infeasible, EmptyConstraint) as error:
        return _fail(1, error)
    except (LimitExceeded, MemoryError) as error:
        return _fail(3, str(error) or "out of memory")
    except ConstraintError as error:
        return _fail(2, error)
    except OSError as error:
        return _fail(2, f"{error.filename}: {error.strerror}" if error.filename else error)
    except Exception as error:
        place = error.__traceback__
        while place.tb_next:
            place = place.tb_next
        where = f"{Path(place.tb_frame.f_code.co_filename).name}:{place.tb_lineno}"
        return _fail(4, f"internal error, please report it: {type(error).__name__} at {where}: {error}")


@contextmanager
def _warnings_in_one_line() -> Iterator[None]:
    """What a grammar's reader warns of, said like everything else; other warnings as Python says them."""
    with warnings.catch_warnings():
        show = warnings.showwarning

        def said(message, category, *place, **more) -> None:
            if issubclass(category, GrammarWarning):
                _say(message)
            else:
                show(message, category, *place, **more)

        warnings.showwarning = said
        yield


def _fail(code: int, what: object) -> int:
    _say(what)
    return code


def _say(what: object) -> None:
    try:
        sys.stderr.write(f"dgemma: {' '.join(str(what).splitlines())}\n")
    except OSError:
        pass


if __name__ == "__main__":
    sys.exit(main())
