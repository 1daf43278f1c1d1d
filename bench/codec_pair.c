/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "codec_pair.h"
#include "alloc.h"

#include <stdlib.h>

#define KIND 7
#define ARENA ((size_t)64 << 20)

/* What a receiver reads of bytes that are no message: all of them, or one word for each record. */
static uint64_t sum_bytes(const struct bench_codec_pair *p, const void *data, size_t bytes)
{
	size_t step = bytes / p->content->items / 8 * 8;
	uint64_t sum = 0, word;

	if (!p->content->line)
		return bench_sum(data, bytes);
	for (uint32_t i = 0; i < p->content->items; i++) {
		memcpy(&word, (const unsigned char *)data + i * step, sizeof(word));
		sum += word;
	}
	return sum;
}

/* The object as this codec has it. */
static const void *object_of(const struct bench_codec_pair *p, const struct bench_batch *b)
{
	return p->format->bare ? (const void *)&b->items : b;
}

static int send_bytes(struct bench_codec_pair *p, uint64_t seq)
{
	size_t k = seq % p->content->variants, bytes = p->bytes[k];
	unsigned char *image = p->image + k * p->image_bytes;
	void *buf;
	int rc = myelon_frame_claim(p->out.framed, bytes, MYELON_FOREVER, &buf);

	if (rc < 0)
		return rc;
	memcpy(image, &seq, sizeof(seq));
	memcpy(buf, image, bytes);
	return myelon_frame_commit(p->out.framed, bytes, KIND);
}

static int receive_bytes(struct bench_codec_pair *p, uint64_t seq)
{
	uint32_t k = (uint32_t)(seq % p->content->variants);
	struct myelon_message m;
	int n = myelon_frame_peek(p->in.framed, MYELON_FOREVER, &m);

	if (n < 0)
		return n;
	p->wrong += m.len != p->bytes[k] || !m.borrowed ||
	            sum_bytes(p, m.data, m.len) != p->image_sum[k] + seq;
	return 0;
}

static int send_object(struct bench_codec_pair *p, uint64_t seq)
{
	const struct bench_batch *b = bench_content_next(p->content, seq);

	return myelon_typed_send(p->out.typed, object_of(p, b), KIND, MYELON_FOREVER);
}

static bool is_right(const struct bench_codec_pair *p, uint64_t seq, uint64_t sum)
{
	const struct bench_content *c = p->content;

	/* As the first id, and as the step. */
	return sum == c->sum[seq % c->variants] + (p->format->bare ? seq : 2 * seq);
}

static int receive_in_place(struct bench_codec_pair *p, uint64_t seq)
{
	struct myelon_inside in;
	struct myelon_meta meta;
	bool line = p->content->line;
	int n = myelon_typed_peek(p->in.typed, MYELON_FOREVER, &in, &meta);
	uint64_t sum;

	if (n < 0)
		return n;
	sum = p->content->shape == BENCH_RECORDS ? p->format->records(&in, line)
	                                         : p->format->tokens(&in, line);
	p->wrong += !is_right(p, seq, sum) || !meta.borrowed;
	return 0;
}

static int receive_owned(struct bench_codec_pair *p, uint64_t seq)
{
	struct bench_batch got = {0};
	void *object = p->format->bare ? (void *)&got.items : &got;
	int n;

	myelon_arena_reset(&p->arena);
	n = myelon_typed_recv(p->in.typed, object, &p->arena, MYELON_FOREVER, NULL);
	if (n < 0)
		return n;
	p->wrong += !is_right(p, seq, bench_content_read(p->content, &got));
	return 0;
}

/* A received object is one's own, what is read in the ring has to be released. */
static int release(struct bench_codec_pair *p)
{
	return p->mode == BENCH_OWNED ? 0 : myelon_frame_release(p->in.framed, 1);
}

static inline __attribute__((always_inline)) int send(struct bench_codec_pair *p, uint64_t seq,
                                                      enum bench_codec_mode mode)
{
	return mode == BENCH_BYTES ? send_bytes(p, seq) : send_object(p, seq);
}

static inline __attribute__((always_inline)) int receive(struct bench_codec_pair *p, uint64_t seq,
                                                         enum bench_codec_mode mode)
{
	return mode == BENCH_BYTES      ? receive_bytes(p, seq)
	       : mode == BENCH_IN_PLACE ? receive_in_place(p, seq)
	                                : receive_owned(p, seq);
}

/* An answer is released when the next request is under way. */
static int ask(void *ctx, uint64_t seq)
{
	struct bench_codec_pair *p = ctx;

	if (send(p, seq, p->mode) < 0 || (p->holding && release(p) < 0))
		return -1;
	p->holding = true;
	return receive(p, seq, p->mode);
}

/* Reply first, release after: the asker does not wait for our housekeeping. */
static int answer_all(struct bench_codec_pair *p, uint64_t total)
{
	for (uint64_t seq = 0; seq < total; seq++)
		if (receive(p, seq, p->mode) < 0 || send(p, seq, p->mode) < 0 || release(p) < 0)
			return -1;
	return 0;
}

static int make_images(struct bench_codec_pair *p, struct bench_role *me)
{
	uint32_t n = p->content->variants;
	size_t most = 0;

	for (uint32_t k = 0; k < n; k++)
		most = p->bytes[k] > most ? p->bytes[k] : most;
	p->image_bytes = most / 64 * 64 + 64;
	p->image = calloc(BENCH_VARIANTS, p->image_bytes);
	if (!p->image)
		return bench_fail(me, "no memory for messages of %zu bytes", most);
	for (uint32_t k = 0; k < n; k++) {
		unsigned char *image = p->image + k * p->image_bytes;

		for (size_t i = 0; i < most; i++)
			image[i] = (unsigned char)(i * 7 + i / 251);
		memset(image, 0, sizeof(uint64_t));
		p->image_sum[k] = sum_bytes(p, image, p->bytes[k]);
	}
	return 0;
}

/* All is there before the first message. */
static int open_ends(struct bench_codec_pair *p, struct bench_crew *crew, unsigned int role)
{
	struct bench_role *me = &crew->role[role];

	if (bench_ends_open(&p->out, &p->in, &p->ring, role, me) < 0)
		return -1;
	myelon_arena_init(&p->arena, NULL, 0, ARENA);
	return p->mode == BENCH_BYTES ? make_images(p, me) : 0;
}

static int play(struct bench_crew *crew, unsigned int role, void *arg)
{
	struct bench_codec_pair *p = arg;
	struct bench_role *me = &crew->role[role];
	uint64_t total = bench_trip_total(&p->plan);
	int rc;

	if (role == 0)
		bench_populate(p->trips, sizeof(*p->trips));
	if (open_ends(p, crew, role) < 0)
		return -1;
	bench_meet(crew, 0);
	me->allocations = bench_alloc_count();
	rc = role == 0 ? bench_trips_run(p->trips, &p->plan, ask, p, &me->start)
	               : answer_all(p, total);
	me->allocations = bench_alloc_count() - me->allocations;
	if (rc < 0)
		return bench_library_fail(me, "a message could not be moved");
	me->messages = total;
	me->wrong = p->wrong;
	bench_meet(crew, 1);
	bench_in_close(&p->in, me);
	bench_out_close(&p->out, me);
	myelon_arena_free(&p->arena);
	free(p->image);
	return 0;
}

int bench_codec_pair_run(struct bench_codec_pair *p, struct bench_codec_result *result)
{
	const struct bench_options *o = p->ring.o;
	const struct bench_cast cast = {.what = p->format->name,
	                                .roles = 2,
	                                .play = play,
	                                .arg = p,
	                                .cpus = o->cpus,
	                                .cpu_count = 2,
	                                .timeout_s = o->timeout_s};
	const struct bench_crew *crew;

	memset(p->trips, 0, sizeof(*p->trips));
	crew = bench_crew_run(&cast);
	bench_place_clear(p->ring.place);
	if (!crew)
		return -1;
	result->asker = crew->role[0];
	result->messages = 2 * crew->role[0].messages;
	result->allocations = crew->role[0].allocations + crew->role[1].allocations;
	result->verified = crew->role[0].wrong == 0 && crew->role[1].wrong == 0;
	return 0;
}
