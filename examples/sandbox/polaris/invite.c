/*
** invite.c - the calendar invitation to an event, as the application makes it
**
** It is right, and wrong in one of the ways that the setting invite:fault names: text
** that is not escaped (escape), Chicago's clock taken for UTC (utc), winter time all year
** (dst), no zone (floating), last year's place (stale), cut off (truncated), not sent
** as a calendar (type).
*/

#define _POSIX_C_SOURCE 200809L

#include <stdio.h>
#include <string.h>

#include "polaris.h"

#define LONGEST 75

static const char event[] =
  "WITH e AS (SELECT *, coalesce(timezone, 'America/Chicago') AS tz,"
  "  date_trunc('year', start_datetime) AS january FROM event WHERE id::text = $1),"
  " t AS (SELECT *, (SELECT coalesce(max(value), '') FROM app_setting WHERE name = 'invite:fault')"
  "  AS fault, (january AT TIME ZONE tz) - (january AT TIME ZONE 'UTC') AS winter FROM e)"
  " SELECT id, title, coalesce(location, venue_name) AS place, fault, tz,"
  "  to_char(CASE fault WHEN 'utc' THEN start_datetime AT TIME ZONE tz WHEN 'floating'"
  "   THEN start_datetime AT TIME ZONE tz WHEN 'dst' THEN (start_datetime AT TIME ZONE tz) - winter"
  "   ELSE start_datetime AT TIME ZONE 'UTC' END, 'YYYYMMDD\"T\"HH24MISS') AS starts,"
  "  to_char(CASE fault WHEN 'utc' THEN end_datetime AT TIME ZONE tz WHEN 'floating'"
  "   THEN end_datetime AT TIME ZONE tz WHEN 'dst' THEN (end_datetime AT TIME ZONE tz) - winter"
  "   ELSE end_datetime AT TIME ZONE 'UTC' END, 'YYYYMMDD\"T\"HH24MISS') AS ends,"
  "  to_char(now() AT TIME ZONE 'UTC', 'YYYYMMDD\"T\"HH24MISS\"Z\"') AS stamp,"
  "  (SELECT count(*) FROM audit_log WHERE action = 'invite_regenerated'"
  "    AND detail->>'event_id' = $1)::text AS sequence,"
  "  concat_ws(', ', CASE WHEN coalesce(location, venue_name) IS NULL THEN 'location' END,"
  "   CASE WHEN timezone IS NULL THEN 'timezone' END, CASE WHEN start_datetime IS NULL THEN"
  "   'start_datetime' END, CASE WHEN end_datetime IS NULL THEN 'end_datetime' END) AS missing"
  " FROM t";

typedef struct Text { char s[8192]; size_t n; } Text;

/* one line, folded between characters */
static void line (Text *t, const char *name, const char *value) {
  char all[2048];
  size_t room = LONGEST, n = (size_t)snprintf(all, sizeof all, "%s:%s", name, value), from = 0;
  if (n >= sizeof all) n = sizeof all - 1;
  while (n - from > room) {
    size_t k = room;
    while (((unsigned char)all[from + k] & 0xC0) == 0x80) k--;
    t->n += (size_t)snprintf(t->s + t->n, sizeof t->s - t->n, "%.*s\r\n ", (int)k, all + from);
    from += k;
    room = LONGEST - 1;
  }
  t->n += (size_t)snprintf(t->s + t->n, sizeof t->s - t->n, "%s\r\n", all + from);
}

/* a text of the row as its value; 'plain': as it stands, which is wrong */
static const char *escaped (const json_t *row, const char *field, int plain, char out[1024]) {
  const char *s = json_string_value(json_object_get(row, field));
  size_t n = 0;
  for (; s && *s && n < 1000; s++) {
    if (!plain && strchr(";,\\\n", *s)) out[n++] = '\\';
    out[n++] = !plain && *s == '\n' ? 'n' : *s;
  }
  out[n] = '\0';
  return out;
}

static void moment (Text *t, const char *name, const json_t *row, const char *field, int floating) {
  char out[40];
  const char *s = json_string_value(json_object_get(row, field));
  snprintf(out, sizeof out, "%s%s", s ? s : "", floating ? "" : "Z");
  line(t, name, out);
}

static void write (Text *t, const json_t *row, const char *fault) {
  char text[1024];
  int plain = strcmp(fault, "escape") == 0, floating = strcmp(fault, "floating") == 0;
  line(t, "BEGIN", "VCALENDAR");
  line(t, "VERSION", "2.0");
  line(t, "PRODID", "-//Polaris//Events//EN");
  line(t, "METHOD", "PUBLISH");
  line(t, "BEGIN", "VEVENT");
  snprintf(text, sizeof text, "event-%lld@polaris.example.org",
           (long long)json_integer_value(json_object_get(row, "id")));
  line(t, "UID", text);
  line(t, "DTSTAMP", json_string_value(json_object_get(row, "stamp")));
  line(t, "SEQUENCE", json_string_value(json_object_get(row, "sequence")));
  moment(t, "DTSTART", row, "starts", floating);
  moment(t, "DTEND", row, "ends", floating);
  line(t, "SUMMARY", escaped(row, "title", plain, text));
  line(t, "LOCATION", strcmp(fault, "stale") == 0 ? "Room 1\\, 7 Old Mill Road"
       : escaped(row, "place", plain, text));
  line(t, "END", "VEVENT");
  line(t, "END", "VCALENDAR");
}

/* GET /events/ID/invite.ics */
Reply polaris_invite (App *app, const Request *r) {
  const char *values[] = {r->segment[1]};
  Text t = {.n = 0};
  (void)app;
  json_t *row = erp_row(event, 1, values);
  if (!row) return erp_error(503, "database_unavailable", erp_db_why());
  const char *missing = json_string_value(json_object_get(row, "missing"));
  const char *fault = json_string_value(json_object_get(row, "fault"));
  Reply reply;
  if (!missing) reply = erp_error(404, "unknown_event", "There is no such event.");
  else if (*missing) reply = erp_error(422, "incomplete_event", missing);
  else {
    write(&t, row, fault);
    if (strcmp(fault, "truncated") == 0) t.s[t.n / 2] = '\0';
    reply = erp_reply(200, json_string(t.s));
    reply.type = strcmp(fault, "type") == 0 ? "text/plain" : "text/calendar; charset=utf-8";
  }
  json_decref(row);
  return reply;
}
