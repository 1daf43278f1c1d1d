/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Batches of requests for an inference engine, from a scheduler to a worker process. One description serves all
 * codecs:
 *
 *     token_batches CODEC [RING]      pod, bincode, rkyv, flatbuffers or msgpack
 *
 * The worker takes every second batch as an object of its own and reads the others where they lie in the ring,
 * with the accessors of that codec; bincode and msgpack can only be decoded. It prints one line for each batch.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <myelon/myelon.h>

enum { BATCHES = 6, REQUESTS = 3, TOKENS = 40, LOGITS = 8 };

struct maybe_float {
	bool present;
	float value;
};

struct request {
	uint64_t id;
	struct myelon_text tenant;
	struct myelon_vector tokens; /* of uint32_t */
	float temperature;
	struct maybe_float top_p;
	struct myelon_vector logits; /* of float: a slice of what the last step gave */
};

struct batch {
	uint64_t step;
	struct myelon_vector requests;
};

/* In the order of the tables below, for accessors by number. */
enum { STEP, REQUEST_LIST };
enum { ID, TENANT, TOKEN_LIST, TEMPERATURE, TOP_P, LOGIT_LIST };

static const struct myelon_type tokens = MYELON_VECTOR_OF(&myelon_u32);
static const struct myelon_type logits = MYELON_VECTOR_OF(&myelon_f32);
static const struct myelon_type top_p = MYELON_OPTION_OF(&myelon_f32, struct maybe_float);
static const struct myelon_field request_fields[] = {
	MYELON_FIELD(struct request, id, &myelon_u64),
	MYELON_FIELD(struct request, tenant, &myelon_string),
	MYELON_FIELD(struct request, tokens, &tokens),
	MYELON_FIELD(struct request, temperature, &myelon_f32),
	MYELON_FIELD(struct request, top_p, &top_p),
	MYELON_FIELD(struct request, logits, &logits),
};
static const struct myelon_type request = MYELON_STRUCT(struct request, request_fields);
static const struct myelon_type requests = MYELON_VECTOR_OF(&request);
static const struct myelon_field batch_fields[] = {
	MYELON_FIELD(struct batch, step, &myelon_u64),
	MYELON_FIELD(struct batch, requests, &requests),
};
static const struct myelon_type batch = MYELON_STRUCT(struct batch, batch_fields);

/* pod has no pointers: what varies has its largest size. */
struct plain_request {
	uint64_t id;
	uint64_t step;
	char tenant[16];
	uint32_t token_count;
	uint32_t logit_count;
	float temperature;
	float top_p; /* negative: missing */
	uint32_t tokens[TOKENS];
	float logits[LOGITS];
};

/* What the worker finds in a batch. */
struct summary {
	uint64_t step, ids, tokens;
	uint32_t requests, with_top_p, tenant_bytes;
	double logits;
};

static int fail(void)
{
	fprintf(stderr, "%s\n", myelon_last_error());
	return -1;
}

static void add_tokens(struct summary *s, const void *data, size_t count)
{
	const uint32_t *token = data;

	for (size_t i = 0; i < count; i++)
		s->tokens += token[i];
}

static void add_logits(struct summary *s, const void *data, size_t count)
{
	const float *logit = data;

	for (size_t i = 0; i < count; i++)
		s->logits += (double)logit[i];
}

static void read_object(const void *object, struct summary *s)
{
	const struct batch *b = object;
	const struct request *r = b->requests.data;

	s->step = b->step;
	s->requests = (uint32_t)b->requests.count;
	for (uint32_t i = 0; i < s->requests; i++) {
		s->ids += r[i].id;
		s->tenant_bytes += (uint32_t)r[i].tenant.len;
		s->with_top_p += r[i].top_p.present;
		add_tokens(s, r[i].tokens.data, r[i].tokens.count);
		add_logits(s, r[i].logits.data, r[i].logits.count);
	}
}

static void read_rkyv(const struct myelon_inside *in, struct summary *s)
{
	struct myelon_rkyv b = myelon_rkyv_root(in);
	struct myelon_rkyv_list list = myelon_rkyv_list(myelon_rkyv_field(b, REQUEST_LIST));

	s->step = myelon_rkyv_u64(myelon_rkyv_field(b, STEP));
	s->requests = list.count;
	for (uint32_t i = 0; i < list.count; i++) {
		struct myelon_rkyv r = myelon_rkyv_at(&list, i);
		struct myelon_vector t = myelon_rkyv_run(myelon_rkyv_field(r, TOKEN_LIST));
		struct myelon_vector l = myelon_rkyv_run(myelon_rkyv_field(r, LOGIT_LIST));

		s->ids += myelon_rkyv_u64(myelon_rkyv_field(r, ID));
		s->tenant_bytes += (uint32_t)myelon_rkyv_text(myelon_rkyv_field(r, TENANT)).len;
		s->with_top_p +=
			!myelon_rkyv_is_nothing(myelon_rkyv_some(myelon_rkyv_field(r, TOP_P)));
		add_tokens(s, t.data, t.count);
		add_logits(s, l.data, l.count);
	}
}

static void read_flatbuffers(const struct myelon_inside *in, struct summary *s)
{
	struct myelon_flat_table b = myelon_flat_root(in->data, in->len);
	struct myelon_flat_vector list = myelon_flat_get_vector(&b, REQUEST_LIST, 4, 4);

	s->step = myelon_flat_get_u64(&b, STEP, 0);
	s->requests = list.count;
	for (uint32_t i = 0; i < list.count; i++) {
		struct myelon_flat_table r = myelon_flat_table_of(&list, i);
		struct myelon_flat_vector t = myelon_flat_get_vector(&r, TOKEN_LIST, 4, 4);
		struct myelon_flat_vector l = myelon_flat_get_vector(&r, LOGIT_LIST, 4, 4);

		s->ids += myelon_flat_get_u64(&r, ID, 0);
		s->tenant_bytes += (uint32_t)myelon_flat_get_text(&r, TENANT).len;
		s->with_top_p += myelon_flat_has(&r, TOP_P);
		add_tokens(s, t.data, t.count);
		add_logits(s, l.data, l.count);
	}
}

static void read_plain(const void *records, size_t count, struct summary *s)
{
	const struct plain_request *r = records;

	s->requests = (uint32_t)count;
	for (size_t i = 0; i < count; i++) {
		/* Anybody may have written these: no more than there are. */
		uint32_t n = r[i].token_count < TOKENS ? r[i].token_count : TOKENS;
		uint32_t m = r[i].logit_count < LOGITS ? r[i].logit_count : LOGITS;

		s->step = r[i].step;
		s->ids += r[i].id;
		s->tenant_bytes += (uint32_t)strnlen(r[i].tenant, sizeof(r[i].tenant));
		s->with_top_p += r[i].top_p >= 0;
		add_tokens(s, r[i].tokens, n);
		add_logits(s, r[i].logits, m);
	}
}

static void read_pod(const struct myelon_inside *in, struct summary *s)
{
	read_plain(in->root, in->len / sizeof(struct plain_request), s);
}

static void read_vector(const void *object, struct summary *s)
{
	const struct myelon_vector *v = object;

	read_plain(v->data, v->count, s);
}

static int make_pod(struct myelon_codec **out)
{
	return myelon_codec_pod(out,
	                        &MYELON_POD_OPTS(.record = sizeof(struct plain_request), .align = 8,
	                                         .name = "plain_request", .version = 1));
}

static int make_bincode(struct myelon_codec **out)
{
	return myelon_codec_bincode(out, &batch, NULL);
}

static int make_rkyv(struct myelon_codec **out)
{
	return myelon_codec_rkyv(out, &batch, NULL);
}

static int make_flatbuffers(struct myelon_codec **out)
{
	return myelon_codec_flatbuffers(out, &batch, NULL);
}

static int make_msgpack(struct myelon_codec **out)
{
	return myelon_codec_msgpack(out, &batch, NULL);
}

static const struct format {
	const char *name;
	int (*make)(struct myelon_codec **out);
	void (*in_place)(const struct myelon_inside *in, struct summary *s); /* NULL: it cannot */
	void (*owned)(const void *object, struct summary *s);
} formats[] = {
	{"pod", make_pod, read_pod, read_vector},
	{"bincode", make_bincode, NULL, read_object},
	{"rkyv", make_rkyv, read_rkyv, read_object},
	{"flatbuffers", make_flatbuffers, read_flatbuffers, read_object},
	{"msgpack", make_msgpack, NULL, read_object},
};

static void print_summary(const struct summary *s, const char *how)
{
	printf("step %" PRIu64 ", %s: %u requests, ids %" PRIu64 ", tokens %" PRIu64
	       ", tenants %u, top_p %u, logits %.2f\n",
	       s->step, how, s->requests, s->ids, s->tokens, s->tenant_bytes, s->with_top_p,
	       s->logits);
}

/* An object of one's own: the ring is free again, what it points to lies in the arena. */
static int take(struct myelon_typed_consumer *tc, const struct format *f,
                struct myelon_arena *arena)
{
	union {
		struct batch batch;
		struct myelon_vector records;
	} object;
	struct summary s = {0};
	int n;

	myelon_arena_reset(arena);
	n = myelon_typed_recv(tc, &object, arena, MYELON_FOREVER, NULL);
	if (n < 0)
		return n;
	f->owned(&object, &s);
	print_summary(&s, "owned");
	return 0;
}

/* Nothing is copied; what is read is valid until it is released. */
static int look(struct myelon_typed_consumer *tc, const struct format *f)
{
	struct myelon_inside in;
	struct summary s = {0};
	int n = myelon_typed_peek(tc, MYELON_FOREVER, &in, NULL);

	if (n < 0)
		return n;
	f->in_place(&in, &s);
	print_summary(&s, "in place");
	return myelon_typed_release(tc, 1);
}

static int work(const struct format *f, const struct myelon_codec *codec, const char *ring)
{
	struct myelon_attach_opts opts = MYELON_ATTACH_OPTS(.timeout_ns = 10000000000);
	struct myelon_typed_consumer *tc;
	struct myelon_arena arena;
	int rc = 0;

	if (myelon_typed_consumer_attach(&tc, ring, &opts, codec) < 0)
		return fail();
	myelon_arena_init(&arena, NULL, 0, 1 << 20);
	for (int i = 0; rc == 0; i++)
		rc = f->in_place && i % 2 ? look(tc, f) : take(tc, f, &arena);
	/* -EPIPE: the scheduler has ended. */
	if (rc != -EPIPE)
		fail();
	myelon_arena_free(&arena);
	myelon_typed_consumer_close(tc);
	return rc == -EPIPE ? 0 : -1;
}

static const struct {
	const char *name;
	uint32_t length;
} tenants[REQUESTS] = {{"acme", 4}, {"umbrella", 8}, {"initech", 7}};

static int send_batch(struct myelon_typed_producer *tp, uint64_t step)
{
	uint32_t token[REQUESTS][TOKENS];
	float logit[LOGITS];
	struct request r[REQUESTS] = {0};
	struct batch b = {.step = step, .requests = {r, REQUESTS}};

	for (uint32_t i = 0; i < LOGITS; i++)
		logit[i] = (float)i / 4;
	for (uint32_t i = 0; i < REQUESTS; i++) {
		for (uint32_t k = 0; k < TOKENS; k++)
			token[i][k] = (uint32_t)step * 1000 + k;
		r[i].id = step * 10 + i;
		r[i].tenant = (struct myelon_text){tenants[i].name, tenants[i].length};
		r[i].tokens = (struct myelon_vector){token[i], 10 * (i + 1)};
		r[i].temperature = 0.7F;
		r[i].top_p = (struct maybe_float){.present = i == 1, .value = 0.9F};
		r[i].logits = (struct myelon_vector){logit, LOGITS};
	}
	return myelon_typed_send(tp, &b, 0, MYELON_FOREVER);
}

static int send_plain(struct myelon_typed_producer *tp, uint64_t step)
{
	struct plain_request r[REQUESTS] = {0};
	struct myelon_vector v = {r, REQUESTS};

	for (uint32_t i = 0; i < REQUESTS; i++) {
		r[i].id = step * 10 + i;
		r[i].step = step;
		memcpy(r[i].tenant, tenants[i].name, tenants[i].length);
		r[i].token_count = 10 * (i + 1);
		for (uint32_t k = 0; k < r[i].token_count; k++)
			r[i].tokens[k] = (uint32_t)step * 1000 + k;
		r[i].temperature = 0.7F;
		r[i].top_p = i == 1 ? 0.9F : -1;
		r[i].logit_count = LOGITS;
		for (uint32_t k = 0; k < LOGITS; k++)
			r[i].logits[k] = (float)k / 4;
	}
	return myelon_typed_send(tp, &v, 0, MYELON_FOREVER);
}

static int schedule(const struct format *f, const struct myelon_codec *codec, const char *ring)
{
	struct myelon_ring_opts opts =
		MYELON_RING_OPTS(.slot_size = 64, .window = 4096, .wait_timeout_ns = 10000000000);
	struct myelon_typed_producer *tp;
	int rc = 0;

	opts.wait_for.count = 1;
	if (myelon_typed_producer_create(&tp, ring, &opts, codec, 0) < 0)
		return fail();
	for (uint64_t step = 1; rc == 0 && step <= BATCHES; step++)
		rc = f->make == make_pod ? send_plain(tp, step) : send_batch(tp, step);
	if (rc < 0)
		fail();
	myelon_typed_producer_close(tp);
	return rc;
}

int main(int argc, char **argv)
{
	const char *ring = argc > 2 ? argv[2] : "batches";
	const struct format *f = NULL;
	struct myelon_codec *codec;
	int rc, status = 1;
	pid_t worker;

	for (size_t i = 0; argc > 1 && i < sizeof(formats) / sizeof(formats[0]); i++)
		if (strcmp(argv[1], formats[i].name) == 0)
			f = &formats[i];
	if (!f) {
		fprintf(stderr, "usage: token_batches "
		                "pod|bincode|rkyv|flatbuffers|msgpack [RING]\n");
		return 2;
	}
	rc = f->make(&codec);
	if (rc < 0) {
		fail();
		return rc == -ENOTSUP ? 77 : 1;
	}
	/* The codec is a constant from here on, so both may use it; handles are made after the fork. */
	worker = fork();
	if (worker == 0)
		exit(work(f, codec, ring) < 0 ? 1 : 0);
	rc = worker < 0 ? -1 : schedule(f, codec, ring);
	if (worker > 0)
		waitpid(worker, &status, 0);
	myelon_codec_close(codec);
	return rc < 0 || status != 0 ? 1 : 0;
}
