/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Mangled messages, judged by us and by the crates. Who refuses more is reported; what both take must be the same
 * object, and nothing may be taken that Rust refuses.
 */
#include <criterion/criterion.h>
#include <string.h>

#include <myelon/myelon.h>

#include "rust.h"
#include "tool.h"

#define ROOM (64u << 20)

struct judge {
	const struct subject *subject;
	struct myelon_codec *codec;  /* under test */
	struct myelon_codec *answer; /* of what Rust says */
	struct tool tool;
	struct myelon_arena arena;
	struct verdicts verdicts;
};

/* The same object, as bytes: floats may be NaN, which are not equal. */
static void expect_same(struct judge *j, const void *object, uint64_t i)
{
	struct bytes b = bytes_encode(j->answer, object);

	cr_assert(j->tool.len == b.len && memcmp(j->tool.answer, b.data, b.len) == 0,
	          "%s %lu: Rust took it for another object", j->subject->name, (unsigned long)i);
	free(b.data);
}

static void judge_one(struct judge *j, const struct bytes *b, uint64_t i)
{
	bool theirs = tool_ask(&j->tool, b->data, b->len);
	union object object;
	struct myelon_inside in;
	bool ours = myelon_codec_decode(j->codec, b->data, b->len, &object, &j->arena) == 0;

	verdict_add(&j->verdicts, ours, theirs, j->tool.answer);
	if (ours && theirs)
		expect_same(j, &object, i);
	cr_assert(!j->codec->access ||
	                  (myelon_codec_access(j->codec, b->data, b->len, &in) == 0) == ours,
	          "%s %lu: verified and decoded are not the same", j->subject->name,
	          (unsigned long)i);
}

/* One object in all ways, or others at random. */
static void judge_some(struct judge *j, bool one)
{
	union object object;
	bool more = true;

	for (uint64_t i = 0; more; i++) {
		struct bytes b;

		subject_fill(j->subject, &object, one ? SUBJECT_SMALL : i, &j->arena);
		b = bytes_encode(j->codec, &object);
		more = bytes_spoil(&b, one, i);
		judge_one(j, &b, i);
		free(b.data);
		myelon_arena_reset(&j->arena);
	}
}

static void judge_all(struct judge *j, const char *format, const char *answer)
{
	tool_start(&j->tool, rust_path(), "convert", format, answer, j->subject->name, NULL);
	myelon_arena_init(&j->arena, NULL, 0, ROOM);
	judge_some(j, true);
	judge_some(j, false);
	tool_end(&j->tool);
	myelon_arena_free(&j->arena);
	myelon_codec_close(j->codec);
	myelon_codec_close(j->answer);
}

static void report(const struct verdicts *v)
{
	cr_assert_gt(v->both, 100);
	cr_assert_gt(v->none, 100);
	cr_assert_eq(v->ours, 0, "taken by us alone: %s", v->example);
	row_ok("%u taken; refused: %u by both, %u by us alone", v->both, v->none, v->theirs);
}

static void judge_bincode(const char *format, uint32_t encoding)
{
	struct verdicts sum = {0};

	for (size_t s = 0; s < 3; s++) {
		const struct myelon_bincode_opts opts = MYELON_BINCODE_OPTS(.encoding = encoding);
		struct judge j = {.subject = &subjects[s], .verdicts = sum};

		cr_assert_eq(myelon_codec_bincode(&j.codec, subjects[s].type, &opts), 0);
		cr_assert_eq(myelon_codec_bincode(&j.answer, subjects[s].type, NULL), 0);
		judge_all(&j, format, "bincode");
		sum = j.verdicts;
	}
	report(&sum);
}

Test(interop_rust_bad, mangled_bincode_fixed)
{
	row_begin("bincode_fixed_bad", "bincode, fixed", "mangled", RUST_BINCODE);
	judge_bincode("bincode", MYELON_BINCODE_FIXED);
}

Test(interop_rust_bad, mangled_bincode_varint)
{
	row_begin("bincode_varint_bad", "bincode, varint", "mangled", RUST_BINCODE);
	judge_bincode("varint", MYELON_BINCODE_VARINT);
}

Test(interop_rust_bad, mangled_archives)
{
	struct verdicts sum = {0};

	row_begin("rkyv_bad", "rkyv", "mangled", RUST_RKYV);
	for (size_t s = 0; s < 3; s++) {
		struct judge j = {.subject = &subjects[s], .verdicts = sum};

		cr_assert_eq(myelon_codec_rkyv(&j.codec, subjects[s].type, NULL), 0);
		cr_assert_eq(myelon_codec_bincode(&j.answer, subjects[s].type, NULL), 0);
		judge_all(&j, "rkyv", "bincode");
		sum = j.verdicts;
	}
	report(&sum);
}
