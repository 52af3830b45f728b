/*
** http.h - what the files of this module share
**
** A request is a 'Transfer': plain C memory with a curl handle, taken from
** its base and given back to it. The userdata in the frame of the call owns
** it meanwhile, and is closed with that frame, however the frame ends.
*/

#ifndef rb_http_h
#define rb_http_h

#include <curl/curl.h>

#include "vm/module.h"

#define RB_HTTPENCODINGS "gzip, deflate"  /* what curl unpacks for us */

/* where things stand on the stack of a running call */
enum { SELF = 1, PATH, OPTIONS, CALL };

typedef struct rb_HttpMethod {
  const char *name;
  int probe;               /* reads by its meaning (RFC 9110: safe) */
  int body;                /* may carry one */
  int etag;                /* replaces what a GET would show: look at its ETag */
} rb_HttpMethod;

extern const rb_HttpMethod rb_http_get, rb_http_head, rb_http_options,
                           rb_http_post, rb_http_put, rb_http_patch,
                           rb_http_delete;

/* bytes that grow; kept from request to request */
typedef struct rb_HttpText { char *s; size_t n, size; } rb_HttpText;

typedef struct rb_HttpTransfer rb_HttpTransfer;

/* A resource as its configuration says it; one for each. */
typedef struct rb_HttpBase {
  int open;                /* all of it has been read */
  char *name;              /* "school_erp.http" */
  char *root;              /* "http://127.0.0.1:3000/api": no userinfo, no '/' */
  size_t origin;           /* of these bytes, scheme, host and port */
  char *user, *password;   /* basic authentication, or NULL */
  struct curl_slist *headers;
  char **probes;           /* "POST /search"; ends with NULL; or NULL */
  char *idempotency;       /* the header's name, or NULL */
  char *ca, *health;       /* or NULL */
  char *cert, *key, *keypassword;  /* who we are, in PEM files; or NULL */
  double timeout, connect; /* seconds: of all of it, of having a connection */
  double firstbyte;        /* of waiting for the answer to begin; 0: no limit */
  rb_HttpTransfer *idle, *busy;
  int nidle;
} rb_HttpBase;

struct rb_HttpTransfer {
  rb_HttpTransfer *next, *prev;
  rb_HttpBase *base;
  rb_HttpTransfer **owner; /* in the userdata of the call; NULL when idle */
  CURL *easy;
  int fitted;              /* carries the options that never change */
  int plain;               /* this was a GET with the base's own headers */
  const rb_HttpMethod *method;
  rb_HttpText url, out;    /* 'out' is the body that is sent */
  size_t path, query;      /* where these begin in 'url' */
  int hasbody;
  int asked;               /* the script set If-Match itself */
  int inspect;             /* a connection of its own, and its certificate */
  short expect[16];        /* statuses that are no failure of a remedy */
  int nexpect;
  struct curl_slist *headers;  /* of this request; NULL: the base's own */
  double timeout;
  /* on its way */
  rb_Task *task;
  int underway, done, sent;
  int once;                /* a deed: never to be sent a second time */
  int toolarge, redirects;
  int returns;             /* how often it was told to come back later, and did */
  double pause;            /* before the last of these */
  double began, sentat, seconds;
  lua_KFunction k, then;
  CURLcode result;
  long status;
  rb_HttpText head, body;
  char why[CURL_ERROR_SIZE];
};

/* -- base.c: the configuration ------------------------------------------- */

/* [-0, +0, v]  The running call's resource, as configured. */
rb_HttpBase *rb_http_base (lua_State *L);
void rb_http_close (rb_Resource *r);

/* [-1, +1, m]  Gives the userdata at the top a metatable with nothing but 'close'.
** It is whole before it has a name: out of memory there is none at all. */
void rb_http_closable (lua_State *L, const char *type, lua_CFunction close);

/* -- text.c: bytes, percent signs, headers ---------------------------------- */

int rb_http_grow (rb_HttpText *t, const char *s, size_t n);  /* 0: no memory */
void rb_http_free (rb_HttpText *t);
/* [-0, +0, m] */
void rb_http_add (lua_State *L, rb_HttpText *t, const char *s, size_t n);
void rb_http_puts (lua_State *L, rb_HttpText *t, const char *s);
/* all but letters, digits and -._~ as %XX */
void rb_http_encode (lua_State *L, rb_HttpText *t, const char *s, size_t n);
/* Does one of the names in a=1&b=2, decoded, say another method? */
int rb_http_override (const char *query, size_t n);
/* Has the path (n bytes) a segment . or .., also as %2e? */
int rb_http_dots (const char *path, size_t n);
/* The value of the header in the lines of 'head' (as they came), or NULL. */
const char *rb_http_find (const rb_HttpText *head, const char *name, size_t *n);
const char *rb_http_listed (const struct curl_slist *l, const char *name);
/* [-0, +0, v]  What stops a header's name or value from being one. */
const char *rb_http_badheader (const char *name, const char *value, size_t n);
int rb_http_setheader (struct curl_slist **l, const char *name,
                       const char *value);  /* 0: no memory */

/* -- request.c: arguments as a request ----------------------------------------- */

/* [-0, +1, v]  Leaves the call's userdata at CALL, with a request made of the
** arguments. */
rb_HttpTransfer *rb_http_request (lua_State *L, const rb_HttpMethod *m);
/* [-0, +0, v]  The script's mistake, in words that name the call; always raises. */
int rb_http_misuse (lua_State *L, const rb_HttpTransfer *t, const char *fmt, ...);
/* [-0, +0, v]  The smallest key of a table after that one (NULL: the smallest). */
const char *rb_http_nextkey (lua_State *L, const rb_HttpTransfer *t, int idx,
                             const char *after);
/* [-0, +0, v]  The table at idx as a=1&b=2, by name; a list is a name's values. */
void rb_http_pairs (lua_State *L, rb_HttpTransfer *t, rb_HttpText *to, int idx);
/* [-0, +0, m]  One more header; it takes the place of one of the same name. */
void rb_http_header (lua_State *L, rb_HttpTransfer *t, const char *name,
                     const char *value);
/* [-0, +0, m]  A line in curl's notation ("Expect:" takes curl's own away). */
void rb_http_line (lua_State *L, rb_HttpTransfer *t, const char *line);

/* -- body.c: what is sent ---------------------------------------------------------- */

/* [-0, +0, v]  The body that the options at OPTIONS ask for. */
void rb_http_body (lua_State *L, rb_HttpTransfer *t);

/* -- probe.c: what only looks -------------------------------------------------------- */

/* Is this request a probe by its method, or by the configuration? */
int rb_http_isprobe (lua_State *L, const rb_HttpTransfer *t);
/* [-0, +0, v]  Raises when the server would take a probe for another request. */
void rb_http_checkprobe (lua_State *L, const rb_HttpTransfer *t);

/* -- hub.c: all of them at once ------------------------------------------------------ */

/* [-0, +0, m]  One base more (1) or less (-1; no L) uses the multi handle. */
void rb_http_hub (lua_State *L, int more);
void rb_http_warm (void);  /* the module's `warm`: starts libcurl */
int rb_http_begin (rb_HttpTransfer *t);  /* 0: no memory */
void rb_http_withdraw (rb_HttpTransfer *t);  /* it needs no answer any more */

/* -- transfer.c: sending and waiting ------------------------------------------------ */

/* [-0, +1, v]  An empty request of the base, owned by the userdata pushed and
** closed with the running function. */
rb_HttpTransfer *rb_http_open (lua_State *L, rb_HttpBase *b);
/* The transfer of the userdata at CALL. */
rb_HttpTransfer *rb_http_transfer (lua_State *L);
/* [-0, +?, vy]  Sends it; goes on in k (its context is the transfer) with an
** answer, or raises. Its time is the call's: rb_timeout comes first. */
int rb_http_send (lua_State *L, rb_HttpTransfer *t, lua_KFunction k);
/* [-0, +?, vy]  The same, but k also runs after a failure: t->result. */
int rb_http_try (lua_State *L, rb_HttpTransfer *t, lua_KFunction k);
void rb_http_drop (rb_HttpTransfer *t);  /* for good */

/* -- fail.c ------------------------------------------------------------------------ */

/* [-0, +0, v]  The transfer ended without an answer. */
int rb_http_lost (lua_State *L, const rb_HttpTransfer *t);
/* [-0, +1, m]  The same in words. */
const char *rb_http_why (lua_State *L, const rb_HttpTransfer *t);
/* [-0, +0, v]  A remedy got an answer that it did not expect. */
int rb_http_unexpected (lua_State *L, const rb_HttpTransfer *t);
/* [-0, +1, m]  The first bytes of a body on one line, for messages. */
const char *rb_http_glimpse (lua_State *L, const char *s, size_t n, size_t max);

/* -- response.c ---------------------------------------------------------------------- */

/* [-0, +1, m]  {status=, headers=, body=, request=} */
void rb_http_pushresponse (lua_State *L, const rb_HttpTransfer *t);
extern const rb_Reg rb_http_responsemethods[];

/* -- the primitives ------------------------------------------------------------------ */

int rb_http_probe (lua_State *L, const rb_HttpMethod *m);    /* probe.c */
/* [-0, +?, vy]  The request at CALL is a probe: looks, and pushes the answer. */
int rb_http_look (lua_State *L, rb_HttpTransfer *t);
/* What of the request asks the server for another method than it says; or NULL. */
const char *rb_http_disguise (const rb_HttpTransfer *t);
int rb_http_remedy (lua_State *L, const rb_HttpMethod *m);   /* remedy.c */
int rb_http_preview (lua_State *L, const rb_HttpMethod *m);
rb_Effect rb_http_classify (lua_State *L, const rb_HttpMethod *m);
int rb_http_doctor (lua_State *L);                           /* doctor.c */

#endif
