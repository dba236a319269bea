// The kernels of steps of many tokens, which prompts are: the same products by type of weights, and the lists of experts' tokens.
//
// Synchronisation: as in step.cu.
#include "product_many.cuh"

#define MANY_PRODUCT(name, of)                                                                                                 \
    extern "C" __global__ void __launch_bounds__(256, 1) name(PARAMETER(Step, p), PARAMETER(Layer, l), u32 stage, u32 pass) { \
        DYNAMIC_SHARED(memory);                                                                                                \
        many_block<of>(p, l, stage, pass, memory);                                                                             \
    }
MANY_PRODUCT(many_q4_k, Coarse<ManyQ4K>)
MANY_PRODUCT(many_q6_k, Coarse<ManyQ6K>)
MANY_PRODUCT(many_q8_0, Fine<ManyQ8>)
MANY_PRODUCT(many_mxfp4, Fine<ManyMxfp4>)
MANY_PRODUCT(many_plain, Plain)

// A block an expert.
extern "C" __global__ void __launch_bounds__(THREADS) slots(PARAMETER(Step, p)) {
    DYNAMIC_SHARED(memory);
    allow_next();
    wait_for_last();
    list_slot(p, blockIdx.x, (u32*)memory, threadIdx.x >> 5, threadIdx.x & 31);
}
