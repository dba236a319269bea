// The residual sum, RMSNorm, quantising, and the router: what stands between two products.
#pragma once
#include "plain.cuh"
#include "quantise.cuh"
#include "route.cuh"

#define NORM_UNITS (32 / WARPS)
// Words of shared memory: sums, a flag, and route's.
#define NORM_WORDS (32 + 1 + 2 * MOST_EXPERTS)

// The sum of units' sums, from the first unit to the last, however many warps there are. `shared` has room for 32 floats; it
// may be used again at once.
__device__ __forceinline__ float sum_of_units(const float (&v)[NORM_UNITS], float* shared, u32 warp, u32 lane) {
#pragma unroll
    for (int i = 0; i < NORM_UNITS; i++) {
        const float sum = sum_of_warp(v[i]);
        if (lane == 0) shared[i * WARPS + warp] = sum;
    }
    block_sync();
    const float sum = sum_of_warp(shared[lane]);
    block_sync();
    return sum;
}
__device__ __forceinline__ void load8(float* v, const float* at) {
    const float4 a = load_l2((const float4*)at), b = load_l2((const float4*)at + 1);
    v[0] = a.x, v[1] = a.y, v[2] = a.z, v[3] = a.w, v[4] = b.x, v[5] = b.y, v[6] = b.z, v[7] = b.w;
}
__device__ __forceinline__ void store8(float* at, const float* v) {
    *(float4*)at = make_float4(v[0], v[1], v[2], v[3]);
    *((float4*)at + 1) = make_float4(v[4], v[5], v[6], v[7]);
}

// Token t for `stage`: the residual stream plus what the stage before gave (attention's output, or the experts' outputs, added up
// as moe-kernels does), normed. Warp w has the units w, w + WARPS, .. and quantises those that are `block`'s of `blocks`; block 0
// stores the stream. Normed floats are left in `v`, and go to p.normed if wanted. All loads are asked for before the first is used.
__device__ __forceinline__ void norm_token(float (&v)[NORM_UNITS][8], const Step& p, u32 stage, u32 before, const float* weight, u32 forms, u32 t, u32 block, u32 blocks,
                                           float* shared, u32 warp, u32 lane) {
    const bool odd = stage == UP;
    // Only the wanted tokens reach the head.
    const u32 from = stage == HEAD ? ((const u32*)p.picks)[t] : t;
    const float* x = (const float*)p.x[odd] + (u64)from * p.hidden;
    float* to = (float*)p.x[!odd] + (u64)from * p.hidden;
    const float* first = 0;
    const float* second = 0;
    u32 ranks = 0;
    const float* mixed = (const float*)p.mixed;
    if (odd) {
        first = (const float*)p.attn_out + (u64)from * p.hidden;
    } else {
        if (before & SHARED) first = mixed + (u64)from * p.hidden;
        if (before & ROUTED) second = mixed + (u64)(p.tokens + from * p.used) * p.hidden, ranks = p.used;
    }
    const bool scaled = p.flags & SOFTMAX_ON_OUTPUT;
    const float* by = (const float*)p.choice_weights + from * p.used;
    float d[NORM_UNITS][8], e[NORM_UNITS][8], w[NORM_UNITS][8], squares[NORM_UNITS];
#pragma unroll
    for (int i = 0; i < NORM_UNITS; i++) {
        const u32 column = (i * WARPS + warp) * 256 + lane * 8;
#pragma unroll
        for (int j = 0; j < 8; j++) v[i][j] = d[i][j] = e[i][j] = w[i][j] = 0;
        if (column < p.hidden) {
            load8(v[i], x + column);
            load8(w[i], weight + column);
            if (first) load8(d[i], first + column);
            if (second) load8(e[i], second + column);
        }
    }
#pragma unroll
    for (int i = 0; i < NORM_UNITS; i++) {
        const u32 column = (i * WARPS + warp) * 256 + lane * 8;
        for (u32 r = 0; r < ranks; r++) {
            if (r && column < p.hidden) load8(e[i], second + r * p.hidden + column);
            const float weight_of = scaled ? load_l2(by + r) : 1.f;
#pragma unroll
            for (int j = 0; j < 8; j++) d[i][j] = __fadd_rn(d[i][j], __fmul_rn(e[i][j], weight_of));
        }
        squares[i] = 0;
#pragma unroll
        for (int j = 0; j < 8; j++) {
            if (odd || before) v[i][j] = __fadd_rn(v[i][j], d[i][j]);
            squares[i] = fmaf(v[i][j], v[i][j], squares[i]);
        }
        if (block == 0 && column < p.hidden) store8(to + column, v[i]);
    }
    const float scale = 1.f / sqrtf(sum_of_units(squares, shared, warp, lane) / (float)p.hidden + p.eps);
#pragma unroll
    for (int i = 0; i < NORM_UNITS; i++) {
        const u32 unit = i * WARPS + warp, column = unit * 256 + lane * 8;
        if (unit * 256 >= p.hidden) break;
#pragma unroll
        for (int j = 0; j < 8; j++) v[i][j] = v[i][j] * scale * w[i][j];
        if (unit % blocks != block) continue;
        if (forms & FLOAT && column < p.hidden) store8((float*)((u8*)p.normed.plain + t * p.normed.plain_stride) + column, v[i]);
        quantise_unit(v[i], forms & COARSE ? (u8*)p.normed.coarse + t * p.normed.coarse_stride : 0,
                      forms & FINE ? (u8*)p.normed.fine + t * p.normed.fine_stride : 0, p.hidden, unit, lane);
    }
}

// Eight elements of a plain row, from a multiple of eight on.
__device__ __forceinline__ void elements8(float* w, const u8* row, u32 type, u32 column) {
    if (type == F32) return load8(w, (const float*)row + column);
    const uint4 q = load_l2((const uint4*)((const u16*)row + column));
    const u32 words[4] = {q.x, q.y, q.z, q.w};
#pragma unroll
    for (int j = 0; j < 4; j++) {
        const float2 f = type == F16 ? halves(words[j]) : make_float2(bits_float(words[j] << 16), bits_float(words[j] & 0xffff0000u));
        w[2 * j] = f.x, w[2 * j + 1] = f.y;
    }
}

// A router's row of weights as the block holds normed values.
__device__ __forceinline__ void load_router(float (&w)[NORM_UNITS][8], const Matrix& m, u32 expert, u32 warp, u32 lane) {
    const u8* row = (const u8*)m.at + (u64)expert * m.columns * element_bytes(m.type);
#pragma unroll
    for (int i = 0; i < NORM_UNITS; i++) {
        const u32 column = (i * WARPS + warp) * 256 + lane * 8;
#pragma unroll
        for (int j = 0; j < 8; j++) w[i][j] = 0;
        if (column < m.columns) elements8(w[i], row, m.type, column);
    }
}

// A norm and, before experts, the router: block x of token y; experts go round the blocks. `memory` has room for NORM_WORDS words.
//
// Synchronisation: logits are written before the block's barrier, a fence and the count; the block that counts last reads them
// after a fence and a barrier, through L2. With more than FEW tokens a block has a token of its own, and reads its own logits after
// its barrier.
__device__ __forceinline__ void norm_block(const Step& p, const Layer& l, u32 stage, u32 before, float* memory) {
    const u32 warp = threadIdx.x >> 5, lane = threadIdx.x & 31, t = blockIdx.y, block = blockIdx.x, blocks = gridDim.x;
    const bool routes = stage == UP && (l.flags & ROUTED);
    u32* words = (u32*)memory + 32;
    float v[NORM_UNITS][8], w[NORM_UNITS][8];
    const float* weight = (const float*)(stage == QKV ? l.attn_norm : stage == UP ? l.ffn_norm : p.final_norm);
    const u32 forms = stage == QKV ? l.qkv_forms : stage == UP ? l.up_forms : p.head_forms;
    if (threadIdx.x < 32) memory[threadIdx.x] = 0;
    block_sync();
    if (routes && block < p.experts) load_router(w, l.router, block, warp, lane);
    wait_for_last();
    norm_token(v, p, stage, before, weight, forms, t, block, blocks, memory, warp, lane);
    if (!routes) return;
    for (u32 e = block; e < p.experts; e += blocks) {
        float sums[NORM_UNITS];
#pragma unroll
        for (int i = 0; i < NORM_UNITS; i++) {
            sums[i] = 0;
#pragma unroll
            for (int j = 0; j < 8; j++) sums[i] = fmaf(w[i][j], v[i][j], sums[i]);
        }
        if (e + blocks < p.experts) load_router(w, l.router, e + blocks, warp, lane);
        const float sum = sum_of_units(sums, memory, warp, lane);
        if (threadIdx.x == 0) ((float*)p.router_logits)[t * p.experts + e] = sum;
    }
    if (p.tokens > FEW) {
        // The block has all of its token's logits.
        block_sync();
        if (warp == 0) choose(p, t, lane);
        return;
    }
    if (threadIdx.x == 0) {
        __threadfence();
        *words = atomicAdd(counter(p, COUNT_ROUTER), 1u) + 1 == blocks * gridDim.y;
        __threadfence();
        if (*words) *counter(p, COUNT_ROUTER) = 0;
    }
    block_sync();
    if (!*words) return;
    if (p.tokens * p.used > 32)
        route(p, words + 1, warp, lane);
    else if (warp == 0)
        route_few(p, lane);
}
