# runbook - a scriptable runbook interpreter. `make help` lists what there is.

CC       ?= cc
BUILD    ?= build
VERSION  := 0.1.0
RELEASED := 2026-11-25
PREFIX   ?= /usr/local
WARN     := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
            -Wwrite-strings -Wundef -Wvla -Wformat=2
CFLAGS   ?= -O2 -g
ALLFLAGS := -std=c11 -D_GNU_SOURCE -I. -I$(BUILD) -fPIC -fvisibility=hidden \
            -DRB_VERSION='"$(VERSION)"' -DRB_RELEASED='"$(RELEASED)"' $(WARN) $(CFLAGS) $(SAN) $(if $(CI),-Werror)
Q        := $(if $(V),,@)
comma    := ,
pkg       = $(if $(1),$(shell pkg-config $(2) $(1) 2>/dev/null))

VMPKG    := lua5.4 jansson sqlite3 libsodium libseccomp zlib
# What every command starts with is linked in where it is there as an archive, since each shared
# library takes a command a sixth of a millisecond; `make STATIC=` takes the shared ones. Modules find
# the first three in the program: these are there whole, and only these are seen from outside.
STATIC   ?= 1
SHOWN    := lua5.4 jansson libsodium
HIDDEN   := $(filter-out $(SHOWN),$(VMPKG))
# of -la -lb those that are no archives here
missing   = $(if $(STATIC),$(filter-out /%,$(foreach l,$(1:-l%=lib%.a),$(shell $(CC) -print-file-name=$(l)))),all)
VMLIBS   := $(if $(call missing,$(filter -l%,$(call pkg,$(VMPKG),--libs))),$(call pkg,$(VMPKG),--libs),\
              -Wl,-Bstatic -Wl,--whole-archive $(call pkg,$(SHOWN),--libs) -Wl,--no-whole-archive \
              $(call pkg,$(HIDDEN),--libs) -Wl,-Bdynamic $(patsubst -l%,-Wl$(comma)--exclude-libs$(comma)lib%.a,$(call pkg,$(HIDDEN),--libs)))
# PostgreSQL's parser, without what prints its trees as $(1): half of it, and nearly all of what has to
# be relocated
parser    = $(if $(call missing,-lpg_query),-lpg_query,-Wl,-Bstatic -lpg_query -Wl,-Bdynamic \
              -Wl,--exclude-libs,ALL -Wl,--gc-sections -Wl,-z,muldefs $(1:%=-Wl,--defsym=pg_query_nodes_to_%=0))
# of a module, what the program has not
libs      = $(filter-out $(call pkg,$(SHOWN),--libs),$(call pkg,$(PKG_$(1)),--libs)) $(LIB_$(1))
VM       := $(filter-out vm/run/embed.c,$(wildcard vm/*.c vm/*/*.c))
TESTLUA  := $(patsubst vm/%.lua,$(BUILD)/%.h,$(wildcard vm/test/*.lua vm/repl/*.lua))
VMOBJ    := $(VM:%.c=$(BUILD)/%.o)

# one shared object for each module: stdlib/NAME.c, or all of stdlib/NAME/*.c
MODULES  := $(sort $(basename $(notdir $(wildcard stdlib/*.c))) \
                   $(notdir $(patsubst %/,%,$(filter-out stdlib/common/,$(wildcard stdlib/*/)))))
PKG_http := libcurl jansson
PKG_pg   := libpq jansson
LIB_pg   := $(call parser,protobuf)
PKG_redis := hiredis
PKG_backup := libpq
PKG_json := jansson
PKG_file := libsodium
PKG_csv := libpcre2-8
PKG_log := libpcre2-8 jansson
PKG_ics  := libical
PKG_service := jansson
PKG_token := libsodium
PKG_slack := libcurl jansson
PKG_mail := libcurl jansson
PKG_teams := libcurl jansson
PKG_pagerduty := libcurl jansson
PKG_webhook := libcurl jansson libsodium
PKG_net_tls := libssl libcrypto
PKG_redis_tls := libssl libcrypto
WITHLIB  := stdlib/common/json.c stdlib/common/curl.c stdlib/common/notice.c
COMMON   := $(filter-out $(WITHLIB) stdlib/common/pattern.c,$(wildcard stdlib/common/*.c))
# of what is common, that which needs a library is taken by name
TAKES_slack := $(WITHLIB)
TAKES_mail := $(WITHLIB)
TAKES_teams := $(WITHLIB)
TAKES_pagerduty := $(WITHLIB)
TAKES_webhook := $(WITHLIB)
TAKES_http := stdlib/common/json.c
TAKES_json := stdlib/common/json.c
TAKES_csv := stdlib/common/pattern.c
TAKES_log := stdlib/common/pattern.c
PKG_pg_syntax :=
LIB_pg_syntax := $(call parser,protobuf json)
TAKES_pg_syntax := stdlib/pg/sql.c
# a module's part, loaded only when asked for: stdlib/NAME/PART/*.c
PARTS    := $(patsubst stdlib/%/,%,$(sort $(dir $(wildcard stdlib/*/*/*.c))))
EDIT     := $(BUILD)/lib/repl-edit.so
ROWS     := $(BUILD)/lib/primitives.txt
SHARED   := $(EDIT) $(MODULES:%=$(BUILD)/lib/%.so) $(foreach p,$(PARTS),$(BUILD)/lib/$(subst /,-,$(p)).so)
# what runbooks require: stdlib/NAME.lua
SCRIPTS  := $(patsubst stdlib/%,$(BUILD)/lib/%,$(wildcard stdlib/*.lua))
# all of them, and whether their functions are globals of every script
LISTED    = $(foreach m,$(MODULES),{"$(m)"$(comma) $(if $(shell grep -l '^  .*\.functions = ' \
              $(wildcard stdlib/$(m).c stdlib/$(m)/*.c)),1,0)}$(comma))

$(BUILD)/lib/%.lua: stdlib/%.lua
	@mkdir -p $(@D)
	$(Q)install -m 644 $< $@

ERPPKG   := libmicrohttpd libpq hiredis jansson
ERP      := $(filter-out %/start.c,$(wildcard examples/sandbox/school_erp.c examples/sandbox/erp/*.c))
POLARIS  := $(wildcard examples/sandbox/polaris.c examples/sandbox/polaris/*.c) \
            $(patsubst %,examples/sandbox/erp/%.c,start serve database cache dotenv journal)
VOUCHERS := $(wildcard examples/sandbox/vouchers.c examples/sandbox/vouchers/*.c) \
            $(patsubst %,examples/sandbox/erp/%.c,start serve database dotenv journal)
SERVERS  := $(BUILD)/school-erp-server $(BUILD)/polaris-server $(BUILD)/vouchers-server

.SECONDARY: $(TESTLUA)
.PHONY: all help deps docs test demo bench libs install uninstall clean
all: $(BUILD)/runbook $(SHARED) $(SCRIPTS) $(ROWS) $(SERVERS)

help:
	@printf '%s\n' \
	  'make deps    install missing packages (Debian, Ubuntu; sudo where not root)' \
	  'make         build build/runbook, its modules and the sandbox application' \
	  'make test    run the tests, on real servers started privately' \
	  'make demo    isolate a tenant on the sandbox: dry run, real run, back again' \
	  'make docs    print docs/primitives.md from what the modules register' \
	  'make bench   measure, as ratios to peers' \
  'make install PREFIX=/usr/local DESTDIR=    program, modules, runbooks, completion, manual' \
  'make uninstall                             takes all of that away again' \
	  'make clean   remove build/' \
	  'SAN=-fsanitize=address,undefined BUILD=build/san builds with sanitizers' \
	  'V=1 shows the commands'

deps:
	@./deps

$(BUILD)/runbook: $(VMOBJ)
	@echo '  link    $@'
	$(Q)$(CC) $(SAN) -rdynamic -o $@ $(VMOBJ) $(VMLIBS) -ldl -lpthread -lm

$(BUILD)/vm/%.o: vm/%.c | $(BUILD)/words.h $(BUILD)/world.h $(BUILD)/modules.h $(TESTLUA)
	@mkdir -p $(@D)
	@echo '  cc      $<'
	$(Q)$(CC) $(ALLFLAGS) $(call pkg,$(VMPKG),--cflags) -MMD -c -o $@ $<

# words.lua, compiled and made into an array of bytes
$(BUILD)/words.h: vm/run/words.lua vm/run/embed.c
	@mkdir -p $(@D)
	@echo '  embed   $<'
	$(Q)$(CC) -O1 $(call pkg,lua5.4,--cflags) -o $(BUILD)/embed vm/run/embed.c $(call pkg,lua5.4,--libs)
	$(Q)$(BUILD)/embed vm/run/words.lua words > $@

# world.lua as it is: a drill runs it
$(BUILD)/world.h: vm/cli/world.lua $(BUILD)/words.h
	@echo '  embed   $<'
	$(Q)$(BUILD)/embed vm/cli/world.lua world text > $@

# the words and the worlds of test files; how a session is saved
$(BUILD)/test/%.h: vm/test/%.lua $(BUILD)/words.h
	@mkdir -p $(@D)
	@echo '  embed   $<'
	$(Q)$(BUILD)/embed $< $* > $@

$(BUILD)/repl/%.h: vm/repl/%.lua $(BUILD)/words.h
	@mkdir -p $(@D)
	@echo '  embed   $<'
	$(Q)$(BUILD)/embed $< $* > $@

# written again only when a module came or went
$(BUILD)/modules.h: $(wildcard stdlib/*.c stdlib/*/*.c) stdlib
	@mkdir -p $(@D)
	$(Q)echo '$(LISTED)' > $@.new
	$(Q)cmp -s $@.new $@ && rm $@.new || mv $@.new $@

define module
$(BUILD)/lib/$(1).so: $(wildcard stdlib/$(1).c stdlib/$(1)/*.c) $(COMMON) $(TAKES_$(1)) $(wildcard stdlib/$(1)/*.h stdlib/common/*.h) vm/module.h
	@mkdir -p $$(@D)
	@echo '  module  $(1)'
	$(Q)$(CC) $(ALLFLAGS) $(call pkg,lua5.4 $(PKG_$(1)),--cflags) -shared -Wl,-z,now -o $$@ \
	  $(wildcard stdlib/$(1).c stdlib/$(1)/*.c) $(COMMON) $(TAKES_$(1)) $(call libs,$(1))
endef
$(foreach m,$(MODULES),$(eval $(call module,$(m))))

define part
$(BUILD)/lib/$(subst /,-,$(1)).so: $(wildcard stdlib/$(1)/*.c stdlib/$(1)/*.h stdlib/$(dir $(1))*.h) $(TAKES_$(subst /,_,$(1))) vm/module.h
	@mkdir -p $$(@D)
	@echo '  part    $(1)'
	$(Q)$(CC) $(ALLFLAGS) $(call pkg,lua5.4 $(PKG_$(subst /,_,$(1))),--cflags) -shared -o $$@ \
	  $(wildcard stdlib/$(1)/*.c) $(TAKES_$(subst /,_,$(1))) $(call libs,$(subst /,_,$(1)))
endef
$(foreach p,$(PARTS),$(eval $(call part,$(p))))

# the rows of all modules, for `check`
$(ROWS): $(BUILD)/runbook $(MODULES:%=$(BUILD)/lib/%.so)
	$(Q)$(BUILD)/runbook help --rows > $@.new
	$(Q)mv $@.new $@

# the editor of lines, loaded by `runbook repl` on a terminal
$(EDIT): $(wildcard vm/repl/edit/*.c) vm/repl/edit.h
	@mkdir -p $(@D)
	@echo '  part    repl/edit'
	$(Q)$(CC) $(ALLFLAGS) $(call pkg,libedit,--cflags) -shared -o $@ $(wildcard vm/repl/edit/*.c) \
	  $(call pkg,libedit,--libs)

$(BUILD)/school-erp-server: $(ERP)
$(BUILD)/polaris-server: $(POLARIS)
$(BUILD)/vouchers-server: $(VOUCHERS)
$(SERVERS): $(wildcard examples/sandbox/*/*.h)
	@mkdir -p $(@D)
	@echo '  cc      $@'
	$(Q)$(CC) -std=c11 -D_GNU_SOURCE -Iexamples/sandbox $(WARN) -O2 -g $(if $(CI),-Werror) \
	  $(call pkg,$(ERPPKG),--cflags) -o $@ $(filter %.c,$^) $(call pkg,$(ERPPKG),--libs) -lpthread

test: all
	@tests/run

demo: deps
	@$(MAKE) --no-print-directory -j$$(nproc) all
	@examples/demo

bench: all
	@tests/bench/run

install: $(BUILD)/runbook $(SHARED) $(SCRIPTS) $(ROWS)
	@DESTDIR='$(DESTDIR)' PREFIX='$(PREFIX)' BUILD='$(BUILD)' ./install

uninstall:
	@DESTDIR='$(DESTDIR)' PREFIX='$(PREFIX)' ./install --remove

# for tests/bench
libs:
	@echo '$(VMLIBS) -ldl -lpthread -lm'

docs: all
	@$(BUILD)/runbook help --primitives > docs/primitives.md

clean:
	rm -rf $(BUILD)

-include $(VMOBJ:.o=.d)
