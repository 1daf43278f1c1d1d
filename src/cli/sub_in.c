/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* `myelon sub`: the loops that read the ring, as a consumer and as an observer. */
#include <errno.h>

#include "cli.h"
#include "stop.h"
#include "sub.h"

/* The end of the producer: @rc is -EPIPE or -EOWNERDEAD. */
static void producer_gone(struct sub *sub, int rc)
{
	if (rc == -EOWNERDEAD)
		sub_end(sub, "producer-died",
		        cli_error(CLI_DIED,
		                  "the producer of '%s' died before the end of the stream: all it "
		                  "published was read; --follow waits for the next one",
		                  sub->name));
	else
		sub_end(sub, "closed",
		        cli_error(CLI_CLOSED,
		                  "the producer of '%s' closed it before the end of the stream: "
		                  "all it published was read",
		                  sub->name));
}

static void follow(struct sub *sub)
{
	struct myelon_consumer *ring = myelon_frame_consumer_ring(sub->fc);
	int rc;

	cli_note("the producer of '%s' is gone: waiting for the next one", sub->name);
	do {
		rc = myelon_consumer_wait_producer(ring, myelon_deadline_after(SUB_TICK_NS));
		if (rc == -ETIMEDOUT)
			sub_look_at_output(sub);
	} while ((rc == -EINTR || rc == -ETIMEDOUT) && !stop_signal() && sub->code == SUB_GO_ON);
	if (rc < 0 && !stop_signal() && sub->code == SUB_GO_ON)
		sub_end(sub, "error", cli_library_error(rc));
}

/* A call that gave no message. */
static void no_message(struct sub *sub, int rc)
{
	switch (rc) {
	case -EAGAIN:
	case -ETIMEDOUT:
		sub_wait(sub);
		return;
	case -EINTR:
	case -ECANCELED:
		return;
	case -EBADMSG:
	case -EMSGSIZE:
		sub_lose(sub, 1, myelon_last_error());
		return;
	case -EPIPE:
	case -EOWNERDEAD:
		if (sub->follow)
			follow(sub);
		else
			producer_gone(sub, rc);
		return;
	default:
		sub_end(sub, "error", cli_library_error(rc));
	}
}

static void draw(struct sub *sub, int64_t lag)
{
	if (progress_due(&sub->progress))
		progress_draw(&sub->progress, sub->bytes, lag);
}

static enum stream_kind kind_of(const struct sub *sub, const struct myelon_message *m)
{
	return sub->any_kind ? STREAM_DATA : stream_kind_of(m);
}

/* Handle the messages in order. @return how many may be released. */
static uint32_t handle(struct sub *sub, const struct myelon_message *msgs, uint32_t n)
{
	uint32_t done = 0;

	while (done < n && sub->code == SUB_GO_ON) {
		enum stream_kind kind = kind_of(sub, &msgs[done]);
		uint32_t run = 1, written;

		if (kind != STREAM_DATA) {
			sub_mark(sub, &msgs[done++], kind);
			continue;
		}
		while (done + run < n && kind_of(sub, &msgs[done + run]) == STREAM_DATA)
			run++;
		written = sub_write(sub, msgs + done, run);
		done += written;
		if (written < run)
			break;
	}
	return done;
}

void sub_consume(struct sub *sub)
{
	struct myelon_consumer *ring = myelon_frame_consumer_ring(sub->fc);
	struct myelon_handle_stats stats = MYELON_HANDLE_STATS_INIT;
	struct myelon_message msgs[SUB_BATCH];

	if (myelon_consumer_stats(ring, &stats) == 0)
		sub_lose(sub, stats.lost, "they were overwritten before this id came back");
	if (sub->left == 0)
		sub_end(sub, "count", CLI_OK);
	while (sub->code == SUB_GO_ON) {
		uint32_t want = sub->left < SUB_BATCH ? (uint32_t)sub->left : SUB_BATCH, done;
		int n, rc;

		if (stop_signal()) {
			sub_end(sub, "interrupted", stop_exit_code());
			break;
		}
		n = myelon_frame_peek_batch(sub->fc, msgs, want, sub_deadline(sub));
		if (n < 0) {
			no_message(sub, n);
			draw(sub, myelon_consumer_lag(ring));
			continue;
		}
		done = handle(sub, msgs, (uint32_t)n);
		rc = done ? myelon_frame_release(sub->fc, done) : 0;
		if (rc < 0)
			sub_end(sub, "error", cli_library_error(rc));
		draw(sub, myelon_consumer_lag(ring));
	}
}

void sub_observe(struct sub *sub)
{
	struct myelon_observer *ring = myelon_frame_observer_ring(sub->fo);

	if (sub->left == 0)
		sub_end(sub, "count", CLI_OK);
	while (sub->code == SUB_GO_ON) {
		struct myelon_message msg;
		uint64_t lost = 0;
		int n;

		if (stop_signal()) {
			sub_end(sub, "interrupted", stop_exit_code());
			break;
		}
		n = myelon_frame_observe(sub->fo, sub_deadline(sub), &msg, &lost);
		if (lost > 0) {
			sub_lose(sub, lost, "the producer overtook this observer");
			/* What came no longer says what should have come. */
			sub->stream.from_start = false;
		}
		if (n < 0)
			no_message(sub, n);
		else
			handle(sub, &msg, 1);
		draw(sub, myelon_observer_lag(ring));
	}
}
