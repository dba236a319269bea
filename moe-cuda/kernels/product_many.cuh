// Products of many tokens: a warp has two tiles of 16 rows (gate and up: a tile of each) and MANY tokens, and walks all of the
// tiles' blocks from the first to the last. So the chain of fused multiply-adds that moe-kernels computes stays in its registers.
// Weights go from memory to registers, are unpacked once, and are multiplied with panel after panel; activations of 256 columns
// are shared by the block's warps and copied while the columns before are multiplied.
//
// Synchronisation: before columns b are read each thread waits for its own copies of them, then for the block's barrier: all are
// there, and nobody reads columns b - 1 any more, in whose place columns b + BUFFERS - 1 are copied next. What the chunk's tokens
// are is written before that barrier too. After the last columns a barrier stands before results go where activations were, each
// warp's in a place of its own. Each output is written by one warp; where gate and up are multiplied one after the other, that is in
// two launches. Blocks meet in finish_unit alone.
//
// Registers: 128 of 255 hold outputs and a block's integers, so 8 warps are on a multiprocessor, and what hides latencies is that
// panels do not depend on one another.
#pragma once
#include "chunk.cuh"
#include "finish.cuh"
#include "tiles_many.cuh"

typedef float Outputs[2][MANY_PANELS][4];

// FULL_CHUNK: all panels have tokens, so nothing need be asked; else panels are multiplied two by two, as far as there are tokens.
template <class T, bool FULL_CHUNK>
__device__ __forceinline__ void coarse_many(Outputs& acc, const u8* const (&tiles)[2], const Feed<true>& feed, const float* factor, u32 panels, u32 lane) {
    typename T::RawPiece raw[2];
    typename T::Scales scales[2];
    // What a lane reads first of the block that is next.
    const u8* at[2] = {tiles[0] + T::offset(lane >> 2, lane & 3), tiles[1] + T::offset(lane >> 2, lane & 3)};
#pragma unroll
    for (int r = 0; r < 2; r++) {
        hide(at[r]);
        raw[r].load(at[r], 0, lane >> 2, lane & 3);
        scales[r].load(at[r], lane >> 2, lane & 3);
        if (feed.chunk.units > 1) ask_for(tiles[r] + T::BYTES, T::BYTES, lane);
    }
    feed.begin();
#pragma unroll 1
    for (u32 b = 0; b < feed.chunk.units; b++) {
        const u8* x = feed.next(b);
        u32 own = lane;
        hide(own);
        const u32 g = own >> 2, t = own & 3;
        const bool more_blocks = b + 1 < feed.chunk.units;
        int whole[2][MANY_PANELS][4];
        typename T::End ends[2];
        const u32 both[2] = {scales[0].both(), scales[1].both()};
#pragma unroll
        for (int r = 0; r < 2; r++) {
            if (b + 2 < feed.chunk.units) ask_for(at[r] - T::offset(g, t) + 2 * T::BYTES, T::BYTES, own);
#pragma unroll
            for (int k = 0; k < MANY_PANELS; k++) whole[r][k][0] = whole[r][k][1] = whole[r][k][2] = whole[r][k][3] = 0;
        }
#pragma unroll
        for (u32 n = 0; n < T::PIECES; n++) {
            typename T::Piece piece[2];
            // Here and below, so that not more is read ahead than there are registers for.
            __syncwarp();
#pragma unroll
            for (int r = 0; r < 2; r++) {
                piece[r].take(raw[r], both[r], n, own);
                if (n == T::PIECES / 2) ends[r].load(at[r], g, t);
                if (n + 1 < T::PIECES) {
                    raw[r].load(at[r], n + 1, g, t);
                } else {
                    at[r] += T::BYTES;
                    hide(at[r]);
                    if (more_blocks) {
                        raw[r].load(at[r], 0, g, t);
                        scales[r].load(at[r], g, t);
                    }
                }
            }
#pragma unroll
            for (u32 pair = 0; pair < MANY_PANELS; pair += 2) {
                if (!FULL_CHUNK && pair >= panels) break;
                if (FULL_CHUNK && pair) __syncwarp();
#pragma unroll
                for (u32 k = pair; k < pair + 2; k++) {
                    const uint4 v = values_at(x, k, n * 4 / T::PIECES, g, t);
                    piece[0].multiply(whole[0][k], v, n);
                    piece[1].multiply(whole[1][k], v, n);
                }
            }
        }
        const u8* more = x + BUFFER_VALUES;
#pragma unroll
        for (u32 pair = 0; pair < MANY_PANELS; pair += 2) {
            if (!FULL_CHUNK && pair >= panels) break;
#pragma unroll
            for (u32 k = pair; k < pair + 2; k++) {
                const u32 sums = *(const u32*)(more + (k * PANEL + g) * 16 + 4 * t);
                const float2 scale = *(const float2*)(more + MANY * 16 + (k * PANEL + 2 * t) * 4), f = *(const float2*)(factor + k * PANEL + 2 * t);
                const float2 by = make_float2(__fmul_rn(scale.x, f.x), __fmul_rn(scale.y, f.y));
                ends[0].add(acc[0][k], whole[0][k], by, sums);
                ends[1].add(acc[1][k], whole[1][k], by, sums);
            }
        }
    }
}
// The same in the grain of 32, of which the last 256 columns may have fewer than eight blocks.
template <class T, bool FULL_CHUNK>
__device__ __forceinline__ void fine_many(Outputs& acc, const u8* const (&tiles)[2], const Feed<false>& feed, const float* factor, u32 panels, u32 columns,
                                          u32 lane) {
    u32 left = columns / 32;
    // Blocks in turn; two are asked for ahead.
    typename T::Raw raw[2][2];
    const u8* at[2] = {tiles[0], tiles[1]};
#pragma unroll
    for (int r = 0; r < 2; r++) {
        hide(at[r]);
        raw[0][r].load(tiles[r], lane >> 2, lane & 3);
        if (left > 1) raw[1][r].load(tiles[r] + T::BYTES, lane >> 2, lane & 3);
        if (left > 8) ask_for(tiles[r] + 8 * T::BYTES, (left < 16 ? left - 8 : 8) * T::BYTES, lane);
    }
    feed.begin();
#pragma unroll 1
    for (u32 b = 0; left > 0; b++) {
        const u8* x = feed.next(b);
        u32 own = lane;
        hide(own);
        const u32 g = own >> 2, t = own & 3;
#pragma unroll
        for (int r = 0; r < 2; r++)
            if (left > 16) ask_for(at[r] + 16 * T::BYTES, (left < 24 ? left - 16 : 8) * T::BYTES, own);
#pragma unroll
        for (u32 n = 0; n < 8; n++) {
            if (n >= left) break;
            Weights4 w[2];
            float2 d[2];
#pragma unroll
            for (int r = 0; r < 2; r++) {
                w[r] = raw[n & 1][r].weights();
                d[r] = raw[n & 1][r].scales();
                if (n + 2 < left) raw[n & 1][r].load(at[r] + (n + 2) * T::BYTES, g, t);
            }
            const u8* scales = x + BUFFER_VALUES + n * MANY * 4;
#pragma unroll
            for (u32 pair = 0; pair < MANY_PANELS; pair += 2) {
                if (!FULL_CHUNK && pair >= panels) break;
#pragma unroll
                for (u32 k = pair; k < pair + 2; k++) {
                    const uint4 v = values_at(x, k, n >> 1, g, t);
                    const float2 scale = *(const float2*)(scales + (k * PANEL + 2 * t) * 4), f = *(const float2*)(factor + k * PANEL + 2 * t);
                    const float2 by = make_float2(__fmul_rn(scale.x, f.x), __fmul_rn(scale.y, f.y));
#pragma unroll
                    for (int r = 0; r < 2; r++) {
                        int c[4];
                        mma_from(c, FLOAT_BITS, w[r].a0, w[r].a1, w[r].a2, w[r].a3, n & 1 ? v.z : v.x, n & 1 ? v.w : v.y);
                        const float whole[4] = {float_of(c[0]), float_of(c[1]), float_of(c[2]), float_of(c[3])};
                        add_term(acc[r][k], whole, d[r], by);
                    }
                }
            }
        }
        left -= left < 8 ? left : 8;
#pragma unroll
        for (int r = 0; r < 2; r++) {
            at[r] += 8 * T::BYTES;
            hide(at[r]);
        }
    }
}

// Plain rows of a tile, by half warps and panels.
__device__ __forceinline__ void plain_many(const Matrix& m, const u8* matrix, u32 tile, const Chunk& chunk, u32 lane) {
#pragma unroll 1
    for (u32 first = 0; first < chunk.tokens; first += PANEL) {
        const float* rows[PANEL];
        float factor[PANEL];
#pragma unroll
        for (u32 i = 0; i < PANEL; i++) {
            rows[i] = (const float*)chunk.row[first + i];
            factor[i] = chunk.factor[first + i];
        }
#pragma unroll 1
        for (u32 r = lane >> 4; r < 16; r += 2) {
            const u32 row = tile * 16 + r, last = row < m.rows ? row : m.rows - 1;
            float sum[PANEL];
            plain_row(sum, matrix + (u64)last * m.columns * element_bytes(m.type), m.type, m.columns, rows, factor, lane);
#pragma unroll
            for (u32 i = 0; i < PANEL; i++)
                if ((lane & 15) == i && first + i < chunk.tokens) chunk.to.put(chunk.entry[first + i], row, sum[i]);
        }
    }
}

// Which matrix and which of its tiles a block has, `share` tiles a block: of queries, keys and values each has its own blocks.
__device__ __forceinline__ Item share_of(const Step& p, const Layer& l, u32 stage, bool is_common, u32 index, u32 share) {
    Item item = {0, ALL, 0, 0, 0};
    if (stage == QKV) {
        const u32 q = (tiles_of(l.query) + share - 1) / share, k = (tiles_of(l.key) + share - 1) / share;
        item.matrix = index < q ? &l.query : index < q + k ? &l.key : &l.value;
        item.column = index < q ? 0 : index < q + k ? l.query.rows : l.query.rows + l.key.rows;
        index = index < q ? index : index < q + k ? index - q : index - q - k;
    } else if (stage == UP) {
        item.matrix = is_common ? &l.shared_gate : &l.gate;
    } else if (stage == DOWN) {
        item.matrix = is_common ? &l.shared_down : &l.down;
    } else {
        item.matrix = stage == OUTPUT ? &l.output : &p.head;
    }
    item.tile = index * share;
    return item;
}

// A warp's two tiles; of gate and up the same tile of each. Beyond the last tile it does the last one's work again and writes nothing.
struct Tiles {
    u32 first, second;
    bool is_any;
    __device__ __forceinline__ Tiles(const Chunk& chunk, u32 warp, bool gated) {
        const u32 mine = chunk.tile + (gated ? warp : 2 * warp), last = chunk.last;
        is_any = mine <= last;
        first = is_any ? mine : last;
        second = gated || first == last ? first : first + 1;
    }
};
// Writes a warp's outputs by way of shared memory, which nobody else uses: half of the panels at a time, [tile][token][row].
__device__ __forceinline__ void put_outputs(const Outputs& acc, const Chunk& chunk, float* results, const Tiles& tiles, u32 lane) {
    const u32 g = lane >> 2, t = lane & 3, row = lane & 15;
#pragma unroll
    for (u32 half = 0; half < 2; half++) {
#pragma unroll
        for (u32 r = 0; r < 2; r++)
#pragma unroll
            for (u32 k = 0; k < MANY_PANELS / 2; k++)
#pragma unroll
                for (u32 j = 0; j < 2; j++) {
                    const float(&v)[4] = acc[r][half * MANY_PANELS / 2 + k];
                    *(float2*)(results + (r * MANY / 2 + k * PANEL + 2 * t + j) * 16 + 2 * g) = make_float2(v[j], v[2 + j]);
                }
        __syncwarp();
        for (u32 i = lane >> 4; i < MANY / 2 && half * MANY / 2 + i < chunk.tokens; i += 2) {
            const u32 entry = chunk.entry[half * MANY / 2 + i];
            const float one = results[i * 16 + row], two = results[(MANY / 2 + i) * 16 + row];
            if (tiles.is_any) chunk.to.put(entry, tiles.first * 16 + row, chunk.fused ? Destination::gated(one, two) : one);
            if (tiles.second > tiles.first) chunk.to.put(entry, tiles.second * 16 + row, two);
        }
        __syncwarp();
    }
}

// x: chunks of MANY tokens, first of what all tokens go through, then of the slots'; y: shares of the matrix' tiles. T says which
// types of weights: blocks whose matrix is of another have nothing to do. Gate and up of one packed type go through at once;
// others one after the other, in launches that differ in `pass`.
template <class T>
__device__ __forceinline__ void many_block(const Step& p, const Layer& l, u32 stage, u32 pass, u8* memory) {
    u32 warps = blockDim.x / 32;
    hide(warps);
    const u32 warp = threadIdx.x >> 5, lane = threadIdx.x & 31;
    Chunk& chunk = *(Chunk*)(memory + BUFFERS * BUFFER_BYTES);
    const u32 all = stage == HEAD ? p.wanted : p.tokens, chunks = (all + MANY - 1) / MANY;
    const u32 common = (stage == UP || stage == DOWN) && !(l.flags & SHARED) ? 0 : chunks;
    const bool is_common = blockIdx.x < common;
    Item item = share_of(p, l, stage, is_common, blockIdx.y, stage == UP ? warps : 2 * warps);
    const Matrix& up = stage != UP ? *item.matrix : is_common ? l.shared_up : l.up;
    const bool fused = stage == UP && item.matrix->type == up.type && is_packed(up.type);
    const Matrix& m = pass ? up : *item.matrix;
    const Matrix& second = fused ? up : m;
    if (item.tile >= tiles_of(m) || !T::takes(m.type) || (pass && fused)) return;
    allow_next();
    wait_for_last();
    u32 number = blockIdx.x, count = all;
    if (!is_common) {
        if (!find_chunk(p, blockIdx.x - common, item.slot, number, lane)) return;
        item.expert = load_l2(slot_expert(p, item.slot));
        count = load_l2(slot_tokens(p, item.slot));
    }
    const u32 first = number * MANY, tokens = count - first < MANY ? count - first : MANY;
    const Rows& rows = stage == OUTPUT ? p.attended : stage == DOWN ? p.inner : p.normed;
    for (u32 i = threadIdx.x; i < MANY; i += blockDim.x) {
        const u32 entry = entry_of(p, item.slot, first + (i < tokens ? i : tokens - 1));
        chunk.entry[i] = entry;
        chunk.row[i] = T::row(rows, stage == DOWN ? row_of<DOWN>(p, entry) : row_of<UP>(p, entry));
        chunk.factor[i] = stage == UP ? factor_of<UP>(p, entry) : 1.f;
    }
    if (threadIdx.x == 0) {
        chunk.to = Destination{(float*)(stage == QKV ? p.qkv : stage == OUTPUT ? p.attn_out : stage == UP ? p.inner_float : stage == DOWN ? p.mixed : p.logits),
                               stage == QKV ? qkv_columns(p) : stage == UP ? p.inner_columns : stage == HEAD ? p.vocab : p.hidden, item.column, m.rows, pass > 0};
        chunk.slot = item.slot, chunk.first = first, chunk.tokens = tokens, chunk.number = number;
        chunk.tile = item.tile, chunk.last = tiles_of(m) - 1, chunk.fused = fused;
        const u32 left = tiles_of(m) - item.tile / 16 * 16;
        chunk.writers = ((left < 16 ? left : 16) + warps - 1) / warps;
        chunk.units = units(m.columns), chunk.copied = (tokens + PANEL - 1) / PANEL * PANEL;
    }
    block_sync();
    const u8* matrix = (const u8*)m.at + item.expert * m.expert_bytes;
    const Tiles mine(chunk, warp, stage == UP);
    if (!is_packed(m.type)) {
        if (mine.is_any) plain_many(m, matrix, mine.first, chunk, lane);
        if (mine.second > mine.first) plain_many(m, matrix, mine.second, chunk, lane);
    } else {
        const u8* const tiles[2] = {matrix + mine.first * tile_bytes(m), (const u8*)second.at + item.expert * second.expert_bytes + mine.second * tile_bytes(m)};
        Outputs acc;
#pragma unroll
        for (int r = 0; r < 2; r++)
#pragma unroll
            for (int k = 0; k < MANY_PANELS; k++) acc[r][k][0] = acc[r][k][1] = acc[r][k][2] = acc[r][k][3] = 0;
        T::multiply(acc, tiles, memory, chunk, m.columns, (tokens + PANEL - 1) / PANEL, lane);
        block_sync();
        put_outputs(acc, chunk, (float*)memory + warp * MANY * 16, Tiles(chunk, warp, stage == UP), lane);
    }
    if (stage != UP || (!chunk.fused && !pass)) return;
    finish_unit(p, l, chunk.to.rows, chunk.slot, chunk.tile / 16, chunk.writers, chunk.number, chunk.first, chunk.tokens, &chunk.flag);
}

template <class T>
struct Coarse {
    static __device__ __forceinline__ const u8* row(const Rows& rows, u32 row) { return (const u8*)rows.coarse + (u64)row * rows.coarse_stride; }
    static __device__ __forceinline__ bool takes(u32 type) { return type == T::TYPE; }
    static __device__ __forceinline__ void multiply(Outputs& acc, const u8* const (&tiles)[2], u8* memory, const Chunk& chunk, u32 columns, u32 panels,
                                                    u32 lane) {
        const Feed<true> feed = {memory, chunk};
        if (panels == MANY_PANELS)
            coarse_many<T, true>(acc, tiles, feed, chunk.factor, panels, lane);
        else
            coarse_many<T, false>(acc, tiles, feed, chunk.factor, panels, lane);
    }
};
template <class T>
struct Fine {
    static __device__ __forceinline__ const u8* row(const Rows& rows, u32 row) { return (const u8*)rows.fine + (u64)row * rows.fine_stride; }
    static __device__ __forceinline__ bool takes(u32 type) { return type == T::TYPE; }
    static __device__ __forceinline__ void multiply(Outputs& acc, const u8* const (&tiles)[2], u8* memory, const Chunk& chunk, u32 columns, u32 panels,
                                                    u32 lane) {
        const Feed<false> feed = {memory, chunk};
        if (panels == MANY_PANELS)
            fine_many<T, true>(acc, tiles, feed, chunk.factor, panels, columns, lane);
        else
            fine_many<T, false>(acc, tiles, feed, chunk.factor, panels, columns, lane);
    }
};
struct Plain {
    static __device__ __forceinline__ const u8* row(const Rows& rows, u32 row) { return (const u8*)rows.plain + (u64)row * rows.plain_stride; }
    static __device__ __forceinline__ bool takes(u32 type) { return !is_packed(type); }
    static __device__ __forceinline__ void multiply(Outputs&, const u8* const (&)[2], u8*, const Chunk&, u32, u32, u32) {}
};
