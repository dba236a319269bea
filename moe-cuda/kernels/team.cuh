// One token: four warps share a tile, so that a tile's latency is a quarter. Each warp makes the integers of every fourth block
// and leaves them in shared memory with their scales; then one of the warps adds them up in order, a lane a row.
//
// Synchronisation: the team's named barrier stands between the writes of a segment's terms and the chain that reads them, and
// once more between the chain and the next segment's writes; `terms` belongs to the team.
#pragma once
#include "product.cuh"

#define TEAM_WARPS 4
// Bytes of terms of a team: 32 blocks of Q4_K.
#define TERM_BYTES 8192

// 256 columns of a tile, as terms: of each block and row an integer and what multiplies it, twice for Q4_K.
__device__ __forceinline__ u32 term_bytes(u32 type) { return type == Q4_K ? 256 : type == Q6_K ? 128 : 1024; }

template <class B>
__device__ __forceinline__ void fine_terms(float2* terms, const u8* w, u32 blocks, const Fragment& x, const float* scales, float factor, u32 g,
                                           u32 t) {
#pragma unroll
    for (int sub = 0; sub < 8; sub++) {
        if (sub >= (int)blocks) break;
        float2 d;
        const Weights4 a = B::load(w + sub * B::BYTES, g, t, d);
        int c[4] = {0, 0, 0, 0};
        mma_sub(c, a, x, sub);
        const float by = __fmul_rn(scales[sub], factor);
        if (t == 0) {
            terms[sub * 16 + 2 * g] = make_float2((float)c[0], __fmul_rn(d.x, by));
            terms[sub * 16 + 2 * g + 1] = make_float2((float)c[2], __fmul_rn(d.y, by));
        }
    }
}

// A packed tile times the only token. In lanes 0..15 of the team's first warp the rows' results.
__device__ __forceinline__ float team_tile(u8* terms, Ring& ring, const Place<TEAM_WARPS>& me, const Matrix& m, const Operands& o, u32 row, float factor) {
    const u32 g = me.lane >> 2, t = me.lane & 3, nb = units(m.columns), kp = nb * 256, type = m.type, part = me.part();
    const u32 bytes = term_bytes(type), segment = TERM_BYTES / bytes, barrier = 1 + me.warp / TEAM_WARPS;
    const u8* coarse = o.coarse + row * o.coarse_stride;
    const u8* fine = o.fine + row * o.fine_stride;
    float acc = 0;
    for (u32 from = 0; from < nb; from += segment) {
        const u32 until = nb < from + segment ? nb : from + segment;
        bool free_ = false;
        for (u32 b = from + part; b < until; b += TEAM_WARPS) {
            u8* to = terms + (b - from) * bytes;
            if (type <= Q6_K) {
                const Fragment x = fragment_at(coarse, b, t);
                const u32 sums = *(const u32*)(coarse + kp + (b * 4 + t) * 4);
                const float by = __fmul_rn(*(const float*)(coarse + kp + nb * 16 + b * 4), factor);
                const u8* w = ring.wait();
                int whole[4];
                if (type == Q4_K) {
                    int minima[4];
                    Q4KBlock block;
                    block.load(w, g, t);
                    block.integers(whole, minima, x, sums, me.lane);
                    if (!free_) barrier_of(barrier, TEAM_WARPS * 32), free_ = true;
                    if (t == 0) {
                        float4* at = (float4*)to + 2 * g;
                        at[0] = make_float4((float)whole[0], __fmul_rn(block.d.x, by), (float)minima[0], __fmul_rn(-block.least.x, by));
                        at[1] = make_float4((float)whole[2], __fmul_rn(block.d.y, by), (float)minima[2], __fmul_rn(-block.least.y, by));
                    }
                } else {
                    Q6KBlock block;
                    block.load(w, g, t);
                    block.integers(whole, x, t);
                    if (!free_) barrier_of(barrier, TEAM_WARPS * 32), free_ = true;
                    if (t == 0)
                        ((float4*)to)[g] = make_float4((float)whole[0], __fmul_rn(block.d.x, by), (float)whole[2], __fmul_rn(block.d.y, by));
                }
            } else {
                const Fragment x = fragment_at(fine, b, t);
                const float* scales = (const float*)(fine + kp) + b * 8;
                const u32 blocks = b + 1 < nb || m.columns % 256 == 0 ? 8 : m.columns % 256 / 32;
                const u8* w = ring.wait();
                if (!free_) barrier_of(barrier, TEAM_WARPS * 32), free_ = true;
                if (type == Q8_0)
                    fine_terms<Q8Block>((float2*)to, w, blocks, x, scales, factor, g, t);
                else
                    fine_terms<Mxfp4Block>((float2*)to, w, blocks, x, scales, factor, g, t);
            }
            ring.release(me.lane);
        }
        if (!free_) barrier_of(barrier, TEAM_WARPS * 32);
        barrier_of(barrier, TEAM_WARPS * 32);
        if (part == 0 && me.lane < 16) {
            if (type == Q4_K) {
                const float4* at = (const float4*)terms + me.lane;
#pragma unroll 4
                for (u32 b = from; b < until; b++, at += 16) {
                    acc = fmaf(at->x, at->y, acc);
                    acc = fmaf(at->z, at->w, acc);
                }
            } else {
                const u32 count = type == Q6_K ? until - from : (until == nb ? m.columns / 32 : until * 8) - from * 8;
                const float2* at = (const float2*)terms + me.lane;
#pragma unroll 4
                for (u32 i = 0; i < count; i++, at += 16) acc = fmaf(at->x, at->y, acc);
            }
        }
        __syncwarp();
    }
    return acc;
}

// A plain tile times the only token: each warp four rows. Results as of team_tile.
__device__ __forceinline__ float team_plain(float* results, const Step& p, const Place<TEAM_WARPS>& me, const Item& item, const Operands& o, u32 row,
                                            float factor) {
    const Matrix& m = *item.matrix;
    const u32 barrier = 1 + me.warp / TEAM_WARPS, bytes = m.columns * element_bytes(m.type);
    const u8* rows = expert_at(p, item);
    const float* x = (const float*)(o.plain + row * o.plain_stride);
    barrier_of(barrier, TEAM_WARPS * 32);
    for (u32 i = 0; i < 4; i += 2) {
        const u32 r = me.part() * 4 + i + (me.lane >> 4), at = item.tile * 16 + r;
        const float sum = plain_row_once(rows + (u64)(at < m.rows ? at : m.rows - 1) * bytes, m.type, m.columns, x, factor, me.lane);
        if ((me.lane & 15) == 0) results[r] = sum;
    }
    barrier_of(barrier, TEAM_WARPS * 32);
    return results[me.lane & 15];
}
