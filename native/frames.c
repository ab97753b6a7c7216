// SPDX-License-Identifier: Apache-2.0
#include <poll.h>
#include <sys/socket.h>

#include "frames.h"
#include "util.h"

#define LENGTH sizeof(uint16_t)
#define FRAME_MAX UINT16_MAX
#define BUFFER_SIZE (4 * (LENGTH + FRAME_MAX)) /* bytes; several frames a system call */

/* Bytes on their way: those from `begin` to `end` are still to go. */
struct buffer {
	uint8_t bytes[BUFFER_SIZE];
	size_t begin, end;
};

static struct buffer in, out;

static bool is_empty(const struct buffer *buffer)
{
	return buffer->begin == buffer->end;
}

static bool would_block(void)
{
	return errno == EAGAIN || errno == EINTR;
}

/* Fills `out` with the frames that wait at the tap device. Returns 0 or -errno. */
static int take_frames(int tap)
{
	out.begin = out.end = 0;
	while (BUFFER_SIZE - out.end >= LENGTH + FRAME_MAX) {
		uint8_t *at = out.bytes + out.end;
		ssize_t length = read(tap, at + LENGTH, FRAME_MAX);

		if (length < 0)
			return would_block() ? 0 : -errno;
		at[0] = (uint8_t)length;
		at[1] = (uint8_t)(length >> 8);
		out.end += LENGTH + (size_t)length;
	}
	return 0;
}

static int send_out(int peer)
{
	ssize_t sent = send(peer, out.bytes + out.begin, out.end - out.begin, MSG_NOSIGNAL);

	if (sent < 0)
		return would_block() ? 0 : -errno;
	out.begin += (size_t)sent;
	return 0;
}

/* Hands the whole frames in `in` to the tap device, and moves what is left of the last one to the beginning. */
static void hand_over(int tap)
{
	for (;;) {
		struct reader r = {in.bytes + in.begin, in.bytes + in.end, false};
		size_t length = read_u16(&r);

		if (!reader_has(&r, length))
			break;
		/* EIO while the interface is down, EINVAL for what is no frame, EAGAIN: lost. */
		if (write(tap, r.at, length) < 0)
			errno = 0;
		in.begin += LENGTH + length;
	}
	memmove(in.bytes, in.bytes + in.begin, in.end - in.begin);
	in.end -= in.begin;
	in.begin = 0;
}

/* Returns 1, 0 at the end of the stream, or -errno. */
static int receive_frames(int tap, int peer)
{
	ssize_t got = recv(peer, in.bytes + in.end, BUFFER_SIZE - in.end, 0);

	if (got < 0)
		return would_block() ? 1 : -errno;
	in.end += (size_t)got;
	hand_over(tap);
	return got > 0;
}

int frames_carry(int tap, int peer)
{
	for (;;) {
		struct pollfd fds[] = {
			{.fd = peer, .events = is_empty(&out) ? POLLIN : POLLIN | POLLOUT},
			{.fd = is_empty(&out) ? tap : -1, .events = POLLIN},
		};
		int result = 1;

		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return -errno;
		if (fds[0].revents & ~POLLOUT)
			result = receive_frames(tap, peer);
		if (result > 0 && fds[1].revents && (result = take_frames(tap)) == 0)
			result = 1;
		if (result > 0 && !is_empty(&out) && (result = send_out(peer)) == 0)
			result = 1;
		if (result <= 0)
			return result;
	}
}
