/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Managed calls without other processes: options, what they refuse, batches, fork. */
#include "ring_kit.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define NEVER 600000000000ll

static int require(struct myelon_producer *p, const struct myelon_liveness_opts *o)
{
	return myelon_producer_require(p, o);
}

#define LIVE(...) (&MYELON_LIVENESS_OPTS(__VA_ARGS__))

Test(liveness, managed_call_without_require_is_refused_whether_there_is_room_or_not)
{
	char name[KIT_NAME], slot[64] = {0};
	struct myelon_producer *p = ring_make(name, RING(64, 64, .flags = 0));
	struct myelon_span s;

	cr_assert_eq(myelon_claim_managed(p, 1, MYELON_TRY, &s), -EINVAL);
	cr_assert_not_null(strstr(myelon_last_error(), "require"));
	cr_ok(ring_push(p, 1));
	cr_assert_gt(p->end, p->next);
	cr_assert_eq(myelon_claim_managed(p, 1, MYELON_TRY, &s), -EINVAL);
	cr_assert_eq(myelon_publish_copy_managed(p, slot, 1, MYELON_FOREVER), -EINVAL);
	cr_assert_eq(myelon_producer_failure(p, NULL), -EINVAL);
	cr_ok(require(p, NULL));
	cr_ok(myelon_claim_managed(p, 1, MYELON_TRY, &s));
	cr_assert_eq(s.seq, 1);
	cr_ok(myelon_publish(p, 1));
	ring_close(p, NULL);
}

Test(liveness, batches_partial_publish_and_cancel_are_those_of_plain_claims)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL(.flags = 0));
	struct myelon_consumer *c;
	struct myelon_span s;

	cr_ok(require(p, NULL));
	c = ring_join(name, WITH(.id = "c"));
	cr_ok(myelon_claim_managed(p, 5, MYELON_TRY, &s));
	cr_assert_eq(s.count, 5);
	cr_assert_eq(myelon_claim_managed(p, 1, MYELON_TRY, &s), -EINVAL);
	cr_ok(myelon_publish(p, 2));
	cr_ok(myelon_claim_managed(p, 6, MYELON_TRY, &s));
	cr_assert_eq(s.seq, 2);
	cr_ok(myelon_cancel(p));
	cr_assert_eq(myelon_claim_managed(p, 7, MYELON_TRY, &s), -EAGAIN);
	cr_assert_eq(myelon_claim_managed(p, 9, MYELON_TRY, &s), -EMSGSIZE);
	cr_assert_eq(myelon_claim_managed(p, 0, MYELON_TRY, &s), -EINVAL);
	cr_assert_eq(myelon_claim_managed(p, 7, myelon_deadline_after(MS), &s), -ETIMEDOUT);
	cr_ok(ring_push(p, 6));
	cr_assert_eq(myelon_producer_published(p), 7);
	ring_close(p, c);
}

Test(liveness, options_are_checked)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL(.max_consumers = 4));
	const char *bad[] = {"a b"};

	cr_assert_eq(require(p, LIVE(.progress_ns = -1)), -EINVAL);
	cr_assert_eq(require(p, LIVE(.startup_ns = -1)), -EINVAL);
	cr_assert_eq(require(p, LIVE(.check_ns = -5)), -EINVAL);
	cr_assert_eq(require(p, LIVE(.grace_ns = -2)), -EINVAL);
	cr_assert_eq(require(p, LIVE(.on_failure = 7)), -EINVAL);
	cr_assert_eq(require(p, LIVE(.required.count = 5)), -EINVAL);
	cr_assert_eq(require(p, LIVE(.required = {.ids = bad, .id_count = 1})), -EINVAL);
	cr_assert_eq(require(p, &(struct myelon_liveness_opts){0}), -EINVAL);
	cr_assert_eq(myelon_producer_failure(p, NULL), -EINVAL, "a refused require requires");
	cr_ok(require(p, LIVE(.grace_ns = MYELON_NO_GRACE)));
	cr_assert_eq(myelon_producer_failure(p, NULL), 0);
	ring_close(p, NULL);
}

Test(liveness, ids_are_copied)
{
	char name[KIT_NAME], id[8] = "mine";
	struct myelon_producer *p = ring_make(name, SMALL(.flags = 0));
	const char *ids[] = {id};
	struct myelon_consumer *c;
	struct myelon_span s;

	cr_ok(require(p, LIVE(.required = {.ids = ids, .id_count = 1})));
	memset(id, 'x', sizeof(id));
	ids[0] = NULL;
	cr_assert_eq(myelon_claim_managed(p, 1, MYELON_TRY, &s), -EAGAIN);
	cr_assert_not_null(strstr(myelon_last_error(), "mine"), "%s", myelon_last_error());
	c = ring_join(name, WITH(.id = "mine"));
	cr_ok(myelon_claim_managed(p, 1, MYELON_TRY, &s));
	cr_ok(myelon_cancel(p));
	ring_close(p, c);
}

static void count_any(void *ctx, const struct myelon_failure *alert)
{
	cr_assert_eq(alert->cause, MYELON_CAUSE_MISSING, "%s", alert->id);
	++*(int *)ctx;
}

/* Named twice, and once more by its prefix: it is one consumer, and one alert when it is gone. */
Test(liveness, id_that_is_required_twice_counts_once)
{
	const char *const ids[] = {"w_0", "w_0", "other", "w_0"};
	struct myelon_liveness_opts o = MYELON_LIVENESS_OPTS(.required = {.prefix = "w",
	                                                                  .prefix_count = 1,
	                                                                  .ids = ids,
	                                                                  .id_count = 4});
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL(.wait = MYELON_WAIT_PARK));
	struct myelon_consumer *c, *other;
	struct myelon_span s;
	int alerts = 0;

	cr_ok(require(p, &o));
	cr_assert_eq(myelon_claim_managed(p, 1, MYELON_TRY, &s), -EAGAIN);
	cr_assert_not_null(strstr(myelon_last_error(), "missing: w_0, other;"), "%s",
	                   myelon_last_error());
	c = ring_join(name, WITH(.id = "w_0"));
	other = ring_join(name, WITH(.id = "other"));
	o.hook = count_any;
	o.ctx = &alerts;
	o.progress_ns = 10 * MS;
	o.on_failure = MYELON_ON_FAILURE_LOG;
	cr_ok(require(p, &o));
	cr_ok(myelon_claim_managed(p, 1, MYELON_TRY, &s));
	cr_ok(myelon_cancel(p));
	ring_fill(p);
	myelon_consumer_close(c);
	ring_pull(other, 0, 8);
	ring_fill(p);
	ring_pull(other, 8, 7);
	ring_fill(p);
	myelon_consumer_close(other);
	/* Nobody gates: the last minimum does, and both are missing. */
	cr_assert_eq(myelon_claim_managed(p, 8, myelon_deadline_after(200 * MS), &s), -ETIMEDOUT);
	cr_assert_eq(alerts, 2);
	ring_close(p, NULL);
}

struct maker {
	const char *name;
	struct myelon_producer *p;
	struct myelon_consumer *c[2];
	int rc;
};

static void *join_both(void *arg)
{
	struct maker *m = arg;
	struct myelon_attach_opts o = MYELON_ATTACH_OPTS(.timeout_ns = 30000 * MS);

	o.id = "w_0";
	m->rc = myelon_consumer_attach(&m->c[0], m->name, &o);
	o.id = "x";
	if (m->rc == 0)
		m->rc = myelon_consumer_attach(&m->c[1], m->name, &o);
	return NULL;
}

/* The options of the ring may be gone by then. */
static void require_as_ring(bool opened)
{
	char name[KIT_NAME], prefix[4] = "w", x[4] = "x";
	const char *ids[] = {x};
	struct myelon_wait_for whom = {
		.prefix = prefix, .prefix_count = 1, .ids = ids, .id_count = 1};
	struct maker m = {.name = name};
	struct myelon_failure f = MYELON_FAILURE_INIT;
	struct myelon_span s;
	pthread_t thread;

	if (opened) {
		m.p = ring_make(name, SMALL(.flags = MYELON_F_KEEP));
		myelon_producer_close(m.p);
	} else {
		kit_ring_name(name, "ring");
	}
	cr_assert_eq(pthread_create(&thread, NULL, join_both, &m), 0);
	if (opened)
		cr_ok(myelon_producer_open(&m.p, name, &MYELON_OPEN_OPTS(.wait_for = whom)));
	else
		cr_ok(myelon_producer_create(&m.p, name, SMALL(.wait_for = whom)));
	cr_assert_eq(pthread_join(thread, NULL), 0);
	cr_ok(m.rc);
	prefix[0] = x[0] = 'q';
	ids[0] = NULL;
	cr_ok(require(m.p, LIVE(.flags = MYELON_LIVENESS_AS_RING)));
	cr_ok(myelon_claim_managed(m.p, 1, MYELON_TRY, &s));
	cr_ok(myelon_cancel(m.p));
	cr_assert_eq(myelon_evict(name, "x", MYELON_F_FORCE, NULL), 1);
	cr_ok(require(m.p, LIVE(.flags = MYELON_LIVENESS_AS_RING, .startup_ns = MS)));
	cr_assert_eq(myelon_claim_managed(m.p, 1, kit_deadline(30), &s), -ETIMEDOUT);
	cr_assert_not_null(strstr(myelon_last_error(), "missing: x;"), "%s", myelon_last_error());
	cr_assert_eq(myelon_producer_failure(m.p, &f), 1);
	cr_assert_str_eq(f.id, "x");
	/* Together with names it is not clear who is meant. */
	cr_assert_eq(require(m.p, LIVE(.flags = MYELON_LIVENESS_AS_RING, .required.count = 1)),
	             -EINVAL);
	myelon_producer_close(m.p);
	for (int i = 0; i < 2; i++)
		myelon_consumer_close(m.c[i]);
	if (opened)
		cr_ok(myelon_ring_remove(name, NULL));
}

Test(liveness, whom_the_ring_waited_for_can_be_required)
{
	require_as_ring(false);
	require_as_ring(true);
}

Test(liveness, whom_the_ring_waited_for_is_refused_where_it_waited_for_nobody)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL(.flags = 0));

	cr_assert_eq(require(p, LIVE(.flags = MYELON_LIVENESS_AS_RING)), -EINVAL);
	cr_assert_not_null(strstr(myelon_last_error(), "wait_for"), "%s", myelon_last_error());
	cr_assert_eq(require(p, LIVE(.flags = 2)), -EINVAL);
	ring_close(p, NULL);
}

/* The start is not skipped because a plain claim left room. */
Test(liveness, first_managed_claim_waits_for_the_required_whether_there_is_room_or_not)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, RING(64, 64, .flags = 0));
	struct myelon_span s;

	cr_ok(require(p, LIVE(.required.count = 1)));
	cr_ok(ring_push(p, 1));
	cr_assert_gt(p->end, p->next);
	cr_assert_eq(myelon_claim_managed(p, 1, MYELON_TRY, &s), -EAGAIN);
	cr_ok(ring_push(p, 1));
	ring_close(p, NULL);
}

static void count_alert(void *ctx, const struct myelon_failure *alert)
{
	cr_assert_eq(alert->cause, MYELON_CAUSE_STALLED);
	++*(int *)ctx;
}

Test(liveness, consumer_of_this_process_that_does_not_read_is_stalled)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL(.wait = MYELON_WAIT_PARK));
	struct myelon_failure f = MYELON_FAILURE_INIT;
	struct myelon_consumer *c;
	struct myelon_span s;
	int alerts = 0;

	cr_ok(require(p, LIVE(.progress_ns = 20 * MS, .grace_ns = 20 * MS, .hook = count_alert,
	                      .ctx = &alerts)));
	c = ring_join(name, WITH(.id = "c"));
	ring_fill(p);
	cr_assert_eq(myelon_claim_managed(p, 1, kit_deadline(60), &s), -ETIMEDOUT);
	cr_assert_eq(myelon_producer_failure(p, &f), 1);
	cr_assert_str_eq(f.id, "c");
	cr_assert_eq(f.last_seq, -1);
	cr_assert_geq(f.stalled_ns, 40 * MS);
	cr_assert_eq(alerts, 1);
	ring_pull(c, 0, 8);
	cr_assert_eq(myelon_claim_managed(p, 1, MYELON_TRY, &s), -ETIMEDOUT);
	cr_ok(ring_push(p, 1));
	cr_assert_eq(myelon_claim_managed(p, 1, MYELON_TRY, &s), -ETIMEDOUT);
	ring_close(p, c);
}

Test(liveness, required_descriptors_are_given_back)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL(.wait = MYELON_WAIT_PARK));
	struct myelon_consumer *c = ring_join(name, WITH(.id = "c"));
	struct myelon_span s;
	int fds = kit_open_fds();

	for (int i = 0; i < 3; i++) {
		cr_ok(require(p, LIVE(.progress_ns = NEVER)));
		ring_fill(p);
		cr_assert_eq(myelon_claim_managed(p, 1, myelon_deadline_after(20 * MS), &s),
		             -ETIMEDOUT);
		cr_assert_gt(kit_open_fds(), fds, "nobody is watched");
		cr_ok(require(p, NULL));
		cr_assert_eq(kit_open_fds(), fds);
	}
	ring_close(p, c);
}

struct in_child {
	struct myelon_producer *p;
	struct myelon_frame_producer *fp;
};

static int use_in_child(void *arg)
{
	struct in_child *h = arg;
	struct myelon_span s;
	void *buf;

	if (myelon_claim_managed(h->p, 1, MYELON_TRY, &s) != -EPERM)
		return 1;
	if (myelon_producer_require(h->p, NULL) != -EPERM)
		return 2;
	if (myelon_producer_failure(h->p, NULL) != -EPERM)
		return 3;
	if (myelon_frame_send_managed(h->fp, "x", 1, 0, MYELON_TRY) != -EPERM)
		return 4;
	if (myelon_frame_claim_managed(h->fp, 1, MYELON_TRY, &buf) != -EPERM)
		return 5;
	return 0;
}

Test(liveness, handle_of_before_a_fork_is_refused)
{
	char name[KIT_NAME], framed[KIT_NAME];
	struct in_child h = {.p = ring_make(name, SMALL(.flags = 0))};
	struct myelon_span s;
	struct kit_actor a;

	kit_ring_name(framed, "framed");
	cr_ok(myelon_frame_producer_create(&h.fp, framed, SMALL(.flags = 0)));
	cr_ok(require(h.p, NULL));
	cr_ok(require(myelon_frame_producer_ring(h.fp), NULL));
	cr_ok(myelon_claim_managed(h.p, 1, MYELON_TRY, &s));
	cr_ok(myelon_publish(h.p, 1));
	cr_assert_eq(kit_fork(&a, use_in_child, &h), 0);
	cr_assert_eq(kit_wait(&a, 30), 0);
	cr_ok(myelon_claim_managed(h.p, 1, MYELON_TRY, &s));
	myelon_frame_producer_close(h.fp);
	ring_close(h.p, NULL);
}

Test(liveness, framed_calls_need_require_and_send_like_plain_ones)
{
	char name[KIT_NAME];
	struct myelon_frame_producer *fp;
	struct myelon_frame_consumer *fc;
	struct iovec iov[] = {{(char[]){"ab"}, 2}, {(char[]){"c"}, 1}};
	struct myelon_message m;
	void *buf;

	kit_ring_name(name, "framed");
	cr_ok(myelon_frame_producer_create(&fp, name, RING(64, 64, .flags = 0)));
	cr_assert_eq(myelon_frame_send_managed(fp, "x", 1, 0, MYELON_TRY), -EINVAL);
	cr_assert_eq(myelon_frame_claim_managed(fp, 1, MYELON_TRY, &buf), -EINVAL);
	cr_ok(myelon_frame_send(fp, "0", 1, 0, MYELON_TRY));
	cr_assert_eq(myelon_frame_claim_managed(fp, 1, MYELON_TRY, &buf), -EINVAL);
	cr_ok(require(myelon_frame_producer_ring(fp), LIVE(.required.count = 1)));
	cr_assert_eq(myelon_frame_send_managed(fp, "x", 1, 0, MYELON_TRY), -EAGAIN);
	cr_ok(myelon_frame_consumer_attach(&fc, name, WITH(.id = "c")));
	cr_ok(myelon_frame_send_managed(fp, "x", 1, 1, MYELON_TRY));
	cr_ok(myelon_frame_sendv_managed(fp, iov, 2, 2, MYELON_TRY));
	cr_ok(myelon_frame_claim_managed(fp, 3, MYELON_TRY, &buf));
	memcpy(buf, "yes", 3);
	cr_ok(myelon_frame_commit(fp, 3, 3));
	for (uint8_t kind = 1; kind <= 3; kind++) {
		cr_assert_eq(myelon_frame_peek(fc, MYELON_TRY, &m), 1);
		cr_assert_eq(m.kind, kind);
		cr_assert_eq(m.len, kind == 1 ? 1 : 3);
		cr_ok(myelon_frame_release(fc, 1));
	}
	myelon_frame_consumer_close(fc);
	myelon_frame_producer_close(fp);
}
