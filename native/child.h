// SPDX-License-Identifier: Apache-2.0
#ifndef RLKIT_CHILD_H
#define RLKIT_CHILD_H

#include "util.h"

/*
 * Starting a process: what rlkit-ns and librlkit have in common. All but child_start run in the child, which shares its
 * parent's memory until exec: raw system calls and the child's own stack, no allocation and no lock.
 */

/*
 * Starts a child that calls run(argument), which execs or returns -errno, and waits until it has done either. The child has
 * default signal dispositions and an empty signal mask; after setsid(2) if `session`. With `death_signal` the kernel sends it
 * that signal when the calling thread ends. Returns the pid, or -errno of whatever failed, and then nothing is left of the child.
 */
struct child_start {
	int (*run)(void *argument);
	void *argument;
	int death_signal;
	bool session;
};
int child_start(const struct child_start *start);

/* Sets every signal's disposition to the default. */
void child_default_signals(void);

/* Closes all descriptors from `first` on. Returns 0 or -errno. */
int child_close_from(int first);

/*
 * Puts the listed descriptors at 0, 1, 2…; -1 is /dev/null. Those that lie below `count` themselves move out of the way first, as
 * dup2(2) would close them before their turn. `fds` is changed. Returns 0 or -errno.
 */
int child_place_fds(int *fds, int count);

/* Sets the soft RLIMIT_NOFILE, at most to the hard one; -1 leaves it. Returns 0 or -errno. */
int child_limit_files(int soft);

/* execvp(3) with the PATH of `env`; returns the errno that it would set, negated. A file without a #! line is -ENOEXEC. */
int child_exec(char *const *argv, char *const *env);

#endif
