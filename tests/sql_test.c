/* link: stdlib/pg/sql.c */
/*
** sql_test.c - psql's notation, and all the places where a colon is no name
*/

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "stdlib/pg/sql.h"

/* the names of an SQL text: "a" for a value, "<a>" for an identifier, "$1" */
static const char *names (const char *sql) {
  static char out[256];
  rb_SqlScan scan = {.s = sql, .n = strlen(sql)};
  rb_SqlToken t;
  out[0] = '\0';
  while (rb_sql_next(&scan, &t) != RB_SQLEND) {
    size_t n = strlen(out);
    const char *gap = n > 0 ? " " : "";
    if (t.kind == RB_SQLVALUE)
      snprintf(out + n, sizeof out - n, "%s%.*s", gap, (int)t.namelen, t.name);
    else if (t.kind == RB_SQLNAME)
      snprintf(out + n, sizeof out - n, "%s<%.*s>", gap, (int)t.namelen, t.name);
    else if (t.kind == RB_SQLPARAM)
      snprintf(out + n, sizeof out - n, "%s%.*s", gap, (int)t.len, sql + t.at);
  }
  return out;
}

static const struct { const char *sql, *names; } cases[] = {
  {"SELECT :a, :'b', :\"c\"", "a b <c>"},
  {"SELECT :a::int", "a"},
  {"SELECT x::text, y :: text", ""},
  {"SELECT :a:::b", "a b"},
  {"SELECT a[1:2], a[i:j], a[i:], a[:n]", "n"},
  {"SELECT a[f(1):2], a[b[1]:c], a[\"x\":y], a[1 : :n]", "n"},
  {"SELECT ARRAY[:a,:b, :c]", "a b c"},
  {"SELECT a[:i]::int, :c", "i c"},
  {"SELECT f(a := 1, b => :b)", "b"},
  {"SELECT ':a', ':''b', 'x' ':c', :d", "d"},
  {"SELECT E'\\':a', :b", "b"},
  {"SELECT e'a\\\\', :b", "b"},
  {"SELECT 'a\\', :b", "b"},
  {"SELECT namee':a', :b", "b"},
  {"SELECT E'a'\n  'b\\':c', :d", "d"},
  {"SELECT E'a' -- why\n -- not\n 'b\\':c', :d", "d"},
  {"SELECT E'a' 'b\\', :d", "d"},
  {"SELECT U&'d\\0061t:a', U&\":b\", :c", "c"},
  {"SELECT B'01', X':a', N':b', :c", "c"},
  {"SELECT \":a\", \"x\"\":b\", :c", "c"},
  {"SELECT $$ :a $ :b $$, :c", "c"},
  {"SELECT $x$ :a $$ :b $y$ $x$, :c", "c"},
  {"SELECT $\xc3\xa4$ :a $\xc3\xa4$, :c", "c"},
  {"SELECT a$b$, :c, d$b$", "c"},
  {"SELECT 1 -- :a\n, :b", "b"},
  {"SELECT 1 /* :a /* :b */ :c */, :d", "d"},
  {"SELECT 5-- :a", ""},
  {"SELECT 5/* :a", ""},
  {"SELECT ':a", ""},
  {"SELECT $q$ :a", ""},
  {"SELECT :\"a", ""},
  {"SELECT :\"a b\", :1, :", ""},
  {"SELECT $1, $23", "$1 $23"},
  {":a", "a"},
  {"", ""},
  {"SELECT 1.5e3, .5, :a_1, :_b", "a_1 _b"},
  {"SELECT x->':a', x @> :b, x ? :c", "b c"},
  {"SELECT '{\"a\":1}'::jsonb->:k", "k"},
  {"SELECT time '12:30:00', interval ':h'", ""},
  {"SELECT -:a, (:b), :c;", "a b c"},
};

static void finds_names (void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    if (strcmp(names(cases[i].sql), cases[i].names) != 0)
      print_error("%s\n", cases[i].sql);
    assert_string_equal(names(cases[i].sql), cases[i].names);
  }
}

/* every prefix of every text ends, within its bounds */
static void ends_anywhere (void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    for (size_t n = 0; n <= strlen(cases[i].sql); n++) {
      rb_SqlScan scan = {.s = cases[i].sql, .n = n};
      rb_SqlToken t;
      size_t last = 0;
      while (rb_sql_next(&scan, &t) != RB_SQLEND) {
        assert_true(t.len > 0 && t.at >= last && t.at + t.len <= n);
        last = t.at + t.len;
      }
    }
}

static void counts_depth (void **state) {
  const char *sql = "a (b [c] d) e";
  rb_SqlScan scan = {.s = sql, .n = strlen(sql)};
  rb_SqlToken t;
  char seen[16] = "";
  (void)state;
  while (rb_sql_next(&scan, &t) == RB_SQLWORD || t.kind == RB_SQLMARK)
    if (t.kind == RB_SQLWORD) snprintf(seen + strlen(seen), 3, "%d", t.depth);
  assert_string_equal(seen, "01210");
}

static void knows_words (void **state) {
  rb_SqlScan scan = {.s = "Where \"where\"", .n = 13};
  rb_SqlToken t;
  (void)state;
  rb_sql_next(&scan, &t);
  assert_true(rb_sql_is(&scan, &t, "where"));
  rb_sql_next(&scan, &t);
  assert_false(rb_sql_is(&scan, &t, "where"));
}

int main (void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(finds_names), cmocka_unit_test(ends_anywhere),
    cmocka_unit_test(counts_depth), cmocka_unit_test(knows_words),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
