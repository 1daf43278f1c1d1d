/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "data_help.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "kit.h"
#include "sys/sys.h"

struct mye_place place;
struct mye_data data;
struct mye_segment seg;

void prepare(void)
{
	int dir = mye_open_dir(kit_shm_dir());

	snprintf(place.dir, sizeof(place.dir), "%s", kit_shm_dir());
	strcpy(place.file, "myelon.t");
	strcpy(place.name, "t");
	data = (struct mye_data){.slot_size = 64,
	                         .window = 1024,
	                         .numa = {.node = -1},
	                         .mode = 0600,
	                         .fd = -1,
	                         .place = &place};
	cr_assert_eq(mye_nonce_make(dir, data.nonce), 0);
	mye_close(dir);
}

void prepare_attach(void)
{
	struct mye_header *h = &seg.header;

	seg.place = place;
	seg.dir_fd = mye_open_dir(place.dir);
	seg.control_fd = mye_create_excl(seg.dir_fd, "control", 0600);
	cr_assert_geq(seg.control_fd, 0);
	mye_unlink_at(seg.dir_fd, "control");
	h->backing = data.backing_got;
	h->slot_size = data.slot_size;
	h->slots = data.slots;
	h->data_bytes = data.bytes;
	h->data_page = data.data_page;
	h->data_dev = data.dev;
	h->data_ino = data.ino;
	memcpy(h->nonce, data.nonce, sizeof(h->nonce));
}
