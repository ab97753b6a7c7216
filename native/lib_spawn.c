// SPDX-License-Identifier: Apache-2.0
#include <signal.h>

#include "child.h"
#include "protocol.h"
#include "rlkit.h"

struct spawn {
	int32_t death_signal;
	uint8_t flags;
	int32_t nofile;
	char *cwd;
	char *path;
	char **argv;
	char **env;
	int count;
	int *fds;
};

static int run_spawn(void *argument)
{
	const struct spawn *spawn = argument;
	int error = child_place_fds(spawn->fds, spawn->count);

	if (!error)
		error = child_close_from(spawn->count);
	if (!error)
		error = child_limit_files(spawn->nofile);
	if (!error && *spawn->cwd)
		error = result_of(chdir(spawn->cwd));
	return error ? error : result_of(execve(spawn->path, spawn->argv, spawn->env));
}

/* Decodes the spec in place. Returns 0, -EINVAL or -ENOMEM; the caller frees argv, env and fds either way. */
static int decode(struct reader *r, struct spawn *out)
{
	out->death_signal = read_i32(r);
	out->flags = read_u8(r);
	out->nofile = read_i32(r);
	out->cwd = read_str(r);
	out->path = read_str(r);
	out->argv = read_strs(r);
	out->env = read_strs(r);
	out->count = read_u16(r);
	if (!reader_has(r, (size_t)out->count * sizeof(int32_t)))
		return -EINVAL;
	out->fds = malloc(((size_t)out->count + 1) * sizeof(*out->fds));
	if (!out->fds)
		return -ENOMEM;
	for (int i = 0; i < out->count; i++)
		out->fds[i] = read_i32(r);
	return r->at == r->end && out->argv[0] ? 0 : -EINVAL;
}

static int start(struct spawn *spawn)
{
	const struct child_start start = {
		.run = run_spawn,
		.argument = spawn,
		.death_signal = spawn->death_signal,
		.session = spawn->flags & RL_SETSID,
	};

	return child_start(&start);
}

/* The signals' dispositions and mask are what Node itself would have handed on, and nobody expects. */
static int replace(struct spawn *spawn)
{
	sigset_t none;

	sigemptyset(&none);
	child_default_signals();
	sigprocmask(SIG_SETMASK, &none, NULL);
	return run_spawn(spawn);
}

static int with_spec(const uint8_t *spec, int length, int (*act)(struct spawn *spawn))
{
	struct spawn spawn = {0};
	cleanup_free uint8_t *copy = NULL;
	struct reader r;
	int result;

	if (length < 0)
		return -EINVAL;
	copy = malloc((size_t)length + 1); /* decoding writes into it, and the caller's buffer is const */
	if (!copy)
		return -ENOMEM;
	memcpy(copy, spec, (size_t)length);
	r = (struct reader){.at = copy, .end = copy + length};
	result = decode(&r, &spawn);
	if (!result)
		result = act(&spawn);
	free(spawn.argv);
	free(spawn.env);
	free(spawn.fds);
	return result;
}

int rl_spawn(const uint8_t *spec, int length)
{
	return with_spec(spec, length, start);
}

int rl_exec(const uint8_t *spec, int length)
{
	return with_spec(spec, length, replace);
}
