/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* `myelon bench idle`: consumers that wait for a message which comes at the end. */
#include "cli.h"
#include "clock.h"
#include "commands.h"
#include "ends.h"
#include "json.h"
#include "limit.h"
#include "machine.h"
#include "report.h"
#include "way.h"

#include <stdlib.h>
#include <sys/resource.h>

#define WARMUP 3 /* messages before */

struct idle {
	struct bench_ring ring;
	int64_t ns;
	struct bench_out *out; /* as many as there are rings; the message comes over the first */
	struct bench_in *in;
	struct bench_way way;
};

static void switches_of(uint64_t count[2])
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	count[0] = (uint64_t)u.ru_nvcsw;
	count[1] = (uint64_t)u.ru_nivcsw;
}

static int publish_one(struct idle *r)
{
	struct myelon_span s;
	void *buf;
	int rc;

	if (r->ring.framed) {
		rc = myelon_frame_claim(r->out->framed, 8, MYELON_FOREVER, &buf);
		if (rc < 0)
			return rc;
		*(uint64_t *)buf = 1;
		return myelon_frame_commit(r->out->framed, 8, 0);
	}
	rc = myelon_claim(r->out->raw, 1, MYELON_FOREVER, &s);
	if (rc < 0)
		return rc;
	*(uint64_t *)s.base = 1;
	return myelon_publish(r->out->raw, 1);
}

static const char *stem_of(char name[32], uint64_t i)
{
	(void)snprintf(name, 32, "idle-%u", (unsigned int)i);
	return name;
}

/* The first one, which has the message, last: who finds it finds the others, too. */
static int make_rings(struct idle *r, struct bench_role *me)
{
	char name[32];

	r->out = calloc(r->ring.o->rings, sizeof(*r->out));
	if (!r->out)
		return bench_fail(me, "out of memory");
	for (uint64_t i = r->ring.o->rings; i-- > 0;)
		if (bench_out_create(&r->out[i], &r->ring, stem_of(name, i), me) < 0)
			return -1;
	return 0;
}

static void drop_rings(struct idle *r, struct bench_role *me)
{
	for (uint64_t i = 0; i < r->ring.o->rings; i++)
		bench_out_close(&r->out[i], me);
	free(r->out);
}

/* So that the producer has taken over the descriptors of those who offer them. */
static int send_some(struct idle *r, struct bench_role *me)
{
	const struct timespec gap = {.tv_nsec = 5000000};

	for (int i = 0; i < WARMUP; i++) {
		nanosleep(&gap, NULL);
		if (publish_one(r) < 0)
			return bench_library_fail(me, "a message could not be published");
	}
	return 0;
}

static int play_producer(struct idle *r, struct bench_crew *crew)
{
	struct bench_role *me = &crew->role[0];
	struct timespec left = {.tv_sec = r->ns / 1000000000, .tv_nsec = r->ns % 1000000000};
	double cpu;

	if (make_rings(r, me) < 0)
		return -1;
	bench_meet(crew, 2);
	if (send_some(r, me) < 0)
		return -1;
	bench_meet(crew, 0);
	cpu = bench_cpu_seconds();
	while (nanosleep(&left, &left) < 0)
		;
	if (publish_one(r) < 0)
		return bench_library_fail(me, "the last message could not be published");
	me->cpu_s = bench_cpu_seconds() - cpu;
	bench_meet(crew, 1);
	drop_rings(r, me);
	return 0;
}

/* A peek, and a wait where it does not wait itself. */
static int wait_one(struct idle *r, struct bench_role *me)
{
	struct myelon_message m;
	struct myelon_view v = {0};
	int rc;

	for (;;) {
		if (r->ring.framed)
			rc = myelon_frame_peek(r->in->framed, r->way.deadline, &m);
		else
			rc = myelon_peek(r->in->raw, 1, r->way.deadline, &v);
		if (rc == -EAGAIN)
			rc = bench_way_sleep(&r->way);
		else if (rc > 0)
			break;
		if (rc < 0)
			return bench_library_fail(me, "the wait ended");
	}
	me->wrong = *(const uint64_t *)(r->ring.framed ? m.data : v.base) != 1;
	return 0;
}

static int receive_some(struct idle *r, struct bench_role *me)
{
	for (int i = 0; i < WARMUP; i++) {
		if (wait_one(r, me) < 0)
			return -1;
		if ((r->ring.framed ? myelon_frame_release(r->in->framed, 1)
		                    : myelon_release(r->in->raw, 1)) < 0)
			return bench_library_fail(me, "a message could not be released");
	}
	return 0;
}

static unsigned int way_of(const struct bench_options *o, unsigned int role)
{
	return (unsigned int)o->wait.value[(role - 1) % o->wait.count];
}

static uint64_t rings_of(const struct bench_options *o, unsigned int which)
{
	return bench_way_kind(which) == BENCH_WAY_SET ? o->rings : 1;
}

static int attach_all(struct idle *r, unsigned int which, struct bench_role *me)
{
	uint64_t rings = rings_of(r->ring.o, which);
	char name[32];

	r->in = calloc(rings, sizeof(*r->in));
	if (!r->in)
		return bench_fail(me, "out of memory");
	for (uint64_t i = 0; i < rings; i++)
		if (bench_in_attach(&r->in[i], &r->ring, stem_of(name, i), bench_way_wait(which),
		                    me) < 0)
			return -1;
	return bench_way_open(&r->way, which, r->in, r->in + 1, (uint32_t)rings - 1, me);
}

static int play_consumer(struct idle *r, struct bench_crew *crew, unsigned int role)
{
	struct bench_role *me = &crew->role[role];
	unsigned int which = way_of(r->ring.o, role);
	uint64_t before[2];
	double cpu;

	if (attach_all(r, which, me) < 0)
		return -1;
	bench_meet(crew, 2);
	if (receive_some(r, me) < 0)
		return -1;
	bench_meet(crew, 0);
	switches_of(before);
	cpu = bench_cpu_seconds();
	me->start = bench_ticks();
	if (wait_one(r, me) < 0)
		return -1;
	me->stop = bench_ticks();
	me->cpu_s = bench_cpu_seconds() - cpu;
	switches_of(me->switches);
	me->switches[0] -= before[0];
	me->switches[1] -= before[1];
	me->settled = bench_way_settled(&r->way);
	bench_meet(crew, 1);
	bench_way_close(&r->way);
	for (uint64_t i = 0; i < rings_of(r->ring.o, which); i++)
		bench_in_close(&r->in[i], me);
	free(r->in);
	return 0;
}

static int play(struct bench_crew *crew, unsigned int role, void *arg)
{
	return role == 0 ? play_producer(arg, crew) : play_consumer(arg, crew, role);
}

static void report_json(const struct bench_options *o, const struct bench_limit *l,
                        const struct idle *r, const struct bench_crew *crew, bool verified)
{
	static const struct bench_trips nothing;
	uint32_t consumers = (uint32_t)o->consumers;
	double cpu_s[BENCH_ROLES_MAX];
	struct json j;

	for (uint32_t i = 0; i <= consumers; i++)
		cpu_s[i] = crew->role[i].cpu_s;
	json_begin(&j, stdout, false);
	json_object(&j, NULL);
	bench_report_head(&j, &r->ring, &crew->role[0], consumers, 1, 1);
	json_double(&j, "seconds", (double)r->ns / 1e9);
	bench_limit_json(l, &j);
	bench_report_rtt(&j, &nothing, NULL);
	bench_report_throughput(&j, 0, r->ring.payload);
	bench_report_cpu(&j, cpu_s, consumers);
	json_object(&j, "ratio");
	json_object_end(&j);
	json_array(&j, "rows");
	for (uint32_t i = 1; i <= consumers; i++) {
		const struct bench_role *c = &crew->role[i];

		json_object(&j, NULL);
		json_string(&j, "wait", bench_way_name(way_of(o, i)));
		json_bool(&j, "as_asked", c->settled);
		json_uint(&j, "rings", rings_of(o, way_of(o, i)));
		json_double(&j, "waited_s", bench_ticks_ns(c->stop - c->start) / 1e9);
		json_double(&j, "cpu_ms", c->cpu_s * 1e3);
		json_uint(&j, "voluntary_switches", c->switches[0]);
		json_uint(&j, "involuntary_switches", c->switches[1]);
		json_uint(&j, "parks", c->parks);
		json_uint(&j, "caps_found", c->caps_found);
		json_object_end(&j);
	}
	json_array_end(&j);
	bench_machine_json(&j, o->cpus, o->cpu_count);
	json_bool(&j, "verified", verified);
	json_object_end(&j);
	json_end(&j);
}

static void report_text(const struct bench_options *o, const struct idle *r,
                        const struct bench_crew *crew)
{
	bench_machine_print(o->cpus, o->cpu_count);
	bench_print_ring(&r->ring, &crew->role[0]);
	for (uint32_t i = 1; i <= o->consumers; i++) {
		const struct bench_role *c = &crew->role[i];

		printf("  consumer %-3u %-12s CPU %10.3f ms in %.2f s, switches %llu + %llu, "
		       "parks %llu%s\n",
		       i, bench_way_name(way_of(o, i)), c->cpu_s * 1e3,
		       bench_ticks_ns(c->stop - c->start) / 1e9, (unsigned long long)c->switches[0],
		       (unsigned long long)c->switches[1], (unsigned long long)c->parks,
		       c->settled ? "" : ", woken by another engine");
	}
}

int bench_idle(const struct bench_options *o)
{
	struct idle r = {.ns = o->idle_ns};
	struct bench_limit l = {0};
	struct bench_place place = {0};
	const struct bench_crew *crew = NULL;
	const struct bench_cast cast = {.what = "idle consumers",
	                                .roles = 1 + (unsigned int)o->consumers,
	                                .play = play,
	                                .arg = &r,
	                                .cpus = o->cpus,
	                                .cpu_count = o->cpu_count,
	                                .timeout_s = o->timeout_s +
	                                             (unsigned int)(o->idle_ns / 1000000000)};
	bool verified = true;
	int rc;

	bench_ring_plan(&r.ring, o, &place, o->layer == BENCH_FRAMED);
	r.ring.producer_wait = MYELON_WAIT_PARK;
	rc = bench_place_open(&place, o);
	if (rc == 0)
		rc = bench_limit_open(&l, o, o->payload, bench_ring_messages(&r.ring));
	for (int round = 0; rc == 0 && round < 3; round++)
		rc = bench_limit_round(&l, round % 2);
	if (rc == 0)
		crew = bench_crew_run(&cast);
	for (uint32_t i = 1; crew && i <= o->consumers; i++)
		verified &= crew->role[i].wrong == 0;
	verified &= !l.bare.wrong;
	if (crew && o->json)
		report_json(o, &l, &r, crew, verified);
	else if (crew)
		report_text(o, &r, crew);
	bench_place_close(&place);
	bench_limit_close(&l);
	return bench_end(crew ? 0 : -1, verified);
}
