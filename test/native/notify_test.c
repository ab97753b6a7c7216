// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "../../native/rlkit.h"
#include "harness.h"

/* librlkit's side of sd_notify(3), who connected a socket, and sockets that `rlkit-ns bind` hands over. */

static const char *rlkit_ns;

static int notify(const char *name, const char *message)
{
	return rl_notify_send((const uint8_t *)name, (int)strlen(name), (const uint8_t *)message, (int)strlen(message));
}

static void by_path(void)
{
	char bytes[16] = "";
	int fd;

	enter_scratch();
	fd = rl_notify_bind((const uint8_t *)"notify.sock");
	check(fd >= 0);
	check_int(notify("notify.sock", "READY=1"), 7);
	check_int(recv(fd, bytes, sizeof(bytes), 0), 7);
	check_text(bytes, "READY=1");
	check_int(recv(fd, bytes, sizeof(bytes), 0), -1); /* it does not wait */
	check_int(errno, EAGAIN);
	check_int(rl_notify_bind((const uint8_t *)"notify.sock"), -EADDRINUSE);
	close(fd);
	check_int(notify("notify.sock", "READY=1"), -ECONNREFUSED);
	check_int(notify("none.sock", "READY=1"), -ENOENT);
	leave_scratch();
}

static void abstract(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char name[64], bytes[16] = "";
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(name, sizeof(name), "@rlkit-notify-test-%d", getpid());
	memcpy(address.sun_path, name, strlen(name));
	address.sun_path[0] = 0;
	check_int(bind(fd, (struct sockaddr *)&address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name))), 0);
	check_int(notify(name, "STATUS=x"), 8);
	check_int(recv(fd, bytes, sizeof(bytes), 0), 8);
	check_text(bytes, "STATUS=x");
	close(fd);
	check_int(notify(name, "STATUS=x"), -ECONNREFUSED);
}

static void long_paths(void)
{
	char path[300], bytes[16] = "";
	int fd;

	enter_scratch();
	memset(path, 'd', sizeof(path));
	path[200] = 0;
	check_int(mkdir(path, 0700), 0);
	strcpy(path + 200, "/s");
	fd = rl_notify_bind((const uint8_t *)path);
	check(fd >= 0);
	check_int(notify(path, "x"), -EINVAL); /* NOTIFY_SOCKET itself can't be so long */
	check_int(chdir(strtok(path, "/")), 0);
	check_int(notify("s", "x"), 1);
	check_int(recv(fd, bytes, sizeof(bytes), 0), 1);
	check_int(chdir(".."), 0);
	close(fd);
	leave_scratch();
}

static void who_connected(void)
{
	uint8_t out[8];
	struct reader r = {.at = out, .end = out + 8};
	int ends[2];

	check_int(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	check_int(rl_peer(ends[0], out), 0);
	check_int(read_u32(&r), geteuid());
	check_int(read_i32(&r), getpid());
	check_int(rl_peer(-1, out), -EBADF);
}

/* Runs `rlkit-ns bind`; returns what rl_receive_socket makes of it. */
static int handed_over(const char *kind, const char *address, const char *port)
{
	int ends[2], result;
	pid_t pid;

	check_int(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	pid = fork();
	if (pid == 0) {
		if (ends[1] == 3)
			fcntl(3, F_SETFD, 0);
		else
			dup2(ends[1], 3);
		execl(rlkit_ns, "rlkit-ns", "bind", "3", kind, address, port, NULL);
		_exit(99);
	}
	close(ends[1]);
	result = rl_receive_socket(ends[0]);
	close(ends[0]);
	check_int(wait_status(pid), 0);
	return result;
}

static void bound(void)
{
	int stream = handed_over("stream", "127.0.0.1", "0"), both = handed_over("stream", "::", "0");
	int datagram = handed_over("datagram", "127.0.0.1", "0");
	int value = 1;
	socklen_t size = sizeof(value);
	char port[16];

	check(stream >= 0 && both >= 0 && datagram >= 0);
	check_int(fcntl(stream, F_GETFD), FD_CLOEXEC);
	check(fcntl(stream, F_GETFL) & O_NONBLOCK);
	check_int(getsockopt(stream, SOL_SOCKET, SO_ACCEPTCONN, &value, &size), 0);
	check_int(value, 1);
	check_int(getsockopt(datagram, SOL_SOCKET, SO_TYPE, &value, &size), 0);
	check_int(value, SOCK_DGRAM);
	check_int(getsockopt(both, IPPROTO_IPV6, IPV6_V6ONLY, &value, &size), 0);
	check_int(value, 0);
	snprintf(port, sizeof(port), "%d", rl_bound_port(stream));
	check_int(handed_over("stream", "127.0.0.1", port), -EADDRINUSE);
	check_int(handed_over("stream", "192.0.2.1", "0"), -EADDRNOTAVAIL);
	check_int(handed_over("stream", "nonsense", "0"), -EINVAL);
	close(stream), close(both), close(datagram);
}

static void nobody_hands_over(void)
{
	int ends[2];

	check_int(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	check_int(send(ends[1], "\0\0\0", 4, 0), 4); /* a success without a socket */
	check_int(rl_receive_socket(ends[0]), -EPROTO);
	close(ends[1]);
	check_int(rl_receive_socket(ends[0]), -EPIPE);
	close(ends[0]);
	check_int(rl_receive_socket(-1), -EBADF);
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	rlkit_ns = argv[1];
	run_test("sends to a socket with a path, and hears what comes there", by_path);
	run_test("sends to an abstract socket", abstract);
	run_test("listens at paths that are too long for an address", long_paths);
	run_test("tells who connected", who_connected);
	run_test("receives sockets that rlkit-ns bind has made, or what that failed with", bound);
	run_test("receives nothing where there is nothing", nobody_hands_over);
	return finish();
}
