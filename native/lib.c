// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "rlkit.h"
#include "unix_path.h"
#include "util.h"

/* Newer than the headers of some systems; the numbers are the same on every architecture since 5.0. */
#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

static int write_pair(int result, uint8_t *out, const int *pair)
{
	struct writer w = {.at = out, .end = out + 8};

	if (result < 0)
		return result;
	write_uint(&w, 4, (uint32_t)pair[0]);
	write_uint(&w, 4, (uint32_t)pair[1]);
	return 0;
}

int rl_wait(int pid, uint8_t *out)
{
	struct writer w = {.at = out, .end = out + 4};
	int status = 0, result;

	if (pid <= 0) /* any child: that would take the exit statuses of libuv's */
		return -EINVAL;
	result = result_of(waitpid(pid, &status, WNOHANG));
	write_uint(&w, 4, (uint32_t)status);
	return result;
}

int rl_poll(uint8_t *pollfds, int count, int timeout)
{
	cleanup_free struct pollfd *fds = NULL;
	size_t size = (size_t)count * sizeof(*fds);
	int result;

	if (count < 0)
		return -EINVAL;
	fds = malloc(size + 1);
	if (!fds)
		return -ENOMEM;
	memcpy(fds, pollfds, size); /* a Buffer has no alignment */
	result = result_of(poll(fds, (nfds_t)count, timeout));
	memcpy(pollfds, fds, size);
	return result;
}

int rl_pidfd_open(int pid)
{
	return result_of(syscall(SYS_pidfd_open, pid, 0));
}

int rl_pidfd_signal(int pidfd, int signo)
{
	return result_of(syscall(SYS_pidfd_send_signal, pidfd, signo, NULL, 0));
}

int rl_socketpair(uint8_t *out)
{
	int pair[2];

	return write_pair(result_of(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair)), out, pair);
}

int rl_pipe(uint8_t *out)
{
	int pair[2];

	return write_pair(result_of(pipe2(pair, O_CLOEXEC)), out, pair);
}

int rl_flock(int fd, int operation)
{
	return result_of(flock(fd, operation));
}

int rl_mkfifo(const uint8_t *path, int mode)
{
	const char *name = (const char *)path;

	if (mkfifo(name, (mode_t)mode) < 0)
		return -errno;
	/* Not by umask(2), which is every thread's. */
	return result_of(chmod(name, (mode_t)mode));
}

int rl_listen_unix(const uint8_t *path, int backlog, int mode)
{
	const char *name = (const char *)path;
	struct sockaddr_un address = {0};
	cleanup_fd int directory = -1;
	cleanup_fd int fd = -1;
	int error = unix_path(name, &address, &directory), listening;

	if (error)
		return error;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	/* The mode before listen(2): until then whoever could connect by the umask's mode is refused. */
	if (chmod(name, (mode_t)mode) < 0 || listen(fd, backlog) < 0) {
		error = -errno;
		unlink(name);
		return error;
	}
	listening = fd;
	fd = -1;
	return listening;
}

int rl_isatty(int fd)
{
	return isatty(fd);
}

int rl_exit(int status)
{
	_exit(status);
}
