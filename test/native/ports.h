// SPDX-License-Identifier: Apache-2.0
#ifndef PORTS_H
#define PORTS_H

#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/in.h>
#include <sys/resource.h>

#include "client.h"

/*
 * The supervisor's side of portd's socket, and sockets for both of its sides: a test is the client of a published port and its
 * target at once. A call that waits on one of these sockets gives up after DEADLINE (EAGAIN).
 */

#define PORT 7 /* the number of the port that most tests publish */

static inline struct client portd_start(const char *idle)
{
	struct client c = {0};
	int control[2], output[2];

	check_int(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, control), 0);
	check_int(pipe2(output, O_CLOEXEC), 0);
	c.control = control[0];
	c.output = output[0];
	c.pid = fork();
	if (c.pid == 0) {
		dup2(output[1], 1);
		if (control[1] == 3)
			fcntl(3, F_SETFD, 0);
		else
			dup2(control[1], 3);
		execl(rlkit_ns, "rlkit-ns", "portd", "3", idle, NULL);
		_exit(127);
	}
	close(control[1]);
	close(output[1]);
	return c;
}

struct listen {
	uint32_t port; /* PORT if 0 */
	uint8_t kind, flags;
	uint32_t patience;
	const char *target; /* 127.0.0.1 if NULL */
	uint16_t target_port;
	const char *stand_in;
};

static inline size_t encode_listen(uint8_t *bytes, size_t size, uint32_t id, const struct listen *request)
{
	struct writer w = frame_begin(bytes, size, RL_LISTEN, id);

	write_uint(&w, 4, request->port ? request->port : PORT);
	write_uint(&w, 1, request->kind ? request->kind : RL_STREAM);
	write_uint(&w, 1, request->flags);
	write_uint(&w, 4, request->patience);
	write_str(&w, request->target ? request->target : "127.0.0.1");
	write_uint(&w, 2, request->target_port);
	write_str(&w, request->stand_in ? request->stand_in : "");
	return frame_end(bytes, &w);
}

/* Sends LISTEN; the reply is left to be read. */
static inline void send_listen(struct client *c, const struct listen *request, int fd)
{
	uint8_t bytes[512];

	client_send_fds(c, bytes, encode_listen(bytes, sizeof(bytes), ++c->last_id, request), &fd, 1);
}

/* Publishes a port. The test keeps its own descriptor, as the supervisor does. Returns portd's result. */
static inline int portd_listen(struct client *c, const struct listen *request, int fd)
{
	send_listen(c, request, fd);
	return client_reply(c).values[0];
}

static inline int portd_close(struct client *c, uint32_t port)
{
	uint8_t bytes[32];
	struct writer w = frame_begin(bytes, sizeof(bytes), RL_CLOSE, ++c->last_id);

	write_uint(&w, 4, port);
	client_send(c, bytes, frame_end(bytes, &w));
	return client_reply(c).values[0];
}

static inline void send_count(struct client *c)
{
	uint8_t bytes[16];
	struct writer w = frame_begin(bytes, sizeof(bytes), RL_COUNT, ++c->last_id);

	client_send(c, bytes, frame_end(bytes, &w));
}

struct counts {
	uint32_t ports; /* how many there are */
	uint32_t open;	/* the rest is PORT's */
	uint64_t accepted, in, out, failed, plain;
};

/* Reads COUNTS, whose id must be this one. */
static inline struct counts read_counts(const struct client *c, uint32_t id)
{
	static uint8_t bytes[13 + 1024 * 48];
	struct counts counts = {0};
	struct reader r = {.at = bytes, .end = bytes + 13};

	if (!client_read(c, bytes, 13))
		return counts;
	check_int((read_u32(&r) - 9) % 48, 0);
	check_int(read_u8(&r), RL_COUNTS);
	check_int(read_u32(&r), id);
	counts.ports = read_u32(&r);
	check(counts.ports <= 1024);
	r = (struct reader){.at = bytes, .end = bytes + (size_t)counts.ports * 48};
	if (counts.ports > 1024 || !client_read(c, bytes, (size_t)counts.ports * 48))
		return counts;
	while (r.at < r.end) {
		bool ours = read_u32(&r) == PORT;
		struct counts one = {.ports = counts.ports, .open = read_u32(&r)};

		one.accepted = read_u64(&r);
		one.in = read_u64(&r);
		one.out = read_u64(&r);
		one.failed = read_u64(&r);
		one.plain = read_u64(&r);
		if (ours)
			counts = one;
	}
	return counts;
}

static inline struct counts portd_count(struct client *c)
{
	send_count(c);
	return read_counts(c, c->last_id);
}

/* How many descriptors of a process are links to something that begins like this. */
static inline int descriptors_of(pid_t pid, const char *beginning)
{
	char path[320], target[256];
	const struct dirent *entry;
	int count = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	check(dir != NULL);
	while (dir && (entry = readdir(dir))) {
		ssize_t length;

		snprintf(path, sizeof(path), "/proc/%d/fd/%s", pid, entry->d_name);
		length = readlink(path, target, sizeof(target));
		count += length > 0 && !strncmp(target, beginning, strlen(beginning));
	}
	if (dir)
		closedir(dir);
	return count;
}

/* Leaves a process so many descriptors beyond those that it has; with -1 as many as it may have. */
static inline void limit_descriptors(pid_t pid, int more)
{
	struct rlimit limit;
	char path[64];

	check_int(prlimit(pid, RLIMIT_NOFILE, NULL, &limit), 0);
	for (limit.rlim_cur = more < 0 ? limit.rlim_max : 0; more > 0; limit.rlim_cur++) {
		snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, (int)limit.rlim_cur);
		more -= faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) < 0; /* the limit is for the number, not for how many there are */
	}
	check_int(prlimit(pid, RLIMIT_NOFILE, &limit, NULL), 0);
}

/* --- sockets: type is SOCK_STREAM or SOCK_DGRAM ------------------------------------------------------------------------ */

static inline int socket_new(int family, int type)
{
	const struct timeval deadline = {.tv_sec = DEADLINE / 1000};
	int fd = socket(family, type | SOCK_CLOEXEC, 0);

	check_int(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof(deadline)), 0);
	return fd;
}

static inline struct sockaddr_in ipv4(const char *text, uint16_t port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};

	check_int(inet_pton(AF_INET, text, &address.sin_addr), 1);
	return address;
}

/* A bound socket that does not listen yet: connections to it are refused. */
static inline int bound(int type, const char *text, uint16_t port)
{
	struct sockaddr_in address = ipv4(text, port);
	int fd = socket_new(AF_INET, type);

	check_int(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

/* A listener with a port of the kernel's choice. */
static inline int listener(void)
{
	int fd = bound(SOCK_STREAM, "127.0.0.1", 0);

	check_int(listen(fd, 1024), 0);
	return fd;
}

static inline uint16_t port_of(int fd)
{
	struct sockaddr_in6 address = {0};
	socklen_t size = sizeof(address);

	check_int(getsockname(fd, (struct sockaddr *)&address, &size), 0);
	return ntohs(address.sin6_port); /* which lies at the same place in IPv4 */
}

/* What the supervisor hands over: bound, and never waiting (rl_bind). */
static inline int published(int type, const char *text)
{
	int fd = bound(type | SOCK_NONBLOCK, text, 0);

	if (type == SOCK_STREAM)
		check_int(listen(fd, 1024), 0);
	return fd;
}

static inline int connected(int type, const char *text, uint16_t port)
{
	struct sockaddr_in address = ipv4(text, port);
	int fd = socket_new(AF_INET, type);

	check_int(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static inline int accepted(int listening)
{
	const struct timeval deadline = {.tv_sec = DEADLINE / 1000};
	int fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC);

	check(fd >= 0);
	if (fd >= 0)
		check_int(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof(deadline)), 0);
	return fd;
}

/* Sends a text through, and checks that it arrives: with nothing after it yet. */
static inline void pass(int from, int to, const char *text)
{
	char got[256] = "";
	size_t length = strlen(text);

	check_int(send(from, text, length, MSG_NOSIGNAL), length);
	check_int(recv(to, got, length, MSG_WAITALL), length);
	check_text(got, text);
}

static inline void check_end(int fd)
{
	char byte;

	check_int(recv(fd, &byte, 1, 0), 0);
}

/* The peer was reset; what had come before may be read first. */
static inline void check_reset(int fd)
{
	static char bytes[65536];
	ssize_t got;

	while ((got = recv(fd, bytes, sizeof(bytes), 0)) > 0)
		;
	check_int(got < 0 ? errno : 0, ECONNRESET);
}

/* Closes with a reset. */
static inline void reset(int fd)
{
	const struct linger now_or_never = {.l_onoff = 1};

	check_int(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now_or_never, sizeof(now_or_never)), 0);
	close(fd);
}

#endif
