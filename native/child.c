// SPDX-License-Identifier: Apache-2.0
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "child.h"

#define STACK_SIZE (64 * 1024)
#define KERNEL_SIGNALS 64
#define KERNEL_SIGSET_SIZE 8

/* Newer than the headers of some systems; the numbers are the same on every architecture since 5.0. */
#ifndef SYS_close_range
#define SYS_close_range 436
#endif

struct launch {
	const struct child_start *start;
	pid_t parent;
	int error; /* the child writes it into its parent's memory */
};

/*
 * Raw calls for signals: the libc's refuse or leave out the two or three that it keeps for its threads, and one of their
 * handlers, run in the child, would work on the parent's memory.
 */
static void set_mask(const uint64_t *mask, uint64_t *before)
{
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, mask, before, KERNEL_SIGSET_SIZE);
}

void child_default_signals(void)
{
	static const uint64_t zeros[8]; /* on every architecture the struct sigaction for SIG_DFL, no flags, empty mask */

	for (int signo = 1; signo <= KERNEL_SIGNALS; signo++)
		syscall(SYS_rt_sigaction, signo, zeros, NULL, KERNEL_SIGSET_SIZE);
}

__attribute__((no_sanitize("address"))) static int child_main(void *argument)
{
	struct launch *launch = argument;
	const struct child_start *start = launch->start;
	const uint64_t none = 0;

	child_default_signals(); /* first: as long as all are blocked no handler of the parent's can run here */
	set_mask(&none, NULL);
	if (start->session)
		setsid();
	if (start->death_signal) {
		prctl(PR_SET_PDEATHSIG, start->death_signal, 0, 0, 0);
		if (getppid() != launch->parent) /* it died before the line above, and nobody will tell us */
			_exit(127);
	}
	launch->error = start->run(start->argument);
	_exit(127);
}

/*
 * CLONE_VM: nothing is copied, so it takes the same time whatever the parent's size. CLONE_VFORK: the calling thread waits until
 * the child has left its memory. A stack of its own, because on a shared one the child could overwrite the parent's frame.
 */
int child_start(const struct child_start *start)
{
	const uint64_t all = ~UINT64_C(0);
	struct launch launch = {.start = start, .parent = getpid()};
	uint64_t before;
	void *stack;
	int pid;

	stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	if (stack == MAP_FAILED)
		return -errno;
	set_mask(&all, &before);
	pid = result_of(clone(child_main, (char *)stack + STACK_SIZE, CLONE_VM | CLONE_VFORK | SIGCHLD, &launch));
	set_mask(&before, NULL);
	munmap(stack, STACK_SIZE);
	if (pid < 0 || !launch.error)
		return pid;
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return launch.error;
}

/* A descriptor's number from its name in /proc/self/fd; -1 for . and .. */
static int fd_number(const char *name)
{
	int fd = 0;

	for (; *name; name++) {
		if (*name < '0' || *name > '9')
			return -1;
		fd = fd * 10 + (*name - '0');
	}
	return fd;
}

/* getdents64(2)'s record. */
struct entry {
	uint64_t inode;
	int64_t offset;
	uint16_t length;
	uint8_t type;
	char name[];
};

/* For kernels before 5.9 and for seccomp filters that don't know close_range(2). Closing while reading is safe: the kernel
 * lists by number, and each number that it goes on from is larger. */
static int close_each_from(int first)
{
	_Alignas(struct entry) uint8_t buffer[1024];
	int dir = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	long got;

	if (dir < 0)
		return -errno;
	while ((got = syscall(SYS_getdents64, dir, buffer, sizeof(buffer))) > 0) {
		for (long at = 0; at < got;) {
			const struct entry *entry = (const struct entry *)(buffer + at);
			int fd = fd_number(entry->name);

			at += entry->length;
			if (fd >= first && fd != dir)
				close(fd);
		}
	}
	if (got < 0)
		got = -errno;
	close(dir);
	return (int)got;
}

int child_close_from(int first)
{
	if (syscall(SYS_close_range, first, ~0U, 0) == 0)
		return 0;
	return close_each_from(first);
}

int child_limit_files(int soft)
{
	struct rlimit limit;

	if (soft < 0)
		return 0;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return -errno;
	limit.rlim_cur = (rlim_t)soft < limit.rlim_max ? (rlim_t)soft : limit.rlim_max;
	return result_of(setrlimit(RLIMIT_NOFILE, &limit));
}

static const char *search_path(char *const *env)
{
	for (; *env; env++)
		if (!strncmp(*env, "PATH=", 5))
			return *env + 5;
	return "/bin:/usr/bin"; /* confstr(3), _CS_PATH */
}

int child_exec(char *const *argv, char *const *env)
{
	const char *name = argv[0];
	size_t name_length = strlen(name);
	const char *end;
	int error = -ENOENT;

	if (!name_length)
		return -ENOENT;
	if (strchr(name, '/'))
		return result_of(execve(name, argv, env));
	for (const char *directory = search_path(env); directory; directory = *end ? end + 1 : NULL) {
		char path[PATH_MAX];
		size_t length;

		end = directory + strcspn(directory, ":");
		length = (size_t)(end - directory);
		if (length + 1 + name_length >= sizeof(path))
			continue;
		memcpy(path, directory, length);
		path[length] = '/';
		memcpy(path + length + !!length, name, name_length + 1); /* an empty element means the current directory */
		execve(path, argv, env);
		if (errno == EACCES)
			error = -EACCES; /* there is one, and it says more than that the other directories lack it (execvp(3)) */
		else if (errno != ENOENT && errno != ENOTDIR)
			return -errno;
	}
	return error;
}

int child_place_fds(int *fds, int count)
{
	int null = -1;

	for (int i = 0; i < count; i++) {
		if (fds[i] < 0) {
			if (null < 0)
				null = open("/dev/null", O_RDWR | O_CLOEXEC);
			if (null < 0)
				return -errno;
			if (null < count) {
				null = fcntl(null, F_DUPFD_CLOEXEC, count);
				if (null < 0)
					return -errno;
			}
			fds[i] = null;
		} else if (fds[i] < count && fds[i] != i) {
			fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, count);
			if (fds[i] < 0)
				return -errno;
		}
	}
	for (int i = 0; i < count; i++) {
		/* dup2(2) of a descriptor to itself would leave close-on-exec set, which Node sets on 0 to 2 as well */
		if (fds[i] == i ? fcntl(i, F_SETFD, 0) < 0 : dup2(fds[i], i) < 0)
			return -errno;
	}
	return 0;
}
