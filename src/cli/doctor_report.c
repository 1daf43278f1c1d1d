/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What the doctor found, for people and for programs. */
#include <stdio.h>
#include <string.h>

#include "doctor.h"
#include "json.h"

static const char *const state_names[] = {
	[DOCTOR_OK] = "ok",
	[DOCTOR_NOTE] = "note",
	[DOCTOR_WARN] = "warn",
	[DOCTOR_FAIL] = "fail",
};

static unsigned count(const struct doctor *d, enum doctor_state state)
{
	unsigned n = 0;

	for (unsigned i = 0; i < d->count; i++)
		n += d->checks[i].state == state;
	return n;
}

unsigned doctor_failures(const struct doctor *d)
{
	return count(d, DOCTOR_FAIL);
}

const char *doctor_profile_name(const struct doctor *d)
{
	return d->profile == DOCTOR_ANY
	               ? NULL
	               : myelon_profile_name((enum myelon_profile)__builtin_ctz(d->profile));
}

static void print_check(const struct doctor_check *c, int width)
{
	printf("  %-4s  %-*s  %s\n", state_names[c->state], width, c->id, c->found);
	if (c->state == DOCTOR_OK)
		return;
	printf("  %*s  why: %s\n", 6 + width, "", c->topic->why);
	if (c->fix[0])
		printf("  %*s  fix: %s\n", 6 + width, "", c->fix);
}

void doctor_print(const struct doctor *d)
{
	const char *name = doctor_profile_name(d), *group = "";
	unsigned failures = doctor_failures(d), warnings = count(d, DOCTOR_WARN);
	int width = 0;

	for (unsigned i = 0; i < d->count; i++) {
		int len = (int)strlen(d->checks[i].id);

		width = len > width ? len : width;
	}
	for (unsigned i = 0; i < d->count; i++) {
		if (strcmp(group, d->checks[i].topic->group) != 0) {
			group = d->checks[i].topic->group;
			printf("%s%s\n", i ? "\n" : "", group);
		}
		print_check(&d->checks[i], width);
	}
	printf("\nready for %s: %s, %u to fix", name ? name : "rings in general",
	       failures ? "no" : "yes", failures);
	if (warnings)
		printf(", %u warning%s", warnings, warnings == 1 ? "" : "s");
	putchar('\n');
}

void doctor_print_json(const struct doctor *d)
{
	struct json j;

	json_begin(&j, stdout, false);
	json_object(&j, NULL);
	json_string(&j, "profile", doctor_profile_name(d));
	json_bool(&j, "ready", doctor_failures(d) == 0);
	json_array(&j, "checks");
	for (unsigned i = 0; i < d->count; i++) {
		const struct doctor_check *c = &d->checks[i];

		json_object(&j, NULL);
		json_string(&j, "id", c->id);
		json_string(&j, "group", c->topic->group);
		json_string(&j, "state", state_names[c->state]);
		json_string(&j, "found", c->found);
		json_string(&j, "why", c->topic->why);
		json_string(&j, "fix", c->fix[0] ? c->fix : NULL);
		json_object_end(&j);
	}
	json_array_end(&j);
	json_object_end(&j);
	json_end(&j);
}
