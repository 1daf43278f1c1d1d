/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What only the kernel can tell: does it do this for us? Nothing stays behind. */
#ifndef CLI_PROBE_H
#define CLI_PROBE_H

#include "doctor.h"

/* Each: 0 (it works), or negative errno: -ENOSYS (not in this kernel), -EPERM (forbidden). */
int probe_membarrier(void);
/* Also -EOPNOTSUPP: io_uring works, but its requests do not wait on futexes (before Linux 6.7). */
int probe_io_uring(void);
int probe_futex_waitv(void);
int probe_futex2(void);
int probe_pidfd(void);
/* From a process that is not its descendant, as producers and consumers are to each other. */
int probe_pidfd_getfd(void);
int probe_mbind(void);
int probe_move_pages(void);

/* The CPUs that this process may be pinned to. */
void probe_cpus(struct doctor_set *cpus);

#endif
