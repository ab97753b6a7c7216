// SPDX-License-Identifier: Apache-2.0
#ifndef RLKIT_UTIL_H
#define RLKIT_UTIL_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A descriptor or an allocation that ends with its scope: cleanup_fd int fd = -1; errno survives. */
static inline void cleanup_close(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	errno = saved;
}

static inline void cleanup_release(void *memory)
{
	free(*(void **)memory);
}

#define cleanup_fd __attribute__((cleanup(cleanup_close)))
#define cleanup_free __attribute__((cleanup(cleanup_release)))

/* What a system call returned, as value or -errno. */
static inline int result_of(long returned)
{
	return returned < 0 ? -errno : (int)returned;
}

/* Appends decimal digits and NUL to a text that ends at `at`. Returns its new end, as stpcpy(3) does. */
static inline char *put_number(char *at, size_t number)
{
	if (number >= 10)
		at = put_number(at, number / 10);
	at[0] = (char)('0' + number % 10);
	at[1] = 0;
	return at + 1;
}

/*
 * Reads little-endian data from at to end. What would lie beyond the end reads as 0, "" or NULL and makes it bad, for good, so
 * that callers look once, after the last field.
 */
struct reader {
	uint8_t *at;
	uint8_t *end;
	bool bad;
};

static inline bool reader_has(struct reader *r, size_t bytes)
{
	if (!r->bad && (size_t)(r->end - r->at) >= bytes)
		return true;
	r->bad = true;
	return false;
}

static inline uint64_t read_uint(struct reader *r, size_t bytes)
{
	uint64_t value = 0;

	if (!reader_has(r, bytes))
		return 0;
	for (size_t i = 0; i < bytes; i++)
		value |= (uint64_t)r->at[i] << (8 * i);
	r->at += bytes;
	return value;
}

static inline uint8_t read_u8(struct reader *r)
{
	return (uint8_t)read_uint(r, 1);
}

static inline uint16_t read_u16(struct reader *r)
{
	return (uint16_t)read_uint(r, 2);
}

static inline uint32_t read_u32(struct reader *r)
{
	return (uint32_t)read_uint(r, 4);
}

static inline int32_t read_i32(struct reader *r)
{
	return (int32_t)read_u32(r);
}

static inline uint64_t read_u64(struct reader *r)
{
	return read_uint(r, 8);
}

/*
 * A str, NUL-terminated where it lies: it moves down over its own length, which has been read, and that makes room for the NUL.
 * The bytes can therefore be read only once.
 */
static inline char *read_str(struct reader *r)
{
	size_t length = read_u32(r);
	uint8_t *text = r->at - sizeof(uint32_t);

	if (!reader_has(r, length))
		return NULL;
	if (memchr(r->at, 0, length)) {
		r->bad = true;
		return NULL;
	}
	memmove(text, r->at, length);
	text[length] = 0;
	r->at += length;
	return (char *)text;
}

/* A bytes: where they lie, and their length in *length. */
static inline uint8_t *read_bytes(struct reader *r, size_t *length)
{
	uint8_t *bytes;

	*length = read_u32(r);
	if (!reader_has(r, *length))
		*length = 0;
	bytes = r->at;
	r->at += *length;
	return bytes;
}

/* A strs as a NULL-terminated array in the form of execve(2). The caller frees the array; NULL if it is bad or memory is short. */
static inline char **read_strs(struct reader *r)
{
	size_t count = read_u16(r);
	char **list;

	if (!reader_has(r, count * sizeof(uint32_t))) /* before memory is spent on a count that cannot be true */
		return NULL;
	list = calloc(count + 1, sizeof(*list));
	for (size_t i = 0; list && i < count; i++)
		list[i] = read_str(r);
	if (!list)
		r->bad = true;
	return list;
}

/* Appends little-endian data from at to end; what would not fit is left out and makes it full. */
struct writer {
	uint8_t *at;
	uint8_t *end;
	bool full;
};

static inline void write_uint(struct writer *w, size_t bytes, uint64_t value)
{
	if (w->full || (size_t)(w->end - w->at) < bytes) {
		w->full = true;
		return;
	}
	for (size_t i = 0; i < bytes; i++)
		*w->at++ = (uint8_t)(value >> (8 * i));
}

static inline void write_str(struct writer *w, const char *text)
{
	size_t length = strlen(text);

	write_uint(w, sizeof(uint32_t), length);
	if (w->full || (size_t)(w->end - w->at) < length) {
		w->full = true;
		return;
	}
	memcpy(w->at, text, length);
	w->at += length;
}

#endif
