// SPDX-License-Identifier: Apache-2.0
#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/if_tun.h>
#include <linux/if.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "child.h"
#include "op.h"

static int (*const op_functions[RL_OP_END])(const union field *f) = {
#define OP(name, fields) [RL_OP_##name] = op_##name,
	RL_OPS(OP)
#undef OP
};

/* Whether it is about the network namespace, and not about init's own. */
static bool concerns_network(const struct op *op)
{
	switch (op->code) {
	case RL_OP_link_up:
	case RL_OP_link_mtu:
	case RL_OP_tap:
	case RL_OP_addr_add:
	case RL_OP_route_default:
	case RL_OP_netlink:
		return true;
	case RL_OP_write_file:
		return !strncmp(op->fields[0].s, "/proc/sys/net/", strlen("/proc/sys/net/"));
	default:
		return false;
	}
}

struct elsewhere {
	const struct op *op;
	int result;
};

/* It shares our memory, and so leaves the result there. */
__attribute__((no_sanitize("address"))) static int run_elsewhere(void *argument)
{
	struct elsewhere *elsewhere = argument;
	int error = netns_enter();

	elsewhere->result = error ? error : op_functions[elsewhere->op->code](elsewhere->op->fields);
	_exit(0);
}

static int run_one(const struct op *op)
{
	struct elsewhere elsewhere = {.op = op};
	const struct child_start start = {.run = run_elsewhere, .argument = &elsewhere};
	int pid;

	if (!netns_is_detached() || !concerns_network(op))
		return op_functions[op->code](op->fields);
	pid = child_start(&start);
	if (pid < 0)
		return pid;
	waitpid(pid, NULL, 0);
	return elsewhere.result;
}

int ops_run(const struct op *ops, int count, int32_t *results)
{
	bool failed = false;

	for (int i = 0; i < count; i++) {
		if (ops[i].flags & RL_IF_FAILED && !failed) {
			results[i] = 0;
			continue;
		}
		results[i] = run_one(&ops[i]);
		failed = results[i] < 0;
		if (failed && !(ops[i].flags & RL_MAY_FAIL))
			return i + 1;
	}
	return count;
}

int op_unshare(const union field *f)
{
	return result_of(unshare(f[0].i));
}

/*
 * unshare(CLONE_NEWPID) moves only later children, so init goes on in a child; CLONE_PARENT makes it a child of the
 * supervisor, which so keeps one process to wait for and learns of its end. The raw call, because the libc wrapper wants a
 * stack; the flags come first on every architecture that rlkit is built for (clone(2), NOTES).
 *
 * The child sends the reply, and first hears its outer pid from the parent, because it cannot see it: like that the next
 * request is never answered before this one.
 */
int op_fork_pid1(const union field *f)
{
	int ends[2];
	int32_t outer_pid;
	long pid;

	(void)f;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	pid = syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0);
	if (pid > 0) {
		outer_pid = (int32_t)pid;
		_exit(write(ends[1], &outer_pid, sizeof(outer_pid)) == sizeof(outer_pid) ? 0 : 1);
	}
	if (pid < 0) {
		int error = -errno;

		close(ends[0]);
		close(ends[1]);
		return error;
	}
	close(ends[1]); /* or our own copy would keep read(2) from seeing that the parent was killed */
	pid = read(ends[0], &outer_pid, sizeof(outer_pid));
	close(ends[0]);
	return pid == sizeof(outer_pid) ? outer_pid : -ESRCH;
}

int op_set_ids(const union field *f)
{
	uid_t uid = (uid_t)f[0].i;
	gid_t gid = (gid_t)f[1].i;

	/* EPERM: /proc/self/setgroups says "deny", as it must when the user wrote the gid map without newgidmap (user_namespaces(7)) */
	if (setgroups(0, NULL) < 0 && errno != EPERM)
		return -errno;
	if (setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
		return -errno;
	/* A change of ids makes /proc/self root's (proc(5)), and the supervisor still has to open namespaces and maps there. */
	return result_of(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
}

static const char *or_null(const char *text)
{
	return *text ? text : NULL;
}

int op_mount(const union field *f)
{
	/* The kernel takes no NULL source where it means a name, as in tmpfs; mount(8) writes "none" too. */
	const char *source = *f[0].s ? f[0].s : "none";

	return result_of(mount(source, f[1].s, or_null(f[2].s), (unsigned long)f[3].l, or_null(f[4].s)));
}

int op_umount(const union field *f)
{
	return result_of(umount2(f[0].s, f[1].i));
}

int op_mkdir(const union field *f)
{
	/* The umask goes back at once: the processes that init starts inherit it. */
	mode_t umask_before = umask(0);
	int result = result_of(mkdir(f[0].s, (mode_t)f[1].i));

	umask(umask_before);
	return result;
}

int op_rmdir(const union field *f)
{
	return result_of(rmdir(f[0].s));
}

int op_unlink(const union field *f)
{
	return result_of(unlink(f[0].s));
}

int op_symlink(const union field *f)
{
	return result_of(symlink(f[0].s, f[1].s));
}

static int open_without_umask(const char *path, int flags, int mode)
{
	mode_t umask_before = umask(0);
	int fd = result_of(open(path, flags | O_CLOEXEC, (mode_t)mode));

	umask(umask_before);
	return fd;
}

int op_write_file(const union field *f)
{
	cleanup_fd int fd = open_without_umask(f[0].s, f[1].i, f[2].i);
	size_t length = strlen(f[3].s);
	ssize_t written;

	if (fd < 0)
		return fd;
	/* Nothing to write asks whether it can be opened; /dev/fuse refuses even an empty write. */
	if (length == 0)
		return 0;
	/* One write(2) and no more: files in /proc and cgroup files take a value only as a whole. */
	written = write(fd, f[3].s, length);
	if (written < 0)
		return -errno;
	return (size_t)written == length ? 0 : -EIO;
}

int op_mknod(const union field *f)
{
	cleanup_fd int fd = open_without_umask(f[0].s, O_WRONLY | O_CREAT | O_EXCL | O_NOCTTY, f[1].i);

	return fd < 0 && fd != -EEXIST ? fd : 0;
}

/* Makes to/name for one entry of from. Returns 1, 0 if there is one already, -errno. */
static int link_entry(int from, int to, const char *prefix, const char *name)
{
	char text[PATH_MAX];
	ssize_t length = readlinkat(from, name, text, sizeof(text));
	size_t prefix_length = strlen(prefix), name_length = strlen(name);

	if (length == (ssize_t)sizeof(text))
		return -ENAMETOOLONG;
	if (length >= 0) {
		text[length] = 0;
	} else {
		if (errno != EINVAL) /* not a symlink (readlink(2)) */
			return -errno;
		if (prefix_length + name_length >= sizeof(text))
			return -ENAMETOOLONG;
		memcpy(text, prefix, prefix_length);
		memcpy(text + prefix_length, name, name_length + 1);
	}
	if (symlinkat(text, to, name) == 0)
		return 1;
	return errno == EEXIST ? 0 : -errno;
}

static void cleanup_closedir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

int op_link_entries(const union field *f)
{
	__attribute__((cleanup(cleanup_closedir))) DIR *from = opendir(f[0].s);
	cleanup_fd int to = -1;
	struct dirent *entry;
	int made = 0;

	if (!from)
		return -errno;
	to = open(f[1].s, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (to < 0)
		return -errno;
	for (errno = 0; (entry = readdir(from)); errno = 0) {
		int one;

		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		one = link_entry(dirfd(from), to, f[2].s, entry->d_name);
		if (one < 0)
			return one;
		made += one;
	}
	return errno ? -errno : made;
}

int op_tap(const union field *f)
{
	struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI};
	cleanup_fd int fd = -1;

	if (!*f[0].s || strlen(f[0].s) >= sizeof(request.ifr_name)) /* the kernel would choose or cut the name */
		return -EINVAL;
	memcpy(request.ifr_name, f[0].s, strlen(f[0].s));
	fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (ioctl(fd, TUNSETIFF, &request) < 0)
		return errno == EBUSY ? 0 : -errno; /* it exists, and a network helper holds it */
	return result_of(ioctl(fd, TUNSETPERSIST, 1));
}
