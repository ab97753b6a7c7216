// SPDX-License-Identifier: Apache-2.0
#ifndef FRAME_TEXT_H
#define FRAME_TEXT_H

#include <inttypes.h>

#include "../../native/port_frame.h"
#include "harness.h"

/* Frames as the texts of the byte vectors (vectors.h): requests are decoded and printed, messages are encoded from what is said. */

struct text {
	char *at;
	char bytes[8192];
};

static void add(struct text *text, const char *more)
{
	text->at = stpcpy(text->at, more);
}

static void add_number(struct text *text, long long number)
{
	text->at += sprintf(text->at, "%lld", number);
}

static void add_string(struct text *text, const char *string)
{
	*text->at++ = '"';
	for (; *string; string++) {
		if (*string == '"' || *string == '\\')
			*text->at++ = '\\';
		*text->at++ = *string;
	}
	*text->at++ = '"';
	*text->at = 0;
}

static void add_bytes(struct text *text, const struct bytes *bytes)
{
	*text->at++ = '"';
	for (size_t i = 0; i < bytes->length; i++)
		text->at += sprintf(text->at, "%02x", bytes->at[i]);
	*text->at++ = '"';
	*text->at = 0;
}

static void add_strings(struct text *text, char **strings)
{
	add(text, "[");
	for (size_t i = 0; strings[i]; i++) {
		add(text, i ? "," : "");
		add_string(text, strings[i]);
	}
	add(text, "]");
}

static const struct {
	const char *name, *fields;
} operations[RL_OP_END] = {
#define OP(name, fields) [RL_OP_##name] = {#name, fields},
	RL_OPS(OP)
#undef OP
};

static void add_op(struct text *text, const struct op *op)
{
	const char *types = operations[op->code].fields;

	add(text, " ");
	add(text, operations[op->code].name);
	add(text, "(");
	for (size_t i = 0; types[i]; i++) {
		add(text, i ? "," : "");
		if (types[i] == 's')
			add_string(text, op->fields[i].s);
		else if (types[i] == 'b')
			add_bytes(text, &op->fields[i].b);
		else
			add_number(text, types[i] == 'l' ? (long long)op->fields[i].l : op->fields[i].i);
	}
	add(text, ")");
	add(text, op->flags & RL_MAY_FAIL ? "?" : "");
	add(text, op->flags & RL_IF_FAILED ? "!" : "");
}

static bool print_run(struct text *text, struct reader *body)
{
	cleanup_free struct op *ops = NULL;
	int count = frame_decode_run(body, &ops);

	for (int i = 0; i < count; i++)
		add_op(text, &ops[i]);
	return count >= 0;
}

static bool print_spawn(struct text *text, struct reader *body)
{
	struct spawn_request request = {0};
	bool good = frame_decode_spawn(body, &request) == 0;

	if (good) {
		add(text, " flags=");
		add_number(text, request.flags);
		add(text, " fds=");
		add_number(text, request.fd_count);
		add(text, " nofile=");
		add_number(text, request.nofile);
		add(text, " cwd=");
		add_string(text, request.cwd);
		add(text, " argv=");
		add_strings(text, request.argv);
		add(text, " env=");
		add_strings(text, request.env);
	}
	spawn_request_free(&request);
	return good;
}

static bool print_signal(struct text *text, struct reader *body)
{
	struct signal_request request;

	if (frame_decode_signal(body, &request) < 0)
		return false;
	text->at += sprintf(text->at, " pid=%d signo=%d", request.pid, request.signo);
	return true;
}

static bool print_watch(struct text *text, struct reader *body)
{
	(void)text;
	return frame_decode_watch(body) == 0;
}

static bool print_listen(struct text *text, struct reader *body)
{
	struct listen_request request;

	if (port_frame_decode_listen(body, &request) < 0)
		return false;
	text->at += sprintf(text->at, " port=%u kind=%u flags=%u patience=%u target=", request.port, request.kind, request.flags,
			    request.patience);
	add_string(text, request.target);
	text->at += sprintf(text->at, " targetPort=%u standIn=", request.target_port);
	add_string(text, request.stand_in);
	return true;
}

static bool print_close(struct text *text, struct reader *body)
{
	uint32_t port;

	if (port_frame_decode_close(body, &port) < 0)
		return false;
	text->at += sprintf(text->at, " port=%u", port);
	return true;
}

static bool print_count(struct text *text, struct reader *body)
{
	(void)text;
	return port_frame_decode_count(body) == 0;
}

static bool print_hold(struct text *text, struct reader *body)
{
	uint32_t milliseconds;

	if (port_frame_decode_hold(body, &milliseconds) < 0)
		return false;
	text->at += sprintf(text->at, " milliseconds=%u", milliseconds);
	return true;
}

/* What the supervisor sends to init and to portd. */
static const struct {
	uint8_t type;
	const char *name;
	bool (*print)(struct text *text, struct reader *body);
} requests[] = {
	{RL_RUN, "run", print_run},          {RL_SPAWN, "spawn", print_spawn}, {RL_SIGNAL, "signal", print_signal},
	{RL_WATCH, "watch", print_watch},    {RL_HOLD, "hold", print_hold},    {RL_LISTEN, "listen", print_listen},
	{RL_CLOSE, "close", print_close},    {RL_COUNT, "count", print_count},
};
#define REQUESTS (sizeof(requests) / sizeof(requests[0]))

/* Decodes a frame that the supervisor sends and prints it. Returns false if it is incomplete or malformed. */
static bool print_frame(struct text *text, uint8_t *bytes, size_t length)
{
	struct frame frame;

	text->at = text->bytes;
	if (frame_cut(bytes, length, &frame) != (int)length)
		return false;
	for (size_t i = 0; i < REQUESTS; i++) {
		if (requests[i].type != frame.type)
			continue;
		text->at += sprintf(text->at, "%s id=%u", requests[i].name, frame.id);
		return requests[i].print(text, &frame.body);
	}
	return false;
}

/* `counts id=34 ports=[[1,2,3,4,5,6,7]]`: port, open, accepted, in, out, failed, plain. */
static size_t encode_counts(const char *text, uint8_t *out)
{
	struct counters ports[4] = {0};
	uint32_t count = 0;
	unsigned id = 0;
	size_t size;

	sscanf(text, "counts id=%u", &id);
	for (const char *at = strchr(text, '[') + 1; *at == '['; at = strchr(at, ']') + 1 + (strchr(at, ']')[1] == ',')) {
		struct counters *p = &ports[count++];

		check_int(sscanf(at, "[%u,%u,%" SCNu64 ",%" SCNu64 ",%" SCNu64 ",%" SCNu64 ",%" SCNu64 "]", &p->port, &p->open,
				 &p->accepted, &p->in, &p->out, &p->failed, &p->plain),
			  7);
	}
	size = port_frame_encode_counts(out, id, count);
	for (uint32_t i = 0; i < count; i++)
		size += port_frame_encode_counters(out + size, &ports[i]);
	return size;
}

/* Encodes what the text says, `reply id=7 results=[0,-1]` or `exited id=0 pid=42 wstatus=256`. */
static size_t encode_from_text(const char *text, uint8_t *out)
{
	int32_t results[16];
	uint16_t count = 0;
	unsigned id;
	int pid, status;

	if (sscanf(text, "exited id=0 pid=%d wstatus=%d", &pid, &status) == 2)
		return frame_encode_exited(out, pid, status);
	if (!strncmp(text, "notified ", 9)) {
		const char *message = strchr(text, '"') + 1;

		return frame_encode_notified(out, (const uint8_t *)message, strlen(message) - 1); /* without the quote at its end */
	}
	if (!strncmp(text, "counts ", 7))
		return encode_counts(text, out);
	if (sscanf(text, "reply id=%u", &id) != 1)
		return 0;
	for (const char *at = strchr(text, '['); at && at[1] != ']' && count < 16; at = strchr(at + 1, ','))
		results[count++] = (int32_t)strtol(at + 1, NULL, 10);
	return frame_encode_reply(out, id, results, count);
}

#endif
