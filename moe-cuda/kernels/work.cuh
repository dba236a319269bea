// Which warp multiplies which tile. Items of a stage go round all warps of the grid; `first` goes on where the stage before
// ended, so that over a layer all get alike.
#pragma once
#include "ring.cuh"

// Where a warp stands in the grid, and how warps share items.
//
// TEAM 1: a warp an item, but for gate and up two warps share one, each with one of the matrices. TEAM 4: four warps share an
// item, each with every fourth block of its tile, and do gate and up one after the other.
template <u32 TEAM>
struct Place {
    u32 cta, grid, warp, lane;
    __device__ __forceinline__ bool pairs(u32 stage) const { return TEAM == 1 && stage == UP; }
    __device__ __forceinline__ u32 step(u32 stage) const { return (TEAM > 1 ? WARPS / TEAM : pairs(stage) ? WARPS / 2 : WARPS) * grid; }
    // `offset`: how many tiles came before, so that work goes round.
    __device__ __forceinline__ u32 first(u32 stage, u32 offset) const {
        const u32 all = step(stage), worker = TEAM > 1 ? warp / TEAM : pairs(stage) ? warp % (WARPS / 2) : warp;
        return (worker * grid + cta + all - (pairs(stage) ? offset / 2 : offset) % all) % all;
    }
    // Whether a warp's first tile of an item is the gate's or the other matrix'.
    __device__ __forceinline__ bool starts_up(u32 stage) const { return pairs(stage) && warp >= WARPS / 2; }
    __device__ __forceinline__ u32 part() const { return TEAM > 1 ? warp % TEAM : 0; }
};

__device__ __forceinline__ u32 stage_of(const Step& p, u32 phase) {
    const u32 layers = p.layer_count * STAGES;
    return phase < layers ? phase % STAGES : HEAD + (phase - layers);
}
__device__ __forceinline__ u32 layer_of(u32 phase) { return phase / STAGES; }
__device__ __forceinline__ bool multiplies(u32 stage) { return stage != ATTENTION && stage != CHUNKS && stage != CANDIDATES; }
__device__ __forceinline__ u32 tiles_of(const Matrix& m) { return (m.rows + 15) / 16; }

// A tile and who it is for; which expert a slot stands for is the producer's business.
struct Item {
    const Matrix* matrix;
    u32 tile;
    // ALL tokens, or a slot's.
    u32 slot;
    // Where the matrix' first row goes in an output row.
    u32 column;
};
#define ALL 0xffffffffu

// Items that every token takes part in.
__device__ __forceinline__ u32 common_items(const Step& p, const Layer* l, u32 stage) {
    switch (stage) {
    case QKV: return tiles_of(l->query) + tiles_of(l->key) + tiles_of(l->value);
    case OUTPUT: return tiles_of(l->output);
    case UP: return l->flags & SHARED ? tiles_of(l->shared_gate) : 0;
    case DOWN: return l->flags & SHARED ? tiles_of(l->shared_down) : 0;
    default: return tiles_of(p.head);
    }
}
__device__ __forceinline__ bool is_routed(const Layer* l, u32 stage) { return (stage == UP || stage == DOWN) && (l->flags & ROUTED); }
// `slots`: how many experts are used.
__device__ __forceinline__ u32 routed_items(u32 slots, const Layer* l, u32 stage) { return slots * tiles_of(stage == UP ? l->gate : l->down); }
__device__ __forceinline__ Item item_at(const Step& p, const Layer* l, u32 stage, u32 index, bool up) {
    Item i = {0, index, ALL, 0};
    switch (stage) {
    case QKV: {
        const u32 q = tiles_of(l->query), k = tiles_of(l->key);
        i.matrix = index < q ? &l->query : index < q + k ? &l->key : &l->value;
        i.tile = index < q ? index : index < q + k ? index - q : index - q - k;
        i.column = index < q ? 0 : index < q + k ? l->query.rows : l->query.rows + l->key.rows;
        return i;
    }
    case OUTPUT: i.matrix = &l->output; return i;
    case UP:
    case DOWN: {
        const u32 common = common_items(p, l, stage);
        if (index < common) {
            i.matrix = stage == DOWN ? &l->shared_down : up ? &l->shared_up : &l->shared_gate;
            return i;
        }
        i.matrix = stage == DOWN ? &l->down : up ? &l->up : &l->gate;
        const u32 tiles = tiles_of(*i.matrix);
        i.slot = (index - common) / tiles;
        i.tile = (index - common) % tiles;
        return i;
    }
    default: i.matrix = &p.head; return i;
    }
}
// How many tiles came before a stage.
__device__ __forceinline__ u32 first_of(const Layer* l, u32 stage) {
    return stage == HEAD ? 0 : l->first[stage == QKV ? 0 : stage == OUTPUT ? 1 : stage == UP ? 2 : 3];
}
