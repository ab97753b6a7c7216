// SPDX-License-Identifier: Apache-2.0
#ifndef RLKIT_INIT_H
#define RLKIT_INIT_H

#include <sys/types.h>

#include "frame.h"

/* The roles: each returns the exit status of the process. Arguments are those after the role's name. */
int init_main(int argc, char **argv);
int enter_main(int argc, char **argv, char **env);
int guard_main(int argc, char **argv, char **env);
int portd_main(int argc, char **argv);
int bind_main(int argc, char **argv);
int ethernet_main(int argc, char **argv, char **env);
int docker_proxy_main(char **argv, char **env);

/* The processes that init started and has not reaped. */
struct processes {
	pid_t *pids;
	size_t count;
	pid_t target; /* 0: none */
};

/* Starts a process as SPAWN says and remembers it. Returns its pid or -errno. */
int processes_spawn(struct processes *all, struct spawn_request *request);

/* True if init started it and has not reaped it. */
bool processes_has(const struct processes *all, pid_t pid);

/* Forgets a reaped process. Returns true if it was one of them. */
bool processes_remove(struct processes *all, pid_t pid);

/* Kills all descendants, including those that detached themselves, and returns when none is left. */
void processes_end(const struct processes *all);

/* Signals that arrive at init (signals.c). */
struct signals {
	int fd;
	bool from_terminal[65]; /* the kernel sent it to the whole process group */
	int64_t relayed[65];    /* when somebody sent it to init and the target got it; milliseconds, 0: never */
};

/* Blocks all signals and opens the signalfd that replaces them. Returns 0 or -errno. */
int signals_open(struct signals *signals);

/* Takes in what has arrived; relays what was sent to init on purpose. */
void signals_drain(struct signals *signals, const struct processes *all);

/* Sends a signal to a process that init started, unless it has just got that from elsewhere. Returns as SIGNAL says. */
int signals_send(struct signals *signals, const struct processes *all, const struct signal_request *request);

#endif
