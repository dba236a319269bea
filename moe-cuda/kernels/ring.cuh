// Weights stream through rings in shared memory: each warp has one, of slots that hold a block of a tile. One more warp, the
// producer, fills them by asynchronous copies, ahead of the products and over the ends of stages, since which weights come next
// does not depend on results (but for routed experts, which wait for the router). So memory does not stand still where stages
// meet.
//
// Synchronisation: slot s is written by copies that the producer asks for, and read by its warp alone. It is read after
// mbarrier full[s] has completed in the use's phase. It is refilled after empty[s] has: the warp's lane 0 arrives there after
// __syncwarp(), which orders all lanes' reads before.
#pragma once
#include "layout.cuh"

struct Ring {
    u8* slots;
    u64 *full, *empty;
    u32 slot_bytes, count, take, parity;

    __device__ __forceinline__ const u8* wait() const {
        mbarrier_wait(full + take, parity);
        return slots + take * slot_bytes;
    }
    __device__ __forceinline__ void release(u32 lane) {
        __syncwarp();
        if (lane == 0) mbarrier_arrive(empty + take);
        if (++take == count) take = 0, parity ^= 1;
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
