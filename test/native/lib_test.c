// SPDX-License-Identifier: Apache-2.0
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "../../native/protocol.h"
#include "../../native/rlkit.h"
#include "harness.h"

/* librlkit's functions, called as ffi-rs does: buffers in, value or -errno out. */

static const char *probe;

struct spec {
	int death_signal;
	uint8_t flags;
	int nofile;
	const char *cwd, *path;
	const char *argv[8];
	int count;
	int fds[8];
};

static size_t encode(const struct spec *spec, uint8_t *out, size_t size)
{
	struct writer w = {.at = out, .end = out + size};
	uint16_t count = 0;

	write_uint(&w, 4, (uint32_t)spec->death_signal);
	write_uint(&w, 1, spec->flags);
	write_uint(&w, 4, (uint32_t)spec->nofile);
	write_str(&w, spec->cwd ? spec->cwd : "");
	write_str(&w, spec->path ? spec->path : probe);
	while (spec->argv[count])
		count++;
	write_uint(&w, 2, count);
	for (uint16_t i = 0; i < count; i++)
		write_str(&w, spec->argv[i]);
	write_uint(&w, 2, 1);
	write_str(&w, "GREETING=hello");
	write_uint(&w, 2, (uint16_t)spec->count);
	for (int i = 0; i < spec->count; i++)
		write_uint(&w, 4, (uint32_t)spec->fds[i]);
	return (size_t)(w.at - out);
}

/* In an allocation of its very size, for the sanitizer. */
static int spawn_bytes(const uint8_t *bytes, size_t length)
{
	cleanup_free uint8_t *exact = malloc(length ? length : 1);

	memcpy(exact, bytes, length);
	return rl_spawn(exact, (int)length);
}

static int spawn(const struct spec *spec)
{
	uint8_t bytes[8192];

	return spawn_bytes(bytes, encode(spec, bytes, sizeof(bytes)));
}

static int pair_of(const uint8_t *out, int which)
{
	struct reader r = {.at = (uint8_t *)out + 4 * which, .end = (uint8_t *)out + 8};

	return read_i32(&r);
}

static int rl_status(int pid)
{
	uint8_t out[8] = {0};
	long end = now_ms() + DEADLINE;
	int got = 0;

	while (!(got = rl_wait(pid, out)) && now_ms() < end)
		poll(NULL, 0, 1);
	check_int(got, pid);
	return pair_of(out, 0);
}

/* Runs the probe with its standard output on a pipe; what it said. */
static const char *say(struct spec spec)
{
	uint8_t ends[8];
	const char *text;
	int pid;

	check_int(rl_pipe(ends), 0);
	spec.count = spec.count ? spec.count : 3;
	spec.fds[1] = pair_of(ends, 1);
	pid = spawn(&spec);
	check(pid > 0);
	close(pair_of(ends, 1));
	text = read_until(pair_of(ends, 0), -1);
	close(pair_of(ends, 0));
	check_int(rl_status(pid), 0);
	return text;
}

static void clean_child(void)
{
	cleanup_fd int inheritable = dup(2); /* not close-on-exec */
	sigset_t some, before;
	char expected[512], cwd[256];

	check(inheritable >= 0);
	check(getcwd(cwd, sizeof(cwd)) != NULL);
	sigemptyset(&some);
	sigaddset(&some, SIGUSR1);
	sigprocmask(SIG_BLOCK, &some, &before);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	snprintf(expected, sizeof(expected), "fds 0=null 1 2\nSigBlk 0000000000000000\nSigIgn 0000000000000000\n");
	check(!strncmp(say((struct spec){.nofile = -1, .argv = {"probe", "state"}, .fds = {-1, 0, 2}}), expected, strlen(expected)));
	/* our own are as before */
	check(signal(SIGPIPE, SIG_DFL) == SIG_IGN);
	check(signal(SIGHUP, SIG_DFL) == SIG_IGN);
	sigprocmask(SIG_SETMASK, &before, &some);
	check(sigismember(&some, SIGUSR1) == 1);
	check(sigismember(&some, SIGUSR2) == 0);
}

static void details(void)
{
	const char *text = say((struct spec){.death_signal = SIGTERM,
					     .flags = RL_SETSID,
					     .nofile = 77,
					     .cwd = "/usr",
					     .argv = {"probe", "state"},
					     .fds = {-1, 0, 2}});
	struct rlimit files;

	check(strstr(text, "\ndeath_signal 15\nnofile 77\nsession own\n") != NULL);
	check(strstr(text, "\ncwd /usr\n") != NULL);
	text = say((struct spec){.nofile = INT32_MAX, .argv = {"probe", "state"}, .fds = {-1, 0, 2}});
	check(strstr(text, "\ndeath_signal 0\n") && strstr(text, "\nsession inherited\n"));
	getrlimit(RLIMIT_NOFILE, &files);
	check_int(strtoul(strstr(text, "nofile ") + 7, NULL, 10), files.rlim_max);
	check_text(say((struct spec){.nofile = -1, .argv = {"probe", "env", "GREETING"}, .fds = {-1, 0, 2}}), "hello\n");
	check_text(say((struct spec){.nofile = -1, .argv = {"probe", "env", "PATH"}, .fds = {-1, 0, 2}}), "(none)\n");
	check_text(say((struct spec){.nofile = -1, .argv = {"probe", "print", "", "é b"}, .fds = {-1, 0, 2}}), "\né b\n");
}

/* /dev/null is opened as descriptor 0, which is then another's place before it is its own turn. */
static void null_in_the_way(void)
{
	cleanup_fd int saved = fcntl(0, F_DUPFD_CLOEXEC, 100);
	uint8_t ends[8];
	int pid;

	check_int(rl_pipe(ends), 0);
	close(0);
	pid = spawn(&(struct spec){
		.nofile = -1, .argv = {"probe", "pipe"}, .count = 2, .fds = {pair_of(ends, 1), -1}});
	dup2(saved, 0);
	close(pair_of(ends, 1));
	check_int(rl_status(pid), 0);
	check_text(read_until(pair_of(ends, 0), -1), ""); /* the byte went to /dev/null */
	close(pair_of(ends, 0));
}

/* Which file each of the child's descriptors is, when the list permutes, repeats and skips. */
static void descriptors(void)
{
	int pid, files[4];
	struct spec spec = {.path = "/bin/sh",
			    .nofile = -1,
			    .argv = {"sh", "-c", "for fd in 0 1 2 3 4 5; do echo $fd >&$fd; done; exit 0 7>&6"},
			    .count = 7};

	enter_scratch();
	for (int i = 0; i < 4; i++) {
		char name[] = {(char)('a' + i), 0};

		files[i] = open(name, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	}
	/* low numbers, so that each is in another's way */
	int saved[6];
	for (int i = 0; i < 6; i++)
		saved[i] = fcntl(i, F_DUPFD_CLOEXEC, 100);
	dup3(files[0], 3, O_CLOEXEC), dup3(files[1], 4, O_CLOEXEC), dup3(files[2], 5, O_CLOEXEC), dup3(files[3], 0, O_CLOEXEC);
	memcpy(spec.fds, (int[]){4, 3, -1, 5, 4, 0, -1}, 7 * sizeof(int));
	pid = spawn(&spec);
	for (int i = 0; i < 6; i++)
		saved[i] < 0 ? close(i) : (dup2(saved[i], i), close(saved[i]));
	check(pid > 0);
	check_int(rl_status(pid), 0);
	check_text(content("a"), "1\n");
	check_text(content("b"), "0\n4\n");
	check_text(content("c"), "3\n");
	check_text(content("d"), "5\n");
	leave_scratch();
	null_in_the_way();
	check_int(spawn(&(struct spec){.nofile = -1, .argv = {"probe"}, .count = 1, .fds = {999}}), -EBADF);
}

static void errors(void)
{
	uint8_t bytes[8192];
	size_t length = encode(&(struct spec){.nofile = -1, .argv = {"probe", "state"}, .count = 1, .fds = {-1}}, bytes, sizeof(bytes));

	check_int(spawn(&(struct spec){.nofile = -1, .path = "/none", .argv = {"x"}}), -ENOENT);
	check_int(spawn(&(struct spec){.nofile = -1, .path = "/etc/passwd", .argv = {"x"}}), -EACCES);
	check_int(spawn(&(struct spec){.nofile = -1, .path = "/", .argv = {"x"}}), -EACCES);
	check_int(spawn(&(struct spec){.nofile = -1, .cwd = "/none", .argv = {"x"}}), -ENOENT);
	check_int(spawn(&(struct spec){.nofile = -1, .argv = {NULL}}), -EINVAL);
	check_int(rl_spawn(bytes, -1), -EINVAL);
	for (size_t cut = 0; cut < length; cut++)
		check_int(spawn_bytes(bytes, cut), -EINVAL);
	check_int(spawn_bytes(bytes, length + 1), -EINVAL);
	check_int(waitpid(-1, NULL, WNOHANG), -1); /* of no failure is a zombie left */
	check_int(errno, ECHILD);
}

/* Makes close_range(2) fail as a kernel before 5.9 would, for this process and its children. */
static void deny_close_range(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0), /* offsetof(struct seccomp_data, nr) */
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 436, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {.len = 4, .filter = filter};

	check_int(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	check_int(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

static void old_kernel(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		for (int i = 0; i < 200; i++)
			check(dup(2) >= 0); /* more than one listing holds */
		deny_close_range();
		check_int(syscall(436, 1000, 1000, 0), -1);
		check(!strncmp(say((struct spec){.nofile = -1, .argv = {"probe", "state"}, .fds = {-1, 0, 2}}), "fds 0=null 1 2\n", 15));
		_exit(checks_failed != 0);
	}
	check_int(wait_status(pid), 0);
}

static void death_signal(void)
{
	uint8_t ends[8];
	pid_t parent;
	int pid;

	check_int(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
	check_int(rl_pipe(ends), 0);
	parent = fork();
	if (parent == 0) {
		pid = spawn(&(struct spec){.death_signal = SIGUSR2, .nofile = -1, .argv = {"probe", "stay"}});
		_exit(write(pair_of(ends, 1), &pid, sizeof(pid)) == sizeof(pid) ? 0 : 1);
	}
	check_int(wait_status(parent), 0);
	check_int(read(pair_of(ends, 0), &pid, sizeof(pid)), sizeof(pid));
	check(pid > 0);
	check_int(rl_status(pid), SIGUSR2);
	close(pair_of(ends, 0));
	close(pair_of(ends, 1));
	prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0);
}

static void sigpipe(void)
{
	uint8_t ends[8];
	int pid;

	check_int(rl_pipe(ends), 0);
	close(pair_of(ends, 0));
	signal(SIGPIPE, SIG_IGN); /* as Node has it */
	pid = spawn(&(struct spec){.nofile = -1, .argv = {"probe", "pipe"}, .count = 2, .fds = {-1, pair_of(ends, 1)}});
	signal(SIGPIPE, SIG_DFL);
	close(pair_of(ends, 1));
	check_int(rl_status(pid), SIGPIPE);
}

static void waiting(void)
{
	uint8_t out[8];
	int pid = spawn(&(struct spec){.nofile = -1, .argv = {"probe", "stay"}}), pidfd;
	struct pollfd fds[2];

	check(pid > 0);
	check_int(rl_wait(pid, out), 0);
	pidfd = rl_pidfd_open(pid);
	check(pidfd >= 0 && fcntl(pidfd, F_GETFD) == FD_CLOEXEC);
	fds[0] = (struct pollfd){.fd = pidfd, .events = POLLIN};
	fds[1] = (struct pollfd){.fd = -1};
	check_int(rl_poll((uint8_t *)fds, 2, 0), 0);
	check_int(rl_pidfd_signal(pidfd, SIGTERM), 0);
	check_int(rl_poll((uint8_t *)fds, 2, DEADLINE), 1);
	check_int(fds[0].revents, POLLIN);
	check_int(rl_wait(pid, out), pid);
	check_int(pair_of(out, 0), SIGTERM);
	check_int(rl_wait(pid, out), -ECHILD);
	check_int(rl_wait(-1, out), -EINVAL);
	check_int(rl_wait(0, out), -EINVAL);
	check_int(rl_pidfd_signal(pidfd, SIGTERM), -ESRCH);
	check_int(rl_pidfd_open(-1), -EINVAL);
	check_int(rl_poll((uint8_t *)fds, -1, 0), -EINVAL);
	close(pidfd);
}

static void pairs(void)
{
	uint8_t out[8];
	char byte = 0;

	check_int(rl_socketpair(out), 0);
	check_int(write(pair_of(out, 0), "x", 1), 1);
	check_int(read(pair_of(out, 1), &byte, 1), 1);
	check_int(byte, 'x');
	check_int(fcntl(pair_of(out, 0), F_GETFD), FD_CLOEXEC);
	check_int(fcntl(pair_of(out, 1), F_GETFD), FD_CLOEXEC);
	close(pair_of(out, 0));
	close(pair_of(out, 1));
	check_int(rl_pipe(out), 0);
	check_int(fcntl(pair_of(out, 0), F_GETFD), FD_CLOEXEC);
	check_int(fcntl(pair_of(out, 1), F_GETFD), FD_CLOEXEC);
	check_int(write(pair_of(out, 1), "y", 1), 1);
	check_int(read(pair_of(out, 0), &byte, 1), 1);
	close(pair_of(out, 0));
	close(pair_of(out, 1));
}

static void files(void)
{
	struct stat info;
	int one, two;

	enter_scratch();
	umask(077);
	check_int(rl_mkfifo((const uint8_t *)"fifo", 0622), 0);
	check_int(umask(022), 077);
	check(stat("fifo", &info) == 0 && info.st_mode == (S_IFIFO | 0622));
	check_int(rl_mkfifo((const uint8_t *)"fifo", 0622), -EEXIST);
	one = open("lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	two = open("lock", O_RDWR | O_CLOEXEC);
	check_int(rl_flock(one, LOCK_EX | LOCK_NB), 0);
	check_int(rl_flock(two, LOCK_SH | LOCK_NB), -EAGAIN);
	check_int(rl_flock(one, LOCK_UN), 0);
	check_int(rl_flock(two, LOCK_SH | LOCK_NB), 0);
	check_int(rl_flock(-1, LOCK_SH), -EBADF);
	close(one);
	close(two);
	leave_scratch();
}

static bool connects(const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	cleanup_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(address.sun_path, name);
	return connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
}

static void listener(void)
{
	char long_path[400] = "", too_long[500];
	struct stat info;
	int fd, back = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	enter_scratch();
	umask(0);
	fd = rl_listen_unix((const uint8_t *)"api.sock", 8, 0600);
	umask(022);
	check(fd >= 0);
	check(stat("api.sock", &info) == 0 && info.st_mode == (S_IFSOCK | 0600));
	check_int(fcntl(fd, F_GETFD), FD_CLOEXEC);
	check(fcntl(fd, F_GETFL) & O_NONBLOCK);
	check_int(accept(fd, NULL, NULL), -1); /* and does not wait */
	check(connects("api.sock"));
	check_int(rl_listen_unix((const uint8_t *)"api.sock", 8, 0600), -EADDRINUSE);
	check(connects("api.sock")); /* which has taken nothing away */
	close(fd);

	/* one that does not fit into sockaddr_un */
	for (int i = 0; i < 30; i++) {
		strcat(long_path, "directory/");
		long_path[strlen(long_path) - 1] = 0;
		check_int(mkdir(long_path, 0755), 0);
		strcat(long_path, "/");
	}
	strcat(long_path, "api.sock");
	fd = rl_listen_unix((const uint8_t *)long_path, 8, 0640);
	check(fd >= 0);
	check(stat(long_path, &info) == 0 && info.st_mode == (S_IFSOCK | 0640));
	*strrchr(long_path, '/') = 0;
	check(chdir(long_path) == 0 && connects("api.sock") && chdir(scratch) == 0);
	close(fd);
	snprintf(too_long, sizeof(too_long), "./%0110d", 0);
	check_int(rl_listen_unix((const uint8_t *)too_long, 8, 0600), -ENAMETOOLONG);
	check_int(rl_listen_unix((const uint8_t *)"none/api.sock", 8, 0600), -ENOENT);
	leave_scratch();
	close(back);
}

#define MEGABYTE (1024 * 1024)

static uint8_t *map_file(int fd)
{
	uint8_t *memory = mmap(NULL, 4 * MEGABYTE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);

	check(memory != MAP_FAILED);
	return memory;
}

/* How much of the four megabytes is in this process's page table (bit 63, proc_pid_pagemap(5)). */
static long present(const uint8_t *memory)
{
	cleanup_fd int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	const size_t page = (size_t)sysconf(_SC_PAGESIZE), count = 4 * MEGABYTE / page;
	uint64_t pages[1024] = {0};
	long bytes = 0;

	check_int(pread(fd, pages, count * 8, (off_t)((uintptr_t)memory / page * 8)), count * 8);
	for (size_t i = 0; i < count; i++)
		if (pages[i] >> 63)
			bytes += (long)page;
	return bytes;
}

static int sum(const uint8_t *memory)
{
	int total = 0;

	for (size_t i = 0; i < 4 * MEGABYTE; i += 4096)
		total += memory[i];
	return total;
}

static void trim(void)
{
	cleanup_fd int fd = -1;
	uint8_t *clean, *relocated, *writable;

	enter_scratch();
	fd = open("file", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	for (int i = 0; i < 1024; i++)
		check_int(pwrite(fd, "a", 1, i * 4096), 1);
	check_int(ftruncate(fd, 4 * MEGABYTE), 0);
	clean = map_file(fd);
	relocated = map_file(fd);
	writable = map_file(fd);
	relocated[5 * 4096] = 'z'; /* what the dynamic linker does before it makes RELRO read-only */
	check_int(mprotect(relocated, 4 * MEGABYTE, PROT_READ), 0);
	writable[6 * 4096] = 'z';
	check_int(mprotect(clean, 4 * MEGABYTE, PROT_READ), 0);
	check_int(sum(clean) + sum(relocated) + sum(writable), 3 * 1024 * 'a' + 2 * ('z' - 'a'));

	check_int(present(clean), 4 * MEGABYTE);
	check(rl_trim() >= 4096);
	check_int(present(clean), 0);
	check_int(present(relocated), 4 * MEGABYTE);
	check_int(present(writable), 4 * MEGABYTE);

	check_int(sum(clean), 1024 * 'a');
	check_int(relocated[5 * 4096], 'z');
	check_int(writable[6 * 4096], 'z');
	munmap(clean, 4 * MEGABYTE), munmap(relocated, 4 * MEGABYTE), munmap(writable, 4 * MEGABYTE);
	leave_scratch();
}

static void make_directories(const char *names)
{
	char *copy = strdup(names), *rest = copy, *name;

	while ((name = strsep(&rest, " ")))
		check_int(mkdir(name, 0755), 0);
	free(copy);
}

static void leaving_links(void)
{
	static const struct {
		const char *path, *text;
	} links[] = {
		{"leaves/link", "../hosts"},          {"stays/link", "../../x/../../stays/y"}, /* replaced below */
		{"deep/a/b/link", "../../../etc"},    {"stays/a/link", "../other"},
		{"absolute/link", "/../../x"},        {"stays/plain", "file"},
		{"dotted/link", ".//./../dotted/me"}, {"winding/link", "a/b/../../../x"},
	};
	uint8_t out[256], expected[256];
	struct writer w = {.at = expected, .end = expected + sizeof(expected)};
	char names[256] = "";
	int length;

	enter_scratch();
	make_directories("leaves stays stays/a deep deep/a deep/a/b absolute dotted winding empty");
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++)
		check_int(symlink(links[i].text, links[i].path), 0);
	check_int(unlink("stays/link") | symlink("a/../a/../file", "stays/link"), 0);
	check_int(symlink("leaves", "link to a directory") | symlink("../x", "leaving by itself"), 0);
	write_text("plain", "");
	check_int(mkdir("unreadable", 0), 0);

	length = rl_leaving_links((const uint8_t *)".", out, sizeof(out));
	for (struct reader r = {.at = out, .end = out + (length > 0 ? length : 0)}; r.at < r.end;) {
		char *name = read_str(&r);

		check(name != NULL);
		strcat(strcat(names, name ? name : "?"), ",");
	}
	/* in the order of the directory, whatever that is */
	check_int(strlen(names), strlen("leaves,deep,dotted,winding,"));
	check(strstr(names, "leaves,") && strstr(names, "deep,") && strstr(names, "dotted,") && strstr(names, "winding,"));
	write_str(&w, "leaves"), write_str(&w, "deep"), write_str(&w, "dotted"), write_str(&w, "winding");
	check_int(length, w.at - expected);
	check_int(rl_leaving_links((const uint8_t *)".", out, length), length);
	check_int(rl_leaving_links((const uint8_t *)".", out, length - 1), -ENOSPC);
	check_int(rl_leaving_links((const uint8_t *)"none", out, sizeof(out)), -ENOENT);
	leave_scratch();
}

static void deep_links(void)
{
	char path[512] = "top", link[600];
	uint8_t out[64];

	enter_scratch();
	check_int(mkdir("top", 0755), 0);
	for (int depth = 2; depth <= 17; depth++) {
		strcat(path, "/d");
		check_int(mkdir(path, 0755), 0);
	}
	snprintf(link, sizeof(link), "%s/link", path);
	check_int(symlink("../../../../../../../../../../../../../../../../../x", link), 0);
	check_int(rl_leaving_links((const uint8_t *)".", out, sizeof(out)), 0); /* seventeen down: not looked at */
	check_int(unlink(link), 0);
	*strrchr(path, '/') = 0;
	snprintf(link, sizeof(link), "%s/link", path);
	check_int(symlink("../../../../../../../../../../../../../../../../x", link), 0);
	check_int(rl_leaving_links((const uint8_t *)".", out, sizeof(out)), 4 + 3);
	leave_scratch();
}

static void terminals(void)
{
	cleanup_fd int master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	cleanup_fd int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	check_int(rl_isatty(master), 1);
	check_int(rl_isatty(null), 0);
	check_int(rl_isatty(-1), 0);
}

static void exiting(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		printf("never flushed");
		rl_exit(42);
	}
	check_int(wait_status(pid), 42 << 8);
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	probe = argv[1];
	run_test("rl_spawn gives the child the listed descriptors, default signals and nothing else", clean_child);
	run_test("rl_spawn sets death signal, session, limit, directory, arguments and environment", details);
	run_test("rl_spawn's descriptors may permute, repeat and be /dev/null", descriptors);
	run_test("rl_spawn gives the -errno of what failed, and leaves no zombie", errors);
	run_test("rl_spawn closes descriptors on kernels without close_range(2) too", old_kernel);
	run_test("a process of rl_spawn gets its death signal when its parent ends", death_signal);
	run_test("a process of rl_spawn dies of SIGPIPE though the parent ignores it", sigpipe);
	run_test("rl_wait, rl_poll and the pidfds follow a process to its end", waiting);
	run_test("rl_pipe and rl_socketpair give two ends, close-on-exec", pairs);
	run_test("rl_mkfifo makes the exact mode; rl_flock says -EAGAIN when it is held", files);
	run_test("rl_listen_unix listens with the exact mode, at long paths too, and removes nothing", listener);
	run_test("rl_trim lets clean pages of files go and keeps what was written", trim);
	run_test("rl_leaving_links finds the directories whose relative links climb out", leaving_links);
	run_test("rl_leaving_links looks sixteen directories deep", deep_links);
	run_test("rl_isatty knows a terminal", terminals);
	run_test("rl_exit ends the process without flushing", exiting);
	return finish();
}
