// What stands before a step: the tokens' embeddings. And quantising by itself, for checks.
#include "plain.cuh"
#include "quantise.cuh"

// One element of a packed tile or a plain row, by ggml's formulas as moe-kernels has them (packed/pack.rs).
__device__ __forceinline__ u32 nibble_at(const u8* block, u32 row, u32 i) { return (block[i / 8 * 64 + 4 * row + i % 4] >> (i / 4 % 2 * 4)) & 15; }
__device__ __forceinline__ float half_at(const u8* at) { return half_to_float(at[0] | at[1] << 8); }
__device__ __forceinline__ float q4_k_at(const u8* b, u32 row, u32 i) {
    const u32 sub = i / 32;
    const u8* bytes = b + 2048 + row;
    u32 scale, least;
    if (sub < 4) {
        scale = bytes[sub * 16] & 63, least = bytes[(sub + 4) * 16] & 63;
    } else {
        const u32 low = bytes[(sub + 4) * 16];
        scale = (low & 15) | (bytes[(sub - 4) * 16] >> 6 << 4), least = (low >> 4) | (bytes[sub * 16] >> 6 << 4);
    }
    const float d = __fmul_rn(half_at(b + 2240 + 2 * row), (float)scale), m = __fmul_rn(half_at(b + 2272 + 2 * row), (float)least);
    return __fadd_rn(__fmul_rn(d, (float)nibble_at(b, row, i)), -m);
}
__device__ __forceinline__ float q6_k_at(const u8* b, u32 row, u32 i) {
    const u32 sub = i / 16, group = i % 16 / 4;
    const u8* at = b + sub * 192;
    const u32 q = ((at[group / 2 * 64 + 4 * row + i % 4] >> (group % 2 * 4)) & 15) | ((at[128 + 4 * row + i % 4] >> 2 * group) & 3) << 4;
    return __fmul_rn(__fmul_rn(half_at(b + 3328 + 2 * row), (float)(i8)b[3072 + sub * 16 + row]), (float)q - 32.f);
}
__device__ __forceinline__ float value_at(const Matrix& m, u32 row, u32 column) {
    const u8* base = (const u8*)m.at;
    const u64 tile = row / 16;
    const u32 r = row % 16;
    switch (m.type) {
    case Q4_K: return q4_k_at(base + (tile * (m.columns / 256) + column / 256) * 2304, r, column % 256);
    case Q6_K: return q6_k_at(base + (tile * (m.columns / 256) + column / 256) * 3360, r, column % 256);
    case Q8_0: {
        const u8* b = base + (tile * (m.columns / 32) + column / 32) * 544;
        return __fmul_rn(half_at(b + 512 + 2 * r), (float)(i8)(b[column % 32 / 4 * 64 + 4 * r + column % 4] ^ 0x80));
    }
    case MXFP4: {
        const u8* b = base + (tile * (m.columns / 32) + column / 32) * 272;
        const u32 e = b[256 + r], q = nibble_at(b, r, column % 32);
        const u32 magnitude = (q & 7) < 5 ? q & 7 : (q & 7) == 5 ? 6 : (q & 7) == 6 ? 8 : 12;
        const float scale = bits_float(e < 2 ? 0x00200000u << e : (e - 1) << 23);
        // A negative zero's value is plain zero, as moe-kernels' table of integers has it.
        return __fmul_rn(scale, q & 8 ? (float)-(int)magnitude : (float)magnitude);
    }
    default: return element(base + (u64)row * m.columns * element_bytes(m.type), m.type, column);
    }
}

// A block a token. The launch's end stands before whoever reads.
extern "C" __global__ void __launch_bounds__(THREADS) begin(const Step p) {
    const u32 t = blockIdx.x;
    if (t < p.tokens && p.embedding.type != NONE)
        for (u32 i = threadIdx.x; i < p.hidden; i += THREADS) ((float*)p.x[0])[(u64)t * p.hidden + i] = value_at(p.embedding, ((const u32*)p.tokens_in)[t], i);
}

// Rows of `columns` floats, quantised into p.normed: a warp a unit.
extern "C" __global__ void __launch_bounds__(32) quantise(const Rows rows, u64 from, u32 columns, u32 forms) {
    const u32 unit = blockIdx.x, row = blockIdx.y, lane = threadIdx.x;
    const float* x = (const float*)from + (u64)row * columns + unit * 256 + lane * 8;
    float v[8];
#pragma unroll
    for (int j = 0; j < 8; j++) v[j] = unit * 256 + lane * 8 < columns ? x[j] : 0.f;
    quantise_unit(v, forms & COARSE ? (u8*)rows.coarse + row * rows.coarse_stride : 0, forms & FINE ? (u8*)rows.fine + row * rows.fine_stride : 0,
                  columns, unit, lane);
}

// Random weights, or keys and values: tiles whose scales make products of about the size of their activations, or plain rows.
struct Fill {
    u64 at, bytes;
    u32 type, columns, seed;
    float amplitude;
};
__device__ __forceinline__ u32 hash(u32 x) {
    x ^= x >> 16, x *= 0x7feb352du, x ^= x >> 15, x *= 0x846ca68bu;
    return x ^ x >> 16;
}
__device__ __forceinline__ u32 two_halves(float f, u32 r) {
    return float_to_half(f * (0.5f + (r & 255) / 256.f)) | float_to_half(f * (0.5f + (r >> 8 & 255) / 256.f)) << 16;
}
extern "C" __global__ void __launch_bounds__(THREADS) fill(const Fill f) {
    const u64 words = f.bytes / 4, stride = (u64)gridDim.x * THREADS;
    const u32 block = f.type == Q4_K ? 2304 : f.type == Q6_K ? 3360 : f.type == Q8_0 ? 544 : 272;
    for (u64 i = (u64)blockIdx.x * THREADS + threadIdx.x; i < words; i += stride) {
        u32 r = hash((u32)i * 2654435761u ^ hash(f.seed + (u32)(i >> 32)));
        const u32 at = (u32)(i % (block / 4)) * 4;
        const float a = ((int)(r & 0xffff) - 32768) / 32768.f * f.amplitude, b = ((int)(r >> 16) - 32768) / 32768.f * f.amplitude;
        // Q4_K: half the mean value is taken off again by the minimum.
        if (f.type == Q4_K && at >= 2240) r = two_halves(f.amplitude / (at < 2272 ? 144.f : 19.2f), r);
        else if (f.type == Q6_K && at >= 3328) r = two_halves(f.amplitude / 800.f, r);
        else if (f.type == Q8_0 && at >= 512) r = two_halves(f.amplitude / 64.f, r);
        else if (f.type == MXFP4 && at >= 256) r = (r & 0x01010101u) + (float_bits(f.amplitude / 4) >> 23) * 0x01010101u;
        else if (f.type == F16) r = float_to_half(a) | float_to_half(b) << 16;
        else if (f.type == BF16) r = float_bits(a) >> 16 | (float_bits(b) & 0xffff0000u);
        else if (f.type == F32) r = float_bits(a);
#ifdef KV_Q8
        // One head's part of a block of keys or values after another, `columns` bytes each: the last seventeenth is scales.
        else if (f.type == KV) {
            if (i % (f.columns / 4) >= f.columns / 68 * 16) r = two_halves(f.amplitude / 127.f, r);
        }
#endif
        ((u32*)f.at)[i] = r;
    }
}
