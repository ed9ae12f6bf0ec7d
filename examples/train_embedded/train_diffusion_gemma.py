"""Train a tiny checkpoint of the real DiffusionGemma class on the same examples. From the repository's root, after sources.py:

    python examples/train_embedded/train_diffusion_gemma.py --out /tmp/train --seconds 500 --workers 1

As the class is meant to be used: the prompt goes through the causal encoder, the canvas starts as random tokens, a share of which (the noise
level) is wrong, and half of the time the decoder is told what it said before (self-conditioning). With `--workers 0` and `--shards` it takes
what another run's workers leave.
"""

import math
import os
import sys
import time
from pathlib import Path

import numpy as np
import torch
import transformers
from torch.nn import functional as F

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]

from muon import Optimizer  # noqa: E402
from packing import ANSWER  # noqa: E402
from train import arguments, note, rate, start_workers, write  # noqa: E402

from dgemma_constrain.models.embedded.network import BOS, EOS, PAD, Shape  # noqa: E402


def configuration(size: int) -> transformers.DiffusionGemmaConfig:
    text = dict(
        vocab_size=size, hidden_size=192, intermediate_size=256, num_hidden_layers=6, num_attention_heads=4,
        num_key_value_heads=4, num_global_key_value_heads=4, head_dim=48, global_head_dim=48, sliding_window=1024,
        max_position_embeddings=1024, pad_token_id=PAD, eos_token_id=EOS, bos_token_id=BOS,
        layer_types=["sliding_attention"] * 5 + ["full_attention"],
        moe_intermediate_size=32, num_experts=1, top_k_experts=1, tie_word_embeddings=True,
    )  # fmt: skip
    vision = dict(
        hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=1, num_key_value_heads=1, head_dim=16
    )  # fmt: skip
    return transformers.DiffusionGemmaConfig(
        text_config=text, vision_config=vision, canvas_length=ANSWER,
        image_token_id=size - 1, boi_token_id=size - 2, eoi_token_id=size - 3,
    )  # fmt: skip


class Pairs:
    """Prompts [B, PROMPT], padded on the left, and answers [B, ANSWER], as long as there are new ones; else old ones."""

    def __init__(self, folder: Path, device: torch.device, batch: int):
        self.folder, self.device, self.batch = folder, device, batch
        self.pool: list[tuple] = []

    def _shard(self) -> tuple:
        while True:
            names = sorted(n for n in os.listdir(self.folder) if n[0] != ".") if self.folder.is_dir() else []
            if names:
                with np.load(self.folder / names[0]) as shard:
                    arrays = [torch.from_numpy(shard[key]).to(self.device) for key in ("prompt", "answer")]
                os.remove(self.folder / names[0])
                self.pool.append(arrays)
                return arrays
            if self.pool:
                return self.pool[np.random.randint(len(self.pool))]
            time.sleep(0.2)

    def __iter__(self):
        while True:
            prompt, answer = self._shard()
            for chosen in torch.randperm(len(prompt), device=self.device).split(self.batch):
                if len(chosen) == self.batch:
                    yield prompt[chosen].long(), answer[chosen].long()


def loss_of(network, prompt, answer, know: bool, size: int):
    """The mean loss of one batch, noised here; know: with what the network said of the same canvas a moment before."""
    B, N = answer.shape
    device = answer.device
    level = torch.where(torch.rand(B, 1, device=device) < 0.25, 1.0, torch.rand(B, 1, device=device))
    wrong = torch.rand(B, N, device=device) < level
    canvas = torch.where(wrong, torch.randint(0, size, (B, N), device=device), answer)
    there = prompt != PAD
    P = prompt.shape[1]
    facts = dict(
        input_ids=prompt,
        attention_mask=there,
        decoder_attention_mask=F.pad(there, (0, N), value=True),
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
    network = transformers.DiffusionGemmaForBlockDiffusion(configuration(size))
    with torch.no_grad():
        network.model.decoder.embed_tokens.weight.normal_(std=192**-0.5)
    network = network.to(device).bfloat16().train()
    parameters = {n: p for n, p in network.named_parameters() if "vision" not in n}
    optimizer = Optimizer(parameters, 2e-3, 2e-3)
    data, state, total, logged, saved = (
        iter(Pairs(args.shards.parent / f"{args.shards.name}-pairs", device, args.batch)),
        dict(step=0),
        0.0,
        time.time(),
        time.time(),
    )
    while (progress := (time.time() - args.began) / args.seconds) < 1:
        began = time.time()
        prompt, answer = next(data)
        loss = loss_of(network, prompt, answer, state["step"] % 2 == 1, size)
        loss.backward()
        optimizer.step(rate(state["step"], progress))
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
                examples_per_second=int(args.every * args.batch / (now - logged)),
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
    args = parser.parse_args()
    args.began = args.began or time.time()
    args.out.mkdir(parents=True, exist_ok=True)
    args.sources = args.sources or args.out / "sources.json.xz"
    args.tokenizer = args.tokenizer or args.out / "tokenizer.json"
    args.shards = args.shards or Path("/dev/shm" if Path("/dev/shm").is_dir() else args.out) / f"shards-{os.getpid()}"
    train(args)


if __name__ == "__main__":
    main()
