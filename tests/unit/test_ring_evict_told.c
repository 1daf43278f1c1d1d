/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What an evicted consumer is told by whatever it reads with. */
#include "ring_kit.h"

#include <poll.h>
#include <string.h>

static int force(const char *ring, const char *id)
{
	return myelon_evict(ring, id, MYELON_F_FORCE, NULL);
}

Test(evict, makes_a_descriptor_readable_whatever_its_engine)
{
	static const enum myelon_engine engines[] = {MYELON_ENGINE_URING, MYELON_ENGINE_DIRECT,
	                                             MYELON_ENGINE_PROXY};

	for (int i = 0; i < 3; i++) {
		char name[KIT_NAME];
		struct myelon_producer *p = ring_make(name, SMALL());
		struct myelon_consumer *c = ring_join(name, WITH(.id = "a"));
		struct pollfd f = {.events = POLLIN};
		struct myelon_view v;

		f.fd = myelon_consumer_fd(
			c, &MYELON_FD_OPTS(.engine = engines[i], .spin_ns = MYELON_NO_SPIN));
		if (f.fd == -ENOTSUP) {
			ring_close(p, c);
			continue;
		}
		cr_assert_geq(f.fd, 0, "%s", myelon_last_error());
		/* So that a direct one is adopted. */
		for (int k = 0; k < 3; k++) {
			ring_expect_empty(c);
			cr_ok(ring_push(p, 1));
			cr_assert_eq(poll(&f, 1, 10000), 1);
			ring_pull(c, k, 1);
		}
		ring_expect_empty(c);
		cr_assert_eq(force(name, "a"), 1);
		for (;;) {
			cr_assert_eq(poll(&f, 1, 10000), 1, "engine %d sleeps on", engines[i]);
			if (myelon_peek(c, 1, MYELON_TRY, &v) == -ESTALE)
				break;
		}
		cr_assert_eq(poll(&f, 1, 0), 1, "it is not over");
		myelon_consumer_close(c);
		myelon_producer_close(p);
	}
}

Test(evict, is_an_event_of_a_wait_set)
{
	char name[KIT_NAME];
	struct myelon_producer *p = ring_make(name, SMALL());
	struct myelon_consumer *c = ring_join(name, WITH(.id = "a"));
	struct myelon_waitset *ws;
	struct myelon_event e;

	cr_ok(myelon_waitset_create(&ws, NULL));
	cr_assert_geq(myelon_waitset_add_consumer(ws, c, NULL, NULL), 0);
	cr_assert_eq(force(name, "a"), 1);
	cr_assert_eq(myelon_waitset_wait(ws, &e, 1, kit_deadline(30)), 1);
	cr_assert_eq(e.result, -ESTALE, "%d", e.result);
	myelon_waitset_close(ws);
	myelon_consumer_close(c);
	myelon_producer_close(p);
}

static const char *const frame_ways[] = {"peek", "batch", "recv", "owned"};

/* One message is there, of fragments or not, and was looked at before the eviction. */
static int receive(struct myelon_frame_consumer *c, int way)
{
	static char buf[4096];
	struct myelon_message m = {0};
	int rc;

	switch (way) {
	case 0:
		rc = myelon_frame_peek(c, MYELON_TRY, &m);
		return rc < 0 ? rc : myelon_frame_release(c, 1);
	case 1:
		rc = myelon_frame_peek_batch(c, &m, 1, MYELON_TRY);
		return rc < 0 ? rc : myelon_frame_release(c, 1);
	case 2:
		rc = myelon_frame_recv(c, buf, sizeof(buf), MYELON_TRY, &m);
		break;
	default:
		rc = myelon_frame_recv_owned(c, MYELON_TRY, &m);
	}
	if (rc < 0)
		cr_assert_null(m.data, "a copy that is not to be trusted is handed out");
	else if (way == 3)
		myelon_message_free(&m);
	return rc;
}

Test(evict, framed_reader_is_told_stale_and_never_that_a_message_was_cut)
{
	for (int way = 0; way < 8; way++) {
		struct myelon_frame_producer *p;
		struct myelon_frame_consumer *c, *keep;
		struct myelon_message m;
		static char text[4096];
		char name[KIT_NAME];
		int rc;

		kit_ring_name(name, "frames");
		cr_ok(myelon_frame_producer_create(&p, name, SMALL()));
		cr_ok(myelon_frame_consumer_attach(&keep, name, WITH(.id = "keep")));
		cr_ok(myelon_frame_consumer_attach(&c, name, WITH(.id = "a")));
		memset(text, 0xff, sizeof(text));
		/* Above half the window: in fragments. */
		cr_ok(myelon_frame_send(p, text, way < 4 ? 100 : 300, 1, MYELON_TRY));
		cr_assert_eq(myelon_frame_peek(c, MYELON_TRY, &m), 1);
		cr_assert_eq(force(name, "a"), 1);
		/* Round the ring, with payload where the headers were. */
		for (int i = 0; i < 50; i++) {
			cr_assert_eq(myelon_frame_peek(keep, MYELON_TRY, &m), 1);
			cr_ok(myelon_frame_release(keep, 1));
			cr_ok(myelon_frame_send(p, text, 150, 1, MYELON_TRY));
		}
		rc = receive(c, way % 4);
		cr_assert_eq(rc, -ESTALE, "%s: %d: %s", frame_ways[way % 4], rc,
		             myelon_last_error());
		cr_assert_eq(receive(c, way % 4), -ESTALE);
		myelon_frame_consumer_close(c);
		cr_ok(myelon_frame_consumer_attach(&c, name, WITH(.id = "a")));
		rc = receive(c, way % 4);
		cr_assert(rc == 1 || (way % 4 < 2 && rc == 0), "%d: %d: %s", way, rc,
		          myelon_last_error());
		myelon_frame_consumer_close(c);
		myelon_frame_consumer_close(keep);
		myelon_frame_producer_close(p);
	}
}
