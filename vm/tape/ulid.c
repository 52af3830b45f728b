/*
** ulid.c - names of runs: 48 bits of time, 80 random ones, in base 32
*/

#include <pthread.h>
#include <sodium.h>
#include <stdint.h>
#include <string.h>

#include "vm/clock.h"
#include "vm/tape/tape.h"

/* without I, L, O and U, which are read as something else */
static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/* the last one made: within a millisecond, or when the clock steps back, the
** next is one more, so that they sort as they were made */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned char last[16];

void rb_ulid_after (const char *id) {
  unsigned char is[16] = {0};
  if (strlen(id) != 26) return;
  for (int i = 0; i < 26; i++) {
    const char *at = strchr(digits, id[i]);
    int value = at != NULL ? (int)(at - digits) : 0, bit = i * 5 - 2;
    for (int k = bit < 0 ? 0 : bit; k < bit + 5; k++)
      is[k / 8] |= (unsigned char)((value >> (bit + 4 - k) & 1) << (7 - k % 8));
  }
  pthread_mutex_lock(&lock);
  if (memcmp(is, last, sizeof is) > 0) memcpy(last, is, sizeof last);
  pthread_mutex_unlock(&lock);
}

void rb_ulid (char id[RB_RUNID]) {
  unsigned char next[16];
  uint64_t ms = (uint64_t)rb_clock_wall();
  for (int i = 0; i < 6; i++) next[i] = (unsigned char)(ms >> 8 * (5 - i));
  pthread_mutex_lock(&lock);
  if (memcmp(next, last, 6) > 0) {
    randombytes_buf(next + 6, 10);
    memcpy(last, next, sizeof last);
  }
  else {
    int i = 15;
    while (i > 0 && ++last[i] == 0) i--;
    memcpy(next, last, sizeof next);
  }
  pthread_mutex_unlock(&lock);
  for (int i = 0; i < 26; i++) {  /* 5 bits each, after two bits of nothing */
    int bit = i * 5 - 2, value = 0;
    for (int k = bit; k < bit + 5; k++)
      value = value << 1 | (k < 0 ? 0 : next[k / 8] >> (7 - k % 8) & 1);
    id[i] = digits[value];
  }
  id[26] = '\0';
}

int64_t rb_ulid_time (const char *id) {
  int64_t ms = 0;
  for (int i = 0; i < 10; i++) {
    const char *at = id[i] != '\0' ? strchr(digits, id[i]) : NULL;
    if (at == NULL) return 0;
    ms = ms * 32 + (at - digits);
  }
  return ms;
}
