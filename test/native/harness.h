// SPDX-License-Identifier: Apache-2.0
#ifndef HARNESS_H
#define HARNESS_H

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "../../native/util.h"

/* A test is a sentence and a function; what it waits for is a fact, and DEADLINE ms is when it gives up. */

#define DEADLINE 10000

static int tests_passed, tests_failed, checks_failed;

#define check(condition)                                                                    \
	do {                                                                                \
		if (!(condition)) {                                                         \
			checks_failed++;                                                    \
			printf("    %s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
		}                                                                           \
	} while (0)

#define check_int(actual, expected)                                                                                          \
	do {                                                                                                                 \
		long long actual_ = (long long)(actual), expected_ = (long long)(expected);                                                       \
		if (actual_ != expected_) {                                                                                  \
			checks_failed++;                                                                                     \
			printf("    %s:%d: %s is %lld, not %lld\n", __FILE__, __LINE__, #actual, actual_, expected_);        \
		}                                                                                                            \
	} while (0)

#define check_text(actual, expected)                                                                                         \
	do {                                                                                                                 \
		const char *actual_ = (actual), *expected_ = (expected);                                                     \
		if (strcmp(actual_, expected_)) {                                                                            \
			checks_failed++;                                                                                     \
			printf("    %s:%d: %s is\n      %s\n    not\n      %s\n", __FILE__, __LINE__, #actual, actual_,      \
			       expected_);                                                                                   \
		}                                                                                                            \
	} while (0)

static inline long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/*
 * kill(2) for one process. Never for -1 or a group: a pid here may be the -errno of something that failed, and as root -EPERM
 * would mean every process of the machine.
 */
static inline void send_signal(pid_t pid, int signo)
{
	check(pid > 1 && kill(pid, signo) == 0);
}

static inline bool exists(pid_t pid)
{
	return pid > 1 && kill(pid, 0) == 0;
}

/* Looks again and again until the fact holds or the deadline has passed. */
#define until(fact)                                            \
	do {                                                   \
		long end_ = now_ms() + DEADLINE;               \
		while (!(fact) && now_ms() < end_)             \
			poll(NULL, 0, 1);                      \
		check(fact);                                   \
	} while (0)

static inline void run_test(const char *sentence, void (*test)(void))
{
	int before = checks_failed;

	test();
	if (checks_failed == before)
		tests_passed++;
	else
		tests_failed++;
	printf("  %s %s\n", checks_failed == before ? "ok  " : "FAIL", sentence);
	fflush(stdout);
}

static inline int finish(void)
{
	printf("%d passed, %d failed\n", tests_passed, tests_failed);
	return tests_failed != 0;
}

static inline void skipped(const char *why)
{
	printf("    skipped: %s\n", why);
}

/* Reads until `until_byte`, end of file or the deadline; the text, without that byte, in a static buffer. -1: whole stream. */
static inline const char *read_until(int fd, int until_byte)
{
	static char text[16384];
	size_t have = 0;
	long end = now_ms() + DEADLINE;

	while (have < sizeof(text) - 1) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		long left = end - now_ms();

		if (left <= 0 || poll(&p, 1, (int)left) == 0) {
			check(!"in time");
			break;
		}
		if (read(fd, text + have, 1) <= 0 || text[have] == until_byte)
			break;
		have++;
	}
	text[have] = 0;
	return text;
}

/* A small file's content, in a static buffer. */
static inline const char *content(const char *path)
{
	static char text[65536];
	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t have = 0;
	ssize_t got = 1;

	while (fd >= 0 && got > 0 && have < sizeof(text) - 1) {
		got = read(fd, text + have, sizeof(text) - 1 - have);
		have += got > 0 ? (size_t)got : 0;
	}
	text[have] = 0;
	return text;
}

static inline void write_text(const char *path, const char *text)
{
	cleanup_fd int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	check(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
}

/* Waits for a process to end, or for any child if it is -1, till the deadline; the wait status, or -1. */
static inline int wait_status(pid_t pid)
{
	long end = now_ms() + DEADLINE;
	int status;

	while (now_ms() < end) {
		pid_t got = waitpid(pid, &status, WNOHANG);

		if (got > 0)
			return status;
		if (got < 0)
			return -1;
		poll(NULL, 0, 1);
	}
	return -1;
}

/* Makes a directory that is empty and goes there; leave_scratch removes it. */
static char scratch[64];
static int scratch_before = -1;

static inline void enter_scratch(void)
{
	strcpy(scratch, "/tmp/rlkit-test-XXXXXX");
	scratch_before = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	check(mkdtemp(scratch) && chdir(scratch) == 0);
}

static inline void leave_scratch(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		execlp("rm", "rm", "-rf", scratch, NULL);
		_exit(127);
	}
	check_int(waitpid(pid, NULL, 0), pid);
	check(fchdir(scratch_before) == 0);
	close(scratch_before);
}

#endif
