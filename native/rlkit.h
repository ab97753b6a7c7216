// SPDX-License-Identifier: Apache-2.0
#ifndef RLKIT_RLKIT_H
#define RLKIT_RLKIT_H

#include <stdint.h>

/*
 * librlkit.so: the system calls that Node lacks. It is called by ffi-rs from Node's main thread, so arguments are ints and
 * caller-owned buffers only, every function returns a value or -errno, and there is no state, constructor or thread. Paths are
 * NUL-terminated; other data is little-endian as in protocol.h; descriptors are made close-on-exec.
 */
#define RL_API __attribute__((visibility("default")))

/*
 * Starts a process and waits until it has exec'd. Returns its pid, or the -errno of whatever failed, execve(2) included.
 *   spec   i32 death signal (0: none), u8 flags (RL_SETSID), i32 soft RLIMIT_NOFILE (-1: leave), str cwd ("": keep), str path
 *          (PATH is not searched), strs argv, strs env, u16 n, i32 fds[n]
 * The child's descriptor i is fds[i], or /dev/null for -1; it has no other. Its signals are all at their defaults. The death
 * signal comes when the *calling thread* ends (PR_SET_PDEATHSIG), so call it from the main thread.
 */
RL_API int rl_spawn(const uint8_t *spec, int length);

/*
 * Becomes another program, by the same spec; death signal and flags are not looked at. Returns -errno if that is not possible, and then
 * descriptors, signals and limits may be those of the other program already.
 */
RL_API int rl_exec(const uint8_t *spec, int length);

/* Reaps a child without waiting. Returns 0 if it still runs, or its pid, and an i32 status as of waitpid(2) in out[0..3]. */
RL_API int rl_wait(int pid, uint8_t *out);

/* poll(2) on an array of struct pollfd; the time is in milliseconds, -1 for ever. -EINTR comes back like other errors. */
RL_API int rl_poll(uint8_t *pollfds, int count, int timeout);

/* pidfd_open(2), pidfd_send_signal(2): a process that cannot be mistaken for a later one with its pid. -ENOSYS before 5.3. */
RL_API int rl_pidfd_open(int pid);
RL_API int rl_pidfd_signal(int pidfd, int signo);

/* Two connected stream sockets; a pipe's read and write end. Two i32 in out. */
RL_API int rl_socketpair(uint8_t *out);
RL_API int rl_pipe(uint8_t *out);

/* flock(2); with LOCK_NB, -EAGAIN when another holds it. */
RL_API int rl_flock(int fd, int operation);

/* A FIFO, or a listening, non-blocking Unix stream socket, of exactly that mode. An existing file is -EEXIST, -EADDRINUSE. */
RL_API int rl_mkfifo(const uint8_t *path, int mode);
RL_API int rl_listen_unix(const uint8_t *path, int backlog, int mode);

/*
 * Sends all of it on a stream socket, with `count` descriptors (i32 each) that go with its first byte (SCM_RIGHTS, unix(7)). Waits
 * for a slow reader for 5 s at the most, then -ETIMEDOUT.
 */
RL_API int rl_send(int fd, const uint8_t *bytes, int length, const uint8_t *fds, int count);

/*
 * A bound, non-blocking socket for a published port; streams listen, too. Returns the descriptor.
 *   IP version (4, 6), kind (protocol.h's rl_kind), IPV6_V6ONLY, port (0: any), numeric address ("": all)
 */
RL_API int rl_bind(int family, int kind, int v6only, int port, const char *address);

/* The port that a socket is bound to. */
RL_API int rl_bound_port(int fd);

/* Waits for the socket that `rlkit-ns bind` hands over on fd. Returns its descriptor, or what binding failed with. */
RL_API int rl_receive_socket(int fd);

/* Who connected a Unix socket (SO_PEERCRED): u32 uid and u32 pid in out. */
RL_API int rl_peer(int fd, uint8_t *out);

/* A non-blocking Unix datagram socket at `path`, for what sd_notify(3) sends. Returns the descriptor. */
RL_API int rl_notify_bind(const uint8_t *path);

/* Sends a message as sd_notify(3) does to NOTIFY_SOCKET's value (@: abstract). -EAGAIN when the service manager's queue is full. */
RL_API int rl_notify_send(const uint8_t *name, int name_length, const uint8_t *message, int length);

/* Gives clean pages of files back to the kernel (lib_trim.c). Returns how many KiB were resident in the mappings. */
RL_API int rl_trim(void);

/*
 * Writes the names of those directories in `directory` that hold, at any depth, a relative symlink which lexically climbs to
 * `directory` or above, as str after str. Returns the bytes written, -ENOSPC when `capacity` is too small.
 */
RL_API int rl_leaving_links(const uint8_t *directory, uint8_t *out, int capacity);

/* 1 if the descriptor is a terminal, 0 if not (isatty(3)): Node's own answer loads its network stack. */
RL_API int rl_isatty(int fd);

/* Ends the process at once (_exit(2)), for a caller that has nothing left to flush or free. Does not return. */
RL_API int rl_exit(int status);

#endif
