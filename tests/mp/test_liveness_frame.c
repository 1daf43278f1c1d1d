/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Supervised sending of frames, also of messages that are longer than the ring. */
#include "liveness_cast.h"

#define LONG_BYTES 100000 /* the ring has 64 slots of 64 bytes */
#define MESSAGE_ALLOW 40  /* words */
#define MESSAGE_READY 41

TestSuite(liveness_frame, .timeout = 120);

static struct myelon_frame_producer *fp;
static unsigned char content[LONG_BYTES];

static void begin_framed(uint32_t wait)
{
	cast_begin(&cast);
	memset(&heard, 0, sizeof(heard));
	kit_fill(content, sizeof(content), SEED, 1);
	cr_assert_eq(myelon_frame_producer_create(&fp, cast.name,
	                                          &MYELON_RING_OPTS(.slot_size = SLOT, .window = 64,
	                                                            .wait = wait,
	                                                            .backing = MYELON_BACKING_SHM,
	                                                            .huge = MYELON_HUGE_OFF)),
	             0, "%s", myelon_last_error());
	ring = myelon_frame_producer_ring(fp);
}

static void end_framed(void)
{
	myelon_frame_producer_close(fp);
	cast_end(&cast, true);
}

/* Receives to the end. result 1: whole messages, those that were cut off. */
static int receive(void *arg)
{
	const struct member *m = arg;
	struct kit_result *r = &m->page->result[1];
	struct myelon_frame_consumer *fc;
	struct myelon_message msg;
	int rc = myelon_frame_consumer_attach(
		&fc, m->name, &MYELON_ATTACH_OPTS(.id = m->id, .wait = MYELON_WAIT_PARK));

	if (rc < 0)
		return member_fail(m, "attach", rc);
	kit_set(m->page, MESSAGE_READY, 1);
	if (!kit_await(m->page, MESSAGE_ALLOW, 1, 60))
		return 2;
	while ((rc = myelon_frame_peek(fc, MYELON_FOREVER, &msg)) != -EPIPE) {
		if (rc == -EBADMSG) {
			r->value[0]++;
			continue;
		}
		if (rc < 0)
			return member_fail(m, "peek", rc);
		if (msg.len > LONG_BYTES || kit_check(msg.data, msg.len, SEED, 1) >= 0)
			kit_violation(r, "content of message %u", msg.id);
		r->count++;
		rc = myelon_frame_release(fc, 1);
		if (rc < 0)
			return member_fail(m, "release", rc);
	}
	myelon_frame_consumer_close(fc);
	return 0;
}

static void receiver_join(unsigned int actor, bool allow)
{
	static struct member m[CAST];

	m[actor] = (struct member){.page = cast.page, .name = cast.name, .id = "w", .index = 1};
	kit_set(cast.page, MESSAGE_READY, 0);
	kit_set(cast.page, MESSAGE_ALLOW, allow);
	cr_assert_eq(kit_fork(&cast.actor[actor], receive, &m[actor]), 0);
	cr_assert(kit_await(cast.page, MESSAGE_READY, 1, 30));
}

static void killed_in_a_long_message(uint32_t wait)
{
	begin_framed(wait);
	REQUIRE(.required.count = 1, .grace_ns = MYELON_NO_GRACE, .progress_ns = HANG_NS);
	receiver_join(1, false);
	strike_later(2, cast.actor[1].pid, SIGKILL);
	cr_assert_eq(myelon_frame_send_managed(fp, content, LONG_BYTES, 1, kit_deadline(60)),
	             -EOWNERDEAD, "%s", myelon_last_error());
	expect_failure(MYELON_CAUSE_DEAD, "w", -1);
	cr_assert_eq(myelon_frame_send_managed(fp, content, 10, 1, kit_deadline(60)), -EOWNERDEAD);
	cr_assert_eq(kit_wait(&cast.actor[1], 30), -SIGKILL);
	/* Plain sends go on: the one that was cut off is told as such, once. */
	receiver_join(3, true);
	cr_assert_eq(myelon_frame_send(fp, content, LONG_BYTES, 1, kit_deadline(60)), 0, "%s",
	             myelon_last_error());
	cr_assert_eq(myelon_frame_send_managed(fp, content, 10, 1, kit_deadline(60)), -EOWNERDEAD);
	myelon_frame_producer_close(fp);
	fp = NULL;
	cr_assert_eq(kit_wait(&cast.actor[3], 30), 0, "%s", member_of(1)->text);
	cr_assert_eq(member_of(1)->violations, 0, "%s", member_of(1)->text);
	cr_assert_eq(member_of(1)->count, 1);
	cr_assert_eq(member_of(1)->value[0], 1);
	cr_assert_eq(heard.count, 1);
	end_framed();
}

Test(liveness_frame, receiver_killed_in_a_message_that_is_longer_than_the_ring)
{
	killed_in_a_long_message(MYELON_WAIT_PARK);
	killed_in_a_long_message(MYELON_WAIT_SPIN_PAUSE);
}

static int rejoin(void *arg)
{
	const struct member *m = arg;

	return kit_await(m->page, START + 1, 1, 60) ? receive(arg) : 2;
}

Test(liveness_frame, receiver_that_comes_back_in_the_grace_gets_all_of_a_long_message)
{
	struct member m = {.id = "w", .index = 1};

	begin_framed(MYELON_WAIT_PARK);
	REQUIRE(.required.count = 1, .grace_ns = HANG_NS);
	m.page = cast.page;
	m.name = cast.name;
	receiver_join(1, false);
	cr_assert_eq(kit_fork(&cast.actor[3], rejoin, &m), 0);
	heard.set = START + 1;
	heard.allow = MESSAGE_ALLOW;
	strike_later(2, cast.actor[1].pid, SIGKILL);
	for (int i = 0; i < 3; i++)
		cr_assert_eq(
			myelon_frame_send_managed(fp, content, LONG_BYTES, 1, kit_deadline(60)), 0,
			"%s", myelon_last_error());
	myelon_frame_producer_close(fp);
	fp = NULL;
	cr_assert_eq(kit_wait(&cast.actor[3], 30), 0, "%s", member_of(1)->text);
	cr_assert_eq(member_of(1)->violations, 0, "%s", member_of(1)->text);
	cr_assert_eq(member_of(1)->count, 3);
	cr_assert_eq(member_of(1)->value[0], 0);
	cr_assert_eq(heard.count, 1);
	cr_assert_eq(kit_wait(&cast.actor[1], 30), -SIGKILL);
	end_framed();
}
