#!/usr/bin/env bash
# json: what goes in comes out, and what has no form in JSON is said to have none.
. "$(dirname "$0")/lib.sh"
cat > "$tmp/runbook.config.lua" <<'LUA'
return { target = "local", targets = { ["local"] = { kind = "sandbox",
  systems = { s = { settings = { pin = secret "PIN" } } } } } }
LUA
export RUNBOOK_CONFIG=$tmp/runbook.config.lua PIN=hunter2hunter2

# e WHAT LUA EXPECTED: the expression's value, or its error's text
e() {
  cat > "$tmp/t.lua" <<LUA
local s = system "s"
return runbook { title = "t", step "A" { probe = function (run)
  local ok, v = pcall(function () return $2 end)
  run:finding("value", type(v) == "table" and v.kind and v.kind .. ": " .. v.message or tostring(v))
end } }
LUA
  rb run "$tmp/t.lua" --json
  is "$1" "$(jq -r '.findings[0].value' <<< "$out" | sed '1s/^[^ ]*\.lua:[0-9]*: //')" "$3"
}

e "names are sorted" 'json.encode { b = 1, a = "x", c = { true, false } }' '{"a":"x","b":1,"c":[true,false]}'
e "integers stay integers and floats floats" 'json.encode { 1, 1.0, 0.1, 1/3, -0.5e300, 2^53, 9007199254740993 }' \
  '[1,1.0,0.1,0.3333333333333333,-5e299,9007199254740992.0,9007199254740993]'
e "as few digits as all of them need" 'json.encode { 0.1, 2.5 }' '[0.1,2.5]'
e "null" 'json.encode { json.null }' '[null]'
e "null comes back as json.null" 'json.decode("[null]")[1] == json.null' true
e "an empty table is an object" 'json.encode {}' '{}'
e "an empty list is made with array" 'json.encode { a = json.array(), b = json.array {} }' '{"a":[],"b":[]}'
e "an empty list stays one" 'json.encode(json.decode "[[],{}]")' '[[],{}]'
e "a list can grow" '(function () local l = json.decode "[]"; l[1] = "x"; return json.encode(l) end)()' '["x"]'
e "bare values" 'json.encode "a\"b\n\1" .. json.encode(true) .. json.encode(1)' '"a\"b\n\u0001"true1'
e "indent" 'json.encode({ a = { 1 } }, { indent = 2 })' $'{\n  "a": [\n    1\n  ]\n}'
e "UTF-8" 'json.decode(json.encode "äß漢😀")' 'äß漢😀'
e "NUL survives in a string" '#json.decode(json.encode "a\0b")' 3
e "round trip" 'json.encode(json.decode [[{"a":[1,2.5,"x",null,true,{}],"b":{"c":[]}}]])' '{"a":[1,2.5,"x",null,true,{}],"b":{"c":[]}}'
e "big integers" 'json.decode "9223372036854775807"' 9223372036854775807

e "not UTF-8" 'json.encode { a = { { n = "\xff" } } }' 'json.encode: .a[1].n is not UTF-8 text: JSON holds no other bytes'
e "nan" 'json.encode { 0/0 }' 'json.encode: [1] is infinite or not a number: JSON has no word for it'
e "inf" 'json.encode(1/0)' 'json.encode: the value is infinite or not a number: JSON has no word for it'
e "holes" 'json.encode { a = { 1, 2, nil, 4 } }' 'json.encode: .a is a list with holes or names in it'
e "lists with names" 'json.encode { 1, x = 2 }' 'json.encode: the value is a list with holes or names in it'
e "names that are numbers" 'json.encode { [2.5] = 1 }' 'json.encode: the value has names that are not strings: JSON knows lists and objects'
e "a function" 'json.encode { f = print }' 'json.encode: .f is a function'
e "a secret" 'json.encode { s.settings.pin }' 'json.encode: [1] is a secret, which is no text'
e "nil" 'json.encode(nil)' 'json.encode: the value is nil: null is json.null'
e "a table that contains itself" '(function () local t = {}; t.t = t; local ok, e = pcall(json.encode, t); return e:match "is more than.*" end)()' \
  'is more than 100 deep: does it contain itself?'
e "a deep text" 'json.decode(("["):rep(300) .. ("]"):rep(300))' 'data: json.decode: more than 100 deep'
e "a far too deep text" '(function () local ok, e = pcall(json.decode, ("["):rep(100000)); return e.kind end)()' data
e "a text that is none" 'json.decode "{\"a\":\n x}"' "data: json.decode: line 2, column 2: invalid token near 'x'"
e "no text" 'json.decode ""' 'data: json.decode: line 1, column 0: there is no text'
e "a name given twice" 'json.decode "{\"a\":1,\"a\":2}"' 'data: json.decode: line 1, column 10: duplicate object key near '"'\"a\"'"
e "more than one value" '(function () local ok, e = pcall(json.decode, "1 2"); return e.message:match "end of file expected" end)()' 'end of file expected'
