//! What `moe-server --help` prints.

pub(crate) const HELP: &str = "\
A native server for open mixture-of-experts models, with OpenAI's API.

usage: moe-server serve MODEL.gguf [options]
       moe-server pack MODEL.gguf [--output FILE] [--threads N]
       moe-server pack --verify MODEL.packed.gguf
       moe-server bench MODEL.gguf [options]    how fast it is here; see `moe-server bench --help`
       moe-server supervise [options] -- MODEL.gguf [options of serve]
                                                starts and stops a server as it is needed; see `moe-server supervise --help`
       moe-server plan MODEL.gguf [options]     whether it has room on a GPU, before it is loaded; see `moe-server plan --help`
       moe-server gpu check [options]           whether and how fast the GPU kernels compute; see `moe-server gpu --help`

The bearer key that clients must send comes from --api-key-file or from the environment variable MOE_API_KEY.

  --host ADDRESS        address to listen on (127.0.0.1)
  --port N              port to listen on; 0 picks a free one (8788)
  --api-key-file FILE   file that holds the key
  --no-auth             serve without a key; on loopback only
  --require-ticket      compute only for the gateway: a generation needs the ticket that the gateway signs with the key, not
                        older than five minutes and not used before; needs a key
  --alias NAME          a further name for the model; may be repeated
  --threads N           compute threads (what affinity and cgroup allow)
  --device WHAT         what computes: cpu; cuda:N, an NVIDIA GPU by its number; or auto, the first GPU where there is one that can,
                        else the processor (cpu)
  --context N           longest prompt and answer together, in tokens (what the model was made for; on a GPU
                        that, what has room, or 131072, whichever is least)
  --kv-tokens N         tokens of KV cache over all requests (8192, or --context if that is more; on a GPU what has room)
  --kv-type TYPE        what keys and values are rounded to: f16, q8_0 (half as large), or on the processor f32 (f16)
  --prefix-cache WHAT   on: a prompt that begins like an earlier one takes its keys and values, while the KV cache has
                        room for them; or off (on)
  --max-queue N         requests that may wait; more get status 429 (128)
  --max-batch N         requests that are computed together (32)
  --step-ms N           how long a step may take while answers are written: less is smoother for them and slower
                        for new prompts (100)
  --keepalive-s N       seconds of silence after which a stream gets a comment line (3)
  --max-body-mb N       largest request body, in MiB (32)
  --receipts-to URL     the gateway's URL: the receipt of each request that came from it is sent there, again and again until
                        it is taken; needs --origin-name, --outbox and a key
  --origin-name NAME    this server's name under [[origins]] of the gateway's configuration
  --outbox FOLDER       where receipts are kept until they are taken; for this server alone
  --outbox-mb N         the most that the outbox may take, in MiB; the oldest receipts are dropped first (64)
  --otlp URL            a collector's URL, such as https://collector.example/v1/traces: spans of the requests are sent there, as
                        OTLP's JSON; headers for it come from the environment variable OTEL_EXPORTER_OTLP_HEADERS
  --otlp-percent N      how many requests without a `traceparent` have spans; with one, its flag decides (100)
  --sleep-after N       seconds with nothing to do and without a lease after which the server sleeps: it lets go of the
                        weights and stays reachable; off without it
  --keep-warm WINDOW    when it does not, in UTC, such as \"Mon-Fri 08:00-18:00\"; it wakes at the beginning; may be repeated
  --wake-on-request     a request wakes a server that sleeps and waits; else it is refused with 503 `asleep`
  --warm-state FILE     the prefix cache is kept there while the server sleeps or is stopped, and read again beside its work;
                        the file holds what prompts said. Off without it
  --warm-state-mib N    the most that this file takes, in MiB; the least recently used is left out (256)
  --json                print the address as one line of JSON
  --help, --version

`pack` writes a copy whose weights lie as the kernels read them: it starts in milliseconds and is mapped, where a plain
quantised file is packed in memory at each start. `serve` takes MODEL.packed.gguf by itself where it lies beside MODEL.gguf
and was made from it. An interrupted `pack` is gone on with when it is run again; a finished file is never half of one.

  --output FILE         where to (MODEL.packed.gguf beside the model)
  --threads N           threads that convert (what affinity and cgroup allow)
  --verify              compute a packed file's hash again; starting a server does not
";
