/*
** fold.c - a component as text, in lines of at most 75 bytes
**
** libical folds, too, but writes an empty line where a value ends with a full one
** (3.0.16), which ends the event for many readers.
*/

#include <stdlib.h>
#include <string.h>

#include "stdlib/ics/ics.h"

#define LONGEST 75

typedef struct Text { char *s; size_t n, room; int failed; } Text;

static void addtext (Text *t, const char *s, size_t n) {
  if (t->failed) return;
  if (t->n + n + 1 > t->room) {
    size_t room = 2 * (t->n + n) + 1024;
    char *more = realloc(t->s, room);
    if (more == NULL) { t->failed = 1; return; }
    t->s = more;
    t->room = room;
  }
  memcpy(t->s + t->n, s, n);
  t->n += n;
  t->s[t->n] = '\0';
}

static void add (Text *t, const char *s) {
  if (s != NULL) addtext(t, s, strlen(s));
}

/* the line from 'from' on, folded between characters, and its end */
static void endline (Text *t, size_t from) {
  size_t room = LONGEST;
  while (!t->failed && t->n - from > room) {
    char *s = t->s + from;
    size_t k = room;
    while (((unsigned char)s[k] & 0xC0) == 0x80) k--;
    addtext(t, "   ", 3);  /* room for the break */
    s = t->s + from;
    if (t->failed) return;
    memmove(s + k + 3, s + k, t->n - 3 - from - k);
    memcpy(s + k, "\r\n ", 3);
    from += k + 2;         /* the blank counts */
  }
  add(t, "\r\n");
}

static void addproperty (Text *t, icalproperty *p) {
  size_t from = t->n;
  add(t, icalproperty_get_property_name(p));
  for (icalparameter *a = icalproperty_get_first_parameter(p, ICAL_ANY_PARAMETER); a != NULL;
       a = icalproperty_get_next_parameter(p, ICAL_ANY_PARAMETER)) {
    add(t, ";");
    add(t, icalparameter_as_ical_string(a));
  }
  add(t, ":");
  add(t, icalproperty_get_value_as_string(p));
  endline(t, from);
}

static void addcomponent (Text *t, icalcomponent *c) {
  const char *name = icalcomponent_kind_to_string(icalcomponent_isa(c));
  add(t, "BEGIN:");
  add(t, name);
  add(t, "\r\n");
  for (icalproperty *p = icalcomponent_get_first_property(c, ICAL_ANY_PROPERTY); p != NULL;
       p = icalcomponent_get_next_property(c, ICAL_ANY_PROPERTY))
    addproperty(t, p);
  for (icalcomponent *sub = icalcomponent_get_first_component(c, ICAL_ANY_COMPONENT); sub != NULL;
       sub = icalcomponent_get_next_component(c, ICAL_ANY_COMPONENT))
    addcomponent(t, sub);
  add(t, "END:");
  add(t, name);
  add(t, "\r\n");
}

char *rb_ics_fold (icalcomponent *c) {
  Text t = {NULL, 0, 0, 0};
  addcomponent(&t, c);
  if (!t.failed) return t.s;
  free(t.s);
  return NULL;
}
