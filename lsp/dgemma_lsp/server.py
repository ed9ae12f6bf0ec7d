"""The protocol: what an editor may ask, and how it is answered. Start it as `dgemma-lsp`."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import re
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
from dgemma_lsp.suggestions import Suggestion
from dgemma_lsp.worker import ENGINE, LONGEST, Worker

log = logging.getLogger("dgemma_lsp")

CLIENT_SEEN_EVERY = 10.0  # seconds
TRIGGERS = [".", "(", "[", "{", ":", ",", "=", " ", '"', "'"]
WORD = re.compile(r"\w*$")


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


server = Server()


@server.feature(t.INITIALIZE)
def initialize(ls: Server, params: t.InitializeParams) -> None:
    """One way of completion for each client: the inline one where it has that, else the menu."""
    ls.given, wrong = updated(Settings(), params.initialization_options)
    for line in wrong:
        ls.tell(t.MessageType.Warning, line)
    documents = params.capabilities.text_document
    if documents and documents.inline_completion:
        ls.feature(t.TEXT_DOCUMENT_INLINE_COMPLETION, t.InlineCompletionOptions(work_done_progress=True))(
            inline_completion
        )
    else:
        options = t.CompletionOptions(trigger_characters=TRIGGERS, work_done_progress=True)
        ls.feature(t.TEXT_DOCUMENT_COMPLETION, options)(completion)


@server.feature(t.INITIALIZED)
async def initialized(ls: Server, params: t.InitializedParams) -> None:
    asyncio.ensure_future(_end_with(ls.process_id))
    workspace = ls.client_capabilities.workspace
    changes = workspace and workspace.did_change_configuration
    if changes and changes.dynamic_registration:
        # Who can be asked is asked, and tells here only that something changed: what it says then is what it was asked for.
        section = {} if workspace.configuration else {"section": "dgemma"}
        registration = t.Registration(str(uuid.uuid4()), t.WORKSPACE_DID_CHANGE_CONFIGURATION, section)
        await ls.client_register_capability_async(t.RegistrationParams([registration]))
    if not await ls.pull_configuration():
        await ls.use(ls.given)


@server.feature(t.WORKSPACE_DID_CHANGE_CONFIGURATION)
async def configuration_changed(ls: Server, params: t.DidChangeConfigurationParams) -> None:
    if params.settings or not await ls.pull_configuration():
        await ls.configure(params.settings)


@server.feature(t.SHUTDOWN)
async def shutdown(ls: Server, params: None) -> None:
    for uri in ls.completer.documents:
        ls.completer.stop(uri)
    await ls.completer.worker.stop()


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


async def suggestions(ls: Server, params: Any, invoked: bool) -> tuple[Document, list[Suggestion]]:
    document = ls.document(params.text_document.uri)
    cursor = document.offset(params.position)
    if params.work_done_token is None:
        return document, await ls.completer.complete(document.uri, cursor, invoked)
    async with ls.progress("writing", params.work_done_token) as report:
        return document, await ls.completer.complete(document.uri, cursor, invoked, report)


async def inline_completion(ls: Server, params: t.InlineCompletionParams) -> t.InlineCompletionList:
    invoked = params.context.trigger_kind == t.InlineCompletionTriggerKind.Invoked
    document, found = await suggestions(ls, params, invoked)
    return t.InlineCompletionList(
        [
            t.InlineCompletionItem(
                insert_text=s.text,
                range=ls.range(document, s.start, s.end),
                command=t.Command(title="accepted", command="dgemma.accepted", arguments=[document.uri]),
            )
            for s in found
        ]
    )


async def completion(ls: Server, params: t.CompletionParams) -> t.CompletionList:
    """Not complete: after the next key there may be something else."""
    invoked = params.context is None or params.context.trigger_kind == t.CompletionTriggerKind.Invoked
    document, found = await suggestions(ls, params, invoked)
    source = document.text
    items = []
    for number, s in enumerate(found):
        word = len(
            WORD.search(source, max(s.start - 100, 0), s.start).group()
        )  # editors filter by the word at the cursor
        start, text = s.start - word, source[s.start - word : s.start] + s.text
        items.append(
            t.CompletionItem(
                label=text.strip().split("\n")[0][:60],
                kind=t.CompletionItemKind.Snippet,
                detail="dgemma",
                documentation=text if "\n" in text else None,
                sort_text=f"{number:04}",
                filter_text=text,
                preselect=number == 0,
                insert_text_format=t.InsertTextFormat.PlainText,
                text_edit=t.TextEdit(ls.range(document, start, s.end), text),
                command=t.Command(title="accepted", command="dgemma.accepted", arguments=[document.uri]),
            )
        )
    return t.CompletionList(is_incomplete=True, items=items)


@server.command("dgemma.accepted")
def accepted(ls: Server, uri: str) -> None:
    """An editor says that a suggestion was taken."""
    ls.completer.memory.accepted(uri)


@server.command("dgemma.complete")
async def complete_here(ls: Server, uri: str, position: t.Position) -> str | None:
    """Write the best completion at a cursor."""
    document = ls.document(uri)
    async with ls.progress("dgemma: completing") as report:
        found = await ls.completer.complete(uri, document.offset(position), True, report)
    if not found or not await ls.put(document, found[0].start, found[0].end, found[0].text, "completion"):
        return None
    return found[0].text


@server.command("dgemma.fillSelection")
async def fill_selection(ls: Server, uri: str, where: t.Range) -> str | None:
    """Write something else in place of a selection."""
    document = ls.document(uri)
    start, end = sorted((document.offset(where.start), document.offset(where.end)))
    async with ls.progress("dgemma: filling the selection") as report:
        found = await ls.completer.fill(uri, start, end, "fill", report)
    if found is None or not await ls.put(document, found.start, found.end, found.text, "fill the selection"):
        return None
    return found.text


@server.command("dgemma.fillTodos")
async def fill_todos(ls: Server, uri: str) -> bool:
    """Write something in place of every TODO, in one edit."""
    document = ls.document(uri)
    async with ls.progress("dgemma: filling TODOs") as report:
        text = await ls.completer.fill_holes(uri, report)
    old = document.text
    return text is not None and text != old and await ls.put(document, 0, len(old), text, "fill all TODOs")


@server.command("dgemma.generateJson")
async def generate_json(ls: Server, uri: str) -> str | None:
    """Write a JSON text for the schema that this one names, in its place."""
    document = ls.document(uri)
    async with ls.progress("dgemma: writing JSON") as report:
        found = await ls.completer.fill(uri, 0, len(document.text), "json", report)
    if found is None or not await ls.put(document, found.start, found.end, found.text, "write JSON"):
        return None
    return found.text


@server.command("dgemma.switchModel")
async def switch_model(ls: Server, name: str) -> None:
    """Go on with another model (or the same, started anew)."""
    ls.told.clear()
    await ls.completer.worker.start(name)


@server.command("dgemma.statistics")
def statistics(ls: Server) -> dict[str, Any]:
    """What happened in this session, counted here and told nobody else; and what the server holds."""
    completer = ls.completer
    return {
        "counts": dict(completer.memory.counts),
        "model": completer.worker.model,
        "ready": completer.worker.ready,
        "encoding": ls.encoding,
        "worker": completer.worker.pid,
        "documents": {
            uri: {"version": d.version, "bytes": len(d), "in step": d.in_step} for uri, d in completer.documents.items()
        },
    }


@server.command("dgemma.text")
def text_of(ls: Server, uri: str) -> str:
    """What the server takes a document to be; for those who doubt it."""
    return ls.document(uri).text


async def _end_with(client: int | None) -> None:
    """End when the client is gone, even if somebody else keeps our stdin open."""
    if client is not None:
        while _runs(client):
            await asyncio.sleep(CLIENT_SEEN_EVERY)
        log.error("the client (%d) is gone", client)
        os._exit(1)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="dgemma-lsp", description="Completions of a diffusion language model for editors."
    )
    parser.add_argument(
        "--tcp", type=int, metavar="PORT", help="listen there, on this machine, instead of stdin and stdout"
    )
    parser.add_argument("--log", metavar="FILE", help="log to a file instead of stderr")
    parser.add_argument("--verbose", action="store_true", help="log what is done, not only what goes wrong")
    parser.add_argument("--engine", default=ENGINE, metavar="MODULE:FUNCTION", help="what writes, for tests")
    parser.add_argument("--version", action="version", version=__version__)
    options = parser.parse_args()
    logging.basicConfig(filename=options.log, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    log.setLevel(logging.INFO if options.verbose else logging.WARNING)
    server.completer.worker.engine = options.engine
    if options.tcp is None:
        server.start_io()
    else:
        server.start_tcp("127.0.0.1", options.tcp)


if __name__ == "__main__":
    main()
