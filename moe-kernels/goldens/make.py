"""Makes the golden files of this folder: `pip install -r requirements.txt && python make.py`.

The oracle is gguf-py (`gguf.quants`, MIT), which repeats ggml's C bit for bit. What it lacks (Q1_0, Q2_0, Q8_K) is
written below after `dequantize_row_*` of ggml-quants.c.

- dequantised.txt: `TYPE BLOCKS VALUES`, a case a line: blocks as hexadecimal bytes, values as hexadecimal f32, or
  `fnv:` and the hash of their bytes where they are many.
- q8_0.txt: `VALUES BLOCKS`, what quantising gives.
- grids.txt: `TYPE HASH`, of all values of the type's code book, a signed byte each.
"""

import pathlib

import numpy as np
from gguf import GGMLQuantizationType, quants
from gguf.constants import GGML_QUANT_SIZES

HERE = pathlib.Path(__file__).parent

# Where a block keeps its F16 scales. IQ1_M's is scattered, MXFP4 and NVFP4 have others.
SCALES = {
    "Q1_0": [0], "Q2_0": [0], "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0],
    "Q2_K": [80, 82], "Q3_K": [108], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208], "Q8_K": [],
    "IQ1_S": [0], "IQ1_M": [], "IQ2_XXS": [0], "IQ2_XS": [0], "IQ2_S": [0], "IQ3_XXS": [0], "IQ3_S": [0],
    "IQ4_NL": [0], "IQ4_XS": [0], "TQ1_0": [52], "TQ2_0": [64], "MXFP4": [], "NVFP4": [],
}  # fmt: skip

# gguf-py 0.19.0 has no name for ggml's type 42 yet.
SIZES = {kind.name: size for kind, size in GGML_QUANT_SIZES.items()} | {"Q2_0": (64, 2 + 16)}


def q1_0(blocks):
    d = blocks[:, :2].copy().view(np.float16).astype(np.float32)
    bits = np.unpackbits(blocks[:, 2:], axis=1, bitorder="little")
    return np.where(bits == 1, d, -d)


def q2_0(blocks):
    d = blocks[:, :2].copy().view(np.float16).astype(np.float32)
    codes = (blocks[:, 2:, None] >> np.array([0, 2, 4, 6], dtype=np.uint8)) & 3
    return (codes.reshape(len(blocks), -1).astype(np.float32) - np.float32(1)) * d


def q8_k(blocks):
    d = blocks[:, :4].copy().view(np.float32)
    return d * blocks[:, 4:260].view(np.int8).astype(np.float32)


OWN = {"Q1_0": q1_0, "Q2_0": q2_0, "Q8_K": q8_k}


def dequantise(name, blocks):
    with np.errstate(all="ignore"):
        if name in OWN:
            values = OWN[name](blocks)
        else:
            values = quants.dequantize(blocks, GGMLQuantizationType[name])
    assert values.dtype == np.float32
    return values.reshape(len(blocks), -1)


def fnv1a(data):
    h = 0xCBF29CE484222325
    for byte in data:
        h = ((h ^ byte) * 0x100000001B3) & ((1 << 64) - 1)
    return f"{h:016x}"


def random_blocks(rng, name, count):
    """Random bytes, but for scales that give no numbers."""
    size = SIZES[name][1]
    kept = np.empty((0, size), dtype=np.uint8)
    while len(kept) < count:
        blocks = rng.integers(0, 256, (4 * count, size), dtype=np.uint8)
        kept = np.concatenate([kept, blocks[np.isfinite(dequantise(name, blocks)).all(axis=1)]])
    return kept[:count]


def with_scales(blocks, name, scales):
    """The same blocks with these for all F16 scales."""
    blocks = blocks.copy()
    for at in SCALES[name]:
        blocks[:, at : at + 2] = np.asarray(scales, dtype=np.float16).reshape(-1, 1).view(np.uint8)
    return blocks


def dequantised():
    rng = np.random.default_rng(6)
    lines = []

    def case(name, blocks, hashed=False):
        values = dequantise(name, blocks).tobytes()
        lines.append(f"{name} {blocks.tobytes().hex()} {'fnv:' + fnv1a(values) if hashed else values.hex()}")

    for name in ("F32", "F16", "BF16"):
        case(name, random_blocks(rng, name, 60))
    case("F16", np.array([0x0000, 0x8000, 0x0001, 0x83FF, 0x0400, 0x7BFF, 0x7C00, 0xFC00], "<u2").view(np.uint8).reshape(-1, 2))
    case("BF16", np.array([0x0000, 0x8000, 0x0001, 0x807F, 0x0080, 0x7F7F, 0x7F80, 0xFF80], "<u2").view(np.uint8).reshape(-1, 2))
    for name in SCALES:
        case(name, random_blocks(rng, name, 1))
        if SCALES[name]:
            case(name, with_scales(random_blocks(rng, name, 1), name, [0.01 * rng.normal()]))
        case(name, random_blocks(rng, name, 16), hashed=True)
        # Zero, subnormal, the least normal, the largest.
        if SCALES[name]:
            scales = [0.0, -0.0, 6e-8, -5e-5, 6.1035e-5, 65504.0]
            case(name, with_scales(random_blocks(rng, name, 6), name, scales), hashed=True)
    # Every scale there is.
    blocks = random_blocks(rng, "MXFP4", 256)
    blocks[:, 0] = np.arange(256)
    case("MXFP4", blocks, hashed=True)
    blocks = random_blocks(rng, "NVFP4", 64)
    blocks[:, :4] = np.arange(256).reshape(64, 4)
    case("NVFP4", blocks, hashed=True)
    (HERE / "dequantised.txt").write_text("\n".join(lines) + "\n")


def quantised():
    rng = np.random.default_rng(7)
    # The last two scales are subnormal F16; one block is zero, one holds ties.
    scales = np.array([1.0, 1e-3, 100.0, 8e6, 0.0, 1.0, 1e-4, 1e-6], dtype=np.float32)
    values = (rng.normal(size=(8, 32)) * scales[:, None]).astype(np.float32)
    values[3] = np.clip(values[3], -8e6, 8e6)
    values[5] = np.arange(32) / 2 - 8
    values[5, 0] = 127.0
    values[2, 3] = -500.0
    blocks = quants.quantize(values, GGMLQuantizationType.Q8_0)
    lines = [f"{v.tobytes().hex()} {b.tobytes().hex()}" for v, b in zip(values, blocks)]
    (HERE / "q8_0.txt").write_text("\n".join(lines) + "\n")


def grids():
    lines = []
    for name in ("IQ1_S", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S"):
        quant = getattr(quants, name)
        quant.init_grid()
        lines.append(f"{name} {fnv1a(quant.grid.astype(np.int8).tobytes())}")
    (HERE / "grids.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    dequantised()
    quantised()
    grids()
