// From the router's logits to the experts of each token and the tokens of each expert: by one block for few tokens; for many, each
// token's experts are chosen where its logits are made, and a block an expert lists tokens.
#pragma once
#include "layout.cuh"

#define MOST_EXPERTS 256

// Larger first, NaN before all; zero before minus zero.
__device__ __forceinline__ u32 total_order(float v) {
    if (v != v) return 0xffffffffu;
    const u32 b = float_bits(v);
    return b & 0x80000000u ? ~b : b | 0x80000000u;
}
// The same, where zeros of both signs are equal.
__device__ __forceinline__ u32 ordered(float v) { return total_order(v + 0.f); }

// Token t's experts by rank and their weights, by one warp: higher logits first, of equal ones the lower index.
__device__ __forceinline__ void choose(const Step& p, u32 t, u32 lane) {
    const float* logits = (const float*)p.router_logits + t * p.experts;
    float value[MOST_EXPERTS / 32];
    bool free_[MOST_EXPERTS / 32];
    bool finite = true;
#pragma unroll
    for (u32 i = 0; i < MOST_EXPERTS / 32; i++) {
        const u32 e = i * 32 + lane;
        free_[i] = e < p.experts;
        value[i] = free_[i] ? load_l2(logits + e) : 0;
        finite = finite && (float_bits(value[i]) & 0x7f800000u) != 0x7f800000u;
    }
    finite = __ballot_sync(FULL, !finite) == 0;
    float first = 0, sum = 0;
    for (u32 r = 0; r < p.used; r++) {
        // The key's low half makes the lower index win.
        u64 best = 0;
        float mine = 0;
#pragma unroll
        for (u32 i = 0; i < MOST_EXPERTS / 32; i++) {
            const u64 key = free_[i] ? (u64)ordered(value[i]) << 32 | (0xffffu - (i * 32 + lane)) : 0;
            if (key > best) best = key, mine = value[i];
        }
        const u64 own = best;
#pragma unroll
        for (int o = 16; o; o >>= 1) {
            const u64 other = __shfl_xor_sync(FULL, best, o);
            best = other > best ? other : best;
        }
        const u32 expert = 0xffffu - (u32)(best & 0xffffu);
        const float logit = __shfl_sync(FULL, mine, __ffs(__ballot_sync(FULL, own == best)) - 1);
#pragma unroll
        for (u32 i = 0; i < MOST_EXPERTS / 32; i++)
            if (i * 32 + lane == expert) free_[i] = false;
        if (r == 0) first = logit;
        float w = p.flags & SOFTMAX_ON_OUTPUT ? exact_exp(logit - first) : exact_sigmoid(logit);
        sum += w;
        if (!finite) w = bits_float(0x7fc00000u);
        if (lane == 0) {
            ((u32*)p.choices)[t * p.used + r] = expert;
            ((float*)p.choice_weights)[t * p.used + r] = w;
        }
    }
    __syncwarp();
    if (p.flags & SOFTMAX_ON_OUTPUT && lane == 0)
        for (u32 r = 0; r < p.used; r++) ((float*)p.choice_weights)[t * p.used + r] /= sum;
}

// All of it. `shared` has room for 2 * MOST_EXPERTS words. The block's barriers stand between the steps; others read
// its results in later launches.
__device__ __forceinline__ void route(const Step& p, u32* shared, u32 warp, u32 lane) {
    for (u32 t = warp; t < p.tokens; t += WARPS) choose(p, t, lane);
    block_sync();
    const u32 e = threadIdx.x, all = p.tokens * p.used;
    u32 count = 0;
    if (e < p.experts)
        for (u32 i = 0; i < all; i++) count += load_l2((const u32*)p.choices + i) == e;
    if (e < MOST_EXPERTS) shared[e] = count;
    block_sync();
    u32 slot = 0, used = 0;
    for (u32 i = 0; i < p.experts; i++) {
        if (i == e) slot = used;
        used += shared[i] > 0;
    }
    if (threadIdx.x == 0) *slot_word(p, 0) = used;
    if (count) {
        *slot_expert(p, slot) = e;
        *slot_tokens(p, slot) = count;
        u32 n = 0;
        for (u32 i = 0; i < all; i++)
            if (load_l2((const u32*)p.choices + i) == e) *slot_entry(p, slot, n++) = i;
    }
    block_sync();
}

// The same for few tokens (tokens * used up to 32) by one warp: a lane an entry.
__device__ __forceinline__ void route_few(const Step& p, u32 lane) {
    for (u32 t = 0; t < p.tokens; t++) choose(p, t, lane);
    __syncwarp();
    const u32 all = p.tokens * p.used, expert = lane < all ? load_l2((const u32*)p.choices + lane) : 0xffffffffu;
    u32 before = 0, same = 0, earlier = 0, used = 0;
    for (u32 i = 0; i < all; i++) {
        const u32 other = __shfl_sync(FULL, expert, i);
        // Each expert counts once, by its first entry.
        const bool leads = (u32)__ffs(__ballot_sync(FULL, expert == other)) - 1 == i;
        before += leads && other < expert;
        used += leads;
        same += other == expert;
        earlier += other == expert && i < lane;
    }
    if (lane == 0) *slot_word(p, 0) = used;
    if (lane < all) {
        *slot_expert(p, before) = expert;
        *slot_tokens(p, before) = same;
        *slot_entry(p, before, earlier) = lane;
    }
}

// For many tokens: expert e is slot e, and a block lists its entries in order. `shared` has room for WARPS words.
//
// Synchronisation: the warps' counts are written before a barrier and read before the next; others read the list in later launches.
__device__ __forceinline__ void list_slot(const Step& p, u32 e, u32* shared, u32 warp, u32 lane) {
    const u32 all = p.tokens * p.used;
    u32 count = 0;
    for (u32 first = 0; first < all; first += THREADS) {
        const u32 i = first + threadIdx.x;
        const bool mine = i < all && load_l2((const u32*)p.choices + i) == e;
        const u32 votes = __ballot_sync(FULL, mine);
        if (lane == 0) shared[warp] = __popc(votes);
        block_sync();
        u32 at = count + __popc(votes & ((1u << lane) - 1));
        for (u32 w = 0; w < WARPS; w++) {
            at += w < warp ? shared[w] : 0;
            count += shared[w];
        }
        if (mine) *slot_entry(p, e, at) = i;
        block_sync();
    }
    if (threadIdx.x == 0) {
        *slot_expert(p, e) = e;
        *slot_tokens(p, e) = count;
        if (e == 0) *slot_word(p, 0) = p.experts;
    }
}
