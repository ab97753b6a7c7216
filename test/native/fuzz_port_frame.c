// SPDX-License-Identifier: Apache-2.0
#include "../../native/port_frame.h"
#include "fuzz.h"

/* What portd does with the bytes from its socket, but for carrying it out. */

static int take_listen(struct reader *body)
{
	struct listen_request request;
	int error = port_frame_decode_listen(body, &request);

	if (!error) {
		must(request.kind == RL_STREAM || request.kind == RL_DATAGRAM);
		walk(request.target);
		walk(request.stand_in);
	}
	return error;
}

static int take(struct frame *frame)
{
	uint32_t port; /* or milliseconds */

	switch (frame->type) {
	case RL_LISTEN:
		return take_listen(&frame->body);
	case RL_CLOSE:
		return port_frame_decode_close(&frame->body, &port);
	case RL_COUNT:
		return port_frame_decode_count(&frame->body);
	case RL_HOLD:
		return port_frame_decode_hold(&frame->body, &port);
	default:
		return -EPROTO;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *exact = copy_exactly(data, size, 0);
	struct frame frame;
	size_t used = 0;
	int length;

	while ((length = frame_cut(exact + used, size - used, &frame)) > 0) {
		used += (size_t)length;
		must(used <= size);
		if (take(&frame) < 0)
			break;
	}
	free(exact);
	return 0;
}
