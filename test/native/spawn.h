// SPDX-License-Identifier: Apache-2.0
#ifndef SPAWN_H
#define SPAWN_H

#include "../../native/protocol.h"
#include "../../native/rlkit.h"
#include "harness.h"

/* rl_spawn as a call with a structure, and what the tests of librlkit need of it. */

static const char *probe;

struct spec {
	int death_signal;
	uint8_t flags;
	int nofile;
	const char *cwd, *path;
	const char *argv[8];
	int count;
	int fds[8];
};

static inline size_t encode(const struct spec *spec, uint8_t *out, size_t size)
{
	struct writer w = {.at = out, .end = out + size};
	uint16_t count = 0;

	write_uint(&w, 4, (uint32_t)spec->death_signal);
	write_uint(&w, 1, spec->flags);
	write_uint(&w, 4, (uint32_t)spec->nofile);
	write_str(&w, spec->cwd ? spec->cwd : "");
	write_str(&w, spec->path ? spec->path : probe);
	while (spec->argv[count])
		count++;
	write_uint(&w, 2, count);
	for (uint16_t i = 0; i < count; i++)
		write_str(&w, spec->argv[i]);
	write_uint(&w, 2, 1);
	write_str(&w, "GREETING=hello");
	write_uint(&w, 2, (uint16_t)spec->count);
	for (int i = 0; i < spec->count; i++)
		write_uint(&w, 4, (uint32_t)spec->fds[i]);
	return (size_t)(w.at - out);
}

/* In an allocation of its very size, for the sanitizer. */
static inline int spawn_bytes(const uint8_t *bytes, size_t length)
{
	cleanup_free uint8_t *exact = malloc(length ? length : 1);

	memcpy(exact, bytes, length);
	return rl_spawn(exact, (int)length);
}

static inline int spawn(const struct spec *spec)
{
	uint8_t bytes[8192];

	return spawn_bytes(bytes, encode(spec, bytes, sizeof(bytes)));
}

static inline int pair_of(const uint8_t *out, int which)
{
	struct reader r = {.at = (uint8_t *)out + 4 * which, .end = (uint8_t *)out + 8};

	return read_i32(&r);
}

static inline int rl_status(int pid)
{
	uint8_t out[8] = {0};
	long end = now_ms() + DEADLINE;
	int got = 0;

	while (!(got = rl_wait(pid, out)) && now_ms() < end)
		poll(NULL, 0, 1);
	check_int(got, pid);
	return pair_of(out, 0);
}

/* Runs the probe with its standard output on a pipe; what it said. */
static inline const char *say(struct spec spec)
{
	uint8_t ends[8];
	const char *text;
	int pid;

	check_int(rl_pipe(ends), 0);
	spec.count = spec.count ? spec.count : 3;
	spec.fds[1] = pair_of(ends, 1);
	pid = spawn(&spec);
	check(pid > 0);
	close(pair_of(ends, 1));
	text = read_until(pair_of(ends, 0), -1);
	close(pair_of(ends, 0));
	check_int(rl_status(pid), 0);
	return text;
}

#endif
