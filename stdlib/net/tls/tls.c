/*
** tls.c - a TLS handshake that looks: it goes on whatever is wrong with the
** certificate, and remembers all of it
*/

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "stdlib/net/tls.h"

#define MOST 16           /* problems that are remembered */
#define LEVEL 2           /* of strength: what clients ask for today */

struct rb_NetTls {
  SSL_CTX *ctx;
  SSL *ssl;
  int problems[MOST], n;
  char name[256], words[256];
};

/* what is wrong with a certificate, in one word */
static const struct { int error; const char *word; } kinds[] = {
  {X509_V_ERR_CERT_HAS_EXPIRED, "expired"},
  {X509_V_ERR_CERT_NOT_YET_VALID, "not yet valid"},
  {X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, "self-signed"},
  {X509_V_ERR_HOSTNAME_MISMATCH, "wrong name"},
  {X509_V_ERR_IP_ADDRESS_MISMATCH, "wrong name"},
  {X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, "unknown issuer"},
  {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, "unknown issuer"},
  {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, "unknown issuer"},
  {X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, "unknown issuer"},
  {X509_V_ERR_CERT_UNTRUSTED, "unknown issuer"},
  {X509_V_ERR_CERT_REVOKED, "revoked"},
  {X509_V_ERR_EE_KEY_TOO_SMALL, "weak"},
  {X509_V_ERR_CA_KEY_TOO_SMALL, "weak"},
  {X509_V_ERR_CA_MD_TOO_WEAK, "weak"}
};

static const char *kindof (int error) {
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
    if (kinds[i].error == error) return kinds[i].word;
  return "invalid";
}

/* -- verification: every problem, and none of them an end --------------------------- */

static int notice (int fine, X509_STORE_CTX *store) {
  SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
  struct rb_NetTls *t = SSL_get_app_data(ssl);
  int error = X509_STORE_CTX_get_error(store);
  if (fine || t->n == MOST) return 1;
  for (int i = 0; i < t->n; i++)
    if (strcmp(kindof(t->problems[i]), kindof(error)) == 0) return 1;
  t->problems[t->n++] = error;
  return 1;
}

/* -- open, step, close ------------------------------------------------------------------ */

static void tls_close (rb_NetTls *t) {
  SSL_free(t->ssl);
  SSL_CTX_free(t->ctx);
  free(t);
}

static int isaddress (const char *name) {
  unsigned char raw[16];
  return inet_pton(AF_INET, name, raw) == 1 || inet_pton(AF_INET6, name, raw) == 1;
}

/* the server is asked for that name, and has to have a certificate for it */
static int setname (rb_NetTls *t) {
  X509_VERIFY_PARAM *p = SSL_get0_param(t->ssl);
  X509_VERIFY_PARAM_set_auth_level(p, LEVEL);
  X509_VERIFY_PARAM_set_hostflags(p, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  if (isaddress(t->name)) return X509_VERIFY_PARAM_set1_ip_asc(p, t->name) == 1;
  return SSL_set_tlsext_host_name(t->ssl, t->name) == 1
         && X509_VERIFY_PARAM_set1_host(p, t->name, 0) == 1;
}

/* Old versions and weak keys are spoken to as well: they are what is looked for. */
static int configure (rb_NetTls *t, int fd, const char *ca) {
  t->ctx = SSL_CTX_new(TLS_client_method());
  if (t->ctx == NULL) return 0;
  SSL_CTX_set_security_level(t->ctx, 0);
  SSL_CTX_set_min_proto_version(t->ctx, TLS1_VERSION);
  int trusts = ca != NULL ? SSL_CTX_load_verify_file(t->ctx, ca)
                          : SSL_CTX_set_default_verify_paths(t->ctx);
  if (!trusts) return 0;
  t->ssl = SSL_new(t->ctx);
  if (t->ssl == NULL) return 0;
  SSL_set_app_data(t->ssl, t);
  SSL_set_verify(t->ssl, SSL_VERIFY_PEER, notice);
  return SSL_set_fd(t->ssl, fd) == 1 && setname(t);
}

static rb_NetTls *tls_open (int fd, const char *name, const char *ca, char *why,
                            size_t size) {
  rb_NetTls *t = calloc(1, sizeof *t);
  if (t == NULL) {
    snprintf(why, size, "not enough memory");
    return NULL;
  }
  snprintf(t->name, sizeof t->name, "%s", name);
  ERR_clear_error();
  if (configure(t, fd, ca)) return t;
  const char *reason = ERR_reason_error_string(ERR_peek_last_error());
  snprintf(why, size, "%s%s%s", ca != NULL ? ca : "cannot begin", ": ",
           reason != NULL ? reason : "no certificates in it");
  tls_close(t);
  return NULL;
}

static rb_NetStep tls_step (rb_NetTls *t) {
  ERR_clear_error();
  int rc = SSL_connect(t->ssl);
  if (rc == 1) return RB_NETDONE;
  int error = SSL_get_error(t->ssl, rc);
  if (error == SSL_ERROR_WANT_READ) return RB_NETREAD;
  if (error == SSL_ERROR_WANT_WRITE) return RB_NETWRITE;
  unsigned long code = ERR_peek_error();
  const char *reason = code != 0 ? ERR_reason_error_string(code) : NULL;
  if (ERR_GET_LIB(code) == ERR_LIB_SSL && ERR_GET_REASON(code) == SSL_R_WRONG_VERSION_NUMBER)
    reason = "it does not speak TLS";
  if (ERR_GET_LIB(code) == ERR_LIB_SSL
      && ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING) reason = NULL;
  snprintf(t->words, sizeof t->words, "%s", reason != NULL ? reason
           : "it hung up during the TLS greeting");
  return RB_NETFAILED;
}

static const char *tls_words (const rb_NetTls *t) { return t->words; }

static int tls_seen (const rb_NetTls *t) {
  return SSL_get0_peer_certificate(t->ssl) != NULL;
}

/* -- push -------------------------------------------------------------------------------- */

static void setstring (lua_State *L, const char *name, const char *s) {
  lua_pushstring(L, s);
  lua_setfield(L, -2, name);
}

/* "CN=db.example.org, O=Example"; the memory is OpenSSL's until Lua has it */
static void setdn (lua_State *L, const char *field, const X509_NAME *dn) {
  char text[1024] = "", *out;
  BIO *b = BIO_new(BIO_s_mem());
  if (b != NULL && X509_NAME_print_ex(b, dn, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB) >= 0) {
    long n = BIO_get_mem_data(b, &out);
    snprintf(text, sizeof text, "%.*s", (int)n, out);
  }
  BIO_free(b);
  setstring(L, field, text);
}

static double seconds (const ASN1_TIME *at) {
  struct tm tm = {0};
  return ASN1_TIME_to_tm(at, &tm) == 1 ? (double)timegm(&tm) : 0;
}

static void settime (lua_State *L, const char *name, double t) {
  lua_pushinteger(L, (lua_Integer)t);
  lua_setfield(L, -2, name);
}

/* one name of a certificate as text; 0: of another kind */
static int nameof (const GENERAL_NAME *g, char *out, size_t size) {
  int type;
  const ASN1_STRING *s = GENERAL_NAME_get0_value(g, &type);
  const unsigned char *data = type == GEN_DNS || type == GEN_IPADD
                              ? ASN1_STRING_get0_data(s) : NULL;
  if (data == NULL) return 0;
  if (type == GEN_DNS) {
    snprintf(out, size, "%.*s", ASN1_STRING_length(s), (const char *)data);
    return 1;
  }
  return inet_ntop(ASN1_STRING_length(s) == 4 ? AF_INET : AF_INET6, data, out,
                   (socklen_t)size) != NULL;
}

/* [-0, +0, m]  The list is OpenSSL's: nothing raises before it is freed, but for want of
** memory, which ends the script. */
static void setnames (lua_State *L, X509 *cert) {
  char name[256];
  lua_Integer n = 0;
  GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
  lua_newtable(L);
  for (int i = 0; names != NULL && i < sk_GENERAL_NAME_num(names); i++) {
    if (!nameof(sk_GENERAL_NAME_value(names, i), name, sizeof name)) continue;
    lua_pushstring(L, name);
    lua_rawseti(L, -2, ++n);
  }
  GENERAL_NAMES_free(names);
  lua_setfield(L, -2, "names");
}

static void setserial (lua_State *L, X509 *cert) {
  char text[128] = "";
  BIGNUM *n = ASN1_INTEGER_to_BN(X509_get0_serialNumber(cert), NULL);
  char *hex = n != NULL ? BN_bn2hex(n) : NULL;
  if (hex != NULL) snprintf(text, sizeof text, "%s", hex);
  OPENSSL_free(hex);
  BN_free(n);
  setstring(L, "serial", text);
}

/* [-0, +1, m]  one problem in words */
static void pushwords (lua_State *L, const rb_NetTls *t, int error, double expires,
                       double starts) {
  char when[32];
  time_t at = (time_t)(error == X509_V_ERR_CERT_HAS_EXPIRED ? expires : starts);
  struct tm tm;
  const char *kind = kindof(error);
  strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&at, &tm));
  if (strcmp(kind, "expired") == 0) lua_pushfstring(L, "it expired on %s", when);
  else if (strcmp(kind, "not yet valid") == 0)
    lua_pushfstring(L, "it is valid from %s on", when);
  else if (strcmp(kind, "wrong name") == 0) lua_pushfstring(L, "it is not for %s", t->name);
  else if (strcmp(kind, "self-signed") == 0)
    lua_pushliteral(L, "it is signed by nobody but itself");
  else if (strcmp(kind, "unknown issuer") == 0)
    lua_pushliteral(L, "nobody who is trusted here stands behind its issuer");
  else lua_pushstring(L, X509_verify_cert_error_string(error));
}

static void setproblems (lua_State *L, const rb_NetTls *t, double expires, double starts) {
  lua_pushboolean(L, t->n == 0);
  lua_setfield(L, -2, "verified");
  lua_createtable(L, t->n, 0);
  for (int i = 0; i < t->n; i++) {
    lua_pushstring(L, kindof(t->problems[i]));
    lua_rawseti(L, -2, i + 1);
  }
  lua_setfield(L, -2, "problems");
  if (t->n == 0) return;
  for (int i = 0; i < t->n; i++) {
    if (i > 0) lua_pushliteral(L, "; ");
    pushwords(L, t, t->problems[i], expires, starts);
  }
  lua_concat(L, 2 * t->n - 1);
  lua_setfield(L, -2, "reason");
}

static int daysleft (double expires, double now) {
  double days = (expires - now) / 86400;
  return (int)days - (days < (double)(int)days);
}

static void tls_push (lua_State *L, rb_NetTls *t, double now) {
  X509 *cert = SSL_get0_peer_certificate(t->ssl);
  double starts = seconds(X509_get0_notBefore(cert));
  double expires = seconds(X509_get0_notAfter(cert));
  luaL_checkstack(L, 2 * MOST + 10, "not enough memory");
  lua_createtable(L, 0, 12);
  setdn(L, "subject", X509_get_subject_name(cert));
  setdn(L, "issuer", X509_get_issuer_name(cert));
  setnames(L, cert);
  setserial(L, cert);
  settime(L, "starts", starts);
  settime(L, "expires", expires);
  settime(L, "days", daysleft(expires, now));
  setstring(L, "protocol", SSL_get_version(t->ssl));
  setproblems(L, t, expires, starts);
}

const rb_NetPart rb_part = {
  .open = tls_open, .step = tls_step, .words = tls_words, .seen = tls_seen,
  .push = tls_push, .close = tls_close
};
