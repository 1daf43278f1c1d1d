/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* What test_odd_kill.c and its actor agree on. */
#ifndef ODD_KILL_H
#define ODD_KILL_H

#define MANAGED 12 /* messages, more than the window */
#define SHORT_BYTES 40
#define LONG_BYTES 1500 /* more than a ring of 16 slots of 64 bytes: four fragments */

#endif
