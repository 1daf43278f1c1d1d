/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* FlatBuffers messages that anybody may have written: nothing outside them is read, and work has limits. */
#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <myelon/myelon.h>

#include "flat_golden.h"
#include "flat_zoo.h"
#include "object.h"
#include "zoo.h"

#define ROOM (1u << 16)
#define MANGLED 20000

struct side {
	const struct myelon_type *type;
	uint64_t (*read)(const void *data, size_t len);
	struct myelon_codec *codec;
};

static struct side sides[] = {{&zoo_type, flat_read_zoo, NULL},
                              {&batch_type, flat_read_batch, NULL}};
static struct myelon_arena arena;
static struct zoo zoo; /* the larger one of the two */

static void begin(void)
{
	for (int i = 0; i < 2; i++)
		cr_assert_eq(myelon_codec_flatbuffers(&sides[i].codec, sides[i].type, NULL), 0);
	myelon_arena_init(&arena, NULL, 0, 16 << 20);
}

static void end(void)
{
	for (int i = 0; i < 2; i++)
		myelon_codec_close(sides[i].codec);
	myelon_arena_free(&arena);
}

/* In memory of exactly its size, so that a sanitizer sees a step outside. @return was it accepted? */
static bool try(const struct side *s, const unsigned char *bytes, size_t len)
{
	unsigned char *copy = malloc(len ? len : 1);
	struct myelon_inside in;
	bool good;
	int rc;

	memcpy(copy, bytes, len);
	rc = myelon_codec_access(s->codec, copy, len, &in);
	cr_assert(rc == 0 || rc == -EBADMSG, "%d", rc);
	good = rc == 0;
	s->read(copy, len);
	rc = myelon_codec_decode(s->codec, copy, len, &zoo, &arena);
	cr_assert(rc == 0 || rc == -EBADMSG || rc == -ENOMEM, "%d", rc);
	cr_assert(!good || rc != -EBADMSG, "verified, not decoded: %s", myelon_last_error());
	cr_assert(good || rc != 0, "decoded, not verified");
	myelon_arena_reset(&arena);
	free(copy);
	return good;
}

static size_t make(const struct side *s, uint64_t seed, unsigned char *buf)
{
	struct object_rng r = {.state = seed, .most = 3, .depth = 3};
	int64_t len;

	object_fill(s->type, &zoo, &r, &arena);
	len = myelon_codec_encode(s->codec, &zoo, buf, ROOM);
	myelon_arena_reset(&arena);
	cr_assert_gt(len, 0, "%s", myelon_last_error());
	return (size_t)len;
}

Test(flat_hostile, a_message_cut_anywhere_is_survived, .init = begin, .fini = end)
{
	_Alignas(16) unsigned char buf[ROOM];

	for (int i = 0; i < 2; i++) {
		size_t len = make(&sides[i], 7, buf);

		cr_assert(try(&sides[i], buf, len));
		for (size_t cut = 0; cut < len; cut++)
			cr_assert(!try(&sides[i], buf, cut) || cut > len / 2);
	}
	for (size_t cut = 0; cut < sizeof(golden_zoo) - 3; cut++)
		cr_assert_not(try(&sides[0], golden_zoo, cut));
}

Test(flat_hostile, mangled_messages_are_survived, .init = begin, .fini = end)
{
	_Alignas(16) unsigned char buf[ROOM];
	struct object_rng r = {.state = 1};
	int good = 0;

	for (int i = 0; i < MANGLED; i++) {
		const struct side *s = &sides[i & 1];
		size_t len = make(s, (uint64_t)i % 50, buf);

		good += try(s, buf, object_mangle(&r, buf, len));
	}
	cr_assert(good > MANGLED / 20 && good < MANGLED, "%d", good);
}

static _Atomic(bool) stop;
static _Alignas(16) unsigned char shared[ROOM];

/* Somebody who may write the ring does so while it is read. */
static void *scribble(void *arg)
{
	struct object_rng r = {.state = 5};
	size_t len = *(size_t *)arg;

	while (!atomic_load(&stop)) {
		size_t at = (size_t)(object_random(&r) % len);
		unsigned char was = __atomic_load_n(&shared[at], __ATOMIC_RELAXED);

		__atomic_store_n(&shared[at], (unsigned char)object_random(&r), __ATOMIC_RELAXED);
		__atomic_store_n(&shared[at], was, __ATOMIC_RELAXED);
	}
	return NULL;
}

Test(flat_hostile, a_message_that_changes_while_it_is_read_is_survived, .init = begin, .fini = end)
{
	_Alignas(16) static unsigned char buf[ROOM];
	size_t len = make(&sides[0], 11, buf);
	struct myelon_inside in;
	pthread_t thread;
	int good = 0;

	atomic_store(&stop, false);
	memcpy(shared, buf, len);
	cr_assert_eq(pthread_create(&thread, NULL, scribble, &len), 0);
	for (int i = 0; i < 3000; i++) {
		int rc = myelon_codec_decode(sides[0].codec, shared, len, &zoo, &arena);

		cr_assert(rc == 0 || rc == -EBADMSG || rc == -ENOMEM);
		good += rc == 0;
		myelon_codec_access(sides[0].codec, shared, len, &in);
		flat_read_zoo(shared, len);
		myelon_arena_reset(&arena);
	}
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
	cr_assert_gt(good, 0);
}

/* A list of nodes, each the next of the one before, and at each level @width references to the same child. */
static size_t bomb(unsigned char *buf, uint32_t depth, uint32_t width)
{
	struct myelon_flat_builder b;
	uint32_t shared_ref = MYELON_FLAT_ROOT;
	int64_t len;

	myelon_flat_begin(&b, buf, ROOM, NULL);
	for (uint32_t i = 0; i < depth; i++) {
		uint32_t first;

		myelon_flat_table(&b, shared_ref, 3);
		first = myelon_flat_add_ref(&b, 1);
		myelon_flat_table_end(&b);
		first = myelon_flat_refs(&b, first, i + 1 < depth ? width : 0);
		/* All but the last lead where the last will: it is the next thing that is written. */
		for (uint32_t k = 0; k + 1 < width && i + 1 < depth; k++) {
			uint32_t offset = b.at - (first + 4 * k);

			memcpy(buf + first + 4 * k, &offset, 4);
			b.pending--;
		}
		shared_ref = first + 4 * (width - 1);
	}
	len = myelon_flat_end(&b);
	cr_assert_gt(len, 0, "%s", myelon_last_error());
	return (size_t)len;
}

static int verify_node(const struct myelon_flatbuffers_opts *opts, const unsigned char *buf,
                       size_t len)
{
	struct myelon_codec *c;
	struct myelon_inside in;
	struct node node;
	int rc, again;

	cr_assert_eq(myelon_codec_flatbuffers(&c, &zoo_node, opts), 0);
	again = myelon_codec_decode(c, buf, len, &node, &arena);
	myelon_arena_reset(&arena);
	rc = myelon_codec_access(c, buf, len, &in);
	cr_assert_eq(rc, again == -ENOMEM ? rc : again);
	myelon_codec_close(c);
	return rc;
}

Test(flat_hostile, shared_tables_count_each_time, .init = begin, .fini = end)
{
	_Alignas(16) static unsigned char buf[ROOM];
	size_t len = bomb(buf, 5, 10);

	/* 1 + 10 + 100 + 1000 + 10000 */
	cr_assert_eq(verify_node(&MYELON_FLATBUFFERS_OPTS(.tables = 11111), buf, len), 0, "%s",
	             myelon_last_error());
	cr_assert_eq(verify_node(&MYELON_FLATBUFFERS_OPTS(.tables = 11110), buf, len), -EBADMSG);
	cr_assert(strstr(myelon_last_error(), "more tables than the limit, 11110"), "%s",
	          myelon_last_error());
	cr_assert(strstr(myelon_last_error(), "node.children[9].children[9]"), "%s",
	          myelon_last_error());
	/* 10^59 tables in 4 KiB. */
	len = bomb(buf, 60, 10);
	cr_assert_lt(len, 4096);
	cr_assert_eq(verify_node(NULL, buf, len), -EBADMSG);
}

Test(flat_hostile, depth_has_a_limit, .init = begin, .fini = end)
{
	_Alignas(16) static unsigned char buf[ROOM];

	cr_assert_eq(verify_node(NULL, buf, bomb(buf, 64, 1)), 0, "%s", myelon_last_error());
	cr_assert_eq(verify_node(NULL, buf, bomb(buf, 65, 1)), -EBADMSG);
	cr_assert(strstr(myelon_last_error(), "deeper than the limit, 64"), "%s",
	          myelon_last_error());
	cr_assert_eq(verify_node(&MYELON_FLATBUFFERS_OPTS(.depth = 65), buf, bomb(buf, 65, 1)), 0);
}

struct names {
	struct myelon_vector names;
};

Test(flat_hostile, shared_strings_have_a_limit_of_work, .init = begin, .fini = end)
{
	static const struct myelon_type list = MYELON_VECTOR_OF(&myelon_string);
	static const struct myelon_field fields[] = {MYELON_FIELD(struct names, names, &list)};
	static const struct myelon_type type = MYELON_STRUCT(struct names, fields);
	_Alignas(16) static unsigned char buf[ROOM];
	static char text[30000];
	struct myelon_codec *c;
	struct myelon_inside in;
	struct myelon_flat_builder b;
	uint32_t first;
	int64_t len;

	memset(text, 'x', sizeof(text));
	myelon_flat_begin(&b, buf, sizeof(buf), NULL);
	myelon_flat_table(&b, MYELON_FLAT_ROOT, 1);
	first = myelon_flat_add_ref(&b, 0);
	myelon_flat_table_end(&b);
	first = myelon_flat_refs(&b, first, 5000);
	for (uint32_t i = 0; i < 4999; i++) {
		uint32_t offset = b.at - (first + 4 * i);

		memcpy(buf + first + 4 * i, &offset, 4);
		b.pending--;
	}
	myelon_flat_text(&b, first + 4 * 4999, text, sizeof(text));
	len = myelon_flat_end(&b);
	cr_assert_gt(len, 0);
	for (int any = 0; any < 2; any++) {
		cr_assert_eq(myelon_codec_flatbuffers(
				     &c, &type, &MYELON_FLATBUFFERS_OPTS(.flags = (uint32_t)any)),
		             0);
		/* 150 MB to look at; without UTF-8 next to nothing. */
		cr_assert_eq(myelon_codec_access(c, buf, (size_t)len, &in), any ? 0 : -EBADMSG);
		cr_assert(any || strstr(myelon_last_error(), "too much to look at"), "%s",
		          myelon_last_error());
		myelon_codec_close(c);
	}
	cr_assert_eq(
		myelon_codec_flatbuffers(&c, &type, &MYELON_FLATBUFFERS_OPTS(.work = 200u << 20)),
		0);
	cr_assert_eq(myelon_codec_access(c, buf, (size_t)len, &in), 0);
	myelon_codec_close(c);
}

Test(flat_hostile, elements_must_be_aligned, .init = begin, .fini = end)
{
	static const struct myelon_type wide = MYELON_VECTOR_OF(&myelon_u64);
	_Alignas(16) unsigned char buf[256];
	struct myelon_codec *c;
	struct myelon_inside in;
	struct myelon_flat_builder b;
	struct myelon_flat_table t;
	struct myelon_vector v;
	uint32_t ref;
	int64_t len;

	cr_assert_eq(myelon_codec_flatbuffers(&c, &wide, NULL), 0);
	for (uint32_t width = 8; width >= 1; width /= 8) {
		myelon_flat_begin(&b, buf, sizeof(buf), NULL);
		myelon_flat_table(&b, MYELON_FLAT_ROOT, 2);
		ref = myelon_flat_add_ref(&b, 0);
		/* A field that is not known, so that the vector is not aligned by accident. */
		myelon_flat_put_u32(&b, 1, 1);
		myelon_flat_table_end(&b);
		cr_assert_not_null(myelon_flat_vector(&b, ref, 1, 8, width));
		len = myelon_flat_end(&b);
		t = myelon_flat_root(buf, (size_t)len);
		cr_assert_eq(myelon_flat_get_vector(&t, 0, 8, 8).count, width / 8);
		cr_assert_eq(myelon_codec_access(c, buf, (size_t)len, &in),
		             width == 8 ? 0 : -EBADMSG);
		cr_assert_eq(myelon_codec_decode(c, buf, (size_t)len, &v, &arena),
		             width == 8 ? 0 : -EBADMSG);
	}
	cr_assert(strstr(myelon_last_error(), "not aligned to 8"), "%s", myelon_last_error());
	myelon_codec_close(c);
}

static uint32_t get32(const unsigned char *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* Break one thing of the golden zoo and see it named. */
static void broken(uint32_t at, uint32_t width, uint64_t value, const char *what)
{
	_Alignas(16) unsigned char buf[sizeof(golden_zoo)];
	struct myelon_inside in;

	memcpy(buf, golden_zoo, sizeof(buf));
	memcpy(buf + at, &value, width);
	cr_assert_eq(myelon_codec_access(sides[0].codec, buf, sizeof(buf), &in), -EBADMSG, "%s",
	             what);
	cr_assert(strstr(myelon_last_error(), what), "%s: %s", what, myelon_last_error());
	cr_assert_eq(myelon_codec_decode(sides[0].codec, buf, sizeof(buf), &zoo, &arena), -EBADMSG);
	cr_assert(strstr(myelon_last_error(), what), "%s: %s", what, myelon_last_error());
	myelon_arena_reset(&arena);
}

Test(flat_hostile, what_is_wrong_is_said_with_its_place, .init = begin, .fini = end)
{
	uint32_t root = get32(golden_zoo), vtable = root - get32(golden_zoo + root);
	struct myelon_flat_table t = myelon_flat_root(golden_zoo, sizeof(golden_zoo));
	struct myelon_flat_vector shapes = myelon_flat_get_vector(&t, 23, 4, 1);
	struct myelon_flat_table shape = myelon_flat_table_of(&shapes, 0);
	uint32_t name = vtable + 4 + 2 * 12, at = root + golden_zoo[name];
	uint32_t text = at + get32(golden_zoo + at);

	broken(0, 4, 0, "zoo: the reference at 0 leads to itself");
	broken(0, 4, 5000, "zoo: the reference at 0 leads to 5000, beyond the message, 384 bytes");
	broken(0, 4, root + 1, "not aligned to 4");
	broken(root, 4, 1u << 31, "zoo: vtable at ");
	broken(root, 4, root - 382, "zoo: vtable at 382 lies outside the message, 384 bytes");
	broken(root, 4, root - vtable - 1, "is not aligned to 2");
	broken(vtable, 2, 5, "an even number, 4 or more, is needed");
	broken(vtable, 2, 0xfffe, "reaches beyond the message, 384 bytes");
	broken(vtable + 2, 2, 0xffff, "65535 bytes, reaches beyond the message");
	broken(name, 2, 2000, "zoo.name: its place, 4 bytes at 2000, lies outside the table");
	broken(name, 2, golden_zoo[name] + 1u, "zoo.name: byte ");
	broken(at, 4, 1000, "zoo.name: the reference at ");
	broken(text, 4, 1000, "zoo.name: string at ");
	broken(text, 4, sizeof(golden_zoo) - text - 4, "reaches beyond the message");
	broken(text, 4, 2, "does not end with NUL");
	broken(text + 4, 1, 0xff, "zoo.name: byte 0 of the string is not UTF-8");
	broken(shape.vtable, 2, 0xfffe, "zoo.shapes[0]: vtable at ");
	broken(vtable + 4 + 2 * 20, 2, 0, "zoo.origin: the required field is missing");
	broken(vtable + 4 + 2 * 22, 2, 0, "zoo.shape: the union has the type 2 and no value");
	broken(root + golden_zoo[vtable + 4 + 2 * 21], 1, 9, "zoo.shape: 9 is no type");
	broken(root + golden_zoo[vtable + 4 + 2 * 11], 4, 0xd800, "zoo.letter: 0xd800 is no");
	at = root + golden_zoo[vtable + 4 + 2 * 19];
	broken(at + get32(golden_zoo + at), 4, 2, "zoo.triple: 2 elements: an array of 3");
	at = root + golden_zoo[vtable + 4 + 2 * 16];
	broken(at + get32(golden_zoo + at), 4, 0x40000001, "zoo.points: vector at ");
}

Test(flat_hostile, the_identifier_is_required, .init = begin, .fini = end)
{
	_Alignas(16) unsigned char buf[ROOM];
	struct myelon_codec *c;
	struct node node = {.value = 3}, got;
	struct myelon_inside in;
	int64_t len;

	cr_assert_eq(myelon_codec_flatbuffers(&c, &zoo_node,
	                                      &MYELON_FLATBUFFERS_OPTS(.identifier = "NODE")),
	             0);
	len = myelon_codec_encode(c, &node, buf, sizeof(buf));
	cr_assert_gt(len, 8);
	cr_assert_eq(memcmp(buf + 4, "NODE", 4), 0);
	cr_assert_eq(myelon_codec_decode(c, buf, (size_t)len, &got, &arena), 0);
	buf[7] = 'X';
	cr_assert_eq(myelon_codec_access(c, buf, (size_t)len, &in), -EBADMSG);
	cr_assert(strstr(myelon_last_error(), "identifier is not \"NODE\""), "%s",
	          myelon_last_error());
	myelon_codec_close(c);
}

/* As the verifier of C++, which accessors that do not look at the type rely on. */
Test(flat_hostile, a_union_of_no_type_has_no_value_outside_the_message, .init = begin, .fini = end)
{
	_Alignas(16) unsigned char bytes[sizeof(golden_zoo)];
	uint32_t root = get32(golden_zoo), vtable = root - get32(golden_zoo + root);
	uint32_t value = root + golden_zoo[vtable + 4 + 2 * 22];
	const uint32_t beyond = 0x7000;
	struct myelon_inside in;

	memcpy(bytes, golden_zoo, sizeof(bytes));
	bytes[root + golden_zoo[vtable + 4 + 2 * 21]] = 0;
	cr_assert_eq(myelon_codec_access(sides[0].codec, bytes, sizeof(bytes), &in), 0, "%s",
	             myelon_last_error());
	cr_assert_eq(myelon_codec_decode(sides[0].codec, bytes, sizeof(bytes), &zoo, &arena), 0);
	cr_assert_eq(zoo.shape.tag, SHAPE_EMPTY);
	memcpy(bytes + value, &beyond, sizeof(beyond));
	cr_assert_eq(myelon_codec_access(sides[0].codec, bytes, sizeof(bytes), &in), -EBADMSG);
	cr_assert(strstr(myelon_last_error(), "zoo.shape: the reference at "), "%s",
	          myelon_last_error());
	cr_assert_eq(myelon_codec_decode(sides[0].codec, bytes, sizeof(bytes), &zoo, &arena),
	             -EBADMSG);
}
