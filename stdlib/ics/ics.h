/*
** ics.h - what the parts of the ics module share
*/

#ifndef rb_ics_h
#define rb_ics_h

#include <libical/ical.h>

#include "vm/module.h"

enum { ARGS = 1, PROBLEMS = 3, JOB };  /* on the stack of a call that reads a text; 2: options */

/* -- scan.c: the lines of a text ------------------------------------------------- */

typedef struct Line {
  char *s;                 /* unfolded; ends with a NUL */
  size_t n, name, value;   /* of the name how long; where the value begins */
  int no;                  /* the line in which it begins */
  int kept, seen;          /* given to libical; still there in what it made of it */
} Line;

typedef struct Job {
  char *text;              /* what the lines point into */
  Line *line;
  size_t n;
  icalcomponent *root;
} Job;

#define MARK "X-RUNBOOK-LINE"  /* a parameter: where the property stands */

/* The text at ARGS, read: [-all behind 2, +2, v] pushes the list of what is wrong with its
** lines and
** the job, which frees itself. Its root is NULL where it is no calendar: the last problem says
** why. */
Job *rb_ics_read (lua_State *L, const char *who);

/* The same, of a text that has to be a calendar: what hinders reading it raises. */
Job *rb_ics_need (lua_State *L, const char *who);

/* [-0, +0, v]  Only these fields are in the table at idx. */
void rb_ics_known (lua_State *L, int idx, const char *who, const char *const *fields);

void rb_ics_scan (lua_State *L, Job *j, const char *s, size_t n);

/* [-0, +0, v]  One problem more, in the list at PROBLEMS. 'what': the property, or NULL. */
void rb_ics_problem (lua_State *L, int line, const char *kind, const char *what,
                     const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* How many bytes of a text make at most 'most', without cutting a character. */
int rb_ics_shown (const char *s, int most);

/* The line in which a property stands; 0: not known. */
int rb_ics_line (icalproperty *p);
const char *rb_ics_name (icalproperty *p);

/* -- when.c: times and zones ----------------------------------------------------- */

typedef enum Kind { NONE, DATE, FLOATING, UTC, ZONED } Kind;

typedef struct When {
  Kind kind;
  long long wall;          /* what the clock on the wall shows, as if it were UTC */
  long long at;            /* seconds since 1970 */
  int known;               /* is `at`? Not of a date, a floating time, an unknown zone */
  int clocks;              /* how often the wall shows it: 0 (skipped), 1 or 2 */
  icaltimezone *tz;        /* NULL: none, or one that is not known */
  char zone[128];          /* its name; "" */
} When;

/* A zone of this machine by its name ("America/Chicago"); NULL: none. */
icaltimezone *rb_ics_zone (const char *name);
int rb_ics_offset (icaltimezone *tz, long long at);

/* The moments at which the wall shows that time; returns how many, the first one first. */
int rb_ics_moments (icaltimezone *tz, long long wall, long long at[2]);

/* The time of a property (NULL: kind NONE), or of a value with that property's zone. */
When rb_ics_when (icalcomponent *root, icalproperty *p);
When rb_ics_whenof (icalcomponent *root, icalproperty *p, struct icaltimetype t);

/* The same clock time of another day, in the same zone. */
When rb_ics_moved (const When *like, long long wall);

long long rb_ics_towall (struct icaltimetype t);
struct icaltimetype rb_ics_fromwall (long long wall, int isdate);

/* "2026-03-08T09:00:00", and "Z" behind it for UTC; of a date its day only. */
void rb_ics_iso (char out[32], long long wall, Kind kind);

/* [-0, +1, m]  {kind, wall, zone, utc, offset} */
void rb_ics_pushwhen (lua_State *L, const When *w);

/* -- event.c: what a script gets ------------------------------------------------- */

/* [-0, +1, m]  The calendar as a table. */
void rb_ics_pushcalendar (lua_State *L, Job *j);

/* Begin and end of an event; the end may be NONE. */
void rb_ics_span (icalcomponent *root, icalcomponent *event, When *start, When *finish);
const char *rb_ics_uid (icalcomponent *event);

/* -- the calls ------------------------------------------------------------------- */

void rb_ics_check (lua_State *L, Job *j);  /* check.c: what is wrong with what was read */
int rb_ics_occurrences (lua_State *L);     /* recur.c */
int rb_ics_build (lua_State *L);           /* build.c */

/* -- write.c: what build has from a script --------------------------------------- */

/* [-0, +0, v]  The time at 'idx' (a number, ISO 8601); a clock time is of 'tz'. */
When rb_ics_given (lua_State *L, int idx, const char *field, icaltimezone *tz,
                   const char *zone, int floating);
/* A text of a field that may stand in a value; NULL: there is none. [-0, +1, v] */
const char *rb_ics_text (lua_State *L, const char *field);
/* [-0, +0, v]  The organizer or attendee at the top, as a property of e. */
void rb_ics_person (lua_State *L, icalcomponent *e, icalproperty_kind kind);

/* -- fold.c ---------------------------------------------------------------------- */

/* A component as text, to be freed; NULL: out of memory. */
char *rb_ics_fold (icalcomponent *c);

#endif
