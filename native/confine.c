// SPDX-License-Identifier: Apache-2.0
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "portd.h"

/* Binding to a client's address and marking it (IP_TRANSPARENT, SO_MARK), also where its port is below 1024. */
static const int needed[] = {CAP_NET_ADMIN, CAP_NET_RAW, CAP_NET_BIND_SERVICE};

static int drop_capabilities(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
	uint32_t keep = 0; /* all three are in the first word */

	if (syscall(SYS_capget, &head, data) < 0)
		return -errno;
	for (size_t i = 0; i < sizeof(needed) / sizeof(*needed); i++)
		keep |= 1u << needed[i];
	for (size_t i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
		data[i].effective &= i ? 0 : keep;
		data[i].permitted &= i ? 0 : keep;
		data[i].inheritable = 0;
	}
	return result_of(syscall(SYS_capset, &head, data));
}

int confine(void)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	return drop_capabilities();
}
