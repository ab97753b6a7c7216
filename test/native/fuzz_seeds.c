// SPDX-License-Identifier: Apache-2.0
#include "vectors.h"

/* `fuzz_seeds VECTORS DIRECTORY`: writes what the fuzzers begin with: the requests of the byte vectors, and answers of the API. */

static const char *const answers[] = {
	"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 20\r\n\r\nforward 7 127.0.0.1\n",
	"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nplain\n",
	"HTTP/1.0 200 OK\r\ncontent-length:5 \r\n\r\nskip\n",
	"HTTP/1.1 400 Bad Request\r\nTransfer-Encoding: chunked\r\n\r\n",
};

static void write_seed(const char *directory, const char *name, const void *bytes, size_t length)
{
	char path[256];
	int fd;

	mkdir(directory, 0755);
	snprintf(path, sizeof(path), "%s/%s", directory, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	check_int(write(fd, bytes, length), length);
	close(fd);
}

static void write_frame(const char *name, uint8_t *bytes, size_t length, const char *text)
{
	if (is_message(text))
		return;
	write_seed("frame", name, bytes, length);
	write_seed("port_frame", name, bytes, length);
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	vectors_path = realpath(argv[1], NULL);
	mkdir(argv[2], 0755);
	check(vectors_path && chdir(argv[2]) == 0);
	if (!checks_failed)
		for_each_vector(write_frame);
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
		write_seed("answer", (char[]){(char)('a' + i), 0}, answers[i], strlen(answers[i]));
	return checks_failed != 0;
}
