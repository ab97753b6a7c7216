// SPDX-License-Identifier: Apache-2.0
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

#include "rlkit.h"
#include "util.h"

#define DEPTH_MAX 16

/*
 * True if following `text` from `depth` directories below the top reaches the top or goes above it, by its text alone: whoever
 * replaces the directory by a symlink to another place sends such a link astray.
 */
static bool climbs(const char *text, int depth)
{
	if (*text == '/')
		return false;
	while (*text) {
		size_t length = strcspn(text, "/");

		if (length == 2 && text[0] == '.' && text[1] == '.') {
			if (--depth <= 0)
				return true;
		} else if (length > 1 || (length == 1 && text[0] != '.')) {
			depth++;
		}
		text += length;
		text += strspn(text, "/");
	}
	return false;
}

static bool link_climbs(int directory, const char *name, int depth)
{
	char text[PATH_MAX];
	ssize_t length = readlinkat(directory, name, text, sizeof(text) - 1);

	if (length < 0)
		return false;
	text[length] = 0;
	return climbs(text, depth);
}

/* What an entry is, as a DT_ constant; some file systems leave it out of the listing (readdir(3)). */
static unsigned char type_of(int directory, const struct dirent *entry)
{
	struct stat info;

	if (entry->d_type != DT_UNKNOWN)
		return entry->d_type;
	if (fstatat(directory, entry->d_name, &info, AT_SYMLINK_NOFOLLOW) < 0)
		return DT_UNKNOWN;
	return S_ISLNK(info.st_mode) ? DT_LNK : S_ISDIR(info.st_mode) ? DT_DIR : DT_REG;
}

static bool is_dots(const char *name)
{
	return !strcmp(name, ".") || !strcmp(name, "..");
}

/* Opens a directory for reading, if it lies on the given file system. The caller closes it; NULL if it cannot be read. */
static DIR *open_directory(int parent, const char *name, dev_t device)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat info;
	DIR *directory;

	if (fd < 0)
		return NULL;
	if (fstat(fd, &info) == 0 && info.st_dev == device) {
		directory = fdopendir(fd);
		if (directory)
			return directory;
	}
	close(fd);
	return NULL;
}

/* True if the directory parent/name, `depth` directories below the top, holds a leaving link. */
static bool has_leaving_link(int parent, const char *name, dev_t device, int depth)
{
	DIR *directory = depth > DEPTH_MAX ? NULL : open_directory(parent, name, device);
	struct dirent *entry;
	bool found = false;

	if (!directory)
		return false;
	while (!found && (entry = readdir(directory))) {
		unsigned char type = type_of(dirfd(directory), entry);

		if (type == DT_LNK)
			found = link_climbs(dirfd(directory), entry->d_name, depth);
		else if (type == DT_DIR && !is_dots(entry->d_name))
			found = has_leaving_link(dirfd(directory), entry->d_name, device, depth + 1);
	}
	closedir(directory);
	return found;
}

int rl_leaving_links(const uint8_t *path, uint8_t *out, int capacity)
{
	struct writer w = {.at = out, .end = out + capacity};
	DIR *top = opendir((const char *)path);
	struct dirent *entry;
	struct stat info;

	if (!top)
		return -errno;
	if (fstat(dirfd(top), &info) < 0) {
		int error = -errno;

		closedir(top);
		return error;
	}
	while (!w.full && (entry = readdir(top))) {
		if (is_dots(entry->d_name) || type_of(dirfd(top), entry) != DT_DIR)
			continue;
		if (has_leaving_link(dirfd(top), entry->d_name, info.st_dev, 1))
			write_str(&w, entry->d_name);
	}
	closedir(top);
	return w.full ? -ENOSPC : (int)(w.at - out);
}
