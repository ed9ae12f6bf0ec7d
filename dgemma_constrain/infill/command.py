"""`dgemma complete`: a place in a file, its completions, and a picture of both."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

import click

from dgemma_constrain.errors import Infeasible

LARGEST = 10_000_000  # bytes of a file


@click.command("complete", short_help="Complete code at a place in a file.")
@click.argument("place", metavar="FILE:LINE:COL")
@click.option("--span", metavar="L:C-L:C", help="Write this span anew; PLACE is a file alone then.")
@click.option("--language", help="Its language, where the file's name and first line don't tell it.")
@click.option(
    "--budget", type=click.FloatRange(0), metavar="MS", help="Milliseconds; 300 (one line) or 1000 (several)."
)
@click.option("--count", type=click.IntRange(1), default=3, show_default=True, help="Completions at most.")
@click.option("--lines", type=click.Choice(["one", "several"]), help="Usually: several in an empty body.")
@click.option("--in-place", is_flag=True, help="Write the best one into the file.")
@click.option("--all", "all_", is_flag=True, help="Print all completions, one JSON object a line.")
@click.option("--model", default="embedded", show_default=True, help="embedded, a hub id or a folder.")
@click.option("--quiet", is_flag=True, help="No picture on stderr.")
def complete_command(
    place: str, span: str | None, language: str | None, budget: float | None, count: int, lines: str | None, in_place: bool,
    all_: bool, model: str, quiet: bool,
) -> None:  # fmt: skip
    """Complete code at FILE:LINE:COL (from 1, in characters), so that the file stays syntactically whole.

    \b
    Examples:
      dgemma complete app.py:12:9
      dgemma complete app.py --span 12:9-12:20 --in-place
    """
    from dgemma_constrain.infill.completion import complete
    from dgemma_constrain.models.load import load
    from dgemma_constrain.running import warm_up_kernels

    path, where = (Path(place), span) if span else _parted(place)
    source = _read(path)
    if span:
        start, dash, stop = span.partition("-")
        ends = (_offset(source, start), _offset(source, stop if dash else start))
    else:
        ends = (_offset(source, where),) * 2
    several = None if lines is None else lines == "several"
    warm_up_kernels(quiet, code=True)
    answers = complete(source, ends, language, load(model), budget, path=str(path), count=count, several=several)
    if not answers:
        raise Infeasible("no completion leaves the file whole, or none was found in time; pass a larger --budget")
    if not quiet:
        sys.stderr.write(picture(source, answers, colour=sys.stderr.isatty()))
    best = answers[0]
    if in_place:
        _replace(path, source[: best.start] + best.text + source[best.end :])
    for one in answers if all_ else answers[:1]:
        shown = {"text": one.text, "start": one.start, "end": one.end, "score": round(one.score, 4)}
        sys.stdout.write((json.dumps(shown, ensure_ascii=False) if all_ else one.text) + "\n")


def picture(source: str, answers: list, colour: bool = False) -> str:
    """The lines around the hole, the hole as ▁, and the completions below it, best first, with their scores."""
    first = answers[0]
    above = re.split(r"\r\n|\n|\r", source[: first.start])[-3:]
    below = re.split(r"\r\n|\n|\r", source[first.end :])[:3]
    bold, off = ("\x1b[7m", "\x1b[0m") if colour else ("", "")
    middle = f"{_printable(above[-1])}{bold}▁{off}{_printable(below[0])}"
    rows = [f"  │ {line}" for line in (*map(_printable, above[:-1]), middle, *map(_printable, below[1:]))]
    for number, one in enumerate(answers, 1):
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
        raise click.UsageError(f"{path} is not UTF-8 (byte {error.start})") from None


def _offset(source: str, place: str) -> int:
    """The character at LINE:COL. Lines end in \\n, \\r\\n or \\r, as editors have it."""
    found = re.fullmatch(r"(\d+):(\d+)", place)
    if not found:
        raise click.UsageError(f"{place!r} is not of the form LINE:COL")
    line, column = int(found[1]), int(found[2])
    starts = [0, *(m.end() for m in re.finditer(r"\r\n|\n|\r", source))]
    if not 1 <= line <= len(starts):
        raise click.UsageError(f"line {line} is none of the file's {len(starts)}")
    length = len(re.match(r"[^\r\n]*", source[starts[line - 1] :])[0])
    if not 1 <= column <= length + 1:
        raise click.UsageError(f"column {column} is none of line {line}, which has {length} characters")
    return starts[line - 1] + column - 1


def _replace(path: Path, text: str) -> None:
    """Write a file whole or not at all, with the rights it had."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(text.encode())
        temporary.chmod(path.stat().st_mode & 0o7777)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
