/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Control and data files that are not what they should be. */
#include "segment_help.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kit.h"

#define FIELD(name)                                                                                \
	{                                                                                          \
#name, offsetof(struct mye_header, name), sizeof(((struct mye_header *)0)->name)   \
	}

static const struct {
	const char *name;
	size_t offset, bytes;
} fields[] = {
	FIELD(magic),       FIELD(version),       FIELD(header_bytes),  FIELD(required),
	FIELD(optional),    FIELD(kind),          FIELD(page_unit),     FIELD(control_bytes),
	FIELD(slot_size),   FIELD(window),        FIELD(slots),         FIELD(data_bytes),
	FIELD(data_page),   FIELD(backing),       FIELD(max_consumers), FIELD(producers),
	FIELD(unattended),  FIELD(fence),         FIELD(flags),         FIELD(schema),
	FIELD(node_asked),  FIELD(node_obtained), FIELD(nonce),         FIELD(data_dev),
	FIELD(data_ino),    FIELD(boot_id),       FIELD(created_ns),    FIELD(creator_pid),
	FIELD(creator_uid), FIELD(reason),        FIELD(stagger),       FIELD(numa),
	FIELD(numa_strict), FIELD(control_node),  FIELD(nodes_asked),   FIELD(data_pages),
	FIELD(other_pages), FIELD(absent_pages),  FIELD(node_pages),    FIELD(reserved),
	FIELD(checksum),
};
#define FIELDS (sizeof(fields) / sizeof(fields[0]))

static char name[KIT_NAME];

/* A kept ring with nobody in it. */
static void setup(void)
{
	struct myelon_ring_opts o = help_opts();
	struct mye_segment seg;

	o.flags = MYELON_F_KEEP;
	cr_assert_eq(help_create(&seg, kit_ring_name(name, "header"), &o), 0, "%s",
	             myelon_last_error());
	help_close(&seg);
	cr_assert_eq(help_files(), 2);
}

static void teardown(void)
{
	struct myelon_dir_opts force = MYELON_DIR_OPTS(.flags = MYELON_F_FORCE);

	myelon_ring_remove(name, &force);
	myelon_gc(NULL, NULL, NULL);
}

TestSuite(header, .init = setup, .fini = teardown);

/* Attach in each role and describe; all must agree. */
static int try_all(void)
{
	struct myelon_ring_info info = MYELON_RING_INFO_INIT;
	struct mye_segment seg;
	int rc = myelon_ring_describe(name, NULL, &info);

	for (int role = MYE_ROLE_PRODUCER; role <= MYE_ROLE_OBSERVER; role++) {
		int got = help_attach(&seg, name, (enum mye_role)role);

		cr_assert_eq(got, rc, "role %d: %d, describe: %d: %s", role, got, rc,
		             myelon_last_error());
		if (got == 0)
			mye_segment_leave(&seg);
	}
	return rc;
}

Test(header, fields_cover_every_byte)
{
	size_t at = 0;

	for (size_t i = 0; i < FIELDS; i++) {
		cr_assert_eq(fields[i].offset, at, "before %s", fields[i].name);
		at += fields[i].bytes;
	}
	cr_assert_eq(at, sizeof(struct mye_header));
	cr_assert_eq(try_all(), 0, "%s", myelon_last_error());
}

Test(header, any_flipped_bit_is_refused_and_its_field_or_the_checksum_named)
{
	const char *path = help_path(name);
	int fds = kit_open_fds();
	struct mye_segment seg;

	for (size_t f = 0; f < FIELDS; f++) {
		unsigned int by_name = 0;

		for (size_t bit = 0; bit < fields[f].bytes * 8; bit++) {
			size_t at = fields[f].offset + bit / 8;
			unsigned char good, bad;

			cr_assert_eq(help_peek(path, at, &good, 1), 0);
			bad = (unsigned char)(good ^ 1u << bit % 8);
			cr_assert_eq(help_patch(path, at, &bad, 1), 0);
			cr_assert_eq(help_attach(&seg, name, MYE_ROLE_CONSUMER), -EPROTO,
			             "%s bit %zu", fields[f].name, bit);
			if (help_says(fields[f].name) ||
			    (fields[f].offset == 8 && help_says("layout version")))
				by_name++;
			else
				/* A value in range that does not go with another field is told
				 * at that one, or by the checksum. */
				cr_assert(help_says("header field"), "%s bit %zu: %s",
				          fields[f].name, bit, myelon_last_error());
			cr_assert_eq(help_patch(path, at, &good, 1), 0);
		}
		if (f == 0)
			cr_assert_eq(by_name, 64);
	}
	cr_assert_eq(kit_open_fds(), fds);
	cr_assert_eq(help_files(), 2, "nothing was removed");
	cr_assert_eq(try_all(), 0);
}

/* A forger who knows the checksum. */
static void forged(const char *field, size_t offset, const void *value, size_t n)
{
	const char *path = help_path(name);
	struct mye_header good, bad;

	cr_assert_eq(help_peek(path, 0, &good, sizeof(good)), 0);
	bad = good;
	memcpy((unsigned char *)&bad + offset, value, n);
	bad.checksum = mye_header_checksum(&bad);
	cr_assert_eq(help_patch(path, 0, &bad, sizeof(bad)), 0);
	cr_assert_eq(try_all(), -EPROTO, "%s", field);
	cr_assert(help_says(field), "%s is not in: %s", field, myelon_last_error());
	cr_assert_eq(help_patch(path, 0, &good, sizeof(good)), 0);
}

#define FORGED(field, ...)                                                                         \
	do {                                                                                       \
		__typeof__(((struct mye_header *)0)->field) value_ = __VA_ARGS__;                  \
		forged(#field, offsetof(struct mye_header, field), &value_, sizeof(value_));       \
	} while (0)

Test(header, forged_value_with_a_right_checksum_is_refused_by_field)
{
	FORGED(required, 1ull << 40);
	FORGED(kind, 0);
	FORGED(kind, 3);
	FORGED(page_unit, 0);
	FORGED(page_unit, 1u << 31);
	FORGED(page_unit, 4097);
	FORGED(control_bytes, UINT64_MAX);
	FORGED(control_bytes, 0);
	FORGED(slot_size, 0);
	FORGED(slot_size, 65);
	FORGED(window, 0);
	FORGED(window, UINT32_MAX);
	FORGED(slots, 0);
	FORGED(slots, 63);
	FORGED(slots, 32);
	FORGED(data_bytes, UINT64_MAX);
	FORGED(data_page, 0);
	FORGED(data_page, 1ull << 40);
	FORGED(backing, 0);
	FORGED(backing, MYELON_BACKING_MEMFD + 1);
	FORGED(backing, MYELON_BACKING_FILE);
	FORGED(max_consumers, 0);
	FORGED(max_consumers, UINT32_MAX);
	FORGED(producers, 2);
	FORGED(unattended, 2);
	FORGED(fence, 0);
	FORGED(flags, MYELON_F_EINTR);
	FORGED(stagger, 128);
	FORGED(stagger, 3072);
	FORGED(stagger, UINT32_MAX);
	FORGED(node_asked, -2);
	FORGED(node_obtained, INT32_MIN);
	FORGED(numa, 5);
	FORGED(numa_strict, 2);
	FORGED(control_node, -2);
	/* A product that wraps to what data_bytes says. */
	{
		uint64_t wrapping = 1ull << 58;

		forged("data_bytes", offsetof(struct mye_header, slots), &wrapping, 8);
	}
	{
		char text[160];

		memset(text, 'x', sizeof(text));
		forged("reason", offsetof(struct mye_header, reason), text, sizeof(text));
	}
}

Test(header, other_version_names_both_versions_and_what_to_do)
{
	uint32_t version = 7;

	forged("version 7", offsetof(struct mye_header, version), &version, sizeof(version));
	cr_assert(help_says("version 1"));
	cr_assert(help_says("create the ring again"));
}

Test(header, truncated_control_file_is_refused_at_every_length)
{
	static const off_t lengths[] = {0,    1,    8,    1023,  1024,  4095,
	                                4096, 8192, 8193, 12288, 12289, 16383};
	const char *path = help_path(name);
	struct stat st;

	cr_assert_eq(stat(path, &st), 0);
	for (size_t i = sizeof(lengths) / sizeof(lengths[0]); i-- > 0;) {
		if (lengths[i] >= st.st_size)
			continue;
		cr_assert_eq(truncate(path, lengths[i]), 0);
		cr_assert_eq(try_all(), -EPROTO, "%lld", (long long)lengths[i]);
		cr_assert(help_says("truncated"), "%s", myelon_last_error());
	}
}

Test(header, zeroed_control_file_is_refused)
{
	static const char zeros[sizeof(struct mye_header)];

	cr_assert_eq(help_patch(help_path(name), 0, zeros, sizeof(zeros)), 0);
	cr_assert_eq(try_all(), -EPROTO);
	cr_assert(help_says("magic"));
}

static int find_data(void *ctx, const struct myelon_ring_info *info)
{
	strcpy(ctx, info->data_path);
	return 0;
}

Test(header, missing_data_file_is_an_error_that_says_so)
{
	char data[256] = "";
	struct mye_segment seg;

	cr_assert_eq(myelon_ring_list(NULL, find_data, data), 0);
	cr_assert(help_exists(data));
	cr_assert_eq(unlink(data), 0);
	for (int role = MYE_ROLE_PRODUCER; role <= MYE_ROLE_OBSERVER; role++) {
		cr_assert_eq(help_attach(&seg, name, (enum mye_role)role), -EPROTO);
		cr_assert(help_says("data file"), "%s", myelon_last_error());
	}
}

Test(header, short_data_file_is_an_error_and_no_sigbus)
{
	char data[256] = "";
	struct mye_segment seg;

	cr_assert_eq(myelon_ring_list(NULL, find_data, data), 0);
	cr_assert_eq(truncate(data, 64), 0);
	for (int role = MYE_ROLE_PRODUCER; role <= MYE_ROLE_OBSERVER; role++)
		cr_assert_eq(help_attach(&seg, name, (enum mye_role)role), -EPROTO, "%s",
		             myelon_last_error());
}

Test(header, wrong_demands_name_both_numbers)
{
	struct mye_attach want = {.role = MYE_ROLE_CONSUMER, .slot_size = 128};
	struct mye_segment seg;

	cr_assert_eq(mye_segment_attach(&seg, name, &want), -EINVAL);
	cr_assert(help_says("64") && help_says("128"), "%s", myelon_last_error());
	want = (struct mye_attach){.role = MYE_ROLE_CONSUMER, .schema = 0xabc};
	cr_assert_eq(mye_segment_attach(&seg, name, &want), -EINVAL);
	cr_assert(help_says("0000000000000abc"), "%s", myelon_last_error());
	want = (struct mye_attach){.role = MYE_ROLE_CONSUMER, .kind = MYELON_KIND_FRAMED};
	cr_assert_eq(mye_segment_attach(&seg, name, &want), -EPROTO);
	cr_assert(help_says("framed"));
}

static int corrupt(void *ctx, const struct myelon_ring_info *info)
{
	cr_assert_eq(info->kind, 0);
	cr_assert(strstr(info->reason, "magic"), "%s", info->reason);
	++*(int *)ctx;
	return 0;
}

Test(header, damaged_ring_is_listed_with_the_reason_and_can_be_removed)
{
	static const char zeros[sizeof(struct mye_header)];
	int seen = 0;

	cr_assert_eq(help_patch(help_path(name), 0, zeros, sizeof(zeros)), 0);
	cr_assert_eq(myelon_ring_list(NULL, corrupt, &seen), 0);
	cr_assert_eq(seen, 1);
	cr_assert_eq(myelon_ring_remove(name, NULL), 0, "%s", myelon_last_error());
	cr_assert_eq(help_files(), 1, "its data cannot be known");
	cr_assert_eq(myelon_gc(NULL, NULL, NULL), 1, "but is an orphan now");
}
