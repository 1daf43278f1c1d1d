/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * What the programs of the two-node guest share. A case runs in a process of its own, which a failed
 * check ends; what it leaves behind, and a signal that kills it, are failures too.
 */
#ifndef MYELON_TEST_GUEST_H
#define MYELON_TEST_GUEST_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <myelon/myelon.h>

/* The machine that two_nodes.sh builds: the first case looks whether it is so. */
#define NODES 3
#define NODE_BARE 2               /* CPUs but no memory; those before it have memory */
#define CPU_OF(node) (2 * (node)) /* and the next one: a socket each */
#define REMOTE_DISTANCE 21
#define HUGE_PAGE (2ul << 20)
#define POOL_PAGES 32 /* on each node with memory; so it is before and after every case */
#define SHM_DIR "/dev/shm"
#define HUGE_DIR "/huge"
#define CGROUP_DIR "/sys/fs/cgroup"

/* A ring of RING_PAGES huge pages. */
#define RING_SLOT 64
#define RING_BYTES (8ul << 20)
#define RING_WINDOW (RING_BYTES / RING_SLOT)
#define RING_PAGES ((long)(RING_BYTES / HUGE_PAGE))

struct guest_case {
	const char *name; /* a sentence */
	void (*run)(void);
};
#define GUEST_CASE(fn)                                                                             \
	{                                                                                          \
		.name = #fn, .run = fn                                                             \
	}

/* One list for each file, ended by a case without a name. */
extern const struct guest_case guest_node_cases[], guest_shortage_cases[], guest_kernel_cases[],
	guest_stream_cases[], guest_placement_cases[];

/* Prints what was found and ends the process as failed. */
_Noreturn void guest_fail(const char *file, int line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
#define FAIL(fmt, ...) guest_fail(__FILE__, __LINE__, fmt, ##__VA_ARGS__)
#define CHECK(cond) ((cond) ? (void)0 : FAIL("not so: %s", #cond))
#define CHECK_EQ(a, b) guest_check_eq(__FILE__, __LINE__, #a, (long)(a), (long)(b))
#define CHECK_HAS(text, part) guest_check_has(__FILE__, __LINE__, text, part)
/* A call of the library that must succeed. */
#define OK(call) guest_ok(__FILE__, __LINE__, #call, call)
/* One that must fail with @err; its sentence is left in myelon_last_error(). */
#define REFUSED(call, err) guest_refused(__FILE__, __LINE__, #call, call, err)
void guest_check_eq(const char *file, int line, const char *what, long found, long expected);
void guest_check_has(const char *file, int line, const char *text, const char *part);
int guest_ok(const char *file, int line, const char *what, int rc);
void guest_refused(const char *file, int line, const char *what, int rc, int err);

/* A process that ends with its parent; join checks that it ended with success. */
pid_t guest_spawn(void (*run)(void *), void *arg);
void guest_join(pid_t pid);

/* Text files of the kernel. */
long guest_read_number(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void guest_write(const char *path, const char *text);
/* What stands behind @key in /sys/devices/system/node/node<node>/meminfo, bytes. */
size_t guest_meminfo(int node, const char *key);

/* The pool of 2 MiB pages of a node. */
long guest_pool_free(int node);
long guest_pool_total(int node);
/* @return what the kernel made of it. */
long guest_pool_set(int node, long pages);

/* Lets this thread run on one CPU. */
void guest_pin(int cpu);

/* Makes the kernel refuse a call (of madvise: with this advice; else advice is -1) from now on. */
void guest_deny(long call, int advice, int err);

/* Pages per node of a mapping that the library knows nothing of. */
struct guest_census {
	long node[NODES];
	long all;
};
/* A mapping of the whole file; counted by move_pages() and by numa_maps, which must agree. */
void *guest_map(const char *path, size_t bytes);
void guest_count(void *at, size_t bytes, size_t page, struct guest_census *census);
/* Map, count, unmap. */
struct guest_census guest_census_of(const struct myelon_ring_info *info);
struct guest_census guest_census_of_producer(struct myelon_producer *p,
                                             struct myelon_ring_info *info);
/* All pages of the ring are on this node, by our own look and by what the library says. */
void guest_all_on(struct myelon_producer *p, int node);

#endif
