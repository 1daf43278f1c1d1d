/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Pinning, topology, placement of a ring, and advice: what a user of them sees on any machine. */
#include "ring_kit.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct cpus {
	int first, last, count, outside;
};

static int see_cpu(void *ctx, const struct myelon_cpu *cpu)
{
	struct cpus *seen = ctx;

	cr_assert_eq(cpu->size, sizeof(*cpu));
	if (!cpu->usable) {
		seen->outside = cpu->cpu;
		return 0;
	}
	if (!seen->count++)
		seen->first = cpu->cpu;
	cr_assert_geq(cpu->node, 0);
	cr_assert_neq(cpu->sibling, cpu->cpu);
	seen->last = cpu->cpu;
	return 0;
}

static struct cpus usable(void)
{
	struct cpus seen = {.first = -1, .last = -1, .outside = -1};

	cr_assert_eq(myelon_cpus(see_cpu, &seen), 0);
	cr_assert_gt(seen.count, 0);
	return seen;
}

static cpu_set_t affinity(void)
{
	cpu_set_t set;

	cr_assert_eq(sched_getaffinity(0, sizeof(set), &set), 0);
	return set;
}

static bool only_on(int cpu)
{
	cpu_set_t set = affinity();

	return CPU_COUNT(&set) == 1 && CPU_ISSET(cpu, &set);
}

static int see_node(void *ctx, const struct myelon_numa_node *node)
{
	cr_assert_eq(node->distance[node->node], 10);
	cr_assert(!node->cpus || node->cpu_list[0]);
	cr_assert_leq(node->memory_free, node->memory_total);
	*(int *)ctx += node->allowed != 0;
	return 0;
}

static int stop_at_once(void *ctx, const struct myelon_numa_node *node)
{
	(void)ctx;
	return 7 + node->node;
}

Test(topology, nodes_have_memory_cpus_and_distances)
{
	int with_memory = 0;

	cr_assert_eq(myelon_numa_nodes(see_node, &with_memory), 0);
	cr_assert_geq(with_memory, 1);
	cr_assert_geq(myelon_numa_nodes(stop_at_once, NULL), 7, "fn's value ends it");
}

Test(pin, option_pins_every_kind_of_handle_before_it_is_set_up)
{
	struct myelon_ring_info info = MYELON_RING_INFO_INIT;
	struct cpus cpus = usable();
	struct myelon_observer *o;
	struct myelon_consumer *c;
	struct myelon_producer *p;
	char name[KIT_NAME];

	p = ring_make(name, SMALL(.pin = MYELON_PIN(cpus.last)));
	cr_assert(only_on(cpus.last));
	cr_ok(myelon_producer_info(p, &info));
	cr_assert_eq(info.producer_cpu, cpus.last);
	c = ring_join(name, WITH(.pin = MYELON_PIN(cpus.first)));
	cr_assert(only_on(cpus.first));
	cr_ok(myelon_observer_attach(&o, name, WITH(.pin = MYELON_PIN(cpus.last))));
	cr_assert(only_on(cpus.last));
	myelon_observer_close(o);
	ring_close(p, c);
}

Test(pin, environment_pins_who_says_nothing_and_the_option_wins)
{
	struct cpus cpus = usable();
	struct myelon_producer *p;
	char name[KIT_NAME], text[16];

	snprintf(text, sizeof(text), "%d", cpus.last);
	setenv("MYELON_CPU", text, 1);
	p = ring_make(name, SMALL());
	cr_assert(only_on(cpus.last));
	ring_close(p, NULL);
	p = ring_make(name, SMALL(.pin = MYELON_PIN(cpus.first)));
	cr_assert(only_on(cpus.first));
	ring_close(p, NULL);
	setenv("MYELON_CPU", "3rd", 1);
	kit_ring_name(name, "pin");
	cr_assert_eq(myelon_producer_create(&p, name, SMALL()), -EINVAL);
	cr_assert_not_null(strstr(myelon_last_error(), "MYELON_CPU"), "%s", myelon_last_error());
	unsetenv("MYELON_CPU");
}

Test(pin, impossible_cpu_is_an_error_with_what_is_possible_and_changes_nothing)
{
	struct myelon_ring_info info = MYELON_RING_INFO_INIT;
	cpu_set_t before = affinity(), after;
	struct myelon_producer *p;
	struct myelon_consumer *c;
	char name[KIT_NAME];

	kit_ring_name(name, "pin");
	cr_assert_eq(myelon_producer_create(&p, name, SMALL(.pin = MYELON_PIN(9000))), -EINVAL);
	cr_assert_not_null(strstr(myelon_last_error(), "CPU 9000"), "%s", myelon_last_error());
	cr_assert_eq(myelon_producer_create(&p, name, SMALL(.pin = UINT32_MAX)), -EINVAL);
	cr_assert_eq(myelon_consumer_attach(&c, name, WITH(.pin = MYELON_PIN(9000))), -EINVAL);
	cr_assert_eq(myelon_pin(-1), -EINVAL);
	after = affinity();
	cr_assert(CPU_EQUAL(&before, &after));
	cr_assert_eq(myelon_ring_describe(name, NULL, &info), -ENOENT);
}

Test(pin, call_that_fails_leaves_the_thread_where_it_was)
{
	cpu_set_t before = affinity(), after;
	struct cpus cpus = usable();
	struct myelon_consumer *c;
	struct myelon_producer *p;
	char name[KIT_NAME];

	kit_ring_name(name, "none");
	cr_assert_eq(myelon_consumer_attach(&c, name, WITH(.pin = MYELON_PIN(cpus.first))),
	             -ENOENT);
	cr_assert_eq(
		myelon_producer_open(&p, name, &MYELON_OPEN_OPTS(.pin = MYELON_PIN(cpus.last))),
		-ENOENT);
	after = affinity();
	cr_assert(CPU_EQUAL(&before, &after));
}

Test(placement, every_page_is_counted_and_recorded)
{
	struct myelon_ring_info info = MYELON_RING_INFO_INIT;
	struct cpus cpus = usable();
	uint64_t sum = 0;
	struct myelon_producer *p;
	char name[KIT_NAME];

	p = ring_make(name, RING(64, 4096, .numa = MYELON_NUMA_CPU,
	                         .numa_cpu = (uint32_t)cpus.first, .flags = MYELON_F_NUMA_STRICT));
	cr_ok(myelon_producer_info(p, &info));
	cr_assert_eq(info.numa, MYELON_NUMA_CPU);
	cr_assert_eq(info.numa_strict, 1);
	cr_assert_eq(info.data_pages, info.data_bytes / info.page_size);
	for (int node = 0; node < MYELON_NUMA_NODES_MAX; node++)
		sum += info.node_pages[node];
	cr_assert_eq(sum, info.data_pages);
	cr_assert_eq(info.nodes_asked, 1ull << info.node_asked);
	cr_assert_eq(info.node_pages[info.node_asked], info.data_pages);
	cr_assert_eq(info.control_node, info.node_asked);
	cr_assert_eq(myelon_producer_verify(p, &info), 0, "%s", myelon_last_error());
	cr_assert_eq(info.node_pages[info.node_asked], info.data_pages);
	ring_close(p, NULL);

	p = ring_make(name, RING(64, 4096, .numa = MYELON_NUMA_INTERLEAVE));
	cr_ok(myelon_producer_info(p, &info));
	cr_assert_eq(info.numa, MYELON_NUMA_INTERLEAVE);
	cr_assert_neq(info.nodes_asked, 0);
	ring_close(p, NULL);
}

Test(placement, what_nothing_here_fulfils_is_refused_and_leaves_nothing)
{
	struct myelon_ring_info info = MYELON_RING_INFO_INIT;
	struct myelon_producer *p;
	char name[KIT_NAME];

	kit_ring_name(name, "place");
	cr_assert_eq(
		myelon_producer_create(&p, name, SMALL(.numa = MYELON_NUMA_NODE, .numa_node = 900)),
		-EINVAL);
	cr_assert_not_null(strstr(myelon_last_error(), "node 900"), "%s", myelon_last_error());
	cr_assert_eq(
		myelon_producer_create(&p, name, SMALL(.numa = MYELON_NUMA_CPU, .numa_cpu = 9000)),
		-EINVAL);
	cr_assert_not_null(strstr(myelon_last_error(), "CPU 9000"), "%s", myelon_last_error());
	cr_assert_eq(
		myelon_producer_create(
			&p, name, SMALL(.numa = MYELON_NUMA_INTERLEAVE, .numa_nodes = 1ull << 63)),
		-EINVAL);
	cr_assert_eq(myelon_ring_describe(name, NULL, &info), -ENOENT);
}

Test(advice, tells_what_is_not_pinned_and_who_shares_a_cpu)
{
	struct myelon_advice a = MYELON_ADVICE_INIT;
	struct cpus cpus = usable();
	struct myelon_producer *p;
	struct myelon_consumer *c;
	char name[KIT_NAME], text[64];

	p = ring_make(name, SMALL());
	cr_ok(myelon_producer_advice(p, &a));
	cr_assert_eq(a.cpu, -1);
	cr_assert(a.flags & MYELON_ADVICE_NOT_PINNED);
	myelon_producer_close(p);

	p = ring_make(name, SMALL(.pin = MYELON_PIN(cpus.first)));
	c = ring_join(name, WITH(.id = "w", .pin = MYELON_PIN(cpus.first)));
	cr_ok(myelon_producer_advice(p, &a));
	cr_assert_eq(a.cpu, cpus.first);
	cr_assert_not(a.flags & MYELON_ADVICE_NOT_PINNED);
	cr_assert(a.flags & MYELON_ADVICE_SHARED, "%s", a.text);
	cr_assert_not_null(strstr(a.text, "consumer w"), "%s", a.text);
	cr_ok(myelon_consumer_advice(c, &a));
	cr_assert(a.flags & MYELON_ADVICE_SHARED);
	cr_ok(myelon_ring_advice(name, NULL, "w", &a));
	snprintf(text, sizeof(text), "the producer is pinned to CPU %d", cpus.first);
	cr_assert_not_null(strstr(a.text, text), "%s", a.text);
	cr_assert_eq(myelon_ring_advice(name, NULL, "x", &a), -ENOENT);
	ring_close(p, c);
}

Test(advice, knows_a_remote_node_and_a_cpu_that_is_not)
{
	struct myelon_advice a = MYELON_ADVICE_INIT;
	struct cpus cpus = usable();

	cr_ok(myelon_advise(cpus.first, 63, 4096, &a));
	cr_assert(a.flags & MYELON_ADVICE_REMOTE, "%s", a.text);
	cr_assert_eq(myelon_advise(9000, 0, 4096, &a), -EINVAL);
	a.size = 1;
	cr_assert_eq(myelon_advise(cpus.first, 0, 4096, &a), -EINVAL);
}
