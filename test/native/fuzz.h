// SPDX-License-Identifier: Apache-2.0
#ifndef FUZZ_H
#define FUZZ_H

#include <stdlib.h>

#include "../../native/util.h"

/* Whatever bytes come: nothing is read or written out of bounds, and what is accepted keeps what the headers promise. */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define must(condition)          \
	do {                     \
		if (!(condition)) \
			abort(); \
	} while (0)

/* The bytes in an allocation of their very size and `spare` more, so that the sanitizer sees every step too far. */
static inline uint8_t *copy_exactly(const uint8_t *data, size_t size, size_t spare)
{
	uint8_t *exact = malloc(size + spare ? size + spare : 1);

	must(exact);
	if (size)
		memcpy(exact, data, size);
	return exact;
}

/* Reads a string to its end, for the sanitizer. */
static inline void walk(const char *text)
{
	volatile size_t length = strlen(text);

	(void)length;
}

static inline void walk_all(char *const *list)
{
	while (*list)
		walk(*list++);
}

#endif
