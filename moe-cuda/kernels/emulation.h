// The same kernels on a processor, for tests: a fibre for each thread, all blocks of a launch alive at once.
//
// What it checks: results, barriers that not all come to, and what depends on the order of warps, which a seed shuffles. What it
// cannot see: races in general, and time.
#pragma once
#include <csetjmp>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <sys/mman.h>
#include <ucontext.h>
#include <vector>

#define __global__
#define __device__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __align__(n)
#define __nv_pure__

struct float2 { float x, y; };
struct alignas(16) float4 { float x, y, z, w; };
struct alignas(8) uint2 { unsigned x, y; };
struct alignas(16) uint4 { unsigned x, y, z, w; };
static inline float2 make_float2(float x, float y) { return {x, y}; }
static inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
static inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }

namespace emulation {
struct Index { unsigned x, y, z; };
static const size_t STACK = 128 << 10;
struct Block;
struct Warp {
    // Two sets in turn: nobody comes to the next but one before all have read.
    char values[2][32][32];
    u32 arrived, generation;
};
struct Named { u32 arrived, generation; };
// A fibre's stack, which goes on where the last fibre that had it ended: making one anew costs system calls.
struct Stack {
    char* memory;
    jmp_buf at;
    bool is_made;
};
struct Fibre {
    jmp_buf at;
    bool started, done;
    // Runs again when *until is no longer `old`.
    const u32* until;
    u32 old, thread, turn;
    Block* block;
    Stack* stack;
};
struct Block {
    Index index;
    u8* shared;
    std::vector<Warp> warps;
    Named named[16];
};
struct Launch {
    Index grid;
    u32 threads;
    void (*run)(void*);
    void* argument;
};
static Launch launch;
static Fibre* current;
static jmp_buf scheduler;
static std::deque<Stack> stacks;

static inline void pause() {
    if (!_setjmp(current->at)) _longjmp(scheduler, 1);
}
static inline void wait_until(const u32* word, u32 old) {
    current->until = word, current->old = old;
    pause();
}
static void entry() {
    for (;;) {
        launch.run(launch.argument);
        current->done = true;
        if (!_setjmp(current->stack->at)) _longjmp(scheduler, 1);
    }
}
static void start(Fibre& f) {
    f.started = true;
    Stack& stack = *f.stack;
    if (stack.is_made) _longjmp(stack.at, 1);
    stack.is_made = true;
    ucontext_t first;
    getcontext(&first);
    first.uc_stack.ss_sp = stack.memory, first.uc_stack.ss_size = STACK, first.uc_link = nullptr;
    makecontext(&first, entry, 0);
    setcontext(&first);
}
static inline void barrier(u32 id, u32 threads) {
    Named& n = current->block->named[id];
    if (++n.arrived == threads) {
        n.arrived = 0, n.generation++;
    } else {
        wait_until(&n.generation, n.generation);
    }
}
// All lanes' values, once all have come.
template <class T>
static const char (*exchange(const T& v))[32] {
    static_assert(sizeof(T) <= 32, "a lane's value");
    Warp& w = current->block->warps[current->thread / 32];
    const u32 set = current->turn++ & 1;
    memcpy(w.values[set][current->thread % 32], &v, sizeof(T));
    if (++w.arrived == 32) {
        w.arrived = 0, w.generation++;
    } else {
        wait_until(&w.generation, w.generation);
    }
    return w.values[set];
}
template <class T>
static T value_of(const char (*values)[32], u32 lane) {
    T v;
    memcpy(&v, values[lane], sizeof(T));
    return v;
}
// Runs a launch to its end; false where it stands still. `seed` shuffles the order of warps.
static bool run(Index grid, u32 threads, u32 shared_bytes, u32 seed, void (*f)(void*), void* argument) {
    launch = {grid, threads, f, argument};
    const size_t blocks = (size_t)grid.x * grid.y * grid.z, count = blocks * threads;
    std::vector<Block> all(blocks);
    std::vector<Fibre> fibres(count);
    while (stacks.size() < count) {
        void* s = mmap(nullptr, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (s == MAP_FAILED) return false;
        stacks.push_back({(char*)s, {}, false});
    }
    for (size_t b = 0; b < blocks; b++) {
        all[b].index = {(u32)(b % grid.x), (u32)(b / grid.x % grid.y), (u32)(b / grid.x / grid.y)};
        all[b].shared = (u8*)aligned_alloc(1024, (shared_bytes + 2047) / 1024 * 1024);
        memset(all[b].shared, 0xEE, shared_bytes);
        all[b].warps.resize((threads + 31) / 32);
        memset(all[b].warps.data(), 0, all[b].warps.size() * sizeof(Warp));
        memset(all[b].named, 0, sizeof(all[b].named));
        for (u32 t = 0; t < threads; t++) {
            Fibre& f = fibres[b * threads + t];
            f = Fibre{};
            f.thread = t, f.block = &all[b], f.stack = &stacks[b * threads + t];
        }
    }
    const size_t warps = count / 32;
    std::vector<u32> order(warps);
    for (size_t i = 0; i < warps; i++) order[i] = (u32)i;
    size_t left = count;
    for (u32 idle = 0; left && idle < 1000000;) {
        for (size_t i = warps; i > 1; i--) {
            seed = seed * 1664525u + 1013904223u;
            std::swap(order[i - 1], order[(seed >> 8) % i]);
        }
        bool ran = false;
        for (u32 w : order) {
            // A warp goes on as long as collectives among its lanes let it.
            for (u32 turns = 0, again = 1; again && turns < 64; turns++) {
                again = 0;
                for (u32 lane = 0; lane < 32; lane++) {
                    Fibre& f = fibres[w * 32 + lane];
                    if (f.done || (f.until && *f.until == f.old)) continue;
                    f.until = nullptr;
                    current = &f;
                    if (!_setjmp(scheduler)) {
                        if (f.started) _longjmp(f.at, 1);
                        start(f);
                    }
                    left -= f.done;
                    ran = true;
                    again |= f.until != nullptr;
                }
            }
        }
        idle = ran ? 0 : idle + 1000000;
    }
    for (Block& b : all) free(b.shared);
    return left == 0;
}
}

#define threadIdx (emulation::Index{emulation::current->thread, 0, 0})
#define blockDim (emulation::Index{emulation::launch.threads, 1, 1})
#define blockIdx (emulation::current->block->index)
#define gridDim (emulation::launch.grid)
#define PARAMETER(type, name) const type name
#define DYNAMIC_SHARED(name) u8* name = emulation::current->block->shared

static inline void __syncthreads() { emulation::barrier(0, emulation::launch.threads); }
static inline void __syncwarp() { emulation::exchange(0); }
template <class T>
static inline T __shfl_xor_sync(u32, T v, int mask) { return emulation::value_of<T>(emulation::exchange(v), (emulation::current->thread % 32) ^ mask); }
template <class T>
static inline T __shfl_sync(u32, T v, u32 lane) { return emulation::value_of<T>(emulation::exchange(v), lane & 31); }
static inline u32 __ballot_sync(u32, int p) {
    const char(*v)[32] = emulation::exchange<int>(p != 0);
    u32 bits = 0;
    for (u32 i = 0; i < 32; i++) bits |= (u32)emulation::value_of<int>(v, i) << i;
    return bits;
}
static inline int __ffs(u32 v) { return __builtin_ffs(v); }
static inline int __popc(u32 v) { return __builtin_popcount(v); }
static inline void __threadfence() {}
template <class T>
static inline T atomicAdd(T* p, T v) { const T old = *p; *p += v; return old; }
#define __expf(x) expf(x)
static inline float __fmul_rn(float a, float b) { return a * b; }
static inline float __fadd_rn(float a, float b) { return a + b; }

static inline float bits_float(u32 bits) { float f; memcpy(&f, &bits, 4); return f; }
static inline u32 float_bits(float f) { u32 b; memcpy(&b, &f, 4); return b; }
static inline float half_to_float(u32 bits) { const u16 b = (u16)bits; _Float16 h; memcpy(&h, &b, 2); return (float)h; }
static inline u32 float_to_half(float f) { const _Float16 h = (_Float16)f; u16 b; memcpy(&b, &h, 2); return b; }
static inline u32 sub_halves(u32 a, u32 b) {
    return float_to_half(half_to_float(a) - half_to_float(b)) | float_to_half(half_to_float(a >> 16) - half_to_float(b >> 16)) << 16;
}
template <class T>
static inline T load_l2(const T* p) { return *p; }
static inline uint2 stream2(const u8* p) { return *(const uint2*)p; }
static inline u32 stream(const u8* p) { return *(const u32*)p; }
static inline u32 stream_half(const u8* p) { return *(const u16*)p; }
static inline void prefetch_l2(const u8*, u32) {}
static inline void prefetch_line(const u8*) {}
static inline void hide(const u8*&) {}
static inline void hide(u32&) {}
// Copies come as early as they can: what others still read may not be their destination.
static inline void copy_async16(u8* to, const u8* from) { memcpy(to, from, 16); }
static inline void copy_async4(u8* to, const u8* from) { memcpy(to, from, 4); }
static inline void commit_copies() {}
template <int NEWEST>
static inline void wait_for_copies() {}
static inline void allow_next() {}
static inline void wait_for_last() {}
static inline u32 permute_bytes(u32 low, u32 high, u32 selector) {
    const u64 all = (u64)high << 32 | low;
    u32 v = 0;
    for (u32 i = 0; i < 4; i++) v |= (u32)(all >> 8 * (selector >> 4 * i & 7) & 255) << 8 * i;
    return v;
}

// The lanes' words of k32, or of its first half.
static inline void mma_words(int (&c)[4], const u32 (&words)[6], u32 halves) {
    struct Words { u32 v[6]; };
    Words mine;
    memcpy(mine.v, words, sizeof(mine.v));
    const char(*all)[32] = emulation::exchange(mine);
    const u32 lane = emulation::current->thread % 32;
    for (u32 i = 0; i < 4; i++) {
        const u32 row = lane / 4, column = lane % 4 * 2 + (i & 1), of = i >> 1;
        int sum = 0;
        for (u32 part = 0; part < 4; part++) {
            const Words a = emulation::value_of<Words>(all, row * 4 + part), b = emulation::value_of<Words>(all, column * 4 + part);
            for (u32 half = 0; half < halves; half++)
                for (u32 k = 0; k < 4; k++) sum += (int)(i8)(a.v[2 * half + of] >> 8 * k) * (int)(i8)(b.v[4 + half] >> 8 * k);
        }
        c[i] += sum;
    }
}
static inline void mma(int (&c)[4], u32 a0, u32 a1, u32 a2, u32 a3, u32 b0, u32 b1) { mma_words(c, {a0, a1, a2, a3, b0, b1}, 2); }
static inline void mma_from(int (&d)[4], int from, u32 a0, u32 a1, u32 a2, u32 a3, u32 b0, u32 b1) {
    d[0] = d[1] = d[2] = d[3] = from;
    mma(d, a0, a1, a2, a3, b0, b1);
}
static inline void mma_half(int (&c)[4], u32 a0, u32 a1, u32 b) { mma_words(c, {a0, a1, 0, 0, b, 0}, 1); }
