/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The doctor on shared memory, locked memory and swap. */
#include <errno.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "cli.h"
#include "doctor.h"
#include "fmt.h"

#define MIB (UINT64_C(1) << 20)
/* A few small rings; and what container engines give unless they are told otherwise. */
#define SHM_LEAST (16 * MIB)
#define SHM_DEFAULT (64000 * UINT64_C(1024)) /* of podman; docker has a little more */
#define SHM_CONTAINER (64 * MIB)
#define LOCKED_ENOUGH (64 * MIB)

static const struct doctor_topic shm = {
	"memory", "shm",
	"Rings have their names, and without huge pages their slots, in this directory.",
	DOCTOR_ALL, 0};
static const struct doctor_topic shm_type = {
	"memory", "shm-type",
	"On a disk file system slots are written back, which stalls whoever writes to them.", 0,
	DOCTOR_ALL};
static const struct doctor_topic shm_space = {
	"memory", "shm-space",
	"A ring takes all its memory when it is made; when there is no room it is not made.",
	DOCTOR_ALL, 0};
static const struct doctor_topic shm_limit = {
	"memory", "shm-limit",
	"Containers get 64 MiB unless they are told otherwise, which a few rings fill.", 0,
	DOCTOR_ALL};
static const struct doctor_topic memlock = {
	"memory", "memlock",
	"Who locks its memory (mlockall) or registers io_uring buffers needs a limit above that.",
	0, DOCTOR_PINNED};
static const struct doctor_topic swap = {
	"memory", "swap", "Slots on small pages can be swapped out, huge ones cannot.", 0,
	DOCTOR_PINNED | DOCTOR_NUMA};

static void fix_space(struct doctor *d, const char *dir)
{
	struct doctor_mount m;

	if (doctor_in_container() && !doctor_has_cap(CAP_SYS_ADMIN))
		doctor_fix(d, "not from inside this container: start it with --shm-size=1g "
		              "(kubernetes: emptyDir with medium Memory at /dev/shm)");
	else if (doctor_mount_of(dir, &m) && strcmp(m.type, "tmpfs") == 0)
		doctor_fix(d, "mount -o remount,size=1G %s", m.dir);
	else
		doctor_fix(d, "mount -t tmpfs -o size=1G,mode=1777 tmpfs %s", dir);
}

static void look_at_space(struct doctor *d, const char *dir, const struct statfs *fs)
{
	uint64_t total = (uint64_t)fs->f_blocks * (uint64_t)fs->f_bsize;
	uint64_t left = (uint64_t)fs->f_bavail * (uint64_t)fs->f_bsize;
	bool bounded = total != 0; /* a tmpfs with size=0 has no limit */
	struct fmt a, b, c;

	if (!bounded) {
		doctor_good(d, &shm_space, "%s has no limit", dir);
		return;
	}
	if (left >= SHM_LEAST) {
		doctor_good(d, &shm_space, "%s of %s are free", fmt_bytes(&a, left),
		            fmt_bytes(&b, total));
	} else {
		doctor_bad(d, &shm_space, "%s of %s are free, %s is the least", fmt_bytes(&a, left),
		           fmt_bytes(&b, total), fmt_bytes(&c, SHM_LEAST));
		fix_space(d, dir);
	}
	if (total > SHM_CONTAINER)
		return;
	doctor_bad(d, &shm_limit, "%s holds %s%s", dir, fmt_bytes(&a, total),
	           total >= SHM_DEFAULT ? ", the default of containers" : "");
	fix_space(d, dir);
}

static void look_at_shm(struct doctor *d)
{
	const char *dir = cli_common.shm_dir, *env = getenv("MYELON_SHM_DIR");
	struct statfs fs;

	if (!dir)
		dir = env && *env ? env : "/dev/shm";
	if (statfs(dir, &fs) < 0) {
		doctor_bad(d, &shm, "%s: %s", dir, strerror(errno));
		doctor_fix(d, "mkdir -p %s && mount -t tmpfs -o size=1G,mode=1777 tmpfs %s", dir,
		           dir);
		return;
	}
	if (access(dir, R_OK | W_OK | X_OK) < 0) {
		doctor_bad(d, &shm, "%s may not be written by user %u: %s", dir, geteuid(),
		           strerror(errno));
		doctor_fix(d, errno == EROFS ? "mount -o remount,rw %s" : "chmod 1777 %s", dir);
	} else {
		doctor_good(d, &shm, "%s may be written", dir);
	}
	if ((unsigned long)fs.f_type != TMPFS_MAGIC) {
		doctor_bad(d, &shm_type, "%s is not on tmpfs", dir);
		doctor_fix(d, "mount -t tmpfs -o size=1G,mode=1777 tmpfs %s", dir);
	}
	look_at_space(d, dir, &fs);
}

static void look_at_memlock(struct doctor *d)
{
	struct rlimit limit;
	struct fmt f;

	if (getrlimit(RLIMIT_MEMLOCK, &limit) < 0)
		return;
	if (doctor_has_cap(CAP_IPC_LOCK))
		doctor_good(d, &memlock, "no limit (CAP_IPC_LOCK)");
	else if (limit.rlim_cur == RLIM_INFINITY)
		doctor_good(d, &memlock, "no limit");
	else if (limit.rlim_cur >= LOCKED_ENOUGH)
		doctor_good(d, &memlock, "%s", fmt_bytes(&f, limit.rlim_cur));
	else {
		doctor_bad(d, &memlock, "%s may be locked", fmt_bytes(&f, limit.rlim_cur));
		if (doctor_in_container())
			doctor_fix(d, "not from inside this container: start it with --ulimit "
			              "memlock=-1");
		else
			doctor_fix(d, "prlimit --memlock=unlimited --pid $$");
	}
}

static void look_at_swap(struct doctor *d)
{
	char text[2048];
	/* The first line is a heading. */
	bool some = doctor_read(text, sizeof(text), "/proc/swaps") > 0 && strchr(text, '\n');

	if (!some) {
		doctor_good(d, &swap, "off");
		return;
	}
	doctor_bad(d, &swap, "on");
	doctor_fix(d, "%sswapoff -a", doctor_on_host());
}

void doctor_memory(struct doctor *d)
{
	look_at_shm(d);
	look_at_memlock(d);
	look_at_swap(d);
}
