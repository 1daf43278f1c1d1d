/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What the parts of `myelon doctor` share: the list of checks, and how they look at the machine. */
#ifndef CLI_DOCTOR_H
#define CLI_DOCTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <myelon/presets.h>

enum doctor_state { DOCTOR_OK, DOCTOR_NOTE, DOCTOR_WARN, DOCTOR_FAIL };

/* Deployments as bits; without --profile it is DOCTOR_ANY. */
enum doctor_for {
	DOCTOR_ANY = 1u << 0,
	DOCTOR_PINNED = 1u << MYELON_PROFILE_PINNED,
	DOCTOR_NUMA = 1u << MYELON_PROFILE_NUMA,
	DOCTOR_LOW_POWER = 1u << MYELON_PROFILE_LOW_POWER,
	DOCTOR_ALL = DOCTOR_ANY | DOCTOR_PINNED | DOCTOR_NUMA | DOCTOR_LOW_POWER,
};

/* What is looked at. Is it not as it should be, that is a fail for those who require it, a warn for
 * those who want it, and a note for all others. */
struct doctor_topic {
	const char *group, *id;
	const char *why; /* one sentence */
	unsigned required, wanted;
};

struct doctor_check {
	const struct doctor_topic *topic;
	enum doctor_state state;
	char id[40];     /* the topic's, with a suffix where there are several */
	char found[256]; /* what was found */
	char fix[512];   /* a command, or why there is none; "": nothing to do */
};

enum { DOCTOR_CHECKS = 128 };

struct doctor {
	unsigned profile; /* one of enum doctor_for */
	unsigned count;
	struct doctor_check checks[DOCTOR_CHECKS];
};

/* doctor.c: add a check. The last one can be given a suffix of its id, and a remedy. */
void doctor_good(struct doctor *d, const struct doctor_topic *topic, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void doctor_bad(struct doctor *d, const struct doctor_topic *topic, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void doctor_note(struct doctor *d, const struct doctor_topic *topic, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void doctor_suffix(struct doctor *d, const char *suffix);
void doctor_fix(struct doctor *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* What stands before a command that only helps where it is out of this process's reach: "", or words. */
const char *doctor_on_host(void);
/* The remedy is to write @value to the file @path, here or, where it is read-only, on the host. */
void doctor_fix_write(struct doctor *d, const char *path, const char *value);
/* CPUs that the profile cannot do without. */
unsigned doctor_cpus_needed(const struct doctor *d);

/* doctor_report.c */
void doctor_print(const struct doctor *d);
void doctor_print_json(const struct doctor *d);
const char *doctor_profile_name(const struct doctor *d); /* NULL: none */
unsigned doctor_failures(const struct doctor *d);

/* The subjects, one file each. */
void doctor_memory(struct doctor *d);
void doctor_huge(struct doctor *d);
void doctor_cpu(struct doctor *d);
void doctor_power(struct doctor *d);
void doctor_numa(struct doctor *d);
void doctor_kernel(struct doctor *d);
void doctor_container(struct doctor *d);

/* doctor_read.c: files of /proc and /sys. Tests put a directory before them. */
extern const char *doctor_root;
/* The text without the newline at its end. @return its length, or negative errno with an empty text. */
int doctor_read(char *text, size_t cap, const char *path, ...)
	__attribute__((format(printf, 3, 4)));
bool doctor_read_number(uint64_t *number, const char *path, ...)
	__attribute__((format(printf, 2, 3)));
/* "always [madvise] never" -> "madvise". False: nothing is in brackets. */
bool doctor_chosen(const char *text, char *word, size_t cap);
/* A field of /proc/self/status, "" if it is not there. */
const char *doctor_status(const char *key, char *text, size_t cap);
bool doctor_has_cap(int capability);
bool doctor_initial_pids(void); /* in the initial pid namespace */
/* This process is in a container, and of which kind; NULL: it is in none that can be recognised. */
const char *doctor_in_container(void);
/* 6.18.44-x -> 618; 0: not a version. */
unsigned doctor_kernel_version(const char *release);

/* doctor_read.c: sets of CPUs or nodes, "0-3,8". */
enum { DOCTOR_SET_BITS = 4096 };
struct doctor_set {
	uint64_t words[DOCTOR_SET_BITS / 64];
};
void doctor_set_parse(struct doctor_set *set, const char *list);
void doctor_set_add(struct doctor_set *set, unsigned bit);
bool doctor_set_has(const struct doctor_set *set, unsigned bit);
unsigned doctor_set_count(const struct doctor_set *set);
struct doctor_set doctor_set_and(const struct doctor_set *a, const struct doctor_set *b);
/* The list of a set, "none" if it is empty. */
const char *doctor_set_text(const struct doctor_set *set, char *text, size_t cap);

/* doctor_mounts.c: file systems and control groups. */
struct doctor_mount {
	char dir[256], type[32], options[512];
};
/* Call @fn for each line of /proc/self/mounts until it returns true. @return whether it did. */
bool doctor_mounts(bool (*fn)(void *ctx, const struct doctor_mount *m), void *ctx);
/* The mount that @dir lies on. */
bool doctor_mount_of(const char *dir, struct doctor_mount *m);
/* A control group of this process for one controller, from the inside outwards. */
struct doctor_cgroup {
	bool v2;
	size_t root; /* length of the mount point in dir */
	char dir[512];
};
bool doctor_cgroup(struct doctor_cgroup *g, const char *controller);
bool doctor_cgroup_outer(struct doctor_cgroup *g);

#endif
