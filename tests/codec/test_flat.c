/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The FlatBuffers codec: what flatc wrote is read, what is written is read again, and what cannot be is refused. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <myelon/myelon.h>

#include "flat_golden.h"
#include "flat_zoo.h"
#include "object.h"
#include "zoo.h"

#define ROOM (1u << 20)

static struct myelon_codec *codec_of(const struct myelon_type *type,
                                     const struct myelon_flatbuffers_opts *opts)
{
	struct myelon_codec *c;

	cr_assert_eq(myelon_codec_flatbuffers(&c, type, opts), 0, "%s", myelon_last_error());
	return c;
}

static void expect_text(struct myelon_text t, const char *want)
{
	cr_assert_eq(t.len, strlen(want));
	cr_assert_eq(memcmp(t.data, want, t.len), 0);
}

Test(flat, a_batch_that_flatc_wrote_is_decoded)
{
	struct myelon_codec *c = codec_of(&batch_type, NULL);
	const struct request *r;
	const uint32_t *tokens;
	const struct myelon_text *stop;
	struct myelon_arena a;
	struct batch b;

	myelon_arena_init(&a, NULL, 0, ROOM);
	cr_assert_eq(myelon_codec_decode(c, golden_batch, sizeof(golden_batch), &b, &a), 0, "%s",
	             myelon_last_error());
	cr_assert_eq(b.step, 7);
	cr_assert_eq(b.requests.count, 2);
	r = b.requests.data;
	cr_assert_eq(r[0].id, 1);
	cr_assert_eq(r[0].tokens.count, 3);
	tokens = r[0].tokens.data;
	cr_assert(tokens[0] == 10 && tokens[1] == 20 && tokens[2] == 30);
	cr_assert(r[0].sampling.temperature == 0.5f && r[0].sampling.top_p == 0.0f);
	cr_assert_eq(r[0].sampling.top_k, 40);
	cr_assert(r[0].sampling.seed.present && r[0].sampling.seed.value == 0);
	cr_assert_eq(r[0].sampling.stop.count, 2);
	stop = r[0].sampling.stop.data;
	expect_text(stop[0], "a");
	expect_text(stop[1], "bc");
	cr_assert_eq(r[0].logits.count, 1);
	cr_assert(*(const float *)r[0].logits.data == 1.5f);
	cr_assert_eq(r[1].id, 0);
	cr_assert_eq(r[1].tokens.count, 0);
	cr_assert_eq(r[1].logits.count, 0);
	cr_assert_not(r[1].sampling.seed.present);
	myelon_arena_free(&a);
	myelon_codec_close(c);
}

static void expect_lists(const struct zoo *z)
{
	const struct point *p = z->points.data;
	const struct shape *s = z->shapes.data;
	const struct pair *pair = z->map.data;
	const struct node *child = z->tree.children.data;

	cr_assert(z->points.count == 1 && p->x == 1 && p->y == -2 && p->weight == 0.5f);
	cr_assert(z->shapes.count == 2 && s[0].tag == SHAPE_CIRCLE && s[0].of.circle == 1.5);
	cr_assert_eq(s[1].tag, SHAPE_EMPTY);
	cr_assert(z->map.count == 1 && pair->value == -5);
	expect_text(pair->key, "k");
	cr_assert(z->tree.value == 1 && z->tree.children.count == 1 && child->value == 2);
	cr_assert(z->tree.next.present && z->tree.next.value->value == 3);
	cr_assert_not(z->tree.next.value->next.present);
}

Test(flat, a_zoo_that_flatc_wrote_is_decoded)
{
	struct myelon_codec *c = codec_of(&zoo_type, NULL);
	struct myelon_arena a;
	struct zoo z;

	myelon_arena_init(&a, NULL, 0, ROOM);
	cr_assert_eq(myelon_codec_decode(c, golden_zoo, sizeof(golden_zoo), &z, &a), 0, "%s",
	             myelon_last_error());
	cr_assert(z.flag && z.small == 200 && z.medium == 0 && z.minus == -1);
	cr_assert(z.exact == 0.25 && z.letter == 9731);
	expect_text(z.name, "zoo");
	cr_assert(z.raw.count == 2 && memcmp(z.raw.data, "\1\2", 2) == 0);
	cr_assert_eq(z.counts.count, 0);
	cr_assert(z.limit.present && z.limit.value == 5);
	cr_assert_not(z.note.present);
	cr_assert(z.triple[0] == 7 && z.triple[1] == 8 && z.triple[2] == 9);
	cr_assert(z.origin.x == 3 && z.origin.y == 4 && z.origin.weight == 2.0f);
	cr_assert(z.shape.tag == SHAPE_NAMED && z.shape.of.named.sides == 6);
	expect_text(z.shape.of.named.name, "cube");
	expect_lists(&z);
	myelon_arena_free(&a);
	myelon_codec_close(c);
}

Test(flat, what_flatc_wrote_is_read_in_place)
{
	_Alignas(16) unsigned char message[sizeof(golden_batch)];
	struct myelon_codec *c = codec_of(&batch_type, NULL);
	struct myelon_flat_table batch, r, sampling;
	struct myelon_flat_vector requests, stop;
	struct myelon_inside in;

	memcpy(message, golden_batch, sizeof(message));
	cr_assert_eq(myelon_codec_access(c, message, sizeof(message), &in), 0, "%s",
	             myelon_last_error());
	batch = myelon_flat_root(in.data, in.len);
	cr_assert_eq(in.root, batch.data + batch.at);
	cr_assert_eq(myelon_flat_get_u64(&batch, 0, 0), 7);
	requests = myelon_flat_get_vector(&batch, 1, 4, 4);
	cr_assert_eq(requests.count, 2);
	r = myelon_flat_table_of(&requests, 0);
	sampling = myelon_flat_get_table(&r, 2);
	cr_assert(myelon_flat_get_f32(&sampling, 0, 9) == 0.5f);
	cr_assert(myelon_flat_get_f32(&sampling, 1, 9) == 9.0f, "absent");
	cr_assert(myelon_flat_has(&sampling, 3) && !myelon_flat_has(&sampling, 1));
	stop = myelon_flat_get_vector(&sampling, 4, 4, 4);
	expect_text(myelon_flat_text_of(&stop, 1), "bc");
	cr_assert_eq(myelon_flat_text_of(&stop, 2).data, NULL);
	r = myelon_flat_table_of(&requests, 2);
	cr_assert_not(myelon_flat_is_table(&r));
	myelon_codec_close(c);
}

static void round_trip(const struct myelon_codec *c, const void *object, unsigned char *buf,
                       struct myelon_arena *a)
{
	void *again = calloc(1, c->object_size), *small;
	struct myelon_inside in;
	int64_t bound = myelon_codec_bound(c, object), len;

	cr_assert_geq(bound, 0, "%s", myelon_last_error());
	len = myelon_codec_encode(c, object, buf, (size_t)bound);
	cr_assert(len > 0 && len <= bound, "%s", myelon_last_error());
	cr_assert_eq(myelon_codec_access(c, buf, (size_t)len, &in), 0, "%s", myelon_last_error());
	cr_assert_eq(myelon_codec_decode(c, buf, (size_t)len, again, a), 0, "%s",
	             myelon_last_error());
	cr_assert(object_equal(c->type, object, again));
	small = aligned_alloc(16, ((size_t)len + 15) & ~(size_t)15);
	memset(small, 0x55, (size_t)len);
	cr_assert_eq(myelon_codec_encode(c, object, small, (size_t)len - 1), -EMSGSIZE);
	cr_assert_eq(((unsigned char *)small)[len - 1], 0x55);
	free(small);
	free(again);
}

static void round_trips(const struct myelon_type *type, int times,
                        const struct myelon_flatbuffers_opts *opts)
{
	struct myelon_codec *c = codec_of(type, opts);
	unsigned char *buf = aligned_alloc(16, ROOM);
	void *object = calloc(1, type->size);
	struct myelon_arena a;

	myelon_arena_init(&a, NULL, 0, 64 << 20);
	for (int i = 0; i < times; i++) {
		struct object_rng r = {.state = (uint64_t)i, .most = 4, .depth = 4};

		object_fill(type, object, &r, &a);
		round_trip(c, object, buf, &a);
		myelon_arena_reset(&a);
	}
	myelon_arena_free(&a);
	free(object);
	free(buf);
	myelon_codec_close(c);
}

Test(flat, random_objects_come_back_equal)
{
	round_trips(&zoo_type, 500, NULL);
	round_trips(&batch_type, 500, NULL);
	round_trips(&batch_type, 200,
	            &MYELON_FLATBUFFERS_OPTS(.flags = MYELON_FLATBUFFERS_PRESETS));
	round_trips(&zoo_node, 200, &MYELON_FLATBUFFERS_OPTS(.identifier = "NODE"));
	/* No tables: in one. */
	round_trips(&zoo_point, 20, NULL);
	round_trips(&zoo_shape, 50, NULL);
	round_trips(&myelon_string, 20, NULL);
}

/* What FlatBuffers has no form for, and what it has two forms for. */
struct inner {
	bool on;
	uint64_t big;
	uint32_t letter;
	uint32_t colour;
};
struct fixed {
	uint8_t byte;
	struct inner inner[2];
	int16_t shorts[3];
};
struct maybe_maybe {
	bool present;
	struct maybe_u64 value;
};
struct maybe_shape {
	bool present;
	struct shape value;
};
struct maybe_fixed {
	bool present;
	struct fixed value;
};
struct maybe_colour {
	bool present;
	uint32_t value;
};
struct mark {
	uint32_t tag;
};
struct odd {
	struct myelon_vector rows;    /* of vectors of u16 */
	struct myelon_vector limits;  /* of options of u64 */
	struct myelon_vector fixed;   /* of struct fixed */
	struct myelon_vector boxes;   /* of boxes of points */
	struct myelon_vector colours; /* of enums */
	struct myelon_vector letters; /* of chars */
	struct maybe_maybe twice;
	struct maybe_shape shape;
	struct maybe_fixed one;
	struct maybe_colour colour;
	uint32_t loud;
	struct mark mark;
	uint64_t *boxed;
	struct shape shapes[2];
	bool flags[3];
	int32_t level;
};

static const struct myelon_field colours[] = {
	{"red", NULL, 0, 7, 0}, {"green", NULL, 0, 300, 0}, {"blue", NULL, 0, 9, 0}};
static const struct myelon_type colour = {.name = "colour",
                                          .kind = MYELON_TYPE_ENUM,
                                          .size = 4,
                                          .align = 4,
                                          .count = 3,
                                          .fields = colours,
                                          .flags = MYELON_ENUM_U16};
static const struct myelon_field marks[] = {MYELON_UNIT("a"), MYELON_UNIT("b")};
static const struct myelon_type mark = MYELON_ENUM(struct mark, marks);
static const struct myelon_field inner_fields[] = {
	MYELON_FIELD(struct inner, on, &myelon_bool),
	MYELON_FIELD(struct inner, big, &myelon_u64),
	MYELON_FIELD(struct inner, letter, &myelon_char),
	MYELON_FIELD(struct inner, colour, &colour),
};
static const struct myelon_type inner = MYELON_FIXED_STRUCT(struct inner, inner_fields);
static const struct myelon_type inners = MYELON_ARRAY_OF(&inner, struct inner, 2);
static const struct myelon_type shorts = MYELON_ARRAY_OF(&myelon_i16, int16_t, 3);
static const struct myelon_field fixed_fields[] = {
	MYELON_FIELD(struct fixed, byte, &myelon_u8),
	MYELON_FIELD(struct fixed, inner, &inners),
	MYELON_FIELD(struct fixed, shorts, &shorts),
};
static const struct myelon_type fixed = MYELON_FIXED_STRUCT(struct fixed, fixed_fields);

static const struct myelon_type row = MYELON_VECTOR_OF(&myelon_u16);
static const struct myelon_type rows = MYELON_VECTOR_OF(&row);
static const struct myelon_type maybe = MYELON_OPTION_OF(&myelon_u64, struct maybe_u64);
static const struct myelon_type limits = MYELON_VECTOR_OF(&maybe);
static const struct myelon_type fixeds = MYELON_VECTOR_OF(&fixed);
static const struct myelon_type box = MYELON_BOX_OF(&zoo_point);
static const struct myelon_type boxes = MYELON_VECTOR_OF(&box);
static const struct myelon_type colour_list = MYELON_VECTOR_OF(&colour);
static const struct myelon_type letters = MYELON_VECTOR_OF(&myelon_char);
static const struct myelon_type twice = MYELON_OPTION_OF(&maybe, struct maybe_maybe);
static const struct myelon_type maybe_shape = MYELON_OPTION_OF(&zoo_shape, struct maybe_shape);
static const struct myelon_type maybe_fixed = MYELON_OPTION_OF(&fixed, struct maybe_fixed);
static const struct myelon_type maybe_colour = MYELON_OPTION_OF(&colour, struct maybe_colour);
static const struct myelon_type boxed = MYELON_BOX_OF(&myelon_u64);
static const struct myelon_type two_shapes = MYELON_ARRAY_OF(&zoo_shape, struct shape, 2);
static const struct myelon_type flags = MYELON_ARRAY_OF(&myelon_bool, bool, 3);
static const struct myelon_field odd_fields[] = {
	MYELON_FIELD_ID(struct odd, rows, &rows, 20, 0),
	MYELON_FIELD_ID(struct odd, limits, &limits, 19, 0),
	MYELON_FIELD_ID(struct odd, fixed, &fixeds, 18, 0),
	MYELON_FIELD_ID(struct odd, boxes, &boxes, 0, 0),
	MYELON_FIELD_ID(struct odd, colours, &colour_list, 1, 0),
	MYELON_FIELD_ID(struct odd, letters, &letters, 2, 0),
	MYELON_FIELD_ID(struct odd, twice, &twice, 3, 0),
	MYELON_FIELD_ID(struct odd, shape, &maybe_shape, 4, 0),
	MYELON_FIELD_ID(struct odd, one, &maybe_fixed, 5, 0),
	MYELON_FIELD_ID(struct odd, colour, &maybe_colour, 6, 0),
	MYELON_FIELD_ID(struct odd, loud, &colour, 7, 2),
	MYELON_FIELD_ID(struct odd, mark, &mark, 8, 0),
	MYELON_FIELD_ID(struct odd, boxed, &boxed, 10, 0),
	MYELON_FIELD_ID(struct odd, shapes, &two_shapes, 11, 0),
	MYELON_FIELD_ID(struct odd, flags, &flags, 12, 0),
	MYELON_FIELD_ID(struct odd, level, &myelon_i32, 13, (uint64_t)-5),
};
static const struct myelon_type odd_type = MYELON_STRUCT(struct odd, odd_fields);

Test(flat, what_flatbuffers_has_no_form_for_comes_back_too)
{
	round_trips(&odd_type, 500, NULL);
	round_trips(&odd_type, 100, &MYELON_FLATBUFFERS_OPTS(.flags = MYELON_FLATBUFFERS_PRESETS));
}

Test(flat, scalars_at_their_preset_are_left_out_and_options_are_not)
{
	struct myelon_codec *c = codec_of(&odd_type, NULL);
	_Alignas(16) unsigned char buf[1024];
	uint64_t zero = 0;
	struct odd o = {.boxed = &zero, .loud = 2, .level = -5, .colour = {.present = true}}, got;
	struct myelon_flat_table t;
	struct myelon_arena a;
	int64_t len = myelon_codec_encode(c, &o, buf, sizeof(buf));

	cr_assert_gt(len, 0, "%s", myelon_last_error());
	t = myelon_flat_root(buf, (size_t)len);
	cr_assert_not(myelon_flat_has(&t, 7));
	cr_assert_not(myelon_flat_has(&t, 10));
	cr_assert_not(myelon_flat_has(&t, 13));
	cr_assert_eq(myelon_flat_get_u16(&t, 6, 0), 7, "red");
	myelon_arena_init(&a, NULL, 0, ROOM);
	cr_assert_eq(myelon_codec_decode(c, buf, (size_t)len, &got, &a), 0, "%s",
	             myelon_last_error());
	cr_assert(got.loud == 2 && got.level == -5 && *got.boxed == 0 && got.colour.present);
	o.loud = 1;
	len = myelon_codec_encode(c, &o, buf, sizeof(buf));
	t = myelon_flat_root(buf, (size_t)len);
	cr_assert_eq(myelon_flat_get_u16(&t, 7, 0), 300, "green");
	myelon_arena_free(&a);
	myelon_codec_close(c);
}

Test(flat, members_of_a_fixed_struct_are_in_the_order_of_the_table)
{
	struct two {
		uint32_t second, first;
	} two = {2, 1};
	static const struct myelon_field fields[] = {
		MYELON_FIELD(struct two, first, &myelon_u32),
		MYELON_FIELD(struct two, second, &myelon_u32),
	};
	static const struct myelon_type type = MYELON_FIXED_STRUCT(struct two, fields);
	struct myelon_codec *c = codec_of(&type, NULL);
	_Alignas(16) unsigned char buf[64];
	int64_t len = myelon_codec_encode(c, &two, buf, sizeof(buf));
	struct myelon_flat_table t = myelon_flat_root(buf, (size_t)len);
	const uint32_t *got = myelon_flat_get_struct(&t, 0, 8, 4);

	cr_assert_not_null(got);
	cr_assert(got[0] == 1 && got[1] == 2);
	myelon_codec_close(c);
}

Test(flat, equal_vtables_are_shared)
{
	struct myelon_codec *c = codec_of(&batch_type, NULL);
	static struct request requests[100];
	struct batch b = {.step = 1, .requests = {requests, 100}};
	_Alignas(16) static unsigned char buf[1 << 16];
	int64_t len = myelon_codec_encode(c, &b, buf, sizeof(buf));

	/* Two tables, a reference and three empty vectors each; vtables would add 26 to each. */
	cr_assert_leq(len, 100 * 44 + 100, "%lld", (long long)len);
	cr_assert_lt(myelon_codec_bound(c, &b), 100 * 200);
	myelon_codec_close(c);
}

static void refused(const struct myelon_type *type, const char *what)
{
	struct myelon_codec *c;

	cr_assert_eq(myelon_codec_flatbuffers(&c, type, NULL), -EINVAL);
	cr_assert_eq(c, NULL);
	cr_assert(strstr(myelon_last_error(), what), "%s", myelon_last_error());
}

struct bad {
	unsigned __int128 huge;
	struct myelon_text text;
	struct node node;
	struct shape shape;
};

Test(flat, types_that_cannot_be_are_refused_with_the_field)
{
	static const struct myelon_type array = MYELON_ARRAY_OF(&shorts, int16_t[3], 2);
	static const struct myelon_field huge[] = {MYELON_FIELD(struct bad, huge, &myelon_u128)};
	static const struct myelon_field text[] = {MYELON_FIELD(struct bad, text, &myelon_string)};
	static const struct myelon_field node[] = {MYELON_FIELD(struct bad, node, &zoo_node)};
	static const struct myelon_field arrays[] = {MYELON_FIELD(struct bad, huge, &array)};
	static const struct myelon_field type_0[] = {
		MYELON_FIELD_ID(struct bad, text, &myelon_string, 1, 0),
		MYELON_FIELD_ID(struct bad, shape, &zoo_shape, 0, 0)};
	static const struct myelon_field same[] = {
		MYELON_FIELD_ID(struct bad, text, &myelon_string, 1, 0),
		MYELON_FIELD_ID(struct bad, shape, &zoo_shape, 2, 0)};
	static const struct myelon_field twin[] = {
		MYELON_FIELD_ID(struct bad, text, &myelon_string, 3, 0),
		MYELON_FIELD_ID(struct bad, node, &zoo_node, 3, 0)};
	static const struct myelon_field preset[] = {
		MYELON_FIELD_ID(struct bad, text, &myelon_string, 0, 5)};
	const struct myelon_type types[] = {
		MYELON_STRUCT(struct bad, huge),       MYELON_FIXED_STRUCT(struct bad, text),
		MYELON_FIXED_STRUCT(struct bad, node), MYELON_FIXED_STRUCT(struct bad, arrays),
		MYELON_STRUCT(struct bad, type_0),     MYELON_STRUCT(struct bad, same),
		MYELON_STRUCT(struct bad, twin),       MYELON_STRUCT(struct bad, preset),
	};
	static const char *const words[] = {"128 bits",         "field text",  "field node",
	                                    "arrays of arrays", "field shape", "field shape",
	                                    "field node",       "only scalars"};
	struct myelon_type self = MYELON_BOX_OF(&self);

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		refused(&types[i], words[i]);
	refused(&self, "box");
	refused(NULL, "NULL");
}

Test(flat, bad_options_are_refused)
{
	struct myelon_codec *c;

	cr_assert_eq(myelon_codec_flatbuffers(NULL, &zoo_type, NULL), -EINVAL);
	cr_assert_eq(myelon_codec_flatbuffers(&c, &zoo_type, &MYELON_FLATBUFFERS_OPTS(.flags = 64)),
	             -EINVAL);
	cr_assert_eq(myelon_codec_flatbuffers(&c, &zoo_type,
	                                      &MYELON_FLATBUFFERS_OPTS(.identifier = "TOOLONG")),
	             -EINVAL);
	cr_assert_eq(
		myelon_codec_flatbuffers(&c, &zoo_type, &MYELON_FLATBUFFERS_OPTS(.depth = 999)),
		-EINVAL);
}

static void cannot_encode(const struct myelon_codec *c, const void *object, const char *what)
{
	static _Alignas(16) unsigned char buf[4096];

	cr_assert_eq(myelon_codec_encode(c, object, buf, sizeof(buf)), -EINVAL);
	cr_assert(strstr(myelon_last_error(), what), "%s", myelon_last_error());
}

Test(flat, objects_that_cannot_be_encoded_are_refused_with_the_place)
{
	struct myelon_codec *z = codec_of(&zoo_type, NULL), *n = codec_of(&zoo_node, NULL);
	struct myelon_text names[2] = {{"a", 1}, {"\xff", 1}};
	struct zoo zoo = {.letter = 0xd800};
	struct node loop = {.value = 1};

	cannot_encode(z, &zoo, "zoo.letter: 0xd800 is no Unicode character");
	zoo.letter = 0;
	zoo.names = (struct myelon_vector){names, 2};
	cannot_encode(z, &zoo, "zoo.names[1]: byte 0 of the string is not UTF-8");
	zoo.names.count = 1;
	zoo.shape.tag = 3;
	cannot_encode(z, &zoo, "zoo.shape: ");
	zoo.shape.tag = 0;
	zoo.tree.next.present = true;
	cannot_encode(z, &zoo, "zoo.tree.next: the box is NULL");
	cr_assert_eq(myelon_codec_bound(z, &zoo), -EINVAL);
	loop.next.present = true;
	loop.next.value = &loop;
	cannot_encode(n, &loop, "deeper than the limit, 64");
	cr_assert_eq(myelon_codec_bound(n, &loop), -EINVAL);
	myelon_codec_close(z);
	myelon_codec_close(n);
}

Test(flat, codecs_of_other_types_and_identifiers_have_other_schemas)
{
	struct myelon_codec *a = codec_of(&zoo_type, NULL), *b = codec_of(&batch_type, NULL),
			    *c = codec_of(&zoo_type,
	                                  &MYELON_FLATBUFFERS_OPTS(.identifier = "ZOO1")),
			    *d = codec_of(&zoo_type, NULL);

	cr_assert(a->schema != b->schema && a->schema != c->schema && a->schema == d->schema);
	myelon_codec_close(a);
	myelon_codec_close(b);
	myelon_codec_close(c);
	myelon_codec_close(d);
}
