"""Train a tiny checkpoint of the real DiffusionGemma class on the same examples. From the repository's root, after sources.py:

    python examples/train_embedded/train_diffusion_gemma.py --out /tmp/train --seconds 500 --workers 1

As the class is meant to be used: the prompt goes through the causal encoder, the canvas starts as random tokens, a share of which (the noise
level) is wrong, and half of the time the decoder is told what it said before (self-conditioning). With `--workers 0` and `--shards` it takes
what another run's workers leave.
"""

import itertools
import math
import os
import sys
import time
from collections import deque
from pathlib import Path

import numpy as np
import torch
import transformers
from safetensors.torch import load_file
from torch.nn import functional as F

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]

from muon import Optimizer  # noqa: E402
from packing import ANSWER, PROMPT  # noqa: E402
from train import WARMUP, arguments, note, rate, start_workers, write  # noqa: E402

from dgemma_constrain.models.embedded.network import BOS, EOS, PAD, Shape  # noqa: E402


SPARE = 8  # ids beyond the tokenizer's: the class wants some for images


def configuration(size: int) -> transformers.DiffusionGemmaConfig:
    text = dict(
        vocab_size=size + SPARE, hidden_size=192, intermediate_size=256, num_hidden_layers=6, num_attention_heads=4,
        num_key_value_heads=4, num_global_key_value_heads=4, head_dim=48, global_head_dim=48, sliding_window=1024,
        max_position_embeddings=1024, pad_token_id=PAD, eos_token_id=EOS, bos_token_id=BOS,
        layer_types=["sliding_attention"] * 5 + ["full_attention"],
        moe_intermediate_size=32, num_experts=1, top_k_experts=1, tie_word_embeddings=True,
    )  # fmt: skip
    vision = dict(
        hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=1, num_key_value_heads=1, head_dim=16,
        position_embedding_size=64,
    )  # fmt: skip
    return transformers.DiffusionGemmaConfig(
        text_config=text, vision_config=vision, canvas_length=ANSWER,
        image_token_id=size, boi_token_id=size + 1, eoi_token_id=size + 2,
    )  # fmt: skip


class Pairs:
    """Batches of prompts of one length [B, n], so that there is no padding, and their answers [B, ANSWER]."""

    def __init__(self, folder: Path, device: torch.device, batch: int, longest: int, until: float):
        self.folder, self.device, self.batch, self.longest, self.until = folder, device, batch, longest, until
        self.shards: deque = deque(maxlen=40)  # (prompts, answers, lengths), some 300,000 examples
        self.lengths = np.zeros(0, np.int64)

    def _take_new(self) -> None:
        names = [n for n in os.listdir(self.folder) if n[0] != "."] if self.folder.is_dir() else []
        for name in names[:8]:
            with np.load(self.folder / name) as shard:
                prompt, answer = shard["prompt"], shard["answer"]
            os.remove(self.folder / name)
            lengths = (prompt != PAD).sum(1)
            short = lengths <= self.longest
            self.shards.append((prompt[short], answer[short], lengths[short]))
        if names:
            self.prompts, self.answers, self.lengths = map(np.concatenate, zip(*self.shards))

    def __iter__(self):
        for step in itertools.count():
            if step % 50 == 0 or not len(self.lengths):
                self._take_new()
            if not len(self.lengths):
                if time.time() > self.until:
                    raise RuntimeError("no examples came in time; give more --seconds, or --workers")
                time.sleep(0.2)
                continue
            n = np.random.choice(self.lengths)
            alike = np.flatnonzero(self.lengths == n)
            chosen = np.random.choice(alike, min(self.batch, len(alike)), replace=False)
            prompt, answer = self.prompts[chosen, -n:], self.answers[chosen]
            yield tuple(torch.from_numpy(a.astype(np.int64)).to(self.device) for a in (prompt, answer))


def loss_of(network, prompt, answer, know: bool, size: int):
    """The mean loss of one batch, noised here; know: with what the network said of the same canvas a moment before."""
    B, N = answer.shape
    device = answer.device
    level = torch.where(torch.rand(B, 1, device=device) < 0.25, 1.0, torch.rand(B, 1, device=device))
    wrong = torch.rand(B, N, device=device) < level
    canvas = torch.where(wrong, torch.randint(0, size, (B, N), device=device), answer)
    P = prompt.shape[1]
    facts = dict(
        input_ids=prompt,
        attention_mask=torch.ones_like(prompt, dtype=torch.bool),
        decoder_attention_mask=torch.ones(B, P + N, dtype=torch.bool, device=device),
        position_ids=torch.arange(P, device=device)[None],
        decoder_position_ids=torch.arange(P, P + N, device=device)[None],
    )
    said = None
    if know:
        # One step earlier the canvas was noisier still; its logits at some temperature are what `generate` feeds back.
        earlier = torch.where(
            torch.rand(B, N, device=device) < 0.5, torch.randint(0, size, (B, N), device=device), canvas
        )
        with torch.no_grad():
            said = network(**facts, decoder_input_ids=earlier).logits / 0.6
    logits = network(**facts, decoder_input_ids=canvas, self_conditioning_logits=said).logits
    losses = F.cross_entropy(logits.view(B * N, -1).float(), answer.view(-1), reduction="none").view(B, N)
    tail = F.pad(answer[:, :-1] == EOS, (1, 0)) | (answer == PAD)
    weight = torch.where(tail, 0.1, 1.0) * torch.where(wrong, 1.0, 0.2)
    return (losses * weight).sum() / weight.sum()


def train(args) -> None:
    torch.manual_seed(args.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.set_float32_matmul_precision("high")
    if args.workers:
        start_workers(args, args.began + args.seconds)
    size = Shape().vocabulary
    config = configuration(size)
    config._experts_implementation = config.text_config._experts_implementation = "eager"
    network = transformers.DiffusionGemmaForBlockDiffusion(config)
    with torch.no_grad():
        network.model.decoder.embed_tokens.weight.normal_(std=192**-0.5)
    if args.start:
        network.load_state_dict(load_file(args.start), strict=False)
    network = network.to(device, torch.float32 if args.float32 else torch.bfloat16).train()
    parameters = {n: p for n, p in network.named_parameters() if "vision" not in n}
    optimizer = Optimizer(parameters, 2e-3, 2e-3)
    data = iter(
        Pairs(
            args.shards.parent / f"{args.shards.name}-pairs",
            device,
            args.batch,
            args.longest,
            args.began + args.seconds,
        )
    )
    state, total, skipped, logged, saved = dict(step=0), 0.0, 0, time.time(), time.time()
    while (progress := (time.time() - args.began) / args.seconds) < 1:
        began = time.time()
        prompt, answer = next(data)
        loss = loss_of(network, prompt, answer, state["step"] % 2 == 1, size)
        loss.backward()
        norms = torch._foreach_norm([p.grad for p in parameters.values() if p.grad is not None])
        if not math.isfinite(
            float(torch.stack(norms).norm() + loss.detach())
        ):  # one bad batch must not spoil the weights
            skipped += 1
            if skipped > 30:
                raise RuntimeError("the loss is not finite")
            network.zero_grad(set_to_none=True)
            continue
        optimizer.step(rate(state["step"], progress, args.warmup))
        state["step"] += 1
        total = total + loss.detach()
        if args.share < 1 or state["step"] == 1:
            if device.type == "cuda":
                torch.cuda.synchronize()
            time.sleep(min(1.0, (time.time() - began) * (1 / args.share - 1)))
        if state["step"] % args.every == 0:
            value, now = float(total) / args.every, time.time()
            note(args.out, state | dict(
                seconds=round(now - args.began, 1), diffusion_gemma_loss=round(value, 4),
                steps_per_second=round(args.every / (now - logged), 1), skipped=skipped,
            ))  # fmt: skip
            total, logged = 0.0, now
            if not math.isfinite(value):
                raise RuntimeError("the loss is not finite")
        if time.time() - saved > args.save_seconds:
            write(args.out, "diffusion_gemma", optimizer.master, state)
            saved = time.time()
    write(args.out, "diffusion_gemma", optimizer.master, state)


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--start", type=Path, help="weights to go on from")
    parser.add_argument("--longest", type=int, default=PROMPT, help="tokens of a prompt at most")
    parser.add_argument("--warmup", type=int, default=WARMUP, help="steps in which the learning rate rises")
    parser.add_argument("--float32", action="store_true", help="compute in float32 instead of bfloat16")
    args = parser.parse_args()
    args.began = args.began or time.time()
    args.out.mkdir(parents=True, exist_ok=True)
    args.sources = args.sources or args.out / "sources.json.xz"
    args.tokenizer = args.tokenizer or args.out / "tokenizer.json"
    args.shards = args.shards or Path("/dev/shm" if Path("/dev/shm").is_dir() else args.out) / f"shards-{os.getpid()}"
    train(args)


if __name__ == "__main__":
    main()
