// What host and device say to each other; src/layout.rs has the same structs, and a test holds their sizes together.
#pragma once
#include "device.cuh"

#ifndef HEAD_DIM
#define HEAD_DIM 128
#endif
// Query heads that share a KV head.
#ifndef GROUP
#define GROUP 5
#endif
// With KV_Q8 keys and values are of type Q8_0, else F16.

// KV: blocks of keys or values of type Q8_0, which only `fill` writes so.
enum Type { NONE, Q4_K, Q6_K, Q8_0, MXFP4, F16, BF16, F32, KV };
// In which forms activations are wanted.
enum Form { COARSE = 1, FINE = 2, FLOAT = 4 };
enum LayerFlag { ROPE = 1, CHUNKED = 2, ROUTED = 4, SHARED = 8 };
// STORED: keys and values of all tokens were stored by a kernel before attention, since tokens of one sequence see each other.
enum StepFlag { SOFTMAX_ON_OUTPUT = 1, ROPE_HALVES = 2, NORM_PLAIN = 4, NORM_WEIGHTED = 8, PREFETCH = 16, STORED = 32 };
// Products of a step.
enum Stage { QKV, OUTPUT, UP, DOWN, HEAD };

// Positions of a split of attention, logits of a chunk of candidates, candidates that are kept.
#define SPLIT 128
#define CHUNK 512
#define KEPT 32

// Packed tiles as moe-kernels lays them out, or plain rows; experts one after the other.
struct Matrix {
    u64 at, expert_bytes;
    u32 type, rows, columns, pad;
};
struct Layer {
    Matrix query, key, value, output, router, shared_gate, shared_up, shared_down, gate, up, down;
    u64 attn_norm, ffn_norm, query_norm, key_norm, keys, values;
    u32 flags, qkv_forms, output_forms, up_forms, down_forms, pad;
};
// Rows of activations, `stride` bytes apart. Coarse: values, the sums of 32 in two bytes each, the scale of 256. Fine: values,
// the scale of 32. Plain: as floats.
struct Rows {
    u64 coarse, fine, plain;
    u32 coarse_stride, fine_stride, plain_stride, pad;
};
// `tokens` rows, of which attention has those from `first` on in its scratch; `wanted` of them reach the head.
struct Step {
    Matrix embedding, head;
    u64 final_norm;
    Rows normed, attended, inner;
    // Inputs, token after token: `slots_in` says whose tables are a token's. `picks`: the tokens whose logits are wanted.
    u64 tokens_in, positions, starts, rope, query_scale, slots_in, picks;
    // Blocks of KV by slot, of the layers that see all tokens and of the chunked ones.
    u64 tables[2];
    // Scratch and results.
    u64 x[2], qkv, partial, partial_ml, attn_out, router_logits, choices, choice_weights, slots, inner_float, mixed, logits;
    u64 chunk_candidates, chunk_sums, candidates, sums, counters;
    u32 hidden, heads, kv_heads, experts, used, vocab, flags;
    u32 tokens, capacity, splits, block_tokens, table_stride, head_forms, wanted, first;
    u32 chunks, inner_columns, max_slots, term_bytes;
    float eps;
};

// Words of `counters`, which are zero between kernels: whoever counts last sets them back. The inner products' units follow attention's.
#define COUNT_ROUTER 0
#define COUNT_ATTENTION 2
// Tokens that a block multiplies at a time; more are chunks, each a block of its own.
#define PANEL 8
// With more tokens a step's products are those of many (product_many.cuh), and its experts' lists are made by a kernel of their own.
#define FEW 32

__device__ __forceinline__ u32 query_columns(const Step& p) { return p.heads * HEAD_DIM; }
__device__ __forceinline__ u32 qkv_columns(const Step& p) { return (p.heads + 2 * p.kv_heads) * HEAD_DIM; }
__device__ __forceinline__ u32 units(u32 columns) { return (columns + 255) / 256; }
__device__ __forceinline__ u32 padded_columns(u32 columns) { return units(columns) * 256; }
__device__ __forceinline__ u32* counter(const Step& p, u32 index) { return (u32*)p.counters + index; }
__device__ __forceinline__ u32 count_inner(const Step& p) { return COUNT_ATTENTION + p.capacity * units(query_columns(p)); }

// `slots`: how many experts are used, then for each: which, by how many tokens, by which (token * used + rank, rising).
__device__ __forceinline__ u32* slot_word(const Step& p, u32 index) { return (u32*)p.slots + index; }
__device__ __forceinline__ u32* slot_expert(const Step& p, u32 slot) { return slot_word(p, 1 + slot); }
__device__ __forceinline__ u32* slot_tokens(const Step& p, u32 slot) { return slot_word(p, 1 + p.max_slots + slot); }
__device__ __forceinline__ u32* slot_entry(const Step& p, u32 slot, u32 i) { return slot_word(p, 1 + 2 * p.max_slots + slot * p.capacity + i); }
