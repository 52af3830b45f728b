/*
** load.c - a runbook's file: read, compiled, called, and read into an outline
*/

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <lauxlib.h>
#include <lua.h>

#include "vm/buffer.h"
#include "vm/run/outline.h"
#include "vm/run/shape.h"
#include "vm/state.h"
#include "vm/vm.h"

#define MAXFILE (1 << 20)   /* bytes of a runbook */
#define LOADTIME 2.0        /* seconds that it may take to load */
#define MAXEXCERPT 100      /* bytes of a source line in a message */

static int isword (char c) {
  return isalnum((unsigned char)c) || c == '_';
}

static int placed (rb_Problem *p, const char *file, int line) {
  snprintf(p->file, sizeof p->file, "%s", file);
  p->line = line;
  return p->exit;
}

/* -- the text -------------------------------------------------------------- */

static int readfile (lua_State *L, const char *file, rb_Buffer *b, rb_Problem *p) {
  char chunk[16384];
  struct stat st;
  size_t n;
  const char *taped = rb_state_taped(L, file, &n);
  if (taped != NULL) {
    rb_buffer_add(b, taped, n);
    return 0;
  }
  FILE *f = fopen(file, "re");
  if (f == NULL || fstat(fileno(f), &st) != 0 || S_ISDIR(st.st_mode)) {
    const char *why = f != NULL ? "it is a folder" : strerror(errno);
    if (f != NULL) fclose(f);
    rb_problem(p, RB_USAGE, "file", "cannot read %s: %s", file, why);
    return placed(p, file, 0);
  }
  while (b->n <= MAXFILE && (n = fread(chunk, 1, sizeof chunk, f)) > 0)
    rb_buffer_add(b, chunk, n);
  int bad = ferror(f);
  fclose(f);
  if (bad || b->failed) {
    rb_problem(p, RB_USAGE, "file", "cannot read %s: %s", file,
               bad ? "the disk gave an error" : "not enough memory");
    return placed(p, file, 0);
  }
  return 0;
}

static int lineat (const char *s, size_t at) {
  int line = 1;
  for (size_t i = 0; i < at; i++) line += s[i] == '\n';
  return line;
}

/* is it text, and of a size that a person can read? */
static int checktext (const rb_Buffer *b, const char *file, rb_Problem *p) {
  if (b->n > MAXFILE) {
    rb_problem(p, RB_USAGE, "file", "a runbook is at most %d KB, but line %d "
               "(byte %d) is beyond that", MAXFILE / 1024,
               lineat(b->s, MAXFILE), MAXFILE);
    return placed(p, file, 0);
  }
  if (b->n > 0 && b->s[0] == LUA_SIGNATURE[0]) {
    rb_problem(p, RB_USAGE, "file", "this is compiled Lua (bytecode), which is "
               "never run: give the source");
    return placed(p, file, 0);
  }
  size_t good = rb_utf8(b->s, b->n);
  if (good < b->n) {
    rb_problem(p, RB_USAGE, "file", "not UTF-8: byte 0x%02X at offset %zu; "
               "save the file as UTF-8", (unsigned char)b->s[good], good);
    return placed(p, file, lineat(b->s, good));
  }
  return 0;
}

/* -- syntax errors --------------------------------------------------------- */

/* the end of "file:12: " in front of a message of Lua, and the 12; Lua
** shortens long names to "...their end" */
static const char *afterplace (const char *message, const char *file,
                               int *line) {
  for (const char *c = strchr(message, ':'); c != NULL; c = strchr(c + 1, ':')) {
    char *end;
    long n = strtol(c + 1, &end, 10);
    const char *name = message + (strncmp(message, "...", 3) == 0 ? 3 : 0);
    size_t len = (size_t)(c - name), all = strlen(file);
    if (end == c + 1 || end[0] != ':' || end[1] != ' ') continue;
    if (len > all || strncmp(file + all - len, name, len) != 0) continue;
    *line = (int)n;
    return end + 2;
  }
  return NULL;
}

/* source line n, without its newline; its length */
static size_t sourceline (const char *s, int n, const char **start) {
  while (n > 1 && (s = strchr(s, '\n')) != NULL) { s++; n--; }
  *start = s != NULL ? s : "";
  return strcspn(*start, "\r\n");
}

/* the only place of the token in the line, or -1 */
static long tokenat (const char *line, size_t len, const char *token,
                     size_t n) {
  long found = -1;
  for (size_t i = 0; n > 0 && i + n <= len; i++) {
    if (memcmp(line + i, token, n) != 0) continue;
    if (found >= 0) return -1;
    found = (long)i;
  }
  return found;
}

static void addexcerpt (rb_Buffer *b, const char *source, int n,
                        const char *token, size_t tokenlen) {
  const char *line;
  size_t len = sourceline(source, n, &line);
  if (strspn(line, " \t") >= len) return;
  long at = tokenat(line, len, token, tokenlen);
  size_t show = len > MAXEXCERPT ? rb_utf8(line, MAXEXCERPT) : len;
  rb_buffer_printf(b, "\n%5d | %.*s%s", n, (int)show, line,
                   show < len ? "..." : "");
  if (at < 0 || (size_t)at >= show) return;
  rb_buffer_puts(b, "\n      | ");
  for (long i = 0; i < at; i++)
    if (line[i] == '\t') rb_buffer_puts(b, "\t");
    else if ((line[i] & 0xC0) != 0x80) rb_buffer_puts(b, " ");
  rb_buffer_puts(b, "^");
}

/* "unexpected symbol near 'x'": the x, and its length */
static size_t neartoken (const char *message, const char **token) {
  const char *near = strstr(message, " near '");
  const char *end = near != NULL ? strrchr(message, '\'') : NULL;
  *token = near != NULL ? near + strlen(" near '") : "";
  return end != NULL && end > *token ? (size_t)(end - *token) : 0;
}

static int syntaxerror (const char *message, const char *file,
                        const char *source, rb_Problem *p) {
  rb_Buffer b = {0};
  const char *token, *opened;
  int line = 0, first = 0;
  const char *what = afterplace(message, file, &line);
  if (what == NULL) what = message;
  size_t n = neartoken(what, &token);
  opened = strstr(what, " at line ");
  if (opened != NULL) sscanf(opened, " at line %d", &first);
  rb_buffer_puts(&b, what);
  if (strstr(what, "'}' expected") != NULL &&
      (strncmp(token, "step'", 5) == 0 || strncmp(token, "case'", 5) == 0))
    rb_buffer_puts(&b, " (is a comma missing before it?)");
  if (first > 0 && first < line) addexcerpt(&b, source, first, "", 0);
  if (line > 0) addexcerpt(&b, source, line, token, n);
  rb_problem(p, RB_USAGE, "syntax", "%s", b.s != NULL ? b.s : message);
  rb_buffer_free(&b);
  return placed(p, file, line);
}

/* -- compile, call, read --------------------------------------------------- */

/* compiles what is past a byte order mark and a "#!" line. [-0, +1] */
static int compile (lua_State *L, const rb_Buffer *b, const char *file,
                    rb_Problem *p) {
  const char *s = b->s != NULL ? b->s : "";
  size_t n = b->n;
  if (strncmp(s, "\xEF\xBB\xBF", 3) == 0) { s += 3; n -= 3; }
  const char *source = s;
  if (n > 0 && *s == '#') {  /* its newline stays: lines keep their numbers */
    size_t skip = strcspn(s, "\n");
    s += skip;
    n -= skip;
  }
  char *name = malloc(strlen(file) + 2);
  if (name == NULL)
    return rb_problem(p, RB_USAGE, "script", "not enough memory");
  name[0] = '@';
  memcpy(name + 1, file, strlen(file) + 1);
  int status = luaL_loadbufferx(L, s, n, name, "t");
  free(name);
  if (status == LUA_OK) {
    rb_state_remember(L, file, source, strlen(source));
    return 0;
  }
  syntaxerror(lua_tostring(L, -1), file, source, p);
  lua_pop(L, 1);
  return p->exit;
}

/* the line of "field =" in the source from line 'n' on, or n */
static int fieldline (const char *source, int n, const char *field) {
  size_t len = strlen(field);
  const char *s;
  sourceline(source, n, &s);
  for (int line = n; *s != '\0'; s++) {
    if (*s == '\n') line++;
    if (strncmp(s, field, len) != 0 || (s > source && isword(s[-1]))) continue;
    const char *after = s + len + strspn(s + len, " \t");
    if (after[0] == '=' && after[1] != '=') return line;
  }
  return n;
}

/* an error object, {kind=, message=, file=, line=, field=}, on the top */
static int errorobject (lua_State *L, const char *file, const char *source,
                        rb_Problem *p) {
  int idx = lua_gettop(L);
  lua_getfield(L, idx, "kind");
  lua_getfield(L, idx, "message");
  lua_getfield(L, idx, "file");
  lua_getfield(L, idx, "line");
  lua_getfield(L, idx, "field");
  const char *kind = lua_tostring(L, idx + 1);
  const char *message = lua_tostring(L, idx + 2);
  const char *in = lua_tostring(L, idx + 3);
  const char *field = lua_tostring(L, idx + 5);
  int line = (int)lua_tointeger(L, idx + 4);
  if (in == NULL) in = file;
  if (field != NULL && strcmp(in, file) == 0)
    line = fieldline(source, line, field);
  rb_problem(p, RB_USAGE, kind != NULL ? kind : "script", "%s",
             message != NULL ? message : "the script raised a table");
  lua_settop(L, idx);
  return placed(p, in, line);
}

/* [-1, +0]  an error of the script: an object of ours, or words of Lua */
static int scripterror (lua_State *L, const char *file, const char *source,
                        rb_Problem *p) {
  int line = 0;
  const char *message = lua_tostring(L, -1);
  const char *what = message != NULL ? afterplace(message, file, &line) : NULL;
  if (lua_istable(L, -1)) errorobject(L, file, source, p);
  else {
    if (message == NULL)
      rb_problem(p, RB_USAGE, "script", "the script raised a %s value, not "
                 "words", luaL_typename(L, -1));
    else
      rb_problem(p, RB_USAGE, "script", "%s", what != NULL ? what : message);
    placed(p, file, line);
  }
  lua_pop(L, 1);
  return p->exit;
}

/* where the runbook that was built stands, 0 when none was */
static int madeline (lua_State *L) {
  int line = 0;
  if (lua_getfield(L, LUA_REGISTRYINDEX, RB_MADE) == LUA_TTABLE) {
    lua_getfield(L, -1, "line");
    line = (int)lua_tointeger(L, -1);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return line;
}

static int isrunbook (lua_State *L, int idx) {
  if (!lua_istable(L, idx) || !lua_getmetatable(L, idx)) return 0;
  lua_getfield(L, LUA_REGISTRYINDEX, RB_WORDS);
  int is = lua_rawequal(L, -1, -2);
  lua_pop(L, 2);
  if (!is) return 0;
  lua_getfield(L, idx, "word");
  is = strcmp(lua_tostring(L, -1), "runbook") == 0;
  lua_pop(L, 1);
  return is;
}

/* what stands on the top, in words */
static const char *whatis (lua_State *L) {
  if (lua_istable(L, -1) && luaL_getmetafield(L, -1, "__name") != LUA_TNIL) {
    lua_pop(L, 1);
    lua_getfield(L, -1, "word");
    const char *word = lua_tostring(L, -1);  /* the table keeps it alive */
    lua_pop(L, 1);
    if (word != NULL) return word;
  }
  return luaL_typename(L, -1);
}

/* are the n values on the top what a runbook's file returns? */
static int checkresult (lua_State *L, int n, const char *file, rb_Problem *p) {
  int line = madeline(L);
  if (n == 1 && isrunbook(L, lua_gettop(L))) return 0;
  if (n == 0 && line > 0)
    rb_problem(p, RB_USAGE, "shape", "the file makes a runbook but does not "
               "return it: write `return runbook { ... }`");
  else if (n == 0)
    rb_problem(p, RB_USAGE, "shape", "the file returns nothing: it ends with "
               "`return runbook { ... }`");
  else if (n > 1)
    rb_problem(p, RB_USAGE, "shape", "the file returns %d values: it returns "
               "one, `return runbook { ... }`", n);
  else
    rb_problem(p, RB_USAGE, "shape", "the file returns a %s, not a runbook: "
               "it ends with `return runbook { ... }`", whatis(L));
  return placed(p, file, line);
}

/* [-1, +0|1]  calls the chunk; leaves the runbook */
static int call (lua_State *L, const char *file, const char *source,
                 rb_Problem *p) {
  int base = lua_gettop(L) - 1;
  lua_pushnil(L);
  lua_setfield(L, LUA_REGISTRYINDEX, RB_MADE);
  lua_pushvalue(L, -1);
  lua_setfield(L, LUA_REGISTRYINDEX, RB_CHUNK);
  if (rb_state_pcall(L, 0, LUA_MULTRET, LOADTIME) != LUA_OK)
    return scripterror(L, file, source, p);
  if (checkresult(L, lua_gettop(L) - base, file, p) == 0) return 0;
  lua_settop(L, base);
  return p->exit;
}

/* [-1, +0]  the runbook on the top into *o */
static int fill (lua_State *L, const char *path, rb_Outline *o, rb_Problem *p) {
  lua_pushcfunction(L, rb_outline_read);
  lua_insert(L, -2);
  lua_pushlightuserdata(L, o);
  lua_pushstring(L, path);
  if (lua_pcall(L, 3, 0, 0) == LUA_OK) return 0;
  rb_outline_free(L, o);
  return scripterror(L, path, "", p);
}

/* the folder, for `require` */
static void setfolder (lua_State *L, const char *path) {
  char folder[PATH_MAX];
  snprintf(folder, sizeof folder, "%s", path);
  char *slash = strrchr(folder, '/');
  if (slash != NULL) slash[slash == folder] = '\0';
  rb_state_folder(L, folder);
}

int rb_chunk_load (lua_State *L, const char *file, rb_Problem *p) {
  rb_Buffer b = {0};
  *p = (rb_Problem){0};
  if (readfile(L, file, &b, p) == 0 && checktext(&b, file, p) == 0)
    compile(L, &b, file, p);
  rb_buffer_free(&b);
  return p->exit;
}

typedef struct Load {
  const char *file;
  rb_Buffer text;
  rb_Outline *o;
  rb_Problem *p;
} Load;

/* all that may run out of memory */
static int protected (lua_State *L) {
  char path[PATH_MAX];
  Load *l = lua_touserdata(L, 1);
  if (compile(L, &l->text, l->file, l->p) != 0) return 0;
  if (realpath(l->file, path) == NULL)
    snprintf(path, sizeof path, "%s", l->file);
  setfolder(L, path);
  const char *source = l->text.s != NULL ? l->text.s : "";
  if (call(L, l->file, source, l->p) == 0) fill(L, path, l->o, l->p);
  return 0;
}

int rb_outline_load (lua_State *L, const char *file, rb_Outline *o,
                     rb_Problem *p) {
  Load l = {.file = file, .o = o, .p = p};
  *o = (rb_Outline){.limitsref = RB_NOREF, .lock = {.ref = RB_NOREF}};
  *p = (rb_Problem){0};
  if (readfile(L, file, &l.text, p) == 0 && checktext(&l.text, file, p) == 0) {
    lua_pushcfunction(L, protected);
    lua_pushlightuserdata(L, &l);
    if (lua_pcall(L, 1, 0, 0) != LUA_OK) {
      rb_outline_free(L, o);
      scripterror(L, file, "", p);
    }
  }
  rb_buffer_free(&l.text);
  if (p->exit != 0 && rb_vm(L)->interrupts > 0)
    return rb_problem(p, RB_INTERRUPTED, "interrupted", "interrupted while the file was "
                      "loaded; nothing was run");
  return p->exit;
}
