/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Numbers out of memory that somebody else may change: each is read once, wherever it lies, so that what was checked is
 * what is used. The empty statement may have changed the value, as far as the compiler knows: it cannot read it again.
 */
#ifndef MYELON_ONCE_H
#define MYELON_ONCE_H

#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MYELON_ONCE_(bits)                                                                         \
	static inline uint##bits##_t myelon_once_u##bits##_(const void *at)                        \
	{                                                                                          \
		uint##bits##_t value;                                                              \
                                                                                                   \
		memcpy(&value, at, sizeof(value));                                                 \
		__asm__("" : "+r"(value));                                                         \
		return value;                                                                      \
	}
MYELON_ONCE_(8)
MYELON_ONCE_(16)
MYELON_ONCE_(32)
MYELON_ONCE_(64)
#undef MYELON_ONCE_

#ifdef __cplusplus
}
#endif
#endif
