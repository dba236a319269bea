// The producer: one warp that fills the rings of all others. Lane w walks over the tiles that warp w will multiply, in the order
// in which it will, and asks for a block whenever there is a slot.
//
// Synchronisation: it meets the other warps in the rings alone (ring.cuh). The descriptors of two layers and the experts in use
// are the producer's own copies, written and read between its __syncwarp()s. What the router wrote it reads after an acquire
// of COUNT_ROUTED.
#pragma once
#include "work.cuh"

struct Walk {
    u32 phase, item;
    // Of the tile: blocks to come, bytes of one and of the last, the way to the next.
    u32 left, bytes, last_bytes, stride;
    const u8* at;
    bool second, blocked;
};
struct Plans {
    Layer layers[2];
    u32 slots, experts[256];
};

// To the warp's blocks of the next tile. `base`: the layers base and base + 1 are here; `routed`: of the layers below, the
// experts are known (those of routed - 1 are here).
template <u32 TEAM>
__device__ __forceinline__ void next_tile(Walk& c, const Step& p, const Plans& plans, const Place<TEAM>& me, u32 base, u32 routed) {
    c.blocked = false;
    for (;;) {
        while (c.phase < p.end && !multiplies(stage_of(p, c.phase))) c.phase++, c.item = ALL;
        if (c.phase >= p.end || layer_of(c.phase) > base + 1) return;
        const u32 stage = stage_of(p, c.phase), layer = layer_of(c.phase);
        const Layer* l = plans.layers + (layer & 1);
        if (c.item == ALL) c.item = me.first(stage, first_of(l, stage));
        u32 count = common_items(p, l, stage);
        if (c.item >= count && is_routed(l, stage)) {
            c.blocked = routed <= layer;
            if (c.blocked) return;
            count += routed_items(plans.slots, l, stage);
        }
        if (c.item >= count) {
            c.phase++;
            c.item = ALL;
            continue;
        }
        const Item i = item_at(p, l, stage, c.item, me.starts_up(stage) || c.second);
        if (TEAM > 1 && stage == UP && !c.second)
            c.second = true;
        else
            c.second = false, c.item += me.step(stage);
        const Matrix& m = *i.matrix;
        const u32 blocks = units(m.columns), part = me.part();
        if (!is_packed(m.type) || part >= blocks) continue;
        const u32 rest = m.columns - (blocks - 1) * 256;
        c.bytes = stage_bytes(m.type, 256);
        c.left = (blocks - part + TEAM - 1) / TEAM;
        c.last_bytes = part + (c.left - 1) * TEAM == blocks - 1 ? stage_bytes(m.type, rest) : c.bytes;
        c.stride = c.bytes * TEAM;
        const u64 expert = i.slot == ALL ? 0 : plans.experts[i.slot];
        c.at = (const u8*)m.at + expert * m.expert_bytes + i.tile * tile_bytes(m.type, m.columns) + part * c.bytes;
        return;
    }
}
__device__ __forceinline__ void copy_layer(const Step& p, Plans& plans, u32 index, u32 lane) {
    if (index >= p.layer_count) return;
    const u32* from = (const u32*)((const Layer*)p.layers + index);
    u32* to = (u32*)(plans.layers + (index & 1));
    for (u32 i = lane; i < sizeof(Layer) / 4; i += 32) to[i] = from[i];
}

template <u32 TEAM>
STAGE void produce(const Step& p, Plans& plans, u8* slots, u64* full, u64* empty, u32 cta, u32 grid, u32 lane) {
    const Place<TEAM> me = {cta, grid, lane, 0};
    Walk c = {};
    c.phase = p.begin, c.item = ALL;
    u32 base = layer_of(p.begin), routed = 0, fill = 0, parity = 1;
    bool done = lane >= WARPS;
    slots += lane * p.slot_count * p.slot_bytes, full += lane * p.slot_count, empty += lane * p.slot_count;
    copy_layer(p, plans, base, lane);
    copy_layer(p, plans, base + 1, lane);
    __syncwarp();
    for (;;) {
        if (!done && c.left == 0) {
            next_tile(c, p, plans, me, base, routed);
            done = c.phase >= p.end;
        }
        if (__ballot_sync(FULL, !done) == 0) return;
        // The window moves on when nobody is in its first layer.
        if (__ballot_sync(FULL, !done && layer_of(c.phase) <= base) == 0) {
            base++;
            copy_layer(p, plans, base + 1, lane);
            __syncwarp();
        }
        const u32 waiting = __ballot_sync(FULL, !done && c.blocked && c.left == 0);
        if (waiting) {
            const u32 layer = __shfl_sync(FULL, layer_of(c.phase), __ffs(waiting) - 1);
            const u32 seen = __shfl_sync(FULL, load_acquire(counter(p, COUNT_ROUTED)), 0);
            if (seen > layer && routed <= layer) {
                plans.slots = load_l2(slot_word(p, 0));
                for (u32 i = lane; i < p.max_slots; i += 32) plans.experts[i] = load_l2(slot_expert(p, i));
                routed = layer + 1;
                __syncwarp();
            }
        }
        const bool ready = !done && c.left && mbarrier_test(empty + fill, parity);
        const u32 bytes = c.left > 1 ? c.bytes : c.last_bytes;
        u8* to = slots + fill * p.slot_bytes;
#if COPY_BY_THREADS
        for (u32 all = __ballot_sync(FULL, ready); all; all &= all - 1) {
            const u32 w = __ffs(all) - 1;
            copy_async((u8*)__shfl_sync(FULL, (u64)to, w), (const u8*)__shfl_sync(FULL, (u64)c.at, w), __shfl_sync(FULL, bytes, w),
                       (u64*)__shfl_sync(FULL, (u64)(full + fill), w), lane);
        }
#else
        if (ready) copy_async(to, c.at, bytes, full + fill, 0);
        if (__ballot_sync(FULL, ready) == 0) relax();
#endif
        if (ready) {
            c.at += c.stride;
            c.left--;
            if (++fill == p.slot_count) fill = 0, parity ^= 1;
        }
    }
}
