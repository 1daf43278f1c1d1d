/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * A C and a Rust process on two rings in plain files: archives there, verified by the crate where they lie, bincode of
 * the same objects back. The Rust process may be killed at any time.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <myelon/myelon.h>

#include "rust.h"
#include "tool.h"
#include "zoo.h"

#define ZOOS 400u
#define AHEAD 8u /* sent and not answered */
#define ROOM (64u << 20)

struct live {
	char in[PATH_MAX], out[PATH_MAX]; /* as Rust sees them */
	struct myelon_codec *rkyv, *bincode;
	struct myelon_typed_producer *tp;
	struct myelon_typed_consumer *tc;
	struct myelon_arena arena;
	const char *program;
	struct kit_actor rust;
	uint32_t sent, answered, twice, kills;
};

static void start(struct live *l)
{
	cr_assert_eq(kit_spawn(&l->rust, l->program, "live", l->in, l->out, NULL), 0);
}

static void open_rings(struct live *l)
{
	const struct myelon_ring_opts opts = MYELON_RING_OPTS(.window = 16384, .buffer_until = 1);
	struct myelon_typed_producer *first;

	/* Before there is anything to be left behind: this may be where the test is skipped. */
	l->program = rust_path();
	snprintf(l->in, sizeof(l->in), "%s/zoos", kit_tmp_dir());
	snprintf(l->out, sizeof(l->out), "%s/answers", kit_tmp_dir());
	myelon_arena_init(&l->arena, NULL, 0, ROOM);
	cr_assert_eq(myelon_codec_rkyv(&l->rkyv, &zoo_type, NULL), 0);
	cr_assert_eq(myelon_codec_bincode(&l->bincode, &zoo_type, NULL), 0);
	cr_assert_eq(myelon_typed_producer_create(&l->tp, l->in, &opts, l->rkyv, 0), 0, "%s",
	             myelon_last_error());
	/* Made here, so that the consumer is there from the beginning; Rust takes it over. */
	cr_assert_eq(myelon_typed_producer_create(&first, l->out, &opts, l->bincode, 0), 0, "%s",
	             myelon_last_error());
	cr_assert_eq(myelon_typed_consumer_attach(&l->tc, l->out, NULL, l->bincode), 0, "%s",
	             myelon_last_error());
	myelon_typed_producer_close(first);
}

static void close_rings(struct live *l)
{
	myelon_typed_producer_close(l->tp);
	cr_assert_eq(kit_wait(&l->rust, 60), 0, "%s", l->rust.output);
	myelon_typed_consumer_close(l->tc);
	myelon_codec_close(l->rkyv);
	myelon_codec_close(l->bincode);
	myelon_arena_free(&l->arena);
	cr_assert_eq(myelon_ring_remove(l->in, NULL), 0, "%s", myelon_last_error());
	cr_assert_eq(myelon_ring_remove(l->out, NULL), 0, "%s", myelon_last_error());
}

static void fill(struct live *l, struct zoo *zoo, uint32_t i)
{
	struct object_rng r = {.state = i, .most = 1 + i % 4, .depth = 1 + i % 3};

	object_fill(&zoo_type, zoo, &r, &l->arena);
}

static void send_one(struct live *l)
{
	struct zoo zoo;
	int rc;

	fill(l, &zoo, l->sent);
	rc = myelon_typed_send(l->tp, &zoo, (uint8_t)l->sent, kit_deadline(60));
	cr_assert_eq(rc, 0, "%u: %d, %s", l->sent, rc, myelon_last_error());
	l->sent++;
	myelon_arena_reset(&l->arena);
}

/* After a kill the last answer may come again, a half sent one is told, and a producer is missed. */
static void receive_one(struct live *l)
{
	struct myelon_consumer *ring =
		myelon_frame_consumer_ring(myelon_typed_consumer_frames(l->tc));
	struct myelon_meta meta;
	struct zoo zoo, want;
	int rc = myelon_typed_recv(l->tc, &zoo, &l->arena, kit_deadline(60), &meta);

	if (rc == -EPIPE || (rc == -EOWNERDEAD && l->kills > 0)) {
		rc = myelon_consumer_wait_producer(ring, kit_deadline(60));
		cr_assert_eq(rc, 0, "%u: %d, %s", l->answered, rc, l->rust.output);
		return;
	}
	if (rc == -EBADMSG && l->kills > 0)
		return;
	cr_assert_eq(rc, 1, "%u: %d, %s", l->answered, rc, myelon_last_error());
	if (l->kills > 0 && meta.kind == (uint8_t)(l->answered - 1)) {
		l->twice++;
		l->answered--;
	}
	cr_assert_eq(meta.kind, (uint8_t)l->answered);
	fill(l, &want, l->answered);
	cr_assert(object_equal(&zoo_type, &zoo, &want), "zoo %u", l->answered);
	l->answered++;
	myelon_arena_reset(&l->arena);
}

static void go_on_until(struct live *l, uint32_t answered)
{
	while (l->answered < answered) {
		while (l->sent < ZOOS && l->sent - l->answered < AHEAD)
			send_one(l);
		receive_one(l);
	}
}

Test(interop_rust_live, zoos_are_read_in_the_ring_by_rust_and_answered)
{
	struct live l = {.sent = 0};

	row_begin("live", "rkyv there, bincode back", "C -> Rust -> C, in rings", RUST_RKYV);
	open_rings(&l);
	start(&l);
	go_on_until(&l, ZOOS);
	close_rings(&l);
	row_ok("%u messages", ZOOS);
}

Test(interop_rust_live, a_killed_rust_process_is_followed_by_another_and_no_answer_is_missing)
{
	struct live l = {.sent = 0};

	row_begin("live_killed", "rkyv there, bincode back", "C -> Rust -> C, killed", RUST_RKYV);
	open_rings(&l);
	start(&l);
	for (uint32_t i = 1; i <= 4; i++) {
		go_on_until(&l, i * ZOOS / 5);
		cr_assert_eq(kit_kill(&l.rust, SIGKILL), 0);
		cr_assert_eq(kit_wait(&l.rust, 10), -SIGKILL, "%s", l.rust.output);
		l.kills++;
		start(&l);
	}
	go_on_until(&l, ZOOS);
	close_rings(&l);
	cr_assert_leq(l.twice, l.kills);
	row_ok("%u messages, killed %u times", ZOOS, l.kills);
}
