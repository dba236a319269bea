"""Documents of tokens, and batches of a fixed number of tokens, document after document."""

from dataclasses import dataclass

import numpy as np
import torch

from .shape import Shape

GROUPS = 16
# Lengths in a group differ by this at most: attention pads to the longest.
SPREAD = 1.3


@dataclass
class Documents:
    """Tokens one after the other, each with its target's weight (the first token's is never used), and where documents begin."""

    tokens: np.ndarray
    weights: np.ndarray
    starts: np.ndarray  # One more than documents; the last is the end.

    def __len__(self):
        return len(self.starts) - 1

    def lengths(self) -> np.ndarray:
        return np.diff(self.starts)

    def save(self, path):
        np.savez(path, tokens=self.tokens, weights=self.weights, starts=self.starts)

    @staticmethod
    def load(path) -> "Documents":
        with np.load(path) as file:
            return Documents(file["tokens"], file["weights"], file["starts"])


@dataclass
class Batch:
    tokens: torch.Tensor
    targets: torch.Tensor
    weights: torch.Tensor
    # Tokens of documents, not filling.
    real: torch.Tensor
    cos: torch.Tensor
    sin: torch.Tensor
    # For operators.attention.
    layout: torch.Tensor
    places: torch.Tensor


def collate(documents: Documents, chosen: list[int], size: int, shape: Shape) -> Batch:
    """The chosen documents in a row of `size` tokens; they fit."""
    lengths = documents.lengths()
    chosen = sorted(chosen, key=lambda index: lengths[index])
    tokens, targets = np.zeros(size, np.int64), np.zeros(size, np.int64)
    weights, positions, real = np.zeros(size, np.float32), np.zeros(size, np.int64), np.zeros(size, np.float32)
    groups, at = [], 0
    for index in chosen:
        start, end = documents.starts[index], documents.starts[index + 1]
        length = int(end - start)
        assert length <= shape.context
        tokens[at : at + length] = documents.tokens[start:end]
        targets[at : at + length - 1] = documents.tokens[start + 1 : end]
        weights[at : at + length - 1] = documents.weights[start + 1 : end]
        positions[at : at + length] = np.arange(length)
        real[at : at + length] = 1
        if not groups or (length > SPREAD * groups[-1][0][1] and len(groups) < GROUPS):
            groups.append([])
        groups[-1].append((at, length))
        at += length
    layout, places = np.zeros((GROUPS, 2), np.int64), []
    for row, group in zip(layout, groups):
        longest = max(length for _, length in group)
        row[:] = len(group), longest
        step = np.arange(longest)
        places += [np.where(step < length, start + step, -1) for start, length in group]
    places = np.concatenate(places)
    padded = np.full(max(2 * size, len(places)), -1)
    padded[: len(places)] = places
    frequencies = shape.rope_base ** (-np.arange(0, shape.head_dim, 2) / shape.head_dim)
    angles = positions[:, None, None] * frequencies
    turn = [torch.from_numpy(f(angles).astype(np.float32)) for f in (np.cos, np.sin)]
    return Batch(*map(torch.from_numpy, (tokens, targets, weights, real)), *turn, torch.from_numpy(layout), torch.from_numpy(padded))


def plan(documents: Documents, size: int, seed) -> list[list[int]]:
    """Every document once, in random order, cut into batches of at most `size` tokens."""
    lengths = documents.lengths()
    batches, room = [], 0
    for index in np.random.default_rng(seed).permutation(len(documents)):
        if lengths[index] > room:
            batches.append([])
            room = size
        batches[-1].append(int(index))
        room -= lengths[index]
    return batches
