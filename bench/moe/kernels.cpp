// Times ggml's matrix products on its CPU backend, as llama.cpp would run them.
//
// One request a line on standard input, one JSON object a line on standard output, so that two kernels can be timed
// in turn while neither is started anew:
//   dense TYPE REPACK LAYERS ROWS COLUMNS TOKENS REPETITIONS
//   experts|ffn TYPE REPACK LAYERS ROWS COLUMNS TOKENS REPETITIONS EXPERTS TOP_K
//   probe MEBIBYTES REPETITIONS
// `dense` is ggml_mul_mat, `experts` ggml_mul_mat_id, `ffn` a whole expert: gate, up, SwiGLU, down. LAYERS sets of
// weights are multiplied in one graph, so that they come from memory as a model's do. `ns` is per set. `repacked` says
// whether ggml took its repacking buffer type for these weights: it is asked as llama.cpp asks. `probe` reads memory
// with as many threads.

#include "ggml-alloc.h"
#include "ggml-backend.h"
#include "ggml-cpu.h"
#include "ggml.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <map>
#include <memory>
#include <numeric>
#include <random>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

namespace {

using Context = std::unique_ptr<ggml_context, decltype(&ggml_free)>;
using Buffer = std::unique_ptr<ggml_backend_buffer, decltype(&ggml_backend_buffer_free)>;

struct Request {
    std::string op, type;
    int repack = 0, layers = 1, repetitions = 1;
    int64_t rows = 0, columns = 0, tokens = 0, experts = 1, top_k = 1;

    std::string weights() const {
        std::ostringstream key;
        key << op << ' ' << type << ' ' << repack << ' ' << layers << ' ' << rows << ' ' << columns << ' ' << experts;
        return key.str();
    }
};

[[noreturn]] void fail(const std::string & why) {
    std::cerr << "error: " << why << std::endl;
    std::exit(1);
}

ggml_type type_of(const std::string & name) {
    for (ggml_type type : { GGML_TYPE_F32, GGML_TYPE_Q4_K, GGML_TYPE_Q6_K, GGML_TYPE_Q8_0, GGML_TYPE_MXFP4 }) {
        std::string ours = ggml_type_name(type);
        for (char & c : ours) c = std::toupper(c);
        if (ours == name) return type;
    }
    fail("no type " + name);
}

Context context(size_t tensors) {
    size_t size = tensors * ggml_tensor_overhead() + ggml_graph_overhead();
    return Context(ggml_init({ size, nullptr, true }), ggml_free);
}

// Random quants; scales such that products neither overflow nor are denormal.
std::vector<uint8_t> random_blocks(const ggml_tensor * tensor, uint64_t seed) {
    std::vector<uint8_t> bytes(ggml_nbytes(tensor));
    std::mt19937_64 random(seed);
    for (size_t i = 0; i + 8 <= bytes.size(); i += 8) {
        uint64_t word = random();
        memcpy(&bytes[i], &word, 8);
    }
    const size_t block = ggml_type_size(tensor->type);
    const uint16_t scale = ggml_fp32_to_fp16(1.0f / 1024);
    for (size_t at = 0; at < bytes.size(); at += block) {
        switch (tensor->type) {
            case GGML_TYPE_Q4_K: memcpy(&bytes[at], &scale, 2); memcpy(&bytes[at + 2], &scale, 2); break;
            case GGML_TYPE_Q6_K: memcpy(&bytes[at + block - 2], &scale, 2); break;
            case GGML_TYPE_Q8_0: memcpy(&bytes[at], &scale, 2); break;
            default: bytes[at] = 118; break; // MXFP4: 2^-9
        }
    }
    return bytes;
}

struct Weights {
    Context ctx{ nullptr, ggml_free };
    Buffer buffer{ nullptr, ggml_backend_buffer_free };
    std::vector<std::vector<ggml_tensor *>> layers; // up, or gate, up, down
    bool repacked = false;
};

// Whether ggml would put a weight of this kind into its extra buffer type: src/llama-model-loader.cpp asks so.
ggml_backend_buffer_type_t repacking(ggml_backend_dev_t device, ggml_context * ctx, ggml_tensor * w) {
    using Extra = ggml_backend_buffer_type_t * (*)(ggml_backend_dev_t);
    ggml_backend_reg_t reg = ggml_backend_dev_backend_reg(device);
    auto extra = (Extra) ggml_backend_reg_get_proc_address(reg, "ggml_backend_dev_get_extra_bufts");
    ggml_tensor * ids = ggml_new_tensor_2d(ctx, GGML_TYPE_I32, 1, 512);
    ggml_tensor * b = ggml_new_tensor_3d(ctx, GGML_TYPE_F32, w->ne[0], w->ne[2] > 1 ? 1 : 512, w->ne[2] > 1 ? 512 : 1);
    ggml_tensor * op = w->ne[2] > 1 ? ggml_mul_mat_id(ctx, w, b, ids) : ggml_mul_mat(ctx, w, b);
    for (auto * buft = extra ? extra(device) : nullptr; buft && *buft; ++buft) {
        w->buffer = ggml_backend_buft_alloc_buffer(*buft, 0);
        const bool takes = ggml_backend_dev_supports_op(device, op);
        ggml_backend_buffer_free(w->buffer);
        w->buffer = nullptr;
        if (takes) return *buft;
    }
    return nullptr;
}

Weights load(const Request & r) {
    Weights weights;
    weights.ctx = context(8 + 3 * r.layers);
    const ggml_type type = type_of(r.type);
    auto matrix = [&](int64_t columns, int64_t rows) {
        return ggml_new_tensor_3d(weights.ctx.get(), type, columns, rows, r.experts);
    };
    for (int i = 0; i < r.layers; ++i) {
        weights.layers.push_back({ matrix(r.columns, r.rows) });
        if (r.op == "ffn") {
            weights.layers.back().push_back(matrix(r.columns, r.rows));
            weights.layers.back().push_back(matrix(r.rows, r.columns));
        }
    }
    ggml_backend_dev_t device = ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
    ggml_backend_buffer_type_t buft = nullptr;
    if (r.repack) {
        Context asked = context(8);
        ggml_tensor * w = ggml_new_tensor_3d(asked.get(), type, r.columns, r.rows, r.experts);
        buft = repacking(device, asked.get(), w);
    }
    weights.repacked = buft != nullptr;
    buft = buft ? buft : ggml_backend_cpu_buffer_type();
    weights.buffer = Buffer(ggml_backend_alloc_ctx_tensors_from_buft(weights.ctx.get(), buft), ggml_backend_buffer_free);
    if (!weights.buffer) fail("no memory for " + r.weights());
    uint64_t seed = 1;
    for (auto & layer : weights.layers) {
        for (ggml_tensor * tensor : layer) {
            const auto bytes = random_blocks(tensor, seed++);
            ggml_backend_tensor_set(tensor, bytes.data(), 0, bytes.size());
        }
    }
    return weights;
}

void fill_random(ggml_tensor * tensor, std::mt19937 & random) {
    std::normal_distribution<float> normal;
    std::vector<float> values(ggml_nelements(tensor));
    for (float & value : values) value = normal(random);
    ggml_backend_tensor_set(tensor, values.data(), 0, ggml_nbytes(tensor));
}

// TOP_K different experts for each token: the same ones as in moe-kernels/examples/timed.rs, since how many experts a
// batch has in common decides how many weights are read.
void fill_routing(ggml_tensor * ids, int64_t experts, uint64_t layer) {
    std::vector<int32_t> values;
    uint64_t state = 1000 + layer;
    for (int64_t token = 0; token < ids->ne[1]; ++token) {
        const auto first = values.size();
        while (values.size() < first + ids->ne[0]) {
            state = state * 0x5851F42D4C957F2D + 0x14057B7EF767814F;
            const int32_t expert = (state >> 33) % experts;
            if (std::find(values.begin() + first, values.end(), expert) == values.end()) values.push_back(expert);
        }
    }
    ggml_backend_tensor_set(ids, values.data(), 0, ggml_nbytes(ids));
}

// Nanoseconds per layer, one value a repetition, after one that does not count.
std::vector<double> time_products(ggml_backend_t backend, const Request & r, const Weights & weights) {
    Context ctx = context(GGML_DEFAULT_GRAPH_SIZE);
    ggml_context * c = ctx.get();
    ggml_cgraph * graph = ggml_new_graph(c);
    std::vector<ggml_tensor *> inputs, routings;
    for (const auto & w : weights.layers) {
        ggml_tensor * out = nullptr;
        if (r.op == "dense") {
            inputs.push_back(ggml_new_tensor_2d(c, GGML_TYPE_F32, r.columns, r.tokens));
            out = ggml_mul_mat(c, w[0], inputs.back());
        } else {
            inputs.push_back(ggml_new_tensor_3d(c, GGML_TYPE_F32, r.columns, 1, r.tokens));
            routings.push_back(ggml_new_tensor_2d(c, GGML_TYPE_I32, r.top_k, r.tokens));
            out = ggml_mul_mat_id(c, w[0], inputs.back(), routings.back());
            if (r.op == "ffn") {
                ggml_tensor * up = ggml_mul_mat_id(c, w[1], inputs.back(), routings.back());
                out = ggml_mul_mat_id(c, w[2], ggml_swiglu_split(c, out, up), routings.back());
            }
        }
        ggml_build_forward_expand(graph, out);
    }
    Buffer buffer(ggml_backend_alloc_ctx_tensors(c, backend), ggml_backend_buffer_free);
    if (!buffer) fail("no memory for the activations");
    std::mt19937 random(7);
    for (ggml_tensor * input : inputs) fill_random(input, random);
    for (size_t layer = 0; layer < routings.size(); ++layer) fill_routing(routings[layer], r.experts, layer);
    std::vector<double> ns;
    for (int i = 0; i <= r.repetitions; ++i) {
        const auto begun = std::chrono::steady_clock::now();
        if (ggml_backend_graph_compute(backend, graph) != GGML_STATUS_SUCCESS) fail("the graph cannot be computed");
        const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - begun;
        if (i > 0) ns.push_back(took.count() / r.layers);
    }
    return ns;
}

// GB/s of reading `mebibytes` with all threads, one value a repetition.
std::vector<double> probe(size_t mebibytes, int repetitions, int threads) {
    static std::vector<uint64_t> memory;
    memory.resize(mebibytes << 17, 1);
    std::vector<double> rates;
    for (int i = 0; i <= repetitions; ++i) {
        std::vector<std::thread> readers;
        std::vector<uint64_t> sums(threads * 8);
        const auto begun = std::chrono::steady_clock::now();
        for (int t = 0; t < threads; ++t) {
            readers.emplace_back([&, t] {
                const size_t part = memory.size() / threads;
                const uint64_t * from = memory.data() + t * part;
                sums[t * 8] = std::accumulate(from, from + part, uint64_t(0));
            });
        }
        for (auto & reader : readers) reader.join();
        const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begun;
        if (std::accumulate(sums.begin(), sums.end(), uint64_t(0)) == 0) fail("memory reads as zero");
        if (i > 0) rates.push_back(memory.size() * 8 / took.count() / 1e9);
    }
    return rates;
}

std::string list(const std::vector<double> & values) {
    std::ostringstream text;
    text.precision(12);
    for (size_t i = 0; i < values.size(); ++i) text << (i ? "," : "") << std::llround(values[i] * 100) / 100.0;
    return "[" + text.str() + "]";
}

} // namespace

int main(int argc, char ** argv) {
    const int threads = argc > 1 ? std::atoi(argv[1]) : 2;
    ggml_backend_t backend = ggml_backend_cpu_init();
    ggml_backend_cpu_set_n_threads(backend, threads);
    std::map<std::string, Weights> loaded;
    for (std::string line; std::getline(std::cin, line);) {
        std::istringstream words(line);
        Request r;
        words >> r.op;
        if (r.op == "probe") {
            size_t mebibytes = 0;
            words >> mebibytes >> r.repetitions;
            std::cout << "{\"op\":\"probe\",\"gb_per_s\":" << list(probe(mebibytes, r.repetitions, threads)) << "}" << std::endl;
            continue;
        }
        words >> r.type >> r.repack >> r.layers >> r.rows >> r.columns >> r.tokens >> r.repetitions;
        if (r.op != "dense") words >> r.experts >> r.top_k;
        if (!words || (r.op != "dense" && r.op != "experts" && r.op != "ffn")) fail("cannot read the request: " + line);
        if (!loaded.count(r.weights())) {
            // The two that are compared, with and without repacking.
            if (loaded.size() >= 2) loaded.clear();
            loaded.emplace(r.weights(), load(r));
        }
        const Weights & weights = loaded.at(r.weights());
        const auto ns = time_products(backend, r, weights);
        std::cout << "{\"op\":\"" << r.op << "\",\"type\":\"" << r.type << "\",\"repack\":" << r.repack << ",\"repacked\":"
                  << (weights.repacked ? "true" : "false") << ",\"layers\":" << r.layers << ",\"rows\":" << r.rows
                  << ",\"columns\":" << r.columns << ",\"experts\":" << r.experts << ",\"tokens\":" << r.tokens
                  << ",\"top_k\":" << r.top_k << ",\"ns\":" << list(ns) << "}" << std::endl;
    }
    return 0;
}
