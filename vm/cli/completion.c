/*
** completion.c - `runbook completion SHELL`: the script that a shell reads
**
** Each knows only how to ask `runbook __complete` (complete.c).
*/

#include <stdio.h>
#include <string.h>

#include "vm/cli/cli.h"
#include "vm/show/show.h"

/* Readline splits words at = and :, so they are put together again before they
** are asked about; what it would type is then only what follows the last of
** them. A list (COMP_TYPE 63) shows what the candidates are. */
static const char bash[] =
  "# bash completion for runbook: source <(runbook completion bash)\n"
  "_runbook() {\n"
  "  local -a words=() rows=()\n"
  "  local i word row value what cut= glue=\n"
  "  for ((i = 1; i <= COMP_CWORD; i++)); do\n"
  "    word=${COMP_WORDS[i]}\n"
  "    if [[ ${#words[@]} -gt 0 && ( $word == [=:]* || -n $glue ) ]]; then\n"
  "      words[${#words[@]}-1]+=$word\n"
  "    else\n"
  "      words+=(\"$word\")\n"
  "    fi\n"
  "    glue=; [[ $word != *[=:] ]] || glue=1\n"
  "  done\n"
  "  word=${words[${#words[@]}-1]}\n"
  "  [[ $COMP_WORDBREAKS != *=* || $word != *=* ]] || cut=${word%\"${word##*=}\"}\n"
  "  mapfile -t rows < <(\"${1/#\\~/$HOME}\" __complete \"${words[@]}\" 2>/dev/null)\n"
  "  COMPREPLY=()\n"
  "  for row in \"${rows[@]}\"; do\n"
  "    if [[ $row == :files ]]; then\n"
  "      compopt -o filenames 2>/dev/null\n"
  "      mapfile -t rows < <(compgen -f -- \"${word#\"$cut\"}\")\n"
  "      COMPREPLY+=(\"${rows[@]}\")\n"
  "      continue\n"
  "    fi\n"
  "    value=${row%%$'\\t'*} what=${row#*$'\\t'}\n"
  "    value=${value#\"$cut\"}\n"
  "    [[ $COMP_TYPE != 63 || -z $what || ${#rows[@]} -lt 2 ]] || value+=\"  ($what)\"\n"
  "    COMPREPLY+=(\"$value\")\n"
  "  done\n"
  "  [[ ${#COMPREPLY[@]} -ne 1 || ${COMPREPLY[0]} != *= ]] || compopt -o nospace 2>/dev/null\n"
  "}\n"
  "complete -F _runbook runbook\n";

static const char zsh[] =
  "#compdef runbook\n"
  "# zsh completion for runbook: a file _runbook in $fpath, or\n"
  "# source <(runbook completion zsh)\n"
  "_runbook() {\n"
  "  local -a rows whole open\n"
  "  local row value files\n"
  "  rows=(\"${(@f)$(${(Q)words[1]} __complete \"${(@Q)words[2,CURRENT-1]}\" \\\n"
  "    \"${(Q)PREFIX}\" 2>/dev/null)}\")\n"
  "  for row in $rows; do\n"
  "    if [[ $row == :files ]]; then files=1; continue; fi\n"
  "    value=${row%%$'\\t'*}\n"
  "    row=${value//:/\\\\:}:${row#*$'\\t'}\n"
  "    if [[ $value == *= ]]; then open+=($row); else whole+=($row); fi\n"
  "  done\n"
  "  (( $#whole )) && _describe -t values value whole\n"
  "  (( $#open )) && _describe -t names name open -S ''\n"
  "  if (( files )); then compset -P '*='; _files; fi\n"
  "}\n"
  "if [[ $funcstack[1] == _runbook ]]; then _runbook \"$@\"; else compdef _runbook runbook; fi\n";

static const char fish[] =
  "# fish completion for runbook: runbook completion fish | source\n"
  "function __runbook_complete\n"
  "  set -l words (commandline -opc)\n"
  "  set -l current (commandline -ct)\n"
  "  for row in ($words[1] __complete $words[2..-1] \"$current\" 2>/dev/null)\n"
  "    if test \"$row\" = :files\n"
  "      __fish_complete_path \"$current\"\n"
  "    else\n"
  "      printf '%s\\n' $row\n"
  "    end\n"
  "  end\n"
  "end\n"
  "complete -c runbook -f -a '(__runbook_complete)'\n";

static const struct { const char *name, *script; } shells[] = {
  {"bash", bash}, {"zsh", zsh}, {"fish", fish}
};

const rb_Command rb_command_completion = {
  .name = "completion", .takes = "bash|zsh|fish",
  .summary = "the script with which a shell completes what you type",
  .about = "It completes commands, options and their values, runbooks, their parameters,\n"
           "cases and steps, targets, and runs. `make install` puts it where each shell\n"
           "looks; without that, a line in ~/.bashrc, ~/.zshrc (after compinit) or\n"
           "~/.config/fish/config.fish does it.",
  .example = "source <(runbook completion bash)\n"
             "source <(runbook completion zsh)\n"
             "runbook completion fish | source",
  .min = 1, .max = 1, .main = rb_cmd_completion
};

int rb_cmd_completion (int argc, char **argv) {
  rb_Arguments a;
  rb_Problem p = {0};
  const char *script = NULL;
  int status = rb_options_read(&rb_command_completion, argc, argv, NULL, &a);
  if (status != 0) return status;
  for (size_t i = 0; i < sizeof shells / sizeof *shells; i++)
    if (strcmp(a.words[0], shells[i].name) == 0) script = shells[i].script;
  if (script != NULL) fputs(script, stdout);
  else {
    rb_problem(&p, RB_USAGE, "usage", "completion is for bash, zsh and fish, not '%s'",
               a.words[0]);
    rb_show_problem(&p, 0);
  }
  rb_options_free(&a);
  return p.exit;
}
