// SPDX-License-Identifier: Apache-2.0
#include <signal.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "../../native/rlkit.h"
#include "harness.h"

/* librlkit's functions but for rl_spawn, called as ffi-rs does: buffers in, value or -errno out. */

static int pair_of(const uint8_t *out, int which)
{
	struct reader r = {.at = (uint8_t *)out + 4 * which, .end = (uint8_t *)out + 8};

	return read_i32(&r);
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

int main(void)
{
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
