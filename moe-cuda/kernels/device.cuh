// What the kernels need of the machine: PTX on a GPU, emulation.h on a processor.
#pragma once

typedef unsigned char u8;
typedef signed char i8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

#define FULL 0xffffffffu
// Warps of a block, but for products.
#define WARPS 16
#define THREADS (WARPS * 32)
#define block_sync() __syncthreads()

#ifdef EMULATED
#include "emulation.h"
#else

#define DYNAMIC_SHARED(name) extern __shared__ __align__(1024) u8 name[]
#define PARAMETER(type, name) const __grid_constant__ type name

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
// Two halves less two others.
__device__ __forceinline__ u32 sub_halves(u32 a, u32 b) {
    u32 d;
    asm("sub.rn.f16x2 %0, %1, %2;" : "=r"(d) : "r"(a), "r"(b));
    return d;
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
__device__ __forceinline__ u32 permute_bytes(u32 low, u32 high, u32 selector) { return __byte_perm(low, high, selector); }

// m16n8k32 of signed bytes. a0: row lane/4, k 4*(lane%4)..; a1: row + 8; a2, a3: k + 16; b0, b1: column lane/4, the same k.
// c0, c1: row lane/4, columns 2*(lane%4) and the next; c2, c3: row + 8.
__device__ __forceinline__ void mma(int (&c)[4], u32 a0, u32 a1, u32 a2, u32 a3, u32 b0, u32 b1) {
    asm("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+r"(c[0]), "+r"(c[1]), "+r"(c[2]), "+r"(c[3])
        : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}
// The same where all sums begin at `from`.
__device__ __forceinline__ void mma_from(int (&d)[4], int from, u32 a0, u32 a1, u32 a2, u32 a3, u32 b0, u32 b1) {
    asm("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%10,%10,%10,%10};"
        : "=r"(d[0]), "=r"(d[1]), "=r"(d[2]), "=r"(d[3])
        : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1), "r"(from));
}
// m16n8k16, which takes half the time: a0, a1 and b as a0, a1 and b0 above.
__device__ __forceinline__ void mma_half(int (&c)[4], u32 a0, u32 a1, u32 b) {
    asm("mma.sync.aligned.m16n8k16.row.col.s32.s8.s8.s32 {%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};"
        : "+r"(c[0]), "+r"(c[1]), "+r"(c[2]), "+r"(c[3])
        : "r"(a0), "r"(a1), "r"(b));
}

// Copies into shared memory that go on by themselves: 16 bytes past the first cache, or 4. A thread's copies up to a commit are
// a group; it waits until all but its newest NEWEST groups have come. Others see them after a barrier.
__device__ __forceinline__ void copy_async16(u8* to, const u8* from) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"((u32)__cvta_generic_to_shared(to)), "l"(from) : "memory");
}
__device__ __forceinline__ void copy_async4(u8* to, const u8* from) {
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4;" ::"r"((u32)__cvta_generic_to_shared(to)), "l"(from) : "memory");
}
__device__ __forceinline__ void commit_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int NEWEST>
__device__ __forceinline__ void wait_for_copies() {
    asm volatile("cp.async.wait_group %0;" ::"n"(NEWEST) : "memory");
}

// Weights: read once, so past the first cache.
__device__ __forceinline__ uint2 stream2(const u8* p) {
    uint2 v;
    asm volatile("ld.global.nc.L1::no_allocate.L2::128B.v2.u32 {%0,%1}, [%2];" : "=r"(v.x), "=r"(v.y) : "l"(p));
    return v;
}
__device__ __forceinline__ u32 stream(const u8* p) {
    u32 v;
    asm volatile("ld.global.nc.L1::no_allocate.u32 %0, [%1];" : "=r"(v) : "l"(p));
    return v;
}
__device__ __forceinline__ u32 stream_half(const u8* p) {
    u16 v;
    asm volatile("ld.global.nc.u16 %0, [%1];" : "=h"(v) : "l"(p));
    return v;
}
// Asks for bytes to be brought into the second cache; nobody waits for them.
__device__ __forceinline__ void prefetch_l2(const u8* at, u32 bytes) {
#if __CUDA_ARCH__ >= 900
    asm volatile("cp.async.bulk.prefetch.L2.global [%0], %1;" ::"l"(at), "r"(bytes) : "memory");
#endif
}
// Hides from the compiler what a value is made of: it neither adds an address up anew for each load, nor keeps what follows from
// an index in registers all through a loop.
__device__ __forceinline__ void hide(const u8*& at) { asm volatile("" : "+l"(at)); }
__device__ __forceinline__ void hide(u32& index) { asm volatile("" : "+r"(index)); }
__device__ __forceinline__ void prefetch_line(const u8* at) { asm volatile("prefetch.global.L2 [%0];" ::"l"(at)); }
// A kernel may begin while the one before ends (programmatic dependent launch): it says so at once, and waits before it touches
// what others write.
__device__ __forceinline__ void allow_next() {
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;");
#endif
}
__device__ __forceinline__ void wait_for_last() {
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" ::: "memory");
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
