/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* Small files of /proc and /sys, and what is written in them. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "doctor.h"

const char *doctor_root = "";

static int read_path(char *text, size_t cap, const char *path)
{
	char full[1024];
	ssize_t n = 0;
	size_t len = 0;
	int fd;

	text[0] = '\0';
	if (snprintf(full, sizeof(full), "%s%s", doctor_root, path) >= (int)sizeof(full))
		return -ENAMETOOLONG;
	fd = open(full, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	while (len + 1 < cap && (n = read(fd, text + len, cap - 1 - len)) > 0)
		len += (size_t)n;
	if (n < 0)
		len = 0;
	close(fd);
	while (len > 0 && text[len - 1] == '\n')
		len--;
	text[len] = '\0';
	return n < 0 ? -EIO : (int)len;
}

int doctor_read(char *text, size_t cap, const char *path, ...)
{
	char full[768];
	va_list ap;

	va_start(ap, path);
	vsnprintf(full, sizeof(full), path, ap);
	va_end(ap);
	return read_path(text, cap, full);
}

bool doctor_read_number(uint64_t *number, const char *path, ...)
{
	char full[768], text[64], *end;
	va_list ap;

	va_start(ap, path);
	vsnprintf(full, sizeof(full), path, ap);
	va_end(ap);
	*number = 0;
	if (read_path(text, sizeof(text), full) <= 0)
		return false;
	*number = strtoull(text, &end, 10);
	return end != text && *end == '\0';
}

bool doctor_chosen(const char *text, char *word, size_t cap)
{
	const char *open = strchr(text, '['), *close = open ? strchr(open, ']') : NULL;

	if (!close)
		return false;
	snprintf(word, cap, "%.*s", (int)(close - open - 1), open + 1);
	return true;
}

const char *doctor_status(const char *key, char *text, size_t cap)
{
	char all[8192], *at = all;
	size_t len = strlen(key);

	text[0] = '\0';
	doctor_read(all, sizeof(all), "/proc/self/status");
	while (at && (strncmp(at, key, len) != 0 || at[len] != ':')) {
		at = strchr(at, '\n');
		at = at ? at + 1 : NULL;
	}
	if (!at)
		return text;
	at += len + 1;
	at += strspn(at, " \t");
	snprintf(text, cap, "%.*s", (int)strcspn(at, "\n"), at);
	return text;
}

bool doctor_has_cap(int capability)
{
	char text[32];

	doctor_status("CapEff", text, sizeof(text));
	return strtoull(text, NULL, 16) >> capability & 1;
}

static bool exists(const char *path)
{
	char full[512];

	snprintf(full, sizeof(full), "%s%s", doctor_root, path);
	return access(full, F_OK) == 0;
}

bool doctor_initial_pids(void)
{
	/* Its inode is fixed in the kernel (PROC_PID_INIT_INO). */
	static const char initial[] = "pid:[4026531836]";
	char path[512], link[64] = "";

	snprintf(path, sizeof(path), "%s/proc/self/ns/pid", doctor_root);
	return readlink(path, link, sizeof(link) - 1) > 0 && strcmp(link, initial) == 0;
}

const char *doctor_in_container(void)
{
	char text[4096];

	/* An image that was booted as a machine carries the marks of a container without being one. */
	doctor_status("CapBnd", text, sizeof(text));
	if (doctor_initial_pids() && strtoull(text, NULL, 16) >> CAP_SYS_ADMIN & 1)
		return NULL;
	if (exists("/.dockerenv"))
		return "docker";
	if (exists("/run/.containerenv"))
		return "podman";
	doctor_read(text, sizeof(text), "/proc/self/cgroup");
	if (strstr(text, "kubepods"))
		return "kubernetes";
	if (strstr(text, "/docker/") || strstr(text, "/docker-"))
		return "docker";
	if (strstr(text, "/lxc"))
		return "lxc";
	if (doctor_read(text, sizeof(text), "/run/systemd/container") > 0)
		return "systemd-nspawn";
	return NULL;
}

unsigned doctor_kernel_version(const char *release)
{
	unsigned major, minor;

	if (sscanf(release, "%u.%u", &major, &minor) != 2 || minor > 99)
		return 0;
	return major * 100 + minor;
}

void doctor_set_add(struct doctor_set *set, unsigned bit)
{
	if (bit < DOCTOR_SET_BITS)
		set->words[bit / 64] |= UINT64_C(1) << bit % 64;
}

bool doctor_set_has(const struct doctor_set *set, unsigned bit)
{
	return bit < DOCTOR_SET_BITS && (set->words[bit / 64] >> bit % 64 & 1);
}

void doctor_set_parse(struct doctor_set *set, const char *list)
{
	memset(set, 0, sizeof(*set));
	while (*list >= '0' && *list <= '9') {
		char *end;
		unsigned long first = strtoul(list, &end, 10), last = first;

		if (*end == '-')
			last = strtoul(end + 1, &end, 10);
		for (unsigned long i = first; i <= last && i < DOCTOR_SET_BITS; i++)
			doctor_set_add(set, (unsigned)i);
		list = *end == ',' ? end + 1 : "";
	}
}

unsigned doctor_set_count(const struct doctor_set *set)
{
	unsigned n = 0;

	for (size_t i = 0; i < DOCTOR_SET_BITS / 64; i++)
		n += (unsigned)__builtin_popcountll(set->words[i]);
	return n;
}

struct doctor_set doctor_set_and(const struct doctor_set *a, const struct doctor_set *b)
{
	struct doctor_set both;

	for (size_t i = 0; i < DOCTOR_SET_BITS / 64; i++)
		both.words[i] = a->words[i] & b->words[i];
	return both;
}

const char *doctor_set_text(const struct doctor_set *set, char *text, size_t cap)
{
	size_t len = 0;

	snprintf(text, cap, "none");
	for (unsigned i = 0; i < DOCTOR_SET_BITS; i++) {
		unsigned first = i;
		int n;

		if (!doctor_set_has(set, i))
			continue;
		while (doctor_set_has(set, i + 1))
			i++;
		n = first == i
		            ? snprintf(text + len, cap - len, "%s%u", len ? "," : "", i)
		            : snprintf(text + len, cap - len, "%s%u-%u", len ? "," : "", first, i);
		if (n < 0 || (size_t)n >= cap - len)
			break;
		len += (size_t)n;
	}
	return text;
}
