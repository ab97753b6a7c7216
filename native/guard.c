// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include "child.h"
#include "init.h"

/*
 * `rlkit-ns guard FD COMMAND…`: runs a network helper in the host's namespaces and ends it as soon as the other end of the pipe
 * FD closes, that is when the supervisor dies, however it dies. A parent-death signal alone is not enough: the kernel clears it
 * when the helper joins the user namespace, and some helpers don't notice that their namespace is gone.
 */
struct command {
	char **argv;
	char **env;
};

static int run(void *argument)
{
	const struct command *command = argument;

	execve(command->argv[0], command->argv, command->env);
	return -errno;
}

/* The exit status that a shell would give: nobody looks at more than that here. */
static int shell_status(int status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* Waits until the command ends or the pipe closes, and ends the command in that case. Returns its shell status. */
static int guard(int pipe_fd, int signals, pid_t pid)
{
	struct pollfd fds[] = {{.fd = pipe_fd, .events = POLLIN}, {.fd = signals, .events = POLLIN}};
	int status;

	for (;;) {
		struct signalfd_siginfo info;

		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			fds[0].revents = POLLHUP;
		if (fds[0].revents) {
			kill(pid, SIGKILL); /* ours and not yet reaped: the pid cannot be somebody else's */
			break;
		}
		if (!fds[1].revents || read(signals, &info, sizeof(info)) != (ssize_t)sizeof(info))
			continue;
		if (waitpid(pid, &status, WNOHANG) == pid)
			return shell_status(status);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return shell_status(status);
}

int guard_main(int argc, char **argv, char **env)
{
	struct command command = {argv + 1, env};
	struct child_start start = {.run = run, .argument = &command, .death_signal = SIGKILL};
	sigset_t ended;
	int pipe_fd, signals, pid, status;

	if (argc < 2)
		return 125;
	pipe_fd = atoi(argv[0]);
	sigemptyset(&ended);
	sigaddset(&ended, SIGCHLD);
	sigprocmask(SIG_BLOCK, &ended, NULL);
	signals = signalfd(-1, &ended, SFD_CLOEXEC);
	/* Kept from the command: a copy of the pipe's end in it would do no harm, but it is not the command's business. */
	if (signals < 0 || fcntl(pipe_fd, F_SETFD, FD_CLOEXEC) < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
		return 125;
	pid = child_start(&start);
	if (pid < 0)
		return pid == -ENOENT ? 127 : 126;
	status = guard(pipe_fd, signals, pid);
	processes_end(&(struct processes){0}); /* slirp4netns forks while it starts: what is left of that has come to us */
	return status;
}
