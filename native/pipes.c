// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>

#include "portd.h"

/*
 * Pipes for splice(2). The kernel counts the pages of all of a user's pipes (pipe(7): 64 MiB by default, and beyond that new ones
 * hold 8 KiB), so they are few, and shared by whoever has bytes in flight: a connection that gets none copies.
 */
#define LARGE (1024 * 1024)
#define LARGE_MAX 24 /* of 64 MiB: the user has other programs */
#define SMALL_MIN 65536 /* the kernel's default; less is not worth a splice */
#define PIPES_MAX 256
#define SPARE_MAX 8 /* kept open although nobody borrows them */

static struct pipe *spare;
static int pipes, large, spares;

static struct pipe *pipe_make(void)
{
	struct pipe *pipe;
	int fds[2], size;

	if (pipes == PIPES_MAX || pipe2(fds, O_NONBLOCK | O_CLOEXEC) < 0)
		return NULL;
	size = large < LARGE_MAX ? fcntl(fds[1], F_SETPIPE_SZ, LARGE) : -1;
	if (size < 0)
		size = fcntl(fds[1], F_GETPIPE_SZ);
	pipe = size >= SMALL_MIN ? malloc(sizeof(*pipe)) : NULL;
	if (!pipe) {
		close(fds[0]);
		close(fds[1]);
		return NULL;
	}
	*pipe = (struct pipe){.out = fds[0], .in = fds[1], .size = (size_t)size};
	pipes++;
	large += size >= LARGE;
	return pipe;
}

struct pipe *pipe_borrow(void)
{
	struct pipe *pipe = spare;

	if (!pipe)
		return pipe_make();
	spare = pipe->next;
	spares--;
	return pipe;
}

void pipe_return(struct pipe *pipe)
{
	if (spares == SPARE_MAX) {
		pipe_end(pipe);
		return;
	}
	pipe->next = spare;
	spare = pipe;
	spares++;
}

void pipe_end(struct pipe *pipe)
{
	close(pipe->out);
	close(pipe->in);
	large -= pipe->size >= LARGE;
	pipes--;
	free(pipe);
}

void pipes_trim(void)
{
	while (spares)
		pipe_end(pipe_borrow());
}
