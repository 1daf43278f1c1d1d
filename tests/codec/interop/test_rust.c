/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Objects go to a program made with the crates bincode and rkyv, and come back. */
#include <criterion/criterion.h>
#include <string.h>

#include <myelon/myelon.h>

#include "rkyv_walk.h"
#include "rust.h"
#include "tool.h"
#include "zoo.h"

#define OBJECTS 150u
#define ROOM (64u << 20)

static struct myelon_arena arena;

static struct myelon_codec *bincode_of(const struct subject *s, uint32_t encoding)
{
	struct myelon_codec *c;

	cr_assert_eq(myelon_codec_bincode(&c, s->type, &MYELON_BINCODE_OPTS(.encoding = encoding)),
	             0, "%s", myelon_last_error());
	return c;
}

static struct myelon_codec *rkyv_of(const struct subject *s)
{
	struct myelon_codec *c;

	cr_assert_eq(myelon_codec_rkyv(&c, s->type, NULL), 0, "%s", myelon_last_error());
	return c;
}

static void expect_bytes(const struct subject *s, uint64_t i, const struct tool *t,
                         const struct bytes *want)
{
	cr_assert_eq(t->len, want->len, "%s %lu: %u bytes, not %zu", s->name, (unsigned long)i,
	             t->len, want->len);
	cr_assert_eq(memcmp(t->answer, want->data, want->len), 0, "%s %lu", s->name,
	             (unsigned long)i);
}

static void ask(struct tool *t, const struct subject *s, uint64_t i, const struct bytes *b)
{
	cr_assert(tool_ask(t, b->data, b->len), "%s %lu: %s", s->name, (unsigned long)i, t->answer);
}

/* Rust reads one format, and writes another as we do. */
static void expect_bytes_of(const struct subject *s, const char *from, struct myelon_codec *read,
                            const char *to, struct myelon_codec *written)
{
	union object object;
	struct tool t;

	tool_start(&t, rust_path(), "convert", from, to, s->name, NULL);
	for (uint64_t i = 0; i < OBJECTS; i++) {
		struct bytes sent, want;

		subject_fill(s, &object, i, &arena);
		sent = bytes_encode(read, &object);
		want = bytes_encode(written, &object);
		ask(&t, s, i, &sent);
		expect_bytes(s, i, &t, &want);
		free(sent.data);
		free(want.data);
		myelon_arena_reset(&arena);
	}
	tool_end(&t);
}

/* Both ways between bincode and another format or the same: in one alone, two errors could be each other's
 * opposite. */
static void expect_both_ways(const struct subject *s, const char *format, struct myelon_codec *c)
{
	struct myelon_codec *bincode = bincode_of(s, MYELON_BINCODE_FIXED);

	expect_bytes_of(s, format, c, format, c);
	expect_bytes_of(s, format, c, "bincode", bincode);
	expect_bytes_of(s, "bincode", bincode, format, c);
	myelon_codec_close(bincode);
	myelon_codec_close(c);
}

static void init(void)
{
	myelon_arena_init(&arena, NULL, 0, ROOM);
}

static void fini(void)
{
	myelon_arena_free(&arena);
}

TestSuite(interop_rust, .init = init, .fini = fini);

Test(interop_rust, bincode_fixed_is_read_and_written_again_byte_for_byte)
{
	row_begin("bincode_fixed", "bincode, fixed", "C -> Rust -> C", RUST_BINCODE);
	for (size_t s = 0; s < 3; s++)
		expect_both_ways(&subjects[s], "bincode",
		                 bincode_of(&subjects[s], MYELON_BINCODE_FIXED));
	row_ok("%u objects", 3 * OBJECTS);
}

Test(interop_rust, bincode_varint_is_read_and_written_again_byte_for_byte)
{
	row_begin("bincode_varint", "bincode, varint", "C -> Rust -> C", RUST_BINCODE);
	for (size_t s = 0; s < 3; s++)
		expect_both_ways(&subjects[s], "varint",
		                 bincode_of(&subjects[s], MYELON_BINCODE_VARINT));
	row_ok("%u objects", 3 * OBJECTS);
}

Test(interop_rust, archives_are_verified_by_rust_and_byte_for_byte_its_own)
{
	row_begin("rkyv", "rkyv", "C -> Rust -> C", RUST_RKYV);
	for (size_t s = 0; s < 3; s++)
		expect_both_ways(&subjects[s], "rkyv", rkyv_of(&subjects[s]));
	row_ok("%u objects", 3 * OBJECTS);
}

/* In memory as aligned as a ring's. */
static void expect_object(struct myelon_codec *c, const struct subject *s, const struct tool *t,
                          const void *object)
{
	unsigned char *copy = aligned_alloc(16, (t->len + 15ul) & ~15ul);
	struct myelon_inside in;
	union object got;

	memcpy(copy, t->answer, t->len);
	cr_assert_eq(myelon_codec_access(c, copy, t->len, &in), 0, "%s", myelon_last_error());
	cr_assert(rkyv_is_object(myelon_rkyv_root(&in), s->type, object));
	cr_assert_eq(myelon_codec_decode(c, copy, t->len, &got, &arena), 0, "%s",
	             myelon_last_error());
	cr_assert(object_equal(s->type, &got, object));
	free(copy);
}

static void archives_of_rust(const struct subject *s)
{
	struct myelon_codec *varint = bincode_of(s, MYELON_BINCODE_VARINT), *rkyv = rkyv_of(s);
	union object object;
	struct tool t;

	tool_start(&t, rust_path(), "convert", "varint", "rkyv", s->name, NULL);
	for (uint64_t i = 0; i < OBJECTS; i++) {
		struct bytes b;

		subject_fill(s, &object, i, &arena);
		b = bytes_encode(varint, &object);
		ask(&t, s, i, &b);
		expect_object(rkyv, s, &t, &object);
		free(b.data);
		myelon_arena_reset(&arena);
	}
	tool_end(&t);
	myelon_codec_close(varint);
	myelon_codec_close(rkyv);
}

Test(interop_rust, archives_of_rust_are_read_in_place_and_decoded)
{
	row_begin("rkyv_from_rust", "rkyv", "Rust -> C", RUST_RKYV);
	for (size_t s = 0; s < 3; s++)
		archives_of_rust(&subjects[s]);
	row_ok("%u objects", 3 * OBJECTS);
}
