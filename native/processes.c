// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "child.h"
#include "init.h"
#include "op.h"

/* Inheritable and ambient capabilities would reach programs that run as another user inside. */
static void drop_inheritable_capabilities(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if (syscall(SYS_capget, &head, data) < 0)
		return;
	for (size_t i = 0; i < _LINUX_CAPABILITY_U32S_3; i++)
		data[i].inheritable = 0;
	syscall(SYS_capset, &head, data);
}

/* The supervisor does not know the pid before the process is there, and sd_listen_fds(3) takes no descriptors that are another's. */
static void tell_pid(char *const *env)
{
	static const char name[] = "LISTEN_PID=0000000000";

	for (; *env; env++) {
		char *digit = *env + sizeof(name) - 1;

		if (strcmp(*env, name))
			continue;
		for (pid_t rest = getpid(); rest; rest /= 10)
			*--digit = (char)('0' + rest % 10);
		memmove(*env + strlen("LISTEN_PID="), digit, strlen(digit) + 1);
	}
}

static int run_request(void *argument)
{
	struct spawn_request *request = argument;
	int error;

	drop_inheritable_capabilities();
	error = request->flags & RL_IN_NETWORK ? netns_enter() : 0;
	if (!error)
		error = child_place_fds(request->fds, request->fd_count);
	if (!error)
		error = child_close_from(request->fd_count ? request->fd_count : 3);
	if (!error)
		error = child_limit_files(request->nofile);
	if (!error && *request->cwd)
		error = result_of(chdir(request->cwd));
	if (request->flags & RL_LISTEN_PID)
		tell_pid(request->env);
	return error ? error : child_exec(request->argv, request->env);
}

int processes_spawn(struct processes *all, struct spawn_request *request)
{
	const struct child_start start = {
		.run = run_request,
		.argument = request,
		.death_signal = SIGKILL,
		.session = request->flags & RL_SETSID,
	};
	/* Before the process exists: afterwards there would be no way to fail. */
	pid_t *larger = realloc(all->pids, (all->count + 1) * sizeof(*larger));
	int pid;

	if (!larger)
		return -ENOMEM;
	all->pids = larger;
	pid = child_start(&start);
	if (pid < 0)
		return pid;
	all->pids[all->count++] = pid;
	if (request->flags & RL_TARGET)
		all->target = pid;
	return pid;
}

bool processes_has(const struct processes *all, pid_t pid)
{
	for (size_t i = 0; i < all->count; i++)
		if (all->pids[i] == pid)
			return true;
	return false;
}

bool processes_remove(struct processes *all, pid_t pid)
{
	for (size_t i = 0; i < all->count; i++) {
		if (all->pids[i] != pid)
			continue;
		all->pids[i] = all->pids[--all->count];
		if (all->target == pid)
			all->target = 0;
		return true;
	}
	return false;
}

/* A /proc of another pid namespace numbers processes differently: its numbers would make us kill strangers. */
static bool proc_is_ours(void)
{
	char text[16] = "";
	long number = 0;

	if (readlink("/proc/self", text, sizeof(text) - 1) <= 0)
		return false;
	for (const char *c = text; *c >= '0' && *c <= '9'; c++)
		number = number * 10 + (*c - '0');
	return number == getpid();
}

/* Kills the processes whose pids are listed in the file, separated by blanks. Returns false if it cannot be read. */
static bool kill_listed(const char *path)
{
	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	char buffer[1024];
	pid_t pid = 0;
	ssize_t got;

	if (fd < 0)
		return false;
	while ((got = read(fd, buffer, sizeof(buffer))) > 0) {
		for (ssize_t i = 0; i < got; i++) {
			if (buffer[i] >= '0' && buffer[i] <= '9') {
				pid = pid * 10 + (buffer[i] - '0');
				continue;
			}
			if (pid > 1)
				kill(pid, SIGKILL);
			pid = 0;
		}
	}
	return got == 0;
}

static void end_known(const struct processes *all)
{
	for (size_t i = 0; i < all->count; i++)
		kill(all->pids[i], SIGKILL);
	for (size_t i = 0; i < all->count; i++)
		waitpid(all->pids[i], NULL, 0);
}

void processes_end(const struct processes *all)
{
	if (getpid() == 1)
		return; /* the kernel kills the rest of a pid namespace when its pid 1 exits, and waits for it (pid_namespaces(7)) */
	/*
	 * A killed process's children come to us, the subreaper: whoever daemonized is found one round later. Our children's pids
	 * cannot be reused before we reap them, so kill(2) hits nobody else.
	 */
	for (;;) {
		if (!proc_is_ours() || !kill_listed("/proc/thread-self/children")) {
			end_known(all); /* no CONFIG_PROC_CHILDREN, or /proc is hidden: the supervisor ends the others */
			return;
		}
		if (waitpid(-1, NULL, 0) < 0 && errno == ECHILD)
			return;
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
	}
}
