// SPDX-License-Identifier: Apache-2.0
#include "../../native/answer.h"
#include "harness.h"

/* What docker-proxy reads of the supervisor's answers. */

#define OK "HTTP/1.1 200 OK\r\n"

/* Cuts an answer in an allocation with one byte to spare, as answer_cut wants it; the sanitizer sees a read behind that. */
static int cut(const char *bytes, size_t length, struct answer *out)
{
	static char *exact;

	free(exact);
	exact = malloc(length + 1);
	memcpy(exact, bytes, length);
	exact[length] = 'x';
	return answer_cut(exact, length, out);
}

static int cut_text(const char *text)
{
	struct answer answer;

	return cut(text, strlen(text), &answer);
}

static void whole(void)
{
	static const char node[] = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nDate: Sun, 22 Nov 2026 00:00:00 GMT\r\n"
				   "Connection: keep-alive\r\nContent-Length: 20\r\n\r\nforward 7 127.0.0.1\n";
	static const char refused[] = "HTTP/1.1 400 Bad Request\r\ncontent-length:\t5  \r\n\r\na b\n\n";
	struct answer answer;

	check_int(cut(node, strlen(node), &answer), strlen(node));
	check_int(answer.status, 200);
	check_text(answer.body, "forward 7 127.0.0.1");
	for (size_t length = 0; length < strlen(node); length++)
		check_int(cut(node, length, &answer), 0);
	check_int(cut(refused, strlen(refused), &answer), strlen(refused));
	check_int(answer.status, 400);
	check_text(answer.body, "a b");
	check_int(cut("HTTP/1.0 200 \r\nContent-Length: 0\r\n\r\nmore", 40, &answer), 36);
	check_text(answer.body, "");
	check_int(cut_text(OK "Content-Length: 3\r\n\r\n\n\n\n"), 41);
}

static void malformed(void)
{
	static const char *const bad[] = {
		"\r\n\r\n",
		"HTTP/2 200 OK\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.2 200 OK\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1  200 OK\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
		OK "\r\n",
		OK "Content-Length: \r\n\r\n",
		OK "Content-Length: -1\r\n\r\n",
		OK "Content-Length: 0x1\r\n\r\n",
		OK "Content-Length: 12345678\r\n\r\n", /* more than there can be memory for */
		OK "Content-Length: 99999999999999999999\r\n\r\n",
		OK "Content-Length: 0\r\nContent-Length: 0\r\n\r\n",
		OK "Content-Length: 0\nX: y\r\n\r\n",
		OK "Content-Length : 0\r\n\r\n",
		OK "X-Content-Length: 0\r\n\r\n",
		OK "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		OK "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n",
	};
	static const char nul[] = OK "X: \0\r\nContent-Length: 0\r\n\r\n";
	struct answer answer;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (cut_text(bad[i]) != -EPROTO)
			printf("    accepted: %s\n", bad[i]);
		check_int(cut_text(bad[i]), -EPROTO);
	}
	check_int(cut(nul, sizeof(nul) - 1, &answer), -EPROTO);
}

static int decide(const char *body, struct decision *out)
{
	static char copy[256];

	return decision_read(strcpy(copy, body), out);
}

static void decisions(void)
{
	static const char *const bad[] = {
		"",
		" plain",
		"plain ",
		"forward",
		"forward ",
		"forward 1",
		"forward 1 ",
		"forward  127.0.0.1",
		"forward x 127.0.0.1",
		"forward -1 127.0.0.1",
		"forward 1/2 127.0.0.1",
		"forward 123456789012345678901 ::1",
		"forward 1 127.0.0.1 x",
		"forward 1 localhost",
		"forward 1 -host-ip",
	};
	struct decision decision;

	check_int(decide("plain", &decision), 0);
	check_int(decision.todo, TODO_PLAIN);
	check_int(decide("skip\nwhatever", &decision), 0);
	check_int(decision.todo, TODO_SKIP);
	check_int(decide("forward 12345678901234567890 fd00::64\n", &decision), 0);
	check_int(decision.todo, TODO_FORWARD);
	check_text(decision.id, "12345678901234567890");
	check_text(decision.child_ip, "fd00::64");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		check_int(decide(bad[i], &decision), -EPROTO);
}

int main(void)
{
	run_test("an HTTP answer is read once all of it is there", whole);
	run_test("what is no such answer is refused", malformed);
	run_test("the decision is read, and nothing like it", decisions);
	return finish();
}
