// SPDX-License-Identifier: Apache-2.0
#ifndef RLKIT_FRAMES_H
#define RLKIT_FRAMES_H

#include <stddef.h>
#include <stdint.h>

/*
 * Carries Ethernet frames between a tap device (one frame a read(2) or write(2)) and a stream socket on which each is preceded by its
 * length (u16), until the socket ends. Frames that the tap device does not take are lost, as on any wire; while the socket takes none,
 * none is read from the tap device. Both descriptors do not block. Returns 0 when the peer ended the stream, or -errno.
 */
int frames_carry(int tap, int peer);

#endif
