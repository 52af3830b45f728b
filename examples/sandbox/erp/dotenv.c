/*
** dotenv.c - reads a .env file into a JSON object of strings
*/

#define _POSIX_C_SOURCE 200809L

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "erp.h"

static char *trim (char *s) {
  while (isspace((unsigned char)*s)) s++;
  char *end = s + strlen(s);
  while (end > s && isspace((unsigned char)end[-1])) end--;
  *end = '\0';
  return s;
}

/* the value in quotes that starts at `s`, in place; NULL when they never close */
static char *quoted (char *s) {
  const char quote = *s++;
  char *out = s;
  for (char *in = s; *in != '\0'; in++) {
    if (*in == quote) {
      *out = '\0';
      return s;
    }
    if (*in == '\\' && quote == '"' && in[1] != '\0') {
      in++;
      *out++ = (char)(*in == 'n' ? '\n' : *in == 't' ? '\t' : *in);
    } else {
      *out++ = *in;
    }
  }
  return NULL;
}

static char *bare (char *s) {
  for (char *p = s; *p != '\0'; p++) {
    if (*p == '#' && (p == s || isspace((unsigned char)p[-1]))) {
      *p = '\0';
      break;
    }
  }
  return trim(s);
}

static void line_read (json_t *env, char *line) {
  char *s = trim(line);
  if (*s == '#' || *s == '\0') return;
  if (strncmp(s, "export ", 7) == 0) s = trim(s + 7);
  char *eq = strchr(s, '=');
  if (!eq) return;
  *eq = '\0';
  char *value = trim(eq + 1);
  value = *value == '"' || *value == '\'' ? quoted(value) : bare(value);
  if (value) json_object_set_new(env, trim(s), json_string(value));
}

/* NULL when the file cannot be read */
json_t *erp_dotenv (const char *path) {
  FILE *f = fopen(path, "re");
  if (!f) return NULL;
  json_t *env = json_object();
  char *line = NULL;
  size_t size = 0;
  while (getline(&line, &size, f) >= 0) line_read(env, line);
  free(line);
  fclose(f);
  return env;
}

const char *erp_env (const App *app, const char *name, const char *otherwise) {
  const char *value = json_string_value(json_object_get(app->env, name));
  return value && *value ? value : otherwise;
}

/* "a, b" as a list of strings, without empty ones */
json_t *erp_split (const char *list) {
  json_t *out = json_array();
  char *copy = strdup(list ? list : "");
  char *rest = NULL;
  for (char *s = strtok_r(copy, ",", &rest); s; s = strtok_r(NULL, ",", &rest)) {
    char *item = trim(s);
    if (*item) json_array_append_new(out, json_string(item));
  }
  free(copy);
  return out;
}

int erp_lists (const json_t *list, const char *item) {
  size_t i;
  json_t *each;
  json_array_foreach(list, i, each)
    if (strcmp(json_string_value(each), item) == 0) return 1;
  return 0;
}
