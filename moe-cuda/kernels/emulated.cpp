// The kernels behind a plain function, for the tests.
#define EMULATED
#include "step.cu"
#include "begin.cu"
#include "many.cu"

// Parameters in the order in which the kernel takes them.
struct Call {
    u32 which;
    const void* const* parameters;
};
template <class T>
static const T& parameter(const Call& c, int index) { return *(const T*)c.parameters[index]; }
static void enter(void* argument) {
    const Call& c = *(const Call*)argument;
#define STEP parameter<Step>(c, 0)
#define LAYER parameter<Layer>(c, 1)
    switch (c.which) {
    case 0: return begin(STEP);
    case 1: return fill(parameter<Fill>(c, 0));
    case 2: return quantise(parameter<Rows>(c, 0), parameter<u64>(c, 1), parameter<u32>(c, 2), parameter<u32>(c, 3));
    case 3: return norm_rows(STEP, LAYER, parameter<u32>(c, 2), parameter<u32>(c, 3));
    case 4: return attention(STEP, LAYER);
    case 7: return attention_many(STEP, LAYER);
    case 5: return chunks(STEP);
    case 6: return candidates(STEP);
    case 8: return store(STEP, LAYER);
    case 10: return qkv_1(STEP, LAYER);
    case 11: return output_1(STEP, LAYER);
    case 12: return up_1(STEP, LAYER);
    case 13: return down_1(STEP, LAYER);
    case 14: return head_1(STEP, LAYER);
    case 20: return qkv_8(STEP, LAYER);
    case 21: return output_8(STEP, LAYER);
    case 22: return up_8(STEP, LAYER);
    case 23: return down_8(STEP, LAYER);
    case 24: return head_8(STEP, LAYER);
    case 30: return qkv_1_six(STEP, LAYER);
    case 31: return output_1_six(STEP, LAYER);
    case 32: return up_1_six(STEP, LAYER);
    case 33: return down_1_six(STEP, LAYER);
    case 34: return head_1_six(STEP, LAYER);
    case 40: return qkv_8_six(STEP, LAYER);
    case 41: return output_8_six(STEP, LAYER);
    case 42: return up_8_six(STEP, LAYER);
    case 43: return down_8_six(STEP, LAYER);
    case 44: return head_8_six(STEP, LAYER);
    case 50: return slots(STEP);
    case 51: return many_q4_k(STEP, LAYER, parameter<u32>(c, 2), parameter<u32>(c, 3));
    case 52: return many_q6_k(STEP, LAYER, parameter<u32>(c, 2), parameter<u32>(c, 3));
    case 53: return many_q8_0(STEP, LAYER, parameter<u32>(c, 2), parameter<u32>(c, 3));
    case 54: return many_mxfp4(STEP, LAYER, parameter<u32>(c, 2), parameter<u32>(c, 3));
    case 55: return many_plain(STEP, LAYER, parameter<u32>(c, 2), parameter<u32>(c, 3));
    default: abort();
    }
}
extern "C" int emulated_launch(u32 which, const void* const* parameters, const u32* grid, u32 threads, u32 shared_bytes, u32 seed) {
    Call call = {which, parameters};
    return emulation::run({grid[0], grid[1], grid[2]}, threads, shared_bytes, seed, enter, &call);
}
extern "C" void emulated_sizes(u32* sizes) { sizes[0] = sizeof(Matrix), sizes[1] = sizeof(Layer), sizes[2] = sizeof(Rows), sizes[3] = sizeof(Step); }
