/*
** seal.c - what only we may read again: a key per run, and what it seals
**
** keys/RUN holds 32 random bytes. Three keys come from them: one seals, one
** makes tokens, one marks arguments. Deleting the file shreds all of it. The
** run and the number of the event are authenticated with each secret, so
** that none can be moved to another place.
*/

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vm/tape/store.h"

#define CONTEXT "rbtape_1"
enum { PLACE = RB_RUNID - 1 + 8 };

/* -- keys ------------------------------------------------------------------ */

int rb_seal_path (const rb_Tape *t, const char *run, char path[PATH_MAX]) {
  const char *slash = strrchr(t->file, '/');
  int dir = slash != NULL ? (int)(slash - t->file) + 1 : 0;
  int n = snprintf(path, PATH_MAX, "%.*skeys%s%s", dir, t->file,
                   run != NULL ? "/" : "", run != NULL ? run : "");
  return n > 0 && n < PATH_MAX;
}

static void split (Keys *keys, const unsigned char *master) {
  crypto_kdf_derive_from_key(keys->seal, sizeof keys->seal, 1, CONTEXT, master);
  crypto_kdf_derive_from_key(keys->derive, sizeof keys->derive, 2, CONTEXT,
                             master);
  crypto_kdf_derive_from_key(keys->mark, sizeof keys->mark, 3, CONTEXT, master);
  randombytes_buf(keys->nonce, sizeof keys->nonce);
  keys->known = 1;
}

/* the folder is ours and nobody else reads it */
static int folder (const char *path, rb_Problem *p) {
  struct stat st;
  if (mkdir(path, 0700) != 0 && errno != EEXIST)
    return rb_problem(p, RB_USAGE, "tape", "cannot make the folder %.400s for "
                      "the keys of the tape: %s", path, strerror(errno));
  if (lstat(path, &st) != 0 || !S_ISDIR(st.st_mode) ||
      st.st_uid != geteuid() ||
      ((st.st_mode & 077) != 0 && chmod(path, 0700) != 0))
    return rb_problem(p, RB_USAGE, "tape", "%.400s, the folder of the tape's "
                      "keys, must be a folder of your own: move it away",
                      path);
  return 0;
}

int rb_seal_create (rb_Tape *t, rb_Problem *p) {
  char path[PATH_MAX];
  unsigned char master[crypto_kdf_KEYBYTES];
  if (!rb_seal_path(t, NULL, path)) errno = ENAMETOOLONG;
  else if (folder(path, p) != 0) return p->exit;
  t->keyfd = rb_seal_path(t, t->run, path)
      ? open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600)
      : -1;
  randombytes_buf(master, sizeof master);
  if (t->keyfd >= 0 &&
      write(t->keyfd, master, sizeof master) == (ssize_t)sizeof master) {
    split(&t->keys, master);
    sodium_memzero(master, sizeof master);
    return 0;
  }
  sodium_memzero(master, sizeof master);
  rb_problem(p, RB_USAGE, "tape", "cannot write %.400s, the key of this run: "
             "%s", path, strerror(errno));
  if (t->keyfd >= 0) { close(t->keyfd); unlink(path); }
  t->keyfd = -1;
  return p->exit;
}

/* the file first, then its name in the folder */
int rb_seal_sync (rb_Tape *t, rb_Problem *p) {
  char path[PATH_MAX];
  if (t->keyfd < 0) return 0;
  int dir = rb_seal_path(t, NULL, path)
                ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
  int bad = fsync(t->keyfd) != 0 || dir < 0 || fsync(dir) != 0;
  if (bad)
    rb_problem(p, RB_USAGE, "tape", "cannot make the key of this run durable "
               "(%.400s): %s", path, strerror(errno));
  if (dir >= 0) close(dir);
  if (bad) return p->exit;
  close(t->keyfd);
  t->keyfd = -1;
  return 0;
}

/* A lock dies with its holder, so a run that was killed is free at once. */
int rb_seal_claim (rb_Tape *t, rb_Problem *p) {
  char path[PATH_MAX];
  t->claim = rb_seal_path(t, t->run, path) ? open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC) : -1;
  if (t->claim < 0 || flock(t->claim, LOCK_EX | LOCK_NB) == 0) return 0;
  close(t->claim);
  t->claim = -1;
  return rb_problem(p, RB_LOCKED, "lock", "run %s is still under way in another process",
                    t->run);
}

int rb_seal_keepout (rb_Tape *t, const char *run) {
  char path[PATH_MAX];
  int fd = rb_seal_path(t, run, path) ? open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC) : -1;
  if (fd < 0) return -2;
  if (flock(fd, LOCK_EX | LOCK_NB) == 0) return fd;
  close(fd);
  return -1;
}

void rb_seal_shred (rb_Tape *t, const char *run) {
  char path[PATH_MAX];
  if (rb_seal_path(t, run, path)) unlink(path);
}

int rb_seal_load (rb_Tape *t, const char *run, Keys *keys) {
  char path[PATH_MAX];
  unsigned char master[crypto_kdf_KEYBYTES + 1];
  struct stat st;
  *keys = (Keys){0};
  if (!rb_seal_path(t, run, path)) return 0;
  int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return 0;
  if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() &&
      read(fd, master, sizeof master) == crypto_kdf_KEYBYTES)
    split(keys, master);
  close(fd);
  sodium_memzero(master, sizeof master);
  return keys->known;
}

/* -- sealing --------------------------------------------------------------- */

/* where it belongs; returns its length: one byte more where it was squeezed */
static size_t place (unsigned char out[PLACE + 1], const char *run, int64_t seq,
                     int squeezed) {
  memset(out, 0, PLACE + 1);
  memcpy(out, run, strlen(run));
  for (int i = 0; i < 8; i++)
    out[RB_RUNID - 1 + i] = (unsigned char)((uint64_t)seq >> 8 * i);
  return squeezed ? PLACE + 1 : PLACE;
}

/* Nonces count from a random one (192 bits: no two processes come near each
** other): a random one for each would be a system call for each. */
void rb_seal (Keys *keys, const char *run, int64_t seq, int squeezed, unsigned char *s,
              size_t n) {
  unsigned char where[PLACE + 1];
  size_t len = place(where, run, seq, squeezed);
  sodium_increment(keys->nonce, sizeof keys->nonce);
  memcpy(s, keys->nonce, SEALHEAD);
  crypto_aead_xchacha20poly1305_ietf_encrypt(s + SEALHEAD, NULL, s + SEALHEAD,
                                             n - SEALHEAD - SEALTAIL, where,
                                             len, NULL, s, keys->seal);
}

static int decrypt (const Keys *keys, const char *run, int64_t seq, int squeezed,
                    const unsigned char *s, size_t n, unsigned char *out) {
  unsigned char where[PLACE + 1];
  size_t len = place(where, run, seq, squeezed);
  return crypto_aead_xchacha20poly1305_ietf_decrypt(out, NULL, NULL, s + SEALHEAD,
             n - SEALHEAD, where, len, s, keys->seal) == 0;
}

/* of 'out', which is freed */
static void *unsqueezed (unsigned char *out, size_t *len) {
  size_t n = *len;
  void *whole = rb_unsqueeze(out, n, len);
  sodium_memzero(out, n);
  free(out);
  return whole;
}

void *rb_seal_open (const Keys *keys, const char *run, int64_t seq,
                    const void *sealed, size_t n, size_t *len) {
  const unsigned char *s = sealed;
  if (!keys->known || n < SEALHEAD + SEALTAIL) return NULL;
  *len = n - SEALHEAD - SEALTAIL;
  unsigned char *out = malloc(*len + 1);
  if (out == NULL) return NULL;
  if (decrypt(keys, run, seq, 0, s, n, out)) {
    out[*len] = '\0';
    return out;
  }
  if (decrypt(keys, run, seq, 1, s, n, out)) return unsqueezed(out, len);
  free(out);
  return NULL;
}

/* -- what comes from the key -------------------------------------------------- */

void rb_tape_derive (rb_Tape *t, const char *label, void *out, size_t n) {
  unsigned char seed[randombytes_SEEDBYTES];
  if (t->keys.known)
    crypto_generichash(seed, sizeof seed, (const unsigned char *)label,
                       strlen(label), t->keys.derive, sizeof t->keys.derive);
  else randombytes_buf(seed, sizeof seed);  /* no run: nothing to come back to */
  randombytes_buf_deterministic(out, n, seed);
  sodium_memzero(seed, sizeof seed);
}

void rb_tape_chance (const unsigned char seed[RB_CHANCE], const char *label, void *out,
                     size_t n) {
  unsigned char one[randombytes_SEEDBYTES];
  crypto_generichash(one, sizeof one, (const unsigned char *)label, strlen(label), seed,
                     RB_CHANCE);
  randombytes_buf_deterministic(out, n, one);
}

void rb_tape_fingerprint (rb_Tape *t, const void *data, size_t n,
                          char out[65]) {
  unsigned char mark[crypto_generichash_BYTES];
  crypto_generichash(mark, sizeof mark, data, n, t->keys.mark,
                     sizeof t->keys.mark);
  for (size_t i = 0; i < sizeof mark; i++) {
    out[2 * i] = "0123456789abcdef"[mark[i] >> 4];
    out[2 * i + 1] = "0123456789abcdef"[mark[i] & 15];
  }
  out[64] = '\0';
}

void rb_sha256 (const void *data, size_t n, char out[65]) {
  unsigned char hash[HASH];
  crypto_hash_sha256(hash, data, n);
  sodium_bin2hex(out, 65, hash, sizeof hash);
}
