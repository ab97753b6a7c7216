// SPDX-License-Identifier: Apache-2.0
#ifndef RLKIT_FRAME_H
#define RLKIT_FRAME_H

#include "protocol.h"
#include "util.h"

/* Frames as bytes and as structures (protocol.h); no system calls here. */

struct frame {
	uint8_t type;
	uint32_t id;
	struct reader body;
};

struct bytes {
	uint8_t *at;
	size_t length;
};

union field {
	int32_t i;
	uint64_t l;
	char *s;
	struct bytes b;
};

struct op {
	uint16_t code;
	uint8_t flags;
	union field fields[RL_OP_FIELDS_MAX];
};

struct spawn_request {
	uint8_t flags;
	uint8_t fd_count; /* descriptors that come with the frame; 0: init's own 0 to 2 */
	int32_t nofile;
	char *cwd;
	char **argv;
	char **env;
	int fds[RL_FDS_MAX]; /* filled in by who received them */
};

struct signal_request {
	int32_t pid;
	int32_t signo;
};

/*
 * Looks for a whole frame at the start of `bytes`. Returns how many bytes it takes, 0 if more must be read, -EPROTO if no
 * frame can begin so. The decoders below read the body in place and for the first and only time (read_str).
 */
int frame_cut(uint8_t *bytes, size_t length, struct frame *out);

/* Decodes RUN's body. Returns the number of operations and sets *ops, which the caller frees and which points into the
 * frame; -EPROTO if it is malformed, -ENOMEM. */
int frame_decode_run(struct reader *body, struct op **ops);

/* Decodes SPAWN's body. Returns 0 or -EPROTO; either way the caller calls spawn_request_free. */
int frame_decode_spawn(struct reader *body, struct spawn_request *out);
void spawn_request_free(struct spawn_request *request);

/* Decode the bodies of SIGNAL and WATCH. Return 0 or -EPROTO. */
int frame_decode_signal(struct reader *body, struct signal_request *out);
int frame_decode_watch(struct reader *body);

#define FRAME_REPLY_SIZE(count) (4 + 1 + 4 + 2 + 4 * (size_t)(count))
#define FRAME_EXITED_SIZE (4 + 1 + 4 + 4 + 4)
#define FRAME_NOTIFIED_SIZE(length) (4 + 1 + 4 + 4 + (size_t)(length))

/* Write a whole frame to `out`, which has room for the size above. Return that size. */
size_t frame_encode_reply(uint8_t *out, uint32_t id, const int32_t *results, uint16_t count);
size_t frame_encode_exited(uint8_t *out, int32_t pid, int32_t status);
size_t frame_encode_notified(uint8_t *out, const uint8_t *message, size_t length);

#endif
