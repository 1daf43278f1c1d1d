/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* `myelon pub`: options, opening the ring, waiting for consumers, draining. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "args.h"
#include "cli.h"
#include "fmt.h"
#include "json.h"
#include "pub.h"
#include "stop.h"

/* A ring of this size stays in the last-level cache of most machines. */
#define DEFAULT_RING_BYTES (UINT64_C(4) << 20)
#define UNSET UINT64_MAX
#define NOT_CHOSEN UINT32_MAX

struct pub_options {
	uint64_t slot, window, max_consumers, chunk, wait_for, cpu;
	uint32_t backing, huge, unattended, fence, wait, progress, profile;
	int64_t timeout, drain_timeout, stall_timeout;
	uint32_t numa, numa_node, numa_cpu;
	uint64_t numa_nodes;
	bool numa_strict;
	char *ids, *prefix;
	uint32_t prefix_count;
	bool no_drain, open, replace_dead, keep, group, any_owner, lines, json;
};

static const char *parse_prefix(const char *text, void *value)
{
	struct pub_options *o = value;
	const char *colon = strrchr(text, ':');
	uint64_t k = 0;

	if (!colon || colon == text || args_number(colon + 1, &k) || k == 0 ||
	    k > MYELON_MAX_CONSUMERS)
		return "is not PREFIX:COUNT, such as worker:4 for worker_0 to worker_3";
	free(o->prefix);
	o->prefix = strndup(text, (size_t)(colon - text));
	o->prefix_count = (uint32_t)k;
	return NULL;
}

static const char *parse_ids(const char *text, void *value)
{
	struct pub_options *o = value;

	free(o->ids);
	o->ids = strdup(text);
	return NULL;
}

/* "0,2": a bit for each. */
static const char *parse_nodes(const char *text, uint64_t *mask)
{
	*mask = 0;
	do {
		char *end;
		unsigned long node = strtoul(text, &end, 10);

		if (*text < '0' || *text > '9' || node >= MYELON_NUMA_NODES_MAX ||
		    (*end && *end != ','))
			return "does not list nodes from 0 to 63 with commas";
		*mask |= 1ull << node;
		text = *end ? end + 1 : end;
	} while (*text);
	return NULL;
}

static const char *parse_node(const char *text, void *value)
{
	struct pub_options *o = value;
	uint64_t n = 0;

	if (strcmp(text, "local") == 0) {
		o->numa = MYELON_NUMA_LOCAL;
		return NULL;
	}
	if (strcmp(text, "interleave") == 0) {
		o->numa = MYELON_NUMA_INTERLEAVE;
		return NULL;
	}
	if (strncmp(text, "interleave:", 11) == 0) {
		o->numa = MYELON_NUMA_INTERLEAVE;
		return parse_nodes(text + 11, &o->numa_nodes);
	}
	if (strncmp(text, "cpu:", 4) == 0 && !args_number(text + 4, &n) && n <= INT32_MAX) {
		o->numa = MYELON_NUMA_CPU;
		o->numa_cpu = (uint32_t)n;
		return NULL;
	}
	if (args_number(text, &n) || n > INT32_MAX)
		return "is none of NODE, local, cpu:CPU, interleave and interleave:NODE,NODE,...";
	o->numa = MYELON_NUMA_NODE;
	o->numa_node = (uint32_t)n;
	return NULL;
}

static const char *const backings[] = {"auto", "hugetlb", "shm", "shm+thp", "file", NULL};
static const char *const huges[] = {"try", "require", "off", NULL};
static const char *const unattendeds[] = {"block", "overwrite", NULL};
static const char *const fences[] = {"auto", "asym", "full", NULL};

static struct pub_options opt = {
	.slot = UNSET,
	.window = UNSET,
	.max_consumers = UNSET,
	.chunk = UNSET,
	.wait_for = UNSET,
	.cpu = UNSET,
	.profile = NOT_CHOSEN,
	.huge = NOT_CHOSEN,
	.fence = NOT_CHOSEN,
	.wait = NOT_CHOSEN,
	.numa = NOT_CHOSEN,
	.timeout = MYELON_FOREVER,
	.drain_timeout = MYELON_FOREVER,
	.stall_timeout = MYELON_FOREVER,
};

static const struct arg options[] = {
	{.name = "wait-for",
         .type = ARG_NUMBER,
         .value = &opt.wait_for,
         .metavar = "K",
         .max = MYELON_MAX_CONSUMERS,
         .help = "start when K consumers are attached (default 1; 0: at once)"},
	{.name = "wait-for-ids",
         .type = ARG_PARSE,
         .parse = parse_ids,
         .value = &opt,
         .metavar = "ID,ID...",
         .help = "start when these consumers are attached"},
	{.name = "wait-prefix",
         .type = ARG_PARSE,
         .parse = parse_prefix,
         .value = &opt,
         .metavar = "P:K",
         .help = "start when P_0 .. P_(K-1) are attached"},
	{.name = "timeout",
         .type = ARG_DURATION,
         .value = &opt.timeout,
         .metavar = "TIME",
         .help = "give up if they have not come by then (default: forever)"},
	{.name = "stall-timeout",
         .type = ARG_DURATION,
         .value = &opt.stall_timeout,
         .metavar = "TIME",
         .help = "give up if the ring stays full that long (default: forever)"},
	{.name = "drain-timeout",
         .type = ARG_DURATION,
         .value = &opt.drain_timeout,
         .metavar = "TIME",
         .help = "at the end, wait that long for consumers to read all\n(default: forever)"},
	{.name = "no-drain",
         .type = ARG_FLAG,
         .value = &opt.no_drain,
         .help = "at the end, leave at once; consumers read what is left"},
	{.name = "lines",
         .type = ARG_FLAG,
         .value = &opt.lines,
         .help = "one message per line, without the newline"},
	{.name = "chunk",
         .type = ARG_NUMBER,
         .value = &opt.chunk,
         .metavar = "BYTES",
         .min = 1,
         .max = UINT64_C(1) << 32,
         .help = "longest message of a byte stream (default 64K)"},
	{.name = "slot",
         .type = ARG_NUMBER,
         .value = &opt.slot,
         .metavar = "BYTES",
         .min = 1,
         .max = UINT32_MAX,
         .help = "granularity of messages in the ring, a multiple of 16 (default 64)"},
	{.name = "window",
         .type = ARG_NUMBER,
         .value = &opt.window,
         .metavar = "SLOTS",
         .min = 1,
         .max = 1 << 30,
         .help = "slots the slowest consumer may be behind (default: 4 MiB of slots)"},
	{.name = "max-consumers",
         .type = ARG_NUMBER,
         .value = &opt.max_consumers,
         .metavar = "N",
         .min = 1,
         .max = MYELON_MAX_CONSUMERS,
         .help = "places for consumers (default 64)"},
	{.name = "unattended",
         .type = ARG_CHOICE,
         .value = &opt.unattended,
         .choices = unattendeds,
         .help = "with no consumer attached: stop after one window (default), or go on"},
	{.name = "backing",
         .type = ARG_CHOICE,
         .value = &opt.backing,
         .choices = backings,
         .help = "where the slots lie (default auto; file: NAME is a path)"},
	{.name = "huge",
         .type = ARG_CHOICE,
         .value = &opt.huge,
         .choices = huges,
         .help = "huge pages (default try)"},
	{.name = "node",
         .type = ARG_PARSE,
         .parse = parse_node,
         .value = &opt,
         .metavar = "WHERE",
         .help = "NUMA node of the ring: a number, local, cpu:N (the node of that CPU),\n"
                 "interleave or interleave:0,1,... (page by page in turn)"},
	{.name = "strict-node",
         .type = ARG_FLAG,
         .value = &opt.numa_strict,
         .help = "fail if even one page is elsewhere"},
	{.name = "wait",
         .type = ARG_CHOICE,
         .value = &opt.wait,
         .choices = cli_wait_names,
         .help = "how to wait for room (default adaptive)"},
	{.name = "fence",
         .type = ARG_CHOICE,
         .value = &opt.fence,
         .choices = fences,
         .help = "full: no interrupts on other cores when somebody parks"},
	{.name = "cpu",
         .type = ARG_NUMBER,
         .value = &opt.cpu,
         .metavar = "N",
         .max = 65535,
         .help = "run on this CPU"},
	{.name = "profile",
         .type = ARG_CHOICE,
         .value = &opt.profile,
         .choices = cli_profile_names,
         .help = "options for a deployment; others that are given win"},
	{.name = "open",
         .type = ARG_FLAG,
         .value = &opt.open,
         .help = "take over an existing ring whose producer closed or died"},
	{.name = "replace-dead",
         .type = ARG_FLAG,
         .value = &opt.replace_dead,
         .help = "replace a ring of this name that nobody uses any more"},
	{.name = "keep",
         .type = ARG_FLAG,
         .value = &opt.keep,
         .help = "leave the ring when the last participant is gone"},
	{.name = "group",
         .type = ARG_FLAG,
         .value = &opt.group,
         .help = "file mode 0660 instead of 0600"},
	{.name = "any-owner",
         .type = ARG_FLAG,
         .value = &opt.any_owner,
         .help = "accept, or replace, files that belong to another user"},
	{.name = "progress",
         .type = ARG_CHOICE,
         .value = &opt.progress,
         .choices = progress_modes,
         .help = "progress line on stderr (default: if it is a terminal)"},
	{.name = "json",
         .type = ARG_FLAG,
         .value = &opt.json,
         .help = "at the end, a summary in JSON on stderr"},
	{0},
};

static const struct args_spec spec = {
	.command = "pub",
	.usage = "NAME [options] < data",
	.about = "Broadcast stdin over the ring NAME, which is created; a NAME with a '/' is the "
		 "path\n"
		 "of a plain-file ring. Every consumer (myelon sub NAME) gets all of it and the "
		 "slowest\n"
		 "one sets the pace. At the end this waits until all who are attached have read "
		 "all,\n"
		 "and, unless --wait-for is 0, at least one has.",
	.options = options,
	.min_operands = 1,
	.max_operands = 1,
	.operand = "the ring's NAME",
};

static uint32_t pin(void)
{
	return opt.cpu == UNSET ? 0 : MYELON_PIN(opt.cpu);
}

static int open_existing(struct pub *pub)
{
	struct myelon_open_opts o =
		MYELON_OPEN_OPTS(.slot_size = opt.slot == UNSET ? 0 : (uint32_t)opt.slot,
	                         .pin = pin(), .flags = opt.any_owner ? MYELON_F_ANY_OWNER : 0,
	                         .hugetlb_dir = cli_common.hugetlb_dir,
	                         .shm_dir = cli_common.shm_dir);

	if (opt.window != UNSET || opt.max_consumers != UNSET || opt.replace_dead || opt.keep ||
	    opt.group || opt.numa != NOT_CHOSEN || opt.numa_strict || opt.backing ||
	    opt.huge != NOT_CHOSEN || opt.fence != NOT_CHOSEN || opt.unattended)
		return cli_error(CLI_USAGE, "pub: a ring that is taken over with --open keeps its "
		                            "window, memory and modes: leave those options out");
	if (opt.profile != NOT_CHOSEN)
		myelon_preset_open(cli_profile(opt.profile), &o);
	if (opt.wait != NOT_CHOSEN)
		o.wait = opt.wait;
	return myelon_frame_producer_open(&pub->fp, pub->name, &o);
}

/* The options that a profile sets, and those of the command line over them. */
static void choose_modes(struct myelon_ring_opts *o)
{
	if (opt.profile != NOT_CHOSEN)
		myelon_preset_ring(cli_profile(opt.profile), o);
	if (opt.huge != NOT_CHOSEN)
		o->huge = opt.huge;
	if (opt.fence != NOT_CHOSEN)
		o->fence = opt.fence;
	if (opt.wait != NOT_CHOSEN)
		o->wait = opt.wait;
	if (opt.numa != NOT_CHOSEN) {
		o->numa = opt.numa;
		o->numa_node = opt.numa_node;
		o->numa_cpu = opt.numa_cpu;
		o->numa_nodes = opt.numa_nodes;
	}
	if (opt.window != UNSET)
		o->window = (uint32_t)opt.window;
	else if (o->window == 0)
		o->window = o->slot_size < DEFAULT_RING_BYTES / 2
		                    ? (uint32_t)(DEFAULT_RING_BYTES / o->slot_size)
		                    : 2;
}

static int create_new(struct pub *pub)
{
	struct myelon_ring_opts o =
		MYELON_RING_OPTS(.backing = opt.backing, .unattended = opt.unattended, .pin = pin(),
	                         .hugetlb_dir = cli_common.hugetlb_dir,
	                         .shm_dir = cli_common.shm_dir);

	o.slot_size = opt.slot == UNSET ? 64 : (uint32_t)opt.slot;
	choose_modes(&o);
	o.max_consumers = opt.max_consumers == UNSET ? 0 : (uint32_t)opt.max_consumers;
	if (opt.replace_dead)
		o.flags |= MYELON_F_REPLACE_DEAD;
	if (opt.any_owner)
		o.flags |= MYELON_F_ANY_OWNER;
	if (opt.keep)
		o.flags |= MYELON_F_KEEP;
	if (opt.group)
		o.flags |= MYELON_F_GROUP;
	if (opt.numa_strict)
		o.flags |= MYELON_F_NUMA_STRICT;
	return myelon_frame_producer_create(&pub->fp, pub->name, &o);
}

/* The longest message to build in place. @return CLI_OK, or CLI_USAGE after a message. */
static int choose_chunk(struct pub *pub)
{
	size_t longest = myelon_frame_producer_max_frame(pub->fp);

	pub->chunk = opt.chunk == UNSET ? 65536 : (size_t)opt.chunk;
	if (pub->chunk <= longest)
		return CLI_OK;
	if (opt.chunk != UNSET)
		return cli_error(CLI_USAGE,
		                 "pub: --chunk %zu is more than the ring holds in one piece, %zu "
		                 "bytes: choose a smaller chunk or a larger --window",
		                 pub->chunk, longest);
	pub->chunk = longest;
	return CLI_OK;
}

/* @return CLI_OK or an exit code after a message. */
static int wait_for_consumers(struct pub *pub)
{
	struct myelon_wait_for whom = {.prefix = opt.prefix, .prefix_count = opt.prefix_count};
	char **ids = NULL;
	int rc;

	if (opt.ids) {
		ids = args_split(opt.ids, &whom.id_count);
		if (!ids)
			return cli_error(CLI_FAILURE, "out of memory");
		whom.ids = (const char *const *)ids;
	}
	if (opt.wait_for != UNSET)
		whom.count = (uint32_t)opt.wait_for;
	else if (!opt.ids && !opt.prefix)
		whom.count = 1;
	if (!whom.count && !whom.id_count && !whom.prefix_count) {
		free(ids);
		return CLI_OK;
	}
	if (isatty(STDERR_FILENO))
		cli_note("waiting for consumers: myelon sub %s", pub->name);
	rc = pub_wait_for(pub, &whom,
	                  opt.timeout == MYELON_FOREVER ? MYELON_FOREVER
	                                                : myelon_deadline_after(opt.timeout));
	free(ids);
	if (stop_signal())
		return stop_exit_code();
	if (rc == -ENOENT)
		return cli_error(CLI_NO_RING,
		                 "nobody can attach any more: the name '%s' was taken away",
		                 pub->name);
	return rc < 0 ? cli_library_error(rc) : CLI_OK;
}

struct readers {
	int64_t last;
	bool behind, at_end; /* somebody is */
};

static int look_at_reader(void *ctx, const struct myelon_consumer_entry *e)
{
	struct readers *r = ctx;

	if (e->cursor >= r->last)
		r->at_end = true;
	else
		r->behind = true;
	return 0;
}

/*
 * Wait until everybody attached has read everything. If then only ids are known that left before
 * the end, they were interrupted and must find the rest when they resume: wait on. @return 0 or as
 * myelon_producer_wait_consumed().
 */
static int wait_until_read(struct pub *pub, int64_t last, int64_t deadline)
{
	const struct myelon_wait_for anybody = {.count = 1};
	struct readers r = {.last = last};
	int rc = myelon_producer_wait_consumed(pub->ring, last, deadline);

	if (rc < 0 || pub->anonymous || pub->lossy || opt.wait_for == 0)
		return rc;
	rc = myelon_producer_consumers(pub->ring, look_at_reader, &r);
	if (rc < 0 || r.at_end || !r.behind)
		return rc;
	if (pub_name_gone(pub)) {
		pub_note_slowest(pub, "not everybody has read all");
		return 0;
	}
	rc = myelon_producer_wait_for(pub->ring, &anybody, deadline);
	return rc < 0 ? rc : -EAGAIN;
}

/* @return CLI_OK or an exit code after a message. */
static int drain(struct pub *pub)
{
	int64_t last = myelon_producer_published(pub->ring);
	int64_t began = myelon_now(), waited;
	bool tried = false;
	int rc;

	if (opt.no_drain)
		return CLI_OK;
	for (;;) {
		waited = myelon_now() - began;
		if (waited >= opt.drain_timeout || (tried && pub_stuck(pub))) {
			pub_complain(pub, "not everything was read", waited);
			return CLI_NO_RING;
		}
		waited = opt.drain_timeout - waited;
		waited = waited < PUB_TICK_NS ? waited : PUB_TICK_NS;
		rc = wait_until_read(pub, last, myelon_deadline_after(waited));
		tried = true;
		if (stop_signal())
			return stop_exit_code();
		if (rc != -ETIMEDOUT && rc != -EAGAIN)
			return rc < 0 ? cli_library_error(rc) : CLI_OK;
		if (progress_due(&pub->progress))
			progress_draw(&pub->progress, pub->sent.bytes, pub_lag(pub));
		pub_warn_if_stalled(pub, "waiting for all to be read", began);
	}
}

static void report(const struct pub *pub, double seconds, int code)
{
	double rate = seconds > 0 ? (double)pub->sent.bytes / seconds : 0;
	struct json j;

	progress_clear();
	if (opt.json) {
		json_begin(&j, stderr, true);
		json_object(&j, NULL);
		json_string(&j, "ring", pub->name);
		json_uint(&j, "bytes", pub->sent.bytes);
		json_uint(&j, "messages", pub->sent.messages);
		json_double(&j, "seconds", seconds);
		json_double(&j, "bytes_per_s", rate);
		json_double(&j, "messages_per_s",
		            seconds > 0 ? (double)pub->sent.messages / seconds : 0);
		json_int(&j, "exit", code);
		json_object_end(&j);
		json_end(&j);
	} else if (pub->progress.on) {
		struct fmt bytes, per_second, count;

		cli_note("%s in %s messages, %.3f s, %s", fmt_bytes(&bytes, pub->sent.bytes),
		         fmt_count(&count, pub->sent.messages), seconds,
		         fmt_rate(&per_second, rate));
	}
}

static int run(struct pub *pub)
{
	struct myelon_ring_info info = MYELON_RING_INFO_INIT;
	int64_t began;
	int code = choose_chunk(pub);

	pub->lossy = myelon_producer_info(pub->ring, &info) == 0 &&
	             info.unattended == MYELON_UNATTENDED_OVERWRITE;
	if (code == CLI_OK)
		code = wait_for_consumers(pub);
	if (code != CLI_OK)
		return code;
	began = myelon_now();
	progress_start(&pub->progress, opt.progress);
	code = pub_send_stdin(pub);
	if (code == CLI_OK)
		code = drain(pub);
	report(pub, (double)(myelon_now() - began) / 1e9, code);
	return code;
}

int cmd_pub(int argc, char **argv)
{
	struct pub pub = {0};
	char **operands;
	int rc;

	rc = args_parse(&spec, argc, argv, &operands);
	if (rc != ARGS_RUN)
		return rc;
	pub.name = operands[0];
	pub.lines = opt.lines;
	pub.stall_timeout = opt.stall_timeout;
	stop_install();
	rc = opt.open ? open_existing(&pub) : create_new(&pub);
	if (rc > 0)
		return rc;
	if (rc < 0)
		return cli_library_error(rc);
	pub.ring = myelon_frame_producer_ring(pub.fp);
	stop_watch_producer(pub.ring);
	rc = run(&pub);
	stop_watch_producer(NULL);
	myelon_frame_producer_close(pub.fp);
	free(opt.ids);
	free(opt.prefix);
	return rc;
}
