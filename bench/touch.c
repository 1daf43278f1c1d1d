/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "touch.h"
#include "clock.h"
#include "crew.h"

#include <string.h>

/* The content of a slot says which one it is. */
static uint64_t word_of(uint64_t seq)
{
	return (seq + 1) * UINT64_C(0x9e3779b97f4a7c15);
}

static int fill_all(struct bench_touch_run *t)
{
	uint32_t left = t->ring.window, n;
	struct myelon_span s;

	for (; left; left -= n) {
		n = left < 4096 ? left : 4096;
		if (myelon_claim(t->out.raw, n, MYELON_FOREVER, &s) < 0)
			return -1;
		for (uint32_t i = 0; i < n; i++) {
			uint64_t word = word_of((uint64_t)s.seq + i);

			memcpy((unsigned char *)s.base + (size_t)i * t->ring.slot, &word,
			       sizeof(word));
		}
		if (myelon_publish(t->out.raw, n) < 0)
			return -1;
	}
	return 0;
}

static uint64_t read_word(const struct bench_touch_run *t, const struct myelon_view *v, uint64_t i)
{
	uint64_t word;

	memcpy(&word, (const unsigned char *)v->base + i * t->ring.slot, sizeof(word));
	return word;
}

static uint64_t read_all(const struct bench_touch_run *t, const struct myelon_view *v)
{
	uint64_t wrong = 0;

	for (uint32_t i = 0; i < v->count; i++)
		wrong += read_word(t, v, i) != word_of((uint64_t)v->seq + i);
	return wrong;
}

/* The next slot depends on the word of this one: no two accesses overlap. */
static uint64_t read_at_random(const struct bench_touch_run *t, const struct myelon_view *v)
{
	uint64_t at = 0, wrong = 0;

	for (uint64_t k = 0; k < t->touches; k++) {
		uint64_t word = read_word(t, v, at);

		wrong += word != word_of((uint64_t)v->seq + at);
		word ^= k * UINT64_C(0xd1342543de82ef95);
		word = (word ^ word >> 29) * UINT64_C(0xbf58476d1ce4e5b9);
		at = (uint64_t)(((unsigned __int128)(word ^ word >> 32) * v->count) >> 64);
	}
	return wrong;
}

static int measure(struct bench_touch_run *t, struct bench_role *me)
{
	struct myelon_view v = {0};
	uint64_t begin;

	/* Once to warm up: caches, and what is left of the tables of pages. */
	for (int pass = 0; pass < 2; pass++) {
		begin = bench_ticks();
		if (fill_all(t) < 0 || myelon_peek(t->in.raw, MYELON_ALL, MYELON_TRY, &v) < 0)
			return -1;
		me->wrong += v.count != t->ring.window;
		me->wrong += read_all(t, &v);
		me->start = bench_ticks() - begin;
		if (pass == 0 && myelon_release(t->in.raw, v.count) < 0)
			return -1;
	}
	begin = bench_ticks();
	me->wrong += read_at_random(t, &v);
	me->stop = bench_ticks() - begin;
	return myelon_release(t->in.raw, v.count);
}

static int play(struct bench_crew *crew, unsigned int role, void *arg)
{
	struct bench_touch_run *t = arg;
	struct bench_role *me = &crew->role[role];

	if (bench_out_create(&t->out, &t->ring, "touch", me) < 0 ||
	    bench_in_attach(&t->in, &t->ring, "touch", MYELON_WAIT_SPIN_PAUSE, me) < 0)
		return -1;
	if (measure(t, me) < 0)
		return bench_library_fail(me, "the ring could not be used");
	bench_in_close(&t->in, me);
	bench_out_close(&t->out, me);
	return 0;
}

int bench_touch_measure(struct bench_touch_run *t, struct bench_touch_result *result)
{
	const struct bench_options *o = t->ring.o;
	const struct bench_cast cast = {.what = "touch",
	                                .roles = 1,
	                                .play = play,
	                                .arg = t,
	                                .cpus = o->cpus,
	                                .cpu_count = 1,
	                                .timeout_s = o->timeout_s};
	const struct bench_crew *crew = bench_crew_run(&cast);

	bench_place_clear(t->ring.place);
	if (!crew)
		return -1;
	result->role = crew->role[0];
	result->pass_ns = bench_ticks_ns(crew->role[0].start) / (double)t->ring.window;
	result->touch_ns = bench_ticks_ns(crew->role[0].stop) / (double)t->touches;
	result->verified = crew->role[0].wrong == 0;
	return 0;
}
