// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "../../native/protocol.h"
#include "../../native/rlkit.h"
#include "harness.h"

/* librlkit's functions for published ports: passing descriptors on, binding sockets, and who is at the other end. */

static void pair(int *ends)
{
	check_int(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
}

static int send_with(int fd, const void *bytes, size_t length, const int *fds, int count)
{
	/* allocations of their very sizes, for the sanitizer */
	cleanup_free uint8_t *data = malloc(length ? length : 1);
	cleanup_free uint8_t *list = malloc(count > 0 ? (size_t)count * 4 : 1);

	memcpy(data, bytes, length);
	if (count > 0)
		memcpy(list, fds, (size_t)count * 4);
	return rl_send(fd, data, (int)length, list, count);
}

/* Reads `length` bytes and what descriptors come with them. Returns how many those are. */
static int receive_fds(int fd, char *bytes, size_t length, int *fds)
{
	uint8_t space[CMSG_SPACE(RL_FDS_MAX * sizeof(int))] __attribute__((aligned(sizeof(struct cmsghdr)))) = {0};
	struct iovec data = {.iov_base = bytes, .iov_len = length};
	struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof(space)};
	struct cmsghdr *head;

	check_int(recvmsg(fd, &message, MSG_WAITALL | MSG_CMSG_CLOEXEC), length);
	head = CMSG_FIRSTHDR(&message);
	if (!head)
		return 0;
	memcpy(fds, CMSG_DATA(head), head->cmsg_len - CMSG_LEN(0));
	return (int)((head->cmsg_len - CMSG_LEN(0)) / sizeof(int));
}

static void passes_descriptors(void)
{
	int ends[2], pipes[2], fds[RL_FDS_MAX + 1] = {0};
	char bytes[8] = "";

	pair(ends);
	check_int(pipe2(pipes, O_CLOEXEC), 0);
	check_int(send_with(ends[0], "hello", 5, (int[]){pipes[1], pipes[0]}, 2), 5);
	check_int(receive_fds(ends[1], bytes, 1, fds), 2); /* with the first byte */
	check_int(receive_fds(ends[1], bytes + 1, 4, fds), 0);
	check_text(bytes, "hello");
	check_int(write(fds[0], "x", 1), 1);
	check_int(read(pipes[0], bytes, 1), 1);
	close(fds[0]), close(fds[1]);

	for (int i = 0; i < RL_FDS_MAX; i++)
		fds[i] = pipes[0];
	check_int(send_with(ends[0], "m", 1, fds, RL_FDS_MAX), 1);
	check_int(receive_fds(ends[1], bytes, 1, fds), RL_FDS_MAX);
	for (int i = 0; i < RL_FDS_MAX; i++)
		close(fds[i]);

	check_int(send_with(ends[0], "x", 1, (int[]){pipes[0], 999}, 2), -EBADF);
	check_int(send_with(ends[0], "x", 1, fds, RL_FDS_MAX + 1), -EINVAL);
	check_int(send_with(ends[0], "x", 1, fds, -1), -EINVAL);
	check_int(send_with(ends[0], "", 0, fds, 0), -EINVAL); /* descriptors need a byte to go with */
	check_int(send_with(-1, "x", 1, fds, 0), -EBADF);
	check_int(recv(ends[1], bytes, 1, MSG_DONTWAIT), -1); /* of all those nothing came */
	close(pipes[0]), close(pipes[1]);
	close(ends[1]);
	check_int(send_with(ends[0], "x", 1, fds, 0), -EPIPE); /* and no SIGPIPE */
	close(ends[0]);
}

#define MUCH (1024 * 1024)

/* Reads at most 5000 bytes. Returns how many, and adds the descriptors that came, which it closes, to *fds. */
static ssize_t receive_little(int socket, uint8_t *bytes, size_t size, int *fds)
{
	uint8_t space[CMSG_SPACE(RL_FDS_MAX * sizeof(int))] __attribute__((aligned(sizeof(struct cmsghdr)))) = {0};
	struct iovec data = {.iov_base = bytes, .iov_len = size < 5000 ? size : 5000};
	struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof(space)};
	ssize_t got = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
	struct cmsghdr *head = CMSG_FIRSTHDR(&message);

	for (size_t at = CMSG_LEN(0); got > 0 && head && at < head->cmsg_len; at += sizeof(int)) {
		int fd;

		memcpy(&fd, (uint8_t *)head + at, sizeof(fd));
		close(fd);
		++*fds;
	}
	return got;
}

/* More than a socket holds, to a reader that takes little at a time; the sender's end is non-blocking in one of two rounds. */
static void sends_all(void)
{
	static uint8_t bytes[MUCH], got[MUCH];

	for (size_t i = 0; i < MUCH; i++)
		bytes[i] = (uint8_t)(i * 7 + i / 251);
	for (int round = 0; round < 2; round++) {
		int ends[2], fds = 0;
		size_t have = 0;
		pid_t pid;

		pair(ends);
		if (round)
			fcntl(ends[0], F_SETFL, O_NONBLOCK);
		pid = fork();
		if (pid == 0)
			_exit(send_with(ends[0], bytes, MUCH, (int[]){2, 2}, 2) == MUCH ? 0 : 1);
		close(ends[0]);
		for (ssize_t one = 1; one > 0 && have < MUCH; have += one > 0 ? (size_t)one : 0)
			one = receive_little(ends[1], got + have, MUCH - have, &fds);
		check_int(have, MUCH);
		check(!memcmp(bytes, got, MUCH));
		check_int(fds, 2); /* once */
		check_int(wait_status(pid), 0);
		close(ends[1]);
	}
}

/* Begins first and is looked at last, so that the others run in the meantime. */
static pid_t unread_sender;

static void begin_unread(void)
{
	static uint8_t bytes[MUCH];
	int ends[2];
	long began = now_ms();

	pair(ends);
	unread_sender = fork();
	if (unread_sender == 0) {
		int result = send_with(ends[0], bytes, MUCH, NULL, 0);
		long took = now_ms() - began;

		_exit(result == -ETIMEDOUT && took >= 4900 && took < DEADLINE ? 0 : 1);
	}
	close(ends[0]), close(ends[1]);
}

static void unread(void)
{
	check_int(wait_status(unread_sender), 0);
}

static bool fill(const char *text, int port, struct sockaddr_storage *out, socklen_t *size)
{
	struct sockaddr_in *four = (struct sockaddr_in *)out;
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)out;

	memset(out, 0, sizeof(*out));
	out->ss_family = strchr(text, ':') ? AF_INET6 : AF_INET;
	*size = out->ss_family == AF_INET ? sizeof(*four) : sizeof(*six);
	*(out->ss_family == AF_INET ? &four->sin_port : &six->sin6_port) = htons((uint16_t)port);
	return inet_pton(out->ss_family, text, out->ss_family == AF_INET ? (void *)&four->sin_addr : (void *)&six->sin6_addr) == 1;
}

/* Connects; the descriptor or -1. */
static int dial(const char *address, int port)
{
	struct sockaddr_storage to;
	socklen_t size;
	int fd;

	check(fill(address, port, &to, &size));
	fd = socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(fd, (struct sockaddr *)&to, size) == 0)
		return fd;
	close(fd);
	return -1;
}

static bool reaches(const char *address, int port)
{
	int fd = dial(address, port);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static void streams(void)
{
	int fd = rl_bind(4, RL_STREAM, 0, 0, "127.0.0.1"), port = rl_bound_port(fd), client, accepted;
	char byte;

	check(fd >= 0 && port > 0);
	check_int(fcntl(fd, F_GETFD), FD_CLOEXEC);
	check(fcntl(fd, F_GETFL) & O_NONBLOCK);
	check_int(accept(fd, NULL, NULL), -1); /* and does not wait */
	check(!reaches("127.0.0.2", port));
	check_int(rl_bind(4, RL_STREAM, 0, port, "127.0.0.1"), -EADDRINUSE);
	check_int(rl_bind(4, RL_STREAM, 0, port, ""), -EADDRINUSE);
	/* a connection that we close first stays in TIME_WAIT, and is no reason to refuse */
	client = dial("127.0.0.1", port);
	accepted = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	check(client >= 0 && accepted >= 0);
	close(accepted);
	check_int(read(client, &byte, 1), 0);
	close(client);
	close(fd);
	fd = rl_bind(4, RL_STREAM, 0, port, "");
	check_int(rl_bound_port(fd), port);
	check(reaches("127.0.0.2", port));
	close(fd);
	check(!reaches("127.0.0.2", port));
}

static void datagrams(void)
{
	int fd = rl_bind(4, RL_DATAGRAM, 0, 0, "127.0.0.1"), port = rl_bound_port(fd);
	int client = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_storage to;
	socklen_t size;
	char byte = 0;

	check(fd >= 0 && port > 0);
	check_int(fcntl(fd, F_GETFD), FD_CLOEXEC);
	check_int(recv(fd, &byte, 1, 0), -1); /* and does not wait */
	check(fill("127.0.0.1", port, &to, &size));
	check_int(sendto(client, "d", 1, 0, (struct sockaddr *)&to, size), 1);
	check_int(recv(fd, &byte, 1, 0), 1);
	check_int(byte, 'd');
	check_int(rl_bind(4, RL_DATAGRAM, 0, port, "127.0.0.1"), -EADDRINUSE); /* it would steal */
	close(client);
	close(fd);
}

static bool has_v6(void)
{
	return access("/proc/net/if_inet6", R_OK) == 0 && *content("/proc/net/if_inet6");
}

static void v6(void)
{
	int four, six, port;

	if (!has_v6()) {
		skipped("there is no IPv6");
		return;
	}
	four = rl_bind(4, RL_STREAM, 0, 0, "");
	port = rl_bound_port(four);
	check_int(rl_bind(6, RL_STREAM, 0, port, ""), -EADDRINUSE); /* it would take IPv4 as well */
	six = rl_bind(6, RL_STREAM, 1, port, "");
	check_int(rl_bound_port(six), port); /* side by side */
	check(reaches("127.0.0.1", port) && reaches("::1", port));
	close(four);
	check(!reaches("127.0.0.1", port) && reaches("::1", port));
	close(six);
	six = rl_bind(6, RL_STREAM, 0, 0, "");
	port = rl_bound_port(six);
	check(reaches("127.0.0.1", port) && reaches("::1", port)); /* one for both */
	close(six);
	six = rl_bind(6, RL_DATAGRAM, 1, 0, "::1%lo");
	check(six >= 0);
	close(six);
	check_int(rl_bind(6, RL_STREAM, 1, 0, "fe80::1%none0"), -ENODEV);
	check_int(rl_bind(6, RL_STREAM, 1, 0, "2001:db8::1"), -EADDRNOTAVAIL);
	check_int(rl_bind(6, RL_STREAM, 1, 0, "127.0.0.1"), -EINVAL);
}

static void refusals(void)
{
	check_int(rl_bind(4, RL_STREAM, 0, 0, "192.0.2.1"), -EADDRNOTAVAIL);
	check_int(rl_bind(4, RL_STREAM, 0, 0, "localhost"), -EINVAL);
	check_int(rl_bind(4, RL_STREAM, 0, 0, "127.0.0.1%lo"), -EINVAL);
	check_int(rl_bind(4, RL_STREAM, 0, 0, "::1"), -EINVAL);
	check_int(rl_bind(5, RL_STREAM, 0, 0, ""), -EINVAL);
	check_int(rl_bind(4, 0, 0, 0, ""), -EINVAL);
	check_int(rl_bind(4, 3, 0, 0, ""), -EINVAL);
	check_int(rl_bind(4, RL_STREAM, 0, -1, ""), -EINVAL);
	check_int(rl_bind(4, RL_STREAM, 0, 65536, ""), -EINVAL);
	check_int(rl_bind(6, RL_STREAM, 1, 0, "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc:dddd:eeee:ffff:1111"), -EINVAL);
	check_int(rl_bound_port(-1), -EBADF);
}

static void not_internet(void)
{
	int ends[2];

	pair(ends);
	check_int(rl_bound_port(ends[0]), -EAFNOSUPPORT);
	close(ends[0]), close(ends[1]);
}

/* Connects as another user, if the test may become one, whose uid does not fit into an int. */
static void peer(void)
{
	const uid_t other = geteuid() == 0 ? 3000000000U : geteuid();
	int listener, accepted;
	uint8_t out[8] = {0};
	struct reader r = {.at = out, .end = out + 8};
	pid_t pid;

	enter_scratch();
	check_int(chmod(".", 0711), 0);
	listener = rl_listen_unix((const uint8_t *)"sock", 8, 0666);
	pid = fork();
	if (pid == 0) {
		struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "sock"};
		int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

		if (setresuid(other, other, other) < 0)
			_exit(1);
		_exit(connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0);
	}
	check_int(wait_status(pid), 0);
	accepted = accept4(listener, NULL, NULL, SOCK_CLOEXEC); /* who has gone is still told */
	check(accepted >= 0);
	check_int(rl_peer(accepted, out), 0);
	check_int(read_u32(&r), other);
	check_int(read_u32(&r), pid);
	check_int(rl_peer(-1, out), -EBADF);
	close(accepted);
	close(listener);
	leave_scratch();
}

int main(void)
{
	begin_unread();
	run_test("rl_send passes descriptors with the first byte, and all or nothing", passes_descriptors);
	run_test("rl_send waits for a slow reader and sends all", sends_all);
	run_test("rl_bind gives a listening, non-blocking socket, at any port for 0", streams);
	run_test("rl_bind gives a datagram socket, and shares no port", datagrams);
	run_test("rl_bind has IPv6 beside IPv4, or for both", v6);
	run_test("rl_bind says what it cannot do, and refuses what it cannot read", refusals);
	run_test("rl_bound_port knows internet sockets only", not_internet);
	run_test("rl_peer tells who connected", peer);
	run_test("rl_send gives a reader up that does not read for five seconds", unread);
	return finish();
}
