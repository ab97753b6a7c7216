// SPDX-License-Identifier: Apache-2.0
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "portd.h"

/* Binding to a client's address and marking it (IP_TRANSPARENT, SO_MARK), also where its port is below 1024. All are below 32. */
static const int needed[] = {CAP_NET_ADMIN, CAP_NET_RAW, CAP_NET_BIND_SERVICE};

int drop_privileges(uint32_t keep)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	/* While CAP_SETPCAP is there. Without it these fail; then there is nothing that execve(2) could regain, which is refused anyway. */
	for (int i = 0; i < 64; i++)
		if (i >= 32 || !(keep >> i & 1))
			prctl(PR_CAPBSET_DROP, i, 0, 0, 0);
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if (syscall(SYS_capget, &head, data) < 0)
		return -errno;
	for (size_t i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
		data[i].effective &= i ? 0 : keep;
		data[i].permitted &= i ? 0 : keep;
		data[i].inheritable = 0;
	}
	return result_of(syscall(SYS_capset, &head, data));
}

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#endif

/* The sanitizers make system calls of their own. */
#if defined(ARCH) && !defined(__SANITIZE_ADDRESS__)

#define LOAD(member) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, member))
#define IF_EQUAL(value, skip_then, skip_else) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, skip_then, skip_else)
#define RETURN(action) BPF_STMT(BPF_RET | BPF_K, action)
#define REFUSE RETURN(SECCOMP_RET_ERRNO | EPERM)
#define ALLOW(name) IF_EQUAL(__NR_##name, 0, 1), RETURN(SECCOMP_RET_ALLOW)

/*
 * The system calls that are left: those that the loop makes, here or in the C library, the frequent ones first. Files, processes
 * and signals are out of reach. What is not in the list fails with EPERM; a new call in portd has to be added here.
 */
static const struct sock_filter filter[] = {
	LOAD(arch),
	IF_EQUAL(ARCH, 1, 0),
	REFUSE,
	LOAD(nr),
	ALLOW(recvfrom),
	ALLOW(sendto),
#ifdef __NR_epoll_wait
	ALLOW(epoll_wait),
#endif
	ALLOW(epoll_pwait),
	ALLOW(recvmmsg),
	ALLOW(sendmmsg),
	ALLOW(sendmsg), /* musl's sendmmsg */
	ALLOW(recvmsg),
	ALLOW(accept4),
	ALLOW(connect),
	ALLOW(bind),
	ALLOW(getpeername),
	ALLOW(getsockopt),
	ALLOW(setsockopt),
	ALLOW(shutdown),
	ALLOW(close),
	ALLOW(epoll_ctl),
	ALLOW(clock_gettime), /* where the vDSO has no clock */
	ALLOW(mmap), /* malloc and buffers.c */
	ALLOW(munmap),
	ALLOW(mremap),
	ALLOW(mprotect),
	ALLOW(madvise),
	ALLOW(brk),
	ALLOW(restart_syscall), /* the kernel's own, after SIGSTOP and SIGCONT */
	ALLOW(exit_group),
	IF_EQUAL(__NR_socket, 1, 0),
	REFUSE,
	/* Of these families only: netlink would reach the network's configuration with CAP_NET_ADMIN. */
	LOAD(args[0]),
	IF_EQUAL(AF_INET, 1, 0),
	IF_EQUAL(AF_INET6, 0, 1),
	RETURN(SECCOMP_RET_ALLOW),
	REFUSE,
};

static int drop_system_calls(void)
{
	const struct sock_fprog program = {.len = sizeof(filter) / sizeof(*filter), .filter = (struct sock_filter *)filter};

	/* SPEC_ALLOW: older kernels otherwise slow a process with a filter down, as if it ran foreign code. */
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW, &program) == 0)
		return 0;
	return errno == ENOSYS || errno == EINVAL ? 0 : -errno; /* a kernel without filters: then without */
}

#else

static int drop_system_calls(void)
{
	return 0;
}

#endif

int confine(void)
{
	uint32_t keep = 0;
	int error;

	for (size_t i = 0; i < sizeof(needed) / sizeof(*needed); i++)
		keep |= 1u << needed[i];
	error = drop_privileges(keep);
	return error ? error : drop_system_calls();
}
