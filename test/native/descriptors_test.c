// SPDX-License-Identifier: Apache-2.0
#include <dirent.h>

#include "client.h"

/* Descriptors that come with SPAWN: which process gets which, and that none is left in `rlkit-ns init`. */

#define FILES (RL_FDS_MAX + 1)

static int files[FILES]; /* "a", "b", … in the scratch directory */

static void open_files(void)
{
	for (int i = 0; i < FILES; i++) {
		char name[] = {(char)('a' + i), 0};

		files[i] = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		check(files[i] >= 0);
	}
}

static void close_files(void)
{
	for (int i = 0; i < FILES; i++)
		close(files[i]);
}

static int count_fds(pid_t pid)
{
	char path[64];
	DIR *directory;
	int count = 0;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	directory = opendir(path);
	check(directory != NULL);
	while (directory && readdir(directory))
		count++;
	if (directory)
		closedir(directory);
	return count;
}

/* A process that writes its descriptors to the file `name`; the first descriptors that it is to get are files[from…]. */
static struct process lister(const char *name, int from, int count)
{
	struct process process = {.cwd = scratch, .argv = {probe, "descriptors", name}, .fd_count = count};

	memcpy(process.fds, files + from, (size_t)count * sizeof(int));
	return process;
}

static void in_order(void)
{
	struct client c = client_start();
	struct process process;
	char expected[256] = "";
	int before;

	enter_scratch();
	open_files();
	check_int(client_op(&c, RL_OP_rmdir, "/none"), -ENOENT); /* it has opened all that it needs */
	before = count_fds(c.pid);
	for (int count = 1; count <= RL_FDS_MAX; count++) { /* with as many as can be, their numbers in init and in the process overlap */
		process = lister("list", 0, count);
		sprintf(expected + strlen(expected), "%d=%c ", count - 1, 'a' + count - 1);
		check_int(client_exited(&c, client_spawn(&c, &process)), 0);
		check_text(content("list"), expected);
		check_int(count_fds(c.pid), before);
	}
	process = (struct process){.argv = {"/none"}, .fd_count = 3};
	memcpy(process.fds, files, 3 * sizeof(int));
	check_int(client_spawn(&c, &process), -ENOENT);
	check_int(count_fds(c.pid), before);
	close_files();
	leave_scratch();
	client_end(&c);
}

/* Frames that come together, and what a frame that has no descriptors of its own does in their middle. */
static void queue(void)
{
	static const int together[] = {0, 3, 0, 2};
	struct client c = client_start();
	uint8_t bytes[4096];
	size_t length = 0;
	int pids[4], from = 0;

	enter_scratch();
	open_files();
	for (int i = 0; i < 4; i++) {
		struct process process = lister((const char *[]){"one", "two", "three", "four"}[i], from, together[i]);

		process.argv[3] = together[i] ? NULL : "keeps 0 to 2";
		length += encode_process(bytes + length, sizeof(bytes) - length, (uint32_t)i, &process);
		from += together[i];
	}
	client_send_fds(&c, bytes, length, files, from); /* all with the first byte of all */
	for (int i = 0, replies = 0; i < 8; i++) {
		struct message m = client_receive(&c);

		if (m.type == RL_REPLY)
			pids[replies++] = m.values[0];
		else
			check_int(m.values[1], 0);
	}
	check(pids[0] > 0 && pids[3] > 0);
	check(!strncmp(content("one"), "0=null 1=pipe:", 14) && !strstr(content("one"), " 3="));
	check_text(content("two"), "0=a 1=b 2=c ");
	check(!strncmp(content("three"), "0=null 1=pipe:", 14) && !strstr(content("three"), " 3="));
	check_text(content("four"), "0=d 1=e ");
	close_files();
	leave_scratch();
	client_end(&c);
}

/* A frame of which only the first byte has come yet; the frame before it must not take what is not its own. */
static void in_pieces(void)
{
	struct client c = client_start();
	struct process process;
	uint8_t bytes[4096];
	size_t length;

	enter_scratch();
	open_files();
	process = lister("list", 5, 4);
	length = encode_process(bytes, sizeof(bytes), 1, &process);
	client_send_fds(&c, bytes, 1, process.fds, process.fd_count);
	for (size_t i = 1; i < length; i++)
		client_send(&c, bytes + i, 1);
	c.last_id = 1;
	check_int(client_exited(&c, client_reply(&c).values[0]), 0);
	check_text(content("list"), "0=f 1=g 2=h 3=i ");
	close_files();
	leave_scratch();
	client_end(&c);
}

/* Sends a pipe's write end so many times, and then a frame that announces another number: init ends, and nobody has the pipe. */
static void send_and_announce(int sent, int announced)
{
	struct client c = client_start();
	struct process process = {.argv = {probe, "stay"}, .fd_count = announced};
	uint8_t bytes[4096];
	size_t length = encode_process(bytes, sizeof(bytes), 1, &process);
	int ends[2], fds[2 * RL_FDS_MAX];

	check_int(pipe2(ends, O_CLOEXEC), 0);
	for (int i = 0; i < sent; i++)
		fds[i] = ends[1];
	client_send_fds(&c, bytes, 1, fds, sent);
	client_send(&c, bytes + 1, length - 1);
	close(ends[1]);
	client_gone(&c); /* by itself: our end is still open */
	check_text(read_until(ends[0], -1), "");
	close(ends[0]);
	close(c.control);
}

static void wrong_numbers(void)
{
	send_and_announce(0, 1);
	send_and_announce(2, 3);
	send_and_announce(3, 2);
	send_and_announce(1, 0);
	send_and_announce(RL_FDS_MAX + 1, RL_FDS_MAX);
	send_and_announce(2 * RL_FDS_MAX, RL_FDS_MAX);
}

/* More than can wait, though each message alone has an allowed number. */
static void flood(void)
{
	struct client c = client_start();
	uint8_t length[4] = {0, 0, 1, 0}; /* of a frame of which nothing else comes */

	enter_scratch();
	open_files();
	client_send_fds(&c, length, 1, files, 10);
	client_send_fds(&c, length + 1, 1, files, 10);
	client_gone(&c);
	close(c.control);
	close_files();
	leave_scratch();
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	rlkit_ns = argv[1];
	probe = argv[2];
	run_test("become a process's 0, 1, 2…, it has no other, and init keeps none", in_order);
	run_test("go to the frames that announce them, in order", queue);
	run_test("wait for the rest of their frame", in_pieces);
	run_test("that are more or fewer than a frame announces end init", wrong_numbers);
	run_test("that nobody claims are not collected without end", flood);
	return finish();
}
