"""When the model is asked, and what of its answers is shown. Knows documents and the worker, no protocol."""

from __future__ import annotations

import asyncio
import logging
import re
from typing import Callable
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from dgemma_lsp.documents import Document
from dgemma_lsp.settings import Settings
from dgemma_lsp.suggestions import Memory, Pause, Suggestion, without_doubled_brackets
from dgemma_lsp.syntax import Syntax
from dgemma_lsp.worker import Worker

log = logging.getLogger("dgemma_lsp")

PATIENCE = 10  # deadlines after which an engine that doesn't keep its own is given up
HOLE = re.compile(r"/\*[ \t]*TODO\b.*?\*/|(?:#|//|--)[ \t]*TODO\b[^\r\n]*|\bTODO\b", re.DOTALL)
_BLOCK = re.compile(r"[:{(\[][ \t]*$|^[ \t]*$")  # of a line up to the cursor, with nothing behind it

Report = Callable[[int, int], None]


class Completer:
    """One request runs per document: the latest."""

    def __init__(self, worker: Worker):
        self.worker, self.settings, self.memory = worker, Settings(), Memory()
        self.documents: dict[str, Document] = {}
        self._syntax: dict[str, Syntax] = {}
        self._pauses: dict[str, Pause] = {}
        self._running: dict[str, asyncio.Task] = {}

    def open(self, document: Document) -> None:
        self.close(document.uri)
        self.documents[document.uri], self._pauses[document.uri] = document, Pause()
        self._syntax[document.uri] = Syntax(document)

    def edited(self, uri: str) -> None:
        self._pauses[uri].edited()

    def close(self, uri: str) -> None:
        self.stop(uri)
        self.memory.forget(uri)
        self.documents.pop(uri, None)
        self._pauses.pop(uri, None)
        self._syntax.pop(uri, None)

    def stop(self, uri: str) -> None:
        """Stop what is being written for a document; who waits for it gets nothing."""
        if running := self._running.pop(uri, None):
            running.cancel()

    async def complete(self, uri: str, cursor: int, invoked: bool, report: Report | None = None) -> list[Suggestion]:
        """What may be shown at a cursor, best first. Cancelling this stops the model."""
        self.stop(uri)
        document = self.documents.get(uri)
        if document is None or not self._wanted(document):
            return []
        return await self._latest(uri, self._complete(document, cursor, invoked, report))

    async def fill(
        self, uri: str, start: int, end: int, do: str = "fill", report: Report | None = None
    ) -> Suggestion | None:
        """What should stand in place of source[start:end]; asked for by hand."""
        self.stop(uri)
        document = self.documents.get(uri)
        if document is None or not document.in_step:
            return None
        source = document.text
        found = await self._latest(uri, self._ask(document, source, start, end, do, True, report))
        return found[0] if found and document.text == source else None

    async def fill_holes(self, uri: str, report: Report | None = None) -> str | None:
        """The text with something in place of each TODO, one after the other; None if it was edited meanwhile."""
        document = self.documents.get(uri)
        if document is None or not document.in_step:
            return None
        source = text = document.text
        holes = len(HOLE.findall(source))
        at = done = 0
        while hole := HOLE.search(text, at):
            found = await self._latest(uri, self._ask(document, text, hole.start(), hole.end(), "fill", True))
            new = found[0].text if found else hole.group()
            text = text[: hole.start()] + new + text[hole.end() :]
            at, done = hole.start() + len(new), done + 1
            if report:
                report(done, holes)
        return text if document.text == source else None

    async def _latest(self, uri: str, work) -> list[Suggestion]:
        self.stop(uri)
        mine = self._running[uri] = asyncio.ensure_future(work)
        try:
            return await mine
        except asyncio.CancelledError:
            if asyncio.current_task().cancelling():  # by the client
                self.memory.counts["cancelled"] += 1
                raise
            self.memory.counts["superseded"] += 1
            return []
        finally:
            if self._running.get(uri) is mine:
                del self._running[uri]

    def _wanted(self, document: Document) -> bool:
        settings = self.settings
        return (
            settings.enabled
            and document.in_step
            and document.language not in settings.disabledLanguages
            and len(document) <= settings.largest
        )

    async def _complete(
        self, document: Document, cursor: int, invoked: bool, report: Report | None
    ) -> list[Suggestion]:
        uri, version, source, memory = document.uri, document.version, document.text, self.memory
        memory.settle(uri, source)
        known = memory.typed_through(uri, source, cursor)
        if known is not None:
            memory.counts["typed through"] += 1
            return [known]
        if not self.worker.ready:
            return []
        if not invoked:
            await asyncio.sleep(self._pauses[uri].seconds(self.settings.debounceLeast, self.settings.debounceMost))
            if document.version != version:
                memory.counts["superseded"] += 1
                return []
        where = await self._syntax[uri].inside(cursor)
        shown_there = {"comment": self.settings.inComments, "string": self.settings.inStrings, None: True}
        if document.version != version or not (invoked or shown_there[where]):
            return []
        block = where is None and is_block(source, cursor)
        found = await self._ask(document, source, cursor, cursor, "complete", block, report)
        if document.version != version:
            memory.counts["stale"] += 1
            for suggestion in found[:1]:  # what is being typed may be just this
                memory.keep(uri, source, suggestion)
            return []
        if not invoked:
            found = [s for s in found if not memory.unwanted(uri, source, s)]
        if found and found[0].end == cursor:
            memory.offer(uri, source, found[0])
        return found

    async def _ask(
        self,
        document: Document,
        source: str,
        start: int,
        end: int,
        do: str,
        block: bool,
        report: Report | None = None,
    ) -> list[Suggestion]:
        self.memory.counts["asked"] += 1
        budget = self.settings.deadlineBlock if block else self.settings.deadlineLine
        request = {
            "do": do,
            "path": path_of(document.uri),
            "language": document.language,
            "source": source,
            "start": start,
            "end": end,
            "block": block,
            "budget": budget,
            "schemas": self.settings.schemas,
        }
        items = await self.worker.ask(request, PATIENCE * max(budget, 1000) / 1e3, report)
        found = [Suggestion(**item) for item in items or ()]
        if do == "complete":
            found = [without_doubled_brackets(s, source) for s in found]
        return [s for s in found if s.text != source[s.start : s.end]]


def is_block(source: str, cursor: int) -> bool:
    """Whether several lines may be wanted: nothing is behind the cursor on its line, and before it nothing or what opens a block."""
    end = re.compile(r"[\r\n]|$").search(source, cursor).start()
    start = max(source.rfind("\n", 0, cursor), source.rfind("\r", 0, cursor)) + 1
    return not source[cursor:end].strip() and bool(_BLOCK.search(source[start:cursor]))


def path_of(uri: str) -> str | None:
    """The path of a file's URI; None of any other."""
    parts = urlsplit(uri)
    return url2pathname(unquote(parts.path)) if parts.scheme == "file" else None
