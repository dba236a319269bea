// Runs a model with llama.cpp's library and times it.
//
//   engine MODEL.gguf TOKENS THREADS REPACK
// TOKENS is a file of token ids, which prompts are taken from. One request a line on standard input, one JSON object a
// line on standard output, so that two engines can be timed in turn while neither loads its model anew:
//   prefill FLASH COUNT             the first COUNT tokens as one prompt, the last one's logits
//   decode FLASH PROMPT SEQUENCES STEPS    so many sequences at once, each after a prompt of its own; time of the steps
//   logits FLASH COUNT FILE         teacher-forced: every position's logits, as F32, row after row
// FLASH is 0 or 1. All else is as llama-bench has it: batches of 2048, of 512 inside, a KV cache in F16.

#include "llama.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

namespace {

using Context = std::unique_ptr<llama_context, decltype(&llama_free)>;
using Clock = std::chrono::steady_clock;

[[noreturn]] void fail(const std::string & why) {
    std::cerr << "error: " << why << std::endl;
    std::exit(1);
}

double seconds_since(Clock::time_point begun) {
    return std::chrono::duration<double>(Clock::now() - begun).count();
}

struct Batch {
    llama_batch batch;

    explicit Batch(size_t size) : batch(llama_batch_init(size, 0, 1)) {}
    Batch(const Batch &) = delete;
    Batch & operator=(const Batch &) = delete;
    ~Batch() { llama_batch_free(batch); }

    void add(llama_token token, llama_pos position, llama_seq_id sequence, bool logits) {
        const int at = batch.n_tokens++;
        batch.token[at] = token;
        batch.pos[at] = position;
        batch.n_seq_id[at] = 1;
        batch.seq_id[at][0] = sequence;
        batch.logits[at] = logits;
    }

    void run(llama_context * context) {
        if (llama_decode(context, batch) != 0) fail("llama_decode failed");
        llama_synchronize(context);
        batch.n_tokens = 0;
    }
};

struct Engine {
    llama_model * model;
    std::vector<llama_token> tokens;
    int threads;

    Context context(bool flash, uint32_t length, uint32_t sequences) const {
        llama_context_params params = llama_context_default_params();
        params.n_ctx = length * sequences;
        params.n_batch = 2048;
        params.n_ubatch = 512;
        params.n_seq_max = sequences;
        params.n_threads = params.n_threads_batch = threads;
        params.flash_attn_type = flash ? LLAMA_FLASH_ATTN_TYPE_ENABLED : LLAMA_FLASH_ATTN_TYPE_DISABLED;
        Context context(llama_init_from_model(model, params), llama_free);
        if (!context) fail("no context for " + std::to_string(length) + " tokens");
        return context;
    }

    llama_token token(size_t index) const { return tokens[index % tokens.size()]; }

    // The prompt into one sequence; logits of its last token.
    void prompt(llama_context * context, Batch & batch, size_t from, size_t count, llama_seq_id sequence) const {
        for (size_t i = 0; i < count; ++i) {
            batch.add(token(from + i), i, sequence, i + 1 == count);
            if (batch.batch.n_tokens == 2048 || i + 1 == count) batch.run(context);
        }
    }

    double prefill(bool flash, size_t count) const {
        Context c = context(flash, count, 1);
        Batch batch(2048);
        const auto begun = Clock::now();
        prompt(c.get(), batch, 0, count, 0);
        return seconds_since(begun);
    }

    double decode(bool flash, size_t length, size_t sequences, size_t steps) const {
        Context c = context(flash, (length + steps + 1 + 255) / 256 * 256, sequences);
        Batch batch(2048);
        for (size_t s = 0; s < sequences; ++s) prompt(c.get(), batch, s * length, length, s);
        auto begun = Clock::now();
        // The first step does not count: it may allocate.
        for (size_t step = 0; step <= steps; ++step) {
            for (size_t s = 0; s < sequences; ++s) batch.add(token(step * sequences + s), length + step, s, true);
            batch.run(c.get());
            if (step == 0) begun = Clock::now();
        }
        return seconds_since(begun);
    }

    void logits(bool flash, size_t count, const std::string & path) const {
        Context c = context(flash, count, 1);
        Batch batch(2048);
        std::ofstream out(path, std::ios::binary);
        const size_t row = llama_vocab_n_tokens(llama_model_get_vocab(model)) * sizeof(float);
        // Few at a time: a row of logits is large.
        for (size_t i = 0; i < count; ++i) {
            batch.add(token(i), i, 0, true);
            if (batch.batch.n_tokens < 64 && i + 1 < count) continue;
            const size_t rows = batch.batch.n_tokens;
            batch.run(c.get());
            out.write(reinterpret_cast<const char *>(llama_get_logits(c.get())), rows * row);
        }
        if (!out.flush()) fail("cannot write " + path);
    }
};

} // namespace

int main(int argc, char ** argv) {
    if (argc != 5) fail("usage: engine MODEL.gguf TOKENS THREADS REPACK");
    llama_log_set([](ggml_log_level level, const char * text, void *) {
        if (level == GGML_LOG_LEVEL_ERROR) std::cerr << text;
    }, nullptr);
    llama_model_params params = llama_model_default_params();
    params.use_extra_bufts = std::atoi(argv[4]) != 0;
    Engine engine{ llama_model_load_from_file(argv[1], params), {}, std::atoi(argv[3]) };
    if (!engine.model) fail(std::string("cannot load ") + argv[1]);
    std::ifstream file(argv[2]);
    engine.tokens.assign(std::istream_iterator<llama_token>(file), {});
    if (engine.tokens.empty()) fail(std::string("no tokens in ") + argv[2]);
    for (std::string line; std::getline(std::cin, line);) {
        std::istringstream words(line);
        std::string op, path;
        int flash = 0;
        size_t count = 0, sequences = 0, steps = 0;
        double took = 0;
        words >> op >> flash >> count;
        if (op == "prefill" && words) {
            took = engine.prefill(flash, count);
        } else if (op == "decode" && words >> sequences >> steps) {
            took = engine.decode(flash, count, sequences, steps);
        } else if (op == "logits" && words >> path) {
            engine.logits(flash, count, path);
        } else {
            fail("cannot read the request: " + line);
        }
        std::cout << "{\"op\":\"" << op << "\",\"seconds\":" << took << "}" << std::endl;
    }
    llama_model_free(engine.model);
    return 0;
}
