/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* `myelon bench death`: from the kill of a consumer to the producer that is told of it. */
#include "cli.h"
#include "commands.h"
#include "death.h"
#include "json.h"
#include "machine.h"
#include "report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define WINDOW 64

struct bench {
	const struct bench_options *o;
	struct bench_place place;
	struct death *death[BENCH_LIST_MAX]; /* by way to wait */
	struct bench_role maker;
	bool wrong;
};

static int play(struct bench_crew *crew, unsigned int role, void *arg)
{
	return role == 0 ? death_play_producer(arg, &crew->role[0])
	                 : death_play_killer(arg, &crew->role[1]);
}

/* As many kills as were asked for are noticed by managed claims. */
static uint64_t steps_for(uint64_t kills)
{
	uint64_t steps = 0, managed = 0;

	while (managed < kills)
		managed += death_how_of(++steps) == DEATH_MANAGED;
	return steps;
}

/* Seconds more than usual: a victim lives for 30 ms, and its memory takes 2 s/GiB to come and go. */
static unsigned int allowance(const struct bench_options *o)
{
	double each = 0.03 + (double)o->victim_memory / (1 << 30) * 2;

	return (unsigned int)((double)steps_for(o->kills) * each);
}

static int run(struct bench *b, uint32_t i)
{
	const struct bench_options *o = b->o;
	struct death *d = bench_shared(sizeof(*d));
	const struct bench_crew *crew;
	const struct bench_cast cast = {.what = "death of a consumer",
	                                .roles = 2,
	                                .play = play,
	                                .arg = d,
	                                .cpus = o->cpus,
	                                .cpu_count = o->cpu_count,
	                                .timeout_s = o->timeout_s + allowance(o)};

	b->death[i] = d;
	if (!d)
		return -1;
	bench_ring_plan(&d->ring, o, &b->place, false);
	d->ring.window = WINDOW;
	d->ring.backing = MYELON_BACKING_SHM;
	d->ring.producer_wait = (enum myelon_wait)o->wait.value[i];
	d->steps = steps_for(o->kills);
	d->victim_memory = o->victim_memory;
	crew = bench_crew_run(&cast);
	if (!crew)
		return -1;
	b->maker = crew->role[0];
	b->wrong |= crew->role[0].wrong != 0;
	bench_place_clear(&b->place);
	return 0;
}

static uint64_t memory_available(void)
{
	unsigned long long kib = 0;
	char line[128];
	FILE *f = fopen("/proc/meminfo", "re");

	while (f && fgets(line, sizeof(line), f) && sscanf(line, "MemAvailable: %llu", &kib) != 1)
		;
	if (f)
		(void)fclose(f);
	return (uint64_t)kib << 10;
}

static double ratio(const struct death *d, enum death_how how, double percent)
{
	double managed = bench_histogram_percentile(&d->ns[how], percent);
	double bare = bench_histogram_percentile(&d->ns[DEATH_BARE], percent);

	return managed < 0 || bare <= 0 ? NAN : managed / bare;
}

static void report_json(const struct bench *b)
{
	struct json j;

	json_begin(&j, stdout, false);
	json_object(&j, NULL);
	json_string(&j, "bench", "death");
	json_uint(&j, "kills", b->o->kills);
	json_uint(&j, "victim_memory_bytes", b->o->victim_memory);
	json_uint(&j, "progress_ns", (uint64_t)DEATH_PROGRESS_NS);
	json_uint(&j, "check_ns", (uint64_t)DEATH_CHECK_NS);
	json_array(&j, "rows");
	for (uint32_t i = 0; i < b->o->wait.count; i++) {
		const struct death *d = b->death[i];

		json_object(&j, NULL);
		json_string(&j, "wait", myelon_wait_name((enum myelon_wait)b->o->wait.value[i]));
		json_uint(&j, "victim_rss_bytes", d->victim_rss);
		bench_report_spread(&j, "managed_ns", &d->ns[DEATH_MANAGED], NULL);
		bench_report_spread(&j, "leased_ns", &d->ns[DEATH_LEASED], NULL);
		json_uint(&j, "leased_told_dying", d->dying);
		bench_report_spread(&j, "bare_pidfd_ns", &d->ns[DEATH_BARE], NULL);
		bench_report_spread(&j, "timeout_ns", &d->ns[DEATH_TIMEOUT], NULL);
		json_object(&j, "ratio");
		json_double(&j, "p50", ratio(d, DEATH_MANAGED, 50));
		json_double(&j, "p99", ratio(d, DEATH_MANAGED, 99));
		json_double(&j, "leased_p50", ratio(d, DEATH_LEASED, 50));
		json_double(&j, "leased_p99", ratio(d, DEATH_LEASED, 99));
		json_object_end(&j);
		json_object_end(&j);
	}
	json_array_end(&j);
	bench_machine_json(&j, b->o->cpus, b->o->cpu_count);
	json_bool(&j, "verified", !b->wrong);
	json_object_end(&j);
	json_end(&j);
}

static void report_text(const struct bench *b)
{
	bench_machine_print(b->o->cpus, b->o->cpu_count);
	for (uint32_t i = 0; i < b->o->wait.count; i++) {
		const struct death *d = b->death[i];

		printf("producer waits by %s, %llu kills, victims of %.1f MiB\n",
		       myelon_wait_name((enum myelon_wait)b->o->wait.value[i]),
		       (unsigned long long)b->o->kills, (double)d->victim_rss / (1 << 20));
		bench_print_spread("killed to managed claim told", &d->ns[DEATH_MANAGED]);
		bench_print_spread("the same, it had a lease", &d->ns[DEATH_LEASED]);
		bench_print_spread("killed to pidfd readable, bare", &d->ns[DEATH_BARE]);
		if (d->ns[DEATH_TIMEOUT].total)
			bench_print_spread("stopped to told (timeout 250 ms)",
			                   &d->ns[DEATH_TIMEOUT]);
		bench_print_ratio("p50 to the bare pidfd", ratio(d, DEATH_MANAGED, 50));
		bench_print_ratio("p99 to the bare pidfd", ratio(d, DEATH_MANAGED, 99));
		bench_print_ratio("leased p50 to it", ratio(d, DEATH_LEASED, 50));
	}
	printf("  told: %s\n", b->wrong ? "WRONG" : "the right consumer and cause each time");
}

static int check_memory(const struct bench_options *o)
{
	uint64_t available = memory_available();

	if (o->victim_memory <= available / 4 * 3)
		return 0;
	return cli_error(CLI_USAGE,
	                 "bench death: --victim-memory: %llu MiB, but %llu are available, of which "
	                 "a victim may have three quarters",
	                 (unsigned long long)o->victim_memory >> 20,
	                 (unsigned long long)available >> 20);
}

int bench_death(const struct bench_options *o)
{
	struct bench b = {.o = o};
	int rc = check_memory(o);

	if (rc)
		return rc;
	rc = bench_place_open(&b.place, o);

	for (uint32_t i = 0; rc == 0 && i < o->wait.count; i++)
		rc = run(&b, i);
	if (rc == 0 && o->json)
		report_json(&b);
	else if (rc == 0)
		report_text(&b);
	for (uint32_t i = 0; i < o->wait.count; i++)
		bench_unshare(b.death[i], sizeof(*b.death[i]));
	bench_place_close(&b.place);
	return bench_end(rc, !b.wrong);
}
