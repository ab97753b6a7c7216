// SPDX-License-Identifier: Apache-2.0
#include "../../native/frame.h"
#include "harness.h"

/*
 * The byte vectors that the TypeScript side is held to as well: name, bytes of the whole frame in hex, text.
 * `name("a string",1)` for each operation, `?` behind it for MAY_FAIL and `!` for IF_FAILED; " and \ are escaped by \.
 */

static const char *vectors_path;

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

/* Decodes a frame that the supervisor sends and prints it. Returns false if it is incomplete or malformed. */
static bool print_frame(struct text *text, uint8_t *bytes, size_t length)
{
	struct frame frame;

	text->at = text->bytes;
	if (frame_cut(bytes, length, &frame) != (int)length)
		return false;
	add(text, frame.type == RL_RUN ? "run" : frame.type == RL_SPAWN ? "spawn" : "signal");
	text->at += sprintf(text->at, " id=%u", frame.id);
	switch (frame.type) {
	case RL_RUN:
		return print_run(text, &frame.body);
	case RL_SPAWN:
		return print_spawn(text, &frame.body);
	case RL_SIGNAL:
		return print_signal(text, &frame.body);
	default:
		return false;
	}
}

static size_t from_hex(const char *hex, uint8_t *out)
{
	size_t length = strlen(hex) / 2;

	for (size_t i = 0; i < length; i++) {
		unsigned byte = 0;

		sscanf(hex + 2 * i, "%2x", &byte);
		out[i] = (uint8_t)byte;
	}
	return length;
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
	if (sscanf(text, "reply id=%u", &id) != 1)
		return 0;
	for (const char *at = strchr(text, '['); at && at[1] != ']' && count < 16; at = strchr(at + 1, ','))
		results[count++] = (int32_t)strtol(at + 1, NULL, 10);
	return frame_encode_reply(out, id, results, count);
}

/* Calls `each` for every vector. Returns how many there are. */
static int for_each_vector(void (*each)(const char *name, uint8_t *bytes, size_t length, const char *text))
{
	FILE *file = fopen(vectors_path, "r");
	char line[16384];
	int count = 0;

	check(file != NULL);
	while (file && fgets(line, sizeof(line), file)) {
		uint8_t bytes[8192];
		char *hex = strchr(line, '\t'), *text = hex ? strchr(hex + 1, '\t') : NULL;

		check(text != NULL);
		if (!text)
			continue;
		*hex++ = *text++ = 0;
		text[strcspn(text, "\n")] = 0;
		each(line, bytes, from_hex(hex, bytes), text);
		count++;
	}
	if (file)
		fclose(file);
	return count;
}

static bool from_init(const char *text)
{
	return !strncmp(text, "reply", 5) || !strncmp(text, "exited", 6);
}

static bool covered[RL_OP_END];

static void hold_to_vector(const char *name, uint8_t *bytes, size_t length, const char *text)
{
	struct text printed;
	uint8_t encoded[256];

	for (int code = 1; code < RL_OP_END; code++)
		if (!strcmp(name, operations[code].name))
			covered[code] = true;
	if (from_init(text)) {
		check_int(encode_from_text(text, encoded), length);
		check(!memcmp(encoded, bytes, length));
		return;
	}
	check(print_frame(&printed, bytes, length));
	check_text(printed.bytes, text);
}

static void vectors(void)
{
	check(for_each_vector(hold_to_vector) > RL_OP_END);
	for (int code = 1; code < RL_OP_END; code++) {
		if (!covered[code])
			printf("    no vector for %s\n", operations[code].name);
		check(covered[code]);
	}
}

/* The bytes in an allocation of their very size, so that the sanitizer sees a read behind the last. */
static bool accepts(const uint8_t *bytes, size_t length)
{
	cleanup_free uint8_t *exact = malloc(length ? length : 1);
	struct text text;

	memcpy(exact, bytes, length);
	return print_frame(&text, exact, length);
}

static void put_length(uint8_t *bytes, size_t length)
{
	for (int i = 0; i < 4; i++)
		bytes[i] = (uint8_t)(length >> (8 * i));
}

static void truncate_vector(const char *name, uint8_t *bytes, size_t length, const char *text)
{
	if (from_init(text))
		return;
	for (size_t cut = 0; cut < length; cut++) {
		struct frame frame;
		uint8_t copy[8192];

		memcpy(copy, bytes, length);
		check_int(frame_cut(copy, cut, &frame), 0); /* as it comes from the socket: wait for more */
		if (cut < 9)
			continue;
		put_length(copy, cut - 4); /* as a peer that counts wrongly would send it */
		if (accepts(copy, cut))
			printf("    %s cut at %zu is accepted\n", name, cut);
		check(!accepts(copy, cut));
	}
	bytes[length] = 0; /* one byte too many */
	put_length(bytes, length + 1 - 4);
	check(!accepts(bytes, length + 1));
}

static void truncated(void)
{
	for_each_vector(truncate_vector);
}

/* Every byte set to a few values in turn: whatever comes of it, nothing is read out of bounds. */
static void mangle_vector(const char *name, uint8_t *bytes, size_t length, const char *text)
{
	static const uint8_t values[] = {0, 1, 0x7f, 0x80, 0xff};

	(void)name;
	for (size_t at = 4; !from_init(text) && at < length; at++) {
		uint8_t kept = bytes[at];

		for (size_t v = 0; v < sizeof(values); v++) {
			bytes[at] = values[v];
			accepts(bytes, length);
		}
		bytes[at] = kept;
	}
}

static void mangled(void)
{
	for_each_vector(mangle_vector);
}

/* A frame from its type on; the length is put in front. */
static bool accepts_frame(const char *hex)
{
	uint8_t bytes[1024];
	size_t length = 4 + from_hex(hex, bytes + 4);

	put_length(bytes, length - 4);
	return accepts(bytes, length);
}

#define ID "01000000"

static void malformed(void)
{
	/* rmdir("a"), and what differs from it in one thing */
	check(accepts_frame("01" ID "0100" "0700" "00" "01000000" "61"));
	check(!accepts_frame("01" ID "0100" "0700" "00" "01000000" "00")); /* NUL in a string */
	check(!accepts_frame("01" ID "0100" "0700" "00" "02000000" "61")); /* longer than the frame */
	check(!accepts_frame("01" ID "0100" "0700" "00" "ffffffff" "61")); /* would wrap around */
	check(!accepts_frame("01" ID "0200" "0700" "00" "01000000" "61")); /* one operation missing */
	check(!accepts_frame("01" ID "0000" "0700" "00" "01000000" "61")); /* one too many */
	check(!accepts_frame("01" ID "0100" "0000" "00" "01000000" "61")); /* opcode 0 */
	check(!accepts_frame("01" ID "0100" "1200" "00" "01000000" "61")); /* the one behind the last */
	check(!accepts_frame("01" ID "0100" "ffff" "00" "01000000" "61"));
	check(!accepts_frame("01" ID "0100" "0700" "04" "01000000" "61")); /* unknown flag */
	check(!accepts_frame("63" ID "0100" "0700" "00" "01000000" "61")); /* unknown type */
	/* argv ["a"], no env */
	check(accepts_frame("02" ID "00" "ffffffff" "00000000" "0100" "01000000" "61" "0000"));
	check(!accepts_frame("02" ID "04" "ffffffff" "00000000" "0100" "01000000" "61" "0000")); /* unknown flag */
	check(!accepts_frame("02" ID "00" "feffffff" "00000000" "0100" "01000000" "61" "0000")); /* negative limit */
	check(!accepts_frame("02" ID "00" "ffffffff" "00000000" "ffff" "01000000" "61" "0000")); /* untrue count */
	check(!accepts_frame("02" ID "00" "ffffffff" "00000000" "0100" "01000000" "00" "0000")); /* NUL in an argument */
	check(!accepts_frame("02" ID "00" "ffffffff" "00000000" "0000" "0000"));                 /* empty argv */
	check(!accepts_frame("02" ID "00" "ffffffff" "00000000" "0100" "01000000" "61"));        /* no env */
	/* pid 1, signal 1 */
	check(accepts_frame("03" ID "01000000" "01000000"));
	check(!accepts_frame("03" ID "01000000" "0100000000"));
}

static void lengths(void)
{
	uint8_t bytes[9] = {0};
	struct frame frame;

	static const size_t bad[] = {0, 1, 4, RL_FRAME_MAX + 1, 0x7fffffff, 0xffffffff};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		put_length(bytes, bad[i]);
		check_int(frame_cut(bytes, 4, &frame), -EPROTO);
		check_int(frame_cut(bytes, sizeof(bytes), &frame), -EPROTO);
	}
	put_length(bytes, RL_FRAME_MAX);
	check_int(frame_cut(bytes, sizeof(bytes), &frame), 0);
	put_length(bytes, 5);
	check_int(frame_cut(bytes, sizeof(bytes), &frame), 9);
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	vectors_path = argv[1];
	run_test("the byte vectors decode to their texts, and the texts encode to the bytes", vectors);
	run_test("a frame that is cut anywhere, or one byte too long, is refused", truncated);
	run_test("a frame with any one byte changed is never read out of bounds", mangled);
	run_test("bad strings, counts, opcodes and flags are refused", malformed);
	run_test("a length below a head's or above the maximum is refused", lengths);
	return finish();
}
