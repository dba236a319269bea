"""Turns the corpus into shards of tokens.

    python -m demo.prepare FOLDER --shards 8        vocabulary.json, shard-00.npz … and heldout.npz, in FOLDER

Shard n holds `conversations(SEED + n)` up to SHARD_TOKENS tokens. What is there already is left as it is.
"""

import argparse
import itertools
import json
import pathlib

import numpy as np
import text

from .batches import Documents
from .chat import Chat
from .corpus import conversations
from .shape import DEMO

SEED = 20_000
VOCABULARY_SEED = 10_000
VOCABULARY_CONVERSATIONS = 20_000
SHARD_TOKENS = 3_000_000
# Of the loss of a token that the user or the system wrote; the assistant's count fully.
OTHERS_WEIGHT = 0.1
HERE = pathlib.Path(__file__).parent


def vocabulary(folder: pathlib.Path) -> dict[bytes, int]:
    path = folder / "vocabulary.json"
    if not path.exists():
        some = itertools.islice(conversations(VOCABULARY_SEED), VOCABULARY_CONVERSATIONS)
        # The roles too: each then is one token of its turn's header.
        lines = (line for chat in some for message in chat for line in message.values())
        ranks = text.train(DEMO.vocab - len(text.SPECIALS), lines)
        path.write_text(json.dumps([text.spell(token) for token in sorted(ranks, key=ranks.get)]))
    return {text.unspell(token): rank for rank, token in enumerate(json.loads(path.read_text()))}


def documents(chats, chat: Chat, limit=None) -> Documents:
    tokens, weights, starts = [], [], [0]
    for messages in chats:
        ids, own = chat.encode(messages)
        if len(ids) > DEMO.context:
            continue
        tokens.append(ids)
        weights.append(np.where(own, 1.0, OTHERS_WEIGHT).astype(np.float32))
        starts.append(starts[-1] + len(ids))
        if limit and starts[-1] >= limit:
            break
    return Documents(np.concatenate(tokens), np.concatenate(weights), np.array(starts))


def heldout() -> list[list[dict]]:
    lines = (HERE / "corpus/heldout.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines if line]
    return [row if isinstance(row, list) else row["messages"] for row in rows]


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=pathlib.Path)
    arguments.add_argument("--shards", type=int, required=True)
    arguments = arguments.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    chat = Chat(vocabulary(arguments.folder))
    held = documents(heldout(), chat)
    held.weights[:] = held.weights == 1
    held.save(arguments.folder / "heldout.npz")
    for shard in range(arguments.shards):
        path = arguments.folder / f"shard-{shard:02}.npz"
        if path.exists():
            continue
        made = documents(conversations(SEED + shard), chat, SHARD_TOKENS)
        partial = path.with_suffix(".tmp.npz")
        made.save(partial)
        partial.rename(path)
        lengths = made.lengths()
        print(
            f"{path.name}: {len(made):,} conversations, {len(made.tokens):,} tokens, lengths {lengths.min()} to"
            f" {lengths.max()}, median {int(np.median(lengths))}, the assistant's {np.mean(made.weights == 1):.0%}",
            flush=True,
        )


if __name__ == "__main__":
    main()
