/*
** curl.h - one transfer of libcurl on the loop, for modules that send now and then
**
** Each transfer has a multi handle of its own, whose sockets the loop watches. (The
** http module, which may have thousands under way, has one handle for all.)
*/

#ifndef rb_curl_h
#define rb_curl_h

#include <curl/curl.h>

#include "vm/module.h"

/* what came back; more than 'most' bytes of it are not kept */
typedef struct rb_CurlText { char *s; size_t n, size; } rb_CurlText;

typedef struct rb_Curl rb_Curl;

typedef struct rb_CurlSocket {
  rb_Curl *of;
  curl_socket_t fd;
  rb_Watch *watch;
  short got;               /* what the loop has seen there */
} rb_CurlSocket;

struct rb_Curl {
  CURL *easy;              /* options that never change are set */
  CURLM *multi;
  struct curl_slist *headers, *to;  /* header lines; recipients of a mail */
  curl_mime *mime;
  char *out;               /* what is sent; freed with explicit_bzero */
  size_t nout;
  /* on its way */
  lua_State *L;            /* while curl works for us: whose loop it is */
  rb_Task *task;
  rb_CurlSocket *socks[8]; /* a connection has one or two, and its resolver one */
  double due, began, seconds;
  int awake, done;
  lua_KFunction k;
  /* how it went */
  int sent;                /* from here on only an answer knows whether it was done */
  int once;                /* http: that is so from the first byte of the request on */
  CURLcode result;
  long status;
  rb_CurlText head, body;
  char why[CURL_ERROR_SIZE];
};

/* [-0, +1, v]  An empty transfer, owned by the userdata pushed and closed with the
** running function. */
rb_Curl *rb_curl_open (lua_State *L);

/* [-0, +0, v]  Raises when 'bad' is an error of curl_easy_setopt. */
void rb_curl_checkopt (lua_State *L, CURLcode bad);

/* [-0, +0, m]  One more line at the end of a list. */
void rb_curl_append (lua_State *L, struct curl_slist **list, const char *line);

/* [-0, +?, vy]  Performs it and goes on in k (its context is the transfer), however it
** ended: t->result. Its time is the call's: rb_timeout comes first. Refuses where
** nothing may be changed. */
int rb_curl_perform (lua_State *L, rb_Curl *t, lua_KFunction k);

/* What went wrong, in words ("no answer after 5.0 s"); pushed, [-0, +1, m]; and the
** kind of failure that it is. */
const char *rb_curl_why (lua_State *L, const rb_Curl *t, const char **kind);

/* The value of the last answer's header, or NULL; *n bytes. */
const char *rb_curl_header (const rb_Curl *t, const char *name, size_t *n);

/* [-0, +1, m]  The first bytes of the body on one line, for messages. */
const char *rb_curl_glimpse (lua_State *L, const rb_Curl *t, size_t max);

#endif
