// A stand-in for the driver's library and for NVRTC, for tests: the calls that the host makes, with the kernels emulated.
//
// Strict where a driver is: a thread without the context, memory that was not allocated or is too short, kernels with too much
// shared memory and calls that cannot be captured are errors. Work waits in its stream until somebody waits for it, and
// pinned memory is read only then. The environment says what kind of device it is:
//
// MOE_STAND_IN_MEMORY    bytes of its memory (1 GiB)
// MOE_STAND_IN_VERSION   of CUDA (12040)
// MOE_STAND_IN_FAULT     a file; a launch that finds it there takes it away and fails as it says: `lost` until the context is made
//                        anew, `gone` for good
// MOE_STAND_IN_COUNTS    a file, to which a line with what was done is written when a context ends
#include "emulated.cpp"

#include <fstream>
#include <functional>
#include <map>
#include <mutex>
#include <string>

namespace {
enum { SUCCESS = 0, INVALID = 1, NO_MEMORY = 2, NO_IMAGE = 200, NO_CONTEXT = 201, NO_HANDLE = 400, NOT_FOUND = 500,
       LAUNCH_FAILED = 719, NOT_CAPTURED = 900 };
const u32 SHARED_BYTES = 227 << 10, USUAL_BYTES = 48 << 10;

struct Function {
    const char* name;
    u32 which;
    // Of its parameters.
    std::vector<u32> bytes;
    // That launches may ask for.
    u32 shared;
};
const u32 S = sizeof(Step), L = sizeof(Layer), R = sizeof(Rows), F = sizeof(Fill);
std::vector<Function> functions() {
    std::vector<Function> all = {
        {"begin", 0, {S}}, {"fill", 1, {F}}, {"quantise", 2, {R, 8, 4, 4}}, {"norm_rows", 3, {S, L, 4, 4}},
        {"attention", 4, {S, L}}, {"attention_many", 7, {S, L}}, {"chunks", 5, {S}}, {"candidates", 6, {S}},
        {"store", 8, {S, L}}, {"slots", 50, {S}},
    };
    const char* products[] = {
        "qkv_1", "output_1", "up_1", "down_1", "head_1", "qkv_8", "output_8", "up_8", "down_8", "head_8",
        "qkv_1_six", "output_1_six", "up_1_six", "down_1_six", "head_1_six",
        "qkv_8_six", "output_8_six", "up_8_six", "down_8_six", "head_8_six",
    };
    for (u32 i = 0; i < 20; i++) all.push_back({products[i], 10 + i / 5 * 10 + i % 5, {S, L}});
    const char* many[] = {"many_q4_k", "many_q6_k", "many_q8_0", "many_mxfp4", "many_plain"};
    for (u32 i = 0; i < 5; i++) all.push_back({many[i], 51 + i, {S, L, 4, 4}});
    for (Function& function : all) function.shared = USUAL_BYTES;
    return all;
}

typedef std::function<int()> Work;
struct Stream {
    std::vector<Work> waiting;
    bool captures = false, invalid = false;
    std::vector<Work>* captured = nullptr;
};
struct Graph { std::vector<Work> work; };
struct Event { Stream* stream = nullptr; };
struct Module { std::vector<Function> functions; };
struct Context {
    int references = 0;
    // What every call answers from then on.
    int broken = SUCCESS;
    std::map<u64, size_t> memory;
    std::map<void*, size_t> pinned;
    size_t launches = 0, graphs = 0, written = 0, peak = 0;
};

std::mutex lock;
Context context;
bool is_gone = false;
thread_local bool is_current = false;
u32 seed = 1;

size_t number(const char* name, size_t otherwise) {
    const char* text = getenv(name);
    return text && *text ? strtoull(text, nullptr, 10) : otherwise;
}
size_t used() {
    size_t bytes = 0;
    for (const auto& [at, size] : context.memory) bytes += size;
    return bytes;
}
int usable() {
    if (!is_current || !context.references) return NO_CONTEXT;
    return context.broken;
}
bool is_allocated(u64 at, size_t bytes) {
    auto after = context.memory.upper_bound(at);
    if (after == context.memory.begin()) return false;
    auto found = std::prev(after);
    return at - found->first <= found->second && bytes <= found->second - (at - found->first);
}
bool is_pinned(const void* at) {
    auto after = context.pinned.upper_bound((void*)at);
    return after != context.pinned.begin() && (char*)at < (char*)std::prev(after)->first + std::prev(after)->second;
}
int drain(Stream& stream) {
    std::vector<Work> work;
    work.swap(stream.waiting);
    for (Work& one : work) {
        if (context.broken) break;
        if (int status = one()) context.broken = status;
    }
    return context.broken;
}
int send(Stream* stream, Work work) {
    if (stream->captured) stream->captured->push_back(std::move(work));
    else stream->waiting.push_back(std::move(work));
    return SUCCESS;
}
// Calls that a capture forbids make it worthless.
int forbidden(Stream* stream) {
    if (!stream->captured) return SUCCESS;
    stream->invalid = true;
    return NOT_CAPTURED;
}
int fault() {
    const char* path = getenv("MOE_STAND_IN_FAULT");
    if (!path || !*path) return SUCCESS;
    std::ifstream file(path);
    std::string what;
    if (!(file >> what)) return SUCCESS;
    file.close();
    remove(path);
    is_gone = what == "gone";
    return LAUNCH_FAILED;
}
void count() {
    const char* path = getenv("MOE_STAND_IN_COUNTS");
    if (!path || !*path) return;
    std::ofstream(path, std::ios::app) << "launches " << context.launches << " graphs " << context.graphs << " written " << context.written
                                       << " peak " << context.peak << "\n";
}

struct Config {
    u32 grid[3], block[3], shared;
    Stream* stream;
    void* attributes;
    u32 attribute_count;
};
int launch(const Config& config, Function& function, void** given) {
    if (config.block[0] == 0 || config.block[0] > 1024 || config.block[1] != 1 || config.block[2] != 1) return INVALID;
    if (!config.grid[0] || !config.grid[1] || !config.grid[2] || config.shared > function.shared) return INVALID;
    // As a driver does, parameters are copied at the call.
    std::vector<std::vector<u64>> parameters;
    for (size_t i = 0; i < function.bytes.size(); i++) {
        parameters.emplace_back((function.bytes[i] + 7) / 8);
        memcpy(parameters.back().data(), given[i], function.bytes[i]);
    }
    return send(config.stream, [config, which = function.which, parameters] {
        context.launches++;
        if (int status = fault()) return status;
        std::vector<const void*> at;
        for (const auto& one : parameters) at.push_back(one.data());
        bool done = emulated_launch(which, at.data(), config.grid, config.block[0], config.shared, seed++) == 1;
        return done ? (int)SUCCESS : (int)LAUNCH_FAILED;
    });
}

struct Program { std::string name, log; };
#ifdef KV_Q8
const bool IS_Q8 = true;
#else
const bool IS_Q8 = false;
#endif
const char CUBIN[] = "a stand-in's cubin";
} // namespace

#define HOLD std::lock_guard<std::mutex> held(lock)
#define USABLE HOLD; if (int status = usable()) return status

extern "C" {
int cuInit(unsigned) { return is_gone ? 100 : SUCCESS; }
int cuDriverGetVersion(int* version) { *version = (int)number("MOE_STAND_IN_VERSION", 12040); return SUCCESS; }
int cuDeviceGetCount(int* count) { *count = 1; return SUCCESS; }
int cuDeviceGet(int* device, int ordinal) { *device = ordinal; return ordinal == 0 ? SUCCESS : 101; }
int cuDeviceGetName(char* name, int length, int) { snprintf(name, (size_t)length, "Stand-in"); return SUCCESS; }
int cuDeviceGetAttribute(int* value, int which, int) {
    switch (which) {
    case 16: *value = 2; return SUCCESS;
    case 75: *value = 9; return SUCCESS;
    case 76: *value = 0; return SUCCESS;
    case 97: *value = SHARED_BYTES; return SUCCESS;
    default: return INVALID;
    }
}
int cuGetErrorName(int status, const char** name) {
    switch (status) {
    case SUCCESS: *name = "CUDA_SUCCESS"; break;
    case INVALID: *name = "CUDA_ERROR_INVALID_VALUE"; break;
    case NO_MEMORY: *name = "CUDA_ERROR_OUT_OF_MEMORY"; break;
    case 100: *name = "CUDA_ERROR_NO_DEVICE"; break;
    case 101: *name = "CUDA_ERROR_INVALID_DEVICE"; break;
    case NO_IMAGE: *name = "CUDA_ERROR_INVALID_IMAGE"; break;
    case NO_CONTEXT: *name = "CUDA_ERROR_INVALID_CONTEXT"; break;
    case NO_HANDLE: *name = "CUDA_ERROR_INVALID_HANDLE"; break;
    case NOT_FOUND: *name = "CUDA_ERROR_NOT_FOUND"; break;
    case LAUNCH_FAILED: *name = "CUDA_ERROR_LAUNCH_FAILED"; break;
    case NOT_CAPTURED: *name = "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED"; break;
    default: *name = nullptr; return INVALID;
    }
    return SUCCESS;
}
int cuDevicePrimaryCtxRetain(void** made, int) {
    HOLD;
    if (is_gone) return 100;
    if (!context.references++) context.broken = SUCCESS;
    *made = &context;
    return SUCCESS;
}
int cuDevicePrimaryCtxRelease_v2(int) {
    HOLD;
    if (!context.references) return NO_CONTEXT;
    if (--context.references) return SUCCESS;
    count();
    for (const auto& [at, size] : context.memory) free((void*)at);
    for (const auto& [at, size] : context.pinned) free(at);
    context = Context();
    return SUCCESS;
}
int cuCtxSetCurrent(void* to) {
    is_current = to == &context;
    HOLD;
    return usable();
}
int cuStreamCreate(Stream** stream, unsigned) { USABLE; *stream = new Stream; return SUCCESS; }
int cuStreamDestroy_v2(Stream* stream) { delete stream; return SUCCESS; }
int cuStreamSynchronize(Stream* stream) {
    USABLE;
    if (int status = forbidden(stream)) return status;
    return drain(*stream);
}
int cuMemGetInfo_v2(size_t* free, size_t* all) {
    USABLE;
    *all = number("MOE_STAND_IN_MEMORY", 1 << 30);
    size_t in_use = used();
    *free = *all > in_use ? *all - in_use : 0;
    return SUCCESS;
}
int cuMemAlloc_v2(u64* at, size_t bytes) {
    USABLE;
    if (!bytes) return INVALID;
    if (bytes > number("MOE_STAND_IN_MEMORY", 1 << 30) || used() + bytes > number("MOE_STAND_IN_MEMORY", 1 << 30)) return NO_MEMORY;
    void* memory = aligned_alloc(256, (bytes + 255) / 256 * 256);
    if (!memory) return NO_MEMORY;
    // What nobody writes is not a number.
    memset(memory, 0xFF, bytes);
    context.memory[*at = (u64)memory] = bytes;
    context.peak = std::max(context.peak, used());
    return SUCCESS;
}
int cuMemFree_v2(u64 at) {
    USABLE;
    auto found = context.memory.find(at);
    if (found == context.memory.end()) return INVALID;
    free((void*)at);
    context.memory.erase(found);
    return SUCCESS;
}
int cuMemAllocHost_v2(void** at, size_t bytes) {
    USABLE;
    *at = malloc(bytes);
    context.pinned[*at] = bytes;
    return *at ? SUCCESS : NO_MEMORY;
}
int cuMemFreeHost(void* at) {
    USABLE;
    if (!context.pinned.erase(at)) return INVALID;
    free(at);
    return SUCCESS;
}
int cuMemcpyHtoDAsync_v2(u64 to, const void* from, size_t bytes, Stream* stream) {
    USABLE;
    if (int status = forbidden(stream)) return status;
    if (!is_allocated(to, bytes)) return INVALID;
    context.written += bytes;
    if (is_pinned(from)) return send(stream, [=] { memcpy((void*)to, from, bytes); return (int)SUCCESS; });
    std::vector<u8> copy((const u8*)from, (const u8*)from + bytes);
    return send(stream, [to, copy] { memcpy((void*)to, copy.data(), copy.size()); return (int)SUCCESS; });
}
int cuMemcpyDtoHAsync_v2(void* to, u64 from, size_t bytes, Stream* stream) {
    USABLE;
    if (int status = forbidden(stream)) return status;
    if (!is_allocated(from, bytes)) return INVALID;
    return send(stream, [=] { memcpy(to, (const void*)from, bytes); return (int)SUCCESS; });
}
int cuMemcpyDtoDAsync_v2(u64 to, u64 from, size_t bytes, Stream* stream) {
    USABLE;
    if (!is_allocated(from, bytes) || !is_allocated(to, bytes)) return INVALID;
    return send(stream, [=] { memmove((void*)to, (const void*)from, bytes); return (int)SUCCESS; });
}
int cuModuleLoadData(Module** module, const void* image) {
    USABLE;
    if (memcmp(image, CUBIN, sizeof CUBIN)) return NO_IMAGE;
    *module = new Module{functions()};
    return SUCCESS;
}
int cuModuleUnload(Module* module) { delete module; return SUCCESS; }
int cuModuleGetFunction(Function** function, Module* module, const char* name) {
    USABLE;
    if (!module) return NO_HANDLE;
    for (Function& one : module->functions)
        if (!strcmp(one.name, name)) { *function = &one; return SUCCESS; }
    return NOT_FOUND;
}
int cuFuncSetAttribute(Function* function, int which, int value) {
    USABLE;
    if (which != 8 || value < 0 || (u32)value > SHARED_BYTES) return INVALID;
    function->shared = (u32)value;
    return SUCCESS;
}
int cuLaunchKernelEx(const Config* config, Function* function, void** parameters, void**) {
    USABLE;
    return launch(*config, *function, parameters);
}
int cuStreamBeginCapture_v2(Stream* stream, int) {
    USABLE;
    if (stream->captured) return INVALID;
    stream->captured = new std::vector<Work>, stream->invalid = false;
    return SUCCESS;
}
int cuStreamEndCapture(Stream* stream, Graph** graph) {
    USABLE;
    if (!stream->captured) return INVALID;
    std::vector<Work> work = std::move(*stream->captured);
    delete stream->captured;
    stream->captured = nullptr;
    if (stream->invalid) return 901;
    *graph = new Graph{work};
    return SUCCESS;
}
int cuGraphInstantiateWithFlags(Graph** executable, Graph* graph, unsigned long long) {
    USABLE;
    *executable = new Graph(*graph);
    return SUCCESS;
}
int cuGraphDestroy(Graph* graph) { delete graph; return SUCCESS; }
int cuGraphExecDestroy(Graph* graph) { delete graph; return SUCCESS; }
int cuGraphLaunch(Graph* graph, Stream* stream) {
    USABLE;
    context.graphs++;
    for (const Work& work : graph->work) send(stream, work);
    return SUCCESS;
}
int cuEventCreate(Event** event, unsigned) { USABLE; *event = new Event; return SUCCESS; }
int cuEventDestroy_v2(Event* event) { delete event; return SUCCESS; }
int cuEventRecord(Event* event, Stream* stream) { USABLE; event->stream = stream; return SUCCESS; }
int cuEventSynchronize(Event* event) { USABLE; return event->stream ? drain(*event->stream) : SUCCESS; }
int cuEventElapsedTime(float* time, Event*, Event*) { *time = 1; return SUCCESS; }

int nvrtcVersion(int* major, int* minor) { *major = 12, *minor = 4; return 0; }
int nvrtcCreateProgram(Program** program, const char*, const char* name, int, const char* const*, const char* const*) {
    *program = new Program{name, ""};
    return 0;
}
int nvrtcCompileProgram(Program* program, int count, const char* const* options) {
    std::string all;
    for (int i = 0; i < count; i++) all += std::string(options[i]) + " ";
    for (const std::string& wanted : {"-DHEAD_DIM=" + std::to_string(HEAD_DIM), "-DGROUP=" + std::to_string(GROUP)})
        if (all.find(wanted + " ") == std::string::npos) {
            program->log = "this stand-in has kernels for " + wanted + " only";
            return 6;
        }
    // Products do not see keys and values.
    if (program->name != "many.cu" && (all.find("-DKV_Q8 ") != std::string::npos) != IS_Q8) {
        program->log = IS_Q8 ? "this stand-in has kernels for -DKV_Q8 only" : "this stand-in has no kernels for -DKV_Q8";
        return 6;
    }
    return 0;
}
int nvrtcDestroyProgram(Program** program) { delete *program; return 0; }
int nvrtcGetProgramLogSize(Program* program, size_t* bytes) { *bytes = program->log.size() + 1; return 0; }
int nvrtcGetProgramLog(Program* program, char* log) { strcpy(log, program->log.c_str()); return 0; }
int nvrtcGetCUBINSize(Program*, size_t* bytes) { *bytes = sizeof CUBIN; return 0; }
int nvrtcGetCUBIN(Program*, char* cubin) { memcpy(cubin, CUBIN, sizeof CUBIN); return 0; }
}
