// Plain rows (F16, BF16, F32) times float activations, in moe-kernels' order: sixteen lanes, lane i takes the elements i,
// i + 16, .. by fused multiply-add, folded as a tree at the end.
#pragma once
#include "layout.cuh"

__device__ __forceinline__ u32 element_bytes(u32 type) { return type == F32 ? 4 : 2; }
__device__ __forceinline__ float element(const u8* row, u32 type, u32 i) {
    if (type == F32) return ((const float*)row)[i];
    const u32 bits = ((const u16*)row)[i];
    return type == F16 ? half_to_float(bits) : bits_float(bits << 16);
}
// 16 to 8 (i with i + 8), 8 to 4, 4 to 2, 2 to 1.
__device__ __forceinline__ float fold16(float v) {
#pragma unroll
    for (int o = 8; o; o >>= 1) v += __shfl_xor_sync(FULL, v, o);
    return v;
}
// One row times up to 8 tokens, by half a warp; the other half does another row.
__device__ __forceinline__ void plain_row(float (&sum)[8], const u8* row, u32 type, u32 columns, const float* const (&x)[8], const float (&factor)[8],
                                          u32 lane) {
#pragma unroll
    for (int k = 0; k < 8; k++) sum[k] = 0;
#pragma unroll 4
    for (u32 i = lane & 15; i < columns; i += 16) {
        const float w = element(row, type, i);
#pragma unroll
        for (int k = 0; k < 8; k++) sum[k] = fmaf(w, __fmul_rn(x[k][i], factor[k]), sum[k]);
    }
#pragma unroll
    for (int k = 0; k < 8; k++) sum[k] = fold16(sum[k]);
}
