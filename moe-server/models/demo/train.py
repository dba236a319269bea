"""Trains the demo model on the shards of prepare.py.

    python -m demo.train SHARDS CHECKPOINTS

Two processes of one thread each take every other batch; the parameters lie in memory that both see. SIGTERM writes a
checkpoint and ends; the same command goes on from there. CHECKPOINTS/log.csv grows by a row every LOG steps.
"""

import argparse
import csv
import pathlib
import signal
import time

import numpy as np
import torch
import torch.multiprocessing as multiprocessing

from .batches import Documents, collate, plan
from .model import Model, balance
from .optimiser import Optimiser
from .shape import DEMO

PROCESSES = 2
BATCH = 3072  # tokens, in each process
# The rate by step, with straight lines between: it warms up, stays, and from COOLING of all steps on falls to zero.
WARM, RATE, COOLING = 100, 5e-3, 0.65
SEED = 4
# What keeps the experts evenly used.
BALANCE = 0.02
# What keeps the chosen router logit near an aim, and the aim, by step: it falls to where the score is 0.035, so that an engine
# which scales the experts' output instead of their input is far off. At 0 that mistake cost 1 % of perplexity, at -2 12 %.
TOP = [(400, 0.01), (700, 0.05)]
AIM = [(400, 0.0), (1000, -3.3)]
LOG, EVALUATE, SAVE_SECONDS = 20, 250, 600
EVALUATED_BATCHES = 4
COLUMNS = ["step", "tokens", "seconds", "rate", "loss", "balance", "top_off", "heldout", "heldout_mutated", "least_share"]  # fmt: skip


def at_step(step: int, points: list[tuple[float, float]]) -> float:
    return float(np.interp(step, *zip(*points)))


def rate_at(step: int, steps: int) -> float:
    return at_step(step, [(0, RATE / WARM), (WARM - 1, RATE), (COOLING * steps, RATE), (steps, 0)])


def shard(folder: pathlib.Path, index: int) -> tuple[Documents, list[list[int]]]:
    path = folder / f"shard-{index:02}.npz"
    while not path.exists():
        time.sleep(5)
    documents = Documents.load(path)
    return documents, plan(documents, BATCH, SEED + index)


@torch.no_grad()
def evaluate(model: Model, held: Documents) -> dict:
    """Perplexity of what the assistant says in the held-out conversations, also with the score on the experts' output;
    and over all routers the least used expert's share."""
    batches = [collate(held, chosen, BATCH, DEMO) for chosen in plan(held, BATCH, SEED)[:EVALUATED_BATCHES]]
    result = {}
    for name, mutated in [("heldout", False), ("heldout_mutated", True)]:
        total, count, uses = 0.0, 0.0, []
        for batch in batches:
            losses, routers = model(batch, score_on_output=mutated)
            total += float((losses * batch.weights).sum())
            count += float(batch.weights.sum())
            uses.append(torch.stack([expert[batch.real > 0].bincount(minlength=DEMO.experts) for _, expert in routers]))
        result[name] = 2.718281828**(total / count)
        if not mutated:
            uses = sum(uses)
            result["least_share"] = float((uses / uses.sum(1, keepdim=True)).min())
    return result


def work(rank, model, gradients, barrier, ending, losses, arguments):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    for name, parameter in model.named_parameters():
        parameter.grad = gradients[rank][name]
    optimiser = Optimiser(model, gradients, rank)
    checkpoint = arguments.checkpoints / "checkpoint.pt"
    step, part, at, tokens, spent = 0, 0, 0, 0, 0.0
    if checkpoint.exists():
        saved = torch.load(checkpoint)
        step, part, at, tokens, spent = saved["position"]
        optimiser.restore(saved["optimisers"][rank])
        if rank == 0:
            with torch.no_grad():
                for name, parameter in model.named_parameters():
                    parameter.copy_(saved["model"][name])
    held = Documents.load(arguments.shards / "heldout.npz")
    log = open(arguments.checkpoints / "log.csv", "a", newline="") if rank == 0 else None
    rows = csv.DictWriter(log, COLUMNS) if log else None
    if log and step == 0:
        rows.writeheader()

    def loss_of(batch, top_weight):
        each, routers = model(batch)
        loss = (each * batch.weights).sum() / batch.weights.sum()
        terms = torch.stack([torch.stack(balance(*router, batch.real, DEMO, model.aim)) for router in routers]).mean(0)
        own = (each * (batch.weights == 1)).sum() / (batch.weights == 1).sum()
        return loss + BALANCE * terms[0] + top_weight * terms[1], torch.stack((own, terms[0], terms[1])).detach()

    compiled = torch.compile(loss_of, dynamic=False)
    documents, batches = shard(arguments.shards, part)
    barrier.wait()
    start, saved_at = time.monotonic() - spent, time.monotonic()
    recent = []
    while step < arguments.steps:
        if at + PROCESSES > len(batches):
            part, at = part + 1, 0
            documents, batches = shard(arguments.shards, part)
        batch = collate(documents, batches[at + rank], BATCH, DEMO)
        for gradient in gradients[rank].values():
            gradient.zero_()
        model.aim.fill_(at_step(step, AIM))
        loss, parts = compiled(batch, torch.tensor(at_step(step, TOP)))
        loss.backward()
        losses[rank] = torch.cat((parts, batch.real.sum().view(1)))
        barrier.wait()
        optimiser.step(rate_at(step, arguments.steps))
        tokens += int(losses[:, 3].sum())
        recent.append(losses[:, :3].mean(0))
        step, at = step + 1, at + PROCESSES
        if rank == 0:
            due = time.monotonic() - saved_at > SAVE_SECONDS or step == arguments.steps
            ending[1] = 2 if ending[0] else int(due)
        barrier.wait()
        if rank == 0 and (step % LOG == 0 or step == arguments.steps):
            loss, even, top = torch.stack(recent).mean(0).tolist()
            recent.clear()
            row = dict(step=step, tokens=tokens, seconds=round(time.monotonic() - start), loss=round(loss, 4),
                       rate=f"{rate_at(step - 1, arguments.steps):.2e}", balance=round(even, 4), top_off=round(top, 3))  # fmt: skip
            if step % EVALUATE < LOG or step == arguments.steps:
                row |= {key: round(value, 4) for key, value in evaluate(model, held).items()}
            rows.writerow(row)
            log.flush()
            print(row, flush=True)
        asked = int(ending[1])
        if asked:
            position = (step, part, at, tokens, time.monotonic() - start)
            torch.save(optimiser.state(), arguments.checkpoints / f"optimiser-{rank}.pt")
            barrier.wait()
            if rank == 0:
                states = [torch.load(arguments.checkpoints / f"optimiser-{r}.pt") for r in range(PROCESSES)]
                partial = checkpoint.with_suffix(".tmp")
                torch.save({"model": model.state_dict(), "optimisers": states, "position": position}, partial)
                partial.rename(checkpoint)
            saved_at = time.monotonic()
            if asked == 2:
                return
        barrier.wait()


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("shards", type=pathlib.Path)
    arguments.add_argument("checkpoints", type=pathlib.Path)
    arguments.add_argument("--steps", type=int, default=2_560, help="another number only before the rate falls")
    arguments = arguments.parse_args()
    arguments.checkpoints.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(SEED)
    model = Model(DEMO).share_memory()
    gradients = [{n: torch.zeros_like(p).share_memory_() for n, p in model.named_parameters()} for _ in range(PROCESSES)]
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(PROCESSES)
    # Asked to end; then what both do after this step: 1 saves, 2 saves and ends.
    ending = torch.zeros(2, dtype=torch.int64).share_memory_()
    losses = torch.zeros(PROCESSES, 4).share_memory_()
    signal.signal(signal.SIGTERM, lambda *_: ending[0].fill_(1))
    common = (model, gradients, barrier, ending, losses, arguments)
    others = [context.Process(target=work, args=(rank, *common)) for rank in range(PROCESSES)]
    for other in others:
        other.start()
    for other in others:
        other.join()
    if any(other.exitcode for other in others):
        raise SystemExit("a process failed")


if __name__ == "__main__":
    main()
