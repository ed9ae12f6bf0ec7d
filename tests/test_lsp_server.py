"""The protocol, spoken with a real server process whose engine is one of `lsp_engines`."""

import asyncio
import json
import os
import random
import socket
import subprocess
import time

import pytest

pytest.importorskip("pygls", reason="the [lsp] extra is not installed")
pytest.importorskip("pytest_lsp", reason="pytest-lsp is not installed")

from lsp_session import URI, capabilities, command, environment, session
from lsprotocol import types as t
from pygls.exceptions import JsonRpcException


def speaking(test):
    """Run an asynchronous test."""

    def run(**fixtures):
        asyncio.run(asyncio.wait_for(test(**fixtures), 60))

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    run.__signature__ = __import__("inspect").signature(test)
    return run


@speaking
async def test_a_client_with_inline_completion_gets_that_and_no_menu():
    async with session() as s:
        assert s.initialized.capabilities.completion_provider is None
        s.open("x = \n")
        (item,) = (await s.inline(0, 4)).items
        assert item.insert_text == "suggested(1, 2)"
        assert item.range == t.Range(t.Position(0, 4), t.Position(0, 4))


@speaking
async def test_a_client_without_it_gets_the_menu_only():
    async with session(client_can=capabilities(inline=False)) as s:
        assert s.initialized.capabilities.inline_completion_provider is None
        s.open("x = ab\n")
        (item,) = await s.menu(0, 6)
        assert item.text_edit == t.TextEdit(t.Range(t.Position(0, 4), t.Position(0, 6)), "absuggested(1, 2)")
        assert item.filter_text.startswith("ab")


@pytest.mark.parametrize("encoding, column", [("utf-8", 10), ("utf-16", 7), ("utf-32", 6)])
def test_positions_are_in_the_clients_encoding(encoding, column):
    async def run():
        async with session(client_can=capabilities(encodings=[encoding])) as s:
            assert s.initialized.capabilities.position_encoding == encoding
            s.open("é𝄞x = \n")  # 2 + 4, 1 + 2 or 1 + 1 units, and four
            (item,) = (await s.inline(0, column)).items
            assert item.range.start == item.range.end == t.Position(0, column)
            s.change((0, column - 4), (0, column), "y", 2)
            assert await s.run("text", URI) == "é𝄞y\n"

    asyncio.run(run())


@speaking
async def test_nothing_is_suggested_until_the_model_is_there():
    async with session("loading", ready=False) as s:
        s.open("x = \n")
        began = time.monotonic()
        assert await s.texts(0, 4) == []
        assert time.monotonic() - began < 1


@speaking
async def test_a_model_that_cannot_be_loaded_is_told_once():
    async with session(options={"model": "missing"}, ready=False) as s:
        await s.until(lambda: s.client.messages)
        s.open("x = \n")
        assert await s.texts(0, 4) == []
        (message,) = s.client.messages
        assert message.message == (
            "dgemma: the model 'missing' cannot be loaded: ValueError: there is no such model; set dgemma.model"
        )
        await s.run("switchModel", "other")
        await s.until_ready()
        assert await s.texts(0, 4) == ["suggested(1, 2)"]


@speaking
async def test_a_request_that_is_cancelled_is_answered_at_once_and_stops_the_engine(tmp_path):
    async with session("slow", STEPS_TO=str(tmp_path / "steps")) as s:
        s.open("x = \n")
        pending = s.client.protocol.send_request(
            t.TEXT_DOCUMENT_INLINE_COMPLETION,
            t.InlineCompletionParams(
                t.InlineCompletionContext(t.InlineCompletionTriggerKind.Invoked),
                t.TextDocumentIdentifier(URI),
                t.Position(0, 4),
            ),
            msg_id="mine",
        )
        await s.until((tmp_path / "steps.began").exists)
        answer = asyncio.wrap_future(pending)
        began = time.monotonic()
        s.client.protocol.notify(t.CANCEL_REQUEST, t.CancelParams("mine"))
        with pytest.raises(JsonRpcException) as caught:
            await answer
        assert caught.value.code == -32800
        assert time.monotonic() - began < 0.5
        await s.until((tmp_path / "steps").exists)
        assert int((tmp_path / "steps").read_text()) < 60
        assert (await s.counts())["cancelled"] == 1


@speaking
async def test_the_latest_request_of_a_document_wins(tmp_path):
    async with session("slow", STEPS_TO=str(tmp_path / "steps")) as s:
        s.open("x = \n")
        first = asyncio.ensure_future(s.texts(0, 4))
        await s.until((tmp_path / "steps.began").exists)
        second = asyncio.ensure_future(s.texts(0, 4))
        assert await first == []
        assert await second == ["late"]
        assert (await s.counts())["superseded"] == 1
        stopped, whole = map(int, (tmp_path / "steps").read_text().split())
        assert stopped < whole == 100


@speaking
async def test_an_answer_for_a_text_that_was_edited_meanwhile_is_dropped(tmp_path):
    async with session("slow", STEPS_TO=str(tmp_path / "steps")) as s:
        s.open("x = \n")
        first = asyncio.ensure_future(s.texts(0, 4))
        await s.until_statistics(lambda n: n["counts"].get("asked") == 1)
        s.change((0, 4), (0, 4), "l", 2)
        assert await first == []
        assert (await s.counts())["stale"] == 1
        assert await s.texts(0, 5) == ["late"]  # but what was typed is how it begins
        assert (await s.counts())["asked"] == 1


@speaking
async def test_a_rename_in_the_middle_of_a_request_ends_it(tmp_path):
    async with session("slow", STEPS_TO=str(tmp_path / "steps")) as s:
        s.open("x = \n")
        first = asyncio.ensure_future(s.texts(0, 4))
        await s.until_statistics(lambda n: n["counts"].get("asked") == 1)
        s.client.text_document_did_close(t.DidCloseTextDocumentParams(t.TextDocumentIdentifier(URI)))
        s.open("x = \n", uri="file:///other.py")
        assert await first == []
        assert await s.texts(0, 4, uri="file:///other.py") == ["late"]


@speaking
async def test_typing_what_was_suggested_asks_no_model():
    async with session() as s:
        s.open("x = \n")
        assert await s.texts(0, 4, invoked=False) == ["suggested(1, 2)"]
        for n, c in enumerate("suggested"):
            s.change((0, 4 + n), (0, 4 + n), c, 2 + n)
            (item,) = (await s.inline(0, 5 + n, invoked=False)).items
            assert item.insert_text == "suggested(1, 2)" and item.range.start.character == 4
        assert (await s.counts())["asked"] == 1
        s.change((0, 13), (0, 13), "(1, 2)", 20)
        await s.texts(0, 19)
        assert (await s.counts())["accepted"] == 1


@speaking
async def test_typing_goes_before_suggesting():
    async with session(options={"debounceLeast": 300}) as s:
        s.open("x = \n")
        s.change((0, 4), (0, 4), "a", 2)
        waiting = asyncio.ensure_future(s.texts(0, 5, invoked=False))
        await asyncio.sleep(0.05)
        s.change((0, 5), (0, 5), "b", 3)
        assert await waiting == []
        assert "asked" not in await s.counts()


@speaking
async def test_what_is_turned_down_twice_is_not_shown_again_but_by_hand():
    async with session(options={"debounceLeast": 0}) as s:
        s.open("x = \n")
        for n in range(2):
            assert await s.texts(0, 4, invoked=False) == ["suggested(1, 2)"]
            s.change((0, 4), (0, 4), "q", 2 + 2 * n)
            await s.texts(0, 5, invoked=False)
            s.change((0, 4), (0, 5), "", 3 + 2 * n)
            s.client.text_document_did_close(t.DidCloseTextDocumentParams(t.TextDocumentIdentifier(URI)))
            s.open("x = \n", version=3 + 2 * n)
        assert await s.texts(0, 4, invoked=False) == []
        assert await s.texts(0, 4) == ["suggested(1, 2)"]
        assert (await s.counts())["rejected"] >= 2


@speaking
async def test_a_block_is_written_where_one_is_wanted():
    async with session() as s:
        s.open("def f():\n    \nx = \n")
        assert await s.texts(1, 4) == ["suggested(1, 2)\n    and_more()"]
        assert await s.texts(2, 4) == ["suggested(1, 2)"]


@speaking
async def test_in_comments_and_strings_nothing_is_suggested_where_that_is_switched_off_but_by_hand():
    pytest.importorskip("tree_sitter_python")
    async with session(options={"debounceLeast": 0, "debounceMost": 0, "inComments": False}) as s:
        s.open("x = 1  # no\ny = 'te'\n")
        assert await s.texts(0, 11, invoked=False) == []
        assert await s.texts(0, 11) == ["suggested(1, 2)"]
        assert await s.texts(1, 7, invoked=False) == ["suggested(1, 2)"]
        s.change((0, 7), (0, 9), "", 2)  # it is one no longer
        assert await s.texts(0, 9, invoked=False) == ["suggested(1, 2)"]
        s.client.workspace_did_change_configuration(t.DidChangeConfigurationParams({"dgemma": {"inStrings": False}}))
        s.change((1, 6), (1, 6), "x", 3)
        assert await s.texts(1, 7, invoked=False) == []


@speaking
async def test_in_a_docstring_a_line_is_written():
    pytest.importorskip("tree_sitter_python")
    async with session() as s:
        s.open('def f():\n    """It\n    \n    """\n')
        assert await s.texts(2, 4) == ["suggested(1, 2)"]


@speaking
async def test_progress_is_reported_to_who_asked_for_it(tmp_path):
    async with session("slow", STEPS_TO=str(tmp_path / "steps")) as s:
        s.client.progress_reports["mine"] = []
        s.open("x = \n")
        assert await s.texts(0, 4, token="mine") == ["late"]
        begin, *steps, end = s.client.progress_reports["mine"]
        assert (begin.kind, end.kind) == ("begin", "end")
        assert steps[0].message == "1 of 100" and steps[-1].percentage == 100


@speaking
async def test_long_work_that_is_cancelled_at_its_progress_ends(tmp_path):
    async with session("slow", client_can=capabilities(progress=True), STEPS_TO=str(tmp_path / "steps")) as s:
        s.open("a = TODO\nb = TODO\n")
        filling = asyncio.ensure_future(s.run("fillTodos", URI))
        await s.until((tmp_path / "steps.began").exists)
        (token,) = s.client.progress_reports
        s.client.window_work_done_progress_cancel(t.WorkDoneProgressCancelParams(token))
        with pytest.raises(JsonRpcException) as caught:
            await filling
        assert caught.value.code == -32800
        assert s.edits == [] and s.client.progress_reports[token][-1].kind == "end"
        await s.until((tmp_path / "steps").exists)
        assert int((tmp_path / "steps").read_text()) < 100


@speaking
async def test_settings_come_by_initialization_options_pull_and_notification():
    async with session(options={"enabled": False}) as s:
        s.open("x = \n")
        assert await s.texts(0, 4) == []
        s.client.workspace_did_change_configuration(t.DidChangeConfigurationParams({"dgemma": {"enabled": True}}))
        assert await s.texts(0, 4) == ["suggested(1, 2)"]
    async with session(client_can=capabilities(pull=True), configuration={"disabledLanguages": ["python"]}) as s:
        (registered,) = s.registered
        assert not registered.register_options  # with a section VS Code would push it, unfiltered by its client
        s.open("x = \n")
        assert await s.texts(0, 4) == []
        s.client.set_configuration({"dgemma": {}})
        s.client.workspace_did_change_configuration(t.DidChangeConfigurationParams(None))
        await s.run("statistics")
        await asyncio.sleep(0.1)
        assert await s.texts(0, 4) == ["suggested(1, 2)"]


@speaking
async def test_a_setting_that_is_wrong_is_told_once():
    async with session(options={"colour": "red", "largest": "big"}) as s:
        for _ in range(2):
            s.client.workspace_did_change_configuration(t.DidChangeConfigurationParams({"dgemma": {"colour": "red"}}))
        await s.run("statistics")
        told = sorted(m.message for m in s.client.messages)
        assert told[0].startswith("dgemma.colour is not known")
        assert told[1] == "dgemma.largest is 'big', but a whole number from 0 up is needed"
        assert len(told) == 2


@speaking
async def test_commands_write_into_the_document():
    async with session(client_can=capabilities(progress=True)) as s:
        s.open("a = \nb = (1 + 2)\nc = TODO\n# TODO: print it\n")
        assert await s.run("complete", URI, t.Position(0, 4)) == "suggested(1, 2)"
        assert (
            await s.run("fillSelection", URI, t.Range(t.Position(1, 4), t.Position(1, 11))) == "filled\n    and_more()"
        )
        assert await s.run("fillTodos", URI) is True
        complete, selection, todos = [e.document_changes[0].edits[0] for e in s.edits]
        assert complete.range == t.Range(t.Position(0, 4), t.Position(0, 4))
        assert selection.range == t.Range(t.Position(1, 4), t.Position(1, 11))
        filled = "filled\n    and_more()"
        assert todos.new_text == f"a = \nb = (1 + 2)\nc = {filled}\n{filled}\n"
        assert [reports[0].title for reports in s.client.progress_reports.values()] == [
            "dgemma: completing",
            "dgemma: filling the selection",
            "dgemma: filling TODOs",
        ]
        with pytest.raises(JsonRpcException, match="is not open"):
            await s.run("fillTodos", "file:///nowhere")
        with pytest.raises(JsonRpcException):
            await s.run("complete", URI)


@speaking
async def test_a_worker_that_dies_is_replaced_while_one_goes_on():
    async with session() as s:
        s.open("die \nx = ")
        assert await s.texts(0, 4) == []
        await s.until_ready()
        assert await s.texts(1, 4) == ["suggested(1, 2)"]
        assert s.client.messages == []


@speaking
async def test_several_documents_are_served_at_once():
    async with session() as s:
        uris = [f"untitled:{n}" for n in range(8)]
        for uri in uris:
            s.open("x = \n", uri=uri)
        assert await asyncio.gather(*(s.texts(0, 4, uri=u) for u in uris)) == [["suggested(1, 2)"]] * 8


@speaking
async def test_what_a_client_gets_wrong_is_survived():
    async with session() as s:
        s.open("x = \n")
        assert await s.texts(99, 99) == ["suggested(1, 2)\n    and_more()"]
        with pytest.raises(JsonRpcException, match="is not open"):
            await s.texts(0, 0, uri="file:///nowhere")
        s.change((0, 0), (0, 1), "", 5, uri="file:///nowhere")
        s.change((7, 7), (0, 2), "", 2)
        assert await s.run("text", URI) == "x "
        s.change((0, 0), (0, 0), "no", 1)
        assert await s.texts(0, 2) == []  # out of step
        assert [m.message for m in s.client.messages] == [
            f"dgemma: no completions here: version 1 of {URI} came after 2; reopen the document"
        ]
        s.open("x = ", version=9)
        assert await s.texts(0, 4) == ["suggested(1, 2)"]


@speaking
async def test_a_document_that_is_too_large_is_left_alone():
    async with session() as s:
        s.open("x" * 50_000_000)
        s.change((0, 5), (0, 6), "y", 2)
        assert await s.texts(0, 6) == []
        assert (await s.run("statistics"))["documents"][URI]["bytes"] == 50_000_000


@speaking
async def test_the_text_is_in_step_after_two_thousand_edits():
    from test_lsp_documents import PIECES, Naive

    rng = random.Random(7)
    pieces = [p for p in PIECES if p != "\ud800"]
    async with session(options={"debounceLeast": 0}) as s:
        s.open("")
        naive = Naive("", "utf-16")
        for version in range(2, 2002):
            lines = naive.text.count("\n") + 1
            where = sorted((rng.randrange(lines), rng.randrange(12)) for _ in range(2))
            new = "".join(rng.choices(pieces, k=rng.randrange(5)))
            s.change(*where, new, version)
            naive.change(t.Range(*(t.Position(*p) for p in where)), new)
        assert await s.run("text", URI) == naive.text


@pytest.mark.parametrize("editor", ["visual_studio_code", "neovim", "emacs"])
def test_real_editors_announce_what_is_understood(editor):
    """With what they sent when pytest-lsp recorded it."""
    from pytest_lsp import client_capabilities

    async def run():
        said = client_capabilities(editor)
        async with session(client_can=said) as s:
            s.open("x = \n")
            if said.text_document.inline_completion:
                assert await s.texts(0, 4) == ["suggested(1, 2)"]
            else:
                assert [i.text_edit.new_text for i in await s.menu(0, 4)] == ["suggested(1, 2)"]
            assert s.client.messages == []

    asyncio.run(run())


@speaking
async def test_what_is_wrong_with_a_grammar_or_a_schema_is_shown_where_it_is(tmp_path):
    async with session(options={"debounceMost": 10}) as s:
        uri = (tmp_path / "g.lark").as_uri()
        s.open('// 𝄞\nstart: "𝄞" other\n', uri=uri, language="lark")
        await s.until(lambda: s.client.diagnostics.get(uri))
        (problem,) = s.client.diagnostics[uri]
        assert "'other' used but not defined" in problem.message and problem.severity == t.DiagnosticSeverity.Error
        assert problem.range.start.line == 1
        s.change((1, 12), (1, 17), "", 2, uri=uri)
        await s.until(lambda: not s.client.diagnostics[uri])
        uri = (tmp_path / "a.schema.json").as_uri()
        s.open('{\n  "𝄞": 1, "type": "strin"}\n', uri=uri, language="json")
        await s.until(lambda: s.client.diagnostics.get(uri))
        (problem,) = s.client.diagnostics[uri]
        assert problem.range == t.Range(t.Position(1, 11), t.Position(1, 17))


@speaking
async def test_json_is_completed_by_the_schema_it_names_with_the_real_engine(tmp_path):
    schema = {
        "type": "object",
        "properties": {"age": {"type": "integer"}},
        "required": ["age"],
        "additionalProperties": False,
    }
    (tmp_path / "s.json").write_text(json.dumps(schema))
    uri = (tmp_path / "x.json").as_uri()
    async with session("dgemma_lsp.engine:load") as s:
        source = '{"$schema": "s.json", }\n'
        s.open(source, uri=uri, language="json")
        texts = []
        while not texts:  # the first may take longer than it has, where kernels are compiled
            texts = await s.texts(0, 22, uri=uri)
        value = json.loads(source[:22] + texts[0] + source[22:])
        assert list(value) == ["$schema", "age"] and isinstance(value["age"], int)
        written = json.loads(await s.run("generateJson", uri))
        assert written.keys() == {"$schema", "age"} and written["$schema"] == "s.json"


def talk(*messages, **environment_variables):
    """What a server answers to bytes, and its exit code when its stdin ends."""
    process = subprocess.run(
        command("prompt"), input=b"".join(messages), capture_output=True, timeout=30, env=environment()
    )
    answers = [json.loads(part.split(b"\r\n\r\n", 1)[1]) for part in process.stdout.split(b"Content-Length")[1:]]
    return answers, process


def framed(message):
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    return b"Content-Length: %d\r\n\r\n%s" % (len(body), body)


INITIALIZE = framed({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"capabilities": {}}})


def test_what_is_no_json_and_what_is_no_request_is_answered_by_the_protocols_errors():
    answers, process = talk(
        INITIALIZE,
        framed(b"{ this is no json"),
        framed({"jsonrpc": "2.0", "id": 2, "method": "textDocument/completion", "params": {"position": "here"}}),
        framed({"jsonrpc": "2.0", "id": 3, "method": "no/suchMethod", "params": {}}),
        framed({"jsonrpc": "2.0", "method": "no/suchNotification"}),
        framed(b'{"jsonrpc": "2.0", "id": 7, "method": "\xff"}'),
        framed(b"[" * 100_000),
        framed({"id": 5, "method": "shutdown"}),
        framed([1, 2]),
        framed(
            {
                "jsonrpc": "2.0",
                "id": 4,
                "method": "workspace/executeCommand",
                "params": {"command": "dgemma.statistics"},
            }
        ),
    )
    by_id = {a.get("id"): a for a in answers if "method" not in a}
    assert [a["error"]["code"] for a in answers if "id" in a and a["id"] is None] == [-32700] * 3 + [-32600]
    assert by_id[5]["error"]["code"] == -32600
    assert by_id[2]["error"]["code"] == -32602
    assert by_id[3]["error"]["code"] == -32601
    assert by_id[4]["result"]["documents"] == {}


def test_it_listens_on_a_port_and_ends_with_its_client():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(command("prompt", "--tcp", str(port)), env=environment(), stderr=subprocess.DEVNULL)
    end = time.monotonic() + 20
    while True:
        try:
            client = socket.create_connection(("127.0.0.1", port))
            break
        except ConnectionRefusedError:
            assert time.monotonic() < end
            time.sleep(0.05)
    with client, client.makefile("rb") as answers:
        client.sendall(INITIALIZE)
        size = int(answers.readline().split()[1])
        while answers.readline().strip():
            pass
        assert json.loads(answers.read(size))["result"]["serverInfo"]["name"] == "dgemma-lsp"
    server.wait(20)


def test_a_client_that_closes_the_pipe_leaves_nothing_behind():
    ask = {"jsonrpc": "2.0", "id": 2, "method": "workspace/executeCommand", "params": {"command": "dgemma.statistics"}}
    server = subprocess.Popen(
        command("loading"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment()
    )
    server.stdin.write(INITIALIZE + framed({"jsonrpc": "2.0", "method": "initialized", "params": {}}))
    worker = None
    while not worker:
        server.stdin.write(framed(ask))
        server.stdin.flush()
        size = 0
        while header := server.stdout.readline().strip():
            size = int(header.split()[1]) if header.startswith(b"Content-Length") else size
        worker = (json.loads(server.stdout.read(size)).get("result") or {}).get("worker")
    server.stdin.close()
    server.wait(20)
    end = time.monotonic() + 20
    while (
        os.path.exists(f"/proc/{worker}")
        and "Z" not in open(f"/proc/{worker}/stat").read().rsplit(")", 1)[1].split()[0]
    ):
        assert time.monotonic() < end, "an orphan"
        time.sleep(0.05)


@pytest.mark.slow
def test_it_ends_when_its_client_is_gone_even_if_somebody_else_keeps_its_stdin_open():
    reading, writing = os.pipe()
    client = subprocess.Popen(["sleep", "60"])
    server = subprocess.Popen(
        command("prompt"), stdin=reading, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment()
    )
    hello = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"processId": client.pid, "capabilities": {}}}
    os.write(writing, framed(hello) + framed({"jsonrpc": "2.0", "method": "initialized", "params": {}}))
    server.stdout.readline()
    client.kill()
    client.wait()
    server.wait(30)
    os.close(writing)
    os.close(reading)
