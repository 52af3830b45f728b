#!/usr/bin/env bash
# `runbook test`: worlds of fakes, what is expected of them, and what a failure says
. "$(dirname "$0")/lib.sh"
cd "$tmp" || exit 2
mkdir t; book() { cat > t/b.lua; }; tests() { cat > t/b_test.lua; }
said() { has "$1" "$out$err" "$2"; }

# -- what is shipped passes, offline ------------------------------------------------------
cd "$top" || exit 2
rb test examples/maintenance_page.lua; is "the example's tests pass" "$rc" 0
has "and are named" "$out" "ok      puts the page up"
rb test examples; is "all shipped tests pass" "$rc" 0
cd "$tmp" || exit 2

# -- a failing expectation says what was expected, what was seen, and where -----------------
book <<'LUA'
return runbook { title = "B", step "A" {
  remedy = function (run) file.write("/x/a", "new") end,
  verify = function (run) return file.read("/x/a") == "new" end } }
LUA
tests <<'LUA'
return tests {
  test "says too little" {
    world = { files = { ["/x/a"] = "old" } },
    expect = {
      effects = {},
      world = { files = { ["/x/a"] = "old" } },
    },
  },
  test "is right" {
    world = { files = { ["/x/a"] = "old" } },
    expect = { effects = { "file.write /x/a" }, undo = true },
  },
}
LUA
rb test t/b.lua; is "a failure is exit 1" "$rc" 1
said "the line of what was expected" "t/b_test.lua:5: the effects, in order"
said "what was seen" 'file.write file: write /x/a (3 bytes) [done]'
said "the state of the world" 't/b_test.lua:6: the world'\''s files "/x/a"'
said "as it is" '"new"'; said "the other passes" "ok      is right"; said "totals" "2 tests: 1 passed, 1 failed"

# -- nothing outside is touched: neither the file nor the user's own tape ---------------------
refuses "no file was written" test -e /x/a
refuses "no tape of the user's" test -e "$XDG_STATE_HOME/runbook"

# -- an effect that nobody expected, and the stub to add ---------------------------------------
tests <<'LUA'
return tests { test "has no files" {} }
LUA
rb test t/b_test.lua; is "an unexpected effect fails" "$rc" 1
said "it is named" "the test does not expect a call of file.write (file)"
said "with the stub" "files = {"

# -- bad input ------------------------------------------------------------------------------------
bad() { tests; rb test t; is "$1: exit 2" "$rc" 2; said "$1" "$2"; }
bad "nothing is returned" "returns nothing: it ends with \`return tests" <<<'local x = 1'
bad "something else is returned" "returns a number, not tests" <<<'return 7'
bad "no test in it" "there is no test in it" <<<'return tests {}'
bad "a syntax error has its line" "t/b_test.lua:2: " <<<$'return tests {\n  test "a" { expect = = {} } }'
bad "an unknown field names the nearest" "test \"a\" has no field 'expct' (did you mean 'expect'?)" \
  <<<'return tests { test "a" { expct = {} } }'
bad "an unknown expectation" "expect has no field 'efects' (did you mean 'effects'?)" \
  <<<'return tests { test "a" { expect = { efects = {} } } }'
bad "a wrong type" "mode of test \"a\" takes \"run\" or \"dry-run\", not \"dry\"" \
  <<<'return tests { test "a" { mode = "dry" } }'
bad "an unknown step" "the runbook has no step 'b'" \
  <<<'return tests { test "a" { world = { files = {} }, expect = { steps = { b = "done" } } } }'
bad "an unknown part of the world" "has no field 'flies' (did you mean 'files'?)" \
  <<<'return tests { test "a" { world = { flies = {} } } }'
bad "a runbook that is not there" "there is no runbook 't/nosuch.lua'" \
  <<<'return tests { runbook = "t/nosuch.lua", test "a" {} }'
bad "two of one name" "two tests are called \"a\"" <<<'return tests { test "a" {}, test "a" {} }'
bad "an error of its own has its line" "t/b_test.lua:1: " <<<'return tests { test "a" { params = nosuch.x } }'
bad "an endless loop" "loading took too long" <<<'while true do end'
rm t/b_test.lua
rb test t; is "no tests in a folder: exit 2" "$rc" 2
rb test t/b.lua; said "a runbook without a test" "has no test"
rb test nosuch; said "no such runbook" "there is no runbook 'nosuch'"
is "and 'list' takes no test for a runbook" "$(cd "$top" && "$runbook" list 2>/dev/null | grep -c _test)" 0
