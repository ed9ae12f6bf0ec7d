"""The session with one editor: the wire, all state, and what is asked of the client. `server` says what it answers."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import threading
import uuid
from contextlib import asynccontextmanager
from typing import Any, BinaryIO

from lsprotocol import types as t
from pygls.exceptions import (
    JsonRpcException,
    JsonRpcInvalidParams,
    JsonRpcInvalidRequest,
    JsonRpcParseError,
    JsonRpcRequestCancelled,
)
from pygls.io_ import StdoutWriter, run_async
from pygls.lsp.server import LanguageServer
from pygls.protocol import LanguageServerProtocol
from pygls.protocol.language_server import lsp_method

from dgemma_constrain import __version__
from dgemma_lsp.completing import Completer
from dgemma_lsp.documents import Document, OutOfStep
from dgemma_lsp.settings import Settings, updated
from dgemma_lsp.worker import ENGINE, LONGEST, Worker

log = logging.getLogger("dgemma_lsp")


class Protocol(LanguageServerProtocol):
    """pygls', but for its document store, which splits lines at more than the protocol says and so loses step."""

    @lsp_method(t.TEXT_DOCUMENT_DID_OPEN)
    def lsp_text_document__did_open(self, params: t.DidOpenTextDocumentParams) -> None:
        did_open(self._server, params)

    @lsp_method(t.TEXT_DOCUMENT_DID_CHANGE)
    def lsp_text_document__did_change(self, params: t.DidChangeTextDocumentParams) -> None:
        did_change(self._server, params)

    @lsp_method(t.TEXT_DOCUMENT_DID_CLOSE)
    def lsp_text_document__did_close(self, params: t.DidCloseTextDocumentParams) -> None:
        self._server.completer.close(params.text_document.uri)
        self._server.unchecked(params.text_document.uri)

    def structure_message(self, data: dict[str, Any]):
        """A request with wrong parameters is answered, too, not just logged."""
        try:
            return super().structure_message(data)
        except JsonRpcException as error:
            if "method" in data and "id" in data:
                self._send_response(data["id"], None, error.to_response_error())
            raise

    def handle_message(self, message: Any) -> None:
        """So is what is JSON, but no message."""
        if not hasattr(message, "jsonrpc"):
            number = message.get("id") if isinstance(message, dict) else None
            self.refuse(number if isinstance(number, (int, str)) else None, JsonRpcInvalidRequest())
            return
        super().handle_message(message)

    def refuse(self, number: int | str | None, error: JsonRpcException) -> None:
        """Answer with an error; without a number, which pygls' own answers must have, if none could be read."""
        answer = error.to_response_error()
        self._send_data({"jsonrpc": "2.0", "id": number, "error": {"code": answer.code, "message": answer.message}})


class Server(LanguageServer):
    """All state of one session; one event loop, nothing in it takes long."""

    protocol: Protocol

    def __init__(self, engine: str = ENGINE):
        super().__init__(
            "dgemma-lsp",
            __version__,
            protocol_cls=Protocol,
            text_document_sync_kind=t.TextDocumentSyncKind.Incremental,
        )
        self.completer = Completer(Worker(engine, self.worker_changed))
        self.given = Settings()  # by initializationOptions
        self.told: set[str] = set()
        self._checks: dict[str, asyncio.Task] = {}

    def start_io(self, stdin: BinaryIO | None = None, stdout: BinaryIO | None = None) -> None:
        """pygls', but for how stdin is read: that goes to another thread and back for every line of a header."""

        async def serve() -> None:
            reader = stdin_reader(stdin or sys.stdin.buffer)
            await run_async(self._stop_event, reader, self.protocol, error_handler=self.report_server_error)

        self._stop_event = threading.Event()
        self.protocol.set_writer(StdoutWriter(stdout or sys.stdout.buffer))
        try:
            asyncio.run(serve())
        except (BrokenPipeError, asyncio.IncompleteReadError):
            log.error("the client is gone")
        except (KeyboardInterrupt, SystemExit):
            pass
        finally:
            self.shutdown()

    @property
    def encoding(self) -> str:
        chosen = self.workspace.position_encoding
        return str(getattr(chosen, "value", chosen))

    def tell(self, kind: t.MessageType, message: str) -> None:
        """Show a person what only a person can mend, once."""
        log.warning("%s", message)
        if message not in self.told:
            self.told.add(message)
            self.window_show_message(t.ShowMessageParams(kind, message))

    def report_server_error(self, error: Exception, source: Any) -> None:
        """Logged; where it was no JSON, answered as the protocol says."""
        log.error("%s: %s", type(error).__name__, error)
        if isinstance(error, (json.JSONDecodeError, UnicodeDecodeError, RecursionError)):
            self.protocol.refuse(None, JsonRpcParseError(str(error)))

    def worker_changed(self, what: str, why: str) -> None:
        log.info("model worker: %s (%s)", what, why)
        model = self.completer.worker.model
        if what == "failed":
            self.tell(t.MessageType.Error, f"dgemma: the model {model!r} cannot be loaded: {why}; set dgemma.model")
        elif what == "given up":
            self.tell(t.MessageType.Error, f"dgemma: no more completions: {why}; see the log, then dgemma.switchModel")

    async def use(self, settings: Settings) -> None:
        """Go on with these settings; start the model if it is none or another one."""
        self.completer.settings = settings
        if settings.model != self.completer.worker.model:
            await self.completer.worker.start(settings.model)

    async def configure(self, given: Any) -> None:
        settings, wrong = updated(self.given, given)
        for line in wrong:
            self.tell(t.MessageType.Warning, line)
        await self.use(settings)

    async def pull_configuration(self) -> bool:
        """Ask the client for the section; False if it knows no such request."""
        workspace = self.client_capabilities.workspace
        if not (workspace and workspace.configuration):
            return False
        asked = t.ConfigurationParams([t.ConfigurationItem(section="dgemma")])
        try:
            given = await self.workspace_configuration_async(asked)
        except JsonRpcException as error:
            log.warning("the client doesn't say its configuration: %s", error)
            return False
        await self.configure(given[0] if given else None)
        return True

    @asynccontextmanager
    async def progress(self, title: str, token: t.ProgressToken | None = None):
        """A function (done, of) that shows how far long work is, where the client can; cancelling it there cancels the task."""
        progress = self.work_done_progress
        window = self.client_capabilities.window
        if token is None and window and window.work_done_progress:
            token = str(uuid.uuid4())
            await progress.create_async(token)
        if token is None:
            yield None
            return
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        progress.begin(token, t.WorkDoneProgressBegin(title=title, cancellable=True, percentage=0))
        wanted = progress.tokens[token]
        wanted.add_done_callback(lambda future: future.cancelled() and loop.call_soon_threadsafe(task.cancel))
        try:
            yield lambda done, of: progress.report(
                token, t.WorkDoneProgressReport(message=f"{done} of {of}", percentage=100 * done // max(of, 1))
            )
        except asyncio.CancelledError:
            if wanted.cancelled():  # which is not $/cancelRequest: the request wants an answer
                raise JsonRpcRequestCancelled(f"{title}: cancelled") from None
            raise
        finally:
            progress.tokens.pop(token, None)
            progress.end(token, t.WorkDoneProgressEnd())

    def check(self, document: Document) -> None:
        """Say what is wrong with a grammar or a JSON Schema, when it has rested."""
        if not document.uri.endswith((".lark", ".gbnf", ".schema.json")):
            return
        self.unchecked(document.uri)

        async def later(version: int) -> None:
            from dgemma_lsp import grammar_check, schema_check

            await asyncio.sleep(self.completer.settings.debounceMost / 1e3)
            if document.uri.endswith(".json"):
                found = await asyncio.to_thread(schema_check.problems, document.text)
            else:
                found = await asyncio.to_thread(grammar_check.problems, document.uri, document.text)
            if document.version == version:
                diagnostics = [
                    t.Diagnostic(
                        t.Range(document.position(p.start), document.position(p.end)),
                        p.message,
                        t.DiagnosticSeverity.Warning if p.warning else t.DiagnosticSeverity.Error,
                        source="dgemma",
                    )
                    for p in found
                ]
                self.text_document_publish_diagnostics(t.PublishDiagnosticsParams(document.uri, diagnostics, version))

        self._checks[document.uri] = asyncio.ensure_future(later(document.version))

    def unchecked(self, uri: str) -> None:
        if check := self._checks.pop(uri, None):
            check.cancel()

    def document(self, uri: str) -> Document:
        if uri not in self.completer.documents:
            raise JsonRpcInvalidParams(f"{uri} is not open")
        return self.completer.documents[uri]

    def range(self, document: Document, start: int, end: int) -> t.Range:
        return t.Range(document.position(start), document.position(end))

    async def put(self, document: Document, start: int, end: int, text: str, label: str) -> bool:
        """Have the client write it."""
        edit = t.TextEdit(self.range(document, start, end), text)
        where = t.OptionalVersionedTextDocumentIdentifier(uri=document.uri, version=document.version)
        changes = t.TextDocumentEdit(text_document=where, edits=[edit])
        workspace = self.client_capabilities.workspace
        versioned = workspace and workspace.workspace_edit and workspace.workspace_edit.document_changes
        whole = t.WorkspaceEdit(document_changes=[changes]) if versioned else t.WorkspaceEdit({document.uri: [edit]})
        answer = await self.workspace_apply_edit_async(t.ApplyWorkspaceEditParams(edit=whole, label=label))
        return answer.applied


def stdin_reader(stdin: BinaryIO) -> asyncio.StreamReader:
    """What a thread reads as it comes."""
    reader, loop = asyncio.StreamReader(LONGEST), asyncio.get_running_loop()

    def read() -> None:
        try:
            while chunk := os.read(stdin.fileno(), 1 << 16):
                loop.call_soon_threadsafe(reader.feed_data, chunk)
            loop.call_soon_threadsafe(reader.feed_eof)
        except RuntimeError:  # the loop has ended
            pass

    threading.Thread(target=read, daemon=True).start()
    return reader


def did_open(ls: Server, params: t.DidOpenTextDocumentParams) -> None:
    given = params.text_document
    document = Document.opened(given.uri, given.language_id, given.version, given.text, ls.encoding)
    ls.completer.open(document)
    ls.check(document)


def did_change(ls: Server, params: t.DidChangeTextDocumentParams) -> None:
    document = ls.completer.documents.get(params.text_document.uri)
    if document is None:
        log.warning("an edit of %s, which is not open", params.text_document.uri)
        return
    try:
        document.change(params.content_changes, params.text_document.version)
    except OutOfStep as error:
        ls.tell(t.MessageType.Warning, f"dgemma: no completions here: {error}")
    ls.completer.edited(document.uri)
    ls.check(document)
