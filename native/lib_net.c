// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include "protocol.h"
#include "rlkit.h"
#include "unix_path.h"
#include "util.h"

/* Sockets for published ports, and passing them on: what Node cannot do. */

#define SEND_DEADLINE 5000 /* milliseconds: the other side always reads */

/* Sends what fits, with descriptors if there are any. Returns the bytes sent, or -errno. */
static int send_some(int fd, const uint8_t *bytes, size_t length, const int *fds, int count)
{
	struct iovec data = {.iov_base = (void *)bytes, .iov_len = length};
	struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1};
	union {
		struct cmsghdr head;
		uint8_t space[CMSG_SPACE(RL_FDS_MAX * sizeof(int))];
	} control = {0};

	if (count) {
		message.msg_control = &control;
		message.msg_controllen = CMSG_SPACE((size_t)count * sizeof(int));
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		control.head.cmsg_len = CMSG_LEN((size_t)count * sizeof(int));
		memcpy(CMSG_DATA(&control.head), fds, (size_t)count * sizeof(int));
	}
	return result_of(sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT));
}

int rl_send(int fd, const uint8_t *bytes, int length, const uint8_t *fds, int count)
{
	int list[RL_FDS_MAX];

	if (length < 1 || count < 0 || count > RL_FDS_MAX)
		return -EINVAL;
	memcpy(list, fds, (size_t)count * sizeof(*list)); /* i32 in this machine's order, little-endian */
	for (int sent = 0; sent < length;) {
		int result = send_some(fd, bytes + sent, (size_t)(length - sent), list, sent ? 0 : count);

		if (result == -EAGAIN) {
			struct pollfd writable = {.fd = fd, .events = POLLOUT};

			if (poll(&writable, 1, SEND_DEADLINE) == 0)
				return -ETIMEDOUT;
			continue;
		}
		if (result == -EINTR)
			continue;
		if (result < 0)
			return result;
		sent += result;
	}
	return length;
}

/* Fills in an address; "" is any. A link-local IPv6 address may name its interface: fe80::1%eth0. Returns its size or -EINVAL. */
static int fill_address(int family, char *text, uint16_t port, struct sockaddr_storage *out)
{
	struct sockaddr_in *four = (struct sockaddr_in *)out;
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)out;
	char *zone;

	if (family == 4) {
		four->sin_family = AF_INET;
		four->sin_port = htons(port);
		return !*text || inet_pton(AF_INET, text, &four->sin_addr) == 1 ? (int)sizeof(*four) : -EINVAL;
	}
	six->sin6_family = AF_INET6;
	six->sin6_port = htons(port);
	zone = strchr(text, '%');
	if (zone) {
		*zone = 0;
		six->sin6_scope_id = if_nametoindex(zone + 1);
		if (!six->sin6_scope_id)
			return -ENODEV;
	}
	return !*text || inet_pton(AF_INET6, text, &six->sin6_addr) == 1 ? (int)sizeof(*six) : -EINVAL;
}

static int bind_socket(int family, int type, int v6only, const struct sockaddr_storage *address, int size)
{
	const int yes = 1;
	cleanup_fd int fd = socket(family == 4 ? AF_INET : AF_INET6, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int bound;

	if (fd < 0)
		return -errno;
	if (family == 6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, sizeof(v6only)) < 0)
		return -errno;
	/* Connections of an earlier listener that linger in TIME_WAIT are no reason to refuse; a datagram socket would steal. */
	if (type == SOCK_STREAM && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) < 0)
		return -errno;
	if (bind(fd, (const struct sockaddr *)address, (socklen_t)size) < 0)
		return -errno;
	if (type == SOCK_STREAM && listen(fd, 4096) < 0) /* the kernel cuts it to net.core.somaxconn */
		return -errno;
	bound = fd;
	fd = -1;
	return bound;
}

int rl_bind(int family, int kind, int v6only, int port, const char *text)
{
	struct sockaddr_storage address = {0};
	char copy[INET6_ADDRSTRLEN + IFNAMSIZ + 1];
	int size;

	if ((family != 4 && family != 6) || (kind != RL_STREAM && kind != RL_DATAGRAM) || port < 0 || port > UINT16_MAX)
		return -EINVAL;
	if (strlen(text) >= sizeof(copy))
		return -EINVAL;
	memcpy(copy, text, strlen(text) + 1); /* to be cut at the % */
	size = fill_address(family, copy, (uint16_t)port, &address);
	return size < 0 ? size : bind_socket(family, kind == RL_STREAM ? SOCK_STREAM : SOCK_DGRAM, v6only, &address, size);
}

int rl_bound_port(int fd)
{
	struct sockaddr_storage address = {0};
	socklen_t size = sizeof(address);

	if (getsockname(fd, (struct sockaddr *)&address, &size) < 0)
		return -errno;
	if (address.ss_family == AF_INET)
		return ntohs(((struct sockaddr_in *)&address)->sin_port);
	return address.ss_family == AF_INET6 ? ntohs(((struct sockaddr_in6 *)&address)->sin6_port) : -EAFNOSUPPORT;
}

int rl_receive_socket(int fd)
{
	int32_t result = -EPIPE;
	struct iovec data = {.iov_base = &result, .iov_len = sizeof(result)};
	union {
		struct cmsghdr head;
		uint8_t space[CMSG_SPACE(sizeof(int))];
	} space;
	struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = &space, .msg_controllen = sizeof(space)};
	ssize_t got = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
	int passed;

	if (got < 0)
		return -errno;
	if (got != sizeof(result))
		return -EPIPE;
	if (result < 0)
		return result;
	if (message.msg_controllen < sizeof(space.head) || space.head.cmsg_type != SCM_RIGHTS)
		return -EPROTO;
	memcpy(&passed, CMSG_DATA(&space.head), sizeof(passed));
	return passed;
}

int rl_peer(int fd, uint8_t *out)
{
	struct writer w = {.at = out, .end = out + 8};
	struct ucred peer;
	socklen_t size = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
		return -errno;
	write_uint(&w, 4, peer.uid);
	write_uint(&w, 4, (uint32_t)peer.pid);
	return 0;
}

int rl_notify_bind(const uint8_t *path)
{
	struct sockaddr_un address = {0};
	cleanup_fd int directory = -1;
	cleanup_fd int fd = -1;
	int bound = unix_path((const char *)path, &address, &directory);

	if (bound)
		return bound;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	bound = fd;
	fd = -1;
	return bound;
}

int rl_notify_send(const uint8_t *name, int name_length, const uint8_t *message, int length)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	cleanup_fd int fd = -1;

	if (name_length < 1 || (size_t)name_length > sizeof(address.sun_path))
		return -EINVAL;
	memcpy(address.sun_path, name, (size_t)name_length);
	if (address.sun_path[0] == '@')
		address.sun_path[0] = 0; /* an abstract socket: its name's length is all there is to end it */
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	return result_of(sendto(fd, message, (size_t)length, MSG_NOSIGNAL | MSG_DONTWAIT, (struct sockaddr *)&address,
				(socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)name_length)));
}
