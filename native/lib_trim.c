// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <malloc.h>
#include <sys/mman.h>

#include "rlkit.h"
#include "util.h"

/*
 * Most of Node's memory is pages of its own executable that it needed once, to start. They are clean: MADV_DONTNEED drops them
 * from this process, and whatever is used again comes back from the page cache. MADV_PAGEOUT would be the gentler call but does
 * nothing for a file that the caller may not write (madvise(2)), and Node usually belongs to root.
 *
 * The one danger: a read-only private mapping may hold pages that were written before they became read-only, as RELRO and text
 * relocations do, and dropping those would bring the file's bytes back. So /proc/self/smaps is read, not maps, and a mapping
 * with a single anonymous or swapped page is left alone. Nothing else may unmap or protect such mappings at the same time: call it
 * from the main thread, which is the one that loads libraries.
 */
struct mapping {
	uint8_t *start;
	size_t size;
	int resident; /* KiB */
	bool clean;
};

static size_t read_hex(const char **at)
{
	size_t value = 0;

	for (;; (*at)++) {
		char c = **at;

		if (c >= '0' && c <= '9')
			value = value * 16 + (size_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			value = value * 16 + (size_t)(c - 'a') + 10;
		else
			return value;
	}
}

/* "start-end perms offset device inode path": begins a mapping; `clean` if it is a private, read-only one of a file. */
static void read_header(struct mapping *mapping, const char *line)
{
	size_t start = read_hex(&line), end;

	line++;
	end = read_hex(&line);
	*mapping = (struct mapping){.start = (uint8_t *)start, .size = end - start};
	mapping->clean = (!strncmp(line, " r--p ", 6) || !strncmp(line, " r-xp ", 6)) && strchr(line, '/');
}

/* "Name:    123 kB". Returns the number, or -1 if the name is another. */
static int read_value(const char *line, const char *name)
{
	size_t length = strlen(name);

	return strncmp(line, name, length) ? -1 : atoi(line + length);
}

/* Takes one line. Returns the KiB that were let go, at the line that ends a mapping. */
static int take_line(struct mapping *mapping, const char *line)
{
	int value;

	if (*line < 'A' || *line > 'Z') {
		read_header(mapping, line);
		return 0;
	}
	if ((value = read_value(line, "Rss:")) >= 0)
		mapping->resident = value;
	else if (read_value(line, "Anonymous:") > 0 || read_value(line, "Swap:") > 0)
		mapping->clean = false;
	else if (!strncmp(line, "VmFlags:", 8) && mapping->clean && mapping->resident > 0)
		return madvise(mapping->start, mapping->size, MADV_DONTNEED) == 0 ? mapping->resident : 0;
	return 0;
}

int rl_trim(void)
{
	cleanup_fd int fd = open("/proc/self/smaps", O_RDONLY | O_CLOEXEC);
	const size_t size = 64 * 1024;
	cleanup_free char *text = malloc(size);
	struct mapping mapping = {0};
	size_t have = 0;
	int total = 0;
	ssize_t got;

	if (fd < 0)
		return -errno;
	if (!text)
		return -ENOMEM;
#ifdef __GLIBC__
	malloc_trim(0); /* what the start allocated and freed again: 0.5 to 1 MB */
#endif
	while ((got = read(fd, text + have, size - 1 - have)) > 0) {
		char *line = text, *end;

		have += (size_t)got;
		text[have] = 0;
		for (; (end = strchr(line, '\n')); line = end + 1) {
			*end = 0;
			total += take_line(&mapping, line);
		}
		have -= (size_t)(line - text);
		memmove(text, line, have);
	}
	return got < 0 ? -errno : total;
}
