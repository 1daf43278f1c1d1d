/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* `myelon info`: everything known of one ring and its consumers. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "args.h"
#include "cli.h"
#include "fmt.h"
#include "info.h"

static bool as_json, verify;
static int64_t stalled_ns;

static const struct arg options[] = {
	{.name = "verify",
         .type = ARG_FLAG,
         .value = &verify,
         .help = "look up where each page is now; fails if not all are where they\n"
                 "were asked for"},
	{.name = "stalled",
         .type = ARG_DURATION,
         .value = &stalled_ns,
         .metavar = "TIME",
         .help = "look twice, so far apart: who lives, holds the producer up and has\n"
                 "not moved is stalled; fails if one is, or is dead (exit code 9)"},
	{.name = "json", .type = ARG_FLAG, .value = &as_json, .help = "as JSON"},
	{0},
};

static const struct args_spec spec = {
	.command = "info",
	.usage = "NAME [options]",
	.about =
		"Describe the ring NAME (or the plain-file ring at a path): its memory and why it\n"
		"is what it is, its producer, its consumers and how far behind they are.",
	.options = options,
	.min_operands = 1,
	.max_operands = 1,
	.operand = "the ring's NAME",
};

static const char *or_unknown(const char *name)
{
	return name ? name : "unknown";
}

const char *info_kind_name(uint32_t kind)
{
	return kind == MYELON_KIND_RAW ? "raw" : kind == MYELON_KIND_FRAMED ? "framed" : "unknown";
}

const char *info_backing_name(uint32_t backing)
{
	return or_unknown(myelon_backing_name((enum myelon_backing)backing));
}

static const char *fence_name(uint32_t fence)
{
	return fence == MYELON_FENCE_ASYM   ? "asym"
	       : fence == MYELON_FENCE_FULL ? "full"
	                                    : "unknown";
}

static const char *unattended_name(uint32_t unattended)
{
	return unattended == MYELON_UNATTENDED_OVERWRITE ? "overwrite" : "block";
}

const char *info_wait_name(uint32_t wait)
{
	return or_unknown(myelon_wait_name((enum myelon_wait)wait));
}

const char *info_state_name(uint32_t state)
{
	return or_unknown(myelon_peer_state_name((enum myelon_peer_state)state));
}

void info_node_json(struct json *j, const char *key, int32_t node)
{
	if (node < 0)
		json_null(j, key);
	else
		json_int(j, key, node);
}

void info_json(struct json *j, const struct myelon_ring_info *r)
{
	char hex[24], created[32];

	json_string(j, "name", r->name);
	if (r->kind == 0) {
		json_null(j, "kind");
		json_string(j, "reason", r->reason);
		return;
	}
	json_string(j, "kind", info_kind_name(r->kind));
	json_uint(j, "slot_size", r->slot_size);
	json_uint(j, "window", r->window);
	json_uint(j, "slots", r->slots);
	json_uint(j, "data_bytes", r->data_bytes);
	json_string(j, "backing", info_backing_name(r->backing));
	json_uint(j, "page_size", r->page_size);
	info_node_json(j, "node_asked", r->node_asked);
	info_node_json(j, "node", r->node_obtained);
	info_place_json(j, r);
	json_string(j, "reason", r->reason);
	json_string(j, "data_path", r->data_path[0] ? r->data_path : NULL);
	json_string(j, "fence", fence_name(r->fence));
	json_string(j, "unattended", unattended_name(r->unattended));
	json_bool(j, "keep", r->keep != 0);
	snprintf(hex, sizeof(hex), "0x%016" PRIx64, r->schema);
	json_string(j, "schema", r->schema ? hex : NULL);
	info_format_time(r->created_ns, created, sizeof(created));
	json_string(j, "created", created);
	json_uint(j, "epoch", r->epoch);
	json_object(j, "producer");
	json_string(j, "state", info_state_name(r->producer_state));
	json_int(j, "pid", r->producer_pid);
	json_string(j, "wait", info_wait_name(r->producer_wait));
	info_node_json(j, "cpu", r->producer_cpu);
	info_age_json(j, "since_ns", "since", r->producer_since_ns);
	info_age_json(j, "blocked_ns", "blocked_since", r->blocked_since_ns);
	if (r->blocked_since_ns)
		json_int(j, "blocked_need", r->blocked_need);
	else
		json_null(j, "blocked_need");
	json_object_end(j);
	json_int(j, "published", r->published);
	json_int(j, "minimum", r->minimum);
	json_int(j, "lag", r->published - r->minimum);
	json_uint(j, "buffering_for", r->buffering_for);
	json_uint(j, "max_consumers", r->max_consumers);
	json_uint(j, "gating", r->consumers);
	json_uint(j, "dead", r->dead_consumers);
}

bool info_is_there(uint32_t state)
{
	return state == MYELON_PEER_ALIVE || state == MYELON_PEER_JOINING;
}

static void print_advice(const struct myelon_ring_info *r, const struct info_table *t,
                         const struct myelon_dir_opts *o)
{
	if (info_is_there(r->producer_state))
		info_print_advice(r->name, o, NULL, r->producer_wait);
	for (size_t i = 0; i < t->count; i++)
		if (info_is_there(t->rows[i].state))
			info_print_advice(r->name, o, t->rows[i].id, t->rows[i].wait);
}

static void print_json(const struct myelon_ring_info *r, const struct info_table *t,
                       const struct myelon_dir_opts *o)
{
	struct json j;

	json_begin(&j, stdout, false);
	json_object(&j, NULL);
	info_json(&j, r);
	if (info_is_there(r->producer_state))
		info_advice_json(&j, r->name, o, NULL);
	info_table_json(&j, t, r->name, o, stalled_ns != 0);
	json_object_end(&j);
	json_end(&j);
}

static void print_producer(const struct myelon_ring_info *r)
{
	struct fmt age;

	printf("producer   %s, pid %d, wait %s", info_state_name(r->producer_state),
	       r->producer_pid, info_wait_name(r->producer_wait));
	if (r->producer_cpu >= 0)
		printf(", CPU %d", r->producer_cpu);
	if (r->producer_since_ns)
		printf(", began %s ago", info_age(&age, r->producer_since_ns));
	if (r->blocked_since_ns)
		printf(", blocked for %s: needs everybody at %" PRId64,
		       info_age(&age, r->blocked_since_ns), r->blocked_need);
	putchar('\n');
}

static void print_ring(const struct myelon_ring_info *r)
{
	struct fmt data, page, slots;
	char created[32];

	info_format_time(r->created_ns, created, sizeof(created));
	printf("name       %s\n", r->name);
	printf("kind       %s, slots of %u bytes, window %u of %s slots\n", info_kind_name(r->kind),
	       r->slot_size, r->window, fmt_count(&slots, r->slots));
	printf("memory     %s, %s, pages of %s\n", info_backing_name(r->backing),
	       fmt_bytes(&data, r->data_bytes), fmt_bytes(&page, r->page_size));
	info_print_place(r);
	printf("why        %s\n", r->reason[0] ? r->reason : "as asked for");
	printf("data       %s\n", r->data_path[0] ? r->data_path : "not found");
	printf("modes      fence %s, unattended %s%s\n", fence_name(r->fence),
	       unattended_name(r->unattended), r->keep ? ", keep" : "");
	if (r->schema)
		printf("schema     0x%016" PRIx64 "\n", r->schema);
	printf("created    %s, epoch %" PRIu64 "\n", created, r->epoch);
	print_producer(r);
	printf("published  %" PRId64 ", slowest consumer at %" PRId64 ", lag %" PRId64 "\n",
	       r->published, r->minimum, r->published - r->minimum);
	printf("consumers  %u gating, room for %u", r->consumers, r->max_consumers);
	if (r->dead_consumers)
		printf(", %u dead", r->dead_consumers);
	if (r->buffering_for)
		printf(", buffering until %u more come", r->buffering_for);
	putchar('\n');
}

static void rest(int64_t ns)
{
	struct timespec left = {.tv_sec = (time_t)(ns / 1000000000), .tv_nsec = ns % 1000000000};

	while (nanosleep(&left, &left) < 0 && errno == EINTR)
		;
}

/* The first look, and the time to the second. @return 0 or negative. */
static int look_first(const char *name, const struct myelon_dir_opts *o, struct info_table *first)
{
	int rc = stalled_ns ? myelon_ring_consumers(name, o, info_table_add, first) : 0;

	if (rc == 0 && stalled_ns)
		rest(stalled_ns);
	return rc;
}

/* Pages not where they were asked for, with @info as it is now; or negative. */
static int look_up(const char *name, const struct myelon_dir_opts *o, struct myelon_ring_info *info)
{
	struct myelon_attach_opts a =
		MYELON_ATTACH_OPTS(.hugetlb_dir = o->hugetlb_dir, .shm_dir = o->shm_dir);
	struct myelon_frame_observer *framed = NULL;
	struct myelon_observer *raw = NULL;
	int rc;

	if (info->kind == MYELON_KIND_FRAMED)
		rc = myelon_frame_observer_attach(&framed, name, &a);
	else
		rc = myelon_observer_attach(&raw, name, &a);
	if (rc == 0)
		rc = myelon_observer_verify(framed ? myelon_frame_observer_ring(framed) : raw,
		                            info);
	myelon_frame_observer_close(framed);
	myelon_observer_close(raw);
	return rc;
}

static int report(const char *name, const struct myelon_dir_opts *o, struct info_table *first,
                  struct info_table *table)
{
	struct myelon_ring_info info = MYELON_RING_INFO_INIT;
	int rc = look_first(name, o, first), wrong = 0;
	unsigned int held_up = 0;
	char who[512];

	if (rc == 0)
		rc = myelon_ring_describe(name, o, &info);
	if (rc == 0 && verify)
		rc = wrong = look_up(name, o, &info);
	if (rc >= 0)
		rc = myelon_ring_consumers(name, o, info_table_add, table);
	if (rc < 0)
		return cli_library_error(rc);
	if (stalled_ns)
		held_up = info_table_compare(first, table);
	if (as_json) {
		print_json(&info, table, o);
	} else {
		print_ring(&info);
		info_table_print(table);
		info_table_hints(table, &info);
		print_advice(&info, table, o);
	}
	rc = cli_finish(CLI_OK);
	if (rc == CLI_OK && wrong > 0)
		return cli_error(CLI_FAILURE, "info: %d pages are not where they were asked for",
		                 wrong);
	if (rc == CLI_OK && held_up > 0) {
		info_table_held_up(table, who, sizeof(who));
		return cli_error(CLI_HELD_UP,
		                 "info: %u consumers of %s are dead or stalled: %s: start them "
		                 "again under the same id, or see 'myelon help evict'",
		                 held_up, name, who);
	}
	return rc;
}

int cmd_info(int argc, char **argv)
{
	struct myelon_dir_opts o;
	struct info_table *tables; /* the first look's, and the one that is shown */
	char **operands;
	int rc;

	rc = args_parse(&spec, argc, argv, &operands);
	if (rc != ARGS_RUN)
		return rc;
	if (stalled_ns < 0 || stalled_ns == MYELON_FOREVER)
		return cli_error(CLI_USAGE,
		                 "info: --stalled takes the time between the two looks, such as "
		                 "250ms");
	tables = calloc(2, sizeof(*tables));
	if (!tables)
		return cli_error(CLI_FAILURE, "out of memory");
	o = MYELON_DIR_OPTS(.hugetlb_dir = cli_common.hugetlb_dir, .shm_dir = cli_common.shm_dir);
	rc = report(operands[0], &o, &tables[0], &tables[1]);
	free(tables);
	return rc;
}
