/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* A handle belongs to the process that opened it: what a forked child may do with it, and holds. */
#include "ring_kit.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

struct handles {
	char name[KIT_NAME];
	struct kit_page *page;
	struct myelon_producer *p;
	struct myelon_consumer *c;
	struct myelon_observer *o;
};

static void open_all(struct handles *h, const struct myelon_ring_opts *opts)
{
	h->page = kit_page_create();
	h->p = ring_make(h->name, opts);
	h->c = ring_join(h->name, WITH(.id = "reader"));
	cr_ok(myelon_observer_attach(&h->o, h->name, NULL));
}

static void close_all(struct handles *h)
{
	myelon_observer_close(h->o);
	ring_close(h->p, h->c);
	kit_page_destroy(h->page);
}

static int never(void *ctx, const struct myelon_consumer_entry *e)
{
	(void)ctx;
	(void)e;
	return 1;
}

#define REFUSED(expr)                                                                              \
	do {                                                                                       \
		int rc_ = (int)(expr);                                                             \
		if (rc_ != -EPERM)                                                                 \
			kit_violation(r, "%s is %d", #expr, rc_);                                  \
	} while (0)

/* Every call with handles of the parent, some of which had room and messages. */
static int use_all(void *arg)
{
	struct handles *h = arg;
	struct kit_result *r = &h->page->result[0];
	struct myelon_ring_info info = MYELON_RING_INFO_INIT;
	struct myelon_handle_stats stats = MYELON_HANDLE_STATS_INIT;
	struct myelon_wait_for whom = {.count = 1};
	unsigned char buf[64];
	struct myelon_span s;
	struct myelon_view v;
	int64_t cursor;

	REFUSED(myelon_claim(h->p, 1, MYELON_TRY, &s));
	REFUSED(myelon_claim(h->p, 0, MYELON_FOREVER, &s));
	REFUSED(myelon_publish(h->p, 1));
	REFUSED(myelon_publish(h->p, 0));
	REFUSED(myelon_cancel(h->p));
	REFUSED(myelon_publish_copy(h->p, buf, 1, MYELON_FOREVER));
	REFUSED(myelon_producer_wait_for(h->p, &whom, MYELON_FOREVER));
	REFUSED(myelon_producer_is_consumed(h->p, 0));
	REFUSED(myelon_producer_wait_consumed(h->p, 0, MYELON_FOREVER));
	REFUSED(myelon_producer_cursor(h->p, "reader", &cursor));
	REFUSED(myelon_producer_consumers(h->p, never, NULL));
	REFUSED(myelon_producer_info(h->p, &info));
	REFUSED(myelon_producer_stats(h->p, &stats));
	REFUSED(myelon_peek(h->c, MYELON_ALL, MYELON_FOREVER, &v));
	REFUSED(myelon_peek(h->c, 1, MYELON_TRY, &v));
	REFUSED(myelon_release(h->c, 1));
	REFUSED(myelon_release(h->c, 0));
	REFUSED(myelon_consume_copy(h->c, buf, 1, MYELON_FOREVER));
	REFUSED(myelon_consumer_wait_producer(h->c, MYELON_FOREVER));
	REFUSED(myelon_consumer_info(h->c, &info));
	REFUSED(myelon_consumer_stats(h->c, &stats));
	REFUSED(myelon_observe(h->o, buf, 1, MYELON_FOREVER, NULL, NULL));
	REFUSED(myelon_observer_info(h->o, &info));
	REFUSED(myelon_observer_stats(h->o, &stats));
	if (!strstr(myelon_last_error(), "fork"))
		kit_violation(r, "%s", myelon_last_error());
	/* These have no error to give; they must only do no harm. */
	myelon_producer_interrupt(h->p);
	myelon_consumer_interrupt(h->c);
	myelon_observer_interrupt(h->o);
	(void)myelon_producer_published(h->p);
	(void)myelon_producer_minimum(h->p);
	(void)myelon_consumer_id(h->c);
	(void)myelon_consumer_lag(h->c);
	(void)myelon_consumer_cursor(h->c);
	(void)myelon_observer_lag(h->o);
	myelon_consumer_close(h->c);
	myelon_observer_close(h->o);
	myelon_producer_close(h->p);
	return 0;
}

Test(forked_child, every_call_is_eperm_and_the_parent_is_not_disturbed)
{
	struct handles h;
	struct kit_actor a;
	struct myelon_span s;
	struct myelon_view v;

	open_all(&h, SMALL());
	cr_ok(ring_push(h.p, 3));
	cr_ok(myelon_claim(h.p, 2, MYELON_TRY, &s));
	cr_assert_eq(myelon_peek(h.c, 2, MYELON_TRY, &v), 2);
	cr_assert_eq(kit_fork(&a, use_all, &h), 0);
	cr_assert_eq(kit_wait(&a, 20), 0);
	cr_assert_eq(h.page->result[0].violations, 0, "%s", h.page->result[0].text);
	for (uint32_t i = 0; i < 2; i++)
		kit_fill((char *)s.base + (size_t)i * 64, 64, RING_SEED, (uint64_t)s.seq + i);
	cr_ok(myelon_publish(h.p, 2));
	ring_check(&v, 64);
	cr_ok(myelon_release(h.c, 2));
	ring_pull(h.c, 2, 3);
	cr_assert_eq(ring_fill(h.p), 8);
	ring_pull(h.c, 5, 8);
	close_all(&h);
}

/* The child has no descriptor of the parent's handles and may open its own. */
static int open_own(void *arg)
{
	struct handles *h = arg;
	struct kit_result *r = &h->page->result[0];
	struct myelon_consumer *c;
	struct myelon_view v;
	int rc = myelon_consumer_attach(&c, h->name, WITH(.id = "child"));

	if (rc < 0) {
		kit_violation(r, "attach: %d: %s", rc, myelon_last_error());
		return 1;
	}
	kit_set(h->page, 0, 1);
	rc = myelon_peek(c, 1, kit_deadline(20), &v);
	if (rc != 1 || kit_check(v.base, 64, RING_SEED, (uint64_t)v.seq) != -1)
		kit_violation(r, "peek: %d", rc);
	else if (myelon_release(c, 1) < 0)
		kit_violation(r, "release");
	myelon_consumer_close(c);
	return 0;
}

Test(forked_child, may_attach_for_itself)
{
	struct handles h;
	struct kit_actor a;

	open_all(&h, SMALL());
	cr_assert_eq(kit_fork(&a, open_own, &h), 0);
	cr_assert(kit_await(h.page, 0, 1, 20));
	cr_ok(ring_push(h.p, 1));
	cr_assert_eq(kit_wait(&a, 20), 0);
	cr_assert_eq(h.page->result[0].violations, 0, "%s", h.page->result[0].text);
	ring_pull(h.c, 0, 1);
	close_all(&h);
}

/* Becomes producer and consumer, forks a child that outlives it, and waits to be killed. */
static int owner_with_child(void *arg)
{
	struct handles *h = arg;
	struct myelon_span s;

	if (myelon_producer_create(&h->p, h->name, SMALL()) < 0 ||
	    myelon_consumer_attach(&h->c, h->name, WITH(.id = "reader")) < 0 ||
	    myelon_claim(h->p, 1, MYELON_TRY, &s) < 0)
		return 1;
	kit_fill(s.base, 64, RING_SEED, 0);
	if (myelon_publish(h->p, 1) < 0)
		return 1;
	if (fork() == 0) {
		kit_set(h->page, 0, 1);
		kit_await(h->page, 1, 1, 20);
		kit_set(h->page, 2, 1);
		_exit(0);
	}
	for (;;)
		pause();
}

Test(forked_child, that_outlives_its_parent_holds_none_of_its_roles)
{
	struct handles h = {.page = kit_page_create()};
	struct kit_actor a;

	kit_ring_name(h.name, "orphan");
	cr_assert_eq(kit_fork(&a, owner_with_child, &h), 0);
	cr_assert(kit_await(h.page, 0, 1, 20));
	kit_kill(&a, SIGKILL);
	cr_assert_eq(kit_wait(&a, 20), -SIGKILL);
	cr_ok(myelon_producer_open(&h.p, h.name, NULL));
	h.c = ring_join(h.name, WITH(.id = "reader"));
	ring_pull(h.c, 0, 1);
	cr_assert_eq(ring_fill(h.p), 8);
	ring_pull(h.c, 1, 8);
	ring_close(h.p, h.c);
	cr_assert_eq(kit_dir_entries(kit_shm_dir()), 0, "the child holds the files");
	kit_set(h.page, 1, 1);
	cr_assert(kit_await(h.page, 2, 1, 20));
	kit_page_destroy(h.page);
}
