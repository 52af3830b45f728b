/*
** tls.c - TLS between hiredis's reader and the socket, so that every hiredis has it
**
** The server's certificate is always verified: its chain, its dates and its name.
*/

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "stdlib/redis/tls.h"

#define LONGEST 512

struct rb_RedisTls {
  SSL_CTX *ctx;
  SSL *ssl;
  char *out;                /* what is to be sent, from 'from' to 'n' */
  size_t from, n, size;
  int asked;                /* for a client certificate that we do not have */
  int heard;                /* the server has said something since */
  char name[256], words[LONGEST];
};

/* -- close ----------------------------------------------------------------------- */

static void tls_close (rb_RedisTls *t) {
  SSL_free(t->ssl);
  SSL_CTX_free(t->ctx);
  if (t->out != NULL) explicit_bzero(t->out, t->size);  /* AUTH went through it */
  free(t->out);
  free(t);
}

/* -- words ------------------------------------------------------------------------ */

static const char *tls_words (const rb_RedisTls *t) { return t->words; }

/* a text that OpenSSL prints, cut to fit */
static void take (BIO *b, char *to, size_t size) {
  char *s = NULL;
  long n = b != NULL ? BIO_get_mem_data(b, &s) : 0;
  snprintf(to, size, "%.*s", (int)n, s != NULL ? s : "");
  BIO_free(b);
}

static void date (const ASN1_TIME *at, char *to, size_t size) {
  BIO *b = BIO_new(BIO_s_mem());
  if (b != NULL) ASN1_TIME_print(b, at);
  take(b, to, size);
}

static void issuer (X509 *cert, char *to, size_t size) {
  BIO *b = BIO_new(BIO_s_mem());
  if (b != NULL) X509_NAME_print_ex(b, X509_get_issuer_name(cert), 0, XN_FLAG_RFC2253);
  take(b, to, size);
}

/* "a.example.org, b.example.org" */
static void names (X509 *cert, char *to, size_t size) {
  GENERAL_NAMES *all = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
  *to = '\0';
  for (int i = 0; all != NULL && i < sk_GENERAL_NAME_num(all); i++) {
    const GENERAL_NAME *g = sk_GENERAL_NAME_value(all, i);
    size_t n = strlen(to);
    char address[64] = "";
    if (g->type == GEN_IPADD)
      inet_ntop(g->d.iPAddress->length == 4 ? AF_INET : AF_INET6,
                g->d.iPAddress->data, address, sizeof address);
    else if (g->type != GEN_DNS) continue;
    snprintf(to + n, size - n, "%s%.*s", n > 0 ? ", " : "",
             *address ? (int)strlen(address) : g->d.dNSName->length,
             *address ? address : (const char *)g->d.dNSName->data);
  }
  GENERAL_NAMES_free(all);
}

/* Says once what is wrong with the server's certificate, while it is at hand. */
static void explain (rb_RedisTls *t, int error, X509 *cert, X509 *server) {
  char text[200];
  switch (error) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      date(X509_get0_notAfter(cert), text, sizeof text);
      snprintf(t->words, LONGEST, "its certificate expired on %s: renew it", text);
      return;
    case X509_V_ERR_CERT_NOT_YET_VALID:
      date(X509_get0_notBefore(cert), text, sizeof text);
      snprintf(t->words, LONGEST, "its certificate is valid from %s on: is the clock "
               "right?", text);
      return;
    case X509_V_ERR_HOSTNAME_MISMATCH: case X509_V_ERR_IP_ADDRESS_MISMATCH:
      names(server, text, sizeof text);
      snprintf(t->words, LONGEST, "its certificate is for %s, not for %s: use a name that "
               "it has", *text ? text : "no name", t->name);
      return;
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
      snprintf(t->words, LONGEST, "its certificate is signed by nobody but itself: to "
               "trust it, name its file as 'ca' in the configuration");
      return;
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
      issuer(server, text, sizeof text);
      snprintf(t->words, LONGEST, "nobody who is trusted here stands behind the issuer of "
               "its certificate (%s): name that issuer's as 'ca' in the configuration", text);
      return;
    default:
      snprintf(t->words, LONGEST, "its certificate is not accepted: %s",
               X509_verify_cert_error_string(error));
  }
}

static int verified (int fine, X509_STORE_CTX *store) {
  SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
  if (!fine)
    explain(SSL_get_app_data(ssl), X509_STORE_CTX_get_error(store),
            X509_STORE_CTX_get_current_cert(store), X509_STORE_CTX_get0_cert(store));
  return fine;
}

/* -- open --------------------------------------------------------------------------- */

/* the passphrase is given, never asked for on the terminal */
static int passphrase (char *to, int size, int writing, void *ud) {
  size_t n = ud != NULL ? strlen(ud) : 0;
  (void)writing;
  if (n == 0 || n >= (size_t)size) return -1;
  memcpy(to, ud, n);
  return (int)n;
}

static int trusts (SSL_CTX *ctx, const char *ca) {
  struct stat st;
  if (ca == NULL) return SSL_CTX_set_default_verify_paths(ctx);
  if (stat(ca, &st) == 0 && S_ISDIR(st.st_mode)) return SSL_CTX_load_verify_dir(ctx, ca);
  return SSL_CTX_load_verify_file(ctx, ca);
}

/* NULL, or the setting that cannot be used */
static const char *present (SSL_CTX *ctx, const rb_RedisTrust *r) {
  const char *key = r->key != NULL ? r->key : r->cert;
  if (!trusts(ctx, r->ca)) return "ca";
  if (r->cert == NULL) return r->key != NULL ? "cert (there is a key)" : NULL;
  SSL_CTX_set_default_passwd_cb(ctx, passphrase);
  SSL_CTX_set_default_passwd_cb_userdata(ctx, r->password);
  if (SSL_CTX_use_certificate_chain_file(ctx, r->cert) != 1) return "cert";
  if (SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1)
    return "key (or key_password)";
  return SSL_CTX_check_private_key(ctx) == 1 ? NULL : "key (it is not the cert's)";
}

static int setname (rb_RedisTls *t) {
  X509_VERIFY_PARAM *p = SSL_get0_param(t->ssl);
  unsigned char raw[16];
  X509_VERIFY_PARAM_set_hostflags(p, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  if (inet_pton(AF_INET, t->name, raw) == 1 || inet_pton(AF_INET6, t->name, raw) == 1)
    return X509_VERIFY_PARAM_set1_ip_asc(p, t->name) == 1;
  return SSL_set_tlsext_host_name(t->ssl, t->name) == 1
         && X509_VERIFY_PARAM_set1_host(p, t->name, 0) == 1;
}

/* the server asks for a certificate, and none is configured */
static int noneofours (SSL *ssl, X509 **cert, EVP_PKEY **key) {
  rb_RedisTls *t = SSL_get_app_data(ssl);
  (void)cert; (void)key;
  t->asked = 1;
  return 0;
}

static int begin (rb_RedisTls *t, int fd) {
  t->ssl = SSL_new(t->ctx);
  if (t->ssl == NULL) return 0;
  SSL_set_app_data(t->ssl, t);
  SSL_set_verify(t->ssl, SSL_VERIFY_PEER, verified);
  SSL_set_mode(t->ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_set_connect_state(t->ssl);
  return SSL_set_fd(t->ssl, fd) == 1 && setname(t);
}

static rb_RedisTls *tls_open (int fd, const char *name, const rb_RedisTrust *trust,
                              char *why, size_t size) {
  rb_RedisTls *t = calloc(1, sizeof *t);
  const char *bad = "memory";
  ERR_clear_error();
  if (t != NULL && (t->ctx = SSL_CTX_new(TLS_client_method())) != NULL
      && SSL_CTX_set_min_proto_version(t->ctx, TLS1_2_VERSION)) {
    snprintf(t->name, sizeof t->name, "%s", name);
    SSL_CTX_set_client_cert_cb(t->ctx, noneofours);
    bad = present(t->ctx, trust);
    if (bad == NULL && begin(t, fd)) return t;
  }
  const char *reason = ERR_reason_error_string(ERR_peek_last_error());
  snprintf(why, size, "TLS cannot begin: see %s in the configuration: %s",
           bad != NULL ? bad : "the host", reason != NULL ? reason : "it cannot be used");
  if (t != NULL) tls_close(t);
  return NULL;
}

/* -- bytes ----------------------------------------------------------------------------- */

/* did the server refuse us for our certificate, or for want of one? */
static int isrefusal (int reason) {
  return reason == SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED
         || reason == SSL_R_TLSV1_ALERT_UNKNOWN_CA
         || reason == SSL_R_SSLV3_ALERT_BAD_CERTIFICATE
         || reason == SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED
         || reason == SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE;
}

/* A server that hangs up on us for want of a certificate may do so with a reset, which
** overtakes its words. */
static int hungup (const rb_RedisTls *t, int error, int reason, int saved) {
  return t->asked && !t->heard
         && (saved == ECONNRESET || saved == EPIPE || error == SSL_ERROR_ZERO_RETURN
             || reason == SSL_R_UNEXPECTED_EOF_WHILE_READING);
}

/* what a call that did not succeed means */
static rb_RedisStep judge (rb_RedisTls *t, int rc, int saved) {
  int error = SSL_get_error(t->ssl, rc);
  unsigned long code = ERR_peek_error();
  int reason = ERR_GET_LIB(code) == ERR_LIB_SSL ? ERR_GET_REASON(code) : 0;
  if (error == SSL_ERROR_WANT_READ) return RB_REDISREAD;
  if (error == SSL_ERROR_WANT_WRITE) return RB_REDISWRITE;
  if (t->words[0] == '\0' && hungup(t, error, reason, saved)) {
    snprintf(t->words, LONGEST, "the server wants a client certificate, and hung up "
             "without one: see 'cert' and 'key' in the configuration");
    return RB_REDISUNTRUSTED;
  }
  if (error == SSL_ERROR_ZERO_RETURN || reason == SSL_R_UNEXPECTED_EOF_WHILE_READING)
    return RB_REDISEND;
  if (t->words[0] != '\0') return RB_REDISUNTRUSTED;
  if (isrefusal(reason)) {
    snprintf(t->words, LONGEST, "the server wants a client certificate that it trusts (%s): "
             "see 'cert' and 'key' in the configuration", ERR_reason_error_string(code));
    return RB_REDISUNTRUSTED;
  }
  if (reason == SSL_R_WRONG_VERSION_NUMBER)
    snprintf(t->words, LONGEST, "it does not speak TLS on that port: redis:// is for "
             "connections without it");
  else if (code != 0)
    snprintf(t->words, LONGEST, "TLS: %s", ERR_reason_error_string(code));
  else
    snprintf(t->words, LONGEST, "%s", saved != 0 ? strerror(saved) : "it hung up");
  return RB_REDISFAILED;
}

static int tls_queue (rb_RedisTls *t, const char *s, size_t n) {
  if (t->size - t->n < n) {
    size_t size = (t->n + n) * 2;
    char *out = malloc(size);
    if (out == NULL) return 0;
    if (t->out != NULL) {
      memcpy(out, t->out, t->n);
      explicit_bzero(t->out, t->size);
    }
    free(t->out);
    t->out = out;
    t->size = size;
  }
  memcpy(t->out + t->n, s, n);
  t->n += n;
  return 1;
}

static rb_RedisStep tls_flush (rb_RedisTls *t) {
  while (t->from < t->n) {
    size_t n = 0;
    ERR_clear_error();
    errno = 0;
    int rc = SSL_write_ex(t->ssl, t->out + t->from, t->n - t->from, &n);
    if (rc != 1) return judge(t, rc, errno);
    t->from += n;
  }
  t->from = t->n = 0;
  return RB_REDISDONE;
}

static rb_RedisStep tls_read (rb_RedisTls *t, char *s, size_t size, size_t *n) {
  ERR_clear_error();
  errno = 0;
  int rc = SSL_read_ex(t->ssl, s, size, n);
  t->heard |= rc == 1;
  return rc == 1 ? RB_REDISDONE : judge(t, rc, errno);
}

const rb_RedisPart rb_part = {
  .open = tls_open, .queue = tls_queue, .flush = tls_flush, .read = tls_read,
  .words = tls_words, .close = tls_close
};
