// The residual sum, RMSNorm, quantising, and the router: what stands between two products.
#pragma once
#include "plain.cuh"
#include "quantise.cuh"
#include "work.cuh"

#define NORM_UNITS (32 / WARPS)

// The sum of units' sums, from the first unit to the last, however many warps there are. `shared` has room for 32 floats; it
// may be used again at once.
__device__ __forceinline__ float sum_of_units(const float (&v)[NORM_UNITS], float* shared, u32 warp, u32 lane) {
#pragma unroll
    for (int i = 0; i < NORM_UNITS; i++) {
        const float sum = sum_of_warp(v[i]);
        if (lane == 0) shared[i * WARPS + warp] = sum;
    }
    __syncthreads();
    const float sum = sum_of_warp(shared[lane]);
    __syncthreads();
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

// What the stage before adds to token t's columns: attention's output, or the experts' outputs, added up as moe-kernels does.
__device__ __forceinline__ void add_before(float* v, const Step& p, u32 stage, const Layer* before, u32 t, u32 column) {
    float d[8];
    if (stage == UP) {
        load8(d, (const float*)p.attn_out + (u64)t * p.hidden + column);
    } else {
        const float* mixed = (const float*)p.mixed;
#pragma unroll
        for (int j = 0; j < 8; j++) d[j] = 0;
        if (before->flags & SHARED) load8(d, mixed + (u64)t * p.hidden + column);
        if (before->flags & ROUTED)
            for (u32 r = 0; r < p.used; r++) {
                float e[8];
                load8(e, mixed + (u64)(p.tokens + t * p.used + r) * p.hidden + column);
                const float w = p.flags & SOFTMAX_ON_OUTPUT ? load_l2((const float*)p.choice_weights + t * p.used + r) : 1.f;
#pragma unroll
                for (int j = 0; j < 8; j++) d[j] = __fadd_rn(d[j], __fmul_rn(e[j], w));
            }
    }
#pragma unroll
    for (int j = 0; j < 8; j++) v[j] = __fadd_rn(v[j], d[j]);
}

// Token t for `stage`: v becomes what is normed, thread by thread the columns (8 * warp + lane / 4 ..) of every eighth unit.
// The block quantises to `coarse` and `fine`; where `writes`, it also stores the residual and, if wanted, plain floats.
__device__ __forceinline__ void norm_token(float (&v)[NORM_UNITS][8], const Step& p, u32 stage, const Layer* before, const float* weight, u32 t,
                                           bool writes, u8* coarse, u8* fine, float* plain, float* shared, u32 warp, u32 lane) {
    const bool odd = stage == UP;
    const float* x = (const float*)p.x[odd] + (u64)t * p.hidden;
    float* to = (float*)p.x[!odd] + (u64)t * p.hidden;
    float squares[NORM_UNITS];
#pragma unroll
    for (int i = 0; i < NORM_UNITS; i++) {
        const u32 column = (i * WARPS + warp) * 256 + lane * 8;
#pragma unroll
        for (int j = 0; j < 8; j++) v[i][j] = 0;
        if (column < p.hidden) {
            load8(v[i], x + column);
            if (before) add_before(v[i], p, stage, before, t, column);
            if (writes) store8(to + column, v[i]);
        }
#pragma unroll
        for (int j = 0; j < 8; j++) squares[i] = fmaf(v[i][j], v[i][j], j ? squares[i] : 0.f);
    }
    const float scale = 1.f / sqrtf(sum_of_units(squares, shared, warp, lane) / (float)p.hidden + p.eps);
#pragma unroll
    for (int i = 0; i < NORM_UNITS; i++) {
        const u32 unit = i * WARPS + warp, column = unit * 256 + lane * 8;
        if (unit * 256 >= p.hidden) break;
        if (column < p.hidden) {
            float w[8];
            load8(w, weight + column);
#pragma unroll
            for (int j = 0; j < 8; j++) v[i][j] = v[i][j] * scale * w[j];
            if (plain) store8(plain + column, v[i]);
        }
        quantise_unit(v[i], coarse, fine, p.hidden, unit, lane);
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

// The router's logit of token t for expert e, of the normed values that the block holds.
__device__ __forceinline__ void route_logit(const float (&v)[NORM_UNITS][8], const Step& p, const Layer* l, u32 t, u32 e, float* shared, u32 warp, u32 lane) {
    const Matrix& m = l->router;
    const u8* row = (const u8*)m.at + (u64)e * m.columns * element_bytes(m.type);
    float sums[NORM_UNITS];
#pragma unroll
    for (int i = 0; i < NORM_UNITS; i++) {
        const u32 column = (i * WARPS + warp) * 256 + lane * 8;
        sums[i] = 0;
        if (column >= p.hidden) continue;
        float w[8];
        elements8(w, row, m.type, column);
#pragma unroll
        for (int j = 0; j < 8; j++) sums[i] = fmaf(w[j], v[i][j], sums[i]);
    }
    const float sum = sum_of_units(sums, shared, warp, lane);
    if (threadIdx.x == 0) ((float*)p.router_logits)[t * p.experts + e] = sum;
}
