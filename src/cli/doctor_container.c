/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The doctor on what this process is: container, namespaces, seccomp, capabilities. */
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "doctor.h"

static const struct doctor_topic container = {
	"process", "container",
	"Rings are seen by those who share /dev/shm: give containers one, with --ipc=host or "
	"--ipc=container:NAME.",
	0, 0};
static const struct doctor_topic pids = {"process", "pid-namespace",
                                         "Pids in reports mean nothing to processes of another "
                                         "namespace; who is alive is told by locks.",
                                         0, 0};
static const struct doctor_topic seccomp = {
	"process", "seccomp", "A filter answers calls that it does not know with EPERM.", 0, 0};

static const struct {
	int number;
	const char *flag; /* of docker run --cap-add */
	const char *file; /* of setcap */
	struct doctor_topic topic;
} caps[] = {
	{CAP_SYS_NICE,
         "SYS_NICE",
         "cap_sys_nice",
         {"process", "cap-sys-nice",
          "Container profiles allow mbind only with it; elsewhere it is for real-time priorities.",
          0, 0}},
	{CAP_SYS_ADMIN,
         "SYS_ADMIN",
         "cap_sys_admin",
         {"process", "cap-sys-admin", "It is needed to mount hugetlbfs, not to use it.", 0, 0}},
	{CAP_IPC_LOCK,
         "IPC_LOCK",
         "cap_ipc_lock",
         {"process", "cap-ipc-lock", "It lifts the limit of locked memory.", 0, 0}},
	{CAP_SYS_PTRACE,
         "SYS_PTRACE",
         "cap_sys_ptrace",
         {"process", "cap-sys-ptrace", "It is needed to look into processes of other users.", 0,
          0}},
};

static void look_at_container(struct doctor *d)
{
	const char *kind = doctor_in_container();

	if (kind)
		doctor_note(d, &container, "%s", kind);
	else
		doctor_good(d, &container, "none that can be recognised");
	if (doctor_initial_pids())
		doctor_good(d, &pids, "the initial one");
	else
		doctor_note(d, &pids, "a nested one");
}

static void look_at_seccomp(struct doctor *d)
{
	char text[16];

	doctor_status("Seccomp", text, sizeof(text));
	if (text[0] == '\0' || strcmp(text, "0") == 0)
		doctor_good(d, &seccomp, "no filter");
	else
		doctor_note(d, &seccomp, "a filter is in force (mode %s)", text);
}

static void look_at_caps(struct doctor *d)
{
	for (size_t i = 0; i < sizeof(caps) / sizeof(caps[0]); i++) {
		if (doctor_has_cap(caps[i].number)) {
			doctor_good(d, &caps[i].topic, "yes");
			continue;
		}
		doctor_bad(d, &caps[i].topic, "no");
		if (doctor_in_container())
			doctor_fix(d, "not from inside this container: start it with --cap-add %s",
			           caps[i].flag);
		else
			doctor_fix(d, "setcap %s+ep PROGRAM", caps[i].file);
	}
}

void doctor_container(struct doctor *d)
{
	look_at_container(d);
	look_at_seccomp(d);
	look_at_caps(d);
}
