// SPDX-License-Identifier: Apache-2.0
#include <strings.h>

#include "answer.h"

#define END_OF_HEAD "\r\n\r\n"
#define LENGTH_DIGITS 7 /* what does not fit in memory is no answer to us */

/* The value of a header line if it has that name, else NULL. `end` is that of the head: every line before it ends with "\n". */
static const char *value_of(const char *line, const char *end, const char *name)
{
	size_t length = strlen(name);

	if ((size_t)(end - line) <= length || strncasecmp(line, name, length) || line[length] != ':')
		return NULL;
	line += length + 1;
	return line + strspn(line, " \t");
}

/* Reads Content-Length's value. Returns -1 if it is none. */
static int read_length(const char *value)
{
	size_t digits = strspn(value, "0123456789");

	if (!digits || digits > LENGTH_DIGITS || value[digits + strspn(value + digits, " \t")] != '\r')
		return -1;
	return atoi(value);
}

/* Finds the body's length in a head. Returns -EPROTO if it has none, or two, or comes in chunks. */
static int body_length(const char *head, const char *end)
{
	int length = -1;

	for (const char *line = head; line < end;) {
		const char *value = value_of(line, end, "content-length");

		if (value_of(line, end, "transfer-encoding") || (value && length >= 0))
			return -EPROTO;
		if (value) {
			length = read_length(value);
			if (length < 0)
				return -EPROTO;
		}
		line = (const char *)memchr(line, '\n', (size_t)(end - line)) + 1; /* the end is behind one */
	}
	return length < 0 ? -EPROTO : length;
}

/* Reads "HTTP/1.1 200 …". Returns the status, or -EPROTO. */
static int read_status(const char *line, const char *end)
{
	static const char version[] = "HTTP/1.";

	if ((size_t)(end - line) < strlen(version) || memcmp(line, version, strlen(version)))
		return -EPROTO;
	line += strlen(version);
	if ((*line != '0' && *line != '1') || line[1] != ' ' || strspn(line + 2, "0123456789") != 3)
		return -EPROTO;
	return atoi(line + 2);
}

int answer_cut(char *bytes, size_t length, struct answer *out)
{
	char *head_end = memmem(bytes, length, END_OF_HEAD, strlen(END_OF_HEAD));
	size_t head, body;
	int found;

	if (!head_end)
		return 0;
	if (memchr(bytes, 0, (size_t)(head_end - bytes)))
		return -EPROTO;
	head = (size_t)(head_end - bytes) + strlen(END_OF_HEAD);
	out->status = read_status(bytes, head_end);
	if (out->status < 0)
		return out->status;
	found = body_length(bytes, head_end + 2);
	if (found < 0)
		return found;
	body = (size_t)found;
	if (length - head < body)
		return 0;
	out->body = bytes + head;
	out->body[body] = 0;
	for (size_t end = strlen(out->body); end && out->body[end - 1] == '\n';)
		out->body[--end] = 0;
	return (int)(head + body);
}

int decision_read(char *body, struct decision *out)
{
	static const char forward[] = "forward ";

	*out = (struct decision){.todo = TODO_PLAIN};
	body[strcspn(body, "\n")] = 0;
	if (!strcmp(body, "plain"))
		return 0;
	out->todo = TODO_SKIP;
	if (!strcmp(body, "skip"))
		return 0;
	out->todo = TODO_FORWARD;
	if (strncmp(body, forward, strlen(forward)))
		return -EPROTO;
	out->id = body + strlen(forward);
	out->child_ip = out->id + strspn(out->id, "0123456789");
	if (out->child_ip == out->id || out->child_ip - out->id > ID_DIGITS || *out->child_ip != ' ')
		return -EPROTO;
	*out->child_ip++ = 0;
	return *out->child_ip && !out->child_ip[strspn(out->child_ip, "0123456789abcdefABCDEF.:")] ? 0 : -EPROTO;
}
