// SPDX-License-Identifier: Apache-2.0
#ifndef CLIENT_H
#define CLIENT_H

#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "../../native/protocol.h"
#include "harness.h"

/*
 * The supervisor's side of the control socket, for tests. Everything that init starts inherits the write end of a pipe as its
 * standard output, so the end of file on `output` is the proof that no process is left.
 */

static const char *rlkit_ns, *probe;

struct client {
	pid_t pid;
	int control;
	int output;
	uint32_t last_id;
};

struct message {
	int type; /* RL_REPLY, RL_EXITED, or -1: the end of the socket */
	uint32_t id;
	int count;
	int32_t values[64]; /* the first of the results, or pid and status */
	char text[RL_NOTIFY_MAX + 1]; /* of NOTIFIED */
};

/* Gives init what it must not pass on: an open descriptor, and capabilities to inherit if the test is root. */
static inline void pollute(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	dup2(2, 99); /* beyond those that the test itself may have */
	syscall(SYS_capget, &head, data);
	for (int i = 0; i < _LINUX_CAPABILITY_U32S_3; i++)
		data[i].inheritable = data[i].permitted;
	if (syscall(SYS_capset, &head, data) == 0)
		prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_RAW, 0, 0);
}

/* Starts `rlkit-ns init`. terminal: an open terminal that becomes the controlling one of a new session, or -1. */
static inline struct client client_start_at(int terminal)
{
	struct client c = {0};
	int control[2], output[2];
	char fd[16];

	check_int(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, control), 0);
	check_int(pipe2(output, O_CLOEXEC), 0);
	c.control = control[0];
	c.output = output[0];
	c.pid = fork();
	if (c.pid == 0) {
		if (terminal < 0)
			terminal = open("/dev/null", O_RDWR | O_CLOEXEC);
		else
			(void)(setsid() < 0 || ioctl(terminal, TIOCSCTTY, 0) < 0);
		dup2(terminal, 0);
		pollute();
		snprintf(fd, sizeof(fd), "%d", control[1]);
		fcntl(control[1], F_SETFD, 0);
		dup2(output[1], 1);
		execl(rlkit_ns, "rlkit-ns", "init", fd, NULL);
		_exit(127);
	}
	close(control[1]);
	close(output[1]);
	return c;
}

static inline struct client client_start(void)
{
	return client_start_at(-1);
}

static inline void client_send(const struct client *c, const uint8_t *bytes, size_t length)
{
	check_int(send(c->control, bytes, length, MSG_NOSIGNAL), length);
}

/* Sends with descriptors that go with the first byte. */
static inline void client_send_fds(const struct client *c, const uint8_t *bytes, size_t length, const int *fds, int count)
{
	uint8_t control[CMSG_SPACE(64 * sizeof(int))] __attribute__((aligned(sizeof(struct cmsghdr)))) = {0};
	struct iovec data = {.iov_base = (void *)bytes, .iov_len = length};
	struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1};

	if (count) {
		struct cmsghdr *head = (struct cmsghdr *)control;

		message.msg_control = control;
		message.msg_controllen = CMSG_SPACE((size_t)count * sizeof(int));
		*head = (struct cmsghdr){
			.cmsg_len = CMSG_LEN((size_t)count * sizeof(int)),
			.cmsg_level = SOL_SOCKET,
			.cmsg_type = SCM_RIGHTS,
		};
		memcpy(CMSG_DATA(head), fds, (size_t)count * sizeof(int));
	}
	check_int(sendmsg(c->control, &message, MSG_NOSIGNAL), length);
}

static inline struct writer frame_begin(uint8_t *bytes, size_t size, uint8_t type, uint32_t id)
{
	struct writer w = {.at = bytes, .end = bytes + size};

	write_uint(&w, 4, 0);
	write_uint(&w, 1, type);
	write_uint(&w, 4, id);
	return w;
}

/* Sets the length. Returns how long the whole frame is. */
static inline size_t frame_end(uint8_t *bytes, const struct writer *w)
{
	struct writer length = {.at = bytes, .end = bytes + 4};

	check(!w->full);
	write_uint(&length, 4, (uint64_t)(w->at - bytes) - 4);
	return (size_t)(w->at - bytes);
}

static inline bool client_read(const struct client *c, uint8_t *bytes, size_t length)
{
	long end = now_ms() + DEADLINE;

	while (length) {
		struct pollfd p = {.fd = c->control, .events = POLLIN};
		long left = end - now_ms();
		ssize_t got;

		if (left <= 0 || poll(&p, 1, (int)left) == 0) {
			check(!"an answer in time");
			return false;
		}
		got = read(c->control, bytes, length);
		if (got <= 0)
			return false;
		bytes += got;
		length -= (size_t)got;
	}
	return true;
}

static inline struct message client_receive(const struct client *c)
{
	static uint8_t body[512 * 1024];
	struct message m = {.type = -1};
	uint8_t head[4];
	struct reader r = {.at = head, .end = head + 4};
	size_t length;

	if (!client_read(c, head, 4))
		return m;
	length = read_u32(&r);
	check(length <= sizeof(body));
	if (length > sizeof(body) || !client_read(c, body, length))
		return m;
	r = (struct reader){.at = body, .end = body + length};
	m.type = read_u8(&r);
	m.id = read_u32(&r);
	if (m.type == RL_NOTIFIED) {
		uint32_t size = read_u32(&r);

		check(size <= RL_NOTIFY_MAX && (size_t)(r.end - r.at) == size);
		memcpy(m.text, r.at, size <= RL_NOTIFY_MAX ? size : 0);
		return m;
	}
	m.count = m.type == RL_EXITED ? 2 : read_u16(&r);
	for (int i = 0; i < m.count; i++) {
		int32_t value = read_i32(&r);

		if (i < 64)
			m.values[i] = value;
	}
	check(!r.bad && r.at == r.end);
	return m;
}

static inline struct message client_reply(const struct client *c)
{
	struct message m = client_receive(c);

	check_int(m.type, RL_REPLY);
	check_int(m.id, c->last_id);
	return m;
}

/* Waits for the report that a process has ended. Returns its wait status. */
static inline int client_exited(const struct client *c, int pid)
{
	struct message m = client_receive(c);

	check_int(m.type, RL_EXITED);
	check_int(m.id, 0);
	check_int(m.values[0], pid);
	return m.values[1];
}

static inline void write_bytes(struct writer *w, const void *bytes, size_t length)
{
	write_uint(w, 4, length);
	for (size_t i = 0; i < length; i++)
		write_uint(w, 1, ((const uint8_t *)bytes)[i]);
}

static inline void write_op(struct writer *w, enum rl_opcode code, va_list fields)
{
	static const char *const types[RL_OP_END] = {
#define OP(name, fields) [RL_OP_##name] = fields,
		RL_OPS(OP)
#undef OP
	};

	write_uint(w, 2, code);
	write_uint(w, 1, 0);
	for (const char *type = types[code]; *type; type++) {
		if (*type == 's')
			write_str(w, va_arg(fields, const char *));
		else if (*type == 'l')
			write_uint(w, 8, va_arg(fields, uint64_t));
		else if (*type == 'b')
			write_bytes(w, va_arg(fields, const void *), va_arg(fields, size_t));
		else
			write_uint(w, 4, (uint32_t)va_arg(fields, int));
	}
}

/* Runs one operation. Returns its result. l fields are passed as uint64_t, b fields as pointer and size_t. */
static inline int client_op(struct client *c, enum rl_opcode code, ...)
{
	uint8_t bytes[8192];
	struct writer w = frame_begin(bytes, sizeof(bytes), RL_RUN, ++c->last_id);
	struct message m;
	va_list fields;

	write_uint(&w, 2, 1);
	va_start(fields, code);
	write_op(&w, code, fields);
	va_end(fields);
	client_send(c, bytes, frame_end(bytes, &w));
	m = client_reply(c);
	check_int(m.count, 1);
	return m.values[0];
}

struct process {
	uint8_t flags;
	bool nofile_set;
	int nofile;
	const char *cwd;
	const char *argv[8];
	const char *path; /* PATH; none if NULL */
	const char *variable; /* one more of its environment */
	int fd_count;
	int fds[RL_FDS_MAX];
};

/* Writes a SPAWN frame that announces so many descriptors. Returns its length. */
static inline size_t encode_process(uint8_t *bytes, size_t size, uint32_t id, const struct process *p)
{
	char path[512];
	struct writer w = frame_begin(bytes, size, RL_SPAWN, id);
	uint16_t count = 0;

	write_uint(&w, 1, p->flags);
	write_uint(&w, 1, (uint64_t)p->fd_count);
	write_uint(&w, 4, (uint32_t)(p->nofile_set ? p->nofile : -1));
	write_str(&w, p->cwd ? p->cwd : "");
	while (p->argv[count])
		count++;
	write_uint(&w, 2, count);
	for (uint16_t i = 0; i < count; i++)
		write_str(&w, p->argv[i]);
	write_uint(&w, 2, 1U + (p->path != NULL) + (p->variable != NULL));
	write_str(&w, "XPATH=/none");
	if (p->variable)
		write_str(&w, p->variable);
	if (p->path) {
		snprintf(path, sizeof(path), "PATH=%s", p->path);
		write_str(&w, path);
	}
	return frame_end(bytes, &w);
}

/* Starts a process. Returns its pid or -errno. */
static inline int client_spawn(struct client *c, const struct process *p)
{
	uint8_t bytes[8192];
	size_t length = encode_process(bytes, sizeof(bytes), ++c->last_id, p);
	struct message m;

	client_send_fds(c, bytes, length, p->fds, p->fd_count);
	m = client_reply(c);
	check_int(m.count, 1);
	return m.values[0];
}

static inline int client_spawn_probe(struct client *c, uint8_t flags, const char *what)
{
	int pid = client_spawn(c, &(struct process){.flags = flags, .argv = {probe, what}});

	check(pid > 0);
	return pid;
}

/* Asks init to signal a process. For a pid that is none it may be signal 0 only: init itself is what is being tested. */
static inline int client_signal(struct client *c, int pid, int signo)
{
	uint8_t bytes[64];
	struct writer w = frame_begin(bytes, sizeof(bytes), RL_SIGNAL, ++c->last_id);

	check(pid > 1 || signo == 0);
	write_uint(&w, 4, (uint32_t)pid);
	write_uint(&w, 4, pid > 1 ? (uint32_t)signo : 0);
	client_send(c, bytes, frame_end(bytes, &w));
	return client_reply(c).values[0];
}

/* A user namespace, in which the test's user and group are `id`, and others; init's pid is c->pid. */
static inline void client_unshare(struct client *c, int flags, unsigned id)
{
	char path[64], map[64];

	check_int(client_op(c, RL_OP_unshare, CLONE_NEWUSER | flags), 0);
	snprintf(path, sizeof(path), "/proc/%d/setgroups", c->pid);
	write_text(path, "deny");
	snprintf(path, sizeof(path), "/proc/%d/uid_map", c->pid);
	snprintf(map, sizeof(map), "%u %u 1", id, geteuid());
	write_text(path, map);
	snprintf(path, sizeof(path), "/proc/%d/gid_map", c->pid);
	snprintf(map, sizeof(map), "%u %u 1", id, getegid());
	write_text(path, map);
}

/* Namespaces with the test's user as their root. */
static inline void client_isolate(struct client *c, int flags)
{
	client_unshare(c, flags, 0);
	check_int(client_op(c, RL_OP_set_ids, 0, 0), 0);
}

/* Waits until nothing holds the output any more: init and all that it started are gone. Then init's exit status is 0. */
static inline void client_gone(struct client *c)
{
	read_until(c->output, -1);
	check_int(wait_status(c->pid), 0);
	close(c->output);
}

/* Closes the socket, as the supervisor's death does. */
static inline void client_end(struct client *c)
{
	close(c->control);
	client_gone(c);
}

/* A line that a process printed. */
static inline const char *client_line(const struct client *c)
{
	return read_until(c->output, '\n');
}

#endif
