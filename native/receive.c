// SPDX-License-Identifier: Apache-2.0
#include <sys/socket.h>

#include "receive.h"

/* Keeps the descriptors that came with a message. Returns 0, or -EPROTO if there are more than anybody may send. */
static int keep(struct received *received, struct msghdr *message)
{
	const struct cmsghdr *part = CMSG_FIRSTHDR(message); /* there is one at the most: nothing else was asked for */
	size_t count = part ? (part->cmsg_len - CMSG_LEN(0)) / sizeof(int) : 0;
	int error = message->msg_flags & MSG_CTRUNC ? -EPROTO : 0;

	for (size_t i = 0; i < count; i++) {
		int fd;

		memcpy(&fd, CMSG_DATA(part) + i * sizeof(fd), sizeof(fd));
		if (received->count < RL_FDS_MAX) {
			received->fds[received->count++] = fd;
			continue;
		}
		close(fd);
		error = -EPROTO;
	}
	return error;
}

ssize_t receive(int socket, uint8_t *bytes, size_t length, struct received *received)
{
	uint8_t space[CMSG_SPACE(RL_FDS_MAX * sizeof(int))] __attribute__((aligned(sizeof(struct cmsghdr))));
	struct iovec data = {.iov_base = bytes, .iov_len = length};
	struct msghdr message = {
		.msg_iov = &data,
		.msg_iovlen = 1,
		.msg_control = space,
		.msg_controllen = sizeof(space),
	};
	ssize_t got = recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	int error;

	if (got < 0)
		return -errno;
	error = keep(received, &message);
	return error ? error : got;
}

int claim_fds(struct received *received, int *fds, int count)
{
	if (count > received->count)
		return -EPROTO;
	memcpy(fds, received->fds, (size_t)count * sizeof(*fds));
	received->count -= count;
	memmove(received->fds, received->fds + count, (size_t)received->count * sizeof(*fds));
	return 0;
}
