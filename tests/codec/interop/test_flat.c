/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* FlatBuffers messages through flatc, as JSON and back, and through the C++ library. */
#include <criterion/criterion.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <myelon/myelon.h>

#include "plain.h"
#include "tool.h"
#include "zoo.h"

#define OBJECTS 150u
#define ROOM (64u << 20)
#define FLATC "flatc"
#define CPP "C++, flatbuffers"

static struct myelon_arena arena;

static void init(void)
{
	myelon_arena_init(&arena, NULL, 0, ROOM);
}

static void fini(void)
{
	myelon_arena_free(&arena);
}

TestSuite(interop_flat, .init = init, .fini = fini);

static struct myelon_codec *codec_of(const struct subject *s)
{
	struct myelon_codec *c;

	cr_assert_eq(myelon_codec_flatbuffers(&c, s->type, NULL), 0, "%s", myelon_last_error());
	return c;
}

/* A folder of the test's own. */
static char *folder(char path[PATH_MAX], const struct subject *s, const char *name)
{
	snprintf(path, PATH_MAX, "%s/%s_%s", kit_tmp_dir(), s->name, name);
	cr_assert(mkdir(path, 0755) == 0, "%s: %s", path, strerror(errno));
	return path;
}

static void write_file(const char *dir, uint64_t i, const struct bytes *b)
{
	char path[PATH_MAX];
	FILE *f;

	cr_assert_lt(snprintf(path, sizeof(path), "%s/%lu.bin", dir, (unsigned long)i),
	             (int)sizeof(path));
	f = fopen(path, "wb");
	cr_assert(f && fwrite(b->data, 1, b->len, f) == b->len && fclose(f) == 0);
}

static struct bytes read_file(const char *dir, uint64_t i)
{
	struct bytes b = {aligned_alloc(16, 1 << 20), 0};
	char path[PATH_MAX];
	FILE *f;

	cr_assert_lt(snprintf(path, sizeof(path), "%s/%lu.bin", dir, (unsigned long)i),
	             (int)sizeof(path));
	f = fopen(path, "rb");
	cr_assert(f, "%s: %s", path, strerror(errno));
	b.len = fread(b.data, 1, 1 << 20, f);
	cr_assert(b.len > 0 && b.len < 1 << 20 && fclose(f) == 0);
	return b;
}

/* flatc over all files of a folder, by the shell, which knows their names. */
static void flatc(const char *how, const struct subject *s, const char *from, const char *suffix,
                  const char *to)
{
	const char *source = getenv("MYELON_SOURCE_DIR");
	char command[4 * PATH_MAX];
	struct kit_actor a;

	snprintf(command, sizeof(command),
	         "%s %s -o '%s' '%s/tests/codec/interop/%s.fbs' %s '%s'/*.%s", INTEROP_FLATC, how,
	         to, source, s->name, strcmp(suffix, "bin") == 0 ? "--" : "", from, suffix);
	cr_assert_eq(kit_spawn(&a, "/bin/sh", "-c", command, NULL), 0);
	cr_assert_eq(kit_wait(&a, 120), 0, "%s: %s", command, a.output);
}

static void fill(const struct subject *s, union object *object, uint64_t i)
{
	subject_fill(s, object, i, &arena);
	plain_floats(s->type, object);
}

static void through_json(const struct subject *s)
{
	char binary[PATH_MAX], json[PATH_MAX], again[PATH_MAX];
	struct myelon_codec *c = codec_of(s);
	union object object, got;
	struct bytes b;

	folder(binary, s, "binary");
	for (uint64_t i = 0; i < OBJECTS; i++) {
		fill(s, &object, i);
		b = bytes_encode(c, &object);
		write_file(binary, i, &b);
		free(b.data);
		myelon_arena_reset(&arena);
	}
	flatc("--json --raw-binary", s, binary, "bin", folder(json, s, "json"));
	flatc("--binary", s, json, "json", folder(again, s, "again"));
	for (uint64_t i = 0; i < OBJECTS; i++) {
		fill(s, &object, i);
		b = read_file(again, i);
		cr_assert_eq(myelon_codec_decode(c, b.data, b.len, &got, &arena), 0, "%s %lu: %s",
		             s->name, (unsigned long)i, myelon_last_error());
		cr_assert(object_equal(s->type, &got, &object), "%s %lu", s->name,
		          (unsigned long)i);
		free(b.data);
		myelon_arena_reset(&arena);
	}
	myelon_codec_close(c);
}

Test(interop_flat, messages_are_the_same_objects_after_flatc_made_json_of_them_and_back)
{
	row_begin("flat_json", "FlatBuffers", "C -> JSON -> C", FLATC);
	if (!INTEROP_FLATC[0])
		row_skip("flatc", "install flatbuffers-compiler and configure again");
	for (size_t s = 0; s < 2; s++)
		through_json(&subjects[s]);
	row_ok("%u objects", 2 * OBJECTS);
}

static void start_cpp(struct tool *t, const struct subject *s)
{
	tool_start(t,
	           tool_path("interop_flat_cpp", INTEROP_FLAT_CPP, "flatbuffers",
	                     "flatbuffers-compiler libflatbuffers-dev g++"),
	           s->name, NULL);
}

/* What the tool wrote is the same object, but for what C++ does not keep. */
static void expect_object(struct myelon_codec *c, const struct subject *s, const struct tool *t,
                          union object *object, uint64_t i)
{
	unsigned char *copy = aligned_alloc(16, (t->len + 16ul) & ~15ul);
	union object got;

	memcpy(copy, t->answer, t->len);
	cr_assert_eq(myelon_codec_decode(c, copy, t->len, &got, &arena), 0, "%s %lu: %s", s->name,
	             (unsigned long)i, myelon_last_error());
	plain_absent(s->type, &got);
	plain_absent(s->type, object);
	cr_assert(object_equal(s->type, &got, object), "%s %lu is another object", s->name,
	          (unsigned long)i);
	free(copy);
}

Test(interop_flat, messages_are_verified_by_cpp_and_come_back_as_the_same_objects)
{
	row_begin("flat_cpp", "FlatBuffers", "C -> C++ -> C", CPP);
	for (size_t s = 0; s < 2; s++) {
		struct myelon_codec *c = codec_of(&subjects[s]);
		union object object;
		struct tool t;

		start_cpp(&t, &subjects[s]);
		for (uint64_t i = 0; i < OBJECTS; i++) {
			struct bytes b;

			subject_fill(&subjects[s], &object, i, &arena);
			b = bytes_encode(c, &object);
			cr_assert(tool_ask(&t, b.data, b.len), "%s %lu: %s", subjects[s].name,
			          (unsigned long)i, t.answer);
			expect_object(c, &subjects[s], &t, &object, i);
			free(b.data);
			myelon_arena_reset(&arena);
		}
		tool_end(&t);
		myelon_codec_close(c);
	}
	row_ok("%u objects", 2 * OBJECTS);
}

static void judge_one(struct myelon_codec *c, const struct subject *s, struct tool *t,
                      struct verdicts *v, const struct bytes *b, uint64_t i)
{
	bool theirs = tool_ask(t, b->data, b->len);
	struct myelon_inside in;
	union object object;
	bool ours = myelon_codec_access(c, b->data, b->len, &in) == 0;

	cr_assert_eq(myelon_codec_decode(c, b->data, b->len, &object, &arena) == 0, ours,
	             "%s %lu: verified and decoded are not the same", s->name, (unsigned long)i);
	verdict_add(v, ours, theirs, t->answer);
	if (ours && theirs)
		expect_object(c, s, t, &object, i);
}

/* One object in all ways, or others at random. */
static void judge(const struct subject *s, bool one, struct verdicts *v)
{
	struct myelon_codec *c = codec_of(s);
	union object object;
	bool more = true;
	struct tool t;

	start_cpp(&t, s);
	for (uint64_t i = 0; more; i++) {
		struct bytes b;

		subject_fill(s, &object, one ? SUBJECT_SMALL : i, &arena);
		b = bytes_encode(c, &object);
		more = bytes_spoil(&b, one, i);
		judge_one(c, s, &t, v, &b, i);
		free(b.data);
		myelon_arena_reset(&arena);
	}
	tool_end(&t);
	myelon_codec_close(c);
}

/* The verifier of C++ looks at less: not at text, lengths of arrays, unknown variants. */
Test(interop_flat, mangled_messages_that_cpp_refuses_are_refused_and_others_are_the_same_objects)
{
	struct verdicts v = {0};

	row_begin("flat_bad", "FlatBuffers", "mangled", CPP);
	for (size_t s = 0; s < 2; s++) {
		judge(&subjects[s], true, &v);
		judge(&subjects[s], false, &v);
	}
	cr_assert_gt(v.both, 100);
	cr_assert_gt(v.none, 100);
	cr_assert_eq(v.ours, 0, "taken by us alone: %s", v.example);
	row_ok("%u taken; refused: %u by both, %u by us alone", v.both, v.none, v.theirs);
}
