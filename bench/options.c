/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "options.h"
#include "args.h"
#include "cli.h"
#include "codec_format.h"
#include "options_parse.h"
#include "series.h"
#include "way.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Which benchmarks know an option. */
enum {
	LIMIT = 1,
	SIGNAL = 2,
	PINGPONG = 4,
	BROADCAST = 8,
	IDLE = 16,
	PLACE = 32,
	WAKE = 64,
	DEATH = 128,
	CODEC = 256,
	STREAMS = SIGNAL | BROADCAST,
	ROUNDS = LIMIT | STREAMS | PINGPONG,
	RINGS = STREAMS | PINGPONG | IDLE,
	SIZED = LIMIT | RINGS | PLACE | WAKE,
	EVERY = SIZED | DEATH | CODEC,
};

static const struct {
	const char *name;
	unsigned int bit;
	const char *about;
} benches[] = {
	{"limit", LIMIT,
         "What this machine gives with nothing in between: a cache line, a futex, an eventfd\n"
         "and a bare cursor ring between two processes. The other benchmarks include it."},
	{"signal", SIGNAL,
         "One way, as fast as it goes: messages published one by one, and in batches."},
	{"pingpong", PINGPONG, "Round trips over two rings between two processes."},
	{"broadcast", BROADCAST,
         "One producer, several consumers, everyone gets everything; deliveries per second."},
	{"place", PLACE,
         "What it costs where producer, consumer and memory are (each combination of NUMA nodes\n"
         "that exists, of the first four nodes), and what small, transparent huge and huge pages "
         "cost a large ring."},
	{"idle", IDLE, "What consumers cost that wait for nothing: CPU time and context switches."},
	{"death", DEATH,
         "From the SIGKILL of the consumer that is in the way to the blocked producer that is "
         "told:\n"
         "a managed claim, the same of a victim with a lease, and a bare poll() on the victim's\n"
         "pidfd, in turn; and one time in 50\n"
         "the timeout path, a consumer that is stopped and found after 250 ms without progress."},
	{"codec", CODEC,
         "Round trips of batches, the whole batch both ways, with each codec: read in place, "
         "decoded\n"
         "into an object of one's own, and as many bytes copied into a frame and read there, in "
         "turn.\n"
         "What is read is the same, and all is checked; allocations are counted."},
	{"wake", WAKE,
         "What a wake costs, for every way to wait: the strategies of a handle, a descriptor in "
         "an\n"
         "epoll loop (fd/uring, fd/direct, fd/proxy) and a wait set (set/uring, set/epoll). Round\n"
         "trips beside a bare futex and a bare eventfd; latency, from the intended time, and CPU\n"
         "time at each rate. What does not exist here is listed with the reason."},
};

static struct bench_options opt;

static const char *const layer_names[] = {"raw", "framed", NULL};
static const char *const shape_names[] = {"records", "tokens", NULL};
static const char *const touch_names[] = {"all", "line", NULL};
/* In the order of enum myelon_backing. */
static const char *const backing_names[] = {"auto", "hugetlb", "shm", "shm+thp", "file", NULL};

static struct bench_list cpu_list;

static const struct {
	unsigned int benches;
	struct arg arg;
} table[] = {
	{STREAMS | PINGPONG | IDLE | PLACE,
         {.name = "layer",
          .type = ARG_CHOICE,
          .value = &opt.layer,
          .choices = layer_names,
          .help = "slots of a fixed size, or messages with a header (default: raw)"}},
	{LIMIT | STREAMS | PINGPONG | PLACE,
         {.name = "payload",
          .type = ARG_NUMBER,
          .value = &opt.payload,
          .metavar = "BYTES",
          .min = 8,
          .max = 64 << 20,
          .help = "of each message, a multiple of 8 (default: 64)"}},
	{SIZED | CODEC,
         {.name = "window",
          .type = ARG_NUMBER,
          .value = &opt.window,
          .metavar = "SLOTS",
          .min = 1,
          .max = 1 << 30,
          .help = "of the ring (default: 4096, less for large payloads)"}},
	{RINGS,
         {.name = "slot",
          .type = ARG_NUMBER,
          .value = &opt.slot,
          .metavar = "BYTES",
          .min = 8,
          .max = 128 << 20,
          .help = "slot size (default: raw: the payload; framed: 64)"}},
	{RINGS | CODEC,
         {.name = "backing",
          .type = ARG_CHOICE,
          .value = &opt.backing_choice,
          .choices = backing_names,
          .help = "memory of the slots (default: auto)"}},
	{WAKE,
         {.name = "wait",
          .type = ARG_PARSE,
          .value = &opt.wait,
          .parse = bench_parse_ways,
          .metavar = "WAY,...",
          .help = "the ways to compare (default: all): adaptive, spin, spin-pause, yield,\n"
                  "sleep, park, fd/uring, fd/direct, fd/proxy, set/uring, set/epoll"}},
	{WAKE,
         {.name = "rate",
          .type = ARG_PARSE,
          .value = &opt.rates,
          .parse = bench_parse_rates,
          .metavar = "RATE,...",
          .help = "messages per second (default: 10,100,1k,10k,100k,1M)"}},
	{WAKE,
         {.name = "silence",
          .type = ARG_DURATION,
          .value = &opt.silence_ns,
          .metavar = "TIME",
          .help = "before each message of a round trip, so that both sides sleep\n"
                  "(default: 60us)"}},
	{WAKE,
         {.name = "fanout",
          .type = ARG_PARSE,
          .value = &opt.fanout,
          .parse = bench_parse_consumers,
          .metavar = "N,...",
          .help = "instead: what it costs to wake N sleepers, by one futex call, N writes\n"
                  "to eventfds, or one io_uring submission of these"}},
	{WAKE,
         {.name = "plot",
          .type = ARG_PARSE,
          .value = &opt.plot,
          .parse = bench_parse_plot,
          .metavar = "FILE",
          .help = "draw latency against CPU time, as .svg or .png; needs gnuplot"}},
	{WAKE | IDLE,
         {.name = "rings",
          .type = ARG_NUMBER,
          .value = &opt.rings,
          .metavar = "N",
          .min = 1,
          .max = BENCH_RINGS_MAX,
          .help = "rings in each wait set, of which one has messages (default: 1)"}},
	{IDLE,
         {.name = "wait",
          .type = ARG_PARSE,
          .value = &opt.wait,
          .parse = bench_parse_ways,
          .metavar = "WAY,...",
          .help = "how the consumers wait, in turn: adaptive, spin, spin-pause, yield,\n"
                  "sleep, park, fd/uring, fd/direct, fd/proxy, set/uring, set/epoll\n"
                  "(default: park,adaptive)"}},
	{DEATH,
         {.name = "wait",
          .type = ARG_PARSE,
          .value = &opt.wait,
          .parse = bench_parse_waits,
          .metavar = "STRATEGY,...",
          .help = "how the producer waits, one after the other: adaptive, spin,\n"
                  "spin-pause, yield, sleep, park (default: park,spin-pause)"}},
	{DEATH,
         {.name = "kills",
          .type = ARG_NUMBER,
          .value = &opt.kills,
          .metavar = "N",
          .min = 1,
          .max = 1000000,
          .help = "noticed by managed claims, about as many with a lease, and by a bare\n"
                  "pidfd (default: 1000)"}},
	{DEATH,
         {.name = "victim-memory",
          .type = ARG_NUMBER,
          .value = &opt.victim_memory,
          .metavar = "SIZE",
          .max = UINT64_C(1) << 40,
          .help = "what each victim touches, and the kernel takes back (default: 0); with\n"
                  "much of it ask for few --kills"}},
	{CODEC,
         {.name = "codec",
          .type = ARG_PARSE,
          .value = &opt.codecs,
          .parse = bench_parse_codecs,
          .metavar = "CODEC,...",
          .help = "which (default: all): pod, bincode, bincode-varint, rkyv, flatbuffers,\n"
                  "msgpack"}},
	{CODEC,
         {.name = "shape",
          .type = ARG_CHOICE,
          .value = &opt.shape,
          .choices = shape_names,
          .help = "records: all alike, 576 bytes of numbers; tokens: requests with vectors of\n"
                  "numbers, strings and options, as long on average (default: records)"}},
	{CODEC,
         {.name = "records",
          .type = ARG_PARSE,
          .value = &opt.records,
          .parse = bench_parse_records,
          .metavar = "N,...",
          .help = "records or requests in a message (default: 1,64,256)"}},
	{CODEC,
         {.name = "touch",
          .type = ARG_CHOICE,
          .value = &opt.touch,
          .choices = touch_names,
          .help = "what a receiver reads; all: it adds up every field; line: one field of each\n"
                  "record (default: all)"}},
	{STREAMS | PINGPONG | CODEC,
         {.name = "wait",
          .type = ARG_PARSE,
          .value = &opt.wait,
          .parse = bench_parse_waits,
          .metavar = "STRATEGY",
          .help = "how all wait: adaptive, spin, spin-pause, yield, sleep, park;\n"
                  "with commas: the consumers in turn (default: broadcast: adaptive,\n"
                  "others: spin-pause)"}},
	{STREAMS | PINGPONG,
         {.name = "producer-wait",
          .type = ARG_PARSE,
          .value = &opt.producer_wait,
          .parse = bench_parse_waits,
          .metavar = "STRATEGY",
          .help = "how producers wait for room"}},
	{STREAMS | PINGPONG,
         {.name = "consumer-wait",
          .type = ARG_PARSE,
          .value = &opt.consumer_wait,
          .parse = bench_parse_waits,
          .metavar = "STRATEGY",
          .help = "how consumers wait for messages"}},
	{STREAMS | IDLE,
         {.name = "consumers",
          .type = ARG_NUMBER,
          .value = &opt.consumers,
          .metavar = "N",
          .min = 1,
          .max = BENCH_ROLES_MAX - 2,
          .help = "(default: signal 1, broadcast 4, idle 2)"}},
	{ROUNDS | CODEC,
         {.name = "messages",
          .type = ARG_NUMBER,
          .value = &opt.messages,
          .metavar = "N",
          .min = 100,
          .max = UINT64_C(1) << 40,
          .help = "per round (default: enough for 5 to 50 ms)"}},
	{ROUNDS | PLACE | WAKE | CODEC,
         {.name = "rounds",
          .type = ARG_NUMBER,
          .value = &opt.rounds,
          .metavar = "N",
          .min = 1,
          .max = BENCH_ROUNDS_MAX,
          .help = "base and subject alternate so often, medians count (default: 21;\n"
                  "wake, place, codec: 7)"}},
	{LIMIT | STREAMS,
         {.name = "batch",
          .type = ARG_NUMBER,
          .value = &opt.batch,
          .metavar = "N",
          .min = 1,
          .max = 1 << 20,
          .help = "messages per publish (default: 64; broadcast: 1)"}},
	{STREAMS,
         {.name = "peek",
          .type = ARG_NUMBER,
          .value = &opt.peek,
          .metavar = "N",
          .min = 1,
          .max = 1 << 30,
          .help = "slots per peek and release (default: all there is; with --work: 1)"}},
	{PINGPONG,
         {.name = "depth",
          .type = ARG_NUMBER,
          .value = &opt.depth,
          .metavar = "N",
          .min = 1,
          .max = 64,
          .help = "requests under way at a time (default: 1)"}},
	{PINGPONG | BROADCAST,
         {.name = "rate",
          .type = ARG_PARSE,
          .value = &opt.rate,
          .parse = bench_parse_rate,
          .metavar = "PER_SECOND",
          .help = "send by this schedule and take latencies from the intended time"}},
	{BROADCAST,
         {.name = "work",
          .type = ARG_PARSE,
          .value = &opt.work,
          .parse = bench_parse_works,
          .metavar = "NS",
          .help = "busy time per message in each consumer, such as 200 or 1us; with commas:\n"
                  "one after the other, with --compare-producer-wait"}},
	{BROADCAST,
         {.name = "compare-consumers",
          .type = ARG_PARSE,
          .value = &opt.compare_consumers,
          .parse = bench_parse_consumers,
          .metavar = "A,B",
          .help = "deliveries with B consumers against those with A"}},
	{BROADCAST,
         {.name = "compare-producer-wait",
          .type = ARG_PARSE,
          .value = &opt.compare_producer_wait,
          .parse = bench_parse_waits,
          .metavar = "A,B",
          .help = "a full ring, whose producer waits by A, against one that waits by B"}},
	{PINGPONG,
         {.name = "compare-copy",
          .type = ARG_FLAG,
          .value = &opt.compare_copy,
          .help = "framed: built and read in place against copied in and out in fragments"}},
	{PINGPONG,
         {.name = "fragment",
          .type = ARG_NUMBER,
          .value = &opt.fragment,
          .metavar = "BYTES",
          .min = 64,
          .max = 64 << 20,
          .help = "of the copied one (default: 64K)"}},
	{PINGPONG,
         {.name = "touch",
          .type = ARG_CHOICE,
          .value = &opt.touch,
          .choices = touch_names,
          .help = "how much of a message is written and read; line: its first 64 bytes,\n"
                  "the rest stays as it was built before (default: all)"}},
	{IDLE,
         {.name = "seconds",
          .type = ARG_DURATION,
          .value = &opt.idle_ns,
          .metavar = "TIME",
          .help = "how long to wait (default: 10s)"}},
	{WAKE,
         {.name = "seconds",
          .type = ARG_DURATION,
          .value = &opt.idle_ns,
          .metavar = "TIME",
          .help = "how long each way is measured at each rate (default: 0.4s, and more for\n"
                  "rates below 280, up to 1.5s)"}},
	{EVERY,
         {.name = "cpus",
          .type = ARG_PARSE,
          .value = &cpu_list,
          .parse = bench_parse_cpus,
          .metavar = "A,B,...",
          .help = "CPUs to use, the producer's first (default: the first allowed ones)"}},
	{EVERY,
         {.name = "timeout",
          .type = ARG_DURATION,
          .value = &opt.timeout_ns,
          .metavar = "TIME",
          .help = "end a run that hangs (default: 60s per run)"}},
	{PLACE,
         {.name = "ring",
          .type = ARG_NUMBER,
          .value = &opt.ring_bytes,
          .metavar = "BYTES",
          .min = 1 << 20,
          .max = 4ull << 30,
          .help = "size of the rings whose pages are compared (default: 64M)"}},
	{EVERY, {.name = "json", .type = ARG_FLAG, .value = &opt.json, .help = "for programs"}},
};

static int find(const char *name)
{
	for (unsigned int i = 0; i < sizeof(benches) / sizeof(benches[0]); i++)
		if (strcmp(benches[i].name, name) == 0)
			return (int)i;
	return -1;
}

bool bench_known(const char *name)
{
	return find(name) >= 0;
}

enum myelon_wait bench_producer_wait(const struct bench_options *o)
{
	return (enum myelon_wait)(o->producer_wait.count ? o->producer_wait.value[0]
	                                                 : o->wait.value[0]);
}

enum myelon_wait bench_consumer_wait(const struct bench_options *o, unsigned int index)
{
	const struct bench_list *l = o->consumer_wait.count ? &o->consumer_wait : &o->wait;

	return (enum myelon_wait)l->value[index % l->count];
}

/* The CPUs asked for, or the first allowed ones; exit code or ARGS_RUN. */
static int choose_cpus(const char *command, unsigned int most)
{
	cpu_set_t allowed;

	if (sched_getaffinity(0, sizeof(allowed), &allowed) < 0)
		return cli_error(CLI_FAILURE, "%s: the allowed CPUs could not be read", command);
	for (uint32_t i = 0; i < cpu_list.count; i++) {
		if (!CPU_ISSET(cpu_list.value[i], &allowed))
			return cli_error(CLI_USAGE,
			                 "%s: --cpus: CPU %u does not exist or is not allowed",
			                 command, (unsigned int)cpu_list.value[i]);
		opt.cpus[opt.cpu_count++] = (int)cpu_list.value[i];
	}
	for (int cpu = 0; cpu_list.count == 0 && cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET((size_t)cpu, &allowed) && opt.cpu_count < most)
			opt.cpus[opt.cpu_count++] = cpu;
	if (opt.cpu_count < 2)
		return cli_error(CLI_USAGE,
		                 "%s: two CPUs are needed and %u may be used: see --cpus, taskset",
		                 command, opt.cpu_count);
	return ARGS_RUN;
}

static void defaults(unsigned int bit)
{
	opt.payload = 64;
	opt.rounds = bit & (PLACE | WAKE | CODEC) ? 7 : 21;
	opt.batch = bit == BROADCAST ? 1 : 64;
	opt.depth = 1;
	opt.consumers = bit == BROADCAST ? 4 : bit == IDLE ? 2 : 1;
	opt.fragment = 64 << 10;
	opt.ring_bytes = 64 << 20;
	opt.idle_ns = bit == IDLE ? INT64_C(10000000000) : 0;
	opt.rings = 1;
	opt.silence_ns = 60000;
	opt.timeout_ns = INT64_C(60000000000);
	opt.wait.count = 1;
	opt.wait.value[0] = bit == BROADCAST ? MYELON_WAIT_ADAPTIVE : MYELON_WAIT_SPIN_PAUSE;
	if (bit == WAKE) {
		static const uint64_t rates[] = {10, 100, 1000, 10000, 100000, 1000000};

		opt.rates.count = sizeof(rates) / sizeof(rates[0]);
		memcpy(opt.rates.value, rates, sizeof(rates));
		opt.wait.count = BENCH_WAYS;
		for (unsigned int i = 0; i < BENCH_WAYS; i++)
			opt.wait.value[i] = bench_ways_in_order[i];
	}
	opt.kills = 1000;
	opt.codecs.count = BENCH_FORMATS;
	for (unsigned int i = 0; i < BENCH_FORMATS; i++)
		opt.codecs.value[i] = i;
	opt.records = (struct bench_list){.count = 3, .value = {1, 64, 256}};
	if (bit == DEATH) {
		opt.wait.count = 2;
		opt.wait.value[0] = MYELON_WAIT_PARK;
		opt.wait.value[1] = MYELON_WAIT_SPIN_PAUSE;
	}
	if (bit == IDLE) {
		opt.wait.count = 2;
		opt.wait.value[0] = MYELON_WAIT_PARK;
		opt.wait.value[1] = MYELON_WAIT_ADAPTIVE;
	}
}

/* What no single option can know. */
static int check(const char *command)
{
	if (opt.payload % 8 != 0)
		return cli_error(CLI_USAGE, "%s: --payload: %u is not a multiple of 8", command,
		                 (unsigned int)opt.payload);
	if (opt.fragment % 64 != 0)
		return cli_error(CLI_USAGE, "%s: --fragment: %u is not a multiple of 64", command,
		                 (unsigned int)opt.fragment);
	if (opt.compare_copy && opt.layer != BENCH_FRAMED)
		return cli_error(CLI_USAGE, "%s: --compare-copy needs --layer framed", command);
	if (opt.rate > 0 && opt.depth > 1)
		return cli_error(CLI_USAGE, "%s: --rate and --depth exclude each other", command);
	if ((opt.compare_consumers.count != 0 && opt.compare_consumers.count != 2) ||
	    (opt.compare_producer_wait.count != 0 && opt.compare_producer_wait.count != 2))
		return cli_error(CLI_USAGE, "%s: a comparison is of two: A,B", command);
	if (opt.compare_consumers.count && opt.compare_producer_wait.count)
		return cli_error(CLI_USAGE, "%s: one comparison at a time", command);
	if (opt.idle_ns < 0 || opt.idle_ns > INT64_C(3600000000000))
		return cli_error(CLI_USAGE, "%s: --seconds: at most an hour", command);
	if (opt.silence_ns < 0 || opt.silence_ns > INT64_C(1000000000))
		return cli_error(CLI_USAGE, "%s: --silence: at most a second", command);
	if (opt.timeout_ns < INT64_C(1000000000))
		return cli_error(CLI_USAGE, "%s: --timeout: at least 1s", command);
	for (uint32_t i = 0; i < opt.compare_consumers.count; i++)
		if (opt.consumers < opt.compare_consumers.value[i] || i == 0)
			opt.consumers = opt.compare_consumers.value[i];
	opt.timeout_s = opt.timeout_ns / 1000000000 > 86400
	                        ? 86400u
	                        : (unsigned int)(opt.timeout_ns / 1000000000);
	return ARGS_RUN;
}

int bench_options_parse(struct bench_options *o, int argc, char **argv)
{
	struct arg known[sizeof(table) / sizeof(table[0]) + 1] = {0};
	char command[32], **operands;
	int i = find(argv[0]), n = 0, rc;
	struct args_spec spec = {.command = command,
	                         .usage = "[OPTION...]",
	                         .about = benches[i].about,
	                         .options = known};
	unsigned int bit = benches[i].bit;

	(void)snprintf(command, sizeof(command), "bench %s", benches[i].name);
	for (size_t k = 0; k < sizeof(table) / sizeof(table[0]); k++)
		if (table[k].benches & bit)
			known[n++] = table[k].arg;
	memset(&opt, 0, sizeof(opt));
	opt.bench = benches[i].name;
	defaults(bit);
	rc = args_parse(&spec, argc, argv, &operands);
	if (rc == ARGS_RUN)
		rc = check(command);
	if (rc == ARGS_RUN)
		rc = choose_cpus(command,
		                 bit & (BROADCAST | IDLE) ? (unsigned int)opt.consumers + 1 : 2);
	*o = opt;
	return rc;
}
