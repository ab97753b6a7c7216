// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "op.h"

/*
 * A network namespace beside the one that init and the target are in ("detached"). A process that does nothing holds it, because
 * slirp4netns and pasta, nsenter and /proc/PID/net take namespaces by pid. No way leads back into the host's for whoever has
 * joined it, so what is done there is done in a child.
 */
static int detached = -1;

static _Noreturn void hold(int ready, pid_t parent)
{
	int32_t result;

	if (dup2(ready, 0) < 0 || child_close_from(1) < 0) /* a copy of the control socket would keep its end from being seen */
		_exit(1);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || getppid() != parent)
		_exit(1);
	result = result_of(unshare(CLONE_NEWNET));
	if (write(0, &result, sizeof(result)) != sizeof(result) || result < 0)
		_exit(1);
	close(0);
	for (;;)
		pause();
}

/* Starts the process that holds the namespace. Returns its pid or -errno. */
static pid_t start_holder(void)
{
	int ends[2];
	int32_t result = -ESRCH;
	pid_t parent = getpid(), pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	pid = result_of(fork());
	if (pid == 0)
		hold(ends[1], parent);
	close(ends[1]);
	if (pid > 0 && read(ends[0], &result, sizeof(result)) != sizeof(result))
		result = -ESRCH;
	close(ends[0]);
	if (pid > 0 && result < 0) {
		waitpid(pid, NULL, 0);
		return result;
	}
	return pid;
}

/* "/proc/PID/ns/net" */
static const char *namespace_of(pid_t pid)
{
	static char path[32];
	char digits[16], *digit = digits + sizeof(digits) - 1;

	*digit = 0;
	for (; pid; pid /= 10)
		*--digit = (char)('0' + pid % 10);
	stpcpy(stpcpy(stpcpy(path, "/proc/"), digit), "/ns/net");
	return path;
}

static int bind_to(const char *from, const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0400);

	if (fd < 0 && errno != EACCES) /* it is there: read-only */
		return -errno;
	if (fd >= 0)
		close(fd);
	return result_of(mount(from, path, NULL, MS_BIND, NULL));
}

int op_detach_netns(const union field *f)
{
	const char *name;
	int error;
	pid_t pid;

	if (detached >= 0)
		return -EEXIST;
	pid = start_holder();
	if (pid < 0)
		return pid;
	name = namespace_of(pid);
	error = bind_to(name, f[0].s);
	if (!error)
		detached = error = result_of(open(name, O_RDONLY | O_CLOEXEC));
	if (error >= 0)
		return pid;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return error;
}

int netns_enter(void)
{
	return detached < 0 ? 0 : result_of(setns(detached, CLONE_NEWNET));
}

bool netns_is_detached(void)
{
	return detached >= 0;
}
