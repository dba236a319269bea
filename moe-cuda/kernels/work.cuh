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

// Walks over the blocks that the warp will multiply, ahead of the products.
struct Cursor {
    u32 phase, item, left, block, seen;
    // Of the tile.
    const u8* tile;
    u32 type, columns;
    bool second;

    __device__ __forceinline__ u32 offset(const Step& p, const Layer* layers, u32 stage) const {
        if (stage == HEAD) return 0;
        const Layer& l = layers[layer_of(phase) & 1];
        return l.first[stage == QKV ? 0 : stage == OUTPUT ? 1 : stage == UP ? 2 : 3];
    }
    __device__ __forceinline__ void enter(const Step& p) {
        while (phase < p.end && !multiplies(stage_of(p, phase))) phase++;
        item = ALL;
    }
    // To the next tile; false where there is none yet. `current` is the layer that is computed: the descriptors of that and
    // the next are here.
    template <u32 TEAM>
    __device__ bool next(const Step& p, const Layer* layers, const Place<TEAM>& me, u32 current) {
        for (;;) {
            if (phase >= p.end || layer_of(phase) > current + 1) return false;
            const u32 stage = stage_of(p, phase);
            if (item == ALL) item = me.first(stage, offset(p, layers, stage));
            const Layer* l = layers + (layer_of(phase) & 1);
            u32 count = common_items(p, l, stage);
            if (item >= count && is_routed(l, stage)) {
                if (seen <= layer_of(phase)) {
                    // What was asked for last time is looked at now, so that nobody waits for it; all lanes look at one's.
                    const u32 now = __shfl_sync(FULL, asked, 0);
                    if (now <= layer_of(phase)) {
                        asked = load_l2(counter(p, COUNT_ROUTED));
                        return false;
                    }
                    seen = now;
                    __threadfence();
                }
                count += routed_items(p, l, stage);
            }
            if (item < count) {
                const Item i = item_at(p, l, stage, item, me.starts_up(stage) || second);
                if (TEAM > 1 && stage == UP && !second)
                    second = true;
                else
                    second = false, item += me.step(stage);
                const u32 blocks = units(i.matrix->columns);
                block = me.part();
                if (!is_packed(i.matrix->type) || block >= blocks) continue;
                tile = tile_at(i);
                type = i.matrix->type;
                columns = i.matrix->columns;
                left = (blocks - block + TEAM - 1) / TEAM;
                return true;
            }
            phase++;
            enter(p);
        }
    }
    u32 asked;
};

// Fills the ring as far as there are slots and blocks.
template <u32 TEAM>
__device__ __forceinline__ void refill(Ring& ring, Cursor& c, const Step& p, const Layer* layers, const Place<TEAM>& me, u32 current) {
    while (ring.ahead < ring.count) {
        if (c.left == 0 && !c.next(p, layers, me, current)) return;
        const u32 rest = c.columns - c.block * 256;
        ring.put(c.tile + c.block * stage_bytes(c.type, 256), stage_bytes(c.type, rest < 256 ? rest : 256), me.lane);
        c.block += TEAM;
        c.left--;
    }
}
