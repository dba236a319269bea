// Each warp streams its own weights: a ring of slots in shared memory, one slot for a block of a tile, filled by asynchronous
// copies that run ahead of the products, over the ends of stages too, since which weights come next does not depend on
// results (but for routed experts, which wait for the router). So memory does not stand still where stages meet.
//
// Synchronisation: slot s is written by the copy engine and read by this warp alone. It is read after mbarrier full[s] has
// completed in the use's phase; it is refilled by the same warp after __syncwarp(), which orders all lanes' reads before.
// No other warp touches it.
#pragma once
#include "layout.cuh"

struct Ring {
    u8* slots;
    u64* full;
    u32 slot_bytes, count, take, parity;
    // Of lane 0: slots filled and not yet taken, the next to fill, and what comes next of the tile that is fetched.
    u32 ahead, fill, left, bytes, last_bytes, stride;
    const u8* at;

    __device__ __forceinline__ void init(u8* s, u64* f, u32 bytes_, u32 n, u32 lane) {
        slots = s;
        full = f;
        slot_bytes = bytes_;
        count = n;
        ahead = fill = take = parity = left = 0;
        if (lane == 0)
            for (u32 i = 0; i < n; i++) mbarrier_init(f + i, COPY_ARRIVALS);
        mbarrier_init_fence();
        __syncwarp();
    }
    // By lane 0, where there is a slot and something left.
    __device__ __forceinline__ void went() {
        fill = fill + 1 == count ? 0 : fill + 1;
        ahead++;
        left--;
        at += stride;
    }
    __device__ __forceinline__ const u8* wait() {
        mbarrier_wait(full + take, parity);
        return slots + take * slot_bytes;
    }
    __device__ __forceinline__ void release() {
        __syncwarp();
        take++;
        if (take == count) take = 0, parity ^= 1;
        ahead--;
    }
};

// Bytes of 256 columns of a tile, and of what is left of a row that ends earlier.
__device__ __forceinline__ u32 stage_bytes(u32 type, u32 columns) {
    return type == Q4_K ? 2304 : type == Q6_K ? 3360 : (type == Q8_0 ? 544 : 272) * (columns < 256 ? columns / 32 : 8);
}
__device__ __forceinline__ bool is_packed(u32 type) { return type >= Q4_K && type <= MXFP4; }
__device__ __forceinline__ u64 tile_bytes(u32 type, u32 columns) {
    const u32 whole = columns / 256, rest = columns % 256;
    return (u64)whole * stage_bytes(type, 256) + (rest ? stage_bytes(type, rest) : 0);
}
