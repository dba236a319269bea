// The kernels behind plain functions, for the tests.
#define EMULATED
#include "step.cu"
#include "begin.cu"

struct Call {
    u32 which;
    const void* parameters;
};
struct Quantise {
    Rows rows;
    u64 from;
    u32 columns, forms;
};
static void enter(void* argument) {
    const Call& c = *(const Call*)argument;
    const Step& p = *(const Step*)c.parameters;
    switch (c.which) {
    case 0: return step<0>(p, emulation::current->block->shared);
    case 1: return step<1>(p, emulation::current->block->shared);
    case 2: return step<2>(p, emulation::current->block->shared);
    case 4: return step<4>(p, emulation::current->block->shared);
    case 5: return begin(p);
    case 6: return fill(*(const Fill*)c.parameters);
    default: {
        const Quantise& q = *(const Quantise*)c.parameters;
        return quantise(q.rows, q.from, q.columns, q.forms);
    }
    }
}
extern "C" int emulated_launch(u32 which, const void* parameters, const u32* grid, u32 threads, u32 shared_bytes, u32 seed) {
    Call call = {which, parameters};
    return emulation::run({grid[0], grid[1], grid[2]}, threads, shared_bytes, seed, enter, &call);
}
extern "C" void emulated_sizes(u32* sizes) { sizes[0] = sizeof(Matrix), sizes[1] = sizeof(Layer), sizes[2] = sizeof(Rows), sizes[3] = sizeof(Step); }
