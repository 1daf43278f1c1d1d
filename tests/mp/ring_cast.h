/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* A ring and the processes of one test around it. Actor i writes result i and word i. */
#ifndef MYELON_TEST_RING_CAST_H
#define MYELON_TEST_RING_CAST_H

#include "kit.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <myelon/myelon.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define CAST 16
#define GO 63 /* a word consumers with pause=63 wait for */

struct cast {
	char name[KIT_NAME];
	struct kit_page *page;
	struct kit_actor actor[CAST];
};

static inline void cast_begin(struct cast *c)
{
	memset(c, 0, sizeof(*c));
	c->page = kit_page_create();
	cr_assert_not_null(c->page);
	kit_ring_name(c->name, "mp");
}

/* Start actor @i in @role; the rest are printf arguments that make "key=value key=value". */
__attribute__((format(printf, 4, 5))) static inline void cast_start(struct cast *c, unsigned int i,
                                                                    const char *role,
                                                                    const char *fmt, ...)
{
	char options[512], name[80], index[24], *argv[32] = {"ring_actor"};
	char role_copy[16], *save = NULL;
	size_t n = 1;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(options, sizeof(options), fmt, ap);
	va_end(ap);
	snprintf(role_copy, sizeof(role_copy), "%s", role);
	snprintf(name, sizeof(name), "name=%s", c->name);
	snprintf(index, sizeof(index), "index=%u", i);
	argv[n++] = role_copy;
	argv[n++] = name;
	argv[n++] = index;
	for (char *word = strtok_r(options, " ", &save); word && n < 31;
	     word = strtok_r(NULL, " ", &save))
		argv[n++] = word;
	memset(&c->page->result[i], 0, sizeof(c->page->result[i]));
	kit_set(c->page, i, 0);
	cr_assert_eq(kit_spawnv(&c->actor[i], "ring_actor", argv), 0);
}

static inline void cast_attached(struct cast *c, unsigned int i)
{
	cr_assert(kit_await(c->page, i, 1, 30), "actor %u does not come", i);
}

/* Wait until actor @i has handled @count messages. */
static inline void cast_progress(struct cast *c, unsigned int i, uint64_t count)
{
	int64_t deadline = kit_deadline(30);
	const struct timespec pause = {.tv_nsec = 200000};

	while (c->page->result[i].count < count) {
		cr_assert_lt(kit_now_ns(), deadline, "actor %u hangs at %llu of %llu", i,
		             (unsigned long long)c->page->result[i].count,
		             (unsigned long long)count);
		nanosleep(&pause, NULL);
	}
}

/* Wait for a good end. */
static inline struct kit_result *cast_done(struct cast *c, unsigned int i)
{
	struct kit_result *r = &c->page->result[i];
	int rc = kit_wait(&c->actor[i], 60);

	cr_assert_eq(rc, 0, "actor %u: %d, at %llu messages: %s", i, rc,
	             (unsigned long long)r->count, r->text);
	cr_assert_eq(r->violations, 0, "actor %u: %s", i, r->text);
	return r;
}

/* As above where nobody was killed or stopped: no sleep may have been ended by the cap. */
static inline struct kit_result *cast_done_well(struct cast *c, unsigned int i)
{
	struct kit_result *r = cast_done(c, i);

	cr_assert_eq(r->bytes, 0, "actor %u was woken by the cap", i);
	return r;
}

static inline void cast_kill(struct cast *c, unsigned int i)
{
	kit_kill(&c->actor[i], SIGKILL);
	cr_assert_eq(kit_wait(&c->actor[i], 30), -SIGKILL);
}

/* Sleep without a reason but to let others run. */
static inline void cast_rest(int ms)
{
	const struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

	nanosleep(&t, NULL);
}

static inline void cast_end(struct cast *c, bool killed)
{
	if (killed)
		myelon_gc(NULL, NULL, NULL);
	cr_assert_eq(kit_dir_entries(kit_shm_dir()), 0, "files are left");
	kit_page_destroy(c->page);
}

#endif
