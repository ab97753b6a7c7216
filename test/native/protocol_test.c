// SPDX-License-Identifier: Apache-2.0
#include "frame_text.h"
#include "vectors.h"

/* The frames as bytes and as structures: what init and portd read and write is what the vectors say. */

static bool covered[RL_OP_END];

static void hold_to_vector(const char *name, uint8_t *bytes, size_t length, const char *text)
{
	struct text printed;
	uint8_t encoded[256];

	for (int code = 1; code < RL_OP_END; code++)
		if (!strcmp(name, operations[code].name))
			covered[code] = true;
	if (is_message(text)) {
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
	if (is_message(text))
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
	for (size_t at = 4; !is_message(text) && at < length; at++) {
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
	check(!accepts_frame("01" ID "0100" "1400" "00" "01000000" "61")); /* the one behind the last */
	check(!accepts_frame("01" ID "0100" "ffff" "00" "01000000" "61"));
	check(!accepts_frame("01" ID "0100" "0700" "04" "01000000" "61")); /* unknown flag */
	check(!accepts_frame("63" ID "0100" "0700" "00" "01000000" "61")); /* unknown type */
	/* netlink(0, one byte) */
	check(accepts_frame("01" ID "0100" "1200" "00" "00000000" "01000000" "00"));
	check(!accepts_frame("01" ID "0100" "1200" "00" "00000000" "02000000" "00"));
	check(!accepts_frame("01" ID "0100" "1200" "00" "00000000" "ffffffff" "00"));
	check(!accepts_frame("01" ID "0100" "1200" "00" "00000000" "00000000" "00"));
	/* no descriptors, argv ["a"], no env */
	check(accepts_frame("02" ID "00" "00" "ffffffff" "00000000" "0100" "01000000" "61" "0000"));
	check(!accepts_frame("02" ID "10" "00" "ffffffff" "00000000" "0100" "01000000" "61" "0000")); /* unknown flag */
	check(!accepts_frame("02" ID "00" "11" "ffffffff" "00000000" "0100" "01000000" "61" "0000")); /* 17 descriptors */
	check(!accepts_frame("02" ID "00" "00" "feffffff" "00000000" "0100" "01000000" "61" "0000")); /* negative limit */
	check(!accepts_frame("02" ID "00" "00" "ffffffff" "00000000" "ffff" "01000000" "61" "0000")); /* untrue count */
	check(!accepts_frame("02" ID "00" "00" "ffffffff" "00000000" "0100" "01000000" "00" "0000")); /* NUL in an argument */
	check(!accepts_frame("02" ID "00" "00" "ffffffff" "00000000" "0000" "0000"));                 /* empty argv */
	check(!accepts_frame("02" ID "00" "00" "ffffffff" "00000000" "0100" "01000000" "61"));        /* no env */
	/* pid 1, signal 1 */
	check(accepts_frame("03" ID "01000000" "01000000"));
	check(!accepts_frame("03" ID "01000000" "0100000000"));
	/* port 1, a stream to "a", port 80, stand-in "b" */
	check(accepts_frame("08" ID "01000000" "01" "01" "00000000" "01000000" "61" "5000" "01000000" "62"));
	check(!accepts_frame("08" ID "01000000" "00" "01" "00000000" "01000000" "61" "5000" "01000000" "62")); /* unknown kind */
	check(!accepts_frame("08" ID "01000000" "03" "01" "00000000" "01000000" "61" "5000" "01000000" "62"));
	check(!accepts_frame("08" ID "01000000" "01" "02" "00000000" "01000000" "61" "5000" "01000000" "62")); /* unknown flag */
	check(!accepts_frame("08" ID "01000000" "01" "01" "00000000" "01000000" "00" "5000" "01000000" "62")); /* NUL in an address */
	check(!accepts_frame("09" ID "010000"));
	check(!accepts_frame("0a" ID "00"));
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
