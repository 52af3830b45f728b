/*
** topics.c - what `help` knows beside the commands: exit codes, files
**
** Lines that begin with spaces are shown as they are; the others are prose.
*/

#include <string.h>

#include "vm/cli/cli.h"

static const char exitcodes[] =
  "Of `run`:\n"
  "\n"
  RB_EXITCODES "\n"
  "\n"
  "A scheduler that looks at one thing only: 0 is well, everything else wants a\n"
  "person. What may be repeated by itself: 2, 3 and 5, where nothing was changed by\n"
  "this run, or what it changed is said. What may not: 6. Look first.\n"
  "\n"
  "`check` exits 1 on findings and 2 on a syntax error; `doctor` 1 when something is\n"
  "bad; `verify` 1 when the tape does not fit. All others: 0, or 2.";

static const char config[] =
  "A Lua file that returns one table. It is looked for in this order:\n"
  "\n"
  "  --config FILE\n"
  "  $RUNBOOK_CONFIG\n"
  "  ./runbook.config.lua, when it is yours or root's and nobody else may write it\n"
  "  $XDG_CONFIG_HOME/runbook/config.lua (~/.config/runbook/config.lua)\n"
  "\n"
  "In it env \"NAME\" is a variable of the environment, and secret \"NAME\" one whose\n"
  "text is taken out of all that is shown or written down; a secret may also be a file\n"
  "of that name in $CREDENTIALS_DIRECTORY. Both are asked for only when their target is\n"
  "used.\n"
  "\n"
  "  return {\n"
  "    target   = \"staging\",            -- when --target is not given\n"
  "    runbooks = { \"runbooks\" },       -- folders, relative to this file\n"
  "    roles    = { lead = { \"kim\" } }, -- who may approve as what\n"
  "    targets  = {\n"
  "      staging = {\n"
  "        kind     = \"staging\",        -- sandbox, staging, production (default)\n"
  "        defaults = { mend = { n = 3 } },  -- parameters, by runbook\n"
  "        allow    = { files = { \"/srv/shop\" }, programs = { \"git\" },\n"
  "                     hosts = { \"127.0.0.1:3000\" }, delegates = { \"docker\" } },\n"
  "        limits   = { pg_rows = 5000, redis_keys = 10 },\n"
  "        systems  = {\n"
  "          shop = {\n"
  "            http    = { url = \"https://shop.example\", health = \"/health\" },\n"
  "            pg      = { url = env \"SHOP_URL\", probe = env \"SHOP_PROBE_URL\" },\n"
  "            redis   = \"redis://127.0.0.1:6379/0\",\n"
  "            dotenv  = \"/srv/shop/.env\",\n"
  "            service = \"pm2:shop\",\n"
  "            settings = { preflight = { \"pnpm\", \"preflight\" } },\n"
  "          },\n"
  "        },\n"
  "      },\n"
  "    },\n"
  "  }\n"
  "\n"
  "A resource is a URL or a path, or a table with more. Where `runbooks` is absent, the\n"
  "runbooks that came with the installation are used. What is not in `allow` is not\n"
  "reached by file, exec and http, beside the systems' own resources. Of two limits the\n"
  "lower holds. `runbook doctor` looks whether all of it is there and answers.";

static const char runbooks[] =
  "A runbook is a Lua file that returns one runbook { ... } with steps in the order in\n"
  "which a person would do them:\n"
  "\n"
  "  return runbook {\n"
  "    title  = \"Clear the page cache\",\n"
  "    params = { page = { \"string\", required = true } },\n"
  "    step \"Is it cached?\" {\n"
  "      probe = function (run) run:finding(\"cached\", cache.redis:get(run.page)) end,\n"
  "    },\n"
  "    step \"Clear it\" {\n"
  "      remedy = function (run) cache.redis:del(run.page) end,\n"
  "      verify = function (run) return cache.redis:get(run.page) == nil end,\n"
  "    },\n"
  "  }\n"
  "\n"
  "A name is looked up as it is given, then with .lua, then in the folders that the\n"
  "configuration lists as `runbooks`, and in their subfolders. A probe looks, a remedy\n"
  "changes, verify looks whether it worked; `runbook run NAME --dry-run` performs the\n"
  "probes, and shows what the remedies would do.";

const rb_Topic rb_topics[] = {
  {"exit-codes", "what the exit codes mean", exitcodes, 0},
  {"config", "the configuration file", config, 5},
  {"runbooks", "what a runbook is, and where it is found", runbooks, 0},
  {NULL, NULL, NULL, 0}
};

const rb_Topic *rb_topic_find (const char *name) {
  for (const rb_Topic *t = rb_topics; t->name != NULL; t++)
    if (strcmp(t->name, name) == 0) return t;
  return NULL;
}
