/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The test kit itself: a kit that reports success wrongly would hide everything else. */
#include "kit.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <myelon/version.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

Test(library, reports_the_version_it_was_built_as)
{
	cr_assert_str_eq(myelon_version(), MYELON_VERSION);
}

Test(kit, actor_meets_the_test_and_reports_through_page_output_and_exit_code)
{
	struct kit_page *page = kit_page_create();
	struct kit_actor a;
	unsigned char buf[100];

	cr_assert_not_null(page);
	cr_assert_eq(kit_spawn(&a, "kit_actor", "meet", NULL), 0);
	cr_assert(kit_barrier(page, 0, 2, 10));
	cr_assert_eq(kit_wait(&a, 10), 5);
	cr_assert_str_eq(a.output, "said something\n");
	kit_fill(buf, sizeof(buf), 1, 2);
	cr_assert_eq(page->result[0].hash, kit_hash(0, buf, sizeof(buf)));
	cr_assert_eq(page->result[0].count, 1);
	cr_assert_eq(page->result[0].violations, 2);
	cr_assert_str_eq(page->result[0].text, "first 1");
	kit_page_destroy(page);
}

Test(kit, killed_actor_reports_the_signal)
{
	struct kit_page *page = kit_page_create();
	struct kit_actor a;

	cr_assert_eq(kit_spawn(&a, "kit_actor", "hang", NULL), 0);
	cr_assert(kit_await(page, 3, 7, 10));
	cr_assert(kit_running(&a));
	cr_assert_eq(kit_kill(&a, SIGKILL), 0);
	cr_assert_eq(kit_wait(&a, 10), -SIGKILL);
	cr_assert_not(kit_running(&a));
	kit_page_destroy(page);
}

Test(kit, watchdog_ends_an_actor_that_hangs)
{
	struct kit_page *page = kit_page_create();
	struct kit_actor a;

	cr_assert_eq(kit_spawn(&a, "kit_actor", "hang", NULL), 0);
	cr_assert(kit_await(page, 3, 7, 10));
	cr_assert_eq(kit_wait(&a, 0.05), -ETIME);
	kit_page_destroy(page);
}

Test(kit, missing_program_is_exit_code_127)
{
	struct kit_actor a;

	cr_assert_eq(kit_spawn(&a, "no_such_actor", NULL), 0);
	cr_assert_eq(kit_wait(&a, 10), 127);
	cr_assert_not_null(strstr(a.output, "no_such_actor"));
}

static int return_the_number(void *arg)
{
	return *(int *)arg;
}

Test(kit, forked_child_exits_with_what_its_function_returns)
{
	struct kit_actor a;
	int number = 9;
	int before = kit_open_fds();

	cr_assert_eq(kit_fork(&a, return_the_number, &number), 0);
	cr_assert_eq(kit_wait(&a, 10), 9);
	cr_assert_eq(kit_open_fds(), before);
}

Test(kit, barrier_and_await_give_up_when_nobody_comes)
{
	struct kit_page *page = kit_page_create();

	cr_assert_not(kit_barrier(page, 0, 2, 0.05));
	cr_assert_not(kit_await(page, 0, 1, 0.05));
	kit_page_destroy(page);
}

Test(kit, payload_check_finds_every_single_wrong_byte)
{
	unsigned char buf[77];

	for (size_t i = 0; i < sizeof(buf); i++) {
		kit_fill(buf, sizeof(buf), 5, i);
		cr_assert_eq(kit_check(buf, sizeof(buf), 5, i), -1);
		cr_assert_neq(kit_check(buf, sizeof(buf), 5, i + 1), -1);
		cr_assert_neq(kit_check(buf, sizeof(buf), 6, i), -1);
		buf[i] ^= 1;
		cr_assert_eq(kit_check(buf, sizeof(buf), 5, i), (ssize_t)i);
	}
}

Test(kit, shorter_payload_is_the_start_of_a_longer_one)
{
	unsigned char a[40], b[13];

	kit_fill(a, sizeof(a), 1, 1);
	kit_fill(b, sizeof(b), 1, 1);
	cr_assert_eq(memcmp(a, b, sizeof(b)), 0);
}

Test(kit, hash_depends_on_order_and_boundaries)
{
	uint64_t ab = kit_hash(kit_hash(0, "a", 1), "b", 1);

	cr_assert_neq(ab, kit_hash(kit_hash(0, "b", 1), "a", 1));
	cr_assert_neq(ab, kit_hash(0, "ab", 2));
	cr_assert_eq(ab, kit_hash(kit_hash(0, "a", 1), "b", 1));
}

Test(kit, ring_names_differ_and_fit)
{
	char a[KIT_NAME], b[KIT_NAME];

	kit_ring_name(a, "a_stem_that_is_longer_than_any_ring_name_may_be_in_the_end_of_it_all");
	kit_ring_name(b, "a_stem_that_is_longer_than_any_ring_name_may_be_in_the_end_of_it_all");
	cr_assert_str_neq(a, b);
	cr_assert_lt(strlen(a), KIT_NAME);
}

Test(kit, directory_and_descriptor_counts_follow_what_is_there)
{
	char path[4096];
	int files = kit_dir_entries(kit_tmp_dir());
	int fds = kit_open_fds();
	int fd;

	snprintf(path, sizeof(path), "%s/file", kit_tmp_dir());
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	cr_assert_geq(fd, 0);
	cr_assert_eq(kit_dir_entries(kit_tmp_dir()), files + 1);
	cr_assert_eq(kit_open_fds(), fds + 1);
	close(fd);
	cr_assert_eq(unlink(path), 0);
	cr_assert_eq(kit_dir_entries(kit_tmp_dir()), files);
	cr_assert_eq(kit_dir_entries("/nonexistent"), -ENOENT);
}

Test(kit, shm_directory_is_the_tests_own)
{
	cr_assert_not_null(strstr(kit_shm_dir(), "myelon-test."));
	cr_assert_eq(kit_dir_entries(kit_shm_dir()), 0);
}

Test(kit, reserved_huge_pages_are_free_until_restored)
{
	unsigned int available = 0;
	FILE *f;

	if (!kit_hugepages_reserve(2))
		kit_skip("hugepages", "no right to change the pool of 2 MiB pages, or no memory");
	f = fopen("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "re");
	cr_assert_not_null(f);
	cr_assert_eq(fscanf(f, "%u", &available), 1);
	fclose(f);
	cr_assert_geq(available, 2);
	kit_hugepages_restore();
}

Test(kit, require_list_names_what_must_be_there)
{
	setenv("MYELON_TEST_REQUIRE", "numa,hugepages", 1);
	cr_assert(kit_required("hugepages"));
	cr_assert(kit_required("numa"));
	cr_assert_not(kit_required("huge"));
	setenv("MYELON_TEST_REQUIRE", "all", 1);
	cr_assert(kit_required("huge"));
	unsetenv("MYELON_TEST_REQUIRE");
	cr_assert_not(kit_required("numa"));
}
