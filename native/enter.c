// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "child.h"
#include "init.h"

/*
 * `rlkit-ns enter FD PID NSFLAGS CWD COMMAND…`: joins the namespaces of process PID whose CLONE_NEW* bits are in NSFLAGS and
 * execs the command. It becomes the command, except for a pid namespace, which only a child enters: then it stays, waits, and
 * ends the way the command did. A failure is one record on the pipe FD, i32 stage and i32 errno; end of file without one
 * means that the command runs.
 */
enum stage { STAGE_OPEN = 1, STAGE_SETNS, STAGE_FORK, STAGE_IDS, STAGE_EXEC };

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif
#ifndef CLONE_NEWCGROUP
#define CLONE_NEWCGROUP 0x02000000
#endif

/* The order to join in: the user namespace gives the capabilities for the others; the mount namespace last, as it changes paths. */
static const struct {
	int flag;
	const char *name;
} namespaces[] = {
	{CLONE_NEWUSER, "user"}, {CLONE_NEWCGROUP, "cgroup"}, {CLONE_NEWIPC, "ipc"}, {CLONE_NEWUTS, "uts"},
	{CLONE_NEWNET, "net"},   {CLONE_NEWPID, "pid"},       {CLONE_NEWTIME, "time"}, {CLONE_NEWNS, "mnt"},
};
#define NAMESPACES (sizeof(namespaces) / sizeof(namespaces[0]))

static _Noreturn void fail(int status_fd, enum stage stage, int error)
{
	int32_t record[2] = {stage, error};
	int code = stage != STAGE_EXEC ? 125 : error == ENOENT ? 127 : 126; /* as env(1) and shells have it */

	_exit(write(status_fd, record, sizeof(record)) < 0 ? code : code);
}

/* Opens all before joining any: after that PID and the paths below /proc may mean something else. */
static void join(int status_fd, const char *pid, int flags)
{
	int fds[NAMESPACES];

	if (strlen(pid) > 10) /* no number of a process; it would not fit below */
		fail(status_fd, STAGE_OPEN, EINVAL);
	for (size_t i = 0; i < NAMESPACES; i++) {
		char path[64];

		fds[i] = -1;
		if (!(flags & namespaces[i].flag))
			continue;
		stpcpy(stpcpy(stpcpy(stpcpy(path, "/proc/"), pid), "/ns/"), namespaces[i].name);
		fds[i] = open(path, O_RDONLY | O_CLOEXEC);
		if (fds[i] < 0)
			fail(status_fd, STAGE_OPEN, errno);
	}
	for (size_t i = 0; i < NAMESPACES; i++)
		if (fds[i] >= 0 && setns(fds[i], namespaces[i].flag) < 0)
			fail(status_fd, STAGE_SETNS, errno);
}

/* Ids of the user namespace that was joined: root there, as the overflow uid could not even read its own files. */
static void become_root(int status_fd)
{
	if (setgroups(0, NULL) < 0 && errno != EPERM) /* "deny" in /proc/self/setgroups, see op_set_ids */
		fail(status_fd, STAGE_IDS, errno);
	if (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
		fail(status_fd, STAGE_IDS, errno);
}

/* Ends this process the way the command ended, so that whoever waits for us sees no difference. */
static _Noreturn void end_like(int status)
{
	const struct rlimit no_core = {0};
	sigset_t one;
	int signo;

	if (WIFEXITED(status))
		_exit(WEXITSTATUS(status));
	signo = WTERMSIG(status);
	setrlimit(RLIMIT_CORE, &no_core); /* the command has written its own */
	sigemptyset(&one);
	sigaddset(&one, signo);
	kill(getpid(), signo);
	sigprocmask(SIG_UNBLOCK, &one, NULL);
	_exit(128 + signo);
}

/* Waits for the command and passes on what is sent to us; the terminal reaches its whole process group without us. */
static _Noreturn void wait_for(pid_t child, const sigset_t *all)
{
	for (;;) {
		siginfo_t info;
		int signo = sigwaitinfo(all, &info), status;

		if (signo == SIGCHLD) {
			if (waitpid(child, &status, WNOHANG) == child)
				end_like(status);
		} else if (signo > 0 && info.si_code <= 0 && signo != SIGPIPE && signo != SIGURG) {
			kill(child, signo);
		}
	}
}

/* Goes on as a child, which is in the pid namespace that was joined; the old process never returns. */
static void fork_into_pid_namespace(int status_fd)
{
	sigset_t all, before;
	pid_t child;

	memset(&all, 0xff, sizeof(all)); /* sigfillset(3) leaves some out */
	child_default_signals();         /* with SIGCHLD ignored there would be no status to wait for */
	sigprocmask(SIG_SETMASK, &all, &before);
	child = fork();
	if (child < 0)
		fail(status_fd, STAGE_FORK, errno);
	if (child == 0) {
		sigprocmask(SIG_SETMASK, &before, NULL);
		return;
	}
	close(status_fd); /* its end tells that the command runs */
	wait_for(child, &all);
}

int enter_main(int argc, char **argv, char **env)
{
	int status_fd, flags;

	if (argc < 5)
		return 125;
	status_fd = atoi(argv[0]);
	flags = (int)strtoul(argv[2], NULL, 10); /* unsigned: the highest CLONE_ flag is the sign bit */
	if (fcntl(status_fd, F_SETFD, FD_CLOEXEC) < 0)
		return 125;
	join(status_fd, argv[1], flags);
	if (chdir(argv[3]) < 0 && chdir("/") < 0)
		fail(status_fd, STAGE_SETNS, errno);
	if (flags & CLONE_NEWPID)
		fork_into_pid_namespace(status_fd);
	if (flags & CLONE_NEWUSER)
		become_root(status_fd);
	/* After the ids, whose change clears it. A parent outside our pid namespace is 0 to us; its successor would not be. */
	if (flags & CLONE_NEWPID && (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || getppid() != 0))
		fail(status_fd, STAGE_FORK, ESRCH);
	fail(status_fd, STAGE_EXEC, -child_exec(argv + 4, env));
}
