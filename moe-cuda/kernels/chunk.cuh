// A chunk of a step's tokens: who they are, their activations in shared memory, and where results go. product_many.cuh says how
// threads keep out of each other's way.
#pragma once
#include "product.cuh"

// Tokens of a block, and buffers for their activations of 256 columns; src/layout.rs knows both.
#define MANY 64
#define MANY_PANELS (MANY / PANEL)
#define BUFFERS 3
// Of a buffer: values; then the sums of 32 (16 bytes a token) and the scales by token, or the scales of 32 by block and token.
#define BUFFER_VALUES (MANY * 256)
#define BUFFER_BYTES (BUFFER_VALUES + MANY * 32)

// Where results go: rows of floats, an entry each. `gates`: what is written is an activation of gate and up, and the gate's
// result is there already.
struct Destination {
    float* at;
    u32 stride, column, rows;
    bool gates;

    __device__ __forceinline__ void put(u32 entry, u32 row, float value) const {
        if (row >= rows) return;
        float* to = at + (u64)entry * stride + column + row;
        *to = gates ? gated(load_l2(to), value) : value;
    }
    static __device__ __forceinline__ float gated(float gate, float up) { return __fmul_rn(__fmul_rn(gate, exact_sigmoid(gate)), up); }
};

// What a block keeps in shared memory beside activations, so that it does not take registers.
struct Chunk {
    // The chunk's tokens: their rows of activations, what multiplies those rows' scales, and their entries.
    const u8* row[MANY];
    float factor[MANY];
    u32 entry[MANY];
    Destination to;
    // The slot, its tokens of this chunk from the first on, and the chunk's number.
    u32 slot, first, tokens, number;
    // The block's first tile, and the matrix' last.
    u32 tile, last;
    // Blocks that write to a unit of 256 columns of what gate and up give.
    u32 writers;
    bool fused;
    // Of activations: units of 256 columns, and tokens that are copied, whole panels.
    u32 units, copied;
    u32 flag;
};
#define CHUNK_BYTES 1280
static_assert(sizeof(Chunk) <= CHUNK_BYTES, "src/layout.rs knows its room");

// Activations of the chunk's tokens, 256 columns at a time.
template <bool IS_COARSE>
struct Feed {
    u8* buffers;
    const Chunk& chunk;

    // Values of 64 columns take 64 bytes; of odd tokens neighbouring 64 bytes change places, so that lanes read different banks.
    __device__ __forceinline__ void ask(u32 b) const {
        const u32 nb = chunk.units, tokens = chunk.copied;
        u32 thread = threadIdx.x;
        hide(thread);
        if (b < nb) {
            u8* to = buffers + b % BUFFERS * BUFFER_BYTES;
            for (u32 i = thread; i < tokens * 16; i += blockDim.x) {
                const u32 token = i >> 4, at = (i & 15) * 16;
                copy_async16(to + token * 256 + (at ^ (token & 1) << 6), chunk.row[token] + b * 256 + at);
            }
            u8* more = to + BUFFER_VALUES;
            for (u32 i = thread; i < tokens * (IS_COARSE ? 1 : 8); i += blockDim.x) {
                if (IS_COARSE) {
                    const u8* from = chunk.row[i] + nb * 256;
                    copy_async16(more + i * 16, from + b * 16);
                    copy_async4(more + MANY * 16 + i * 4, from + nb * 16 + b * 4);
                } else {
                    const u32 token = i >> 3, sub = i & 7;
                    copy_async4(more + (sub * MANY + token) * 4, chunk.row[token] + nb * 256 + (b * 8 + sub) * 4);
                }
            }
        }
        commit_copies();
    }
    __device__ __forceinline__ void begin() const {
        for (u32 b = 0; b < BUFFERS - 1; b++) ask(b);
    }
    // The buffer of columns b, which are there; asks for later ones.
    __device__ __forceinline__ const u8* next(u32 b) const {
        wait_for_copies<BUFFERS - 2>();
        block_sync();
        ask(b + BUFFERS - 1);
        return buffers + b % BUFFERS * BUFFER_BYTES;
    }
};

// A lane's 16 bytes of token g of a panel: columns 64 i and on.
__device__ __forceinline__ uint4 values_at(const u8* buffer, u32 panel, u32 i, u32 g, u32 t) {
    return *(const uint4*)(buffer + panel * PANEL * 256 + g * 256 + (i * 64 ^ (g & 1) << 6) + t * 16);
}
// Asks for `bytes` bytes to be brought into the second cache, by a warp.
__device__ __forceinline__ void ask_for(const u8* at, u32 bytes, u32 lane) {
#pragma unroll
    for (u32 i = 0; i < bytes; i += 32 * 128)
        if (i + lane * 128 < bytes) prefetch_line(at + i + lane * 128);
}

// Which slot's chunk has number `index`, counting the chunks of all slots in use; false beyond the last. By each warp.
__device__ __forceinline__ bool find_chunk(const Step& p, u32 index, u32& slot, u32& chunk, u32 lane) {
    const u32 used = load_l2(slot_word(p, 0));
    u32 before = 0;
    for (u32 first = 0; first < used; first += 32) {
        const u32 mine = first + lane < used ? (load_l2(slot_tokens(p, first + lane)) + MANY - 1) / MANY : 0;
        u32 sum = before + mine;
#pragma unroll
        for (u32 o = 1; o < 32; o <<= 1) {
            const u32 other = __shfl_sync(FULL, sum - before, (lane - o) & 31);
            if (lane >= o) sum += other;
        }
        const u32 found = __ballot_sync(FULL, index < sum);
        if (found) {
            const u32 of = __ffs(found) - 1;
            slot = first + of;
            chunk = index - __shfl_sync(FULL, sum - mine, of);
            return true;
        }
        before = __shfl_sync(FULL, sum, 31);
    }
    return false;
}
