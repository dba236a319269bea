// Rope, KV write, and attention of one new token per sequence over paged KV (kv.cuh), in splits of SPLIT positions.
//
// A split is the same positions whatever the batch, and the splits of a token are put together in rising order, so a token's
// result does not depend on its neighbours. Inside a split a warp takes PART positions at a time, each half of it every second
// one, and each lane HEAD_DIM / 16 of a head's values; so the order does not depend on how many warps there are.
#pragma once
#include "kv.cuh"
#include "quantise.cuh"

#define PARTS (SPLIT / PART)

__device__ __forceinline__ float sum_of_half(float v) {
#pragma unroll
    for (int o = 8; o; o >>= 1) v += __shfl_xor_sync(FULL, v, o);
    return v;
}
// One head's values in half a warp: normed and turned as the layer wants, times `scale`.
__device__ __forceinline__ void prepare(float (&v)[LANE_DIMS], const Step& p, const Layer* l, const float* weight, u32 t, float scale, u32 lane) {
    const u32 l16 = lane & 15;
    if (p.flags & NORM_WEIGHTED) {
        float s = 0;
#pragma unroll
        for (int j = 0; j < LANE_DIMS; j++) s = fmaf(v[j], v[j], s);
        s = 1.f / sqrtf(sum_of_half(s) / HEAD_DIM + p.eps);
#pragma unroll
        for (int j = 0; j < LANE_DIMS; j++) v[j] = v[j] * s * weight[l16 * LANE_DIMS + j];
    }
    if (l->flags & ROPE) {
        const float2* turns = (const float2*)p.rope + t * (HEAD_DIM / 2);
        if (p.flags & ROPE_HALVES) {
            // The other value of a pair is eight lanes away.
#pragma unroll
            for (int j = 0; j < LANE_DIMS; j++) {
                const float2 r = turns[(l16 & 7) * LANE_DIMS + j];
                const float other = __shfl_xor_sync(FULL, v[j], 8);
                v[j] = l16 < 8 ? v[j] * r.x - other * r.y : other * r.y + v[j] * r.x;
            }
        } else {
#pragma unroll
            for (int j = 0; j < LANE_DIMS; j += 2) {
                const float2 r = turns[l16 * (LANE_DIMS / 2) + j / 2];
                const float a = v[j], b = v[j + 1];
                v[j] = a * r.x - b * r.y;
                v[j + 1] = a * r.y + b * r.x;
            }
        }
        if (p.flags & NORM_PLAIN) {
            float s = 0;
#pragma unroll
            for (int j = 0; j < LANE_DIMS; j++) s = fmaf(v[j], v[j], s);
            s = 1.f / sqrtf(sum_of_half(s) / HEAD_DIM + p.eps);
#pragma unroll
            for (int j = 0; j < LANE_DIMS; j++) v[j] *= s;
        }
    }
#pragma unroll
    for (int j = 0; j < LANE_DIMS; j++) v[j] *= scale;
}
__device__ __forceinline__ void load_head(float (&v)[LANE_DIMS], const float* at, u32 lane) {
#if LANE_DIMS >= 4
#pragma unroll
    for (int j = 0; j < LANE_DIMS; j += 4) {
        const float4 f = load_l2((const float4*)(at + (lane & 15) * LANE_DIMS + j));
        v[j] = f.x, v[j + 1] = f.y, v[j + 2] = f.z, v[j + 3] = f.w;
    }
#else
    const float2 f = load_l2((const float2*)at + (lane & 15));
    v[0] = f.x, v[1] = f.y;
#endif
}
// The blocks of token t's sequence.
__device__ __forceinline__ const u32* table_of(const Step& p, const Layer* l, u32 t) {
    return (const u32*)p.tables[l->flags & CHUNKED ? 1 : 0] + (u64)((const u32*)p.slots_in)[t] * p.table_stride;
}
// Keys and values of a new token, by one warp: the lower half of it the key, the upper the value. Into the cache, and to
// `to`, if given, for those who attend to it now.
__device__ __forceinline__ void store_new(const Step& p, const Layer* l, u32 t, u32 position, u32 kv_head, u32* to, u32 lane) {
    const float* row = (const float*)p.qkv + (u64)t * qkv_columns(p) + query_columns(p) + kv_head * HEAD_DIM;
    float k[LANE_DIMS], v[LANE_DIMS];
    load_head(k, row, lane);
    load_head(v, row + p.kv_heads * HEAD_DIM, lane);
    prepare(k, p, l, (const float*)l->key_norm, t, 1.f, lane);
    keep(k, v, p, l, table_of(p, l, t), position, kv_head, to, lane);
}

// One part of a split of one KV head of one token. `queries` holds its heads, `newest` the new key and value where they were not
// loaded. Leaves each head's mixture, maximum and sum in `mixture` and `ml`.
__device__ __forceinline__ void attend_part(Loaded& a, const float* queries, const u32* newest, u32 first, u32 start, u32 position, u32 known, float* mixture,
                                            float2* ml, u32 lane) {
    const u32 half = lane >> 4, l16 = lane & 15;
#pragma unroll
    for (int i = 0; i < PART / 2; i++)
        if (first + i * 2 + half == position && position >= known) take_newest(a, i, newest, l16);
    Halves k[PART / 2], v[PART / 2];
#pragma unroll
    for (int i = 0; i < PART / 2; i++) k[i] = halves_of(a.k[i]), v[i] = halves_of(a.v[i]);
#pragma unroll 1
    for (u32 h = 0; h < GROUP; h++) {
        const float* from = queries + h * HEAD_DIM + l16 * LANE_DIMS;
        float q[LANE_DIMS], s[PART / 2], o[LANE_DIMS];
#if LANE_DIMS >= 4
#pragma unroll
        for (int j = 0; j < LANE_DIMS; j += 4) {
            const float4 f = *(const float4*)(from + j);
            q[j] = f.x, q[j + 1] = f.y, q[j + 2] = f.z, q[j + 3] = f.w;
        }
#else
        q[0] = from[0], q[1] = from[1];
#endif
#pragma unroll
        for (int i = 0; i < PART / 2; i++) {
            s[i] = 0;
#pragma unroll
            for (int j = 0; j < LANE_DIMS / 2; j++) {
                const float2 f = halves(k[i].w[j]);
                s[i] = fmaf(q[2 * j], f.x, s[i]);
                s[i] = fmaf(q[2 * j + 1], f.y, s[i]);
            }
            s[i] = key_scaled(s[i], a, i);
        }
#pragma unroll
        for (int d = 8; d; d >>= 1)
#pragma unroll
            for (int i = 0; i < PART / 2; i++) s[i] += __shfl_xor_sync(FULL, s[i], d);
        float most = -1e30f, sum = 0;
#pragma unroll
        for (int i = 0; i < PART / 2; i++) {
            const u32 at = first + i * 2 + half;
            if (at > position || at < start) s[i] = -1e30f;
            most = fmaxf(most, s[i]);
        }
        most = fmaxf(most, __shfl_xor_sync(FULL, most, 16));
#pragma unroll
        for (int i = 0; i < PART / 2; i++) {
            // What is not a number stays so; what is not seen counts nothing.
            s[i] = s[i] > -1e29f ? __expf(s[i] - most) : s[i] == s[i] ? 0.f : s[i];
            sum += s[i];
        }
        sum += __shfl_xor_sync(FULL, sum, 16);
#pragma unroll
        for (int j = 0; j < LANE_DIMS; j++) o[j] = 0;
#pragma unroll
        for (int i = 0; i < PART / 2; i++) {
            const float by = value_scaled(s[i], a, i);
#pragma unroll
            for (int j = 0; j < LANE_DIMS / 2; j++) {
                const float2 f = halves(v[i].w[j]);
                o[2 * j] = fmaf(by, f.x, o[2 * j]);
                o[2 * j + 1] = fmaf(by, f.y, o[2 * j + 1]);
            }
        }
#pragma unroll
        for (int j = 0; j < LANE_DIMS; j++) o[j] += __shfl_xor_sync(FULL, o[j], 16);
        if (half == 0) {
            float* to = mixture + h * HEAD_DIM + l16 * LANE_DIMS;
#if LANE_DIMS >= 4
#pragma unroll
            for (int j = 0; j < LANE_DIMS; j += 4) *(float4*)(to + j) = make_float4(o[j], o[j + 1], o[j + 2], o[j + 3]);
#else
            to[0] = o[0], to[1] = o[1];
#endif
        }
        if (lane == 0) ml[h] = make_float2(most, sum);
    }
}

// 256 columns of a token's result, from all splits of the heads they belong to, by 256 threads; then their first warp quantises
// them. All threads of the block come; `shared` has room for a float each.
__device__ __forceinline__ void combine(const Step& p, const Layer* l, u32 t, u32 unit, bool active, u32 splits, float* shared) {
    const u32 in = threadIdx.x % 256, column = unit * 256 + in, columns = query_columns(p), lane = threadIdx.x % 32;
    float value = 0;
    if (active && column < columns) {
        const u32 head = column / HEAD_DIM, kv_head = head / GROUP;
        const u64 first = (u64)((t - p.first) * p.kv_heads + kv_head) * p.splits * GROUP + head % GROUP;
        const float2* ml = (const float2*)p.partial_ml + first;
        const float* part = (const float*)p.partial + first * HEAD_DIM + column % HEAD_DIM;
        float most = -1e30f, sum = 0;
        for (u32 from = 0; from < splits; from += 16) {
            // Sixteen at a time, all asked for before the first is used.
            float2 m[16];
            float v[16];
#pragma unroll
            for (u32 s = 0; s < 16; s++) {
                const bool there = from + s < splits;
                m[s] = there ? load_l2(ml + (from + s) * GROUP) : make_float2(-1e30f, 0);
                v[s] = there ? load_l2(part + (u64)(from + s) * GROUP * HEAD_DIM) : 0;
            }
            float larger = most;
#pragma unroll
            for (u32 s = 0; s < 16; s++) larger = fmaxf(larger, m[s].x);
            const float before = __expf(most - larger);
            sum *= before, value *= before, most = larger;
#pragma unroll
            for (u32 s = 0; s < 16; s++) {
                const float by = __expf(m[s].x - most);
                sum = fmaf(by, m[s].y, sum);
                value = fmaf(by, v[s], value);
            }
        }
        value /= sum;
        if (l->output_forms & FLOAT) *(float*)((u8*)p.attended.plain + t * p.attended.plain_stride + column * 4) = value;
    }
    shared[threadIdx.x] = value;
    block_sync();
    if (active && in < 32) {
        float v[8];
#pragma unroll
        for (int j = 0; j < 8; j++) v[j] = shared[threadIdx.x + lane * 7 + j];
        quantise_unit(v, l->output_forms & COARSE ? (u8*)p.attended.coarse + t * p.attended.coarse_stride : 0,
                      l->output_forms & FINE ? (u8*)p.attended.fine + t * p.attended.fine_stride : 0, columns, unit, lane);
    }
    block_sync();
}

// A block: one split of one KV head of one token. `shared` has room for PARTS * GROUP * (HEAD_DIM + 2) + GROUP * HEAD_DIM floats and NEWEST_WORDS + 32 words.
//
// Synchronisation: a warp prepares a head and leaves it in shared memory, another the new token's key and value; the block's
// barrier stands between them and those who attend. The cache's new entry is not read in this step, and older ones are of earlier
// steps: they may be read before the kernel before has ended. Where a kernel before has STORED the step's keys and values, all are
// read after it has ended. Partial results are written before the block's barrier, a fence and the
// units' counts; the block that counts last reads them after a fence and a barrier, through L2.
__device__ __forceinline__ void attend(const Step& p, const Layer* l, u8* shared, u32 warp, u32 lane) {
    float* mixture = (float*)shared;
    float2* ml = (float2*)(mixture + PARTS * GROUP * HEAD_DIM);
    float* queries = (float*)(ml + PARTS * GROUP);
    u32* newest = (u32*)(queries + GROUP * HEAD_DIM);
    u32* last = newest + NEWEST_WORDS;
    const u32 width = GROUP * HEAD_DIM, all_units = units(query_columns(p)), item = blockIdx.x;
    const u32 split = item % p.splits, kv_head = item / p.splits % p.kv_heads, t = p.first + item / p.splits / p.kv_heads;
    const u32 position = ((const u32*)p.positions)[t], start = l->flags & CHUNKED ? ((const u32*)p.starts)[t] : 0, first = start / SPLIT;
    const u32 splits = position / SPLIT + 1 - first;
    if (split >= splits) return;
    const bool stored = p.flags & STORED;
    const u32 known = stored ? position + 1 : position;
    const u32* table = table_of(p, l, t);
    if (stored) wait_for_last();
    Loaded loaded;
    load_part(loaded, p, l, table, kv_head, (first + split) * SPLIT + warp * PART, start, known, lane);
    const float scale = ((const float*)p.query_scale)[t * 2 + (l->flags & ROPE ? 0 : 1)];
    wait_for_last();
    for (u32 h = warp; h <= GROUP; h += WARPS) {
        if (h == GROUP) {
            if (split + 1 == splits && !stored) store_new(p, l, t, position, kv_head, newest, lane);
            break;
        }
        float q[LANE_DIMS];
        load_head(q, (const float*)p.qkv + (u64)t * qkv_columns(p) + (kv_head * GROUP + h) * HEAD_DIM, lane);
        prepare(q, p, l, (const float*)l->query_norm, t, scale, lane);
        if (lane < 16) {
#pragma unroll
            for (int j = 0; j < LANE_DIMS; j++) queries[h * HEAD_DIM + lane * LANE_DIMS + j] = q[j];
        }
    }
    block_sync();
#pragma unroll 1
    for (u32 part = warp; part < PARTS; part += WARPS) {
        const u32 at = (first + split) * SPLIT + part * PART;
        if (part != warp) load_part(loaded, p, l, table, kv_head, at, start, known, lane);
        attend_part(loaded, queries, newest, at, start, position, known, mixture + part * width, ml + part * GROUP, lane);
    }
    block_sync();
    const u64 to = ((u64)((t - p.first) * p.kv_heads + kv_head) * p.splits + split) * GROUP;
    for (u32 i = threadIdx.x; i < width; i += THREADS) {
        const u32 h = i / HEAD_DIM;
        float most = ml[h].x, sum = 0, value = 0;
#pragma unroll 4
        for (int w = 1; w < PARTS; w++) most = fmaxf(most, ml[w * GROUP + h].x);
#pragma unroll 4
        for (int w = 0; w < PARTS; w++) {
            const float by = __expf(ml[w * GROUP + h].x - most);
            sum = fmaf(by, ml[w * GROUP + h].y, sum);
            value = fmaf(by, mixture[w * width + i], value);
        }
        ((float*)p.partial)[to * HEAD_DIM + i] = value;
        if (i % HEAD_DIM == 0) ((float2*)p.partial_ml)[to + h] = make_float2(most, sum);
    }
    block_sync();
    const u32 from = kv_head * width / 256, count = (kv_head * width + width - 1) / 256 + 1 - from;
    if (threadIdx.x < count) {
        const u32 u = from + threadIdx.x, end = (u + 1) * 256 < query_columns(p) ? (u + 1) * 256 : query_columns(p);
        const u32 expected = ((end - 1) / width - u * 256 / width + 1) * splits;
        u32* arrived = counter(p, COUNT_ATTENTION + t * all_units + u);
        __threadfence();
        last[threadIdx.x] = atomicAdd(arrived, 1u) + 1 == expected;
        __threadfence();
        if (last[threadIdx.x]) *arrived = 0;
    }
    block_sync();
    // A bit for each unit that this block counted last: each 256 threads take one in turn.
    u32 mine = 0;
    for (u32 i = 0; i < count; i++) mine |= last[i] << i;
    while (mine) {
        u32 unit = 0, active = 0;
        for (u32 group = 0; group < THREADS / 256; group++)
            if (mine) {
                if (group == threadIdx.x / 256) unit = from + __ffs(mine) - 1, active = 1;
                mine &= mine - 1;
            }
        combine(p, l, t, unit, active, splits, mixture);
    }
}
