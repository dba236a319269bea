//! moe-server's engine for GPUs on a processor that emulates the kernels: `tests/engine`.
