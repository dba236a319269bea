// A decode step: one token of each of up to 32 sequences through all layers, in one launch with a barrier of the grid between
// stages. A launch may also do some of the phases only: then it needs no barrier, and launches follow one another.
//
// Synchronisation: what a stage writes to global memory and the next reads passes a barrier of the grid (or a launch's end).
// Thread 0 of each block arrives with release after the block's barrier, waits with acquire, and the block's barrier lets the
// others go on; so every write before is seen by every read after. Exceptions are counted: attention.cuh, up.cuh, and the
// router, whose results the last block publishes by the release of COUNT_ROUTED and others acquire.
#include "attention.cuh"
#include "candidates.cuh"
#include "norm.cuh"
#include "producer.cuh"
#include "route.cuh"
#include "team.cuh"
#include "up.cuh"

#ifndef EMULATED
#define STEP_PARAMETER const __grid_constant__ Step p
#else
#define STEP_PARAMETER Step p
#endif

struct Shared {
    u8* stage;
    float* exchange;
    Layer* layers;
    float* reduce;
    u32* words;
    // Each token's position, and where its chunk starts.
    uint2* places;
    // The parameters once more, for the stages that are calls.
    Step* step;
};

// Waits until all blocks have come to the same place for the `round`th time.
__device__ __forceinline__ void grid_barrier(const Step& p, u32 grid, u32 round) {
    block_sync();
    if (threadIdx.x == 0) {
        add_release((u32*)p.barrier, 1);
        while (load_acquire((const u32*)p.barrier) < grid * round) relax();
    }
    block_sync();
}
// When the first block began a phase (0), had its activations (1), and was done (2).
__device__ __forceinline__ void note_time(const Step& p, u32 phase, u32 what, u32 cta) {
    if (p.times && cta == 0 && threadIdx.x == 0) ((u64*)p.times)[(phase - p.begin) * 3 + what] = nanoseconds();
}
__device__ __forceinline__ void load_layer(const Step& p, Layer* layers, u32 index) {
    if (index >= p.layer_count) return;
    const u32* from = (const u32*)((const Layer*)p.layers + index);
    u32* to = (u32*)(layers + (index & 1));
    for (u32 i = threadIdx.x; i < sizeof(Layer) / 4; i += THREADS) to[i] = from[i];
}
// Rows of activations into shared memory where they fit there. They were written by other blocks.
__device__ __forceinline__ const u8* staged(u64 from, u32 stride, u32 rows, u8* to, u32& room, u8*& next) {
    const u32 bytes = stride * rows;
    if (!from || bytes > room) return (const u8*)from;
    for (u32 i = threadIdx.x * 16; i < bytes; i += THREADS * 16) *(uint4*)(to + i) = load_l2((const uint4*)((const u8*)from + i));
    room -= bytes;
    next = to + bytes;
    return to;
}
// Makes rows readable where the products read them.
__device__ __forceinline__ void operands(Operands& o, const Rows& rows, u32 count, u32 forms, const Shared& s, u32 room) {
    u8* next = s.stage;
    o.coarse = staged(forms & COARSE ? rows.coarse : 0, rows.coarse_stride, count, next, room, next);
    o.fine = staged(forms & FINE ? rows.fine : 0, rows.fine_stride, count, next, room, next);
    o.plain = (const u8*)rows.plain;
    o.coarse_stride = rows.coarse_stride, o.fine_stride = rows.fine_stride, o.plain_stride = rows.plain_stride;
}

// The norm of a stage, and the router. Few tokens: each block does all of them for itself, into shared memory, and the last
// blocks' experts are a warp's each, whose team has least to multiply. More (SPREAD): a block a token, into global memory.
STAGE void norm_stage(const Step& p, u32 stage, u32 phase, const Layer* l, const Layer* before, const float* weight, u32 forms, const Shared& s,
                      u32 cta, u32 grid, u32 warp, u32 lane) {
    const bool spread = p.flags & SPREAD, routes = stage == UP && (l->flags & ROUTED);
    const u32 coarse_bytes = forms & COARSE ? p.tokens * p.normed.coarse_stride : 0, fine_bytes = forms & FINE ? p.tokens * p.normed.fine_stride : 0;
    const u32 mirrored = grid - 1 - cta;
    u8* coarse = spread ? (u8*)p.normed.coarse : s.stage;
    u8* fine = spread ? (u8*)p.normed.fine : s.stage + coarse_bytes;
    float* kept = (float*)(spread ? s.stage : s.stage + coarse_bytes + fine_bytes);
    for (u32 t = spread ? cta : 0; t < p.tokens; t += spread ? grid : 1) {
        norm_token(p, stage, before, weight, t, spread || cta == grid / 2, forms & COARSE ? coarse + t * p.normed.coarse_stride : 0,
                   forms & FINE ? fine + t * p.normed.fine_stride : 0,
                   forms & FLOAT ? (float*)((u8*)p.normed.plain + t * p.normed.plain_stride) : 0, routes ? kept : 0, s.reduce, warp, lane);
        block_sync();
        if (!routes) continue;
        if (spread)
            for (u32 e = warp; e < p.experts; e += WARPS) route_logit(kept, p, l, t, e, lane);
        else if (warp == WARPS - 4)
            for (u32 e = mirrored; e < p.experts; e += grid) route_logit(kept, p, l, t, e, lane);
        if (t + (spread ? grid : 1) < p.tokens) block_sync();
    }
    if (!spread) {
        // One copy of what every block has, for whoever looks.
        if (cta == grid / 2) {
            for (u32 i = threadIdx.x * 16; i < coarse_bytes; i += THREADS * 16) *(uint4*)((u8*)p.normed.coarse + i) = *(const uint4*)(coarse + i);
            for (u32 i = threadIdx.x * 16; i < fine_bytes; i += THREADS * 16) *(uint4*)((u8*)p.normed.fine + i) = *(const uint4*)(fine + i);
        }
        const u32 arrivals = p.experts < grid ? p.experts : grid;
        if (!routes || warp != WARPS - 4 || mirrored >= arrivals) return;
        u32 last = 0;
        if (lane == 0) {
            __threadfence();
            last = atomicAdd(counter(p, COUNT_ROUTER), 1u) + 1 == arrivals;
            if (last) *counter(p, COUNT_ROUTER) = 0;
            __threadfence();
        }
        if (__shfl_sync(FULL, last, 0)) route_few(p, layer_of(phase), lane);
        return;
    }
    const u32 arrivals = p.tokens < grid ? p.tokens : grid;
    if (!routes || cta >= arrivals) return;
    block_sync();
    if (threadIdx.x == 0) {
        __threadfence();
        s.words[0] = atomicAdd(counter(p, COUNT_ROUTER), 1u) + 1 == arrivals;
    }
    block_sync();
    if (!s.words[0]) return;
    __threadfence();
    route(p, s.words + 1, warp, lane);
    if (threadIdx.x == 0) {
        *counter(p, COUNT_ROUTER) = 0;
        __threadfence();
        store_release(counter(p, COUNT_ROUTED), layer_of(phase) + 1);
    }
}

// One token: what the experts' first halves gave, quantised by each block for itself into shared memory.
STAGE void quantise_inner(const Step& p, const Layer* l, const Shared& s, u32 copies, u32 warp, u32 lane) {
    const u32 each = units(p.inner_columns), tasks = (1 + p.used) * each;
    const u32 coarse_bytes = l->down_forms & COARSE ? (1 + p.used) * p.inner.coarse_stride : 0;
    const u32 fine_bytes = l->down_forms & FINE ? (1 + p.used) * p.inner.fine_stride : 0;
    for (u32 from = warp; from < tasks; from += 4 * WARPS) {
        float v[4][8];
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const u32 task = from + i * WARPS, row = task / each, column = task % each * 256 + lane * 8;
            const u32 width = row ? l->gate.rows : l->shared_gate.rows;
#pragma unroll
            for (int j = 0; j < 8; j++) v[i][j] = 0;
            if (task < tasks && column < width) load8(v[i], (const float*)p.inner_float + (u64)row * p.inner_columns + column);
        }
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const u32 task = from + i * WARPS, row = task / each, unit = task % each;
            const u32 width = row ? l->gate.rows : l->shared_gate.rows;
            if (task < tasks && unit * 256 < width)
                quantise_unit(v[i], coarse_bytes ? s.stage + row * p.inner.coarse_stride : 0,
                              fine_bytes ? s.stage + coarse_bytes + row * p.inner.fine_stride : 0, width, unit, lane);
        }
    }
    if (!copies) return;
    block_sync();
    for (u32 i = threadIdx.x * 16; i < coarse_bytes; i += THREADS * 16) *(uint4*)((u8*)p.inner.coarse + i) = *(const uint4*)(s.stage + i);
    for (u32 i = threadIdx.x * 16; i < fine_bytes; i += THREADS * 16) *(uint4*)((u8*)p.inner.fine + i) = *(const uint4*)(s.stage + coarse_bytes + i);
}
// Whether one token's experts' first halves are quantised by each block.
__device__ __forceinline__ bool quantises_inner(const Step& p, const Layer* l) {
    const u32 bytes = (l->down_forms & COARSE ? p.inner.coarse_stride : 0) + (l->down_forms & FINE ? p.inner.fine_stride : 0);
    return !(l->down_forms & FLOAT) && (1 + p.used) * bytes <= p.stage_bytes;
}

// Until the router has spoken of this layer.
__device__ __forceinline__ void wait_for_routing(const Step& p, u32 layer) {
    while (__shfl_sync(FULL, load_acquire(counter(p, COUNT_ROUTED)), 0) <= layer) relax();
    __threadfence();
}

// Everything a stage of products does after its activations are there.
template <int P>
__device__ __forceinline__ void multiply_stage(Ring& ring, const Place<1>& me, const Step& p, u32 stage, u32 phase, const Layer* l, const Operands& o,
                                               const Shared& s) {
    const u32 current = layer_of(phase), step = me.step(stage);
    u32 item = me.first(stage, first_of(l, stage));
    u32 count = common_items(p, l, stage);
    bool routed = is_routed(l, stage);
    Tokens<P> k;
    u32 slot = ALL - 1;
    for (;;) {
        if (item >= count) {
            if (!routed) break;
            routed = false;
            wait_for_routing(p, current);
            count += routed_items(load_l2(slot_word(p, 0)), l, stage);
            continue;
        }
        const Item i = item_at(p, l, stage, item, me.starts_up(stage));
        item += step;
        if (i.slot != slot) find_tokens<P>(k, p, o, i.slot, me.lane >> 2, me.lane & 3);
        slot = i.slot;
        float acc[P][4];
#pragma unroll
        for (int q = 0; q < P; q++) acc[q][0] = acc[q][1] = acc[q][2] = acc[q][3] = 0;
        float* scratch = s.exchange + me.warp * P * 128;
        if (is_packed(i.matrix->type)) {
            packed_tile<P>(acc, ring, me.lane, *i.matrix, o, k);
        } else {
            plain_tile<P>(acc, scratch, p, i, o, k, me.lane);
        }
        if (stage == UP)
            gate_up<P>(acc, s.exchange + (WARPS / 2 + me.warp % (WARPS / 2)) * P * 128, p, l, i, o, k, me);
        else
            store_tile<P>(acc, i, o, k, me.lane);
    }
}

// The same for one token, by teams.
__device__ __forceinline__ void team_stage(Ring& ring, const Place<TEAM_WARPS>& me, const Step& p, u32 stage, u32 phase, const Layer* l, const Operands& o,
                                           const Shared& s) {
    const u32 current = layer_of(phase), step = me.step(stage);
    u8* terms = (u8*)s.exchange + me.warp / TEAM_WARPS * TERM_BYTES;
    u32 count = common_items(p, l, stage);
    bool routed = is_routed(l, stage);
    for (u32 item = me.first(stage, first_of(l, stage));;) {
        if (item >= count) {
            if (!routed) break;
            routed = false;
            wait_for_routing(p, current);
            count += routed_items(load_l2(slot_word(p, 0)), l, stage);
            continue;
        }
        float gate = 0;
        const Item first = item_at(p, l, stage, item, false);
        const u32 entry = entry_of(p, first.slot, 0), row = row_of(p, o, entry), at = first.tile * 16 + me.lane;
        const float factor = factor_of(p, o, entry);
        item += step;
#pragma unroll 1
        for (u32 second = 0; second <= (stage == UP); second++) {
            Item i = first;
            if (second) i.matrix = first.slot == ALL ? &l->shared_up : &l->up;
            float v;
            if (is_packed(i.matrix->type)) {
                v = team_tile(terms, ring, me, *i.matrix, o, row, factor);
            } else {
                v = team_plain((float*)terms, p, me, i, o, row, factor);
            }
            if (me.part()) continue;
            if (stage == UP && !second) {
                gate = v;
            } else {
                if (stage == UP) v = __fmul_rn(__fmul_rn(gate, exact_sigmoid(gate)), v);
                if (me.lane < 16 && at < i.matrix->rows) o.out[(u64)entry * o.out_stride + i.column + at] = v;
                if (stage == UP && !quantises_inner(p, l)) finish_unit(p, l, i, o, 1, me.lane);
            }
        }
    }
}

// Picks how warps share work: N panels, or 0 for one token.
template <int N>
struct Variant {
    static const u32 TEAM = 1;
    static const u32 EXCHANGE = WARPS * N * 512;
    static __device__ __forceinline__ void multiply(Ring& ring, const Place<1>& me, const Step& p, u32 stage, u32 phase, const Layer* l,
                                                    const Operands& o, const Shared& s) {
        multiply_stage<N>(ring, me, p, stage, phase, l, o, s);
    }
};
template <>
struct Variant<0> {
    static const u32 TEAM = TEAM_WARPS;
    static const u32 EXCHANGE = WARPS / TEAM_WARPS * TERM_BYTES;
    static __device__ __forceinline__ void multiply(Ring& ring, const Place<TEAM_WARPS>& me, const Step& p, u32 stage, u32 phase,
                                                    const Layer* l, const Operands& o, const Shared& s) {
        team_stage(ring, me, p, stage, phase, l, o, s);
    }
};

template <int N>
__device__ __forceinline__ void step(const Step& p, u8* memory) {
    typedef Variant<N> V;
    const Place<V::TEAM> me = {blockIdx.x, gridDim.x, threadIdx.x >> 5, threadIdx.x & 31};
    const u32 ring_bytes = p.slot_bytes * p.slot_count;
    Shared s;
    s.stage = memory + WARPS * ring_bytes;
    s.exchange = (float*)(s.stage + p.stage_bytes);
    u64* full = (u64*)((u8*)s.exchange + V::EXCHANGE);
    u64* empty = full + WARPS * p.slot_count;
    s.layers = (Layer*)(empty + WARPS * p.slot_count);
    s.reduce = (float*)(s.layers + 2);
    s.places = (uint2*)(s.reduce + 32);
    s.step = (Step*)(s.places + 32);
    Plans* plans = (Plans*)(s.step + 1);
    s.words = (u32*)(plans + 1);
    for (u32 i = threadIdx.x; i < WARPS * p.slot_count; i += THREADS + 32) {
        mbarrier_init(full + i, COPY_ARRIVALS);
        mbarrier_init(empty + i, 1);
    }
    mbarrier_init_fence();
    for (u32 i = threadIdx.x; i < sizeof(Step) / 4; i += THREADS + 32) ((u32*)s.step)[i] = ((const u32*)&p)[i];
    if (threadIdx.x < 32) {
        s.reduce[threadIdx.x] = 0;
        if (threadIdx.x < p.tokens) s.places[threadIdx.x] = make_uint2(((const u32*)p.positions)[threadIdx.x], ((const u32*)p.starts)[threadIdx.x]);
    }
    __syncthreads();
    if (me.warp == WARPS) {
        if (p.slot_count) produce<V::TEAM>(*s.step, *plans, memory, full, empty, me.cta, me.grid, me.lane);
        return;
    }
    Ring ring = {memory + me.warp * ring_bytes, full + me.warp * p.slot_count, empty + me.warp * p.slot_count, p.slot_bytes, p.slot_count, 0, 0};
    u32 round = 0, current = ALL;

    for (u32 phase = p.begin; phase < p.end; phase++) {
        const u32 stage = stage_of(p, phase);
        if (layer_of(phase) != current) {
            current = layer_of(phase);
            if (phase == p.begin) {
                // Of the layers around, a later stage needs the next, the others the one before.
                load_layer(p, s.layers, current);
                load_layer(p, s.layers, stage > ATTENTION && stage < STAGES ? current + 1 : current - 1);
                block_sync();
            }
        }
        if (stage == ATTENTION) load_layer(p, s.layers, current + 1);
        const Layer* l = s.layers + (current & 1);
        note_time(p, phase, 0, me.cta);
        if (stage == ATTENTION) {
            attend(*s.step, l, s.stage, s.places, me.cta, me.grid, me.warp, me.lane);
        } else if (stage == CHUNKS) {
            for (u32 i = me.warp * me.grid + me.cta; i < p.tokens * p.chunks; i += WARPS * me.grid)
                chunk_candidates(*s.step, i / p.chunks, i % p.chunks, me.lane);
        } else if (stage == CANDIDATES) {
            for (u32 t = me.cta; t < p.tokens; t += me.grid) token_candidates(*s.step, t, (u64*)s.stage, me.warp, me.lane);
        } else {
            Operands o = {};
            const bool normed = stage == QKV || stage == UP || (stage == HEAD && !(p.flags & GIVEN));
            if (normed) {
                const Layer* before = stage == UP ? l : current ? s.layers + ((current - 1) & 1) : 0;
                const float* weight = (const float*)(stage == QKV ? l->attn_norm : stage == UP ? l->ffn_norm : p.final_norm);
                const u32 forms = stage == QKV ? l->qkv_forms : stage == UP ? l->up_forms : p.head_forms;
                norm_stage(*s.step, stage, phase, l, before, weight, forms, s, me.cta, me.grid, me.warp, me.lane);
                if (p.flags & SPREAD) {
                    grid_barrier(p, me.grid, ++round);
                    operands(o, p.normed, p.tokens, forms, s, p.stage_bytes);
                } else {
                    operands(o, p.normed, p.tokens, 0, s, 0);
                    o.coarse = s.stage;
                    o.fine = s.stage + (forms & COARSE ? p.tokens * p.normed.coarse_stride : 0);
                }
            } else if (stage == OUTPUT) {
                operands(o, p.attended, p.tokens, l->output_forms, s, p.stage_bytes);
            } else if (stage == DOWN && V::TEAM > 1 && quantises_inner(p, l)) {
                quantise_inner(*s.step, l, s, me.cta == me.grid / 2, me.warp, me.lane);
                operands(o, p.inner, 0, 0, s, 0);
                o.coarse = s.stage;
                o.fine = s.stage + (l->down_forms & COARSE ? (1 + p.used) * p.inner.coarse_stride : 0);
            } else if (stage == DOWN) {
                operands(o, p.inner, p.tokens * (1 + p.used), l->down_forms, s, p.stage_bytes);
            } else {
                operands(o, p.normed, p.tokens, p.head_forms, s, p.stage_bytes);
            }
            o.own_rows = stage == DOWN;
            o.weighted = stage == UP && !(p.flags & SOFTMAX_ON_OUTPUT);
            o.out = (float*)(stage == QKV ? p.qkv : stage == OUTPUT ? p.attn_out : stage == UP ? p.inner_float : stage == DOWN ? p.mixed : p.logits);
            o.out_stride = stage == QKV ? qkv_columns(p) : stage == OUTPUT || stage == DOWN ? p.hidden : stage == UP ? p.inner_columns : p.vocab;
            block_sync();
            note_time(p, phase, 1, me.cta);
            V::multiply(ring, me, p, stage, phase, l, o, s);
        }
        note_time(p, phase, 2, me.cta);
        if (phase + 1 < p.end) grid_barrier(p, me.grid, ++round);
    }
    note_time(p, p.end, 0, me.cta);
}

#ifndef EMULATED
#ifndef PANELS
#define PANELS 1
#endif
// For up to PANELS * 8 tokens; 0 for one.
extern "C" __global__ void __launch_bounds__(THREADS + 32, 1) step(STEP_PARAMETER) {
    DYNAMIC_SHARED(memory);
    step<PANELS>(p, memory);
}
#endif
