// Packed tiles for many tokens: a lane's words of a piece of a block, asked for while the piece before is multiplied, unpacked once
// and then multiplied with panel after panel. Lanes hold what tiles.cuh says.
#pragma once
#include "tiles.cuh"

// Integers below 2^22 in magnitude, added to this one, are floats that are larger by 1.5 * 2^23.
#define FLOAT_BITS 0x4b400000
__device__ __forceinline__ float float_of(int v) { return __fadd_rn(bits_float((u32)v), -12582912.f); }

// What a block adds to a lane's outputs: rows 2g (0, 1) and 2g + 1 (2, 3), of tokens 2t (0, 2) and 2t + 1 (1, 3).
__device__ __forceinline__ void add_term(float (&acc)[4], const float (&v)[4], float2 rows, float2 by) {
    acc[0] = fmaf(v[0], __fmul_rn(rows.x, by.x), acc[0]);
    acc[1] = fmaf(v[1], __fmul_rn(rows.x, by.y), acc[1]);
    acc[2] = fmaf(v[2], __fmul_rn(rows.y, by.x), acc[2]);
    acc[3] = fmaf(v[3], __fmul_rn(rows.y, by.y), acc[3]);
}
__device__ __forceinline__ void add_scaled(int (&whole)[4], const int (&c)[4], int s0, int s1) {
    whole[0] += s0 * c[0];
    whole[1] += s0 * c[1];
    whole[2] += s1 * c[2];
    whole[3] += s1 * c[3];
}

// The grain of 256. A piece is two sub-blocks of 32.
struct ManyQ4K {
    static const u32 TYPE = Q4_K, BYTES = 2304, PIECES = 4;
    // Where a lane begins to read a block: loads are told that address.
    static __device__ __forceinline__ int offset(u32 g, u32 t) { return t * 64 + g * 8; }
    struct RawPiece {
        uint2 q[2];
        __device__ __forceinline__ void load(const u8* at, u32 piece, u32, u32) {
#pragma unroll
            for (int k = 0; k < 2; k++) q[k] = stream2(at + (2 * piece + k) * 256);
        }
    };
    // What the pieces' integers are scaled by: wanted when the block is begun.
    struct Scales {
        u32 s[2];
        __device__ __forceinline__ void load(const u8* at, u32 g, u32 t) {
            const u8* mine = at + ((int)(2048 + t * 16 + 2 * g) - offset(g, t));
#pragma unroll
            for (int i = 0; i < 2; i++) s[i] = stream_half(mine + 8 * i * 16);
        }
        __device__ __forceinline__ u32 both() const {
            const u32 all[3] = {s[0], 0, s[1]};
            u32 first, second, a0, a1;
            q4_k_scales(all, first, second, a0, a1);
            return first | second << 16;
        }
    };
    // What is added at the block's end: wanted then.
    struct End {
        u32 s[2], d, least;
        __device__ __forceinline__ void load(const u8* at, u32 g, u32 t) {
            const u8* mine = at + ((int)(2048 + t * 16 + 2 * g) - offset(g, t));
#pragma unroll
            for (int i = 0; i < 2; i++) s[i] = stream_half(mine + (4 + 4 * i) * 16);
            const u8* last = at + ((int)(2240 + 4 * g) - offset(g, t));
            d = stream(last);
            least = stream(last + 32);
        }
        // `sums`: the word of token g of the sums of sub-blocks t and t + 4.
        __device__ __forceinline__ void add(float (&acc)[4], const int (&whole)[4], float2 by, u32 sums) const {
            const float v[4] = {(float)whole[0], (float)whole[1], (float)whole[2], (float)whole[3]};
            add_term(acc, v, halves(d), by);
            const u32 all[3] = {0, s[0], s[1]};
            u32 first, second, a0, a1;
            q4_k_scales(all, first, second, a0, a1);
            int c[4] = {0, 0, 0, 0};
            mma_half(c, a0 << 16, a1 << 16, sums);
#pragma unroll
            for (int i = 0; i < 4; i++) c[i] = c[i] * 128 + FLOAT_BITS;
            mma_half(c, a0, a1, sums);
            const float2 m = halves(least);
            const float minima[4] = {float_of(c[0]), float_of(c[1]), float_of(c[2]), float_of(c[3])};
            add_term(acc, minima, make_float2(-m.x, -m.y), by);
        }
    };
    struct Piece {
        Weights4 w[2];
        int s[2][2];
        __device__ __forceinline__ void take(const RawPiece& raw, u32 scales, u32 piece, u32 lane) {
#pragma unroll
            for (int k = 0; k < 2; k++) {
                const uint2 v = raw.q[k];
                w[k] = Weights4{v.x & LOW_NIBBLES, v.y & LOW_NIBBLES, (v.x >> 4) & LOW_NIBBLES, (v.y >> 4) & LOW_NIBBLES};
                const u32 both = __shfl_sync(FULL, scales, (lane & 28) | ((2 * piece + k) & 3)) >> (piece < 2 ? 0 : 16);
                s[k][0] = both & 255, s[k][1] = (both >> 8) & 255;
            }
        }
        __device__ __forceinline__ void multiply(int (&whole)[4], const uint4& x, u32) const {
            int c[4];
            mma_from(c, 0, w[0].a0, w[0].a1, w[0].a2, w[0].a3, x.x, x.y);
            add_scaled(whole, c, s[0][0], s[0][1]);
            mma_from(c, 0, w[1].a0, w[1].a1, w[1].a2, w[1].a3, x.z, x.w);
            add_scaled(whole, c, s[1][0], s[1][1]);
        }
    };
};
// A piece is one sub-block of 32, whose halves have a scale each.
struct ManyQ6K {
    static const u32 TYPE = Q6_K, BYTES = 3360, PIECES = 8;
    static __device__ __forceinline__ int offset(u32 g, u32 t) { return (t >> 1) * 192 + 8 * g; }
    struct RawPiece {
        uint2 low, high;
        u32 scales;
        __device__ __forceinline__ void load(const u8* at, u32 piece, u32 g, u32 t) {
            const u8* sub = at + 2 * piece * 192;
            low = stream2(sub + (t & 1) * 64);
            high = stream2(sub + 128);
            const u8* by = at + ((int)(3072 + 2 * piece * 16 + 2 * g) - offset(g, t));
            scales = stream_half(by) | stream_half(by + 16) << 16;
        }
    };
    struct Scales {
        __device__ __forceinline__ void load(const u8*, u32, u32) {}
        __device__ __forceinline__ u32 both() const { return 0; }
    };
    struct End {
        u32 d;
        __device__ __forceinline__ void load(const u8* at, u32 g, u32 t) { d = stream(at + ((int)(3328 + 4 * g) - offset(g, t))); }
        __device__ __forceinline__ void add(float (&acc)[4], const int (&whole)[4], float2 by, u32) const {
            const float v[4] = {(float)whole[0], (float)whole[1], (float)whole[2], (float)whole[3]};
            add_term(acc, v, halves(d), by);
        }
    };
    struct Piece {
        Weights4 w[2];
        int s[2][2];
        __device__ __forceinline__ void take(const RawPiece& raw, u32, u32, u32 lane) {
            const Weights4 all = Q6KBlock::weights(raw.low, raw.high, lane & 3);
#pragma unroll
            for (int half = 0; half < 2; half++) {
                const bool mine = (int)((lane >> 1) & 1) == half;
                w[half] = Weights4{mine ? all.a0 : 0, mine ? all.a1 : 0, mine ? all.a2 : 0, mine ? all.a3 : 0};
                const u32 v = raw.scales >> 16 * half;
                s[half][0] = (i8)(v & 255), s[half][1] = (i8)((v >> 8) & 255);
            }
        }
        __device__ __forceinline__ void multiply(int (&whole)[4], const uint4& x, u32 piece) const {
#pragma unroll
            for (int half = 0; half < 2; half++) {
                int c[4];
                mma_from(c, 0, w[half].a0, w[half].a1, w[half].a2, w[half].a3, piece & 1 ? x.z : x.x, piece & 1 ? x.w : x.y);
                add_scaled(whole, c, s[half][0], s[half][1]);
            }
        }
    };
};

// The grain of 32. A piece is a block of its own.
struct ManyQ8 {
    static const u32 TYPE = Q8_0, BYTES = 544;
    struct Raw {
        uint2 a, b;
        u32 d;
        __device__ __forceinline__ void load(const u8* block, u32 g, u32 t) {
            a = stream2(block + 2 * t * 64 + 8 * g), b = stream2(block + (2 * t + 1) * 64 + 8 * g);
            d = stream(block + 512 + 4 * g);
        }
        __device__ __forceinline__ Weights4 weights() const {
            const u32 offset = 0x80808080u;
            return Weights4{a.x ^ offset, a.y ^ offset, b.x ^ offset, b.y ^ offset};
        }
        __device__ __forceinline__ float2 scales() const { return halves(d); }
    };
};
struct ManyMxfp4 {
    static const u32 TYPE = MXFP4, BYTES = 272;
    struct Raw {
        uint2 q;
        u32 exponents;
        __device__ __forceinline__ void load(const u8* block, u32 g, u32 t) {
            q = stream2(block + t * 64 + 8 * g);
            exponents = stream_half(block + 256 + 2 * g);
        }
        __device__ __forceinline__ Weights4 weights() const {
            return Weights4{Mxfp4Block::values(q.x & LOW_NIBBLES), Mxfp4Block::values(q.y & LOW_NIBBLES),
                            Mxfp4Block::values((q.x >> 4) & LOW_NIBBLES), Mxfp4Block::values((q.y >> 4) & LOW_NIBBLES)};
        }
        __device__ __forceinline__ float2 scales() const {
            return make_float2(Mxfp4Block::half_e8m0(exponents & 255), Mxfp4Block::half_e8m0(exponents >> 8));
        }
    };
};
