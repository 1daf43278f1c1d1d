/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "machine.h"
#include "clock.h"
#include "git_commit.h"
#include "json.h"

#include <myelon/version.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

/* Copies what follows @field and its colon in the first line that begins with it. */
static bool field_of(const char *path, const char *field, char *value, size_t size)
{
	char line[8192];
	size_t n = strlen(field);
	bool found = false;
	FILE *f = fopen(path, "re");

	value[0] = '\0';
	if (!f)
		return false;
	while (!found && fgets(line, sizeof(line), f)) {
		char *at = line + n;

		if (strncmp(line, field, n) != 0)
			continue;
		at += strspn(at, " \t:");
		at[strcspn(at, "\n")] = '\0';
		(void)snprintf(value, size, "%s", at);
		found = true;
	}
	(void)fclose(f);
	return found;
}

/* A file of one line, such as sysfs has; false if it cannot be read. */
static bool line_of(const char *path, char *value, size_t size)
{
	return field_of(path, "", value, size);
}

static const char *cpu_model(char *buf, size_t size)
{
	if (field_of("/proc/cpuinfo", "model name", buf, size) ||
	    field_of("/proc/cpuinfo", "CPU part", buf, size))
		return buf;
	return "unknown";
}

static bool virtualised(void)
{
	char flags[8192], vendor[64];

	if (field_of("/proc/cpuinfo", "flags", flags, sizeof(flags)))
		return strstr(flags, " hypervisor") != NULL;
	return line_of("/sys/hypervisor/type", vendor, sizeof(vendor));
}

static const char *governor(int cpu, char *buf, size_t size)
{
	char path[96];

	(void)snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/cpufreq/scaling_governor",
	               cpu);
	return line_of(path, buf, size) ? buf : NULL;
}

static uint64_t meminfo(const char *field)
{
	char value[64];

	return field_of("/proc/meminfo", field, value, sizeof(value)) ? strtoull(value, NULL, 10)
	                                                              : 0;
}

static void list_of(const int *cpus, unsigned int n, char *buf, size_t size)
{
	size_t at = 0;

	buf[0] = '\0';
	for (unsigned int i = 0; i < n && at < size; i++)
		at += (size_t)snprintf(buf + at, size - at, "%s%d", i ? "," : "", cpus[i]);
}

void bench_machine_json(struct json *j, const int *cpus, unsigned int cpu_count)
{
	char buf[512];
	struct utsname u;

	uname(&u);
	json_object(j, "machine");
	json_string(j, "cpu", cpu_model(buf, sizeof(buf)));
	json_array(j, "cores");
	for (unsigned int i = 0; i < cpu_count; i++)
		json_uint(j, NULL, (uint64_t)cpus[i]);
	json_array_end(j);
	json_uint(j, "cores_online", (uint64_t)sysconf(_SC_NPROCESSORS_ONLN));
	json_string(j, "kernel", u.release);
	json_string(j, "arch", u.machine);
	json_string(j, "governor", governor(cpus[0], buf, sizeof(buf)));
	json_bool(j, "virtualised", virtualised());
	json_string(j, "isolated_cpus",
	            line_of("/sys/devices/system/cpu/isolated", buf, sizeof(buf)) ? buf : NULL);
	json_uint(j, "page_size", (uint64_t)sysconf(_SC_PAGESIZE));
	json_uint(j, "huge_page_size", meminfo("Hugepagesize") * 1024);
	json_uint(j, "huge_pages", meminfo("HugePages_Total"));
	json_uint(j, "huge_pages_free", meminfo("HugePages_Free"));
	json_string(j, "clock", bench_clock.tsc ? "tsc" : "monotonic");
	json_double(j, "clock_step_ns", bench_clock_step_ns());
	json_string(j, "compiler", __VERSION__);
#ifdef __OPTIMIZE__
	json_bool(j, "optimised", true);
#else
	json_bool(j, "optimised", false);
#endif
	json_string(j, "version", myelon_version());
	json_string(j, "git_commit", MYELON_GIT_COMMIT[0] ? MYELON_GIT_COMMIT : NULL);
	json_object_end(j);
}

void bench_machine_print(const int *cpus, unsigned int cpu_count)
{
	char model[512], mode[64], cores[256];
	struct utsname u;

	uname(&u);
	list_of(cpus, cpu_count, cores, sizeof(cores));
	printf("%s, CPUs %s%s, Linux %s, governor %s, clock step %.1f ns\n",
	       cpu_model(model, sizeof(model)), cores, virtualised() ? " (virtual machine)" : "",
	       u.release, governor(cpus[0], mode, sizeof(mode)) ? mode : "unknown",
	       bench_clock_step_ns());
#ifndef __OPTIMIZE__
	printf("This build is not optimised: the figures say little.\n");
#endif
}
