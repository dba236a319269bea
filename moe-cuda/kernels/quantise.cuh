// Activations as moe-kernels quantises them (packed/activations.rs), bit for bit.
//
// Columns 8i..8i+7 are quantised by lane i of a warp, 256 at a time. They are stored where the products read them: within 64
// columns, lane t of the four that share a row gets 16 bytes, its eight columns of the first 32 and its eight of the others.
#pragma once
#include "layout.cuh"

__device__ __forceinline__ u32 quant_place(u32 column) { return (column & ~63u) + ((column >> 3) & 3) * 16 + ((column >> 5) & 1) * 8 + (column & 7); }

// The scale and its inverse for a block whose largest magnitude has the bits `most`.
struct Scale {
    float by, stored;
    bool finite;
};
__device__ __forceinline__ Scale scale_of(u32 most) {
    const float largest = bits_float(most), by = 127.f / largest;
    const bool finite = most < 0x7f800000u, invertible = (float_bits(by) & 0x7fffffffu) < 0x7f800000u;
    Scale s;
    s.finite = finite;
    s.by = finite && invertible ? by : 0.f;
    s.stored = !finite ? bits_float(0x7fc00000u) : invertible ? largest / 127.f : 0.f;
    return s;
}
// Adding 1.5 * 2^23 rounds to an integer, ties to even, which then stands in the low bits.
__device__ __forceinline__ int quant_of(float v, const Scale& s) {
    return s.finite ? (int)(i8)(float_bits(__fadd_rn(__fmul_rn(v, s.by), 12582912.f)) & 255) : 0;
}

// Unit `unit` (256 columns) of one row; `columns` is the row's length. All 32 lanes call; those beyond the end hold zeros.
__device__ __forceinline__ void quantise_unit(const float (&v)[8], u8* coarse, u8* fine, u32 columns, u32 unit, u32 lane) {
    u32 most = 0;
#pragma unroll
    for (int j = 0; j < 8; j++) {
        const u32 b = float_bits(v[j]) & 0x7fffffffu;
        most = b > most ? b : most;
    }
    // The largest of 32 columns, then of 256.
#pragma unroll
    for (int o = 1; o <= 2; o <<= 1) {
        const u32 b = __shfl_xor_sync(FULL, most, o);
        most = b > most ? b : most;
    }
    const u32 of_32 = most, kp = padded_columns(columns), nb = units(columns);
    const u32 place = unit * 256 + quant_place(lane * 8);
    if (fine) {
        const Scale s = scale_of(of_32);
        u32 w[2] = {0, 0};
#pragma unroll
        for (int j = 0; j < 8; j++) w[j >> 2] |= (u32)(quant_of(v[j], s) & 255) << 8 * (j & 3);
        *(uint2*)(fine + place) = make_uint2(w[0], w[1]);
        if ((lane & 3) == 0) *(float*)(fine + kp + (unit * 8 + (lane >> 2)) * 4) = s.stored;
    }
    if (coarse) {
#pragma unroll
        for (int o = 4; o <= 16; o <<= 1) {
            const u32 b = __shfl_xor_sync(FULL, most, o);
            most = b > most ? b : most;
        }
        const Scale s = scale_of(most);
        u32 w[2] = {0, 0};
        int sum = 0;
#pragma unroll
        for (int j = 0; j < 8; j++) {
            const int q = quant_of(v[j], s);
            sum += q;
            w[j >> 2] |= (u32)(q & 255) << 8 * (j & 3);
        }
        *(uint2*)(coarse + place) = make_uint2(w[0], w[1]);
        sum += __shfl_xor_sync(FULL, sum, 1);
        sum += __shfl_xor_sync(FULL, sum, 2);
        // The sums of sub-blocks t and t + 4 in one word: low seven bits of each, then the rest of each.
        const int s0 = __shfl_sync(FULL, sum, (lane & 3) * 4), s1 = __shfl_sync(FULL, sum, (lane & 3) * 4 + 16);
        if (lane < 4)
            *(u32*)(coarse + kp + (unit * 4 + lane) * 4) =
                (u32)(s0 & 127) | (u32)(s1 & 127) << 8 | (u32)((s0 >> 7) & 255) << 16 | (u32)((s1 >> 7) & 255) << 24;
        if (lane == 0) *(float*)(coarse + kp + nb * 16 + unit * 4) = s.stored;
    }
}
