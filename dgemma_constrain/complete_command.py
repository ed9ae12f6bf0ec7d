"""`dgemma complete`: a place in a file, its completions, and a picture of both."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import click

from dgemma_constrain.errors import Infeasible
from dgemma_constrain.options import WRITING

LARGEST = 10_000_000  # bytes of a file
DISLIKE = 1.0  # of an unknown name, in nats


@click.command("complete", short_help="Complete code at a place in a file.")
@click.argument("place", metavar="FILE[:LINE:COL]")
@click.option(
    "--span", "spans", multiple=True, metavar="L:C[-L:C]", help="Write this span anew; several are filled together."
)
@click.option("--all", "all_", is_flag=True, help="Fill every --marker in the file, together.")
@click.option("--marker", default="__HOLE__", show_default=True, help="What stands for a hole; with --all.")
@click.option("--regex", help="What is written must match this, too.")
@click.option("--language", help="Its language, where the file's name and first line don't tell it.")
@click.option(
    "--budget", type=click.FloatRange(0), metavar="MS", help="Milliseconds; 300 (one line) or 1000 (several) a hole."
)
@click.option("--count", type=click.IntRange(1), default=3, show_default=True, help="Completions at most.")
@click.option("--lines", type=click.Choice(["one", "several"]), help="Usually: several in an empty body.")
@click.option("--prefer-known-names", is_flag=True, help="Rank names lower that stand nowhere in the file.")
@click.option("--in-place", is_flag=True, help="Write the best one into the file.")
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print all completions, one JSON object (or list, for several holes) a line.",
)
@WRITING["model"]
@WRITING["trust_remote_code"]
@click.option("--quiet", is_flag=True, help="No picture on stderr.")
def complete_command(
    place: str, spans: tuple[str, ...], all_: bool, marker: str, regex: str | None, language: str | None, budget: float | None,
    count: int, lines: str | None, prefer_known_names: bool, in_place: bool, as_json: bool, model: str, trust_remote_code: bool,
    quiet: bool,
) -> None:  # fmt: skip
    """Complete code at FILE:LINE:COL (from 1, in characters), so that the file stays syntactically whole.

    \b
    Examples:
      dgemma complete app.py:12:9
      dgemma complete app.py --span 12:9-12:20 --span 14:5 --in-place
      dgemma complete app.py --all --marker TODO
      dgemma complete app.py:12:9 --model embedded:diffusion-gemma
    """
    from dgemma_constrain.constraints.terms import regex as as_regex
    from dgemma_constrain.infill import complete, languages
    from dgemma_constrain.running import load, replace_file, warm_up_kernels

    path, where = (Path(place), None) if spans or all_ else _parted(place)
    source = _read(path)
    if where is not None:
        places = [(_offset(source, where),) * 2]
    elif all_:
        places = _marked(source, marker, spans)
    else:
        places = sorted(_span(source, one) for one in spans)
    language = language or languages.detect(str(path), source)  # told before anything is compiled
    warm_up_kernels(quiet, code=True)
    if regex is not None:
        warm_up_kernels(quiet)
    answers = complete(
        source, None, language, load(model, trust_remote_code, quiet), budget, spans=places, path=str(path), count=count,
        several=None if lines is None else lines == "several", constraint=None if regex is None else as_regex(regex),
        prefer_known_names=DISLIKE if prefer_known_names else 0.0,
    )  # fmt: skip
    if not answers:
        raise Infeasible("no completion leaves the file whole, or none was found in time; pass a larger --budget")
    if any(one.near for one in answers[0]):
        click.echo("the file can't be parsed in time: judged by the lines around the hole; see --budget", err=True)
    if not quiet:
        sys.stderr.write(picture(source, answers, colour=sys.stderr.isatty()))
    if in_place:
        new = source
        for one in reversed(answers[0]):
            new = new[: one.start] + one.text + new[one.end :]
        replace_file(path, new)
    for answer in answers if as_json else answers[:1]:
        shown = [{"text": one.text, "start": one.start, "end": one.end, "score": round(one.score, 4)} for one in answer]
        if as_json:
            sys.stdout.write(json.dumps(shown if len(shown) > 1 else shown[0], ensure_ascii=False) + "\n")
        else:
            sys.stdout.write("".join(one.text + "\n" for one in answer))


def _marked(source: str, marker: str, spans: tuple[str, ...]) -> list[tuple[int, int]]:
    """Where the marker stands."""
    if spans:
        raise click.UsageError("--all fills the marked holes; leave out --span")
    places = [found.span() for found in re.finditer(re.escape(marker), source)] if marker else []
    if not places:
        raise click.UsageError(
            f"--all: {marker!r} stands nowhere in the file; say with --marker what a hole looks like"
        )
    return places


def _span(source: str, span: str) -> tuple[int, int]:
    start, dash, stop = span.partition("-")
    return _offset(source, start), _offset(source, stop if dash else start)


def picture(source: str, answers: list[tuple], colour: bool = False) -> str:
    """The lines around each hole, the hole as ▁, and the completions below it, those of the best answer first, with scores."""
    rows = []
    bold, off = ("\x1b[7m", "\x1b[0m") if colour else ("", "")
    for several in zip(*answers):
        first = several[0]
        above = re.split(r"\r\n|\n|\r", source[: first.start])[-3:]
        below = re.split(r"\r\n|\n|\r", source[first.end :])[:3]
        middle = f"{_printable(above[-1])}{bold}▁{off}{_printable(below[0])}"
        rows += [f"  │ {line}" for line in (*map(_printable, above[:-1]), middle, *map(_printable, below[1:]))]
        for number, one in enumerate(several, 1):
            text = re.split(r"\r\n|\n|\r", one.text)
            rows += [f"{number:>2}. {one.score:7.2f}  {_printable(text[0])}"]
            rows += [f"{'':13}{_printable(line)}" for line in text[1:]]
    return "\n".join(rows) + "\n"


def _printable(line: str) -> str:
    """A line without what would steer the terminal."""
    return "".join(c if c.isprintable() or c == "\t" else "�" for c in line).expandtabs(4)


def _parted(place: str) -> tuple[Path, str]:
    found = re.fullmatch(r"(.+?):(\d+:\d+)", place)
    if not found:
        raise click.UsageError(f"{place!r} is not of the form FILE:LINE:COL")
    return Path(found[1]), found[2]


def _read(path: Path) -> str:
    data = path.read_bytes()
    if len(data) > LARGEST:
        raise click.UsageError(f"{path} has {len(data)} bytes; {LARGEST} are the most")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        kind = "UTF-16, not UTF-8" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "not UTF-8"
        raise click.UsageError(f"{path} is {kind} (byte {error.start})") from None


def _offset(source: str, place: str) -> int:
    """The character at LINE:COL. Lines end in \\n, \\r\\n or \\r, and a byte order mark is no column, as editors have it."""
    found = re.fullmatch(r"(\d+):(\d+)", place)
    if not found:
        raise click.UsageError(f"{place!r} is not of the form LINE:COL")
    line, column = int(found[1]), int(found[2])
    starts = [int(source.startswith("\ufeff")), *(m.end() for m in re.finditer(r"\r\n|\n|\r", source))]
    if not 1 <= line <= len(starts):
        raise click.UsageError(f"line {line} is none of the file's {len(starts)}")
    length = len(re.match(r"[^\r\n]*", source[starts[line - 1] :])[0])
    if not 1 <= column <= length + 1:
        raise click.UsageError(f"column {column} is none of line {line}, which has {length} characters")
    return starts[line - 1] + column - 1
