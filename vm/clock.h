/*
** clock.h - the time that scripts and their waits see
**
** It is the machine's, or that of a test's world, which stands still but for its waits:
** they are over at once, and move it.
*/

#ifndef rb_clock_h
#define rb_clock_h

#include <stdint.h>

/* Seconds of CLOCK_MONOTONIC, whatever the world: for what watches over computing. */
double rb_clock_real (void);

/* Milliseconds since 1970. */
int64_t rb_clock_wall (void);

/* From now on time is that of a world that begins at these milliseconds since 1970. */
void rb_clock_virtual (int64_t begin);
int rb_clock_isvirtual (void);

/* The world's time is at least that of rb_now() = at. */
void rb_clock_skip (double at);

#endif
