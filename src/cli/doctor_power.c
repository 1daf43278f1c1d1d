/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The doctor on what a wake costs: idle states, timers, the clock. */
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "doctor.h"

#define CLOCK_DIR "/sys/devices/system/clocksource/clocksource0"
enum { SLACK_DEFAULT_NS = 50000 };

static const struct doctor_topic latency = {"waking", "dma-latency",
                                            "Who may write this device can keep CPUs out of idle "
                                            "states that take 10 to 200 us to leave.",
                                            0, DOCTOR_LOW_POWER | DOCTOR_NUMA};
static const struct doctor_topic slack = {
	"waking", "timer-slack",
	"Timed sleeps (strategy sleep, deadlines) end later by up to that; wakes of park do not.",
	0, 0};
static const struct doctor_topic clock_source = {
	"waking", "clock-source",
	"Deadlines read the clock; sources other than the CPU's counter make that a system call.",
	0, DOCTOR_PINNED | DOCTOR_NUMA | DOCTOR_LOW_POWER};

static void look_at_latency(struct doctor *d)
{
	static const char device[] = "/dev/cpu_dma_latency";
	char driver[64];

	doctor_read(driver, sizeof(driver), "/sys/devices/system/cpu/cpuidle/current_driver");
	if (!driver[0] || strcmp(driver, "none") == 0) {
		doctor_note(d, &latency, "no idle states here: a host may have them unseen");
	} else if (access(device, W_OK) == 0) {
		doctor_good(d, &latency, "%s may be written", device);
	} else if (access(device, F_OK) == 0) {
		doctor_bad(d, &latency, "%s may not be written by user %u", device, geteuid());
		doctor_fix(d, "chown %u %s", geteuid(), device);
	} else {
		doctor_bad(d, &latency, "%s is not here", device);
		doctor_fix(d, "not from inside this container: start it with --device %s", device);
	}
}

static void look_at_slack(struct doctor *d)
{
	int ns = prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0);

	if (ns < 0)
		return;
	if (ns < SLACK_DEFAULT_NS) {
		doctor_good(d, &slack, "%d ns", ns);
		return;
	}
	doctor_note(d, &slack, "%d ns", ns);
	/* Each thread has its own and inherits it: the shell gives it to what it starts. */
	doctor_fix(d, "echo 1 > /proc/$$/timerslack_ns");
}

static bool is_word(const char *list, const char *word)
{
	size_t len = strlen(word);
	const char *at = list;

	while ((at = strstr(at, word))) {
		if ((at == list || at[-1] == ' ') && (at[len] == ' ' || at[len] == '\0'))
			return true;
		at += len;
	}
	return false;
}

static void look_at_clock(struct doctor *d)
{
	/* Those that the vDSO reads without the kernel. */
	static const char fast[] = "tsc arch_sys_counter kvm-clock hyperv_clocksource_tsc_page";
	char now[64], available[256];

	if (doctor_read(now, sizeof(now), CLOCK_DIR "/current_clocksource") <= 0)
		return;
	doctor_read(available, sizeof(available), CLOCK_DIR "/available_clocksource");
	if (is_word(fast, now)) {
		doctor_good(d, &clock_source, "%s", now);
		return;
	}
	doctor_bad(d, &clock_source, "%s", now);
	if (is_word(available, "tsc"))
		doctor_fix_write(d, CLOCK_DIR "/current_clocksource", "tsc");
	else
		doctor_fix(d, "%sadd tsc=reliable to the kernel command line, if the counter is",
		           doctor_on_host());
}

void doctor_power(struct doctor *d)
{
	look_at_latency(d);
	look_at_slack(d);
	look_at_clock(d);
}
