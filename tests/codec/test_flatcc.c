/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Code with the signatures that flatcc generates is a codec as it is. */
#include "kit.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include <myelon/myelon.h>

#include "flat_golden.h"
#include "zoo.h"

/* As in flatcc/flatcc_builder.h and flatcc/flatcc_verifier.h. */
typedef struct flatcc_builder flatcc_builder_t;
struct flatcc_builder {
	const unsigned char *message;
	size_t size;
	bool own_emitter;
};

static size_t flatcc_builder_get_buffer_size(flatcc_builder_t *B)
{
	return B->size;
}

static void *flatcc_builder_copy_buffer(flatcc_builder_t *B, void *buffer, size_t size)
{
	return B->own_emitter || size < B->size ? NULL : memcpy(buffer, B->message, B->size);
}

static const char *flatcc_verify_error_string(int err)
{
	return err == 3 ? "buffer header too small" : "table header out of range or unaligned";
}

/* As in batch_verifier.h; what it does is done by the library's own codec. */
static struct myelon_codec *real;

static inline int Batch_verify_as_root(const void *buf, size_t bufsiz)
{
	struct myelon_inside in;

	if (bufsiz < 8)
		return 3;
	return myelon_codec_access(real, buf, bufsiz, &in) < 0 ? 12 : 0;
}

/* As in batch_reader.h. */
typedef const struct Batch_table *Batch_table_t;

static inline Batch_table_t Batch_as_root(const void *buf)
{
	uint32_t root;

	memcpy(&root, buf, sizeof(root));
	return (Batch_table_t)(const void *)((const char *)buf + root);
}

static struct myelon_flatcc_opts options(void)
{
	return MYELON_FLATCC_OPTS(.name = "Batch", .schema = 7, .verify = Batch_verify_as_root,
	                          .error = flatcc_verify_error_string,
	                          .bytes = flatcc_builder_get_buffer_size,
	                          .copy = flatcc_builder_copy_buffer);
}

static struct myelon_codec *codec;

static void begin(void)
{
	struct myelon_flatcc_opts o = options();

	cr_assert_eq(myelon_codec_flatbuffers(&real, &batch_type, NULL), 0);
	cr_assert_eq(myelon_codec_flatcc(&codec, &o), 0, "%s", myelon_last_error());
}

static void end(void)
{
	myelon_codec_close(codec);
	myelon_codec_close(real);
}

Test(flatcc, a_builder_is_sent_and_read_in_place_and_owned, .init = begin, .fini = end)
{
	flatcc_builder_t B = {golden_batch, sizeof(golden_batch), false};
	struct myelon_typed_producer *tp;
	struct myelon_typed_consumer *tc;
	struct myelon_vector bytes;
	struct myelon_inside in;
	struct myelon_arena a;
	char name[KIT_NAME];

	kit_ring_name(name, "flatcc");
	myelon_arena_init(&a, NULL, 0, 1 << 20);
	cr_assert_eq(myelon_typed_producer_create(
			     &tp, name, &MYELON_RING_OPTS(.huge = MYELON_HUGE_OFF), codec, 0),
	             0, "%s", myelon_last_error());
	cr_assert_eq(myelon_typed_consumer_attach(&tc, name, NULL, codec), 0);
	cr_assert_eq(myelon_typed_send(tp, &B, 1, MYELON_TRY), 0, "%s", myelon_last_error());
	cr_assert_eq(myelon_typed_peek(tc, MYELON_TRY, &in, NULL), 1, "%s", myelon_last_error());
	cr_assert_eq((const void *)Batch_as_root(in.data), in.root);
	cr_assert_eq(memcmp(in.data, golden_batch, sizeof(golden_batch)), 0);
	cr_assert_eq(myelon_typed_recv(tc, &bytes, &a, MYELON_TRY, NULL), 1);
	cr_assert_eq(bytes.count, sizeof(golden_batch));
	cr_assert_neq(bytes.data, in.data);
	cr_assert_eq((uintptr_t)bytes.data % 16, 0);
	cr_assert_eq(memcmp(bytes.data, golden_batch, sizeof(golden_batch)), 0);
	cr_assert_eq(
		myelon_frame_send(myelon_typed_producer_frames(tp), "broken", 6, 0, MYELON_TRY), 0);
	cr_assert_eq(myelon_typed_peek(tc, MYELON_TRY, &in, NULL), -EBADMSG);
	cr_assert(strstr(myelon_last_error(), "3, buffer header too small"), "%s",
	          myelon_last_error());
	cr_assert_eq(myelon_frame_send(myelon_typed_producer_frames(tp), "broken again", 12, 0,
	                               MYELON_TRY),
	             0);
	cr_assert_eq(myelon_typed_recv(tc, &bytes, &a, MYELON_TRY, NULL), -EBADMSG);
	myelon_arena_free(&a);
	myelon_typed_consumer_close(tc);
	myelon_typed_producer_close(tp);
}

Test(flatcc, what_cannot_be_sent_is_said, .init = begin, .fini = end)
{
	_Alignas(16) unsigned char buf[sizeof(golden_batch)];
	flatcc_builder_t B = {golden_batch, 0, false};

	cr_assert_eq(myelon_codec_bound(codec, &B), -EINVAL);
	cr_assert(strstr(myelon_last_error(), "must have been ended"), "%s", myelon_last_error());
	B.size = sizeof(golden_batch);
	cr_assert_eq(myelon_codec_bound(codec, &B), (int64_t)B.size);
	cr_assert_eq(myelon_codec_encode(codec, &B, buf, B.size - 1), -EMSGSIZE);
	cr_assert_eq(myelon_codec_encode(codec, &B, buf, B.size), (int64_t)B.size);
	B.own_emitter = true;
	cr_assert_eq(myelon_codec_encode(codec, &B, buf, B.size), -EINVAL);
}

Test(flatcc, names_and_schemas_keep_apart_and_options_are_checked, .init = begin, .fini = end)
{
	struct myelon_flatcc_opts o = options();
	struct myelon_codec *other;

	o.schema = 8;
	cr_assert_eq(myelon_codec_flatcc(&other, &o), 0);
	cr_assert_neq(other->schema, codec->schema);
	myelon_codec_close(other);
	o.verify = NULL;
	cr_assert_eq(myelon_codec_flatcc(&other, &o), -EINVAL);
	cr_assert_eq(myelon_codec_flatcc(&other, NULL), -EINVAL);
}
