// SPDX-License-Identifier: Apache-2.0
#include <linux/sockios.h>

#include "client.h"

/* `rlkit-ns init` from end to end, over its socket. */

#define NAMESPACES (CLONE_NEWNS | CLONE_NEWNET)

static void namespaces(void)
{
	struct client c = client_start();
	char path[64], own[64] = "", its[64] = "";

	client_isolate(&c, NAMESPACES);
	snprintf(path, sizeof(path), "/proc/%d/ns/net", c.pid);
	check(readlink("/proc/self/ns/net", own, sizeof(own) - 1) > 0 && readlink(path, its, sizeof(its) - 1) > 0);
	check(strcmp(own, its));
	check_int(client_op(&c, RL_OP_link_up, "lo"), 0);
	check_int(client_op(&c, RL_OP_mount, "", "/tmp", "tmpfs", (uint64_t)0, "mode=0700"), 0);
	check_int(client_op(&c, RL_OP_mkdir, "/tmp/inside", 0755), 0);
	check(access("/tmp/inside", F_OK) < 0);
	check_int(client_op(&c, RL_OP_umount, "/tmp", 2 /* MNT_DETACH */), 0);
	check_int(client_op(&c, RL_OP_rmdir, "/tmp/inside"), -ENOENT);
	check_int(client_op(&c, RL_OP_mount, "/none", "/tmp", "", (uint64_t)4096 /* MS_BIND */, ""), -ENOENT);
	check_int(client_op(&c, RL_OP_unshare, 1), -EINVAL);
	client_spawn_probe(&c, 0, "state");
	check(strstr(read_until(c.output, '/'), "\nids 0 0\n") != NULL);
	client_end(&c);
}

static void exits(void)
{
	struct client c = client_start();
	int pid = client_spawn(&c, &(struct process){.argv = {"sh", "-c", "exit 7"}});

	check_int(client_exited(&c, pid), 7 << 8);
	pid = client_spawn(&c, &(struct process){.argv = {"sh", "-c", "kill -USR1 $$"}});
	check_int(client_exited(&c, pid), SIGUSR1);
	client_end(&c);
}

static void exec_errors(void)
{
	struct client c = client_start();
	char path[256];

	enter_scratch();
	check_int(mkdir("forbidden", 0755), 0);
	write_text("forbidden/command", "#!/bin/sh\n");
	write_text("forbidden/sh", "#!/bin/sh\n");
	write_text("script", "echo no interpreter is named\n");
	check_int(chmod("script", 0755), 0);
	snprintf(path, sizeof(path), "%s/none:%s/forbidden:/bin/sh:/usr/bin", scratch, scratch);

	check_int(client_spawn(&c, &(struct process){.argv = {"command-that-is-not"}, .path = path}), -ENOENT);
	check_int(client_spawn(&c, &(struct process){.argv = {"command"}, .path = path}), -EACCES);
	check_int(client_spawn(&c, &(struct process){.argv = {"command"}, .path = "/usr/bin"}), -ENOENT);
	check_int(client_spawn(&c, &(struct process){.argv = {""}, .path = "/usr/bin"}), -ENOENT);
	check_int(client_spawn(&c, &(struct process){.argv = {"/none/command"}}), -ENOENT);
	check_int(client_spawn(&c, &(struct process){.argv = {"./script"}, .cwd = scratch}), -ENOEXEC);
	check_int(client_spawn(&c, &(struct process){.argv = {"true"}, .cwd = "/none"}), -ENOENT);
	/* what works: one that only a later directory has, an empty element, no PATH at all */
	check_int(client_exited(&c, client_spawn(&c, &(struct process){.argv = {"sh", "-c", "exit 3"}, .path = path})), 3 << 8);
	write_text("here", "#!/bin/sh\nexit 4\n");
	check_int(chmod("here", 0755), 0);
	check_int(client_exited(&c, client_spawn(&c, &(struct process){.argv = {"here"}, .cwd = scratch, .path = "/none::/bin"})), 4 << 8);
	check_int(client_exited(&c, client_spawn(&c, &(struct process){.argv = {"sh", "-c", "exit 5"}})), 5 << 8);
	leave_scratch();
	client_end(&c);
}

static void clean_child(void)
{
	struct client c = client_start();
	struct process state = {.nofile_set = true, .nofile = 99, .cwd = "/usr", .argv = {probe, "state"}, .flags = RL_SETSID};

	client_isolate(&c, NAMESPACES);
	check(client_spawn(&c, &state) > 0);
	check_text(client_line(&c), "fds 0=null 1 2");
	check_text(client_line(&c), "SigBlk 0000000000000000");
	check_text(client_line(&c), "SigIgn 0000000000000000");
	check_text(client_line(&c), "CapInh 0000000000000000");
	check_text(client_line(&c), "CapAmb 0000000000000000");
	check_text(client_line(&c), "death_signal 9");
	check_text(client_line(&c), "nofile 99");
	check_text(client_line(&c), "session own");
	check_text(client_line(&c), "ids 0 0");
	check_text(client_line(&c), "cwd /usr");
	client_end(&c);
}

static void leaks_nothing(void)
{
	struct client c = client_start();

	client_spawn_probe(&c, 0, "state");
	check_text(client_line(&c), "fds 0=null 1 2");
	check_text(client_line(&c), "SigBlk 0000000000000000");
	check_text(client_line(&c), "SigIgn 0000000000000000");
	check_text(client_line(&c), "CapInh 0000000000000000");
	check_text(client_line(&c), "CapAmb 0000000000000000");
	client_end(&c);
}

static void orphans(void)
{
	struct client c = client_start();
	int pid = client_spawn_probe(&c, 0, "orphan"), orphan = atoi(client_line(&c));

	check(orphan > 1);
	check_int(client_exited(&c, pid), 0);
	until(!exists(orphan)); /* a zombie would still be there */
	check_int(client_op(&c, RL_OP_rmdir, "/none"), -ENOENT); /* the next message is this reply, and nothing about the orphan */
	client_end(&c);
}

static void ends_descendants(void)
{
	struct client c = client_start();
	int grandchild;

	client_isolate(&c, NAMESPACES);
	client_exited(&c, client_spawn_probe(&c, 0, "daemon"));
	grandchild = atoi(client_line(&c));
	client_spawn_probe(&c, RL_SETSID, "stay");
	client_spawn_probe(&c, RL_TARGET, "signals");
	check(exists(grandchild));
	client_end(&c);
	check(!exists(grandchild));
}

static void ends_children_without_proc(void)
{
	struct client c;

	setenv("ASAN_OPTIONS", "detect_leaks=0", 1); /* the leak check needs /proc itself */
	c = client_start();
	unsetenv("ASAN_OPTIONS");
	client_isolate(&c, NAMESPACES);
	client_spawn_probe(&c, 0, "stay");
	client_spawn_probe(&c, RL_SETSID, "stay");
	check_int(client_op(&c, RL_OP_mount, "none", "/proc", "tmpfs", (uint64_t)0, ""), 0);
	client_end(&c);
}

static void ends_on_rubbish(void)
{
	static const uint8_t frames[][12] = {
		{0, 0, 0, 0},                                /* no head */
		{0xff, 0xff, 0xff, 0xff},                    /* too long */
		{5, 0, 0, 0, 99, 1, 0, 0, 0},                /* unknown type */
		{5, 0, 0, 0, RL_REPLY, 1, 0, 0, 0},          /* ours to send */
		{7, 0, 0, 0, RL_RUN, 1, 0, 0, 0, 1, 0},      /* no operation where one should be */
		{8, 0, 0, 0, RL_SIGNAL, 1, 0, 0, 0, 1, 0, 0} /* half a pid */
	};

	for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
		struct client c = client_start();

		client_spawn_probe(&c, RL_SETSID, "stay");
		client_send(&c, frames[i], sizeof(frames[i]));
		client_gone(&c); /* by itself: our end is still open */
		close(c.control);
	}
}

static void pid_namespace(void)
{
	struct client c = client_start();
	pid_t old = c.pid;
	char path[64];
	int pid, detached;

	client_isolate(&c, NAMESPACES | CLONE_NEWPID);
	c.pid = client_op(&c, RL_OP_fork_pid1);
	check(c.pid > 0 && c.pid != old);
	check_int(wait_status(old), 0);
	snprintf(path, sizeof(path), "/proc/%d/status", c.pid);
	check(strstr(content(path), "NSpid:") && strstr(strstr(content(path), "NSpid:"), "\t1\n"));
	check_int(client_op(&c, RL_OP_mount, "proc", "/proc", "proc", (uint64_t)0, ""), 0);
	pid = client_spawn(&c, &(struct process){.argv = {"sh", "-c", "exit 9"}});
	check_int(pid, 2);
	check_int(client_exited(&c, pid), 9 << 8);
	client_exited(&c, client_spawn_probe(&c, 0, "daemon"));
	detached = atoi(client_line(&c));
	check(detached > 2 && detached < 20);
	pid = client_spawn_probe(&c, RL_TARGET, "stay");
	send_signal(c.pid, SIGUSR1); /* pid 1 relays as well */
	check_int(client_exited(&c, pid), SIGUSR1);
	client_spawn_probe(&c, 0, "stay");
	client_end(&c); /* waits for c.pid: it is our child */
}

/* Many requests in one write, one of them fork_pid1: the answers come in order, the later ones from the new process. */
static void pipelined(void)
{
	struct client c = client_start();
	pid_t old = c.pid;
	uint8_t bytes[256];
	size_t length = 0;
	struct message m;

	client_isolate(&c, NAMESPACES | CLONE_NEWPID);
	for (int i = 0; i < 5; i++) {
		struct writer w = frame_begin(bytes + length, sizeof(bytes) - length, RL_RUN, (uint32_t)(100 + i));

		write_uint(&w, 2, 1);
		write_uint(&w, 2, i == 2 ? RL_OP_fork_pid1 : RL_OP_rmdir);
		write_uint(&w, 1, 0);
		if (i != 2)
			write_str(&w, "/none");
		length += frame_end(bytes + length, &w);
	}
	client_send(&c, bytes, length);
	for (uint32_t i = 0; i < 5; i++) {
		m = client_receive(&c);
		check_int(m.id, 100 + i);
		check_int(m.count, 1);
		if (i == 2)
			c.pid = m.values[0];
		else
			check_int(m.values[0], -ENOENT);
	}
	check_int(wait_status(old), 0);
	client_end(&c);
}

/* True if init has taken all that was sent (SIOCOUTQ: the memory that the unread part takes). */
static bool all_read(const struct client *c)
{
	int unread = -1;

	return ioctl(c->control, SIOCOUTQ, &unread) == 0 && unread == 0;
}

/* A frame that comes byte by byte, and one of the largest size. */
static void sizes(void)
{
	static uint8_t bytes[4 + RL_FRAME_MAX];
	struct client c = client_start();
	struct writer w = frame_begin(bytes, sizeof(bytes), RL_RUN, 5);
	size_t length;
	struct message m;
	uint16_t count = 0;

	write_uint(&w, 2, 1);
	write_uint(&w, 2, RL_OP_rmdir);
	write_uint(&w, 1, 0);
	write_str(&w, "/none");
	length = frame_end(bytes, &w);
	for (size_t i = 0; i < length; i++) {
		client_send(&c, bytes + i, 1);
		until(all_read(&c));
	}
	check_int(client_receive(&c).values[0], -ENOENT);

	w = frame_begin(bytes, sizeof(bytes), RL_RUN, 6);
	write_uint(&w, 2, 0);
	while (count < 60000 && w.end - w.at >= 16) {
		write_uint(&w, 2, RL_OP_rmdir);
		write_uint(&w, 1, RL_MAY_FAIL);
		write_str(&w, "/none/ab");
		count++;
	}
	bytes[9] = (uint8_t)count;
	bytes[10] = (uint8_t)(count >> 8);
	length = frame_end(bytes, &w);
	for (size_t sent = 0; sent < length;) {
		ssize_t got = send(c.control, bytes + sent, length - sent, MSG_NOSIGNAL);

		check(got > 0);
		if (got <= 0)
			break;
		sent += (size_t)got;
	}
	m = client_receive(&c);
	check_int(m.id, 6);
	check_int(m.count, count);
	check_int(m.values[63], -ENOENT);
	client_end(&c);
}

/* The supervisor dies while init waits for room to send: it must notice. */
static void dead_while_sending(void)
{
	struct client c = client_start();
	uint8_t bytes[64];
	struct writer w = frame_begin(bytes, sizeof(bytes), RL_SIGNAL, 1);
	int size = 4096, pid = client_spawn_probe(&c, RL_SETSID, "stay");
	size_t length;

	write_uint(&w, 4, (uint32_t)pid);
	write_uint(&w, 4, 0);
	length = frame_end(bytes, &w);
	setsockopt(c.control, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	/* replies are not read until both directions are full: then init is blocked in its write */
	while (send(c.control, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)length)
		;
	check_int(errno, EAGAIN);
	client_end(&c);
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	rlkit_ns = argv[1];
	probe = argv[2];
	run_test("makes namespaces and mounts inside them, unseen outside", namespaces);
	run_test("reports how a process ended", exits);
	run_test("says as execvp(3) does why a command cannot run, and reports no exit then", exec_errors);
	run_test("starts a process with clean signals, death signal, limit, session and directory", clean_child);
	run_test("starts a process with descriptors 0 to 2 and no other, and without its own inheritable capabilities", leaks_nothing);
	run_test("reaps orphans in silence", orphans);
	run_test("at the end of the socket ends all descendants, detached ones too", ends_descendants);
	run_test("at the end of the socket ends what it started when /proc is hidden", ends_children_without_proc);
	run_test("treats a malformed frame as the end of the socket", ends_on_rubbish);
	run_test("goes on as pid 1 of a pid namespace, which it takes with it", pid_namespace);
	run_test("answers in order what comes at once, across fork_pid1", pipelined);
	run_test("reads frames byte by byte, and of the largest size", sizes);
	run_test("notices that the supervisor died while it waited to send", dead_while_sending);
	return finish();
}
