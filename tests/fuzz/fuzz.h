/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What fuzz programs share. */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* Called by libFuzzer or driver.c, also with @size 0. Memory around @data is not the program's. @return 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A promise; when it is broken, the input is kept and the program ends. */
#define FUZZ_CHECK(promise)                                                                        \
	do {                                                                                       \
		if (!(promise)) {                                                                  \
			fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #promise);    \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

#endif
