"""`dgemma batch`: from a file of prompts to a file of results, with progress."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any, Callable

import click

from dgemma_constrain.batch.results import Results
from dgemma_constrain.batch.rows import Job, Row, constraint_of
from dgemma_constrain.batch.write import locally
from dgemma_constrain.running import no_bars


def run(
    source: str, out: str, given: Mapping[str, Any], how: Mapping[str, Any], from_text: bool, options: Mapping[str, Any],
    size: int, engine: str, workers: int | None,
) -> int:  # fmt: skip
    """Write what is missing in `out`; returns how many rows in it have an error. Arguments: as of the command."""
    if engine == "ray" and not find_spec("ray"):
        raise click.UsageError("--engine ray needs Ray: pip install 'dgemma-constrain[ray]'")
    options = dict(options)
    model, quiet = options.pop("model"), options.pop("quiet")
    no_bars(quiet)
    loading = {"trust_remote_code": True} if options.pop("trust_remote_code") else {}
    job = Job(model, given, how, from_text, options, loading)
    if given:
        constraint_of(job, given)  # an error in it is one of the command, not of every row
    with Results(out) as results:
        rows = results.missing(job.rows(source))
        before = len(results.done)
        with _progress(before, before + len(rows), results, quiet) as report:
            for some in _answered(job, rows, size, engine, workers):
                for row, line in some:
                    results.append(row, line)
                results.sync()
                report()
        if not quiet:
            written = f"{len(results.done) - before} rows written to {out}"
            kept = f", {before} were there" if before else ""
            failed = f', {results.failed} have an "error"' if results.failed else ""
            click.echo(f"dgemma: {written}{kept}{failed}", err=True)
        return results.failed


def _answered(
    job: Job, rows: list[Row], size: int, engine: str, workers: int | None
) -> Iterator[list[tuple[Row, str]]]:
    if not rows:
        return iter(())
    if engine == "ray":
        from dgemma_constrain.batch.on_ray import on_ray

        return on_ray(job, rows, size, workers)
    return locally(job, job.load(), rows, size)


@contextmanager
def _progress(done: int, total: int, results: Results, quiet: bool) -> Iterator[Callable[[], None]]:
    """A bar on stderr, if somebody looks at it; what it gives is called whenever rows have been written."""
    if quiet or not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    failures = TextColumn("{task.fields[failed]} failed")
    columns = BarColumn(), MofNCompleteColumn(), failures, TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=total, completed=done, failed=results.failed)
        yield lambda: bar.update(task, completed=len(results.done), failed=results.failed)
