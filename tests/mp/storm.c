/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * storm COMBINATION: producers and consumers under load are killed at random moments, stopped, evicted
 * and started again, and every message is checked. MYELON_TEST_SCALE multiplies the 30 kills, 400 makes
 * 12,000 of each combination; MYELON_TEST_SEED repeats a run as far as the scheduler allows.
 *
 * Each actor writes down what it is about to do and what it has done, in memory that outlives it, so its
 * successor and the referee know what must come next:
 *   - a consumer goes on at its cursor + 1; what comes again was not released; nothing is missing;
 *   - after an eviction or an absence exactly what it is told to have lost is missing;
 *   - sequence, epoch and message ids of a producer go on; a slot has the epoch of who published it;
 *   - of each message all consumers say the same: whole, or cut off, once;
 *   - everybody moves again after each calm; no file, descriptor or page is left at the end.
 */
#include "storm.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#ifdef MYE_TEST_POINTS
#include "sys/points.h"
#endif

#define KILLS 30
#define KILLS_OF_ROUND 60
#define PAGES 8 /* of 2 MiB; a ring takes two, and one that is replaced is there as well */

static const struct storm_case cases[] = {
#define OFF .huge = MYELON_HUGE_OFF
#define HUGE .backing = MYELON_BACKING_HUGETLB, .huge = MYELON_HUGE_REQUIRE
	{.name = "raw-hugetlb", HUGE},
	{.name = "raw-shm", .backing = MYELON_BACKING_SHM, OFF},
	{.name = "raw-thp", .backing = MYELON_BACKING_SHM_THP},
	{.name = "raw-file", .backing = MYELON_BACKING_FILE, OFF},
	{.name = "raw-memfd", .backing = MYELON_BACKING_MEMFD, OFF},
	{.name = "frame-hugetlb", HUGE, .framed = true},
	{.name = "frame-shm", .backing = MYELON_BACKING_SHM, OFF, .framed = true},
	{.name = "frame-thp", .backing = MYELON_BACKING_SHM_THP, .framed = true},
	{.name = "frame-file", .backing = MYELON_BACKING_FILE, OFF, .framed = true},
	{.name = "frame-memfd", .backing = MYELON_BACKING_MEMFD, OFF, .framed = true},
	{.name = "raw-managed", .backing = MYELON_BACKING_SHM, OFF, .managed = true},
	{.name = "frame-managed",
         .backing = MYELON_BACKING_SHM,
         OFF,
         .managed = true,
         .framed = true},
	{.name = "raw-lease", .backing = MYELON_BACKING_SHM, OFF, .lease = true},
	{.name = "frame-lease", .backing = MYELON_BACKING_SHM, OFF, .lease = true, .framed = true},
	{.name = "raw-fence", .backing = MYELON_BACKING_SHM, OFF, .fence = MYELON_FENCE_FULL},
#ifdef MYE_TEST_POINTS
	{.name = "raw-points", .backing = MYELON_BACKING_SHM, OFF, .points = true},
	{.name = "frame-points",
         .backing = MYELON_BACKING_SHM,
         OFF,
         .points = true,
         .framed = true},
	{.name = "managed-points",
         .backing = MYELON_BACKING_SHM,
         OFF,
         .points = true,
         .managed = true,
         .lease = true},
#endif
};

#define CASES (sizeof(cases) / sizeof(cases[0]))

uint64_t storm_next(uint64_t *random)
{
	uint64_t x = *random += 0x9e3779b97f4a7c15u;

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

uint32_t storm_below(uint64_t *random, uint32_t n)
{
	return (uint32_t)(storm_next(random) >> 32) % n;
}

bool storm_one_in(uint64_t *random, uint32_t n)
{
	return storm_below(random, n) == 0;
}

void storm_rest_us(uint64_t us)
{
	const struct timespec t = {.tv_sec = (time_t)(us / 1000000),
	                           .tv_nsec = (long)(us % 1000000) * 1000};

	nanosleep(&t, NULL);
}

const char *storm_id(unsigned int who)
{
	static const char *const ids[ACTORS] = {"producer", "w1",     "w2",     "w3",
	                                        "w4",       "leaver", "steady", "observer"};

	return ids[who];
}

int storm_bad(struct storm_log *log, const char *fmt, ...)
{
	char text[sizeof(log->result.text)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	kit_violation(&log->result, "%s", text);
	fprintf(stderr, "%s\n", text);
	return 1;
}

/* Half of the incarnations end themselves, between two stores that others can see. */
void storm_arm_points(struct me *m)
{
#ifdef MYE_TEST_POINTS
	static const uint32_t most[] = {20, 60, 200, 1000, 20000};

	if (m->s->how->points && m->who != STEADY && storm_one_in(&m->random, 2))
		mye_points_kill_in(1 + storm_below(&m->random, most[storm_below(&m->random, 5)]));
#else
	(void)m;
#endif
}

/* ---- the rounds ---- */

static void geometry(struct storm *s)
{
	static const uint32_t windows[] = {1, 2, 8, 16, 64, 250, 1024};
	static const uint32_t slots[] = {16, 64, 64, 192, 4096};
	const struct storm_case *how = s->how;

	s->window = windows[storm_below(&s->random, 7)];
	s->slot_size = slots[storm_below(&s->random, 5)];
	if (how->framed) {
		s->slot_size = storm_one_in(&s->random, 3) ? 16u : 64u;
		s->window = s->window < 8 ? 4u << storm_below(&s->random, 2) : s->window;
	}
	s->buffer_until = storm_one_in(&s->random, 2) ? OBSERVER - FIRST_CONSUMER : 0;
	s->ending = (enum ending)storm_below(&s->random, ENDINGS);
	/* A plain file is not collected, and what a memfd was made for is gone with it. */
	if (how->backing == MYELON_BACKING_FILE && s->ending == END_GC)
		s->ending = END_REPLACED;
}

static bool begin(struct storm *s)
{
	static unsigned int files;
	char name[KIT_NAME];
	size_t bytes = sizeof(*s->page);

	s->page = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
	               MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	kit_ring_name(name, "storm");
	if (s->how->backing == MYELON_BACKING_FILE)
		snprintf(s->name, sizeof(s->name), "%s/storm-%u", kit_tmp_dir(), files++);
	else
		snprintf(s->name, sizeof(s->name), "%s", name);
	return s->page != MAP_FAILED;
}

int storm_files(const struct storm *s)
{
	int n = kit_dir_entries(kit_shm_dir());

	if (s->how->backing == MYELON_BACKING_HUGETLB)
		n += kit_dir_entries(kit_hugetlb_dir());
	return n;
}

static uint64_t sum(const struct storm *s, size_t offset)
{
	uint64_t n = 0;

	for (unsigned int i = 0; i < ACTORS; i++)
		n += *(const _Atomic uint64_t *)(const void *)((const char *)&s->page->log[i] +
		                                               offset);
	return n;
}

static void summary(const struct storm *s)
{
#define SUM(field) sum(s, offsetof(struct storm_log, field))
	uint64_t consumers = s->kills - s->kills_of[PRODUCER] - s->kills_of[OBSERVER];

	printf("%s: %" PRIu64 " kills (%" PRIu64 " producers, %" PRIu64 " consumers, %" PRIu64
	       " observers; %" PRIu64 " by themselves), %" PRIu64 " pauses, %" PRIu64
	       " massacres, %" PRIu64 " evictions of dead, %" PRIu64
	       " of living, %u rings, %" PRIu64 " takeovers, %" PRIu64
	       " messages verified, %" PRIu64 " repeated, %" PRIu64 " cut off, %" PRIu64
	       " begun before, %" PRIu64 " lost by eviction or absence, %" PRIu64
	       " deaths seen, %" PRIu64 " stale, %" PRIu64 " alerts\n",
	       s->how->name, s->kills, s->kills_of[PRODUCER], consumers, s->kills_of[OBSERVER],
	       s->point_kills, s->pauses, s->massacres, s->evictions, s->forced, s->round,
	       s->page->takeovers, SUM(verified), SUM(repeats), SUM(cuts), SUM(strays), SUM(lost),
	       SUM(deaths), SUM(stale), SUM(alerts));
}

static int run(struct storm *s, uint64_t kills)
{
	int fds = kit_open_fds(), rc = 0, left;

	while (rc == 0 && s->kills < kills) {
		uint64_t more = kills - s->kills;

		geometry(s);
		rc = storm_round(s, more < KILLS_OF_ROUND ? (uint32_t)more : KILLS_OF_ROUND);
		s->round++;
	}
	myelon_ring_remove(s->name, NULL);
	myelon_gc(NULL, NULL, NULL);
	summary(s);
	left = storm_files(s);
	if (left != 0 || kit_open_fds() != fds) {
		printf("FAIL: %s: %d files are left, %d descriptors are open, %d were\n",
		       s->how->name, left, kit_open_fds(), fds);
		rc = 1;
	}
	if (rc)
		printf("FAIL: %s: seed %" PRIu64 ", round %u\n", s->how->name, s->seed, s->round);
	return rc;
}

static int one_pool(void *ctx, const struct myelon_hugepage_pool *pool)
{
	if (pool->node == -1 && pool->page_size == 2u << 20)
		*(uint64_t *)ctx = pool->free;
	return 0;
}

static uint64_t pages_free(void)
{
	uint64_t n = 0;

	myelon_hugepage_pools(one_pool, &n);
	return n;
}

/* With huge pages of our own, which must all be free again. */
static int run_huge(struct storm *s, uint64_t kills)
{
	uint64_t before;
	int rc;

	if (!kit_hugetlb_dir())
		return kit_skip_plain("hugepages", "no hugetlbfs directory was given to the tests");
	if (!kit_hugepages_reserve(PAGES))
		return kit_skip_plain("hugepages", "eight 2 MiB pages cannot be reserved");
	before = pages_free();
	rc = run(s, kills);
	if (rc == 0 && pages_free() != before) {
		printf("FAIL: %s: %" PRIu64 " huge pages are free, %" PRIu64 " were\n",
		       s->how->name, pages_free(), before);
		rc = 1;
	}
	kit_hugepages_restore();
	return rc;
}

static uint64_t number(const char *variable, uint64_t otherwise)
{
	const char *text = getenv(variable);

	return text ? strtoull(text, NULL, 0) : otherwise;
}

static uint64_t kills_wanted(void)
{
	const char *text = getenv("MYELON_TEST_SCALE");
	double n = KILLS * (text ? strtod(text, NULL) : 1);

	return n < 5 ? 5 : (uint64_t)n;
}

int main(int argc, char **argv)
{
	static struct storm s = {.data_fd = -1};

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (size_t i = 0; argc > 1 && i < CASES; i++)
		if (strcmp(argv[1], cases[i].name) == 0)
			s.how = &cases[i];
	if (!s.how) {
		printf("usage: storm COMBINATION, one of:");
		for (size_t i = 0; i < CASES; i++)
			printf(" %s", cases[i].name);
		printf("\n");
		return 2;
	}
	s.seed = number("MYELON_TEST_SEED", (uint64_t)kit_now_ns());
	s.random = s.seed;
	printf("%s: MYELON_TEST_SEED=%" PRIu64 "\n", s.how->name, s.seed);
	if (!begin(&s))
		return 1;
	return s.how->backing == MYELON_BACKING_HUGETLB ? run_huge(&s, kills_wanted())
	                                                : run(&s, kills_wanted());
}
