// The products of a stage: each warp takes tile after tile, block after block, for all tokens that the tile is for.
#pragma once
#include "plain.cuh"
#include "tiles.cuh"
#include "work.cuh"

// A stage's activations and where results go. Entries: token t is entry t, its use of a routed expert by rank r is entry
// tokens + t * used + r.
struct Operands {
    const u8 *coarse, *fine;
    const u8* plain;
    u32 coarse_stride, fine_stride, plain_stride;
    // Whether a routed entry has a row of its own (else it reads its token's).
    bool own_rows;
    // Whether the router's weight multiplies the scales of routed entries.
    bool weighted;
    float* out;
    u32 out_stride;
};
// What a lane needs of the tokens of one item: of token 8 * panel + g, and of 2t and 2t + 1.
template <int P>
struct Tokens {
    u32 count;
    u32 row[P], row0[P], row1[P], entry0[P], entry1[P];
    float f0[P], f1[P];
};

__device__ __forceinline__ u32 entry_of(const Step& p, u32 slot, u32 i) { return slot == ALL ? i : p.tokens + load_l2(slot_entry(p, slot, i)); }
__device__ __forceinline__ u32 row_of(const Step& p, const Operands& o, u32 entry) {
    return o.own_rows || entry < p.tokens ? entry : (entry - p.tokens) / p.used;
}
__device__ __forceinline__ float factor_of(const Step& p, const Operands& o, u32 entry) {
    return o.weighted && entry >= p.tokens ? load_l2((const float*)p.choice_weights + (entry - p.tokens)) : 1.f;
}
template <int P>
__device__ __forceinline__ void find_tokens(Tokens<P>& k, const Step& p, const Operands& o, u32 slot, u32 g, u32 t) {
    k.count = slot == ALL ? p.tokens : load_l2(slot_tokens(p, slot));
    const u32 last = k.count - 1;
#pragma unroll
    for (int i = 0; i < P; i++) {
        const u32 a = i * 8 + g, b = i * 8 + 2 * t, c = b + 1;
        k.row[i] = row_of(p, o, entry_of(p, slot, a < last ? a : last));
        k.entry0[i] = entry_of(p, slot, b < last ? b : last);
        k.entry1[i] = entry_of(p, slot, c < last ? c : last);
        k.row0[i] = row_of(p, o, k.entry0[i]);
        k.row1[i] = row_of(p, o, k.entry1[i]);
        k.f0[i] = factor_of(p, o, k.entry0[i]);
        k.f1[i] = factor_of(p, o, k.entry1[i]);
    }
}

__device__ __forceinline__ Fragment fragment_at(const u8* row, u32 block, u32 t) {
    Fragment f;
#pragma unroll
    for (int i = 0; i < 4; i++) f.q[i] = *(const uint4*)(row + block * 256 + i * 64 + t * 16);
    return f;
}

// 256 columns in blocks of 32 (fewer at the end of a row), each with a scale of its own.
template <class B, int P>
__device__ __forceinline__ void fine_stage(float (&acc)[P][4], const u8* w, u32 blocks, const Operands& o, const Tokens<P>& k, u32 kp,
                                           u32 index, u32 g, u32 t) {
#pragma unroll
    for (int i = 0; i < P; i++) {
        if (i * 8 >= (int)k.count) break;
        const Fragment x = fragment_at(o.fine + k.row[i] * o.fine_stride, index, t);
        const float* s0 = (const float*)(o.fine + k.row0[i] * o.fine_stride + kp) + index * 8;
        const float* s1 = (const float*)(o.fine + k.row1[i] * o.fine_stride + kp) + index * 8;
#pragma unroll
        for (int sub = 0; sub < 8; sub++) {
            if (sub >= (int)blocks) break;
            float2 d;
            const Weights4 a = B::load(w + sub * B::BYTES, g, t, d);
            int c[4] = {0, 0, 0, 0};
            mma_sub(c, a, x, sub);
            const By by = {__fmul_rn(s0[sub], k.f0[i]), __fmul_rn(s1[sub], k.f1[i])};
            add(acc[i], c, d.x, d.y, by);
        }
    }
}

template <int P>
__device__ __forceinline__ By coarse_by(const Operands& o, const Tokens<P>& k, int i, u32 at) {
    return By{__fmul_rn(*(const float*)(o.coarse + k.row0[i] * o.coarse_stride + at), k.f0[i]),
              __fmul_rn(*(const float*)(o.coarse + k.row1[i] * o.coarse_stride + at), k.f1[i])};
}

// A packed tile out of the ring. Activations of the first panel are asked for before the weights are waited for.
template <int P>
__device__ __forceinline__ void packed_tile(float (&acc)[P][4], Ring& ring, u32 lane, const Matrix& m, const Operands& o, const Tokens<P>& k) {
    const u32 g = lane >> 2, t = lane & 3, nb = units(m.columns), kp = nb * 256, type = m.type;
    for (u32 b = 0; b < nb; b++) {
        if (type <= Q6_K) {
            const u8* row = o.coarse + k.row[0] * o.coarse_stride;
            Fragment x = fragment_at(row, b, t);
            u32 sums = *(const u32*)(row + kp + (b * 4 + t) * 4);
            By by = coarse_by<P>(o, k, 0, kp + nb * 16 + b * 4);
            const u8* w = ring.wait();
            if (type == Q4_K) {
                Q4KBlock block;
                block.load(w, g, t);
#pragma unroll
                for (int i = 0; i < P; i++) {
                    if (i * 8 >= (int)k.count) break;
                    Fragment next = x;
                    u32 next_sums = sums;
                    By next_by = by;
                    if (i + 1 < P && (i + 1) * 8 < (int)k.count) {
                        const u8* r = o.coarse + k.row[i + 1 < P ? i + 1 : 0] * o.coarse_stride;
                        next = fragment_at(r, b, t);
                        next_sums = *(const u32*)(r + kp + (b * 4 + t) * 4);
                        next_by = coarse_by<P>(o, k, i + 1 < P ? i + 1 : 0, kp + nb * 16 + b * 4);
                    }
                    block.multiply(acc[i], x, sums, by, lane);
                    x = next, sums = next_sums, by = next_by;
                }
            } else {
                Q6KBlock block;
                block.load(w, g, t);
#pragma unroll
                for (int i = 0; i < P; i++) {
                    if (i * 8 >= (int)k.count) break;
                    Fragment next = x;
                    By next_by = by;
                    if (i + 1 < P && (i + 1) * 8 < (int)k.count) {
                        next = fragment_at(o.coarse + k.row[i + 1 < P ? i + 1 : 0] * o.coarse_stride, b, t);
                        next_by = coarse_by<P>(o, k, i + 1 < P ? i + 1 : 0, kp + nb * 16 + b * 4);
                    }
                    block.multiply(acc[i], x, by, t);
                    x = next, by = next_by;
                }
            }
        } else {
            const u8* w = ring.wait();
            const u32 blocks = b + 1 < nb || m.columns % 256 == 0 ? 8 : m.columns % 256 / 32;
            if (type == Q8_0)
                fine_stage<Q8Block, P>(acc, w, blocks, o, k, kp, b, g, t);
            else
                fine_stage<Mxfp4Block, P>(acc, w, blocks, o, k, kp, b, g, t);
        }
        ring.release(lane);
    }
}

// Where an item's matrix lies.
__device__ __forceinline__ const u8* expert_at(const Step& p, const Item& i) {
    return (const u8*)i.matrix->at + (i.slot == ALL ? 0 : load_l2(slot_expert(p, i.slot))) * i.matrix->expert_bytes;
}
// 16 plain rows; the results change hands through `scratch` so that lanes hold what they hold of a packed tile.
template <int P>
__device__ __forceinline__ void plain_tile(float (&acc)[P][4], float* scratch, const Step& p, const Item& item, const Operands& o,
                                           const Tokens<P>& k, u32 lane) {
    const Matrix& m = *item.matrix;
    const u8* rows = expert_at(p, item);
    for (u32 first = 0; first < k.count; first += 8) {
        const float* x[8];
        float factor[8];
#pragma unroll
        for (u32 i = 0; i < 8; i++) {
            const u32 index = first + i < k.count ? first + i : k.count - 1;
            const u32 entry = entry_of(p, item.slot, index);
            x[i] = (const float*)(o.plain + row_of(p, o, entry) * o.plain_stride);
            factor[i] = factor_of(p, o, entry);
        }
        for (u32 r = lane >> 4; r < 16; r += 2) {
            const u32 row = item.tile * 16 + r < m.rows ? item.tile * 16 + r : m.rows - 1;
            float sum[8];
            plain_row(sum, rows + (u64)row * m.columns * element_bytes(m.type), m.type, m.columns, x, factor, lane);
#pragma unroll
            for (int i = 0; i < 8; i++)
                if ((lane & 15) == (u32)i) scratch[(first + i) * 16 + r] = sum[i];
        }
    }
    __syncwarp();
    const u32 g = lane >> 2, t = lane & 3;
#pragma unroll
    for (int i = 0; i < P; i++) {
        if (i * 8 >= (int)k.count) break;
        const float* at = scratch + (i * 8 + 2 * t) * 16 + 2 * g;
        acc[i][0] = at[0], acc[i][1] = at[16], acc[i][2] = at[1], acc[i][3] = at[17];
    }
    __syncwarp();
}

// Writes what is there of a tile's rows and tokens.
template <int P>
__device__ __forceinline__ void store_tile(const float (&acc)[P][4], const Item& item, const Operands& o, const Tokens<P>& k, u32 lane) {
    const u32 g = lane >> 2, t = lane & 3, row = item.tile * 16 + 2 * g;
#pragma unroll
    for (int i = 0; i < P; i++) {
#pragma unroll
        for (int j = 0; j < 4; j++) {
            const u32 token = i * 8 + 2 * t + (j & 1);
            if (token < k.count && row + (j >> 1) < item.matrix->rows)
                o.out[(u64)(j & 1 ? k.entry1[i] : k.entry0[i]) * o.out_stride + item.column + row + (j >> 1)] = acc[i][j];
        }
    }
}
