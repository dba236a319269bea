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

// A tile and who it is for.
struct Item {
    const Matrix* matrix;
    u32 tile, expert;
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
__device__ __forceinline__ u32 routed_items(const Step& p, const Layer* l, u32 stage) {
    return load_l2(slot_word(p, 0)) * tiles_of(stage == UP ? l->gate : l->down);
}
__device__ __forceinline__ Item item_at(const Step& p, const Layer* l, u32 stage, u32 index, bool up) {
    Item i = {0, index, 0, ALL, 0};
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
        i.expert = load_l2(slot_expert(p, i.slot));
        return i;
    }
    default: i.matrix = &p.head; return i;
    }
}
__device__ __forceinline__ const u8* tile_at(const Item& i) {
    const Matrix& m = *i.matrix;
    return (const u8*)m.at + (u64)i.expert * m.expert_bytes + i.tile * tile_bytes(m.type, m.columns);
}

// How many tiles came before a stage.
__device__ __forceinline__ u32 first_of(const Layer* l, u32 stage) {
    return stage == HEAD ? 0 : l->first[stage == QKV ? 0 : stage == OUTPUT ? 1 : stage == UP ? 2 : 3];
}

// Walks over the tiles that the warp will multiply, ahead of the products; in shared memory, by lane 0 alone.
struct Cursor {
    u32 phase, item, seen, patience, second;
    // What was found.
    u32 left, bytes, last_bytes, stride;
    const u8* at;
};

// To the warp's blocks of the next tile; false where there is none yet. `current` is the layer that is computed: the
// descriptors of that and the next are here.
template <u32 TEAM>
STAGE bool next_tile(Cursor* c, const Step* step, const Layer* layers, u32 cta, u32 grid, u32 warp, u32 current) {
    const Step& p = *step;
    const Place<TEAM> me = {cta, grid, warp, 0};
    for (;;) {
        while (c->phase < p.end && !multiplies(stage_of(p, c->phase))) c->phase++, c->item = ALL;
        if (c->phase >= p.end || layer_of(c->phase) > current + 1) return false;
        const u32 stage = stage_of(p, c->phase);
        const Layer* l = layers + (layer_of(c->phase) & 1);
        if (c->item == ALL) c->item = me.first(stage, first_of(l, stage));
        u32 count = common_items(p, l, stage);
        if (c->item >= count && is_routed(l, stage)) {
            if (c->seen <= layer_of(c->phase)) {
                // Every fourth time: the answer takes as long as a block.
                if (c->patience++ % 4) return false;
                c->seen = load_acquire(counter(p, COUNT_ROUTED));
                if (c->seen <= layer_of(c->phase)) return false;
                c->patience = 0;
            }
            count += routed_items(p, l, stage);
        }
        if (c->item >= count) {
            c->phase++;
            c->item = ALL;
            continue;
        }
        const Item i = item_at(p, l, stage, c->item, me.starts_up(stage) || c->second);
        if (TEAM > 1 && stage == UP && !c->second)
            c->second = 1;
        else
            c->second = 0, c->item += me.step(stage);
        const Matrix& m = *i.matrix;
        const u32 blocks = units(m.columns), part = me.part();
        if (!is_packed(m.type) || part >= blocks) continue;
        const u32 bytes = stage_bytes(m.type, 256), rest = m.columns - (blocks - 1) * 256;
        c->left = (blocks - part + TEAM - 1) / TEAM;
        c->bytes = bytes;
        c->last_bytes = part + (c->left - 1) * TEAM == blocks - 1 ? stage_bytes(m.type, rest) : bytes;
        c->stride = bytes * TEAM;
        c->at = tile_at(i) + part * bytes;
        return true;
    }
}

// Everything a warp needs to keep its ring filled.
template <u32 TEAM>
struct Feed {
    Ring ring;
    Cursor* cursor;
    const Step* step;
    const Layer* layers;
    Place<TEAM> me;
    u32 current;

    __device__ __forceinline__ bool more() {
        if (ring.left) return true;
        if (!next_tile<TEAM>(cursor, step, layers, me.cta, me.grid, me.warp, current)) return false;
        ring.left = cursor->left, ring.bytes = cursor->bytes, ring.last_bytes = cursor->last_bytes, ring.stride = cursor->stride;
        ring.at = cursor->at;
        return true;
    }
    __device__ __forceinline__ u32 size() const { return ring.left > 1 ? ring.bytes : ring.last_bytes; }
    // Fills the ring as far as there are slots and blocks; where `some`, until there is one.
    __device__ __forceinline__ void refill(bool some = false) {
#if COPY_BY_THREADS
        for (;;) {
            u32 bytes = 0;
            if (me.lane == 0) {
                do
                    if (ring.ahead < ring.count && more()) bytes = size();
                while (some && ring.ahead == 0 && !bytes);
            }
            bytes = __shfl_sync(FULL, bytes, 0);
            if (!bytes) return;
            const u8* from = (const u8*)__shfl_sync(FULL, (u64)ring.at, 0);
            const u32 fill = __shfl_sync(FULL, ring.fill, 0);
            copy_async(ring.slots + fill * ring.slot_bytes, from, bytes, ring.full + fill, me.lane);
            if (me.lane == 0) ring.went();
        }
#else
        if (me.lane == 0) {
            do
                while (ring.ahead < ring.count && more()) {
                    copy_async(ring.slots + ring.fill * ring.slot_bytes, ring.at, size(), ring.full + ring.fill, 0);
                    ring.went();
                }
            while (some && ring.ahead == 0);
        }
#endif
    }
};
