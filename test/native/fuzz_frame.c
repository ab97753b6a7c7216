// SPDX-License-Identifier: Apache-2.0
#include "../../native/frame.h"
#include "fuzz.h"

/* What init does with the bytes from its socket, but for carrying it out. */

static const char *const fields[RL_OP_END] = {
#define OP(name, types) [RL_OP_##name] = types,
	RL_OPS(OP)
#undef OP
};

static int take_run(struct reader *body)
{
	struct op *ops = NULL;
	int count = frame_decode_run(body, &ops);

	for (int i = 0; i < count; i++) {
		must(ops[i].code > RL_OP_NONE && ops[i].code < RL_OP_END);
		for (int f = 0; fields[ops[i].code][f]; f++) {
			const union field *field = &ops[i].fields[f];

			if (fields[ops[i].code][f] == 's')
				walk(field->s);
			for (size_t b = 0; fields[ops[i].code][f] == 'b' && b < field->b.length; b++)
				walk((const char[]){(char)field->b.at[b], 0});
		}
	}
	free(ops);
	return count < 0 ? count : 0;
}

static int take_spawn(struct reader *body)
{
	struct spawn_request request = {0};
	int error = frame_decode_spawn(body, &request);

	if (!error) {
		must(request.fd_count <= RL_FDS_MAX && request.nofile >= -1 && request.argv[0]);
		walk(request.cwd);
		walk_all(request.argv);
		walk_all(request.env);
	}
	spawn_request_free(&request);
	return error;
}

static int take(struct frame *frame)
{
	struct signal_request signal;

	switch (frame->type) {
	case RL_RUN:
		return take_run(&frame->body);
	case RL_SPAWN:
		return take_spawn(&frame->body);
	case RL_SIGNAL:
		return frame_decode_signal(&frame->body, &signal);
	case RL_WATCH:
		return frame_decode_watch(&frame->body);
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
