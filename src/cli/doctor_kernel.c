/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The doctor on the kernel: its version, and the calls that it has, or that somebody forbids. */
#include <errno.h>
#include <myelon/waitset.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "doctor.h"
#include "probe.h"

enum { POPULATE_SINCE = 514 };

static const struct doctor_topic version = {
	"kernel", "kernel",
	"From 5.14 on a shortage of huge pages is an answer of the kernel and not a signal.", 0,
	DOCTOR_ALL};
static const struct doctor_topic membarrier = {
	"kernel", "membarrier",
	"With fence auto it makes publish free of fences; without it rings get full fences.", 0,
	DOCTOR_NUMA};
static const struct doctor_topic waitv = {"kernel", "futex-waitv",
                                          "Without io_uring a wait set sleeps on many rings with "
                                          "it; without either it looks every 10 ms.",
                                          0, 0};
static const struct doctor_topic futex2 = {
	"kernel", "futex2", "A newer form of the futex calls, not needed by anything yet.", 0, 0};
static const struct doctor_topic uring = {"kernel", "io-uring",
                                          "From 6.7 on the kernel wakes descriptors and wait sets "
                                          "by a ring's doorbell; otherwise the "
                                          "producer or a thread does.",
                                          0, 0};
static const struct doctor_topic engine = {"kernel", "wait-engine",
                                           "What wait sets sleep with; MYELON_ENGINE and an option "
                                           "choose it, for descriptor consumers, too.",
                                           0, 0};
static const struct doctor_topic pidfd = {
	"kernel", "pidfd",
	"It reports the end of a process at once; without it locks are asked now and then.", 0, 0};
static const struct doctor_topic getfd = {"kernel", "pidfd-getfd",
                                          "With it a producer takes a consumer's eventfd over "
                                          "without help; otherwise a socket carries it.",
                                          0, 0};
static const struct doctor_topic yama = {"kernel", "yama",
                                         "From 1 on, debuggers and pidfd_getfd reach only "
                                         "children: it hinders looking, not sending.",
                                         0, 0};
static const struct doctor_topic regular = {
	"kernel", "protected-regular",
	"It forbids opening others' files for creation in sticky directories; rings never do that.",
	0, 0};

static void look_at_version(struct doctor *d)
{
	struct utsname u;

	if (uname(&u) < 0)
		return;
	if (doctor_kernel_version(u.release) >= POPULATE_SINCE) {
		doctor_good(d, &version, "%s", u.release);
		return;
	}
	doctor_bad(d, &version, "%s", u.release);
	doctor_fix(d, "not without another kernel: 5.14 or later");
}

static bool filtered(void)
{
	char text[16];

	doctor_status("Seccomp", text, sizeof(text));
	return text[0] != '\0' && strcmp(text, "0") != 0;
}

static void look_at_call(struct doctor *d, const struct doctor_topic *topic, int rc,
                         const char *calls)
{
	if (rc == 0) {
		doctor_good(d, topic, "available");
		return;
	}
	/* Newer engines let their filters answer ENOSYS. */
	if (rc == -ENOSYS && !filtered()) {
		doctor_bad(d, topic, "not in this kernel");
		doctor_fix(d, "not without another kernel");
		return;
	}
	doctor_bad(d, topic, "%s (%s)",
	           filtered() ? "forbidden, probably by the seccomp filter" : "forbidden",
	           strerror(-rc));
	doctor_fix(d,
	           "not from inside this container: start it with a seccomp profile that allows %s "
	           "(--security-opt seccomp=FILE)",
	           calls);
}

static void look_at_uring(struct doctor *d)
{
	static const char file[] = "/proc/sys/kernel/io_uring_disabled";
	int rc = probe_io_uring();
	uint64_t disabled;

	if (rc == -EPERM && doctor_read_number(&disabled, file) && disabled) {
		doctor_bad(d, &uring, "forbidden: kernel.io_uring_disabled is %llu",
		           (unsigned long long)disabled);
		doctor_fix_write(d, file, "0");
		return;
	}
	if (rc == -EOPNOTSUPP) {
		doctor_bad(d, &uring, "available, but it cannot wait on futexes");
		doctor_fix(d, "not without another kernel: 6.7 or later");
		return;
	}
	look_at_call(d, &uring, rc, "io_uring_setup, io_uring_enter and io_uring_register");
}

/* What the library does, and not what it could: it may be built without liburing. */
static void look_at_engine(struct doctor *d)
{
	const struct myelon_waitset_opts opts = MYELON_WAITSET_OPTS(.engine = MYELON_ENGINE_URING);
	const char *env = getenv("MYELON_ENGINE");
	struct myelon_waitset *ws;
	enum myelon_engine got;

	if (!env || !*env)
		env = "not set";
	if (myelon_waitset_create(&ws, NULL) < 0) {
		doctor_bad(d, &engine, "%s", myelon_last_error());
		return;
	}
	got = myelon_waitset_engine(ws);
	myelon_waitset_close(ws);
	if (got == MYELON_ENGINE_URING || strcmp(env, "not set") != 0)
		doctor_good(d, &engine, "%s, MYELON_ENGINE is %s", myelon_engine_name(got), env);
	else if (myelon_waitset_create(&ws, &opts) < 0)
		doctor_bad(d, &engine, "%s, not uring: %s", myelon_engine_name(got),
		           myelon_last_error());
	else
		myelon_waitset_close(ws);
}

static void look_at_getfd(struct doctor *d)
{
	static const char file[] = "/proc/sys/kernel/yama/ptrace_scope";
	int rc = probe_pidfd_getfd();
	uint64_t scope;

	if (rc == -EPERM && doctor_read_number(&scope, "%s", file) && scope) {
		doctor_bad(d, &getfd, "forbidden: kernel.yama.ptrace_scope is %llu",
		           (unsigned long long)scope);
		doctor_fix_write(d, file, "0");
		return;
	}
	look_at_call(d, &getfd, rc, "pidfd_open and pidfd_getfd");
}

static void look_at_setting(struct doctor *d, const struct doctor_topic *topic, const char *file,
                            const char *name, uint64_t fine)
{
	uint64_t value;

	if (!doctor_read_number(&value, "%s", file)) {
		doctor_good(d, topic, "not in this kernel");
		return;
	}
	if (value <= fine) {
		doctor_good(d, topic, "%s is %llu", name, (unsigned long long)value);
		return;
	}
	doctor_bad(d, topic, "%s is %llu", name, (unsigned long long)value);
	doctor_fix_write(d, file, "0");
}

void doctor_kernel(struct doctor *d)
{
	look_at_version(d);
	look_at_call(d, &membarrier, probe_membarrier(), "membarrier");
	look_at_call(d, &waitv, probe_futex_waitv(), "futex_waitv");
	look_at_call(d, &futex2, probe_futex2(), "futex_wake, futex_wait and futex_requeue");
	look_at_uring(d);
	look_at_engine(d);
	look_at_call(d, &pidfd, probe_pidfd(), "pidfd_open");
	look_at_getfd(d);
	look_at_setting(d, &yama, "/proc/sys/kernel/yama/ptrace_scope", "kernel.yama.ptrace_scope",
	                0);
	/* Any value will do. */
	look_at_setting(d, &regular, "/proc/sys/fs/protected_regular", "fs.protected_regular",
	                UINT64_MAX);
}
