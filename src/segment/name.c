/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Names, paths and ids. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "segment/control.h"
#include "segment/data.h"

static bool legal(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '-' || c == '.';
}

/* What is wrong with a name of a ring, a file or a consumer. */
static int check(const char *name, const char *what)
{
	size_t n;

	if (!name || !*name)
		return mye_fail(-EINVAL, "%s is empty: give 1 to %d characters of [A-Za-z0-9_.-]",
		                what, MYELON_NAME_MAX);
	if (name[0] == '.')
		return mye_fail(-EINVAL,
		                "%s '%.80s' begins with a dot: start it with another one "
		                "of [A-Za-z0-9_-]",
		                what, name);
	for (n = 0; name[n]; n++) {
		unsigned char c = (unsigned char)name[n];

		if (legal(name[n]))
			continue;
		if (c > ' ' && c < 0x7f)
			return mye_fail(-EINVAL,
			                "%s has the character '%c' at offset %zu: only "
			                "[A-Za-z0-9_.-] are allowed",
			                what, c, n);
		return mye_fail(-EINVAL,
		                "%s has the byte 0x%02x at offset %zu: only [A-Za-z0-9_.-] are "
		                "allowed",
		                what, c, n);
	}
	if (n > MYELON_NAME_MAX)
		return mye_fail(-ENAMETOOLONG,
		                "%s '%.80s' has %zu characters: at most %d are allowed", what, name,
		                n, MYELON_NAME_MAX);
	return 0;
}

int mye_id_check(const char *id)
{
	return check(id, "the consumer id");
}

void mye_place_path(const struct mye_place *place, char *buf, size_t cap)
{
	const char *slash = place->dir[0] && place->dir[strlen(place->dir) - 1] == '/' ? "" : "/";

	if (snprintf(buf, cap, "%s%s%s", place->dir, slash, place->file) >= (int)cap)
		buf[cap - 1] = '\0';
}

static int copy_dir(char *to, const char *from, const char *what)
{
	size_t n = strlen(from);

	if (n >= MYE_PATH_MAX - 64)
		return mye_fail(-ENAMETOOLONG, "%s has %zu bytes: at most %d are possible", what, n,
		                MYE_PATH_MAX - 65);
	memcpy(to, from, n + 1);
	return 0;
}

static int resolve_path(struct mye_place *place, const char *name)
{
	const char *last = strrchr(name, '/') + 1;
	size_t n = strlen(name), dir = (size_t)(last - name);
	int rc = check(last, "the last part of the path");

	if (rc < 0)
		return rc;
	if (n >= sizeof(place->name))
		return mye_fail(-ENAMETOOLONG,
		                "the path '%.80s...' has %zu bytes: at most %zu are "
		                "allowed",
		                name, n, sizeof(place->name) - 1);
	if (strlen(last) > 5 && strcmp(last + strlen(last) - 5, ".data") == 0)
		return mye_fail(-EINVAL,
		                "the path '%s' ends in .data, which is how the slots of a "
		                "plain-file ring are called: choose another name",
		                name);
	/* In a shm directory gc would judge it. */
	if (strncmp(last, MYE_CONTROL_PREFIX, sizeof(MYE_CONTROL_PREFIX) - 1) == 0 ||
	    strncmp(last, MYE_DATA_PREFIX, sizeof(MYE_DATA_PREFIX) - 1) == 0)
		return mye_fail(
			-EINVAL,
			"the path '%s' has a file name that begins with %s, as the files of "
			"rings in a shm directory do: choose another name, or give the name "
			"of a ring instead of a path",
			name,
			last[sizeof(MYE_CONTROL_PREFIX) - 2] == '.' ? MYE_CONTROL_PREFIX
								    : MYE_DATA_PREFIX);
	place->plain = true;
	memcpy(place->name, name, n + 1);
	memcpy(place->file, last, strlen(last) + 1);
	/* Keep the slash only where it is the whole directory. */
	if (dir > 1)
		dir--;
	memcpy(place->dir, name, dir);
	place->dir[dir] = '\0';
	return 0;
}

int mye_place_resolve(struct mye_place *place, const char *name, const char *shm_dir,
                      const char *hugetlb_dir)
{
	int rc;

	memset(place, 0, sizeof(*place));
	if (!hugetlb_dir || !*hugetlb_dir)
		hugetlb_dir = mye_env("MYELON_HUGETLB_DIR");
	if (hugetlb_dir) {
		rc = copy_dir(place->hugetlb_dir, hugetlb_dir, "the hugetlbfs directory");
		if (rc < 0)
			return rc;
	}
	if (name && strchr(name, '/'))
		return resolve_path(place, name);
	rc = check(name, "the ring name");
	if (rc < 0)
		return rc;
	if (!shm_dir || !*shm_dir)
		shm_dir = mye_env("MYELON_SHM_DIR");
	rc = copy_dir(place->dir, shm_dir ? shm_dir : "/dev/shm", "the shm directory");
	if (rc < 0)
		return rc;
	memcpy(place->name, name, strlen(name) + 1);
	memcpy(place->file, MYE_CONTROL_PREFIX, sizeof(MYE_CONTROL_PREFIX));
	memcpy(place->file + sizeof(MYE_CONTROL_PREFIX) - 1, name, strlen(name) + 1);
	return 0;
}

bool mye_place_of_file(struct mye_place *place, const char *dir, const char *hugetlb_dir,
                       const char *file)
{
	const size_t prefix = sizeof(MYE_CONTROL_PREFIX) - 1;

	if (strncmp(file, MYE_CONTROL_PREFIX, prefix) != 0)
		return false;
	for (size_t i = prefix; file[i]; i++)
		if (!legal(file[i]) || i - prefix >= MYELON_NAME_MAX)
			return false;
	if (!file[prefix] || file[prefix] == '.')
		return false;
	return mye_place_resolve(place, file + prefix, dir, hugetlb_dir) == 0;
}
