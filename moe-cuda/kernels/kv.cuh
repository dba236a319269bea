// Keys and values as they lie in the cache: rounded to F16, or with KV_Q8 to Q8_0, as moe-kernels does it (attention/layout.rs), bit
// for bit; but what is too large for a half becomes infinite in F16.
//
// A layer's keys are blocks of p.block_tokens positions (a multiple of 8), each with one KV head's part after another; its values
// likewise. A head's part of a block is
//   F16:  for each position HEAD_DIM halves; 2 * HEAD_DIM bytes a position;
//   Q8_0: for each position HEAD_DIM signed bytes, and behind all of them for each position a half for each 32 dimensions, the
//         scale that they are to be multiplied by; 34 / 32 * HEAD_DIM bytes a position.
// src/kv.rs counts the same bytes.
//
// Half a warp has a vector, each lane LANE_DIMS of its values: they lie inside 32 dimensions, so a lane needs one scale. For both types:
//   load_part     a part's keys and values, those from `start` to `known`. Parts begin at multiples of PART, and so do chunks, so
//                 that none is half before `start`; blocks of older chunks may be gone.
//   keep          writes a key (the warp's lower half) and a value (the upper): into the cache, and to `to`, if given.
//   take_newest   reads what `keep` has written to `to`.
//   halves_of, key_scaled, value_scaled
//                 a stored vector is its halves times its scale, by which a lane's share of a score, or a weight, is multiplied.
#pragma once
#include "layout.cuh"

#define LANE_DIMS (HEAD_DIM / 16)
// Positions that a warp attends to at a time.
#define PART 8

// A lane's part of a vector, as halves.
struct Halves {
    u32 w[LANE_DIMS / 2];
};

#ifdef KV_Q8
#define QUANT_WORDS ((LANE_DIMS + 3) / 4)
// A new key and value in shared memory: each lane's values, four a word, and their scale.
#define NEWEST_WORDS (32 * (QUANT_WORDS + 1))

// A lane's part of a stored vector.
struct Stored {
    u32 w[QUANT_WORDS];
};
// A part's stored keys and values; the scales' bits, of a key below those of its value.
struct Loaded {
    Stored k[PART / 2], v[PART / 2];
    u32 scales[PART / 2];
};
// Integers of eight bits, which halves hold exactly.
__device__ __forceinline__ Halves halves_of(const Stored& s) {
    Halves h;
#pragma unroll
    for (int j = 0; j < LANE_DIMS / 2; j++) {
        // 128 more than the value, below the upper byte of 1024: less 1152 that is the value.
        const u32 bytes = s.w[j / 2] ^ 0x80808080u;
        h.w[j] = sub_halves(permute_bytes(bytes, 0x64646464u, j % 2 ? 0x4342 : 0x4140), 0x64806480u);
    }
    return h;
}
__device__ __forceinline__ float key_scaled(float v, const Loaded& a, int i) { return v * half_to_float(a.scales[i] & 0xffff); }
__device__ __forceinline__ float value_scaled(float v, const Loaded& a, int i) { return v * half_to_float(a.scales[i] >> 16); }
__device__ __forceinline__ void take_newest(Loaded& a, int i, const u32* newest, u32 l16) {
    const u32 *k = newest + l16 * (QUANT_WORDS + 1), *v = k + 16 * (QUANT_WORDS + 1);
#pragma unroll
    for (int j = 0; j < QUANT_WORDS; j++) a.k[i].w[j] = k[j], a.v[i].w[j] = v[j];
    a.scales[i] = k[QUANT_WORDS] | v[QUANT_WORDS] << 16;
}

__device__ __forceinline__ Stored load_stored(const u8* quants, bool there) {
    Stored s;
#if LANE_DIMS == 8
    const uint2 v = there ? *(const uint2*)quants : make_uint2(0, 0);
    s.w[0] = v.x, s.w[1] = v.y;
#elif LANE_DIMS == 4
    s.w[0] = there ? *(const u32*)quants : 0;
#else
    s.w[0] = there ? *(const u16*)quants : 0;
#endif
    return s;
}
// Where a lane's part of the vector at `position` lies, in bytes.
struct Place {
    u64 quants, scale;
};
__device__ __forceinline__ Place kv_place(const Step& p, const u32* table, u32 position, u32 kv_head, u32 lane) {
    const u32 in = position % p.block_tokens, dim = (lane & 15) * LANE_DIMS;
    const u64 part = ((u64)table[position / p.block_tokens] * p.kv_heads + kv_head) * p.block_tokens * (HEAD_DIM / 32 * 34);
    return {part + in * HEAD_DIM + dim, part + p.block_tokens * HEAD_DIM + (in * (HEAD_DIM / 32) + dim / 32) * 2};
}
__device__ __forceinline__ void load_part(Loaded& a, const Step& p, const Layer* l, const u32* table, u32 kv_head, u32 first, u32 start, u32 known, u32 lane) {
    const u32 half = lane >> 4;
    if (first < start) known = 0;
    Place at = {0, 0};
    if (first < known) at = kv_place(p, table, first + half, kv_head, lane);
    const u8 *keys = (const u8*)l->keys, *values = (const u8*)l->values;
#pragma unroll
    for (int i = 0; i < PART / 2; i++) a.k[i] = load_stored(keys + at.quants + i * 2 * HEAD_DIM, first + i * 2 + half < known);
#pragma unroll
    for (int i = 0; i < PART / 2; i++) a.v[i] = load_stored(values + at.quants + i * 2 * HEAD_DIM, first + i * 2 + half < known);
#pragma unroll
    for (int i = 0; i < PART / 2; i++) {
        const u64 scale = at.scale + i * 2 * (HEAD_DIM / 16);
        a.scales[i] = first + i * 2 + half < known ? *(const u16*)(keys + scale) | *(const u16*)(values + scale) << 16 : 0;
    }
}

__device__ __forceinline__ bool is_finite(float v) { return (float_bits(v) & 0x7f800000u) != 0x7f800000u; }
__device__ __forceinline__ void keep(const float (&k)[LANE_DIMS], const float (&v)[LANE_DIMS], const Step& p, const Layer* l, const u32* table, u32 position,
                                     u32 kv_head, u32* to, u32 lane) {
    float x[LANE_DIMS], most = 0;
    bool odd = false;
#pragma unroll
    for (int j = 0; j < LANE_DIMS; j++) {
        x[j] = lane < 16 ? k[j] : v[j];
        odd |= !is_finite(x[j]);
        most = fmaxf(most, fabsf(x[j]));
    }
    // Where one of them is not finite, key and value are no numbers: cut to the largest one, nobody would notice.
    const bool spoilt = __ballot_sync(FULL, odd) != 0;
#pragma unroll
    for (int o = 1; o < 32 / LANE_DIMS; o <<= 1) most = fmaxf(most, __shfl_xor_sync(FULL, most, o));
    const u32 scale = spoilt ? 0x7e00 : float_to_half(fminf(most / 127.f, 65504.f));
    const float rounded = half_to_float(scale), by = rounded > 0.f ? 1.f / rounded : 0.f;
    Stored s;
#pragma unroll
    for (int j = 0; j < QUANT_WORDS; j++) s.w[j] = 0;
#pragma unroll
    for (int j = 0; j < LANE_DIMS; j++) {
        // Beyond 127 where the scale could not grow any more, or was rounded down. Adding 1.5 * 2^23 rounds, ties to even.
        const float q = spoilt ? 0.f : fminf(fmaxf(__fmul_rn(x[j], by), -127.f), 127.f);
        s.w[j / 4] |= (float_bits(__fadd_rn(q, 12582912.f)) & 255) << 8 * (j % 4);
    }
    const Place at = kv_place(p, table, position, kv_head, lane);
    u8* cache = (u8*)(lane < 16 ? l->keys : l->values);
#if LANE_DIMS == 8
    *(uint2*)(cache + at.quants) = make_uint2(s.w[0], s.w[1]);
#elif LANE_DIMS == 4
    *(u32*)(cache + at.quants) = s.w[0];
#else
    *(u16*)(cache + at.quants) = (u16)s.w[0];
#endif
    if (lane % (32 / LANE_DIMS) == 0) *(u16*)(cache + at.scale) = (u16)scale;
    if (to) {
#pragma unroll
        for (int j = 0; j < QUANT_WORDS; j++) to[lane * (QUANT_WORDS + 1) + j] = s.w[j];
        to[lane * (QUANT_WORDS + 1) + QUANT_WORDS] = scale;
    }
}
#else
#define NEWEST_WORDS HEAD_DIM

// A part's stored keys and values.
struct Loaded {
    Halves k[PART / 2], v[PART / 2];
};
__device__ __forceinline__ Halves halves_of(const Halves& s) { return s; }
__device__ __forceinline__ float key_scaled(float v, const Loaded&, int) { return v; }
__device__ __forceinline__ float value_scaled(float v, const Loaded&, int) { return v; }
__device__ __forceinline__ void take_newest(Loaded& a, int i, const u32* newest, u32 l16) {
#pragma unroll
    for (int j = 0; j < LANE_DIMS / 2; j++) {
        a.k[i].w[j] = newest[l16 * (LANE_DIMS / 2) + j];
        a.v[i].w[j] = newest[(16 + l16) * (LANE_DIMS / 2) + j];
    }
}

__device__ __forceinline__ Halves load_stored(const u16* at, bool there) {
    Halves s;
#if LANE_DIMS >= 4
#pragma unroll
    for (int j = 0; j < LANE_DIMS / 2; j += 2) {
        const uint2 v = there ? *(const uint2*)(at + 2 * j) : make_uint2(0, 0);
        s.w[j] = v.x, s.w[j + 1] = v.y;
    }
#else
    s.w[0] = there ? *(const u32*)at : 0;
#endif
    return s;
}
// Halves from a KV head's vector at `position` on.
__device__ __forceinline__ u64 kv_place(const Step& p, const u32* table, u32 position, u32 kv_head) {
    const u32 block = table[position / p.block_tokens];
    return (((u64)block * p.kv_heads + kv_head) * p.block_tokens + position % p.block_tokens) * HEAD_DIM;
}
__device__ __forceinline__ void load_part(Loaded& a, const Step& p, const Layer* l, const u32* table, u32 kv_head, u32 first, u32 start, u32 known, u32 lane) {
    const u32 half = lane >> 4;
    if (first < start) known = 0;
    const u64 at = first < known ? kv_place(p, table, first, kv_head) + half * HEAD_DIM + (lane & 15) * LANE_DIMS : 0;
#pragma unroll
    for (int i = 0; i < PART / 2; i++) a.k[i] = load_stored((const u16*)l->keys + at + i * 2 * HEAD_DIM, first + i * 2 + half < known);
#pragma unroll
    for (int i = 0; i < PART / 2; i++) a.v[i] = load_stored((const u16*)l->values + at + i * 2 * HEAD_DIM, first + i * 2 + half < known);
}
__device__ __forceinline__ void keep(const float (&k)[LANE_DIMS], const float (&v)[LANE_DIMS], const Step& p, const Layer* l, const u32* table, u32 position,
                                     u32 kv_head, u32* to, u32 lane) {
    u32* cache = (u32*)((u16*)(lane < 16 ? l->keys : l->values) + kv_place(p, table, position, kv_head)) + (lane & 15) * (LANE_DIMS / 2);
#pragma unroll
    for (int j = 0; j < LANE_DIMS / 2; j++) {
        const float a = lane < 16 ? k[2 * j] : v[2 * j], b = lane < 16 ? k[2 * j + 1] : v[2 * j + 1];
        const u32 both = float_to_half(a) | float_to_half(b) << 16;
        cache[j] = both;
        if (to) to[lane * (LANE_DIMS / 2) + j] = both;
    }
}
#endif
