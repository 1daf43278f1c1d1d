/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The other side of test_kit.c: kit_actor ROLE. */
#include "kit.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	const char *role = argc > 1 ? argv[1] : "";
	struct kit_page *page = kit_page_attach();
	unsigned char buf[100];

	if (!page) {
		fprintf(stderr, "no page\n");
		return 2;
	}
	if (strcmp(role, "meet") == 0) {
		if (!kit_barrier(page, 0, 2, 10))
			return 3;
		kit_fill(buf, sizeof(buf), 1, 2);
		page->result[0].hash = kit_hash(0, buf, sizeof(buf));
		page->result[0].count = 1;
		kit_violation(&page->result[0], "first %d", 1);
		kit_violation(&page->result[0], "second");
		puts("said something");
		return 5;
	}
	if (strcmp(role, "hang") == 0) {
		kit_set(page, 3, 7);
		for (;;)
			pause();
	}
	return 4;
}
