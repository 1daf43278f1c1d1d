/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * soak_wake COMBINATION: two processes race, again and again, one falling asleep while the other wakes
 * it. Each wake waits until the sleeper says that it is about to sleep, and then for a random time
 * around what that has been taking, so that it hits the moments between the sleeper's announcement, its
 * barrier, its last look and its sleep. A wake that is lost stops both until the sleeper's cap, which
 * finds a message and counts that.
 *
 * MYELON_TEST_SCALE multiplies the 20,000 races: 500 makes ten million.
 */
#include "soak_wake.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RACES 20000
#define STALLED_S 30
#define AIM_MIN_NS 50
#define AIM_MAX_NS 400000

static const struct combination combinations[] = {
	{.name = "park", .window = 64, .wait = MYELON_WAIT_PARK},
	{.name = "adaptive", .window = 64, .wait = MYELON_WAIT_ADAPTIVE},
	{.name = "sleep", .window = 64, .wait = MYELON_WAIT_SLEEP},
	{.name = "yield", .window = 64, .wait = MYELON_WAIT_YIELD, .awake = true},
	{.name = "room-park", .window = 1, .wait = MYELON_WAIT_PARK, .room = true},
	{.name = "room-adaptive", .window = 1, .wait = MYELON_WAIT_ADAPTIVE, .room = true},
	{.name = "room8-park", .window = 8, .wait = MYELON_WAIT_PARK, .room = true},
#define FD(engine_, ENGINE)                                                                        \
	{.name = engine_ "-poll", .window = 64, .how = HOW_POLL, .engine = (ENGINE)},              \
		{.name = engine_ "-level", .window = 64, .how = HOW_LEVEL, .engine = (ENGINE)},    \
	{                                                                                          \
		.name = engine_ "-edge", .window = 64, .how = HOW_EDGE, .engine = (ENGINE)         \
	}
	FD("uring", MYELON_ENGINE_URING),
	FD("direct", MYELON_ENGINE_DIRECT),
	FD("proxy", MYELON_ENGINE_PROXY),
#define SET .how = HOW_SET, .spin_ns = MYELON_NO_SPIN
	{.name = "set-uring", .window = 64, SET, .engine = MYELON_ENGINE_URING},
	{.name = "set-epoll", .window = 64, SET, .engine = MYELON_ENGINE_EPOLL},
	{.name = "set-spin", .window = 64, .how = HOW_SET},
	{.name = "room-set-uring", .window = 1, SET, .engine = MYELON_ENGINE_URING, .room = true},
	{.name = "room-set-epoll", .window = 1, SET, .engine = MYELON_ENGINE_EPOLL, .room = true},
};

#define COMBINATIONS (sizeof(combinations) / sizeof(combinations[0]))

static const char *const places[] = {"starts",         "claims",   "waits for its turn",
                                     "waits a little", "wakes",    "sleeps",
                                     "checks",         "has ended"};

void soak_at(struct kit_result *r, enum place place)
{
	atomic_store_explicit(&r->value[0], place, memory_order_relaxed);
}

int soak_fail(const char *what, int rc)
{
	printf("%s: %d: %s\n", what, rc, myelon_last_error());
	return 1;
}

/* Each on a CPU of its own, if there are two: the scheduler would put them on one, where nothing overlaps. */
void soak_pin(int which)
{
	cpu_set_t all, one;
	int cpu;

	CPU_ZERO(&one);
	if (sched_getaffinity(0, sizeof(all), &all) < 0 || CPU_COUNT(&all) < 2)
		return;
	for (cpu = 0; !CPU_ISSET(cpu, &all) || which-- > 0; cpu++)
		;
	CPU_SET(cpu, &one);
	sched_setaffinity(0, sizeof(one), &one);
}

/* ---- aiming ---- */

static uint32_t next_random(struct aim *a)
{
	a->random = a->random * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(a->random >> 33);
}

void aim_begin(struct aim *a, const struct soak *s)
{
	*a = (struct aim){.me = &s->page->result[WAKER],
	                  .sleeper = &s->page->result[SLEEPER],
	                  .random = 1,
	                  .ns = 1000,
	                  .fixed = s->how->awake};
}

/* Did it sleep the last time: then we were late, by the time we aim for. */
static void adjust(struct aim *a)
{
	uint64_t parks = atomic_load_explicit(&a->sleeper->value[1], memory_order_relaxed);

	if (a->fixed)
		return;
	a->ns += parks > a->parks ? -(a->ns / 64) - 1 : a->ns / 64 + 1;
	a->parks = parks;
	if (a->ns < AIM_MIN_NS)
		a->ns = AIM_MIN_NS;
	if (a->ns > AIM_MAX_NS)
		a->ns = AIM_MAX_NS;
}

/* Half to one and a half of it; one in eight far off, so that it finds it again. */
static int64_t delay_of(struct aim *a)
{
	uint32_t r = next_random(a);
	int64_t around = a->ns / 2 + (int64_t)(r % (uint32_t)(a->ns + 1));

	return next_random(a) % 8 ? around : (int64_t)(r % (uint32_t)(4 * a->ns + 1));
}

bool aim_wait(struct aim *a, uint64_t n)
{
	int64_t until;
	int spins = 0;

	soak_at(a->me, AT_TURN);
	/* Acquire: pairs with the release store in soak_ready(). */
	while (atomic_load_explicit(&a->sleeper->count, memory_order_acquire) < n) {
		if (++spins < 5000) {
			myelon_relax();
			continue;
		}
		if (a->sleeper->violations)
			return false;
		sched_yield();
	}
	adjust(a);
	soak_at(a->me, AT_DELAY);
	until = myelon_now() + delay_of(a);
	while (myelon_now() < until)
		;
	soak_at(a->me, AT_WAKE);
	return true;
}

void soak_ready(struct kit_result *r, uint64_t n, uint64_t parks)
{
	atomic_store_explicit(&r->value[1], parks, memory_order_relaxed);
	soak_at(r, AT_SLEEP);
	/* Release: pairs with the acquire load in aim_wait(). */
	atomic_store_explicit(&r->count, n, memory_order_release);
}

/* ---- the test ---- */

static int one_entry(void *ctx, const struct myelon_consumer_entry *e)
{
	(void)ctx;
	printf("  consumer %s: cursor %lld, lag %llu, wait %u, %s\n", e->id, (long long)e->cursor,
	       (unsigned long long)e->lag, e->wait, e->parked ? "asleep" : "awake");
	return 0;
}

static void print_state(const struct soak *s)
{
	struct myelon_ring_info info = MYELON_RING_INFO_INIT;
	const struct kit_result *r = s->page->result;

	for (int i = WAKER; i <= SLEEPER; i++)
		printf("  the %s is at %llu of %llu and %s\n", i == WAKER ? "waker" : "sleeper",
		       (unsigned long long)r[i].count, (unsigned long long)s->count,
		       places[r[i].value[0] % (sizeof(places) / sizeof(places[0]))]);
	if (myelon_ring_describe(s->name, NULL, &info) == 0)
		printf("  published %lld, minimum %lld, %u consumers\n", (long long)info.published,
		       (long long)info.minimum, info.consumers);
	myelon_ring_consumers(s->name, NULL, one_entry, NULL);
}

/* Watch over both until they end, or nothing moves any more. @return false: it stalled. */
static bool watch(const struct soak *s, struct kit_actor actors[2])
{
	const struct timespec rest = {.tv_nsec = 20000000};
	int64_t deadline = kit_deadline(STALLED_S);
	uint64_t last = 0;

	while (kit_running(&actors[0]) && kit_running(&actors[1])) {
		uint64_t moved = s->page->result[WAKER].count + s->page->result[SLEEPER].count;

		if (moved != last)
			deadline = kit_deadline(STALLED_S);
		last = moved;
		if (kit_now_ns() > deadline)
			return false;
		nanosleep(&rest, NULL);
	}
	return true;
}

static int judge(const struct soak *s, int first, int second)
{
	const struct kit_result *r = s->page->result;

	if (first == SKIPPED || second == SKIPPED)
		return kit_skip_plain("engine", s->how->name);
	for (int i = WAKER; i <= SLEEPER; i++)
		if (r[i].violations) {
			printf("FAIL: %s: %s\n", s->how->name, r[i].text);
			return 1;
		}
	if (first || second) {
		printf("FAIL: %s: the actors ended with %d and %d\n", s->how->name, first, second);
		print_state(s);
		return 1;
	}
	printf("%s: %llu races, %llu sleeps, aimed at %llu ns\n", s->how->name,
	       (unsigned long long)s->count, (unsigned long long)r[SLEEPER].value[1],
	       (unsigned long long)r[WAKER].value[2]);
	return 0;
}

static int run(struct soak *s)
{
	struct kit_actor actors[2];
	int rc[2], result;
	bool moved;

	if (kit_fork(&actors[0], soak_publisher, s) != 0 ||
	    kit_fork(&actors[1], soak_consumer, s) != 0)
		return 1;
	moved = watch(s, actors);
	if (!moved) {
		printf("FAIL: %s: nothing moves\n", s->how->name);
		print_state(s);
	}
	for (int i = 0; i < 2; i++) {
		if (!moved)
			kit_kill(&actors[i], SIGKILL);
		rc[i] = kit_wait(&actors[i], 10);
	}
	result = moved ? judge(s, rc[0], rc[1]) : 1;
	myelon_gc(NULL, NULL, NULL);
	return result;
}

static uint64_t races(void)
{
	const char *text = getenv("MYELON_TEST_SCALE");
	double n = RACES * (text ? strtod(text, NULL) : 1);

	return n < 100 ? 100 : (uint64_t)n;
}

int main(int argc, char **argv)
{
	struct soak s = {.count = races()};
	int rc;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (size_t i = 0; argc > 1 && i < COMBINATIONS; i++)
		if (strcmp(argv[1], combinations[i].name) == 0)
			s.how = &combinations[i];
	if (!s.how) {
		printf("usage: soak_wake COMBINATION, one of:");
		for (size_t i = 0; i < COMBINATIONS; i++)
			printf(" %s", combinations[i].name);
		printf("\n");
		return 2;
	}
	s.page = kit_page_create();
	if (!s.page)
		return 1;
	kit_ring_name(s.name, "soak");
	rc = run(&s);
	kit_page_destroy(s.page);
	return rc;
}
