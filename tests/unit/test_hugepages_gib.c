/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* A ring on one page of 1 GiB, where the kernel can find one at run time. */
#include <errno.h>

#include <myelon/myelon.h>

#include "hugepages_kit.h"
#include "mount_kit.h"

static void one_page(char *dir, size_t cap)
{
	uint64_t got;
	int rc;

	pool_keep(GIB);
	rc = myelon_hugepage_reserve(GIB, -1, 1, &got);
	if (rc == -ENOSPC)
		kit_skip("1GiB pages", myelon_last_error());
	cr_assert_eq(rc, 0, "%s", myelon_last_error());
	cr_assert_geq(got, 1);
	mount_private(dir, cap, "giant", "hugetlbfs", "pagesize=1G");
}

Test(gib_page, carries_a_ring_that_asks_for_it_and_is_free_again_after)
{
	struct myelon_ring_info info = MYELON_RING_INFO_INIT;
	struct myelon_producer *p;
	struct myelon_consumer *c;
	struct myelon_ring_opts o;
	struct myelon_span s;
	struct myelon_view v;
	char dir[512], name[KIT_NAME];
	int64_t spare;

	one_page(dir, sizeof(dir));
	spare = pool_spare(GIB);
	o = MYELON_RING_OPTS(.slot_size = 64, .window = 1024, .page_size = GIB,
	                     .huge = MYELON_HUGE_REQUIRE, .hugetlb_dir = dir);
	kit_ring_name(name, "gib");
	cr_assert_eq(myelon_producer_create(&p, name, &o), 0, "%s", myelon_last_error());
	cr_assert_eq(myelon_ring_describe(name, &MYELON_DIR_OPTS(.hugetlb_dir = dir), &info), 0,
	             "%s", myelon_last_error());
	cr_assert_eq(info.page_size, GIB);
	cr_assert_eq(info.data_bytes, GIB);
	cr_assert_eq(info.backing, MYELON_BACKING_HUGETLB);
	cr_assert_eq(pool_spare(GIB), spare - 1);

	cr_assert_eq(myelon_consumer_attach(&c, name, &MYELON_ATTACH_OPTS(.hugetlb_dir = dir)), 0,
	             "%s", myelon_last_error());
	cr_assert_eq(myelon_claim(p, 1, MYELON_TRY, &s), 0);
	kit_fill(s.base, 64, 1, 2);
	cr_assert_eq(myelon_publish(p, 1), 0);
	cr_assert_eq(myelon_peek(c, 1, MYELON_TRY, &v), 1);
	cr_assert_eq(kit_check(v.base, 64, 1, 2), -1);
	cr_assert_eq(myelon_release(c, 1), 0);
	myelon_consumer_close(c);
	myelon_producer_close(p);
	cr_assert_eq(pool_spare(GIB), spare);
}

Test(gib_page, that_is_missing_is_named_with_its_command)
{
	struct myelon_producer *p;
	struct myelon_ring_opts o;
	char dir[512];

	pool_keep(GIB);
	mount_private(dir, sizeof(dir), "giant", "hugetlbfs", "pagesize=1G");
	if (pool_spare(GIB) > 0)
		kit_skip("1GiB pages", "there are some");
	o = MYELON_RING_OPTS(.slot_size = 64, .window = 1024, .page_size = GIB,
	                     .huge = MYELON_HUGE_REQUIRE, .hugetlb_dir = dir);
	cr_assert_eq(myelon_producer_create(&p, "gib", &o), -ENOSPC);
	cr_assert_not_null(strstr(myelon_last_error(), "1 GiB pool has 0 free pages, 1 is missing"),
	                   "%s", myelon_last_error());
	cr_assert_not_null(strstr(myelon_last_error(), "reserve --size 1G --pages 1,"), "%s",
	                   myelon_last_error());
}
