/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The specification of the layout and its declaration are two texts about one thing: compare them. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "frame/format.h"
#include "segment/layout.h"

struct field {
	const char *prefix;
	const char *name;
	size_t offset;
	size_t bytes;
};

#define F(prefix, type, member)                                                                    \
	{                                                                                          \
		prefix, #member, offsetof(struct type, member), sizeof(((struct type *)0)->member) \
	}

static const struct field fields[] = {
	F("", mye_header, magic),
	F("", mye_header, version),
	F("", mye_header, header_bytes),
	F("", mye_header, required),
	F("", mye_header, optional),
	F("", mye_header, kind),
	F("", mye_header, page_unit),
	F("", mye_header, control_bytes),
	F("", mye_header, slot_size),
	F("", mye_header, window),
	F("", mye_header, slots),
	F("", mye_header, data_bytes),
	F("", mye_header, data_page),
	F("", mye_header, backing),
	F("", mye_header, max_consumers),
	F("", mye_header, producers),
	F("", mye_header, unattended),
	F("", mye_header, fence),
	F("", mye_header, flags),
	F("", mye_header, schema),
	F("", mye_header, node_asked),
	F("", mye_header, node_obtained),
	F("", mye_header, nonce),
	F("", mye_header, data_dev),
	F("", mye_header, data_ino),
	F("", mye_header, boot_id),
	F("", mye_header, created_ns),
	F("", mye_header, creator_pid),
	F("", mye_header, creator_uid),
	F("", mye_header, reason),
	F("", mye_header, stagger),
	F("", mye_header, numa),
	F("", mye_header, numa_strict),
	F("", mye_header, control_node),
	F("", mye_header, nodes_asked),
	F("", mye_header, data_pages),
	F("", mye_header, other_pages),
	F("", mye_header, absent_pages),
	F("", mye_header, node_pages),
	F("", mye_header, reserved),
	F("", mye_header, checksum),
	F("P+", mye_producer_page, hot.published),
	F("P+", mye_producer_page, hot.message_id),
	F("P+", mye_producer_page, hot.closed_epoch),
	F("P+", mye_producer_page, gate.ceiling),
	F("P+", mye_producer_page, space.space_target),
	F("P+", mye_producer_page, slow.epoch),
	F("P+", mye_producer_page, slow.state),
	F("P+", mye_producer_page, slow.wait),
	F("P+", mye_producer_page, slow.parked),
	F("P+", mye_producer_page, slow.fragment_open),
	F("P+", mye_producer_page, slow.fragmenting),
	F("P+", mye_producer_page, slow.hold_need),
	F("P+", mye_producer_page, slow.hold_max),
	F("P+", mye_producer_page, slow.hold_begin),
	F("P+", mye_producer_page, identity),
	F("P+", mye_producer_page, frame_marks),
	F("P+", mye_producer_page, report.since_ns),
	F("P+", mye_producer_page, report.blocked_ns),
	F("P+", mye_producer_page, report.blocked_need),
	F("P+", mye_producer_page, report.counters),
	F("S+", mye_shared_page, park.parked),
	F("S+", mye_shared_page, bell.doorbell),
	F("S+", mye_shared_page, bell.wake_ns),
	F("S+", mye_shared_page, join.generation),
	F("S+", mye_shared_page, join.joined),
	F("S+", mye_shared_page, space.bell),
	F("S+", mye_shared_page, space.peers),
	F("S+", mye_shared_page, space.wake_ns),
	F("S+", mye_shared_page, lease),
	F("S+", mye_shared_page, counters),
	F("E+", mye_entry, hot.cursor),
	F("E+", mye_entry, hot.evicted),
	F("E+", mye_entry, slow.state),
	F("E+", mye_entry, slow.resume_from),
	F("E+", mye_entry, slow.lost),
	F("E+", mye_entry, slow.wait),
	F("E+", mye_entry, slow.parked),
	F("E+", mye_entry, slow.automatic),
	F("E+", mye_entry, slow.armed),
	F("E+", mye_entry, slow.released_ns),
	F("E+", mye_entry, slow.engine),
	F("E+", mye_entry, slow.offer),
	F("E+", mye_entry, slow.wake_fd),
	F("E+", mye_entry, slow.reserved),
	F("E+", mye_entry, slow.adopted),
	F("E+", mye_entry, slow.attached_ns),
	F("E+", mye_entry, slow.counters),
	F("E+", mye_entry, about.id),
	F("E+", mye_entry, about.who),
	F("E+", mye_entry, chain),
	F("+", mye_identity, pid),
	F("+", mye_identity, tid),
	F("+", mye_identity, start_ticks),
	F("+", mye_identity, pidns),
	F("+", mye_identity, pidfd_ino),
	F("+", mye_identity, boot_id),
	F("+", mye_identity, cpu),
	F("+", mye_identity, uid),
};

static char *page(void)
{
	static char text[65536];
	FILE *f = fopen(MYELON_SOURCE_DIR "/docs/layout.md", "r");
	size_t n;

	cr_assert_not_null(f, "docs/layout.md is not readable");
	n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[n] = '\0';
	return text;
}

Test(layout, every_field_stands_in_the_specification_where_it_lies)
{
	const char *text = page();
	char row[128];

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		snprintf(row, sizeof(row), "\n| %s%zu | %zu | `%s` |", fields[i].prefix,
		         fields[i].offset, fields[i].bytes, fields[i].name);
		cr_expect_not_null(strstr(text, row), "no row %s in docs/layout.md", row + 1);
	}
}

Test(layout, the_specification_has_no_row_that_is_not_declared)
{
	size_t rows = 0;

	for (const char *at = page(); (at = strstr(at, "` |")) != NULL; at++)
		rows++;
	/* The frame header has its own table of six named fields. */
	cr_expect_eq(rows, sizeof(fields) / sizeof(fields[0]) + 6);
}

Test(layout, frame_header_is_as_specified)
{
	cr_expect_eq(sizeof(struct myelon_frame_header), 16);
	cr_expect_eq(offsetof(struct myelon_frame_header, length), 0);
	cr_expect_eq(offsetof(struct myelon_frame_header, id), 4);
	cr_expect_eq(offsetof(struct myelon_frame_header, kind), 8);
	cr_expect_eq(offsetof(struct myelon_frame_header, flags), 9);
	cr_expect_eq(offsetof(struct myelon_frame_header, reserved), 10);
	cr_expect_eq(offsetof(struct myelon_frame_header, index), 12);
}
