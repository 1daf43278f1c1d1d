/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The other side of test_frame_mp.c: frame_actor ROLE NAME ...
 *
 *   send NAME COUNT BYTES vary|fixed   take the ring over and send COUNT patterns, then close
 *   receive NAME INDEX peek|recv|owned receive patterns to the end of the stream
 *   blocked NAME                       one report of a message that was cut off, then a message
 *   storm NAME                         create a ring that overwrites and fill it until word 2 is set
 */
#include "frame_storm.h"
#include "kit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define SEED 42

static int fail(const char *what, int rc)
{
	fprintf(stderr, "%s: %d: %s\n", what, rc, myelon_last_error());
	return 1;
}

/* Patterns are numbered; the number decides the length. */
static size_t length_of(uint64_t i, size_t most, bool vary)
{
	return vary ? (i * 2654435761u) % (most + 1) : most;
}

static int do_send(const char *name, uint64_t count, size_t bytes, bool vary)
{
	struct myelon_frame_producer *fp;
	unsigned char *buf = malloc(bytes + 1);
	int rc = myelon_frame_producer_open(&fp, name, NULL);

	if (rc < 0)
		return fail("open", rc);
	for (uint64_t i = 0; i < count; i++) {
		size_t n = length_of(i, bytes, vary);

		kit_fill(buf, n, SEED, i);
		rc = myelon_frame_send(fp, buf, n, (uint8_t)i, kit_deadline(30));
		if (rc < 0)
			return fail("send", rc);
	}
	myelon_frame_producer_close(fp);
	free(buf);
	return 0;
}

static int receive_one(struct myelon_frame_consumer *fc, const char *form, struct myelon_message *m,
                       unsigned char *buf, size_t cap)
{
	if (strcmp(form, "recv") == 0)
		return myelon_frame_recv(fc, buf, cap, kit_deadline(30), m);
	if (strcmp(form, "owned") == 0)
		return myelon_frame_recv_owned(fc, kit_deadline(30), m);
	return myelon_frame_peek(fc, kit_deadline(30), m);
}

static int do_receive(struct kit_page *page, const char *name, unsigned int index, const char *form)
{
	static unsigned char buf[1 << 20];
	struct kit_result *r = &page->result[index];
	struct myelon_frame_consumer *fc;
	struct myelon_message m;
	int rc = myelon_frame_consumer_attach(&fc, name, NULL);

	if (rc < 0)
		return fail("attach", rc);
	kit_barrier(page, 0, 4, 20);
	while ((rc = receive_one(fc, form, &m, buf, sizeof(buf))) == 1) {
		if (m.kind != (uint8_t)r->count || kit_check(m.data, m.len, SEED, r->count) >= 0)
			kit_violation(r, "message %u of %zu bytes is not number %lu", m.id, m.len,
			              (unsigned long)r->count);
		r->count++;
		r->bytes += m.len;
		if (strcmp(form, "owned") == 0)
			myelon_message_free(&m);
		else if (strcmp(form, "peek") == 0 && myelon_frame_release(fc, 1) < 0)
			return fail("release", 0);
	}
	myelon_frame_consumer_close(fc);
	return rc == -EPIPE ? 0 : fail("receive", rc);
}

/* The next message or report, past producers that come and go. */
static int peek_past_ends(struct myelon_frame_consumer *fc, struct myelon_message *m)
{
	int rc;

	while ((rc = myelon_frame_peek(fc, kit_deadline(30), m)) == -EPIPE || rc == -EOWNERDEAD) {
		rc = myelon_consumer_wait_producer(myelon_frame_consumer_ring(fc),
		                                   kit_deadline(30));
		if (rc < 0)
			break;
	}
	return rc;
}

static int do_blocked(struct kit_page *page, const char *name)
{
	struct myelon_frame_consumer *fc;
	struct myelon_message m;
	int rc = myelon_frame_consumer_attach(&fc, name, &MYELON_ATTACH_OPTS(.id = "blocked"));

	if (rc < 0)
		return fail("attach", rc);
	kit_set(page, 1, 1);
	rc = peek_past_ends(fc, &m);
	if (rc != -EBADMSG || m.id != 1)
		return fail("report", rc);
	rc = peek_past_ends(fc, &m);
	if (rc != 1 || kit_check(m.data, m.len, SEED, 9) >= 0)
		return fail("message", rc);
	myelon_frame_consumer_close(fc);
	return 0;
}

static int do_storm(struct kit_page *page, const char *name)
{
	struct myelon_frame_producer *fp;
	uint32_t id = 0;
	void *buf;
	int rc = myelon_frame_producer_create(
		&fp, name,
		&MYELON_RING_OPTS(.slot_size = STORM_SLOT, .window = 64, .huge = MYELON_HUGE_OFF,
	                          .unattended = MYELON_UNATTENDED_OVERWRITE));

	if (rc < 0)
		return fail("create", rc);
	while (!page->word[2]) {
		id++;
		rc = myelon_frame_claim(fp, storm_bytes(id), kit_deadline(30), &buf);
		if (rc < 0)
			return fail("claim", rc);
		storm_fill(buf, id);
		myelon_frame_commit(fp, storm_bytes(id), STORM_KIND);
		if (id == 1000)
			kit_set(page, 1, 1);
	}
	page->result[0].count = id;
	myelon_frame_producer_close(fp);
	return 0;
}

int main(int argc, char **argv)
{
	struct kit_page *page = kit_page_attach();
	const char *role = argc > 2 ? argv[1] : "";

	if (strcmp(role, "send") == 0 && argc == 6)
		return do_send(argv[2], strtoull(argv[3], NULL, 10), strtoull(argv[4], NULL, 10),
		               strcmp(argv[5], "vary") == 0);
	if (!page)
		return fail("no page", 0);
	if (strcmp(role, "receive") == 0 && argc == 5)
		return do_receive(page, argv[2], (unsigned int)atoi(argv[3]), argv[4]);
	if (strcmp(role, "blocked") == 0)
		return do_blocked(page, argv[2]);
	if (strcmp(role, "storm") == 0)
		return do_storm(page, argv[2]);
	fprintf(stderr, "unknown role %s\n", role);
	return 2;
}
