// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <time.h>

#include "init.h"

#define LAST_SIGNAL 64
/* Milliseconds in which one kill(2) of a whole group has reached all its members; a later signal is another one. */
#define SAME_SIGNAL 500

int signals_open(struct signals *signals)
{
	sigset_t all;

	/* Every bit, where musl's sigfillset(3) leaves out three. What is blocked is not ignored either, not even for pid 1. */
	memset(&all, 0xff, sizeof(all));
	if (sigprocmask(SIG_SETMASK, &all, NULL) < 0)
		return -errno;
	signals->fd = signalfd(-1, &all, SFD_NONBLOCK | SFD_CLOEXEC);
	return signals->fd < 0 ? -errno : 0;
}

static int64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

static bool sent_by_a_process(int32_t code)
{
	return code == SI_USER || code == SI_QUEUE || code == SI_TKILL;
}

static void take(struct signals *signals, const struct processes *all, const struct signalfd_siginfo *info)
{
	int signo = (int)info->ssi_signo;

	if (signo == SIGCHLD || signo == SIGPIPE || signo == SIGURG || signo > LAST_SIGNAL)
		return;
	if (!sent_by_a_process(info->ssi_code)) {
		signals->from_terminal[signo] = true;
		return;
	}
	/* A target that signals its own process group, as shells do, has had its own one. */
	if (!all->target || (pid_t)info->ssi_pid == all->target)
		return;
	if (kill(all->target, signo) == 0)
		signals->relayed[signo] = now();
}

void signals_drain(struct signals *signals, const struct processes *all)
{
	struct signalfd_siginfo infos[8];
	ssize_t got;

	while ((got = read(signals->fd, infos, sizeof(infos))) > 0)
		for (size_t i = 0; i < (size_t)got / sizeof(infos[0]); i++)
			take(signals, all, &infos[i]);
}

/*
 * ^C reaches the supervisor, init and the target alike, and what is sent to a whole cgroup or process group does too. When the
 * supervisor then passes its own on, the target must not get it twice: dockerd leaves its containers behind at the third SIGTERM.
 */
static bool has_it_already(struct signals *signals, const struct processes *all, pid_t pid, int signo)
{
	bool *from_terminal = &signals->from_terminal[signo];
	int64_t *relayed = &signals->relayed[signo];
	bool has = false;

	if (getpgid(pid) == getpgrp()) { /* the terminal reached no other process group */
		has = *from_terminal;
		*from_terminal = false;
	}
	if (pid == all->target) {
		has = has || (*relayed && now() - *relayed < SAME_SIGNAL);
		*relayed = 0;
	}
	return has && signo != SIGKILL;
}

int signals_send(struct signals *signals, const struct processes *all, const struct signal_request *request)
{
	if (request->signo < 0 || request->signo > LAST_SIGNAL)
		return -EINVAL;
	if (!processes_has(all, request->pid))
		return -ESRCH;
	signals_drain(signals, all); /* it may have arrived, and not have been read yet */
	if (has_it_already(signals, all, request->pid, request->signo))
		return 1;
	return result_of(kill(request->pid, request->signo));
}
