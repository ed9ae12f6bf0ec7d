"""What the command line reads: texts, files, holes and lengths, checked before anything else happens."""

from __future__ import annotations

import sys

import click

LARGEST = 10_000_000  # bytes of a file or of stdin


class Text(click.ParamType):
    """A text given as an argument."""

    name = "text"

    def convert(self, value, param, ctx):
        try:
            value.encode()
        except UnicodeEncodeError:
            self.fail("not UTF-8", param, ctx)
        return value


class Prompt(Text):
    """A text given as an argument, or on stdin where the argument is `-`."""

    def convert(self, value, param, ctx):
        if value != "-":
            return super().convert(value, param, ctx)
        if sys.stdin is None:
            self.fail("stdin is closed", param, ctx)
        return decoded(sys.stdin.buffer.read(LARGEST + 1), "stdin").removesuffix("\n")


class TextFile(Prompt):
    """The text in a file, or on stdin (`-`)."""

    name = "file"

    def convert(self, value, param, ctx):
        if value == "-":
            return super().convert(value, param, ctx)
        with open(value, "rb") as file:
            return decoded(file.read(LARGEST + 1), value)


class Hole(Text):
    """`name=…`, as a pair. what: stands behind the sign, and is read as `of` says."""

    def __init__(self, what: str, of: click.ParamType = Text()):
        self.name, self.of = f"name={what}", of

    def convert(self, value, param, ctx):
        name, equals, what = super().convert(value, param, ctx).partition("=")
        if not equals or not name.isidentifier():
            self.fail(f"{value!r} is not of the form {self.name}", param, ctx)
        return name, self.of.convert(what, param, ctx)


class Span(click.ParamType):
    """`start:end` in characters, as a pair."""

    name = "start:end"

    def convert(self, value, param, ctx):
        start, colon, end = value.partition(":")
        if not colon or not start.isdecimal() or not end.isdecimal():
            self.fail(f"{value!r} is not of the form START:END", param, ctx)
        return int(start), int(end)


class Length(click.IntRange):
    """A number of tokens, or "auto"."""

    name = "tokens|auto"

    def convert(self, value, param, ctx):
        return value if value == "auto" else super().convert(value, param, ctx)


def decoded(data: bytes, name: str) -> str:
    """UTF-8, with or without a byte order mark. Raises UsageError."""
    if len(data) > LARGEST:
        raise click.UsageError(f"{name} is larger than {LARGEST // 1_000_000} MB")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise click.UsageError(f"{name} is not UTF-8: byte {error.start} is {data[error.start]:#04x}") from None
