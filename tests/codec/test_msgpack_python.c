/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* msgpack: python3-msgpack reads what is written here, and what it packs again is read here as the same. */
#include "kit.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <myelon/error.h>
#include <myelon/msgpack.h>

#include "interop/row.h"
#include "object.h"
#include "zoo.h"

#define MESSAGES 200
#define FORMS 4u
#define MOST (1u << 20)

/*
 * Messages in files, each behind its length. Maps are lists of pairs, because keys may be there twice. Floats
 * become floats of 64 bits, as Python has no others. With "shuffle" the pairs of a message that is a map are packed
 * in another order, with a stranger among them.
 */
static const char program[] =
	"import msgpack, random, struct, sys\n"
	"class Pairs(list): pass\n"
	"def pack(x):\n"
	"    p = msgpack.Packer()\n"
	"    if isinstance(x, Pairs):\n"
	"        return p.pack_map_header(len(x)) + b''.join(pack(k) + pack(v) for k, v in x)\n"
	"    if isinstance(x, list):\n"
	"        return p.pack_array_header(len(x)) + b''.join(pack(v) for v in x)\n"
	"    return p.pack(x)\n"
	"random.seed(1)\n"
	"data = open(sys.argv[1], 'rb').read()\n"
	"out = open(sys.argv[2], 'wb')\n"
	"at = 0\n"
	"while at < len(data):\n"
	"    n, = struct.unpack_from('<I', data, at)\n"
	"    x = msgpack.unpackb(data[at + 4:at + 4 + n], raw=False, strict_map_key=False,\n"
	"                        object_pairs_hook=Pairs)\n"
	"    at += 4 + n\n"
	"    if sys.argv[3] == 'shuffle' and isinstance(x, Pairs):\n"
	"        x.append(('stranger', [1, Pairs([(b'a', None)]), msgpack.ExtType(5, b'abc')]))\n"
	"        random.shuffle(x)\n"
	"    b = pack(x)\n"
	"    out.write(struct.pack('<I', len(b)) + b)\n";

static int run(const char *python, const char *code, const char *in, const char *out,
               const char *how)
{
	struct kit_actor a;

	if (kit_spawn(&a, python, "-c", code, in, out, how, NULL) < 0)
		return -1;
	return kit_wait(&a, 60);
}

/* Some machines have another Python first in the path, without the distribution's modules. */
static const char *find_python(void)
{
	static const char python[] = "/usr/bin/python3";

	if (run(python, "import msgpack", "", "", "") != 0)
		row_skip("python3-msgpack", "/usr/bin/python3 with the module msgpack is needed");
	return python;
}

static unsigned char bytes[MOST];

static void write_messages(struct myelon_codec *c, const char *path)
{
	struct object_rng r = {.state = 3, .depth = 3, .most = 5};
	unsigned char object[1024] __attribute__((aligned(16)));
	struct myelon_arena a;
	FILE *f = fopen(path, "wb");

	cr_assert(f);
	myelon_arena_init(&a, NULL, 0, 16 << 20);
	for (int i = 0; i < MESSAGES; i++) {
		int64_t n;
		uint32_t len;

		object_fill(c->type, object, &r, &a);
		n = myelon_codec_encode(c, object, bytes, sizeof(bytes));
		cr_assert_gt(n, 0, "%s", myelon_last_error());
		len = (uint32_t)n;
		cr_assert_eq(fwrite(&len, sizeof(len), 1, f), 1);
		cr_assert_eq(fwrite(bytes, len, 1, f), 1);
		myelon_arena_reset(&a);
	}
	cr_assert_eq(fclose(f), 0);
	myelon_arena_free(&a);
}

static void read_messages(struct myelon_codec *c, const char *path)
{
	struct object_rng r = {.state = 3, .depth = 3, .most = 5};
	unsigned char sent[1024] __attribute__((aligned(16)));
	unsigned char got[1024] __attribute__((aligned(16)));
	struct myelon_arena a;
	FILE *f = fopen(path, "rb");
	uint32_t len;

	cr_assert(f);
	myelon_arena_init(&a, NULL, 0, 16 << 20);
	for (int i = 0; i < MESSAGES; i++) {
		object_fill(c->type, sent, &r, &a);
		cr_assert_eq(fread(&len, sizeof(len), 1, f), 1);
		cr_assert(len <= sizeof(bytes) && fread(bytes, len, 1, f) == 1);
		cr_assert_eq(myelon_codec_decode(c, bytes, len, got, &a), 0, "%d: %s", i,
		             myelon_last_error());
		cr_assert(object_equal(c->type, sent, got));
		myelon_arena_reset(&a);
	}
	cr_assert_eq(fread(&len, 1, 1, f), 0);
	fclose(f);
	myelon_arena_free(&a);
}

static void there_and_back(const char *row, const char *direction, const struct myelon_type *type,
                           const char *how)
{
	char in[4096], out[4096];
	const char *python;

	row_begin(row, "msgpack", direction, "Python, msgpack");
	python = find_python();
	snprintf(in, sizeof(in), "%s/sent", kit_tmp_dir());
	snprintf(out, sizeof(out), "%s/again", kit_tmp_dir());
	for (uint32_t flags = 0; flags < FORMS; flags++) {
		struct myelon_codec *c;

		cr_assert_eq(myelon_codec_msgpack(&c, type, &MYELON_MSGPACK_OPTS(.flags = flags)),
		             0);
		write_messages(c, in);
		cr_assert_eq(run(python, program, in, out, how), 0);
		read_messages(c, out);
		myelon_codec_close(c);
	}
	remove(in);
	remove(out);
	row_ok("%u objects", FORMS * MESSAGES);
}

Test(msgpack_python, objects_of_every_kind_come_back, .timeout = 240)
{
	there_and_back("msgpack_zoo", "C -> Python -> C", &zoo_type, "same");
}

Test(msgpack_python, fields_come_back_in_any_order, .timeout = 240)
{
	there_and_back("msgpack_shuffled", "C -> Python -> C, shuffled", &zoo_type, "shuffle");
}

Test(msgpack_python, batches_come_back, .timeout = 240)
{
	there_and_back("msgpack_batch", "C -> Python -> C, batches", &batch_type, "same");
}
