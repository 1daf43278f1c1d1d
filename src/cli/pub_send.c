/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* `myelon pub`: stdin into the ring, in place, and what to say while the ring is full. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"
#include "pub.h"
#include "stop.h"

#define STALL_NOTE_NS (5 * INT64_C(1000000000))
#define LINE_BUFFER 65536

int64_t pub_lag(struct pub *pub)
{
	return myelon_producer_published(pub->ring) - myelon_producer_minimum(pub->ring);
}

/* The consumer furthest behind; if none is attached, the one that left last in the stream. */
static int slowest_of(void *ctx, const struct myelon_consumer_entry *e)
{
	struct myelon_consumer_entry *slowest = ctx;

	if (slowest->size == 0 || e->gating > slowest->gating ||
	    (e->gating == slowest->gating &&
	     (e->gating ? e->cursor < slowest->cursor : e->cursor > slowest->cursor)))
		*slowest = *e;
	return 0;
}

/* "consumer 'a' (pid 7, alive) is 12 slots behind" and the like */
static void name_slowest(struct pub *pub, char *text, size_t size)
{
	struct myelon_consumer_entry e = {0};
	bool gone = pub_name_gone(pub);

	myelon_producer_consumers(pub->ring, slowest_of, &e);
	if (e.size == 0 && gone)
		snprintf(text, size,
		         "nobody is attached and nobody can come, for the name is gone");
	else if (e.size == 0)
		snprintf(text, size, "nobody is attached: start 'myelon sub %s'", pub->name);
	else if ((e.state == MYELON_PEER_DEAD || !e.gating) && gone)
		snprintf(text, size,
		         "consumer '%s' (pid %d) %s %" PRIu64
		         " slots behind and cannot come back, for the name is gone",
		         e.id, e.pid, e.gating ? "died" : "left", e.lag);
	else if (e.state == MYELON_PEER_DEAD || !e.gating)
		snprintf(text, size,
		         "consumer '%s' (pid %d) %s %" PRIu64
		         " slots behind: let it resume with 'myelon sub %s --id %s'",
		         e.id, e.pid, e.gating ? "died" : "left", e.lag, pub->name, e.id);
	else
		snprintf(text, size, "consumer '%s' (pid %d, %s) is %" PRIu64 " slots behind", e.id,
		         e.pid, myelon_peer_state_name((enum myelon_peer_state)e.state), e.lag);
}

void pub_complain(struct pub *pub, const char *what, int64_t waited_ns)
{
	char who[256];

	name_slowest(pub, who, sizeof(who));
	cli_error(0, "%s within %.3g s: %s", what, (double)waited_ns / 1e9, who);
}

void pub_note_slowest(struct pub *pub, const char *what)
{
	char who[256];

	name_slowest(pub, who, sizeof(who));
	cli_note("%s: %s", what, who);
}

void pub_warn_if_stalled(struct pub *pub, const char *what, int64_t began)
{
	int64_t now = myelon_now();
	char who[256];

	if (now - began < STALL_NOTE_NS || (pub->warned && now - pub->warned < 6 * STALL_NOTE_NS))
		return;
	pub->warned = now;
	name_slowest(pub, who, sizeof(who));
	cli_note("%s for %" PRId64 " s: %s", what, (now - began) / 1000000000, who);
}

/* What to do after a wait for room that ended with @rc. @return 0: try again, else an exit code. */
static int after_wait(struct pub *pub, int rc, int64_t began)
{
	if (stop_signal())
		return stop_exit_code();
	if (rc != -ETIMEDOUT && rc != -ECANCELED)
		return cli_library_error(rc);
	if (myelon_now() - began >= pub->stall_timeout || pub_stuck(pub)) {
		pub_complain(pub, "the ring had no room", myelon_now() - began);
		return CLI_NO_RING;
	}
	if (progress_due(&pub->progress))
		progress_draw(&pub->progress, pub->sent.bytes, pub_lag(pub));
	pub_warn_if_stalled(pub, "the ring is full", began);
	return 0;
}

/* @return CLI_OK with room for a chunk at *buf, or an exit code. */
static int claim_chunk(struct pub *pub, void **buf)
{
	int64_t began = 0;
	int rc, code;

	rc = myelon_frame_claim(pub->fp, pub->chunk, MYELON_TRY, buf);
	while (rc < 0) {
		if (rc != -EAGAIN) {
			code = after_wait(pub, rc, began);
			if (code)
				return code;
		} else {
			began = myelon_now();
		}
		rc = myelon_frame_claim(pub->fp, pub->chunk, myelon_deadline_after(PUB_TICK_NS),
		                        buf);
	}
	return CLI_OK;
}

/* read(2) that a signal ends. @return bytes, 0: end of file, -ECANCELED, -errno. */
static ssize_t read_stdin(void *buf, size_t size, bool regular)
{
	for (;;) {
		ssize_t n;

		if (stop_signal() || (!regular && !stop_wait_fd(STDIN_FILENO, POLLIN)))
			return -ECANCELED;
		n = read(STDIN_FILENO, buf, size);
		if (n >= 0)
			return n;
		if (errno != EINTR && errno != EAGAIN)
			return -errno;
	}
}

static int input_error(ssize_t rc)
{
	if (stop_signal())
		return stop_exit_code();
	return cli_error(CLI_FAILURE, "cannot read stdin: %s", strerror((int)-rc));
}

static void count_sent(struct pub *pub, size_t bytes)
{
	pub->sent.bytes += bytes;
	pub->sent.messages++;
	if (progress_due(&pub->progress))
		progress_draw(&pub->progress, pub->sent.bytes, pub_lag(pub));
}

/* Chunks, read straight into the ring. */
static int send_bytes(struct pub *pub, bool regular)
{
	for (;;) {
		void *buf;
		ssize_t n;
		int code = claim_chunk(pub, &buf), rc;

		if (code != CLI_OK)
			return code;
		n = read_stdin(buf, pub->chunk, regular);
		if (n <= 0) {
			myelon_frame_cancel(pub->fp);
			return n == 0 ? CLI_OK : input_error(n);
		}
		rc = myelon_frame_commit(pub->fp, (size_t)n, STREAM_DATA);
		if (rc < 0)
			return cli_library_error(rc);
		count_sent(pub, (size_t)n);
	}
}

static int send_line(struct pub *pub, const char *line, size_t len)
{
	int64_t began = myelon_now();
	int rc, code;

	/* A line in fragments must not be cut by a tick: those wait without one. */
	int64_t tick =
		len <= myelon_frame_producer_max_frame(pub->fp) ? PUB_TICK_NS : MYELON_FOREVER;

	for (;;) {
		rc = myelon_frame_send(pub->fp, line, len, STREAM_DATA,
		                       tick == MYELON_FOREVER ? tick : myelon_deadline_after(tick));
		if (rc == 0)
			break;
		code = after_wait(pub, rc, began);
		if (code)
			return code;
	}
	count_sent(pub, len);
	return CLI_OK;
}

struct line_buffer {
	char *data;
	size_t size, used;
};

/* Send the complete lines of @b and keep the rest. */
static int send_lines_of(struct pub *pub, struct line_buffer *b, size_t scanned)
{
	size_t start = 0;

	for (;;) {
		char *nl = memchr(b->data + scanned, '\n', b->used - scanned);
		int code;

		if (!nl)
			break;
		code = send_line(pub, b->data + start, (size_t)(nl - b->data) - start);
		if (code != CLI_OK)
			return code;
		start = scanned = (size_t)(nl - b->data) + 1;
	}
	memmove(b->data, b->data + start, b->used - start);
	b->used -= start;
	return CLI_OK;
}

static int send_lines(struct pub *pub, struct line_buffer *b, bool regular)
{
	for (;;) {
		size_t scanned = b->used;
		ssize_t n;
		int code;

		if (b->size - b->used < LINE_BUFFER) {
			size_t size = b->size ? 2 * b->size : 2 * LINE_BUFFER;
			char *data = realloc(b->data, size);

			if (!data)
				return cli_error(CLI_FAILURE,
				                 "out of memory for a line of %zu bytes", b->used);
			b->data = data;
			b->size = size;
		}
		n = read_stdin(b->data + b->used, b->size - b->used, regular);
		if (n < 0)
			return input_error(n);
		if (n == 0)
			return b->used ? send_line(pub, b->data, b->used) : CLI_OK;
		b->used += (size_t)n;
		code = send_lines_of(pub, b, scanned);
		if (code != CLI_OK)
			return code;
	}
}

static int is_anonymous(void *ctx, const struct myelon_consumer_entry *e)
{
	(void)ctx;
	return e->gating && strncmp(e->id, "ad_", 3) == 0;
}

int pub_send_stdin(struct pub *pub)
{
	struct line_buffer lines = {0};
	struct stat st = {0};
	bool regular = fstat(STDIN_FILENO, &st) == 0 && S_ISREG(st.st_mode);
	int rc, code;

	if (regular) {
		off_t at = lseek(STDIN_FILENO, 0, SEEK_CUR);

		if (at >= 0 && at <= st.st_size)
			pub->progress.total = (uint64_t)(st.st_size - at);
	}
	rc = stream_send_start(pub->fp, pub->progress.total);
	if (rc < 0)
		return stop_signal() ? stop_exit_code() : cli_library_error(rc);
	code = pub->lines ? send_lines(pub, &lines, regular) : send_bytes(pub, regular);
	free(lines.data);
	if (code != CLI_OK)
		return code;
	/* Before the end is sent: nobody can have read it and left already. */
	pub->anonymous = myelon_producer_consumers(pub->ring, is_anonymous, NULL) != 0;
	rc = stream_send_end(pub->fp, &pub->sent);
	if (rc < 0)
		return stop_signal() ? stop_exit_code() : cli_library_error(rc);
	return CLI_OK;
}
