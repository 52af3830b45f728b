/*
** backup.h - what the files of this module share
**
** A dump is looked at by an rb_Archive, the database by an rb_Server, each a
** userdata on the stack of the call that made it and closed with it.
*/

#ifndef rb_backup_h
#define rb_backup_h

#include <limits.h>
#include <libpq-fe.h>

#include "vm/module.h"

/* -- scan.c: what a dump in SQL holds ---------------------------------------- */

typedef struct rb_Table { char *schema, *name; long long rows; } rb_Table;

/* All of it is malloc'ed; zeroed means empty. */
typedef struct rb_Scan {
  rb_Table *tables; size_t ntables;
  char **schemas; size_t nschemas;   /* of all objects, in their order */
  char **made; size_t nmade;         /* those that it creates */
  char server[64], program[64];      /* versions: of the server, of pg_dump */
  char command[32];                  /* a command of psql that no dump has; "" */
  int isdump, complete, inserts, database, failed;  /* failed: out of memory */
  int copying;                       /* inside the rows of the last table */
  int begun;                         /* there was more than comments */
  int restricted, lifted;            /* "\restrict KEY" before that; "\unrestrict KEY" */
  int lifts; size_t matched;         /* how often that word was anywhere; bytes of it */
  char line[4096]; size_t n, length; /* the line at hand, and how long it is */
} rb_Scan;

void rb_scan_feed (rb_Scan *s, const char *text, size_t n);
void rb_scan_free (rb_Scan *s);
/* Does it say \unrestrict where no dump does? Then more than SQL may be in it. */
int rb_scan_escapes (const rb_Scan *s);
/* NULL: it has no such table */
const rb_Table *rb_scan_table (const rb_Scan *s, const char *schema, const char *name);
long long rb_scan_rows (const rb_Scan *s);
void rb_scan_schema (rb_Scan *s, const char *name);
void rb_scan_made (rb_Scan *s, const char *name);
void rb_scan_add (rb_Scan *s, const char *schema, const char *name);

/* -- archive.c: a file in the backup folder ---------------------------------- */

typedef enum rb_Format { RB_EMPTY, RB_PLAIN, RB_CUSTOM, RB_GZIP, RB_OTHER } rb_Format;
extern const char *const rb_formats[];

typedef struct rb_Archive {
  const rb_Resource *r;
  char folder[PATH_MAX], name[NAME_MAX + 1], path[PATH_MAX + NAME_MAX + 2];
  int dir, fd;                       /* -1: closed */
  long long bytes;
  double at;                         /* seconds since 1970 */
  char image[96];                    /* tells it from another of that name */
  rb_Format format;
  rb_Scan scan;
  char scratch[PATH_MAX + 32];       /* a folder of ours; "": none */
  int top;                           /* the stack as the caller left it */
  lua_KContext ctx; lua_KFunction k;
} rb_Archive;

/* [-0, +1, v]  The folder alone, open. */
rb_Archive *rb_archive_folder (lua_State *L);
/* [-0, +1, v]  The dump that the string at 'idx' names, open. */
rb_Archive *rb_archive_open (lua_State *L, int idx);
rb_Format rb_archive_format (int fd);
int rb_archive_has (const rb_Archive *a, const char *name);
/* [-0, +?, vy]  Reads all of the archive at 'idx'; goes on in k with a->scan, which
** is still to be judged (rb_archive_check). */
int rb_archive_read (lua_State *L, int idx, lua_KContext ctx, lua_KFunction k);
/* The same for a file in SQL; 'fd' is kept. */
int rb_archive_scan (lua_State *L, int idx, int fd, lua_KContext ctx, lua_KFunction k);
/* [-0, +0, v]  Raises unless the scan is that of a whole dump. */
void rb_archive_check (lua_State *L, const rb_Archive *a);
/* [-0, +1, m]  "greenwood_high, riverside and st-marys" */
const char *rb_archive_schemas (lua_State *L, const rb_Scan *s);
/* [-0, +0, v]  Makes a->scratch, which goes with the archive. */
void rb_archive_scratch (lua_State *L, rb_Archive *a);
/* [-0, +1, m]  "1,203 rows" */
const char *rb_archive_count (lua_State *L, long long n, const char *one,
                              const char *many);

/* -- extract.c: one schema of an archive of pg_restore ------------------------- */

int rb_extract_read (lua_State *L, int idx, lua_KContext ctx, lua_KFunction k);
/* [-0, +?, vy]  Writes the schema to schema.sql and objects.sql in a->scratch. */
int rb_extract (lua_State *L, int idx, const char *schema, lua_KContext ctx,
                lua_KFunction k);

/* -- program.c: pg_dump, pg_restore, psql --------------------------------------- */

typedef struct rb_Words {
  char **list;
  int n, max, anchor;
} rb_Words;

/* [-0, +2, m]  room for 'max' words */
rb_Words rb_words_push (lua_State *L, int max);
void rb_words_add (lua_State *L, rb_Words *w, const char *fmt, ...);

/* [-0, +1, v]  The program of that name, in `bin` or in PATH. */
const char *rb_program_find (lua_State *L, const char *name);
/* [-0, +2, v]  An environment: with the database's URL (never an argument) where
** 'server' is set. */
rb_Words rb_program_env (lua_State *L, int server);
/* [-0, +?, vy]  Goes on in k with the version ("15.18") of a program on the top. */
int rb_program_version (lua_State *L, const char *name, lua_KContext ctx,
                        lua_KFunction k);
/* [-0, +1, m]  What a program said when it failed; its result is at 'idx'. */
const char *rb_program_said (lua_State *L, int idx);

/* -- server.c: the database is asked --------------------------------------------- */

/* [-0, +1, v]  A connection that only looks, opened when it is first asked. */
void rb_server_push (lua_State *L);
/* [-0, +1, vy]  Asks the server at 'idx'; k finds the answer on the top. */
int rb_server_ask (lua_State *L, int idx, const char *sql, int n,
                   const char *const *values, lua_KContext ctx, lua_KFunction k);
const PGresult *rb_server_answer (lua_State *L, int idx);
/* [-0, +1, v]  The URL of the database. */
const char *rb_server_url (lua_State *L);

/* -- look.c: what the database says of a schema ------------------------------------ */

typedef struct rb_Look {
  int there, owner, creates;        /* may it be renamed? */
  int version;                      /* of the server: 150018 */
  long long tables, bytes, rows;    /* rows: -1 where there is too much to count */
  char oid[16], size[32];
  char taken[96];                   /* a schema that is in the way; "" */
} rb_Look;

extern const char rb_sql_look[], rb_sql_rows[], rb_sql_outside[], rb_sql_counts[];

/* [-0, +?, vy]  Looks through the server at 'idx'; k finds what it saw (an rb_Look)
** and below it a table of those outside: { {kind, name, statement}, ... }. */
int rb_look (lua_State *L, int idx, const char *schema, const char *aside,
             lua_KContext ctx, lua_KFunction k);
/* [-0, +1, m]  "15 tables, 12,100 rows, 3456 kB" */
const char *rb_look_words (lua_State *L, const rb_Look *w);

/* -- dump.c, restore.c, swap.c: the remedies ------------------------------------------ */

int rb_dump (lua_State *L);
int rb_dump_preview (lua_State *L);
int rb_restore (lua_State *L);
int rb_restore_preview (lua_State *L);
int rb_swapschema (lua_State *L);
int rb_swapschema_preview (lua_State *L);
int rb_backup_settle (lua_State *L);

/* [-0, +1, m]  The statements of a look's list that bind views outside again. */
void rb_views (lua_State *L, int list);

/* [-0, +1, v]  A field of the options at 2, or NULL and nil. */
const char *rb_option (lua_State *L, const char *name);
/* [-0, +0, v]  Raises where the options at 2 have another field. */
void rb_options (lua_State *L, const char *const *names);
/* [-0, +0, m]  The plan at the top gets that string. */
void rb_set (lua_State *L, const char *key, const char *value);

/* -- script.c: SQL that is replayed in one transaction ---------------------------------- */

/* [-0, +1, m]  "a name" quoted, 'a text' quoted */
const char *rb_quoted (lua_State *L, const char *name);
const char *rb_literal (lua_State *L, const char *text);
/* [-0, +1, m]  "schema__before_01k..." */
const char *rb_asidename (lua_State *L, const char *schema, const char *word);
/* [-0, +?, vy]  psql in one transaction: 'pre', the files, 'post'. Pledges the facts
** at index 'facts', and goes on in k when all of it is committed. 'restricted': the files
** hold psql to SQL by themselves. */
int rb_script_run (lua_State *L, const char *pre, const char *const *files, int restricted,
                   const char *post, int facts, lua_KContext ctx, lua_KFunction k);
/* [-0, +1, m]  One statement more that refuses where a schema is not what it was. */
const char *rb_script_guard (lua_State *L, const char *schema, const char *oid);

#endif
