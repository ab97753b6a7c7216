// SPDX-License-Identifier: Apache-2.0
#ifndef RUN_H
#define RUN_H

#include "harness.h"

/* A role of rlkit-ns that is not init, run by itself. */

struct run {
	pid_t pid;
	int status; /* the read end of the status pipe */
	int output;
};

/* Runs rlkit-ns with the write end of a pipe as the descriptor that argv names by "FD". */
static inline struct run start(const char *name, const char *const *argv, int at, char *const *env)
{
	int status[2], output[2];
	struct run run = {0};

	check_int(pipe2(status, O_CLOEXEC) | pipe2(output, O_CLOEXEC), 0);
	run.status = status[0];
	run.output = output[0];
	run.pid = fork();
	if (run.pid == 0) {
		dup2(output[1], 1);
		if (status[1] == at)
			fcntl(at, F_SETFD, 0);
		else
			dup2(status[1], at);
		execve(name, (char *const *)argv, env);
		_exit(99);
	}
	close(status[1]);
	close(output[1]);
	return run;
}

static inline void stop(struct run *run)
{
	close(run->status);
	close(run->output);
}

#endif
