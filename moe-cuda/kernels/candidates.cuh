// The best KEPT logits of each token, in order, with the sum of exponentials relative to the largest and whether all are finite.
//
// Chunks of CHUNK logits are the same whatever the batch; a warp takes one. Then a block a token puts chunks together.
#pragma once
#include "norm.cuh"
#include "route.cuh"

// Descending by value, of equal ones the lower index first.
__device__ __forceinline__ u64 candidate(float v, u32 index) { return (u64)total_order(v) << 32 | (0xffffffffu - index); }
__device__ __forceinline__ u64 exchange(u64 v, u32 lane, u32 distance, bool descending) {
    const u64 other = __shfl_xor_sync(FULL, v, distance);
    const bool lower = (lane & distance) == 0;
    const bool larger = lower == descending;
    return larger ? (other > v ? other : v) : (other < v ? other : v);
}
__device__ __forceinline__ u64 sort_descending(u64 v, u32 lane) {
#pragma unroll
    for (u32 size = 2; size <= 32; size <<= 1)
#pragma unroll
        for (u32 distance = size / 2; distance; distance >>= 1) v = exchange(v, lane, distance, (lane & size) == 0);
    return v;
}
// The 32 largest of two descending lists, descending.
__device__ __forceinline__ u64 merge(u64 a, u64 b, u32 lane) {
    const u64 turned = __shfl_sync(FULL, b, 31 - lane);
    u64 v = turned > a ? turned : a;
#pragma unroll
    for (u32 distance = 16; distance; distance >>= 1) v = exchange(v, lane, distance, true);
    return v;
}

__device__ __forceinline__ void chunk_candidates(const Step& p, u32 t, u32 chunk, u32 lane) {
    const float* logits = (const float*)p.logits + (u64)t * p.vocab;
    float v[CHUNK / 32];
    float most = bits_float(0xff800000u), sum = 0;
    bool finite = true;
#pragma unroll
    for (u32 i = 0; i < CHUNK / 32; i++) {
        const u32 index = chunk * CHUNK + i * 32 + lane;
        v[i] = index < p.vocab ? load_l2(logits + index) : bits_float(0xff800000u);
        finite = finite && (index >= p.vocab || (float_bits(v[i]) & 0x7f800000u) != 0x7f800000u);
        most = fmaxf(most, v[i]);
    }
#pragma unroll
    for (int o = 16; o; o >>= 1) most = fmaxf(most, __shfl_xor_sync(FULL, most, o));
#pragma unroll
    for (u32 i = 0; i < CHUNK / 32; i++) sum += __expf(v[i] - most);
    sum = sum_of_warp(sum);
    finite = __ballot_sync(FULL, !finite) == 0;
    u64 best = 0;
#pragma unroll 1
    for (u32 i = 0; i < CHUNK / 32; i++) {
        float mine = v[0];
#pragma unroll
        for (u32 j = 1; j < CHUNK / 32; j++) mine = j == i ? v[j] : mine;
        const u32 index = chunk * CHUNK + i * 32 + lane;
        const u64 key = index < p.vocab ? candidate(mine, index) : 0;
        const u64 least = __shfl_sync(FULL, best, 31);
        if (__ballot_sync(FULL, key > least)) best = merge(best, sort_descending(key, lane), lane);
    }
    ((u64*)p.chunk_candidates)[((u64)t * p.chunks + chunk) * KEPT + lane] = best;
    if (lane == 0) ((float4*)p.chunk_sums)[t * p.chunks + chunk] = make_float4(most, sum, finite ? 1.f : 0.f, 0.f);
}

// `shared` has room for WARPS * KEPT keys.
__device__ __forceinline__ void token_candidates(const Step& p, u32 t, u64* shared, u32 warp, u32 lane) {
    const u64* lists = (const u64*)p.chunk_candidates + (u64)t * p.chunks * KEPT;
    const float4* sums = (const float4*)p.chunk_sums + t * p.chunks;
    u64 best = 0;
    for (u32 c = warp; c < p.chunks; c += WARPS * 8) {
        // Eight lists at once, all asked for before the first is used.
        u64 list[8];
#pragma unroll
        for (u32 i = 0; i < 8; i++) list[i] = c + i * WARPS < p.chunks ? lists[(u64)(c + i * WARPS) * KEPT + lane] : 0;
#pragma unroll
        for (u32 i = 0; i < 8; i++)
            if (__shfl_sync(FULL, list[i], 0) > __shfl_sync(FULL, best, 31)) best = merge(best, list[i], lane);
    }
    shared[warp * KEPT + lane] = best;
    block_sync();
    if (warp == 0) {
        for (u32 w = 1; w < WARPS; w++) best = merge(best, shared[w * KEPT + lane], lane);
        ((u64*)p.candidates)[t * KEPT + lane] = best;
        float most = bits_float(0xff800000u), sum = 0;
        bool finite = true;
        for (u32 c = lane; c < p.chunks; c += 32) most = fmaxf(most, sums[c].x);
#pragma unroll
        for (int o = 16; o; o >>= 1) most = fmaxf(most, __shfl_xor_sync(FULL, most, o));
        for (u32 c = lane; c < p.chunks; c += 32) {
            const float4 s = sums[c];
            sum = fmaf(__expf(s.x - most), s.y, sum);
            finite = finite && s.z != 0;
        }
        sum = sum_of_warp(sum);
        finite = __ballot_sync(FULL, !finite) == 0;
        if (lane == 0) ((float2*)p.sums)[t] = make_float2(sum, finite ? 1.f : 0.f);
    }
    block_sync();
}
