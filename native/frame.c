// SPDX-License-Identifier: Apache-2.0
#include "frame.h"

#define LENGTH_SIZE 4
#define HEAD_SIZE (1 + 4) /* type and id: what `length` counts at the least */

static const char *const op_fields[RL_OP_END] = {
#define OP(name, fields) [RL_OP_##name] = fields,
	RL_OPS(OP)
#undef OP
};

int frame_cut(uint8_t *bytes, size_t length, struct frame *out)
{
	struct reader r = {.at = bytes, .end = bytes + length};
	size_t rest;

	if (length < LENGTH_SIZE)
		return 0;
	rest = read_u32(&r);
	if (rest < HEAD_SIZE || rest > RL_FRAME_MAX)
		return -EPROTO;
	if (length - LENGTH_SIZE < rest)
		return 0;
	r.end = r.at + rest;
	out->type = read_u8(&r);
	out->id = read_u32(&r);
	out->body = r;
	return (int)(LENGTH_SIZE + rest);
}

/* A body is good if every field could be read and nothing is left. */
static int verdict(const struct reader *body)
{
	return body->bad || body->at != body->end ? -EPROTO : 0;
}

static void decode_op(struct reader *body, struct op *op)
{
	const char *types;

	op->code = read_u16(body);
	op->flags = read_u8(body);
	if (op->code == RL_OP_NONE || op->code >= RL_OP_END || op->flags & ~(RL_MAY_FAIL | RL_IF_FAILED)) {
		body->bad = true;
		return;
	}
	types = op_fields[op->code];
	for (size_t i = 0; types[i]; i++) {
		if (types[i] == 's')
			op->fields[i].s = read_str(body);
		else if (types[i] == 'b')
			op->fields[i].b.at = read_bytes(body, &op->fields[i].b.length);
		else if (types[i] == 'l')
			op->fields[i].l = read_u64(body);
		else
			op->fields[i].i = read_i32(body);
	}
}

int frame_decode_run(struct reader *body, struct op **ops)
{
	size_t count = read_u16(body);
	cleanup_free struct op *list = NULL;
	int error;

	if (!reader_has(body, count * 3)) /* an operation without fields takes three bytes */
		return -EPROTO;
	list = calloc(count + 1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < count && !body->bad; i++)
		decode_op(body, &list[i]);
	error = verdict(body);
	if (error)
		return error;
	*ops = list;
	list = NULL;
	return (int)count;
}

int frame_decode_spawn(struct reader *body, struct spawn_request *out)
{
	out->flags = read_u8(body);
	out->fd_count = read_u8(body);
	out->nofile = read_i32(body);
	out->cwd = read_str(body);
	out->argv = read_strs(body);
	out->env = read_strs(body);
	if (out->flags & ~(RL_SETSID | RL_TARGET | RL_LISTEN_PID | RL_IN_NETWORK) || out->fd_count > RL_FDS_MAX || out->nofile < -1 || !out->argv || !out->argv[0])
		return -EPROTO;
	return verdict(body);
}

void spawn_request_free(struct spawn_request *request)
{
	free(request->argv);
	free(request->env);
}

int frame_decode_signal(struct reader *body, struct signal_request *out)
{
	out->pid = read_i32(body);
	out->signo = read_i32(body);
	return verdict(body);
}

int frame_decode_watch(struct reader *body)
{
	return verdict(body);
}

static struct writer begin(uint8_t *out, size_t size, uint8_t type, uint32_t id)
{
	struct writer w = {.at = out, .end = out + size};

	write_uint(&w, 4, size - LENGTH_SIZE);
	write_uint(&w, 1, type);
	write_uint(&w, 4, id);
	return w;
}

size_t frame_encode_reply(uint8_t *out, uint32_t id, const int32_t *results, uint16_t count)
{
	size_t size = FRAME_REPLY_SIZE(count);
	struct writer w = begin(out, size, RL_REPLY, id);

	write_uint(&w, 2, count);
	for (size_t i = 0; i < count; i++)
		write_uint(&w, 4, (uint32_t)results[i]);
	return size;
}

size_t frame_encode_exited(uint8_t *out, int32_t pid, int32_t status)
{
	struct writer w = begin(out, FRAME_EXITED_SIZE, RL_EXITED, 0);

	write_uint(&w, 4, (uint32_t)pid);
	write_uint(&w, 4, (uint32_t)status);
	return FRAME_EXITED_SIZE;
}

size_t frame_encode_notified(uint8_t *out, const uint8_t *message, size_t length)
{
	size_t size = FRAME_NOTIFIED_SIZE(length);
	struct writer w = begin(out, size, RL_NOTIFIED, 0);

	write_uint(&w, 4, length);
	memcpy(w.at, message, length);
	return size;
}
