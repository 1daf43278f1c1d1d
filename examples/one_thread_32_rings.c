/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * One thread serves 32 rings: it sleeps until any of them has something, adds up what comes, prints how
 * far it is now and then, and ends when all producers have closed.
 *
 *     one_thread_32_rings [PREFIX]
 *
 * The rings are PREFIX-0 .. PREFIX-31. To be on its own it starts the process that fills them.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <myelon/myelon.h>

#define RINGS 32
#define MESSAGES 1000 /* in each ring */

struct service {
	struct myelon_waitset *set;
	struct myelon_consumer *ring[RINGS];
	int id[RINGS];
	int open;
	uint64_t count, sum;
};

static int fail(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, myelon_last_error());
	return 1;
}

static const char *name_of(const char *prefix, int i)
{
	static char name[64];

	snprintf(name, sizeof(name), "%s-%d", prefix, i);
	return name;
}

/* ---- the other process ---- */

static int produce(const char *prefix)
{
	/* Nothing is sent before the service is attached to a ring. */
	struct myelon_ring_opts opts = MYELON_RING_OPTS(.slot_size = sizeof(uint64_t), .window = 64,
	                                                .wait_for = {.count = 1});
	struct myelon_producer *p[RINGS];

	for (int i = 0; i < RINGS; i++)
		if (myelon_producer_create(&p[i], name_of(prefix, i), &opts) < 0)
			return fail("create");
	for (uint64_t n = 1; n <= MESSAGES; n++)
		for (int i = 0; i < RINGS; i++)
			if (myelon_publish_copy(p[i], &n, 1, MYELON_FOREVER) < 0)
				return fail("publish");
	for (int i = 0; i < RINGS; i++)
		myelon_producer_close(p[i]);
	return 0;
}

/* ---- the service ---- */

static void close_ring(struct service *s, int i)
{
	myelon_waitset_remove(s->set, s->id[i]);
	myelon_consumer_close(s->ring[i]);
	s->open--;
}

/* Something is to be read from a ring, or its producer is gone. */
static void on_ring(const struct myelon_event *event, void *user)
{
	struct service *s = user;
	struct myelon_view view;
	int i = 0;

	while (s->id[i] != event->id)
		i++;
	if (event->result < 0) {
		if (event->result != -EPIPE) /* it closed, and everything was read */
			fprintf(stderr, "ring %d: error %d\n", i, event->result);
		close_ring(s, i);
		return;
	}
	if (myelon_peek(s->ring[i], MYELON_ALL, MYELON_TRY, &view) < 0)
		return;
	for (uint32_t k = 0; k < view.count; k++)
		s->sum += ((const uint64_t *)view.base)[k];
	s->count += view.count;
	if (myelon_release(s->ring[i], view.count) < 0)
		close_ring(s, i);
}

static void on_timer(const struct myelon_event *event, void *user)
{
	const struct service *s = user;

	(void)event;
	fprintf(stderr, "%" PRIu64 " messages, %d rings are open\n", s->count, s->open);
}

static int serve(const char *prefix)
{
	struct myelon_attach_opts opts = MYELON_ATTACH_OPTS(.timeout_ns = 10000000000);
	struct service s = {.open = RINGS};
	int rc = 0;

	if (myelon_waitset_create(&s.set, NULL) < 0)
		return fail("wait set");
	/* A second from now, then every second. */
	if (myelon_waitset_add_timer(s.set, myelon_deadline_after(1000000000), 1000000000, on_timer,
	                             &s) < 0)
		return fail("timer");
	for (int i = 0; i < RINGS; i++) {
		if (myelon_consumer_attach(&s.ring[i], name_of(prefix, i), &opts) < 0)
			return fail("attach");
		s.id[i] = myelon_waitset_add_consumer(s.set, s.ring[i], on_ring, &s);
		if (s.id[i] < 0)
			return fail("add");
	}
	while (s.open > 0 && rc >= 0)
		rc = myelon_waitset_dispatch(s.set, RINGS, MYELON_FOREVER);
	if (rc < 0)
		return fail("wait");
	printf("%" PRIu64 " messages, sum %" PRIu64 "\n", s.count, s.sum);
	myelon_waitset_close(s.set);
	return 0;
}

int main(int argc, char **argv)
{
	const char *prefix = argc > 1 ? argv[1] : "served";
	pid_t child = fork();
	int rc, status = 1;

	if (child < 0) {
		perror("fork");
		return 1;
	}
	if (child == 0)
		return produce(prefix);
	rc = serve(prefix);
	waitpid(child, &status, 0);
	return rc || status ? 1 : 0;
}
