"""What the commands have in common: load a model, write a text with it, show and print it."""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

import dgemma_constrain as dc

if TYPE_CHECKING:
    from dgemma_constrain.diffusion.model import Model, Output


def refuse(why: str) -> NoReturn:
    click.get_current_context().fail(why)


def write_text(
    prompt: str,
    constraint: dc.Constraint | None,
    options: dict,
    parsed: bool = False,
    room_for: Sequence[str] = (),
    searched: bool = False,
    spans: tuple = (),
) -> Output:
    """Write a text, or these spans of one, and print it. parsed: it is JSON, and its own value. searched: it may have to be."""
    trace = Path(options["trace"]) if options["trace"] else None
    if trace and not os.access(trace.absolute().parent, os.W_OK):
        refuse(f"--trace: no file can be written in {trace.absolute().parent}")
    warm_up_kernels(options["quiet"], searched)
    from dgemma_constrain import records

    model = load(options["model"], options["trust_remote_code"], options["quiet"])
    length = options["length"]
    if length == "auto" and not spans:
        length = records.usual_length(model, prompt, constraint, room_for)
    began = time.perf_counter()
    out = _generate(model, (prompt, spans) if spans else (prompt,), constraint, length, options)
    seconds = time.perf_counter() - began
    if options["as_json"]:
        print_line(records.line(records.record(model, out, parsed) | {"ms": f"{1e3 * seconds:.1f}"}))
    else:
        print_line(out.text)
    if trace:
        from dgemma_constrain.show.html import trace_html

        replace_file(trace, trace_html(out.trace, out.text))
    return out


def no_bars(quiet: bool) -> None:
    """Keep the libraries that load models from drawing bars where nobody looks at them."""
    if quiet or not sys.stderr.isatty():
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")  # read when a library of theirs is first imported


def load(name: str, trust_remote_code: bool, quiet: bool) -> Model:
    """As `dc.load`; quiet: without the bars that transformers draws."""
    no_bars(quiet)
    return dc.load(name, **({"trust_remote_code": True} if trust_remote_code else {}))


def _generate(model: Model, what: tuple, constraint: dc.Constraint | None, length: int | str, options: dict) -> Output:
    write = model.revise if len(what) > 1 else model.generate
    names = ("steps", "seed", "candidates", "temperature", "schedule", "remask")
    more = {**{name: options[name] for name in names}, "trace": bool(options["trace"])}
    if options["quiet"] or not sys.stderr.isatty():
        return write(*what, constraint, length, **more)
    from rich.console import Console

    from dgemma_constrain.show.terminal import Picture

    with Picture(Console(stderr=True), model.vocabulary.token_bytes) as picture:
        return write(*what, constraint, length, on_step=picture.draw, **more)


def warm_up_kernels(quiet: bool, searched: bool = False, code: bool = False) -> None:
    """Those for constraints, and for a search, too; or those that complete code."""
    from dgemma_constrain.warm_up import kernels_are_cold, warm_up

    stages = {
        "kernels": "compiling kernels, once, about 40 s …",
        "search": "compiling the search, once, about 45 s …",
        "code": "compiling what reads code, once, about 20 s …",
    }
    for stage in ["code"] if code else list(stages)[: 1 + searched]:
        line = stages[stage]
        if not kernels_are_cold(stage):
            continue
        if quiet or not sys.stderr.isatty():
            if not quiet:
                click.echo(f"dgemma: {line}", err=True)
            warm_up(stage=stage)
            continue
        from rich.console import Console

        with Console(stderr=True).status(line) as status:
            warm_up(lambda done, of: status.update(f"{line} {done}/{of}"), stage)


def print_line(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def replace_file(path: Path, text: str) -> None:
    """Write a file whole or not at all, with the rights it had if it was there; of a link, what it points to.

    Raises PermissionError for a file that is read-only, which replacing it would pass over.
    """
    path = path.resolve()
    if path.exists() and not (os.access(path, os.W_OK) and path.stat().st_mode & 0o222):
        raise PermissionError(errno.EACCES, "it is read-only", str(path))
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(text.encode())
        if path.exists():
            temporary.chmod(path.stat().st_mode & 0o7777)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
