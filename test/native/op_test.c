// SPDX-License-Identifier: Apache-2.0
#include "../../native/op.h"
#include "harness.h"

/* The operations that need no privilege, called directly, and what a run of several does. */

#define call(name, ...) op_##name((const union field[]){__VA_ARGS__})
#define S(text) {.s = (char *)(text)}
#define I(number) {.i = (number)}

static mode_t mode_of(const char *path)
{
	struct stat info;

	return lstat(path, &info) < 0 ? 0 : info.st_mode;
}

static const char *link_text(const char *path)
{
	static char text[4096];
	ssize_t length = readlink(path, text, sizeof(text) - 1);

	text[length < 0 ? 0 : length] = 0;
	return text;
}

static void directories(void)
{
	enter_scratch();
	umask(077);
	check_int(call(mkdir, S("d"), I(01777)), 0);
	check_int(mode_of("d"), S_IFDIR | 01777);
	check_int(umask(022), 077); /* given back */
	check_int(call(mkdir, S("d"), I(0755)), -EEXIST);
	check_int(call(mkdir, S("none/d"), I(0755)), -ENOENT);
	check_int(call(rmdir, S("d")), 0);
	check_int(call(rmdir, S("d")), -ENOENT);
	leave_scratch();
}

static void files(void)
{
	enter_scratch();
	umask(077);
	check_int(call(write_file, S("f"), I(O_WRONLY | O_CREAT | O_EXCL), I(0644), S("one\n")), 0);
	check_int(mode_of("f"), S_IFREG | 0644);
	check_int(umask(022), 077);
	check_text(content("f"), "one\n");
	check_int(call(write_file, S("f"), I(O_WRONLY | O_CREAT | O_EXCL), I(0644), S("two")), -EEXIST);
	check_int(call(write_file, S("f"), I(O_WRONLY | O_APPEND), I(0), S("two")), 0);
	check_text(content("f"), "one\ntwo");
	check_int(call(write_file, S("f"), I(O_WRONLY | O_TRUNC), I(0), S("")), 0);
	check_text(content("f"), "");
	check_int(call(write_file, S("/dev/full"), I(O_WRONLY), I(0), S("x")), -ENOSPC);
	check_int(call(mknod, S("m"), I(0604)), 0);
	check_int(mode_of("m"), S_IFREG | 0604);
	check_int(call(mknod, S("m"), I(0600)), 0);
	check_int(mode_of("m"), S_IFREG | 0604);
	check_int(call(mknod, S("none/m"), I(0600)), -ENOENT);
	check_int(call(symlink, S("../text with no file"), S("l")), 0);
	check_text(link_text("l"), "../text with no file");
	check_int(call(symlink, S("x"), S("l")), -EEXIST);
	check_int(call(unlink, S("l")), 0);
	check_int(call(unlink, S("l")), -ENOENT);
	leave_scratch();
}

static void entries(void)
{
	enter_scratch();
	check_int(mkdir("from", 0755), 0);
	check_int(mkdir("to", 0755), 0);
	check_int(mkdir("from/directory", 0755), 0);
	write_text("from/file", "");
	write_text("from/.hidden", "");
	write_text("from/there already", "from");
	write_text("to/there already", "to");
	check_int(symlink("../alternatives/vi", "from/link"), 0);
	check_int(symlink("nowhere", "from/dangling there"), 0);
	check_int(symlink("elsewhere", "to/dangling there"), 0);
	check_int(call(link_entries, S("from"), S("to"), S("../from/")), 4);
	check_text(link_text("to/directory"), "../from/directory");
	check_text(link_text("to/file"), "../from/file");
	check_text(link_text("to/.hidden"), "../from/.hidden");
	check_text(link_text("to/link"), "../alternatives/vi");
	check_text(link_text("to/dangling there"), "elsewhere");
	check_text(content("to/there already"), "to");
	check_int(call(link_entries, S("from"), S("to"), S("../from/")), 0);
	check_int(call(link_entries, S("none"), S("to"), S("x")), -ENOENT);
	check_int(call(link_entries, S("from"), S("none"), S("x")), -ENOENT);
	leave_scratch();
}

static void run_flags(void)
{
	const struct op fails = {.code = RL_OP_rmdir, .fields = {S("none")}};
	const struct op works = {.code = RL_OP_mkdir, .fields = {S("d"), I(0755)}};
	const struct op undoes = {.code = RL_OP_rmdir, .fields = {S("d")}};
	struct op ops[5];
	int32_t results[5] = {9, 9, 9, 9, 9};

	enter_scratch();
	ops[0] = works, ops[1] = fails, ops[2] = undoes;
	check_int(ops_run(ops, 3, results), 2);
	check_int(results[0], 0);
	check_int(results[1], -ENOENT);
	check_int(results[2], 9); /* not reached */
	check_int(rmdir("d"), 0);

	/* fails, its substitute works, so the substitute's substitute is skipped, and what follows goes on */
	ops[0] = fails, ops[0].flags = RL_MAY_FAIL;
	ops[1] = works, ops[1].flags = RL_IF_FAILED | RL_MAY_FAIL;
	ops[2] = fails, ops[2].flags = RL_IF_FAILED;
	ops[3] = undoes;
	check_int(ops_run(ops, 4, results), 4);
	check_int(results[0], -ENOENT);
	check_int(results[1] | results[2] | results[3], 0);

	/* fails, its substitute too, so the last resort is tried; and may not fail */
	ops[1] = fails, ops[1].flags = RL_IF_FAILED | RL_MAY_FAIL;
	check_int(ops_run(ops, 4, results), 3);
	check_int(results[2], -ENOENT);

	/* works, so neither substitute is tried */
	ops[0] = works, ops[0].flags = RL_MAY_FAIL;
	check_int(ops_run(ops, 4, results), 4);
	check_int(results[0] | results[1] | results[2] | results[3], 0);
	check_int(ops_run(ops, 0, results), 0);
	leave_scratch();
}

static void refusals(void)
{
	check_int(call(unshare, I(1)), -EINVAL);
	check_int(call(link_up, S("")), -EINVAL);
	check_int(call(link_up, S("a-name-of-16-byte")), -EINVAL);
	check_int(call(addr_add, S("lo"), S("10.0.2"), I(24)), -EINVAL);
	check_int(call(addr_add, S("lo"), S("10.0.2.1"), I(33)), -EINVAL);
	check_int(call(addr_add, S("lo"), S("fd00::1"), I(-1)), -EINVAL);
	check_int(call(tap, S("a-name-of-16-byte")), -EINVAL);
	check_int(call(tap, S("")), -EINVAL);
	check_int(call(umount, S("/none"), I(0)), -ENOENT);
}

int main(void)
{
	run_test("mkdir makes the exact mode whatever the umask, and gives -errno", directories);
	run_test("write_file, mknod, symlink and unlink do what open(2) and the others say", files);
	run_test("link_entries links what is missing: symlinks by their text, all else by the prefix", entries);
	run_test("a run stops at a failure, goes on if it may, and tries substitutes in turn", run_flags);
	run_test("names and addresses that cannot be are refused", refusals);
	return finish();
}
