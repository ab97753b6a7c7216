// SPDX-License-Identifier: Apache-2.0
#include <sys/mman.h>

#include "portd.h"

/*
 * Large buffers for bulk transfers. Three quarters of a megabyte at a time mean few system calls and few wake-ups; so that
 * thousands of connections don't hold one each, it is borrowed for as long as there is something to move.
 */
#define BUFFERS_MAX 24 /* whoever gets none makes do with the small one that all share */

static void *spare; /* a chain by the first word of each */
static int buffers;

uint8_t *buffer_borrow(void)
{
	void *buffer = spare;

	if (buffer) {
		memcpy(&spare, buffer, sizeof(spare));
		return buffer;
	}
	if (buffers == BUFFERS_MAX)
		return NULL;
	buffer = mmap(NULL, BUFFER_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (buffer == MAP_FAILED)
		return NULL;
	buffers++;
	return buffer;
}

void buffer_return(uint8_t *buffer)
{
	memcpy(buffer, &spare, sizeof(spare));
	spare = buffer;
}

void buffers_trim(void)
{
	while (spare) {
		void *buffer = spare;

		memcpy(&spare, buffer, sizeof(spare));
		munmap(buffer, BUFFER_SIZE);
		buffers--;
	}
}
