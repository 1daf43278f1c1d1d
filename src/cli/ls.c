/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* `myelon ls`: the rings of the shm directory. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "cli.h"
#include "fmt.h"
#include "info.h"

static bool as_json;

static const struct arg options[] = {
	{.name = "json", .type = ARG_FLAG, .value = &as_json, .help = "as JSON"},
	{0},
};

static const struct args_spec spec = {
	.command = "ls",
	.usage = "[options]",
	.about = "List the rings of the shm directory. Plain-file rings lie elsewhere and are not\n"
		 "listed: myelon info PATH.",
	.options = options,
};

struct list {
	struct myelon_ring_info *rings;
	size_t count, room;
	bool no_memory;
};

static int collect(void *ctx, const struct myelon_ring_info *info)
{
	struct list *l = ctx;

	if (l->count == l->room) {
		size_t room = l->room ? 2 * l->room : 16;
		struct myelon_ring_info *rings = realloc(l->rings, room * sizeof(*rings));

		if (!rings) {
			l->no_memory = true;
			return 1;
		}
		l->rings = rings;
		l->room = room;
	}
	l->rings[l->count++] = *info;
	return 0;
}

static int by_name(const void *a, const void *b)
{
	const struct myelon_ring_info *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static void print_json(const struct list *l)
{
	struct json j;

	json_begin(&j, stdout, false);
	json_object(&j, NULL);
	json_array(&j, "rings");
	for (size_t i = 0; i < l->count; i++) {
		json_object(&j, NULL);
		info_json(&j, &l->rings[i]);
		json_object_end(&j);
	}
	json_array_end(&j);
	json_object_end(&j);
	json_end(&j);
}

static void print_row(const struct myelon_ring_info *r, int width)
{
	struct fmt bytes, blocked;
	char producer[32];

	if (r->kind == 0) {
		printf("%-*s  unreadable: %s\n", width, r->name, r->reason);
		return;
	}
	if (r->producer_state == MYELON_PEER_ALIVE)
		snprintf(producer, sizeof(producer), "%d", r->producer_pid);
	else
		snprintf(producer, sizeof(producer), "%s",
		         myelon_peer_state_name(r->producer_state));
	printf("%-*s  %-6s  %-8s  %10s  %6u  %8u  %-8s  %7s  %9u  %4u  %12" PRId64 "  %8" PRId64
	       "\n",
	       width, r->name, info_kind_name(r->kind), info_backing_name(r->backing),
	       fmt_bytes(&bytes, r->data_bytes), r->slot_size, r->window, producer,
	       info_age(&blocked, r->blocked_since_ns), r->consumers, r->dead_consumers,
	       r->published, r->published - r->minimum);
}

static void print_table(const struct list *l)
{
	int width = 4;

	for (size_t i = 0; i < l->count; i++) {
		int len = (int)strlen(l->rings[i].name);

		if (len > width)
			width = len;
	}
	if (l->count > 0)
		printf("%-*s  %-6s  %-8s  %10s  %6s  %8s  %-8s  %7s  %9s  %4s  %12s  %8s\n", width,
		       "NAME", "KIND", "BACKING", "DATA", "SLOT", "WINDOW", "PRODUCER", "BLOCKED",
		       "CONSUMERS", "DEAD", "PUBLISHED", "LAG");
	for (size_t i = 0; i < l->count; i++)
		print_row(&l->rings[i], width);
}

int cmd_ls(int argc, char **argv)
{
	struct list l = {0};
	struct myelon_dir_opts o;
	char **operands;
	int rc;

	rc = args_parse(&spec, argc, argv, &operands);
	if (rc != ARGS_RUN)
		return rc;
	o = MYELON_DIR_OPTS(.hugetlb_dir = cli_common.hugetlb_dir, .shm_dir = cli_common.shm_dir);
	rc = myelon_ring_list(&o, collect, &l);
	if (rc < 0)
		rc = cli_library_error(rc);
	else if (l.no_memory)
		rc = cli_error(CLI_FAILURE, "out of memory for a list of %zu rings", l.count);
	if (rc == CLI_OK) {
		if (l.count > 1)
			qsort(l.rings, l.count, sizeof(*l.rings), by_name);
		if (as_json)
			print_json(&l);
		else
			print_table(&l);
		rc = cli_finish(CLI_OK);
	}
	free(l.rings);
	return rc;
}
