// What the kernels need of the machine: PTX on a GPU, emulation.h on a processor.
#pragma once

typedef unsigned char u8;
typedef signed char i8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

#define FULL 0xffffffffu
// Warps of a block: as many as the products' registers allow.
#ifndef WARPS
#define WARPS 16
#endif
#define THREADS (WARPS * 32)
// Of the threads that compute; a step has one more warp.
#define block_sync() barrier_of(0, THREADS)

#ifdef EMULATED
#include "emulation.h"
#else

// Stages without a ring of their own are calls: their registers are then not the products'.
#define STAGE __device__ __noinline__
#define DYNAMIC_SHARED(name) extern __shared__ __align__(1024) u8 name[]

__device__ __forceinline__ float half_to_float(u32 bits) {
    float f;
    asm("{.reg .b16 h; cvt.u16.u32 h, %1; cvt.f32.f16 %0, h;}" : "=f"(f) : "r"(bits));
    return f;
}
__device__ __forceinline__ u32 float_to_half(float f) {
    u32 bits;
    asm("{.reg .b16 h; cvt.rn.f16.f32 h, %1; cvt.u32.u16 %0, h;}" : "=r"(bits) : "f"(f));
    return bits;
}
__device__ __forceinline__ float bits_float(u32 bits) { return __uint_as_float(bits); }
__device__ __forceinline__ u32 float_bits(float f) { return __float_as_uint(f); }

// Through L2: what other multiprocessors wrote in this launch.
__device__ __forceinline__ float4 load_l2(const float4* p) {
    float4 v;
    asm volatile("ld.global.cg.v4.f32 {%0,%1,%2,%3}, [%4];" : "=f"(v.x), "=f"(v.y), "=f"(v.z), "=f"(v.w) : "l"(p) : "memory");
    return v;
}
__device__ __forceinline__ float2 load_l2(const float2* p) {
    float2 v;
    asm volatile("ld.global.cg.v2.f32 {%0,%1}, [%2];" : "=f"(v.x), "=f"(v.y) : "l"(p) : "memory");
    return v;
}
__device__ __forceinline__ float load_l2(const float* p) {
    float v;
    asm volatile("ld.global.cg.f32 %0, [%1];" : "=f"(v) : "l"(p) : "memory");
    return v;
}
__device__ __forceinline__ uint4 load_l2(const uint4* p) {
    uint4 v;
    asm volatile("ld.global.cg.v4.u32 {%0,%1,%2,%3}, [%4];" : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w) : "l"(p) : "memory");
    return v;
}
__device__ __forceinline__ u32 load_l2(const u32* p) {
    u32 v;
    asm volatile("ld.global.cg.u32 %0, [%1];" : "=r"(v) : "l"(p) : "memory");
    return v;
}
__device__ __forceinline__ u32 load_acquire(const u32* p) {
    u32 v;
    asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(v) : "l"(p) : "memory");
    return v;
}
__device__ __forceinline__ void store_release(u32* p, u32 v) {
    asm volatile("st.release.gpu.global.u32 [%0], %1;" ::"l"(p), "r"(v) : "memory");
}
__device__ __forceinline__ void add_release(u32* p, u32 v) {
    asm volatile("red.release.gpu.global.add.u32 [%0], %1;" ::"l"(p), "r"(v) : "memory");
}
__device__ __forceinline__ void barrier_of(u32 id, u32 threads) {
    asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
}
__device__ __forceinline__ void relax() {}
__device__ __forceinline__ u64 nanoseconds() {
    u64 t;
    asm volatile("mov.u64 %0, %globaltimer;" : "=l"(t));
    return t;
}
__device__ __forceinline__ u32 permute_bytes(u32 low, u32 high, u32 selector) { return __byte_perm(low, high, selector); }

// m16n8k32 of signed bytes. a0: row lane/4, k 4*(lane%4)..; a1: row + 8; a2, a3: k + 16; b0, b1: column lane/4, the same k.
// c0, c1: row lane/4, columns 2*(lane%4) and the next; c2, c3: row + 8.
__device__ __forceinline__ void mma(int (&c)[4], u32 a0, u32 a1, u32 a2, u32 a3, u32 b0, u32 b1) {
    asm("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+r"(c[0]), "+r"(c[1]), "+r"(c[2]), "+r"(c[3])
        : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}

__device__ __forceinline__ u32 shared_address(const void* p) { return (u32)__cvta_generic_to_shared(p); }
__device__ __forceinline__ void mbarrier_init(u64* bar, u32 arrivals) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(bar)), "r"(arrivals) : "memory");
}
__device__ __forceinline__ void mbarrier_init_fence() {
#if __CUDA_ARCH__ >= 900
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
#endif
}
// Copies `bytes` (a multiple of 16) of weights into shared memory by the whole warp; `bar`, of one arrival where the copy
// engine does it and of 32 where the threads do, completes when they are there.
__device__ __forceinline__ void copy_async(u8* to, const u8* from, u32 bytes, u64* bar, u32 lane) {
#if __CUDA_ARCH__ >= 900
    if (lane == 0) {
        asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(bar)), "r"(bytes) : "memory");
        asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(
                         shared_address(to)),
                     "l"(from), "r"(bytes), "r"(shared_address(bar))
                     : "memory");
    }
#else
    for (u32 at = lane * 16; at < bytes; at += 512)
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(shared_address(to + at)), "l"(from + at) : "memory");
    asm volatile("cp.async.mbarrier.arrive.noinc.shared::cta.b64 [%0];" ::"r"(shared_address(bar)) : "memory");
#endif
}
#if __CUDA_ARCH__ >= 900
#define COPY_ARRIVALS 1
#define COPY_BY_THREADS 0
#else
#define COPY_ARRIVALS 32
#define COPY_BY_THREADS 1
#endif
__device__ __forceinline__ void mbarrier_arrive(u64* bar) {
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(bar)) : "memory");
}
__device__ __forceinline__ bool mbarrier_test(u64* bar, u32 parity) {
    u32 done;
    asm volatile("{.reg .pred p; mbarrier.test_wait.parity.shared::cta.b64 p, [%1], %2; selp.u32 %0, 1, 0, p;}"
                 : "=r"(done)
                 : "r"(shared_address(bar)), "r"(parity)
                 : "memory");
    return done;
}
__device__ __forceinline__ void mbarrier_wait(u64* bar, u32 parity) {
#if __CUDA_ARCH__ >= 900
    asm volatile(
        "{.reg .pred p;\nwait: mbarrier.try_wait.parity.shared::cta.b64 p, [%0], %1;\n@!p bra wait;}" ::"r"(shared_address(bar)),
        "r"(parity)
        : "memory");
#else
    asm volatile(
        "{.reg .pred p;\nwait: mbarrier.test_wait.parity.shared::cta.b64 p, [%0], %1;\n@!p bra wait;}" ::"r"(shared_address(bar)),
        "r"(parity)
        : "memory");
#endif
}
#endif

__device__ __forceinline__ float sum_of_warp(float v) {
#pragma unroll
    for (int o = 16; o; o >>= 1) v += __shfl_xor_sync(FULL, v, o);
    return v;
}
__device__ __forceinline__ float2 halves(u32 bits) { return make_float2(half_to_float(bits & 0xffff), half_to_float(bits >> 16)); }

// e^x as moe-kernels computes it, to the bit.
__device__ __forceinline__ float exact_exp(float x) {
    const float ROUND = 12582912.f;
    const float clamped = x > 88.f ? 88.f : x;
    const float rounded = fmaf(clamped, 1.44269504088896340736f, ROUND), n = rounded - ROUND;
    float r = fmaf(n, -0.6933594f, clamped);
    r = fmaf(n, 2.1219444e-4f, r);
    float p = fmaf(1.9875691e-4f, r, 1.3981999e-3f);
    p = fmaf(p, r, 8.333452e-3f);
    p = fmaf(p, r, 4.1665796e-2f);
    p = fmaf(p, r, 1.6666666e-1f);
    p = fmaf(p, r, 0.5f);
    const float value = fmaf(p, r * r, r) + 1.f;
    const float scaled = bits_float(float_bits(value) + (float_bits(rounded) << 23));
    return x < -87.f ? 0.f : x != x ? x : scaled;
}
__device__ __forceinline__ float exact_sigmoid(float x) { return 1.f / (1.f + exact_exp(-x)); }
