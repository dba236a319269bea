// The kernels of a step. They follow one another in a stream or graph.
//
// Synchronisation: what a kernel writes, later kernels read. A kernel may begin before the one before has ended; until
// wait_for_last() it reads weights and its parameters only, and writes nothing. Inside a kernel blocks meet in counters alone:
// attention.cuh, finish_unit, and the router.
#include "attention.cuh"
#include "candidates.cuh"
#include "finish.cuh"
#include "norm.cuh"
#include "product.cuh"
#include "route.cuh"

// x: units and experts go round the blocks; y: tokens. `stage` is QKV, UP or HEAD; `before` are the flags of the layer whose
// experts have just been computed, 0 for none.
extern "C" __global__ void __launch_bounds__(THREADS) norm_rows(PARAMETER(Step, p), PARAMETER(Layer, l), u32 stage, u32 before) {
    DYNAMIC_SHARED(memory);
    allow_next();
    if (p.flags & PREFETCH && threadIdx.x < 32 && blockIdx.y == 0) {
        const u64 most = 8 << 20;
        prefetch_matrix(stage == QKV ? l.query : l.shared_gate, most, blockIdx.x, gridDim.x, threadIdx.x);
        prefetch_matrix(stage == QKV ? l.key : l.shared_up, most, blockIdx.x, gridDim.x, threadIdx.x);
        if (stage == QKV) prefetch_matrix(l.value, most, blockIdx.x, gridDim.x, threadIdx.x);
    }
    norm_block(p, l, stage, before, (float*)memory);
}

// SIX: some of the stage's matrices are Q6_K, which wants more registers.
template <int S, bool ONE, bool SIX>
__device__ __forceinline__ void product_block(const Step& p, const Layer& l, u8* memory) {
    const u32 warp = threadIdx.x >> 5, lane = threadIdx.x & 31, g = lane >> 2, t = lane & 3, all = S == HEAD ? p.wanted : p.tokens, chunks = ONE ? 1 : (all + PANEL - 1) / PANEL;
    // Gate and up: half the warps each.
    const u32 warps = blockDim.x / (S == UP ? 64 : 32), half = S == UP ? warp / warps : 0, mine = warp % warps;
    const u32 chunk = blockIdx.x % chunks, index = blockIdx.x / chunks;
    Item item = item_at<S>(p, l, index, blockIdx.y, half);
    const Matrix& m = *item.matrix;
    if (item.tile >= tiles_of(m)) return;
    // What all tokens go through is known: its first blocks are asked for at once.
    const u64 tile_at = item.tile * tile_bytes(m);
    const u8* tile = (const u8*)m.at + tile_at;
    RawQ4K raw4;
    RawQ6K raw6;
    const bool early = item.slot == ALL && mine < units(m.columns);
    if (early && m.type == Q4_K) raw4.load(tile + mine * 2304, g, t);
    if (SIX && early && m.type == Q6_K) raw6.load(tile + mine * 3360, g, t);
    allow_next();
    wait_for_last();
    u32 count = all;
    if (item.slot != ALL) {
        if (item.slot >= load_l2(slot_word(p, 0))) return;
        item.expert = load_l2(slot_expert(p, item.slot));
        count = load_l2(slot_tokens(p, item.slot));
        tile = (const u8*)m.at + item.expert * m.expert_bytes + tile_at;
        if (mine < units(m.columns)) {
            if (m.type == Q4_K) raw4.load(tile + mine * 2304, g, t);
            if (SIX && m.type == Q6_K) raw6.load(tile + mine * 3360, g, t);
        }
    }
    const u32 first = chunk * PANEL;
    if (first >= count) return;
    const u32 tokens = ONE ? 1 : count - first < PANEL ? count - first : PANEL;
    const Rows& rows = rows_of<S>(p);
    u8* terms = memory + half * p.term_bytes;
    const u32 entry_g = entry_of(p, item.slot, first + (g < tokens ? g : tokens - 1));
    const u32 row_g = row_of<S>(p, entry_g);
    const float factor_g = ONE ? factor_of<S>(p, entry_g) : 1.f;
    if (m.type == Q4_K)
        coarse_terms<Q4KBlock, ONE>(terms, tile, raw4, (const u8*)rows.coarse + row_g * rows.coarse_stride, m.columns, mine, warps, factor_g, lane);
    else if (SIX && m.type == Q6_K)
        coarse_terms<Q6KBlock, ONE>(terms, tile, raw6, (const u8*)rows.coarse + row_g * rows.coarse_stride, m.columns, mine, warps, factor_g, lane);
    else if (m.type == Q8_0)
        fine_terms<Q8Block, ONE>(terms, tile, (const u8*)rows.fine + row_g * rows.fine_stride, m.type, m.columns, mine, warps, factor_g, lane);
    else if (m.type == MXFP4)
        fine_terms<Mxfp4Block, ONE>(terms, tile, (const u8*)rows.fine + row_g * rows.fine_stride, m.type, m.columns, mine, warps, factor_g, lane);
    else
        plain_terms<S>((float*)terms, p, item, rows, first, tokens, mine, warps, lane);
    __syncthreads();
    // A thread an output, 16 rows of a token side by side.
    const u32 in = threadIdx.x % (blockDim.x / (S == UP ? 2 : 1)), row = in & 15, token = in >> 4;
    float value = 0;
    u32 entry = 0;
    if (token < tokens) {
        entry = entry_of(p, item.slot, first + token);
        const u32 stride = m.type <= Q6_K ? rows.coarse_stride : rows.fine_stride;
        const u8* x = (const u8*)(m.type <= Q6_K ? rows.coarse : rows.fine) + row_of<S>(p, entry) * stride;
        value = is_packed(m.type) ? chain<ONE>(terms, m.type, m.columns, row, token, x, ONE ? 1.f : factor_of<S>(p, entry))
                                  : ((const float*)terms)[token * 16 + row];
    }
    const u32 at = item.tile * 16 + row;
    if (S == UP) {
        float* ups = (float*)(memory + 2 * p.term_bytes);
        if (half) ups[in] = value;
        __syncthreads();
        if (!half && token < tokens && at < m.rows)
            ((float*)p.inner_float)[(u64)entry * p.inner_columns + at] = __fmul_rn(__fmul_rn(value, exact_sigmoid(value)), ups[in]);
        const u32 unit = item.tile / 16, left = tiles_of(m) - unit * 16;
        finish_unit(p, l, m.rows, item.slot, unit, left < 16 ? left : 16, chunk, first, tokens, (u32*)(ups + PANEL * 16));
    } else if (token < tokens && at < m.rows) {
        float* out = (float*)(S == QKV ? p.qkv : S == OUTPUT ? p.attn_out : S == DOWN ? p.mixed : p.logits);
        out[(u64)entry * (S == QKV ? qkv_columns(p) : S == HEAD ? p.vocab : p.hidden) + item.column + at] = value;
    }
}

// The last number bounds the registers: blocks of 256 threads on a multiprocessor at least.
#define PRODUCT(name, stage, one)                                                                                              \
    extern "C" __global__ void __launch_bounds__(256, stage == UP || stage == DOWN ? 3 : 2) name(PARAMETER(Step, p), PARAMETER(Layer, l)) { \
        DYNAMIC_SHARED(memory);                                                                                                \
        product_block<stage, one, false>(p, l, memory);                                                                        \
    }                                                                                                                          \
    extern "C" __global__ void __launch_bounds__(256, 2) name##_six(PARAMETER(Step, p), PARAMETER(Layer, l)) {                  \
        DYNAMIC_SHARED(memory);                                                                                                \
        product_block<stage, one, true>(p, l, memory);                                                                         \
    }
PRODUCT(qkv_1, QKV, true)
PRODUCT(qkv_8, QKV, false)
PRODUCT(output_1, OUTPUT, true)
PRODUCT(output_8, OUTPUT, false)
PRODUCT(up_1, UP, true)
PRODUCT(up_8, UP, false)
PRODUCT(down_1, DOWN, true)
PRODUCT(down_8, DOWN, false)
PRODUCT(head_1, HEAD, true)
PRODUCT(head_8, HEAD, false)

// Keys and values of all tokens into the cache: a warp a KV head of a token. For steps with several tokens of a sequence.
extern "C" __global__ void __launch_bounds__(THREADS) store(PARAMETER(Step, p), PARAMETER(Layer, l)) {
    allow_next();
    wait_for_last();
    const u32 i = blockIdx.x * WARPS + (threadIdx.x >> 5), t = i / p.kv_heads;
    if (t < p.tokens) store_new(p, &l, t, ((const u32*)p.positions)[t], i % p.kv_heads, 0, threadIdx.x & 31);
}
// A block an item: a split of a KV head of a token.
extern "C" __global__ void __launch_bounds__(THREADS) attention(PARAMETER(Step, p), PARAMETER(Layer, l)) {
    DYNAMIC_SHARED(memory);
    allow_next();
    if (p.flags & PREFETCH && threadIdx.x < 32) prefetch_matrix(l.output, 16 << 20, blockIdx.x, gridDim.x, threadIdx.x);
    attend(p, &l, memory, threadIdx.x >> 5, threadIdx.x & 31);
}
// For more items than multiprocessors: two blocks on each.
extern "C" __global__ void __launch_bounds__(THREADS, 2) attention_many(PARAMETER(Step, p), PARAMETER(Layer, l)) {
    DYNAMIC_SHARED(memory);
    allow_next();
    attend(p, &l, memory, threadIdx.x >> 5, threadIdx.x & 31);
}
extern "C" __global__ void __launch_bounds__(THREADS) chunks(PARAMETER(Step, p)) {
    allow_next();
    wait_for_last();
    const u32 i = blockIdx.x * WARPS + (threadIdx.x >> 5);
    if (i < p.wanted * p.chunks) chunk_candidates(p, i / p.chunks, i % p.chunks, threadIdx.x & 31);
}
// A block a token.
extern "C" __global__ void __launch_bounds__(THREADS) candidates(PARAMETER(Step, p)) {
    DYNAMIC_SHARED(memory);
    allow_next();
    wait_for_last();
    token_candidates(p, blockIdx.x, (u64*)memory, threadIdx.x >> 5, threadIdx.x & 31);
}
