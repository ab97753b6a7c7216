// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <limits.h>
#include <sys/socket.h>

#include "unix_path.h"
#include "util.h"

int unix_path(const char *path, struct sockaddr_un *address, int *directory)
{
	const char *name = strrchr(path, '/');
	char parent[PATH_MAX];

	address->sun_family = AF_UNIX;
	if (strlen(path) < sizeof(address->sun_path)) {
		stpcpy(address->sun_path, path);
		return 0;
	}
	if (!name || strlen(path) >= sizeof(parent) || strlen(name) > sizeof(address->sun_path) - sizeof("/proc/self/fd/2147483647"))
		return -ENAMETOOLONG;
	memcpy(parent, path, (size_t)(name - path) + 1);
	parent[name - path + 1] = 0;
	*directory = open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (*directory < 0)
		return -errno;
	stpcpy(put_number(stpcpy(address->sun_path, "/proc/self/fd/"), (size_t)*directory), name);
	return 0;
}
