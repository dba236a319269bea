// Products: a block a tile of 16 rows (gate and up: a tile of each), for up to PANEL tokens. The warps take the tile's blocks in
// turn and leave the integers in shared memory; then a thread an output adds them up in order.
//
// Synchronisation: each warp writes terms of its own blocks; the block's barrier stands before the chains that read them.
#pragma once
#include "plain.cuh"
#include "quantise.cuh"
#include "tiles.cuh"

// A tile, and who it is for.
struct Item {
    const Matrix* matrix;
    // ALL tokens, or a slot's.
    u32 slot, tile, expert;
    // Where the matrix' first row goes in an output row.
    u32 column;
};
#define ALL 0xffffffffu

__device__ __forceinline__ u32 tiles_of(const Matrix& m) { return (m.rows + 15) / 16; }
__device__ __forceinline__ bool is_packed(u32 type) { return type >= Q4_K && type <= MXFP4; }
// Bytes of 256 columns of a tile.
__device__ __forceinline__ u32 block_bytes(u32 type) { return type == Q4_K ? 2304 : type == Q6_K ? 3360 : type == Q8_0 ? 4352 : 2176; }
__device__ __forceinline__ u64 tile_bytes(const Matrix& m) {
    return m.type == Q4_K ? (u64)m.columns / 256 * 2304 : m.type == Q6_K ? (u64)m.columns / 256 * 3360 : (u64)m.columns / 32 * (m.type == Q8_0 ? 544 : 272);
}

// Brings a matrix' first `most` bytes towards the product that comes next, while memory has little else to do: the blocks of a
// grid share them, and a warp asks.
__device__ __forceinline__ void prefetch_matrix(const Matrix& m, u64 most, u32 block, u32 blocks, u32 lane) {
    const u64 all = is_packed(m.type) ? tiles_of(m) * tile_bytes(m) : 0, bytes = all < most ? all : most;
    for (u64 at = ((u64)block * 32 + lane) * 8192; at < bytes; at += (u64)blocks * 32 * 8192)
        prefetch_l2((const u8*)m.at + at, bytes - at < 8192 ? (u32)(bytes - at) & ~15u : 8192);
}

// Entries: token t is entry t, its use of a routed expert by rank r is entry tokens + t * used + r.
__device__ __forceinline__ u32 entry_of(const Step& p, u32 slot, u32 i) { return slot == ALL ? i : p.tokens + load_l2(slot_entry(p, slot, i)); }
// Only the experts' second halves have a row for each entry; others read their token's.
template <int S>
__device__ __forceinline__ u32 row_of(const Step& p, u32 entry) {
    return S == DOWN || entry < p.tokens ? entry : (entry - p.tokens) / p.used;
}
// What multiplies an entry's scales.
template <int S>
__device__ __forceinline__ float factor_of(const Step& p, u32 entry) {
    return S == UP && entry >= p.tokens && !(p.flags & SOFTMAX_ON_OUTPUT) ? load_l2((const float*)p.choice_weights + (entry - p.tokens)) : 1.f;
}

// Which item a block has: x is chunk + chunks * tile, y the slot after what all tokens go through. Slots beyond those in use are
// for no one; that is known only after the router.
template <int S>
__device__ __forceinline__ Item item_at(const Step& p, const Layer& l, u32 index, u32 y, bool up) {
    Item i = {0, ALL, index, 0, 0};
    if (S == QKV) {
        const u32 q = tiles_of(l.query), k = tiles_of(l.key);
        i.matrix = index < q ? &l.query : index < q + k ? &l.key : &l.value;
        i.tile = index < q ? index : index < q + k ? index - q : index - q - k;
        i.column = index < q ? 0 : index < q + k ? l.query.rows : l.query.rows + l.key.rows;
    } else if (S == UP || S == DOWN) {
        const u32 common = l.flags & SHARED ? 1 : 0;
        if (y < common)
            i.matrix = S == DOWN ? &l.shared_down : up ? &l.shared_up : &l.shared_gate;
        else
            i.matrix = S == DOWN ? &l.down : up ? &l.up : &l.gate, i.slot = y - common;
    } else {
        i.matrix = S == OUTPUT ? &l.output : &p.head;
    }
    return i;
}
template <int S>
__device__ __forceinline__ const Rows& rows_of(const Step& p) { return S == OUTPUT ? p.attended : S == DOWN ? p.inner : p.normed; }

// Where a block's terms stand: of each block of the tile and output an integer (two for Q4_K), and each row's factors. ONE token:
// an output's integers and factors side by side.
template <bool ONE>
__device__ __forceinline__ u32 term_bytes(u32 type) {
    return ONE ? (type == Q4_K ? 256 : type == Q6_K ? 128 : 1024)
               : (type == Q4_K ? 2 : type == Q6_K ? 1 : 8) * (PANEL + 1) * 16 * 4;
}

__device__ __forceinline__ Fragment fragment_at(const u8* row, u32 block, u32 t) {
    Fragment f;
#pragma unroll
    for (int i = 0; i < 4; i++) f.q[i] = *(const uint4*)(row + block * 256 + i * 64 + t * 16);
    return f;
}

// One kind of term of a block for a panel: integers [token][row] as floats, then the rows' factors.
__device__ __forceinline__ void put_terms(float* at, const int (&c)[4], float d0, float d1, u32 g, u32 t) {
    *(float2*)(at + (2 * t) * 16 + 2 * g) = make_float2((float)c[0], (float)c[2]);
    *(float2*)(at + (2 * t + 1) * 16 + 2 * g) = make_float2((float)c[1], (float)c[3]);
    if (t == 0) *(float2*)(at + PANEL * 16 + 2 * g) = make_float2(d0, d1);
}

// The terms of the blocks first, first + step, .. of a tile; `row` holds token g's activations in the grain of 256. The next
// block is asked for before this one is used; the first was asked for by the caller.
template <class Block, bool ONE>
__device__ __forceinline__ void coarse_terms(u8* terms, const u8* tile, typename Block::Raw& raw, const u8* row, u32 columns, u32 first, u32 step,
                                             float factor, u32 lane) {
    const u32 g = lane >> 2, t = lane & 3, nb = units(columns), kp = nb * 256;
    const bool q4 = sizeof(typename Block::Raw) == sizeof(RawQ4K);
    const u32 type = q4 ? Q4_K : Q6_K, bytes = block_bytes(type), size = term_bytes<ONE>(type);
    for (u32 b = first; b < nb; b += step) {
        Block block;
        block.take(raw, t);
        if (b + step < nb) raw.load(tile + (u64)(b + step) * bytes, g, t);
        const Fragment x = fragment_at(row, b, t);
        int whole[4], least[4];
        block.integers(whole, least, x, q4 ? *(const u32*)(row + kp + (b * 4 + t) * 4) : 0, lane);
        u8* to = terms + b * size;
        if (ONE) {
            const float by = __fmul_rn(*(const float*)(row + kp + nb * 16 + b * 4), factor);
            if (t == 0 && q4) {
                ((float4*)to)[2 * g] = make_float4((float)whole[0], __fmul_rn(block.d.x, by), (float)least[0], __fmul_rn(-block.least.x, by));
                ((float4*)to)[2 * g + 1] = make_float4((float)whole[2], __fmul_rn(block.d.y, by), (float)least[2], __fmul_rn(-block.least.y, by));
            } else if (t == 0) {
                ((float4*)to)[g] = make_float4((float)whole[0], __fmul_rn(block.d.x, by), (float)whole[2], __fmul_rn(block.d.y, by));
            }
        } else {
            put_terms((float*)to, whole, block.d.x, block.d.y, g, t);
            if (q4) put_terms((float*)to + (PANEL + 1) * 16, least, -block.least.x, -block.least.y, g, t);
        }
    }
}
// The same in the grain of 32.
template <class Block, bool ONE>
__device__ __forceinline__ void fine_terms(u8* terms, const u8* tile, const u8* row, u32 type, u32 columns, u32 first, u32 step, float factor, u32 lane) {
    const u32 g = lane >> 2, t = lane & 3, nb = units(columns), kp = nb * 256, bytes = block_bytes(type), size = term_bytes<ONE>(type);
    for (u32 b = first; b < nb; b += step) {
        const Fragment x = fragment_at(row, b, t);
        const u32 blocks = columns - b * 256 < 256 ? (columns - b * 256) / 32 : 8;
        const u8* w = tile + (u64)b * bytes;
#pragma unroll
        for (int sub = 0; sub < 8; sub++) {
            if (sub >= (int)blocks) break;
            float2 d;
            const Weights4 a = Block::load(w + sub * Block::BYTES, g, t, d);
            int c[4] = {0, 0, 0, 0};
            mma_sub(c, a, x, sub);
            if (ONE) {
                const float by = __fmul_rn(((const float*)(row + kp))[b * 8 + sub], factor);
                if (t == 0)
                    ((float4*)(terms + b * size))[sub * 8 + g] = make_float4((float)c[0], __fmul_rn(d.x, by), (float)c[2], __fmul_rn(d.y, by));
            } else {
                put_terms((float*)(terms + b * size) + sub * (PANEL + 1) * 16, c, d.x, d.y, g, t);
            }
        }
    }
}

// The output of one row and token: all terms from the first to the last, each by fused multiply-add.
template <bool ONE>
__device__ __forceinline__ float chain(const u8* terms, u32 type, u32 columns, u32 row, u32 token, const u8* x, float factor) {
    const u32 nb = units(columns), kp = nb * 256;
    float acc = 0;
    if (ONE && type == Q4_K) {
        const float4* at = (const float4*)terms + row;
#pragma unroll 4
        for (u32 b = 0; b < nb; b++, at += 16) {
            acc = fmaf(at->x, at->y, acc);
            acc = fmaf(at->z, at->w, acc);
        }
    } else if (ONE) {
        const float2* at = (const float2*)terms + row;
        const u32 count = type == Q6_K ? nb : columns / 32;
#pragma unroll 4
        for (u32 b = 0; b < count; b++, at += 16) acc = fmaf(at->x, at->y, acc);
    } else {
        const bool coarse = type <= Q6_K;
        const float* at = (const float*)terms;
        const float* scales = (const float*)(x + kp + (coarse ? nb * 16 : 0));
        const u32 count = coarse ? nb : columns / 32;
#pragma unroll 4
        for (u32 b = 0; b < count; b++) {
            const float by = __fmul_rn(scales[b], factor);
            acc = fmaf(at[token * 16 + row], __fmul_rn(at[PANEL * 16 + row], by), acc);
            at += (PANEL + 1) * 16;
            if (type == Q4_K) {
                acc = fmaf(at[token * 16 + row], __fmul_rn(at[PANEL * 16 + row], by), acc);
                at += (PANEL + 1) * 16;
            }
        }
    }
    return acc;
}

// Plain rows by half warps, as [token][row] of results.
template <int S>
__device__ __forceinline__ void plain_terms(float* results, const Step& p, const Item& item, const Rows& rows, u32 first, u32 tokens, u32 warp,
                                            u32 warps, u32 lane) {
    const Matrix& m = *item.matrix;
    const u8* at = (const u8*)m.at + item.expert * m.expert_bytes;
    const float* x[8];
    float factor[8];
#pragma unroll
    for (u32 i = 0; i < 8; i++) {
        const u32 entry = entry_of(p, item.slot, first + (i < tokens ? i : tokens - 1));
        x[i] = (const float*)((const u8*)rows.plain + row_of<S>(p, entry) * rows.plain_stride);
        factor[i] = factor_of<S>(p, entry);
    }
    for (u32 r = 2 * warp + (lane >> 4); r < 16; r += 2 * warps) {
        const u32 row = item.tile * 16 + r < m.rows ? item.tile * 16 + r : m.rows - 1;
        float sum[8];
        plain_row(sum, at + (u64)row * m.columns * element_bytes(m.type), m.type, m.columns, x, factor, lane);
#pragma unroll
        for (int i = 0; i < 8; i++)
            if ((lane & 15) == (u32)i) results[i * 16 + r] = sum[i];
    }
}
