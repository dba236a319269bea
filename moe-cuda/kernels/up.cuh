// silu(gate) * up: two warps of a multiprocessor share a tile, one multiplies the gate's, one the other matrix'.
#pragma once
#include "product.cuh"
#include "quantise.cuh"

// After a warp has written its 16 columns: the one that is last in 256 columns quantises them.
//
// Synchronisation: `inner_float` is written before the warp's barrier, a fence and the count, and read after the last count
// and a fence, through L2.
__device__ __forceinline__ void finish_unit(const Step& p, const Layer* l, const Item& item, const Operands& o, u32 tokens, u32 lane) {
    __syncwarp();
    const u32 unit = item.tile / 16, tiles = tiles_of(*item.matrix), width = item.matrix->rows;
    const u32 in_unit = tiles - unit * 16 < 16 ? tiles - unit * 16 : 16;
    u32* count = counter(p, count_inner(p) + (item.slot == ALL ? 0 : item.slot + 1) * units(p.inner_columns) + unit);
    u32 done = 0;
    if (lane == 0) {
        __threadfence();
        done = atomicAdd(count, 1u);
    }
    if (__shfl_sync(FULL, done, 0) + 1 != in_unit) return;
    __threadfence();
    if (lane == 0) *count = 0;
    const u32 column = unit * 256 + lane * 8;
    for (u32 i = 0; i < tokens; i++) {
        const u32 entry = entry_of(p, item.slot, i);
        float v[8] = {0, 0, 0, 0, 0, 0, 0, 0};
        if (column < width) {
            const float4* from = (const float4*)((const float*)p.inner_float + (u64)entry * o.out_stride + column);
            const float4 a = load_l2(from), b = load_l2(from + 1);
            v[0] = a.x, v[1] = a.y, v[2] = a.z, v[3] = a.w, v[4] = b.x, v[5] = b.y, v[6] = b.z, v[7] = b.w;
        }
        quantise_unit(v, l->down_forms & COARSE ? (u8*)p.inner.coarse + entry * p.inner.coarse_stride : 0,
                      l->down_forms & FINE ? (u8*)p.inner.fine + entry * p.inner.fine_stride : 0, width, unit, lane);
    }
}

// The warp of the other matrix hands its results over through shared memory; the gate's warp writes the products.
//
// Synchronisation: the pair's named barrier stands between the writes to `exchange` and the reads, and once more between the
// reads and the next item's writes.
template <int P>
__device__ __forceinline__ void gate_up(float (&acc)[P][4], float* exchange, const Step& p, const Layer* l, const Item& item, const Operands& o,
                                        const Tokens<P>& k, const Place<1>& me) {
    const u32 pair = me.warp % (WARPS / 2), lane = me.lane;
    if (me.warp >= WARPS / 2) {
#pragma unroll
        for (int i = 0; i < P; i++)
#pragma unroll
            for (int j = 0; j < 4; j++) exchange[(i * 4 + j) * 32 + lane] = acc[i][j];
        barrier_of(1 + pair, 64);
        barrier_of(1 + pair, 64);
        return;
    }
    barrier_of(1 + pair, 64);
#pragma unroll
    for (int i = 0; i < P; i++)
#pragma unroll
        for (int j = 0; j < 4; j++) {
            const float g = acc[i][j];
            acc[i][j] = __fmul_rn(__fmul_rn(g, exact_sigmoid(g)), exchange[(i * 4 + j) * 32 + lane]);
        }
    barrier_of(1 + pair, 64);
    store_tile<P>(acc, item, o, k, lane);
    finish_unit(p, l, item, o, k.count, lane);
}
