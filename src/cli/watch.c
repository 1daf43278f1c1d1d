/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* `myelon watch`: who comes to a ring and who goes, a line for each change. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "args.h"
#include "cli.h"
#include "json.h"
#include "stop.h"

/* How often it looks whether somebody still reads. */
#define TICK_NS INT64_C(1000000000)

static bool as_json, any_owner;
static int64_t stalled_ns, for_ns = MYELON_FOREVER, timeout_ns;
static uint32_t exit_on; /* bit per enum myelon_peer_change */

static const char *parse_changes(const char *text, void *value)
{
	uint32_t *set = value;

	while (*text) {
		size_t n = strcspn(text, ",");
		const char *name;
		int change = MYELON_CHANGE_ATTACHED;

		while ((name = myelon_peer_change_name((enum myelon_peer_change)change)) &&
		       (strlen(name) != n || memcmp(name, text, n) != 0))
			change++;
		if (!name)
			return "is none of attached, rejoined, detached, dying, died, evicted, "
			       "stalled, recovered, removed";
		*set |= 1u << change;
		text += n + (text[n] == ',');
	}
	return *set ? NULL : "names no change";
}

static const struct arg options[] = {
	{.name = "for",
         .type = ARG_DURATION,
         .value = &for_ns,
         .metavar = "TIME",
         .help = "end after so long (default forever)"},
	{.name = "exit-on",
         .type = ARG_PARSE,
         .value = &exit_on,
         .metavar = "CHANGES",
         .parse = parse_changes,
         .help = "end at the first of these, such as died,evicted, with the exit code 9;\n"
                 "also at who is there (attached) or dead (died) at the start"},
	{.name = "stalled",
         .type = ARG_DURATION,
         .value = &stalled_ns,
         .metavar = "TIME",
         .help = "tell who has something to read and releases nothing for so long"},
	{.name = "timeout",
         .type = ARG_DURATION,
         .value = &timeout_ns,
         .metavar = "TIME",
         .help = "how long to wait for the ring to appear (default 0)"},
	{.name = "any-owner",
         .type = ARG_FLAG,
         .value = &any_owner,
         .help = "also a ring of another user"},
	{.name = "json", .type = ARG_FLAG, .value = &as_json, .help = "one JSON object a line"},
	{0},
};

static const struct args_spec spec = {
	.command = "watch",
	.usage = "NAME [options]",
	.about =
		"Tell who is at the ring NAME, then who comes and goes, until the ring is removed\n"
		"or Ctrl-C: attached, rejoined, detached, dying, died, evicted, stalled,\n"
		"recovered, removed. Holds nobody up. A line: time, change, role, id, process,\n"
		"last sequence released (of a producer: published) and last published.",
	.options = options,
	.min_operands = 1,
	.max_operands = 1,
	.operand = "the ring's NAME",
};

/* When it was noticed, as people say it. */
static void format_when(int64_t noticed_ns, char *text, size_t size)
{
	struct timespec now;
	struct tm tm;
	int64_t ns;
	time_t seconds;
	size_t n;

	clock_gettime(CLOCK_REALTIME, &now);
	ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec - (myelon_now() - noticed_ns);
	seconds = (time_t)(ns / 1000000000);
	n = gmtime_r(&seconds, &tm) ? strftime(text, size, "%Y-%m-%dT%H:%M:%S", &tm) : 0;
	snprintf(text + n, size - n, ".%06dZ", (int)(ns % 1000000000 / 1000));
}

static const char *change_of(const struct myelon_peer_event *e)
{
	const char *name = myelon_peer_change_name((enum myelon_peer_change)e->change);

	return name ? name : "unknown";
}

static const char *role_of(const struct myelon_peer_event *e)
{
	const char *name = myelon_peer_role_name((enum myelon_peer_role)e->role);

	return name ? name : "unknown";
}

static void print_json(const struct myelon_peer_event *e, const char *when)
{
	struct json j;

	json_begin(&j, stdout, true);
	json_object(&j, NULL);
	json_string(&j, "time", when);
	json_string(&j, "change", change_of(e));
	json_string(&j, "role", role_of(e));
	json_string(&j, "id", e->role == MYELON_ROLE_CONSUMER ? e->id : NULL);
	if (e->role == MYELON_ROLE_RING)
		json_null(&j, "pid");
	else
		json_int(&j, "pid", e->pid);
	json_uint(&j, "generation", e->generation);
	json_int(&j, "cursor", e->cursor);
	json_int(&j, "published", e->published);
	json_bool(&j, "first", e->first != 0);
	json_object_end(&j);
	json_end(&j);
}

/* @return whether it was written. */
static bool print(const struct myelon_peer_event *e)
{
	char when[64], pid[16] = "-";

	format_when(e->noticed_ns, when, sizeof(when));
	if (e->role != MYELON_ROLE_RING)
		snprintf(pid, sizeof(pid), "%d", e->pid);
	if (as_json)
		print_json(e, when);
	else
		printf("%s  %-9s  %-8s  %-16s  %7s  %" PRId64 " of %" PRId64 "\n", when,
		       change_of(e), role_of(e), e->id[0] ? e->id : "-", pid, e->cursor,
		       e->published);
	return fflush(stdout) == 0 && !ferror(stdout);
}

static bool output_closed(void)
{
	struct pollfd p = {.fd = STDOUT_FILENO};

	return poll(&p, 1, 0) > 0 && p.revents & (POLLERR | POLLHUP);
}

static int watch(struct myelon_peers *w, int64_t deadline)
{
	struct myelon_peer_event e = MYELON_PEER_EVENT_INIT;

	while (!stop_signal()) {
		int64_t tick = myelon_deadline_after(TICK_NS);
		int rc = myelon_peers_next(w, &e, tick < deadline ? tick : deadline);

		if (rc == -ETIMEDOUT && myelon_now() >= deadline)
			return CLI_OK;
		if (rc == -ETIMEDOUT && output_closed())
			return cli_error(CLI_FAILURE, "whoever read stdout has closed it");
		if (rc == -ECANCELED || rc == -ETIMEDOUT)
			continue;
		if (rc < 0)
			return cli_library_error(rc);
		if (!print(&e))
			return CLI_OK; /* cli_finish() says why */
		if (exit_on & 1u << e.change)
			return CLI_HELD_UP;
		if (e.change == MYELON_CHANGE_REMOVED)
			return CLI_OK;
	}
	return stop_exit_code();
}

int cmd_watch(int argc, char **argv)
{
	struct myelon_peers_opts o;
	struct myelon_peers *w;
	char **operands;
	int rc = args_parse(&spec, argc, argv, &operands), code;

	if (rc != ARGS_RUN)
		return rc;
	if (stalled_ns == MYELON_FOREVER)
		return cli_error(CLI_USAGE, "--stalled forever tells of nobody: give a time");
	o = MYELON_PEERS_OPTS(.flags = any_owner ? MYELON_F_ANY_OWNER : 0,
	                      .progress_ns = stalled_ns, .timeout_ns = timeout_ns,
	                      .hugetlb_dir = cli_common.hugetlb_dir, .shm_dir = cli_common.shm_dir);
	rc = myelon_peers_open(&w, operands[0], &o);
	if (rc < 0)
		return cli_library_error(rc);
	stop_install();
	stop_watch_peers(w);
	code = watch(w, for_ns == MYELON_FOREVER ? MYELON_FOREVER : myelon_deadline_after(for_ns));
	stop_watch_peers(NULL);
	myelon_peers_close(w);
	return cli_finish(code);
}
