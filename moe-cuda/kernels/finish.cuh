// What ends the experts' first halves: their results are quantised by the block that is last to write 256 columns of them.
#pragma once
#include "norm.cuh"
#include "product.cuh"

// Called by a block that has written its columns of unit `unit` (256 columns; `width` in all) for `tokens` tokens of a slot from the
// `first` on, which are chunk number `chunk`; `blocks` blocks write to the unit.
//
// Synchronisation: `inner_float` is written before the block's barrier, a fence and the count, and read after the last count, a
// fence and a barrier, through L2.
__device__ __forceinline__ void finish_unit(const Step& p, const Layer& l, u32 width, u32 slot, u32 unit, u32 blocks, u32 chunk, u32 first, u32 tokens,
                                            u32* shared) {
    const u32 chunks = (p.capacity + PANEL - 1) / PANEL, warp = threadIdx.x >> 5, lane = threadIdx.x & 31;
    __syncthreads();
    if (threadIdx.x == 0) {
        u32* count = counter(p, count_inner(p) + ((slot == ALL ? 0 : slot + 1) * chunks + chunk) * units(p.inner_columns) + unit);
        __threadfence();
        *shared = atomicAdd(count, 1u) + 1 == blocks;
        __threadfence();
        if (*shared) *count = 0;
    }
    __syncthreads();
    if (!*shared) return;
    const u32 column = unit * 256 + lane * 8;
    for (u32 i = first + warp; i < first + tokens; i += blockDim.x / 32) {
        const u32 entry = entry_of(p, slot, i);
        float v[8] = {0, 0, 0, 0, 0, 0, 0, 0};
        if (column < width) load8(v, (const float*)p.inner_float + (u64)entry * p.inner_columns + column);
        quantise_unit(v, l.down_forms & COARSE ? (u8*)p.inner.coarse + entry * p.inner.coarse_stride : 0,
                      l.down_forms & FINE ? (u8*)p.inner.fine + entry * p.inner.fine_stride : 0, width, unit, lane);
    }
}
