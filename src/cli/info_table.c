/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The consumers of a ring: their part of `myelon info`. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "info.h"

static const char *engine_name(const struct myelon_consumer_entry *e)
{
	const char *name = myelon_engine_name((enum myelon_engine)e->engine);

	return name ? name : "unknown";
}

/* "park", or of a descriptor what wakes it, too: "fd (uring)". */
static const char *entry_wait(const struct myelon_consumer_entry *e, char *text, size_t size)
{
	if (e->wait != MYELON_WAIT_FD)
		return info_wait_name(e->wait);
	snprintf(text, size, "fd (%s)", engine_name(e));
	return text;
}

static const char *state_of(const struct info_table *t, size_t i)
{
	return t->stalled[i] ? "stalled" : info_state_name(t->rows[i].state);
}

/* Since when it is what it is. When somebody died nobody knows: of the dead, when they attached. */
static uint64_t since_of(const struct myelon_consumer_entry *e)
{
	return e->state == MYELON_PEER_ABSENT || e->state == MYELON_PEER_EVICTED ? e->left_ns
	                                                                         : e->attached_ns;
}

int info_table_add(void *ctx, const struct myelon_consumer_entry *e)
{
	struct info_table *t = ctx;

	if (t->count < MYELON_MAX_CONSUMERS)
		t->rows[t->count++] = *e;
	return 0;
}

static bool same(const struct myelon_consumer_entry *a, const struct myelon_consumer_entry *b)
{
	return a->index == b->index && a->pid == b->pid && strcmp(a->id, b->id) == 0;
}

static bool behind(const struct myelon_consumer_entry *e)
{
	return e->state == MYELON_PEER_ALIVE && e->gating && e->lag > 0;
}

unsigned int info_table_compare(const struct info_table *before, struct info_table *now)
{
	unsigned int found = 0;

	for (size_t i = 0; i < now->count; i++) {
		const struct myelon_consumer_entry *e = &now->rows[i];

		for (size_t k = 0; k < before->count; k++)
			now->stalled[i] |= same(&before->rows[k], e) && behind(e) &&
			                   behind(&before->rows[k]) &&
			                   before->rows[k].cursor == e->cursor;
		found += now->stalled[i] || e->state == MYELON_PEER_DEAD;
	}
	return found;
}

static int id_width(const struct info_table *t)
{
	int width = 2;

	for (size_t i = 0; i < t->count; i++) {
		int len = (int)strlen(t->rows[i].id);

		if (len > width)
			width = len;
	}
	return width;
}

void info_table_print(const struct info_table *t)
{
	int width = id_width(t);

	if (t->count == 0)
		return;
	printf("\n%-*s  %7s  %-7s  %7s  %10s  %8s  %-11s  %-6s  %4s  %-6s  %14s  %8s\n", width,
	       "ID", "PID", "STATE", "SINCE", "LAG", "HOLDS UP", "WAIT", "PARKED", "CPU", "GATING",
	       "CURSOR", "LOST");
	for (size_t i = 0; i < t->count; i++) {
		const struct myelon_consumer_entry *e = &t->rows[i];
		char cpu[16] = "-", wait[24];
		struct fmt since, holds_up;

		if (e->cpu >= 0)
			snprintf(cpu, sizeof(cpu), "%d", e->cpu);
		printf("%-*s  %7d  %-7s  %7s  %10" PRIu64
		       "  %8s  %-11s  %-6s  %4s  %-6s  %14" PRId64 "  %8" PRIu64 "\n",
		       width, e->id, e->pid, state_of(t, i), info_age(&since, since_of(e)), e->lag,
		       info_age(&holds_up, e->holds_up_since_ns), entry_wait(e, wait, sizeof(wait)),
		       e->parked ? "yes" : "no", cpu, e->gating ? "yes" : "no", e->cursor, e->lost);
	}
}

static void row_json(struct json *j, const struct info_table *t, size_t i, bool looked_twice)
{
	const struct myelon_consumer_entry *e = &t->rows[i];

	json_string(j, "id", e->id);
	json_uint(j, "index", e->index);
	json_int(j, "pid", e->pid);
	json_string(j, "state", info_state_name(e->state));
	if (looked_twice)
		json_bool(j, "stalled", t->stalled[i]);
	else
		json_null(j, "stalled");
	info_age_json(j, "since_ns", "since", since_of(e));
	info_age_json(j, "holds_up_ns", "holds_up_since", e->holds_up_since_ns);
	json_string(j, "wait", info_wait_name(e->wait));
	json_string(j, "engine", e->wait == MYELON_WAIT_FD ? engine_name(e) : NULL);
	json_bool(j, "parked", e->parked != 0);
	info_node_json(j, "cpu", e->cpu);
	json_bool(j, "gating", e->gating != 0);
	json_int(j, "cursor", e->cursor);
	json_uint(j, "lag", e->lag);
	json_uint(j, "lost", e->lost);
}

void info_table_json(struct json *j, const struct info_table *t, const char *ring,
                     const struct myelon_dir_opts *o, bool looked_twice)
{
	json_array(j, "consumers");
	for (size_t i = 0; i < t->count; i++) {
		json_object(j, NULL);
		row_json(j, t, i, looked_twice);
		if (info_is_there(t->rows[i].state))
			info_advice_json(j, ring, o, t->rows[i].id);
		json_object_end(j);
	}
	json_array_end(j);
}

/* A word of a command to be pasted into a shell. An id comes from shared memory and may be anything. */
static void print_word(const char *word)
{
	if (*word && strspn(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	                          "0123456789_.-/") == strlen(word)) {
		fputs(word, stdout);
		return;
	}
	putchar('\'');
	for (; *word; word++)
		fputs(*word == '\'' ? "'\\''" : (const char[]){*word, '\0'}, stdout);
	putchar('\'');
}

static void print_evict(const char *ring, const char *id, bool force)
{
	printf("myelon evict ");
	if (force)
		printf("--force ");
	if (cli_common.shm_dir) {
		printf("--shm-dir ");
		print_word(cli_common.shm_dir);
		putchar(' ');
	}
	if (*ring == '-' || *id == '-')
		printf("-- ");
	print_word(ring);
	putchar(' ');
	print_word(id);
	putchar('\n');
}

void info_table_hints(const struct info_table *t, const struct myelon_ring_info *r)
{
	for (size_t i = 0; i < t->count; i++) {
		const struct myelon_consumer_entry *e = &t->rows[i];
		struct fmt age;

		if (!e->gating || (e->state != MYELON_PEER_DEAD && !t->stalled[i]))
			continue;
		printf("hint       %s is %s and ", e->id, state_of(t, i));
		if (e->holds_up_since_ns)
			printf("holds the producer up for %s; ",
			       info_age(&age, e->holds_up_since_ns));
		else
			printf("will hold the producer up; ");
		printf("%s, or: ", t->stalled[i] ? "end it or let it go on"
		                                 : "start it again under the same id");
		print_evict(r->name, e->id, t->stalled[i]);
	}
}

void info_table_held_up(const struct info_table *t, char *text, size_t size)
{
	unsigned int named = 0, more = 0;
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < t->count; i++) {
		struct fmt age;
		const struct myelon_consumer_entry *e = &t->rows[i];

		if (e->state != MYELON_PEER_DEAD && !t->stalled[i])
			continue;
		if (named == 3) {
			more++;
			continue;
		}
		used += (size_t)snprintf(text + used, size - used, "%s%s (%s", named++ ? ", " : "",
		                         e->id, state_of(t, i));
		if (e->holds_up_since_ns)
			used += (size_t)snprintf(text + used, size - used,
			                         ", holds the producer up for %s",
			                         info_age(&age, e->holds_up_since_ns));
		used += (size_t)snprintf(text + used, size - used, ")");
	}
	if (more)
		snprintf(text + used, size - used, " and %u more", more);
}
