// SPDX-License-Identifier: Apache-2.0
#ifndef RLKIT_RECEIVE_H
#define RLKIT_RECEIVE_H

#include "protocol.h"
#include "util.h"

/* Descriptors that came on a control socket, the oldest first, and that no frame has claimed yet. */
struct received {
	int fds[RL_FDS_MAX];
	int count;
};

/* recv(2) that takes descriptors in as well. Returns the bytes, 0 at the end, or -errno; -EPROTO for more descriptors than may wait. */
ssize_t receive(int socket, uint8_t *bytes, size_t length, struct received *received);

/* Hands the oldest descriptors over to a frame. Returns 0, or -EPROTO if fewer came than it announced. */
int claim_fds(struct received *received, int *fds, int count);

#endif
