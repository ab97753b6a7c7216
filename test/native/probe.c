// SPDX-License-Identifier: Apache-2.0
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

/* What the tests start: a process that says how it was started, or that does something a test needs. */

static void print_fds(void)
{
	DIR *directory = opendir("/proc/self/fd");

	printf("fds");
	for (int fd = 0; fd < 1024; fd++) {
		char path[64], target[256] = "";

		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		if (fd != dirfd(directory) && readlink(path, target, sizeof(target) - 1) > 0)
			printf(" %d%s", fd, strcmp(target, "/dev/null") ? "" : "=null");
	}
	printf("\n");
	closedir(directory);
}

static void print_status(void)
{
	static const char *const names[] = {"SigBlk", "SigIgn", "CapInh", "CapAmb"};
	FILE *file = fopen("/proc/self/status", "r");
	char line[256];

	while (file && fgets(line, sizeof(line), file))
		for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
			if (!strncmp(line, names[i], 6))
				printf("%s %s", names[i], strrchr(line, '\t') + 1);
	if (file)
		fclose(file);
}

/* state: one line per fact */
static int state(void)
{
	struct rlimit files;
	char cwd[4096];
	int death_signal = 0;

	prctl(PR_GET_PDEATHSIG, &death_signal, 0, 0, 0);
	getrlimit(RLIMIT_NOFILE, &files);
	print_fds();
	print_status();
	printf("death_signal %d\n", death_signal);
	printf("nofile %lu\n", (unsigned long)files.rlim_cur);
	printf("session %s\n", getsid(0) == getpid() ? "own" : "inherited");
	printf("ids %d %d\n", (int)getuid(), (int)getgid());
	printf("cwd %s\n", getcwd(cwd, sizeof(cwd)) ? cwd : "?");
	return 0;
}

/* descriptors FILE: writes which file each of its descriptors is, as "0=a 1=b ", to FILE, which it renames into place */
static int descriptors(const char *name)
{
	char text[8192], temporary[256], *at = text;
	FILE *file;

	for (int fd = 0; fd < 1024; fd++) {
		char path[64], target[256] = "";

		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		if (readlink(path, target, sizeof(target) - 1) > 0 && at < text + sizeof(text) - 300)
			at += sprintf(at, "%d=%s ", fd, strrchr(target, '/') ? strrchr(target, '/') + 1 : target);
	}
	snprintf(temporary, sizeof(temporary), "%s.new", name);
	file = fopen(temporary, "w");
	return !file || fputs(text, file) < 0 || fclose(file) != 0 || rename(temporary, name) < 0;
}

/* signals: says "ready", then the number of every signal that it gets, until SIGTERM */
static int signals(void)
{
	sigset_t all;
	int signo;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	printf("ready\n");
	fflush(stdout);
	for (;;) {
		signo = sigwaitinfo(&all, NULL);
		printf("%d\n", signo);
		fflush(stdout);
		if (signo == SIGTERM)
			return 0;
	}
}

/* daemon: a child and a grandchild, in a session of its own, that stay; says the grandchild's pid and exits */
static int detached(void)
{
	if (fork() == 0) {
		setsid();
		signal(SIGHUP, SIG_IGN);
		signal(SIGTERM, SIG_IGN);
		if (fork() == 0) {
			printf("%d\n", (int)getpid());
			fflush(stdout);
		}
		for (;;)
			pause();
	}
	return 0;
}

/* orphan: leaves a grandchild behind that ends only after its parent has; says its pid */
static int orphan(void)
{
	int ends[2];
	char byte;

	if (pipe(ends) < 0)
		return 1;
	if (fork() == 0) {
		close(ends[1]);
		printf("%d\n", (int)getpid());
		fflush(stdout);
		return read(ends[0], &byte, 1) < 0; /* the end of the parent */
	}
	return 0;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (!strcmp(what, "state"))
		return state();
	if (!strcmp(what, "descriptors"))
		return descriptors(argv[2]);
	if (!strcmp(what, "signals"))
		return signals();
	if (!strcmp(what, "daemon"))
		return detached();
	if (!strcmp(what, "orphan"))
		return orphan();
	if (!strcmp(what, "print")) {
		for (int i = 2; i < argc; i++)
			printf("%s\n", argv[i]);
		return 0;
	}
	if (!strcmp(what, "env"))
		return printf("%s\n", getenv(argv[2]) ? getenv(argv[2]) : "(none)") < 0;
	if (!strcmp(what, "pipe")) /* dies of SIGPIPE when standard output has no reader */
		return write(1, "x", 1) == 1 ? 0 : 42;
	if (!strcmp(what, "stay"))
		for (;;)
			pause();
	return 2;
}
