// One block of a packed tile (16 rows, 256 columns) times a panel of 8 tokens.
//
// m16n8k32 runs straight on the tile's words: lane 4g + t holds rows 2g and 2g + 1 and, of each 32 columns, 8t..8t+7. What is
// inside a block are exact integers, and blocks are added from the first to the last by fused multiply-add, as moe-kernels
// does; so the bits are the same. Integers: rows 2g (0, 1) and 2g + 1 (2, 3), tokens 2t (0, 2) and 2t + 1 (1, 3).
#pragma once
#include "layout.cuh"

#define LOW_NIBBLES 0x0f0f0f0fu

// Activations of one panel for one block, as a lane needs them.
struct Fragment {
    uint4 q[4];
};

// Two packed nibble words, of rows 2g and 2g + 1, as an A fragment.
struct Weights4 {
    u32 a0, a1, a2, a3;
};
// A block's bytes as a lane loads them, before anything is done to them.
struct RawQ4K {
    uint2 q[8];
    u32 s[3], d, least;
    __device__ __forceinline__ void load(const u8* block, u32 g, u32 t) {
#pragma unroll
        for (int i = 0; i < 8; i++) q[i] = stream2(block + i * 256 + t * 64 + g * 8);
#pragma unroll
        for (int i = 0; i < 3; i++) s[i] = stream_half(block + 2048 + (t + 4 * i) * 16 + 2 * g);
        d = stream(block + 2240 + 4 * g);
        least = stream(block + 2272 + 4 * g);
    }
};
struct RawQ6K {
    uint2 low[8], high[8];
    u32 scales[8], d;
    __device__ __forceinline__ void load(const u8* block, u32 g, u32 t) {
#pragma unroll
        for (int s = 0; s < 8; s++) {
            const u8* sub = block + (2 * s + (t >> 1)) * 192 + 8 * g;
            low[s] = stream2(sub + (t & 1) * 64);
            high[s] = stream2(sub + 128);
            scales[s] = stream_half(block + 3072 + 2 * s * 16 + 2 * g) | stream_half(block + 3072 + (2 * s + 1) * 16 + 2 * g) << 16;
        }
        d = stream(block + 3328 + 4 * g);
    }
};

__device__ __forceinline__ u32 fragment_word(const Fragment& x, int sub, int half) {
    const uint4& v = x.q[sub >> 1];
    return sub & 1 ? (half ? v.w : v.z) : (half ? v.y : v.x);
}
__device__ __forceinline__ void mma_sub(int (&c)[4], const Weights4& w, const Fragment& x, int sub) {
    mma(c, w.a0, w.a1, w.a2, w.a3, fragment_word(x, sub, 0), fragment_word(x, sub, 1));
}

// ggml's twelve bytes, this lane's of sub-blocks t and t + 4, for both rows: the scales of both rows by sub-block, and the minima
// of both sub-blocks by row.
__device__ __forceinline__ void q4_k_scales(const u32 (&s)[3], u32& scales, u32& more_scales, u32& a0, u32& a1) {
    const u32 a = s[0], b = s[1], c = s[2];
    scales = a & 0x3f3f;
    more_scales = (c & 0x0f0f) | ((a >> 2) & 0x3030);
    const u32 mins = b & 0x3f3f, more_mins = ((c >> 4) & 0x0f0f) | ((b >> 2) & 0x3030);
    a0 = (mins & 255) | (more_mins & 255) << 8;
    a1 = (mins >> 8) | (more_mins >> 8) << 8;
}
struct Q4KBlock {
    Weights4 w[8];
    u32 scales, more_scales, a0, a1;
    float2 d, least;

    typedef RawQ4K Raw;
    __device__ __forceinline__ void take(const Raw& raw, u32) {
#pragma unroll
        for (int s = 0; s < 8; s++) {
            const uint2 v = raw.q[s];
            w[s].a0 = v.x & LOW_NIBBLES;
            w[s].a1 = v.y & LOW_NIBBLES;
            w[s].a2 = (v.x >> 4) & LOW_NIBBLES;
            w[s].a3 = (v.y >> 4) & LOW_NIBBLES;
        }
        q4_k_scales(raw.s, scales, more_scales, a0, a1);
        d = halves(raw.d);
        least = halves(raw.least);
    }
    // The block's integers: products, and what the minima take off. `sums` is the word of the sums of sub-blocks t and t + 4
    // of token g.
    __device__ __forceinline__ void integers(int (&whole)[4], int (&minima)[4], const Fragment& x, u32 sums, u32 lane) const {
        whole[0] = whole[1] = whole[2] = whole[3] = 0;
        const u32 both = scales | more_scales << 16;
#pragma unroll
        for (int s = 0; s < 8; s++) {
            int c[4] = {0, 0, 0, 0};
            mma_sub(c, w[s], x, s);
            const u32 v = __shfl_sync(FULL, both, (lane & 28) | (s & 3)) >> (s < 4 ? 0 : 16);
            const int s0 = v & 255, s1 = (v >> 8) & 255;
            whole[0] += s0 * c[0];
            whole[1] += s0 * c[1];
            whole[2] += s1 * c[2];
            whole[3] += s1 * c[3];
        }
        int low[4] = {0, 0, 0, 0}, high[4] = {0, 0, 0, 0};
        mma(low, a0, a1, 0, 0, sums, 0);
        mma(high, a0 << 16, a1 << 16, 0, 0, sums, 0);
#pragma unroll
        for (int i = 0; i < 4; i++) minima[i] = low[i] + 128 * high[i];
    }
};

struct Q6KBlock {
    // Of each 32 columns lanes with t < 2 hold the first 16, which have a scale of their own.
    Weights4 w[8];
    u32 scales[8];
    float2 d, least;

    typedef RawQ6K Raw;
    __device__ __forceinline__ void take(const Raw& raw, u32 t) {
#pragma unroll
        for (int s = 0; s < 8; s++) {
            w[s] = weights(raw.low[s], raw.high[s], t);
            scales[s] = raw.scales[s];
        }
        d = halves(raw.d);
    }
    static __device__ __forceinline__ Weights4 weights(uint2 low, uint2 bits, u32 t) {
        const u32 h0 = bits.x >> 4 * (t & 1), h1 = bits.y >> 4 * (t & 1);
        return Weights4{minus32((low.x & LOW_NIBBLES) | ((h0 << 4) & 0x30303030u)), minus32((low.y & LOW_NIBBLES) | ((h1 << 4) & 0x30303030u)),
                        minus32(((low.x >> 4) & LOW_NIBBLES) | ((h0 << 2) & 0x30303030u)),
                        minus32(((low.y >> 4) & LOW_NIBBLES) | ((h1 << 2) & 0x30303030u))};
    }
    // Each byte less 32; none borrows from the next.
    static __device__ __forceinline__ u32 minus32(u32 v) { return ((v | 0x80808080u) - 0x20202020u) ^ 0x80808080u; }
    __device__ __forceinline__ void integers(int (&whole)[4], int (&)[4], const Fragment& x, u32, u32 lane) const {
        const u32 t = lane & 3;
        whole[0] = whole[1] = whole[2] = whole[3] = 0;
#pragma unroll
        for (int s = 0; s < 8; s++) {
#pragma unroll
            for (int half = 0; half < 2; half++) {
                const bool mine = (int)(t >> 1) == half;
                int c[4] = {0, 0, 0, 0};
                mma(c, mine ? w[s].a0 : 0, mine ? w[s].a1 : 0, mine ? w[s].a2 : 0, mine ? w[s].a3 : 0, fragment_word(x, s, 0),
                    fragment_word(x, s, 1));
                const u32 v = scales[s] >> 16 * half;
                const int s0 = (i8)(v & 255), s1 = (i8)((v >> 8) & 255);
                whole[0] += s0 * c[0];
                whole[1] += s0 * c[1];
                whole[2] += s1 * c[2];
                whole[3] += s1 * c[3];
            }
        }
    }
};

struct Q8Block {
    static const u32 BYTES = 544;
    __device__ __forceinline__ static Weights4 load(const u8* block, u32 g, u32 t, float2& d) {
        const uint2 a = stream2(block + 2 * t * 64 + 8 * g), b = stream2(block + (2 * t + 1) * 64 + 8 * g);
        const u32 offset = 0x80808080u;
        d = halves(stream(block + 512 + 4 * g));
        return Weights4{a.x ^ offset, a.y ^ offset, b.x ^ offset, b.y ^ offset};
    }
};

struct Mxfp4Block {
    static const u32 BYTES = 272;
    __device__ __forceinline__ static Weights4 load(const u8* block, u32 g, u32 t, float2& d) {
        const uint2 v = stream2(block + t * 64 + 8 * g);
        const u32 exponents = stream_half(block + 256 + 2 * g);
        d = make_float2(half_e8m0(exponents & 255), half_e8m0(exponents >> 8));
        return Weights4{values(v.x & LOW_NIBBLES), values(v.y & LOW_NIBBLES), values((v.x >> 4) & LOW_NIBBLES),
                        values((v.y >> 4) & LOW_NIBBLES)};
    }
    // E2M1's values, doubled, for the nibble in each byte.
    static __device__ __forceinline__ u32 values(u32 v) {
        u32 s = v & 0x07070707u;
        s = (s | s >> 4) & 0x00ff00ffu;
        s = (s | s >> 8) & 0xffffu;
        const u32 negative = ((v >> 3) & 0x01010101u) * 255u;
        return (permute_bytes(0x03020100u, 0x0c080604u, s) & ~negative) | (permute_bytes(0xfdfeff00u, 0xf4f8fafcu, s) & negative);
    }
    // Half of the power of two that the exponent byte stands for; the first two are subnormal.
    static __device__ __forceinline__ float half_e8m0(u32 e) { return bits_float(e < 2 ? 0x00200000u << e : (e - 1) << 23); }
};
