"""Prints the model card's tables for a checkpoint: perplexity by type through moe-server, the experts' loads.

    python -m demo.evaluate SHARDS CHECKPOINTS/checkpoint.pt

Perplexity is that of what the assistant says in corpus/heldout.jsonl. Types that the server cannot run are quantised
and dequantised before they are written as F32.
"""

import argparse
import math
import pathlib
import subprocess
import tempfile

import gguf
import torch

from .batches import Documents, collate
from .export import write
from .model import Model
from .prepare import vocabulary
from .shape import DEMO

ROOT = pathlib.Path(__file__).parents[3]
NATIVE = ["F32", "F16", "BF16", "Q8_0"]
THROUGH = ["Q5_1", "Q5_0", "Q4_1", "Q4_0"]
ROW = 3072


def by_type(state, ranks) -> None:
    """One line for each type, as moe-server computes it."""
    kinds = gguf.GGMLQuantizationType
    print("| type | file, MiB | perplexity |\n|---|---:|---:|")
    with tempfile.TemporaryDirectory() as folder:
        paths = {}
        for name in NATIVE + THROUGH:
            paths[name] = pathlib.Path(folder) / f"{name}.gguf"
            kind, through = (kinds[name], None) if name in NATIVE else (kinds.F32, kinds[name])
            write(paths[name], state, ranks, DEMO, kind, through)
        command = ["cargo", "run", "--quiet", "--release", "--package", "moe-server", "--example", "perplexity", "--"]
        run = subprocess.run([*command, *map(str, paths.values())], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
        for (name, path), line in zip(paths.items(), run.stdout.splitlines()):
            size = f"{path.stat().st_size / 2**20:.2f}" if name in NATIVE else "–"
            print(f"| {name} | {size} | {line.split(': ')[1].split()[0]} |")


@torch.no_grad()
def in_training_code(state, held: Documents) -> None:
    """Perplexity with the score on the experts' input and on their output, and the experts' loads, in float32."""
    model = Model(DEMO)
    model.load_state_dict(state)
    batches, room = [], 0
    for index, length in enumerate(held.lengths()):
        if length > room:
            batches.append([])
            room = ROW
        batches[-1].append(index)
        room -= length
    for mutated in (False, True):
        nats, count, uses = 0.0, 0.0, 0
        for chosen in batches:
            batch = collate(held, chosen, ROW, DEMO)
            losses, routers = model(batch, torch.float32, mutated)
            nats += float((losses * batch.weights).sum())
            count += float(batch.weights.sum())
            uses = uses + torch.stack([e[batch.real > 0].bincount(minlength=DEMO.experts) for _, e in routers])
        print(f"\nscore on the {'output' if mutated else 'input'}: {math.exp(nats / count):.4f} over {count:.0f} tokens")
        if not mutated:
            score = torch.cat([logits.max(-1).values[batch.real > 0] for logits, _ in routers]).sigmoid()
            print(f"mean score in the last batch {score.mean():.3f}, largest {score.max():.3f}\n")
            print("| layer | " + " | ".join(f"expert {e}" for e in range(DEMO.experts)) + " |")
            print("|---:|" + "---:|" * DEMO.experts)
            layers = [layer for layer in range(DEMO.layers) if DEMO.is_moe(layer)]
            for layer, row in zip(layers, (uses / uses.sum(1, keepdim=True)).tolist()):
                print(f"| {layer} | " + " | ".join(f"{share:.1%}" for share in row) + " |")


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("shards", type=pathlib.Path)
    arguments.add_argument("checkpoint", type=pathlib.Path)
    arguments = arguments.parse_args()
    state = torch.load(arguments.checkpoint, map_location="cpu")["model"]
    by_type(state, vocabulary(arguments.shards))
    in_training_code(state, Documents.load(arguments.shards / "heldout.npz"))


if __name__ == "__main__":
    main()
