// SPDX-License-Identifier: Apache-2.0
#include "port_frame.h"

static int verdict(const struct reader *body)
{
	return body->bad || body->at != body->end ? -EPROTO : 0;
}

int port_frame_decode_listen(struct reader *body, struct listen_request *out)
{
	out->port = read_u32(body);
	out->kind = read_u8(body);
	out->flags = read_u8(body);
	out->patience = read_u32(body);
	out->target = read_str(body);
	out->target_port = read_u16(body);
	out->stand_in = read_str(body);
	if ((out->kind != RL_STREAM && out->kind != RL_DATAGRAM) || out->flags & ~RL_KEEP_CLIENT)
		return -EPROTO;
	return verdict(body);
}

int port_frame_decode_close(struct reader *body, uint32_t *port)
{
	*port = read_u32(body);
	return verdict(body);
}

int port_frame_decode_count(struct reader *body)
{
	return verdict(body);
}

int port_frame_decode_hold(struct reader *body, uint32_t *milliseconds)
{
	*milliseconds = read_u32(body);
	return verdict(body);
}

size_t port_frame_encode_counts(uint8_t *out, uint32_t id, uint32_t count)
{
	struct writer w = {.at = out, .end = out + PORT_FRAME_COUNTS_HEAD};

	write_uint(&w, 4, PORT_FRAME_COUNTS_HEAD - 4 + (uint64_t)count * PORT_FRAME_COUNTS_EACH);
	write_uint(&w, 1, RL_COUNTS);
	write_uint(&w, 4, id);
	write_uint(&w, 4, count);
	return PORT_FRAME_COUNTS_HEAD;
}

size_t port_frame_encode_counters(uint8_t *out, const struct counters *counters)
{
	struct writer w = {.at = out, .end = out + PORT_FRAME_COUNTS_EACH};

	write_uint(&w, 4, counters->port);
	write_uint(&w, 4, counters->open);
	write_uint(&w, 8, counters->accepted);
	write_uint(&w, 8, counters->in);
	write_uint(&w, 8, counters->out);
	write_uint(&w, 8, counters->failed);
	write_uint(&w, 8, counters->plain);
	return PORT_FRAME_COUNTS_EACH;
}
