// SPDX-License-Identifier: Apache-2.0
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "init.h"
#include "portd.h"

/*
 * `rlkit-ns bind FD stream|datagram ADDRESS PORT [INTERFACE]`: makes a socket in this process's network namespace, and hands it over
 * by the Unix socket FD (SCM_RIGHTS), so that somebody in another one can use it: one message, i32 0 or -errno. A stream listens; ::
 * takes IPv4 as well; with an interface a datagram socket may broadcast on it, also while it has no address.
 */
static int make(bool stream, const char *text, int port, const char *interface)
{
	const int yes = 1, no = 0;
	union address address;
	int error = address_parse_numeric(text, (uint16_t)port, &address);
	cleanup_fd int fd = -1;
	int made;

	if (error)
		return error;
	fd = socket(address.any.sa_family, (stream ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (address.any.sa_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof(no)) < 0)
		return -errno;
	if (stream && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) < 0)
		return -errno;
	if (interface && (setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, interface, (socklen_t)strlen(interface)) < 0 ||
			  setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &yes, sizeof(yes)) < 0))
		return -errno;
	if (bind(fd, &address.any, address_size(&address)) < 0 || (stream && listen(fd, 4096) < 0))
		return -errno;
	made = fd;
	fd = -1;
	return made;
}

static int hand_over(int to, int fd)
{
	int32_t result = fd < 0 ? fd : 0;
	struct iovec data = {.iov_base = &result, .iov_len = sizeof(result)};
	struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1};
	union {
		struct cmsghdr head;
		uint8_t space[CMSG_SPACE(sizeof(int))];
	} space = {.head = {.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))}};

	if (fd >= 0) {
		memcpy(CMSG_DATA(&space.head), &fd, sizeof(fd));
		message.msg_control = &space;
		message.msg_controllen = sizeof(space.space);
	}
	return result_of(sendmsg(to, &message, MSG_NOSIGNAL));
}

int bind_main(int argc, char **argv)
{
	if (argc < 4)
		return 2;
	return hand_over(atoi(argv[0]), make(!strcmp(argv[1], "stream"), argv[2], atoi(argv[3]), argv[4])) < 0;
}
