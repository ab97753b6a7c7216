// SPDX-License-Identifier: Apache-2.0
#ifndef RLKIT_PORT_FRAME_H
#define RLKIT_PORT_FRAME_H

#include "frame.h"

/* The frames between the supervisor and portd (protocol.h); no system calls here. */

struct listen_request {
	uint32_t port;
	uint8_t kind;
	uint8_t flags;
	uint32_t patience; /* milliseconds */
	char *target;
	uint16_t target_port;
	char *stand_in;
};

struct counters {
	uint32_t port;
	uint32_t open;
	uint64_t accepted;
	uint64_t in;
	uint64_t out;
	uint64_t failed;
	uint64_t plain;
};

/* Decode a body, in place and for the only time (read_str). Return 0 or -EPROTO. */
int port_frame_decode_listen(struct reader *body, struct listen_request *out);
int port_frame_decode_close(struct reader *body, uint32_t *port);
int port_frame_decode_count(struct reader *body);
int port_frame_decode_hold(struct reader *body, uint32_t *milliseconds);

#define PORT_FRAME_COUNTS_HEAD (4 + 1 + 4 + 4)
#define PORT_FRAME_COUNTS_EACH (4 + 4 + 5 * 8)

/* Write the head of COUNTS for `count` ports, and one port's counters. Return the bytes written. */
size_t port_frame_encode_counts(uint8_t *out, uint32_t id, uint32_t count);
size_t port_frame_encode_counters(uint8_t *out, const struct counters *counters);

#endif
