"""The nearest thing that left-to-right engines do, measured with the same vocabulary and texts.

They answer "which tokens may come next" for one position, given everything before it. So the work that compares with a
canvas of L tokens is L masks along a text, and each mask applied to its row of the logits. They are told the text; a
denoiser does not know it, so this is a bound on their side, and none of them could use what follows a position.

Each engine lives in a process of its own, which is ended where a call takes longer than TIMEOUT.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import statistics
import time
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Callable

import torch

from benchmarks.cases import Case
from dgemma_constrain.tokens import Vocabulary

TIMEOUT = 15.0  # seconds


class LLGuidance:
    """https://github.com/guidance-ai/llguidance; with the slices it offers for JSON where the case is a schema."""

    def __init__(self, vocabulary: Vocabulary):
        import llguidance
        import llguidance.torch

        class Tokens:
            eos_token_id, bos_token_id = vocabulary.eos_id, None
            tokens = _tokens(vocabulary)
            special_token_ids = vocabulary.special.nonzero()[0].tolist()

            def __call__(self, text: str | bytes) -> list[int]:
                return vocabulary.encode(text.decode() if isinstance(text, bytes) else text)

        self.matcher_type = llguidance.LLMatcher
        plain = llguidance.LLTokenizer(llguidance.TokenizerWrapper(Tokens()), n_vocab=len(vocabulary))
        self.tokenizers = {"regex": plain, "schema": plain.with_slices(llguidance.LLTokenizer.json_slices())}
        self.fill_row = llguidance.torch.fill_next_token_bitmask

    def compile(self, case: Case) -> None:
        read = {"regex": self.matcher_type.grammar_from_regex, "schema": self.matcher_type.grammar_from_json_schema}
        self.matcher = self.matcher_type(self.tokenizers[case.kind], read[case.kind](case.source))
        if self.matcher.is_error():
            raise ValueError(self.matcher.get_error())

    def start(self) -> None:
        self.matcher.reset()

    def fill(self, bits: torch.Tensor, row: int) -> None:
        self.fill_row(self.matcher, bits, row)

    def advance(self, token: int) -> bool:
        return self.matcher.consume_token(token)


class XGrammar:
    """https://github.com/mlc-ai/xgrammar; its cache off, so that each compile is one."""

    def __init__(self, vocabulary: Vocabulary):
        import xgrammar

        info = xgrammar.TokenizerInfo(
            _tokens(vocabulary),
            xgrammar.VocabType.RAW,
            vocab_size=len(vocabulary),
            stop_token_ids=list(vocabulary.eos_ids),
        )
        self.compiler = xgrammar.GrammarCompiler(info, max_threads=torch.get_num_threads(), cache_enabled=False)
        self.matcher_type = xgrammar.GrammarMatcher

    def compile(self, case: Case) -> int:
        if case.kind == "regex":
            compiled = self.compiler.compile_regex(case.source)
        else:
            compiled = self.compiler.compile_json_schema(json.dumps(case.source))
        self.matcher = self.matcher_type(compiled)
        return compiled.memory_size_bytes

    def start(self) -> None:
        self.matcher.reset()

    def fill(self, bits: torch.Tensor, row: int) -> None:
        self.matcher.fill_next_token_bitmask(bits, row)

    def advance(self, token: int) -> bool:
        return self.matcher.accept_token(token)


class OutlinesCore:
    """https://github.com/dottxt-ai/outlines-core; a schema goes through its own translation to a regex."""

    def __init__(self, vocabulary: Vocabulary):
        import outlines_core

        ids: dict[bytes, list[int]] = {}
        for i, token in enumerate(_tokens(vocabulary)):
            if token:
                ids.setdefault(token, []).append(i)
        self.vocabulary = outlines_core.Vocabulary(vocabulary.eos_id, ids)
        self.core = outlines_core

    def compile(self, case: Case) -> None:
        pattern = case.source
        if case.kind == "schema":
            pattern = self.core.json_schema.build_regex_from_schema(json.dumps(case.source))
        self.guide = self.core.Guide(self.core.Index(pattern, self.vocabulary))

    def start(self) -> None:
        self.guide.reset()

    def fill(self, bits: torch.Tensor, row: int) -> None:
        line = bits[row]
        self.guide.write_mask_into(line.data_ptr(), line.numel(), 4)

    def advance(self, token: int) -> bool:
        self.guide.advance(token, return_tokens=False)
        return True


ENGINES = {"llguidance": LLGuidance, "xgrammar": XGrammar, "outlines-core": OutlinesCore}


def _tokens(vocabulary: Vocabulary) -> list[bytes]:
    return [vocabulary.token_bytes(i) or b"" for i in range(len(vocabulary))]


def installed() -> dict[str, str]:
    """The engines that can be imported, and their versions."""
    found = {}
    for name in ENGINES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            pass
    return found


class Peer:
    """One engine in its own process, begun at once; `wait` until it is ready, `close` when done."""

    def __init__(self, name: str, vocabulary: Vocabulary, longest: int):
        self.arguments = name, vocabulary, longest
        self._begin()

    def measure(self, case: Case, ids: list[int], lengths: list[int], repeat: int) -> dict[str, Any]:
        """{"compile_ms", "memory_bytes", "steps"}, and "error" with the reason where it got no further."""
        found: dict[str, Any] = {"steps": []}
        try:
            found |= self._ask("compile", case, repeat)
            for length in lengths:
                found["steps"].append({"length": length, **self._ask("masks", ids, length, repeat)})
        except (RuntimeError, TimeoutError) as error:
            found["error"] = str(error)[:300]
        return found

    def _ask(self, what: str, *arguments: Any) -> dict[str, Any]:
        self.wait()
        self.connection.send((what, *arguments))
        while True:  # the other side reports each repetition, so that the limit holds for one of them
            if not self.connection.poll(TIMEOUT):
                self._again()
                raise TimeoutError(f"{what}: no answer in {TIMEOUT:g} s")
            try:
                kind, answer = self.connection.recv()
            except EOFError:
                self._again()
                raise RuntimeError(f"{what}: its process died") from None
            if kind == "error":
                raise RuntimeError(f"{what}: {answer}")
            if kind == "answer":
                return answer

    def _begin(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, other = context.Pipe()
        self.process = context.Process(target=_serve, args=(other, *self.arguments), daemon=True)
        self.process.start()
        other.close()
        self.ready = False

    def wait(self) -> None:
        if not self.ready:
            self.connection.recv()
            self.ready = True

    def close(self) -> None:
        self.connection.close()  # tells it to end
        self.process.join(5)
        self._kill()

    def _kill(self) -> None:
        self.process.kill()
        self.process.join()

    def _again(self) -> None:
        self._kill()
        self._begin()
        self.wait()  # not while others are measured


def _serve(connection, name: str, vocabulary: Vocabulary, longest: int) -> None:
    os.environ["TORCHINDUCTOR_COMPILE_THREADS"] = "1"  # no processes of its own that would outlive this one
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    try:
        engine = ENGINES[name](vocabulary)
    except Exception as error:  # then that is the answer to everything
        engine = error
    logits = torch.randn(longest, len(vocabulary)) * 3
    scratch = torch.empty_like(logits)
    kernels = _kernels(scratch)
    connection.send(("ready", None))
    while True:
        try:
            what, *arguments = connection.recv()
        except EOFError:
            return
        try:
            if isinstance(engine, Exception):
                raise engine
            if what == "compile":
                answer = _compile(engine, connection, *arguments)
            else:
                answer = _masks(engine, kernels, connection, vocabulary, logits, scratch, *arguments)
            connection.send(("answer", answer))
        except Exception as error:  # whatever an engine raises is its answer
            connection.send(("error", f"{type(error).__name__}: {error}"))


def _kernels(scratch: torch.Tensor) -> list[Callable[[torch.Tensor, torch.Tensor], None]]:
    """What the engines offer to apply a bit mask to logits on a CPU, whichever of them is installed.

    The bits mean the same in all three. xgrammar's is C++ and quick where much is allowed; llguidance's is compiled by
    torch, at a constant pace. outlines-core's is slower than both.
    """
    kernels: list[Callable] = []
    try:
        from xgrammar import apply_token_bitmask_inplace

        kernels.append(apply_token_bitmask_inplace)
    except ImportError:
        pass
    if not kernels or scratch.shape[1] > 2**16:  # for a few ids it isn't worth compiling
        try:
            from llguidance.torch import apply_token_bitmask_inplace as compiled

            compiled(scratch[:2], torch.zeros(2, -(-scratch.shape[1] // 32), dtype=torch.int32))  # compiles it now
            kernels.append(compiled)
        except Exception:  # not installed, or no C++ compiler
            pass
    if not kernels:
        from outlines_core.kernels.torch import apply_token_bitmask_inplace

        kernels.append(apply_token_bitmask_inplace)
    return kernels


def _compile(engine, connection, case: Case, repeat: int) -> dict[str, Any]:
    times: list[float] = []
    while len(times) < repeat and sum(times) < TIMEOUT / 3:
        began = time.perf_counter()
        memory = engine.compile(case)
        times.append(time.perf_counter() - began)
        connection.send(("alive", None))
    return {"compile_ms": 1e3 * statistics.median(times), "memory_bytes": memory}


def _masks(engine, kernels, connection, vocabulary, logits, scratch, ids: list[int], length: int, repeat: int):
    """Masks along the text, begun again at its end; then each applied to its row, by the fastest kernel there is."""
    bits = torch.full((length, -(-len(vocabulary) // 32)), -1, dtype=torch.int32)
    masks: list[float] = []
    applied: list[list[float]] = [[] for _ in kernels]
    while len(masks) < repeat and sum(masks) < TIMEOUT / 3:
        began = time.perf_counter()
        walk(engine, bits, vocabulary, ids)
        masks.append(time.perf_counter() - began)
        for kernel, times in zip(kernels, applied):
            scratch[:length] = logits[:length]
            began = time.perf_counter()
            kernel(scratch[:length], bits)
            times.append(time.perf_counter() - began)
        connection.send(("alive", None))
    median = statistics.median
    return {
        "masks_ms": 1e3 * median(masks),
        "first_masks_ms": 1e3 * masks[0],
        "apply_ms": 1e3 * min(median(times) for times in applied),
    }


def walk(engine, bits: torch.Tensor, vocabulary: Vocabulary, ids: list[int]) -> None:
    engine.start()
    at = 0
    for row in range(len(bits)):
        engine.fill(bits, row)
        if at == len(ids):
            engine.start()
            at = 0
            continue
        if not engine.advance(ids[at]):
            raise ValueError(
                f"refuses token {at} of {vocabulary.decode(ids)!r}: {vocabulary.decode(ids[at : at + 1])!r}"
            )
        at += 1
