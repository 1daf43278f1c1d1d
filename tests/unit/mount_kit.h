/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* A file system that only the running test sees, and that goes with its process. */
#ifndef MYELON_TEST_MOUNT_KIT_H
#define MYELON_TEST_MOUNT_KIT_H

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "kit.h"

/* Mounts @type with @options at <test tmp>/<name>; skips the test where that is not allowed. */
static inline void mount_private(char *dir, size_t cap, const char *name, const char *type,
                                 const char *options)
{
	static bool apart;

	snprintf(dir, cap, "%s/%s", kit_tmp_dir(), name);
	if (!apart && (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL)))
		kit_skip("root", "cannot make a mount namespace");
	apart = true;
	mkdir(dir, 0700);
	if (mount("none", dir, type, 0, options))
		kit_skip("root", strerror(errno));
}

#endif
