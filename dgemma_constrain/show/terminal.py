"""The canvas drawn in a terminal, in place, while it is written."""

from __future__ import annotations

from collections.abc import Callable

from rich.color import Color
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.style import Style
from rich.text import Text

from dgemma_constrain.diffusion.trace import Step
from dgemma_constrain.show.cells import NEW, OPEN, PINNED, REMASKED, Cell, History, spelled

MARKS = str.maketrans({"\n": "⏎\n", "\t": "⇥", "\r": "␍", "\x1b": "␛", "\x7f": "␡"})
UNDECIDED, GIVEN_UP, PAST_END = "░", "▒", "·"


class Picture:
    """Draws every step over the last one; gone when the `with` block ends.

        with Picture(Console(stderr=True), vocabulary.token_bytes) as picture:
            model.generate(prompt, on_step=picture.draw)

    `piece` gives a token's bytes, None for the end token and other special ones.
    """

    def __init__(self, console: Console, piece: Callable[[int], bytes | None]):
        self.console, self.piece = console, piece
        self.history = History()
        self.live = Live(console=console, transient=True, auto_refresh=False)

    def __enter__(self) -> Picture:
        self.live.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.live.stop()

    def draw(self, step: Step) -> None:
        """What a denoising loop calls with each step as it is done; of several rows the first is drawn."""
        if step.row:
            return
        self.live.update(self.picture(step), refresh=True)

    def picture(self, step: Step) -> RenderableType:
        """A line of figures, a bar, and the canvas: as much of it as the terminal has room for."""
        if step.offset == 0 and not self._open():
            self.history = History()  # a first step
        self.history.add(step)
        total, left = len(self._cells()), self._open()
        block = f", block {step.block + 1}" if step.block else ""
        figures = Text(f"step {self.history.steps}{block}: {total - left} of {total} tokens", "bold", no_wrap=True)
        figures.append(f"  model {step.model_ms:.0f} ms, constraint {step.constraint_ms:.0f} ms", "not bold dim")
        width = min(60, self.console.width)
        done = width * (total - left) // max(1, total)
        return Group(
            figures, Text("━" * done, "green").append("━" * (width - done), "dim"), *self._lines(self._cells())
        )

    def _cells(self) -> list[Cell]:
        return [cell for _, block in sorted(self.history.blocks.items()) for cell in block]

    def _open(self) -> int:
        return sum(cell.kind in (OPEN, REMASKED) for cell in self._cells())

    def _lines(self, cells: list[Cell]) -> list[Text]:
        canvas, first = Text(), None
        for cell in cells:
            if first is None and cell.kind in (OPEN, REMASKED):
                first = len(canvas)
            canvas.append(*self._drawn(cell))
        before = 0 if first is None else len(canvas[:first].wrap(self.console, self.console.width)) - 1
        lines = canvas.wrap(self.console, self.console.width)
        room = max(3, self.console.height - 4)
        top = max(0, min(before - room // 3, len(lines) - room))
        return list(lines[top : top + room])

    def _drawn(self, cell: Cell) -> tuple[str, Style]:
        if cell.kind == OPEN:
            return UNDECIDED, Style(dim=True)
        if cell.kind == REMASKED:
            return GIVEN_UP, Style(color="red")
        piece = self.piece(cell.token)
        text = PAST_END if piece is None else printable(spelled(piece))
        if cell.kind == PINNED:
            return text, Style(bold=True)
        return text, Style(color=shade(cell.confidence), underline=cell.kind == NEW, dim=piece is None)


def printable(text: str) -> str:
    """Text that can't move the cursor or change colours, its line breaks and tabs in sight."""
    return "".join(c if c.isprintable() or c == "\n" else "�" for c in text.translate(MARKS))


def shade(confidence: float) -> Color:
    """From red (0) through yellow to green (1)."""
    p = min(1.0, max(0.0, confidence))
    return Color.from_rgb(230 * min(1, 2 - 2 * p) + 60 * max(0, 2 * p - 1), 90 + 120 * min(1, 2 * p), 80)
