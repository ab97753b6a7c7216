// SPDX-License-Identifier: Apache-2.0
#ifndef VECTORS_H
#define VECTORS_H

#include "harness.h"

/*
 * The byte vectors that the TypeScript side is held to as well: name, bytes of the whole frame in hex, text.
 * `name("a string",1)` for each operation, `?` behind it for MAY_FAIL and `!` for IF_FAILED; " and \ are escaped by \. Bytes are
 * hex in quotes.
 */

static const char *vectors_path;

static inline size_t from_hex(const char *hex, uint8_t *out)
{
	size_t length = strlen(hex) / 2;

	for (size_t i = 0; i < length; i++) {
		unsigned byte = 0;

		sscanf(hex + 2 * i, "%2x", &byte);
		out[i] = (uint8_t)byte;
	}
	return length;
}

/* Calls `each` for every vector. Returns how many there are. */
static inline int for_each_vector(void (*each)(const char *name, uint8_t *bytes, size_t length, const char *text))
{
	FILE *file = fopen(vectors_path, "r");
	char line[16384];
	int count = 0;

	check(file != NULL);
	while (file && fgets(line, sizeof(line), file)) {
		uint8_t bytes[8192];
		char *hex = strchr(line, '\t'), *text = hex ? strchr(hex + 1, '\t') : NULL;

		check(text != NULL);
		if (!text)
			continue;
		*hex++ = *text++ = 0;
		text[strcspn(text, "\n")] = 0;
		each(line, bytes, from_hex(hex, bytes), text);
		count++;
	}
	if (file)
		fclose(file);
	return count;
}

/* True if the text is of a frame that goes to the supervisor. */
static inline bool is_message(const char *text)
{
	return !strncmp(text, "reply ", 6) || !strncmp(text, "exited ", 7) ||
	       !strncmp(text, "counts ", 7) || !strncmp(text, "notified ", 9);
}

#endif
