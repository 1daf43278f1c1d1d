/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Where a ring's pages and participants are: its part of `myelon info`. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "info.h"

static const char *const modes[] = {"any", "local", "node", "cpu", "interleave"};

static const char *mode_name(uint32_t numa)
{
	return numa < sizeof(modes) / sizeof(modes[0]) ? modes[numa] : "unknown";
}

/* "1" or "0,1": the nodes below 64 that were asked for. */
static void list_nodes(uint64_t mask, char *text, size_t size)
{
	size_t used = 0;

	text[0] = '\0';
	for (int node = 0; node < MYELON_NUMA_NODES_MAX && used < size; node++) {
		if (mask >> node & 1)
			used += (size_t)snprintf(text + used, size - used, "%s%d", used ? "," : "",
			                         node);
	}
}

void info_place_json(struct json *j, const struct myelon_ring_info *r)
{
	json_object(j, "numa");
	json_string(j, "asked", mode_name(r->numa));
	json_array(j, "nodes_asked");
	for (int node = 0; node < MYELON_NUMA_NODES_MAX; node++)
		if (r->nodes_asked >> node & 1)
			json_int(j, NULL, node);
	json_array_end(j);
	json_bool(j, "strict", r->numa_strict != 0);
	json_bool(j, "verified", r->data_pages != 0);
	json_uint(j, "pages", r->data_pages);
	json_array(j, "node_pages");
	for (int node = 0; node < MYELON_NUMA_NODES_MAX; node++) {
		if (!r->node_pages[node])
			continue;
		json_object(j, NULL);
		json_int(j, "node", node);
		json_uint(j, "pages", r->node_pages[node]);
		json_object_end(j);
	}
	json_array_end(j);
	json_uint(j, "other_pages", r->other_pages);
	json_uint(j, "absent_pages", r->absent_pages);
	if (r->control_node < 0)
		json_null(j, "control_node");
	else
		json_int(j, "control_node", r->control_node);
	json_object_end(j);
}

static void print_counts(const struct myelon_ring_info *r)
{
	const char *sep = "";

	if (!r->data_pages) {
		printf("not verified: nobody tells where pages are");
		return;
	}
	for (int node = 0; node < MYELON_NUMA_NODES_MAX; node++) {
		if (!r->node_pages[node])
			continue;
		printf("%s%" PRIu64 " on node %d", sep, r->node_pages[node], node);
		sep = ", ";
	}
	if (r->other_pages)
		printf("%s%" PRIu64 " on nodes above 63", sep, r->other_pages);
	if (r->absent_pages)
		printf("%s%" PRIu64 " nowhere", sep, r->absent_pages);
	printf(" of %" PRIu64 " pages", r->data_pages);
}

void info_print_place(const struct myelon_ring_info *r)
{
	char nodes[256];

	list_nodes(r->nodes_asked, nodes, sizeof(nodes));
	printf("placement  ");
	print_counts(r);
	if (r->numa)
		printf("; asked: %s, node %s%s", mode_name(r->numa), nodes,
		       r->numa_strict ? ", strict" : "");
	if (r->control_node >= 0)
		printf("; control on node %d", r->control_node);
	putchar('\n');
}

static bool get_advice(const char *ring, const struct myelon_dir_opts *o, const char *id,
                       struct myelon_advice *advice)
{
	*advice = (struct myelon_advice)MYELON_ADVICE_INIT;
	return myelon_ring_advice(ring, o, id, advice) == 0;
}

/* Whoever sleeps while idle need not be pinned. */
static bool worth_it(const struct myelon_advice *a, uint32_t wait)
{
	if (wait == MYELON_WAIT_SPIN || wait == MYELON_WAIT_SPIN_PAUSE)
		return a->flags != 0;
	return (a->flags & ~(uint32_t)MYELON_ADVICE_NOT_PINNED) != 0;
}

void info_print_advice(const char *ring, const struct myelon_dir_opts *o, const char *id,
                       uint32_t wait)
{
	struct myelon_advice a;
	char who[MYELON_NAME_MAX + 16];
	char *text, *next;

	if (!get_advice(ring, o, id, &a) || !worth_it(&a, wait))
		return;
	snprintf(who, sizeof(who), "%s%s", id ? "consumer " : "producer", id ? id : "");
	for (text = a.text; text && *text; text = next) {
		next = strstr(text, "; ");
		if (next) {
			*next = '\0';
			next += 2;
		}
		printf("advice     %s: %s\n", who, text);
	}
}

void info_advice_json(struct json *j, const char *ring, const struct myelon_dir_opts *o,
                      const char *id)
{
	struct myelon_advice a;

	if (get_advice(ring, o, id, &a) && a.flags)
		json_string(j, "advice", a.text);
	else
		json_null(j, "advice");
}
