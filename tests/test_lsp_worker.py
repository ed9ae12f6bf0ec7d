"""The worker process: answers, cancels, dies, is started again, ends with its parent."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("lsprotocol", reason="the [lsp] extra is not installed")

from dgemma_lsp.worker import RESTARTS, Worker

HERE = Path(__file__).parent
REQUEST = {"do": "complete", "source": "x = ", "start": 4, "end": 4, "block": False}


@pytest.fixture(autouse=True)
def engines_can_be_imported(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])]))


def with_worker(engine, what, model="m"):
    """Run `what(worker, happened)` beside a worker; `happened` collects its changes."""

    async def run():
        happened = []
        worker = Worker(f"lsp_engines:{engine}", lambda *change: happened.append(change))
        await worker.start(model)
        try:
            return await what(worker, happened)
        finally:
            await worker.stop()

    return asyncio.run(run())


async def until(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        await asyncio.sleep(0.01)


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"


def test_it_answers_when_its_model_is_there_and_nothing_before():
    async def what(worker, happened):
        assert await worker.ask(REQUEST, 5) is None
        await until(lambda: worker.ready)
        assert happened == [("ready", "m")]
        assert await worker.ask(REQUEST, 5) == [{"text": "suggested(1, 2)", "start": 4, "end": 4, "score": -1.0}]

    with_worker("prompt", what)


def test_a_model_that_cannot_be_had_is_told_and_not_tried_again():
    async def what(worker, happened):
        await until(lambda: happened)
        await asyncio.sleep(0.1)
        assert happened == [("failed", "ValueError: there is no such model")]

    with_worker("prompt", what, "missing")


def test_an_engine_that_fails_gives_nothing_and_goes_on():
    async def what(worker, happened):
        await until(lambda: worker.ready)
        assert await worker.ask(REQUEST, 5) is None
        assert await worker.ask(REQUEST, 5) is None
        assert len(happened) == 1

    with_worker("prompt", what, "broken")


def test_what_is_cancelled_stops_at_the_next_step(tmp_path, monkeypatch):
    monkeypatch.setenv("STEPS_TO", str(tmp_path / "steps"))

    async def what(worker, happened):
        await until(lambda: worker.ready)
        steps = []
        task = asyncio.create_task(worker.ask(REQUEST, 5, lambda *step: steps.append(step)))
        await until(lambda: len(steps) > 3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until((tmp_path / "steps").exists)
        assert await worker.ask(REQUEST, 0.2) is None  # too late: cancelled, too
        await until(lambda: not worker._waiting)
        assert all(int(line) < 90 for line in (tmp_path / "steps").read_text().split())

    with_worker("slow", what)


def test_it_is_started_again_when_it_dies_but_not_for_ever():
    async def what(worker, happened):
        for _ in range(RESTARTS + 1):
            await until(lambda: worker.ready)
            assert await worker.ask({**REQUEST, "source": "die ", "start": 4}, 20) is None
            worker.ready = False
        await until(lambda: happened[-1][0] == "given up")
        assert [h[0] for h in happened].count("died") == RESTARTS

    with_worker("prompt", what)


def test_it_ends_with_its_parent_even_if_that_is_killed():
    program = (
        "import asyncio\nfrom dgemma_lsp.worker import Worker\n"
        "async def run():\n"
        "    worker = Worker('lsp_engines:loading', print)\n"
        "    await worker.start('m')\n"
        "    while worker.pid is None: await asyncio.sleep(0.01)\n"
        "    print(worker.pid, flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(run())"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    pid = int(parent.stdout.readline())
    assert alive(pid)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    end = time.monotonic() + 20
    while alive(pid):
        assert time.monotonic() < end, "an orphan"
        time.sleep(0.05)
