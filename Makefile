# The whole build.  `make help` lists the targets; README.md tells where to begin.
#
# build/VARIANT/obj    objects, one per source file, in the folders of the sources
# build/VARIANT/*.a    one archive per layer
# build/VARIANT/tests  test programs; build/VARIANT/results what they said
# build/               larder, liblarder.a and .so, liblarder-serve.a and .so (other variants: build/VARIANT/)

.DEFAULT_GOAL := all
comma := ,
space := $() $()
.DELETE_ON_ERROR:
.SUFFIXES:
SHELL = /bin/sh
MAKEFLAGS += --no-builtin-rules --no-print-directory

# V=1 shows the commands, otherwise one short line stands for each.
say = $(if $(filter-out 0,$(V)),,@printf '%-4s %s\n' $(1) $@;)

# -- without a configuration ----------------------------------------------------------------------------

# `make deps check` on a fresh machine: install first, then start again for the rest.
ifneq ($(filter deps,$(MAKECMDGOALS)),)

LATER := $(filter-out deps,$(MAKECMDGOALS))
.PHONY: deps $(LATER)
deps:
	@server/dist/deps.sh
ifneq ($(LATER),)
$(firstword $(LATER)): deps
	@$(MAKE) $(LATER)
$(wordlist 2,99,$(LATER)): $(firstword $(LATER))
	@:
endif

else

PLAIN_GOALS := help clean distclean format deb check-deb
ifneq ($(filter-out $(PLAIN_GOALS),$(or $(MAKECMDGOALS),all)),)
include config.mk
# The library needs less than the server; the one that serves needs no sandbox, and brings no heap.
LIBRARY_LIBS := $(LIBS)
LIBS += $(TLS_LIBS) $(SASL_LIBS) $(HOOK_LIBS) $(PACKING_LIBS)
SERVE_LIBS := $(EVENT_LIBS) $(LIBS)
endif

configure: configure.ac
	autoconf
	@rm -rf autom4te.cache

# A changed template or check is configured again with the options of the last time.
config.mk: configure server/dist/config.mk.in server/dist/config.h.in server/dist/larder.pc.in server/dist/larder-serve.pc.in
	@if [ -x config.status ]; then ./config.status --recheck && ./config.status; else ./configure; fi

config.h larder.pc larder-serve.pc: config.mk
	@test -f $@ || ./config.status $@

# -- variants -------------------------------------------------------------------------------------------

VARIANT ?= $(if $(filter yes,$(ENABLE_DEBUG)),debug,release)
B := build/$(VARIANT)
OUT := $(if $(filter release debug,$(VARIANT)),build,$(B))

VARIANT_FLAGS_release =
VARIANT_FLAGS_debug = -DLARDER_DEBUG
VARIANT_FLAGS_asan = -DLARDER_DEBUG -O1 -fsanitize=address,undefined -fno-sanitize-recover=all \
    -fno-omit-frame-pointer
VARIANT_FLAGS_tsan = -DLARDER_DEBUG -fsanitize=thread $(if $(is_clang),,-Wno-tsan)
VARIANT_FLAGS_cov = -DLARDER_DEBUG -O0 --coverage -fprofile-update=atomic
VARIANT_FLAGS_fuzz = -DLARDER_DEBUG -O1 -fsanitize=fuzzer-no-link,address,undefined \
    -fno-sanitize-recover=all -fno-omit-frame-pointer
# See pgo.  gcc looks for the profile of each object beside that object, and warns of what no training has run;
# what else there is to warn of, the build before has said.
PROFILE := build/profile
VARIANT_FLAGS_profile = $(if $(is_clang),-fprofile-generate=$(PROFILE)/raw,-fprofile-generate -fprofile-update=atomic)
VARIANT_FLAGS_pgo = $(if $(is_clang),-fprofile-use=$(PROFILE)/larder.profdata,\
    -fprofile-use -fprofile-partial-training) -w
VARIANT_FLAGS = $(VARIANT_FLAGS_$(VARIANT))

# CC= on the command line may name another compiler than the configured one.
is_clang = $(or $(filter yes,$(CC_IS_CLANG)),$(findstring clang,$(CC)))

# LTO=1 optimises over all files when it links; gcc's release build does so unless LTO=0 or DEVELOPER=1.  What is
# joined into the library's object is compiled there and then: hosts need not know.  gcc's objects hold plain code
# besides, from which the many test programs are linked without that cost.
LTO ?= $(if $(filter release,$(VARIANT)),$(if $(is_clang)$(filter-out 0,$(DEVELOPER)),0,1),0)
ifneq ($(filter-out 0,$(LTO)),)
LTO_FLAGS = $(if $(is_clang),-flto,-flto=auto -ffat-lto-objects)
LTO_LINK = $(if $(is_clang),-fuse-ld=lld)
LTO_JOIN = $(filter-out -pthread $(ERRORS),$(OUR_CFLAGS)) $(if $(is_clang),-fuse-ld=lld,-flinker-output=nolto-rel)
LTO_NOT = $(if $(is_clang),,-fno-lto)
ifneq ($(is_clang),)
AR := llvm-ar
endif
endif

# How much longer than a release build the tests may take.
SLOWER_asan = 4
SLOWER_tsan = 8
SLOWER_cov = 4
SLOWER = $(or $(SLOWER_$(VARIANT)),1)

WARNINGS = -Wall -Wextra -Wconversion -Wshadow -Wswitch-enum -Wvla -Wundef -Wformat=2 \
    -Wpointer-arith -Wwrite-strings $(if $(is_clang),-Wno-string-conversion)
C_WARNINGS = $(WARNINGS) -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition \
    -Werror=implicit-function-declaration -Werror=incompatible-pointer-types -Werror=int-conversion
ERRORS = $(if $(filter-out 0,$(DEVELOPER)),-Werror)

# CFLAGS and CPPFLAGS are the user's, and come behind ours; only a variant's come behind them.
OUR_CPPFLAGS = -D_GNU_SOURCE -I. -Iserver -Iserver/include $(EVENT_CFLAGS) $(TLS_CFLAGS) $(SASL_CFLAGS) \
    $(SECCOMP_CFLAGS) $(HOOK_CFLAGS) $(CPPFLAGS)
TEST_CPPFLAGS = -Itests $(CHECK_CFLAGS)
OUR_CFLAGS = -std=gnu11 -pthread -fPIC -fvisibility=hidden $(C_WARNINGS) $(ERRORS) $(CFLAGS) \
    $(LTO_FLAGS) $(VARIANT_FLAGS)
# larder_stats() and struct larder_stats share a name, which C++ allows and -Wshadow reports.
OUR_CXXFLAGS = -std=c++11 -pthread -fPIC $(filter-out -Wshadow,$(WARNINGS)) $(ERRORS) $(CXXFLAGS) $(VARIANT_FLAGS)
OUR_LDFLAGS = -pthread -Wl,--as-needed $(LTO_LINK) $(LDFLAGS)

# jemalloc serves the server alone, and not where a sanitizer brings its own heap.
ifneq ($(filter-out asan tsan fuzz,$(VARIANT)),)
SERVER_HEAP_LIBS = $(if $(JEMALLOC_LIBS),-Wl$(comma)--no-as-needed $(JEMALLOC_LIBS) -Wl$(comma)--as-needed)
endif

# -- sources, by folder ---------------------------------------------------------------------------------

# load is no layer of the server: the load generator without its main.c.
LAYERS := base proto engine mysql admin session net embed server load

dir_proto := proto
dir_server := server
dir_load := bench/load
$(foreach layer,$(filter-out proto server load,$(LAYERS)),$(eval dir_$(layer) := server/$(layer)))
# server, load: the files beside main.c, which the unit tests need without it.
$(foreach layer,$(LAYERS),$(eval sources_$(layer) := \
    $(sort $(filter-out %/main.c,$(wildcard $(dir_$(layer))/*.c)))))

# What each layer is linked with, in the linker's order: those that it may call, and no other.
link_base := base
link_proto := proto
link_engine := engine base
link_mysql := mysql engine base
link_admin := admin engine base
link_session := session admin proto engine base
link_net := net session admin proto engine base
link_embed := embed net session admin mysql proto engine base
link_server := server embed net session admin mysql proto engine base
link_load := load proto

objects = $(patsubst %,$(B)/obj/%.o,$(basename $(1)))
archives = $(patsubst %,$(B)/%.a,$(link_$(1)))

SUPPORT_SOURCES := $(sort $(wildcard tests/support/*.c))
UNIT_SOURCES := $(sort $(wildcard tests/unit/*/test_*.c))
STRESS_SOURCES := $(sort $(wildcard tests/stress/*.c))
WIRE_SOURCES := $(sort $(wildcard tests/wire/*.c))
FUZZ_SOURCES := $(sort $(wildcard tests/fuzz/fuzz_*.c))
EMBED_C_SOURCES := $(sort $(wildcard tests/embed/*.c))
EMBED_CC_SOURCES := $(sort $(wildcard tests/embed/*.cc))
BENCH_SOURCES := $(sort $(wildcard bench/micro/*.c))
BENCH_PROGRAMS := $(patsubst bench/%.c,$(B)/bench/%,$(BENCH_SOURCES))
# What bench/library compares, a program each; that with GLib where pkg-config finds it.
GLIB_LIBS := $(if $(wildcard bench/embed/*.c),$(shell pkg-config --libs glib-2.0 2>/dev/null))
STORE_SOURCES := $(sort $(wildcard bench/embed/store_*.c))
STORE_PROGRAMS := $(patsubst bench/embed/store_%.c,$(B)/bench/embed/%,\
    $(if $(GLIB_LIBS),$(STORE_SOURCES),$(filter-out %_glib.c,$(STORE_SOURCES))))
CALLS_PROGRAM := $(B)/bench/embed/calls
# Programs for others to copy from; the one with SQLite where pkg-config finds that.
SQLITE_LIBS := $(shell pkg-config --libs sqlite3 2>/dev/null)
EXAMPLE_SOURCES := $(sort $(wildcard server/dist/examples/*.c))
EXAMPLE_PROGRAMS := $(patsubst server/dist/examples/%.c,$(B)/examples/%,\
    $(if $(SQLITE_LIBS),$(EXAMPLE_SOURCES),$(filter-out %/lookaside.c,$(EXAMPLE_SOURCES))))
# That of the packages builds them first: make check-deb.
E2E_TESTS := $(filter-out tests/e2e/test_deb.py,$(sort $(wildcard tests/e2e/*.py tests/e2e/*.sh)))
TIDY_CHECKS := $(sort $(filter-out %.md,$(wildcard tests/tidy/*)))
ALL_HEADERS := $(sort $(wildcard proto/*.h server/*.h server/*/*.h tests/*/*.h bench/*/*.h))

# -- objects and archives -------------------------------------------------------------------------------

.PHONY: FORCE
FORCE:

# A stamp holds a text, and changes when the text does: what depends on it is built again then.
define stamp
$(1): FORCE
	@mkdir -p $$(@D)
	@echo '$(subst ','"'"',$(2))' | cmp -s - $$@ || echo '$(subst ','"'"',$(2))' > $$@
endef

$(eval $(call stamp,$(B)/flags,$(CC) $(OUR_CPPFLAGS) $(OUR_CFLAGS) $(CXX) $(OUR_CXXFLAGS)))
$(eval $(call stamp,$(B)/ldflags,$(OUR_LDFLAGS) $(SERVER_HEAP_LIBS) $(SECCOMP_LIBS) $(EVENT_LIBS) $(LIBS)))

$(B)/obj/%.o: %.c $(B)/flags config.h
	@mkdir -p $(@D)
	$(call say,CC) $(CC) $(OUR_CPPFLAGS) $(OUR_CFLAGS) -MMD -MP -c -o $@ $<

$(B)/obj/tests/%.o: tests/%.c $(B)/flags config.h
	@mkdir -p $(@D)
	$(call say,CC) $(CC) $(OUR_CPPFLAGS) $(TEST_CPPFLAGS) $(OUR_CFLAGS) -MMD -MP -c -o $@ $<

# Called by libFuzzer, which has no header.
$(B)/obj/tests/fuzz/%.o: tests/fuzz/%.c $(B)/flags config.h
	@mkdir -p $(@D)
	$(call say,CC) $(CC) $(OUR_CPPFLAGS) $(TEST_CPPFLAGS) $(OUR_CFLAGS) -Wno-missing-prototypes -MMD -MP -c -o $@ $<

# Hosts of the library see the public header and nothing else of ours.
EMBED_CPPFLAGS = -D_GNU_SOURCE -Iserver/include -Itests $(CPPFLAGS)
$(B)/obj/tests/embed/%.o: tests/embed/%.c $(B)/flags
	@mkdir -p $(@D)
	$(call say,CC) $(CC) $(EMBED_CPPFLAGS) $(CHECK_CFLAGS) $(OUR_CFLAGS) $(EMBED_STRICT) -MMD -MP -c -o $@ $<
$(B)/obj/tests/embed/c99.o: EMBED_STRICT = -std=c99 -pedantic
$(B)/obj/tests/embed/c11.o: EMBED_STRICT = -std=c11 -pedantic
$(B)/obj/tests/embed/%.o: tests/embed/%.cc $(B)/flags
	@mkdir -p $(@D)
	$(call say,CXX) $(CXX) $(EMBED_CPPFLAGS) $(CHECK_CFLAGS) $(OUR_CXXFLAGS) -MMD -MP -c -o $@ $<

# The list of members is stamped too, so that an archive does not keep what has left the folder.
define layer_rules
$(call stamp,$(B)/$(1).members,$(sources_$(1)))
$(B)/$(1).a: $(call objects,$(sources_$(1))) $(B)/$(1).members
	@rm -f $$@
	$$(call say,AR) $(AR) rcs $$@ $$(filter %.o,$$^)
endef
$(foreach layer,$(LAYERS),$(eval $(call layer_rules,$(layer))))

SUPPORT_OBJECTS := $(call objects,$(SUPPORT_SOURCES))
$(eval $(call stamp,$(B)/support.members,$(SUPPORT_SOURCES)))
$(B)/support.a: $(SUPPORT_OBJECTS) $(B)/support.members
	@rm -f $@
	$(call say,AR) $(AR) rcs $@ $(filter %.o,$^)

-include $(patsubst %.o,%.d,$(call objects,$(foreach layer,$(LAYERS),$(sources_$(layer))) server/main.c bench/load/main.c \
    $(SUPPORT_SOURCES) $(UNIT_SOURCES) $(STRESS_SOURCES) $(WIRE_SOURCES) $(FUZZ_SOURCES) \
    tests/fuzz/replay.c $(EMBED_C_SOURCES) $(EMBED_CC_SOURCES) $(BENCH_SOURCES) bench/embed/main.c bench/embed/calls.c $(STORE_SOURCES)))

# -- what is delivered ----------------------------------------------------------------------------------

.PHONY: all install
LIBRARIES := $(foreach name,larder larder-serve,$(OUT)/lib$(name).a $(OUT)/lib$(name).so)
all: $(if $(wildcard server/main.c),$(OUT)/larder) $(LIBRARIES)

link = $(CC) $(OUR_CFLAGS) $(OUR_LDFLAGS) -o $@
link_test = $(CC) $(OUR_CFLAGS) $(LTO_NOT) $(OUR_LDFLAGS) -o $@

$(OUT)/larder: $(call objects,server/main.c) $(call archives,server) $(B)/ldflags
	$(call say,LINK) $(link) $(filter %.o %.a,$^) $(SERVER_HEAP_LIBS) $(SECCOMP_LIBS) $(EVENT_LIBS) $(LIBS)

# The objects of a library are joined into one, with what they need of the layers below, and all names but its
# larder_* are made local, so that our short ones cannot clash with the host's.  Those calls that serve or follow a
# database need much more than the others: they are a library of their own, so that a host without them needs the C
# library alone.  Each has its own copy of what both need: what they share is the memory of a struct larder.
embed_serve := server/embed/serve.c server/embed/hook.c
names_larder_serve := larder_serve* larder_hook*
join = $(CC) $(LTO_JOIN) -r -nostdlib -o $@ $(filter %.o,$^) $(filter %.a,$^)

$(B)/liblarder.o: $(call objects,$(filter-out $(embed_serve),$(sources_embed))) $(call archives,embed)
	$(call say,JOIN) $(join)
	@$(OBJCOPY) --wildcard --keep-global-symbol='larder_*' $@

$(B)/liblarder-serve.o: $(call objects,$(embed_serve)) $(call archives,embed)
	$(call say,JOIN) $(join)
	@$(OBJCOPY) --wildcard $(names_larder_serve:%=--keep-global-symbol='%') $@

$(OUT)/lib%.a: $(B)/lib%.o
	@rm -f $@
	$(call say,AR) $(AR) rcs $@ $^

SOVERSION := 1
SONAME = $(@F).$(SOVERSION)
$(OUT)/liblarder.so: $(B)/liblarder.o $(B)/ldflags
	$(call say,LINK) $(link) -shared -Wl,-soname,$(SONAME) $(filter %.o,$^) $(LIBRARY_LIBS)
	@ln -sf $(@F) $(@D)/$(SONAME)

$(OUT)/liblarder-serve.so: $(B)/liblarder-serve.o $(B)/ldflags
	$(call say,LINK) $(link) -shared -Wl,-soname,$(SONAME) $(filter %.o,$^) $(SERVE_LIBS)
	@ln -sf $(@F) $(@D)/$(SONAME)

# Units, and the paths in them.  larder@.service is larder.service for a port: one text for both.
D := server/dist
fill_in = sed -e 's,@bindir@,$(bindir),g' -e 's,@sysconfdir@,$(sysconfdir),g' -e 's,@instance@,$(1),g' \
    -e 's,@on_port@,$(2),g' -e 's,@port_option@,$(3),g' $(D)/systemd/larder.service.in

install: all $(OUT)/larder-load larder.pc larder-serve.pc
	install -d $(DESTDIR)$(bindir) $(DESTDIR)$(libdir)/pkgconfig $(DESTDIR)$(includedir) \
	    $(DESTDIR)$(mandir)/man1 $(DESTDIR)$(mandir)/man3 $(DESTDIR)$(mandir)/man5 $(DESTDIR)$(sysconfdir) \
	    $(DESTDIR)$(datarootdir)/doc/larder
	install -m 755 $(OUT)/larder $(DESTDIR)$(bindir)/larder
	install -m 755 $(OUT)/larder-load $(DESTDIR)$(bindir)/larder-load
	for name in liblarder liblarder-serve; do \
	    install -m 644 $(OUT)/$$name.a $(DESTDIR)$(libdir)/$$name.a && \
	    install -m 755 $(OUT)/$$name.so $(DESTDIR)$(libdir)/$$name.so.$(SOVERSION) && \
	    ln -sf $$name.so.$(SOVERSION) $(DESTDIR)$(libdir)/$$name.so || exit 1; \
	done
	install -m 644 server/include/larder.h $(DESTDIR)$(includedir)/larder.h
	install -m 644 larder.pc larder-serve.pc $(DESTDIR)$(libdir)/pkgconfig/
	install -m 644 $(D)/larder.1 $(DESTDIR)$(mandir)/man1/larder.1
	install -m 644 $(D)/larder-load.1 $(DESTDIR)$(mandir)/man1/larder-load.1
	install -m 644 $(D)/larder.3 $(DESTDIR)$(mandir)/man3/larder.3
	install -m 644 $(D)/larder-hook.5 $(DESTDIR)$(mandir)/man5/larder-hook.5
	install -m 644 $(D)/hook.conf.example $(DESTDIR)$(datarootdir)/doc/larder/hook.conf.example
	install -d $(DESTDIR)$(datarootdir)/doc/larder/examples
	install -m 644 $(D)/examples/* $(DESTDIR)$(datarootdir)/doc/larder/examples
	test -e $(DESTDIR)$(sysconfdir)/larder.conf || install -m 644 $(D)/larder.conf $(DESTDIR)$(sysconfdir)/larder.conf
ifneq ($(systemdsystemunitdir),)
	install -d $(DESTDIR)$(systemdsystemunitdir)
	$(call fill_in) > $(DESTDIR)$(systemdsystemunitdir)/larder.service
	$(call fill_in,-%i, on port %i, -p %i) > $(DESTDIR)$(systemdsystemunitdir)/larder@.service
	install -m 644 $(D)/systemd/larder.socket $(DESTDIR)$(systemdsystemunitdir)/larder.socket
	chmod 644 $(DESTDIR)$(systemdsystemunitdir)/larder.service $(DESTDIR)$(systemdsystemunitdir)/larder@.service
endif
ifneq ($(sysusersdir),)
	install -d $(DESTDIR)$(sysusersdir)
	install -m 644 $(D)/systemd/larder.sysusers $(DESTDIR)$(sysusersdir)/larder.conf
endif
ifneq ($(completionsdir),)
	install -d $(DESTDIR)$(completionsdir)
	install -m 644 $(D)/larder.bash-completion $(DESTDIR)$(completionsdir)/larder
endif
ifneq ($(filter-out 0,$(MEMCACHED_LINK)),)
	ln -sf larder $(DESTDIR)$(bindir)/memcached
	ln -sf larder.1 $(DESTDIR)$(mandir)/man1/memcached.1
	$(if $(completionsdir),ln -sf larder $(DESTDIR)$(completionsdir)/memcached)
endif

# Debian's packages, of a copy of the sources: what dpkg-buildpackage writes stays in build/deb.
DEB := build/deb
DEB_SOURCES := Makefile configure.ac README.md LICENSE proto server bench
.PHONY: deb check-deb
deb:
	@command -v dh >/dev/null || { echo 'make deb: install debhelper (apt-get install debhelper)' >&2; exit 1; }
	rm -rf $(DEB)
	mkdir -p $(DEB)/larder
	cp -a $(DEB_SOURCES) $(DEB)/larder
	cp -a $(D)/debian $(DEB)/larder/debian
	cd $(DEB)/larder && env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL -u CC -u CFLAGS -u CPPFLAGS -u LDFLAGS \
	    dpkg-buildpackage --build=binary --no-sign
	@ls $(DEB)/*.deb

check-deb: deb
	@DEB=$(CURDIR)/$(DEB) $(PYTHON) tests/e2e/test_deb.py

RUN_ARGS ?= -l 127.0.0.1 -p 11211
.PHONY: run
run: $(OUT)/larder
	$(OUT)/larder $(RUN_ARGS) $(if $(filter 0,$(shell id -u)),-u root)

# -- test programs --------------------------------------------------------------------------------------

T := $(B)/tests
LAYER_LIBS = $(CHECK_LIBS) $(SECCOMP_LIBS) $(EVENT_LIBS) $(LIBS)

.PHONY: have_check
have_check:
ifneq ($(HAVE_CHECK),yes)
	@echo 'Check is missing: install the package check (or run make deps), then ./configure again' >&2
	@false
endif

# A unit test is linked with its layer and those below; one in a folder of another name with all.
define unit_rules
$(T)/unit/$(1)/%: $(B)/obj/tests/unit/$(1)/%.o $(B)/support.a $(if $(link_$(1)),$(call archives,$(1)),\
    $(call archives,server)) $(B)/ldflags | have_check
	@mkdir -p $$(@D)
	$$(call say,LINK) $$(link_test) $$(filter %.o %.a,$$^) $$(LAYER_LIBS)
endef
UNIT_LAYERS := $(sort $(foreach source,$(UNIT_SOURCES),$(word 3,$(subst /, ,$(source)))))
$(foreach layer,$(UNIT_LAYERS),$(eval $(call unit_rules,$(layer))))

$(T)/stress/%: $(B)/obj/tests/stress/%.o $(B)/support.a $(call archives,server) $(B)/ldflags | have_check
	@mkdir -p $(@D)
	$(call say,LINK) $(link_test) $(filter %.o %.a,$^) $(LAYER_LIBS)

$(T)/wire/runner: $(call objects,$(WIRE_SOURCES)) $(B)/support.a $(call archives,session) $(B)/ldflags | have_check
	@mkdir -p $(@D)
	$(call say,LINK) $(link_test) $(filter %.o %.a,$^) $(LAYER_LIBS)

$(T)/fuzz/replay_%: $(B)/obj/tests/fuzz/fuzz_%.o $(B)/obj/tests/fuzz/replay.o $(B)/support.a \
    $(call archives,server) $(B)/ldflags
	@mkdir -p $(@D)
	$(call say,LINK) $(link_test) $(filter %.o %.a,$^) $(EVENT_LIBS) $(LIBS)

# Hosts, each linked with the archive and with the shared library; the C++ compiler links both languages.
EMBED_LINK = $(if $(filter %.cc,$(EMBED_CC_SOURCES)),$(CXX) $(OUR_CXXFLAGS),$(CC) $(OUR_CFLAGS)) \
    $(LTO_NOT) $(OUR_LDFLAGS) -o $@
$(T)/embed/%-static: $(B)/obj/tests/embed/%.o $(B)/support.a $(LIBRARIES) $(B)/ldflags | have_check
	@mkdir -p $(@D)
	$(call say,LINK) $(EMBED_LINK) $(filter %.o %.a,$^) $(CHECK_LIBS) $(SERVE_LIBS)
$(T)/embed/%-shared: $(B)/obj/tests/embed/%.o $(B)/support.a $(LIBRARIES) $(B)/ldflags | have_check
	@mkdir -p $(@D)
	$(call say,LINK) $(EMBED_LINK) $(filter %.o,$^) $(B)/support.a $(filter %.so,$^) -Wl,-rpath,$(CURDIR)/$(OUT) $(CHECK_LIBS)

$(B)/examples/%: server/dist/examples/%.c $(filter %.so,$(LIBRARIES)) $(B)/flags $(B)/ldflags
	@mkdir -p $(@D)
	$(call say,LINK) $(CC) -Iserver/include $(OUR_CFLAGS) $(OUR_LDFLAGS) -o $@ $< $(filter %.so,$^) \
	    -Wl,-rpath,$(CURDIR)/$(OUT) $(if $(filter lookaside,$*),$(SQLITE_LIBS))

.SECONDARY:

# -- running them ---------------------------------------------------------------------------------------

# A result file says how many passed; it stays until something changes, or goes when a test failed.
R := $(B)/results
STRESS_SECONDS ?= 2
TEST_TIMEOUT_S ?= 180
TEST_ENV = CK_TIMEOUT_MULTIPLIER=$(SLOWER) CK_DEFAULT_TIMEOUT=20 TEST_TIMEOUT_SCALE=$(SLOWER) \
    TEST_TIMEOUT_S=$(TEST_TIMEOUT_S) STRESS_SECONDS=$(STRESS_SECONDS) \
    HOOK_TORTURE_SECONDS=$(or $(HOOK_TORTURE_SECONDS),$(if $(filter release debug,$(VARIANT)),60,15)) LARDER=$(CURDIR)/$(OUT)/larder \
    UBSAN_OPTIONS=print_stacktrace=1 TSAN_OPTIONS=halt_on_error=1 STORES=$(CURDIR)/$(B)/bench/embed \
    EXAMPLES=$(CURDIR)/$(B)/examples LIBLARDER=$(CURDIR)/$(OUT)/liblarder.so
RUN_TEST = $(TEST_ENV) tests/support/run_test.sh $(@:$(R)/%=%) $@

UNIT_RESULTS := $(patsubst tests/%.c,$(R)/%,$(UNIT_SOURCES))
STRESS_RESULTS := $(patsubst tests/%.c,$(R)/%,$(STRESS_SOURCES))
# Stress tests without the order that they are about must fail.
BROKEN_RESULTS := $(if $(filter release debug,$(VARIANT)),$(patsubst %,$(R)/stress/%_broken,\
    read_race split_race scan_race prefix_race log_ring))
WIRE_RESULTS := $(if $(WIRE_SOURCES),$(R)/wire/in_process $(R)/wire/socket)
EMBED_RESULTS := $(foreach name,$(basename $(EMBED_C_SOURCES) $(EMBED_CC_SOURCES)),\
    $(name:tests/%=$(R)/%)-static $(name:tests/%=$(R)/%)-shared)
FUZZ_RESULTS := $(patsubst tests/fuzz/fuzz_%.c,$(R)/fuzz/replay_%,$(FUZZ_SOURCES))
# Once is enough, without a sanitizer: tests of tests, of files, of command lines, and foreign clients, which ask nothing
# that wire/ does not.
E2E_ONCE := %_selftest.py %/test_dist.py %/test_bench_tools.py %/test_command_line.py %/test_start_scripts.py \
    %/test_ctypes.py tests/e2e/test_library_% \
    tests/e2e/test_clients_%
E2E_RESULTS := $(patsubst tests/%,$(R)/%,\
    $(if $(filter release debug,$(VARIANT)),$(E2E_TESTS),$(filter-out $(E2E_ONCE),$(E2E_TESTS))))
TIDY_RESULTS := $(patsubst tests/%,$(R)/%,$(TIDY_CHECKS))

# A program with one thread has nothing to show to ThreadSanitizer, and takes the longest under it.
ifeq ($(VARIANT),tsan)
UNIT_RESULTS := $(patsubst tests/%.c,$(R)/%,$(if $(UNIT_SOURCES),$(shell grep -l pthread_create $(UNIT_SOURCES))))
WIRE_RESULTS := $(filter %/socket,$(WIRE_RESULTS))
E2E_RESULTS := $(filter-out %/test_load.py %/differential.py,$(E2E_RESULTS))
FUZZ_RESULTS :=
endif

# Instructions per operation hold for the build that users get.
COUNT_RESULTS := $(if $(filter release,$(VARIANT)),$(R)/bench/count)

RESULTS := $(UNIT_RESULTS) $(WIRE_RESULTS) $(EMBED_RESULTS) $(FUZZ_RESULTS) $(STRESS_RESULTS) \
    $(BROKEN_RESULTS) $(COUNT_RESULTS) $(E2E_RESULTS) $(if $(filter release debug,$(VARIANT)),$(TIDY_RESULTS))

$(R)/%: $(T)/%
	@$(RUN_TEST) $<

WIRE_FILES := $(sort $(wildcard tests/wire/*.t))
$(R)/wire/in_process $(R)/wire/socket: $(wildcard tests/wire/*.users)
$(R)/wire/in_process: $(T)/wire/runner $(WIRE_FILES)
	@$(RUN_TEST) $< $(WIRE_FILES)
$(R)/wire/socket: $(T)/wire/runner $(WIRE_FILES) $(OUT)/larder
	@$(RUN_TEST) $< --server $(OUT)/larder $(WIRE_FILES)

define replay_rule
$(R)/fuzz/replay_$(1): $(T)/fuzz/replay_$(1) $(sort $(wildcard tests/fuzz/corpus/$(1)/*))
	@$$(RUN_TEST) $$^
endef
$(foreach target,$(patsubst tests/fuzz/fuzz_%.c,%,$(FUZZ_SOURCES)),$(eval $(call replay_rule,$(target))))

$(R)/stress/%_broken: tests/stress/must_fail.sh tests/stress/%.c config.h \
    $(wildcard server/engine/*.[ch] server/base/*.[ch] server/admin/watch*.[ch])
	@CC='$(CC)' $(RUN_TEST) $< $(OUT)/broken $* $(broken_$*)
broken_engine := server/engine/*.c server/base/*.c
broken_read_race := LARDER_BREAK_BUCKET_ORDER '^not so: every value that was read is whole' $(broken_engine)
broken_scan_race := LARDER_BREAK_BUCKET_ORDER '^not so: each key is told once, and whole' $(broken_engine)
broken_split_race := LARDER_BREAK_SPLIT_ORDER '^not so: a key that is there is found' $(broken_engine)
broken_prefix_race := LARDER_BREAK_PREFIX_ORDER '^not so: nothing survives a flush' $(broken_engine)
# An x86 forgives what is missing there; ThreadSanitizer names the functions.
broken_log_ring := LARDER_BREAK_RING_ORDER 'ring_[gp][eu]t' \
    -fsanitize=thread -g server/admin/watch*.c server/base/*.c

E2E_HELPERS := $(wildcard tests/support/*.py tests/e2e/*/*.py)
CLIENT_PROGRAMS := $(wildcard tests/e2e/clients/*)
# The system's python first: packages such as pymemcache come for it.
PYTHON ?= $(or $(wildcard /usr/bin/python3),python3)
$(E2E_RESULTS): $(R)/%: tests/% $(OUT)/larder $(E2E_HELPERS)
	@$(RUN_TEST) $(if $(filter %.py,$<),$(PYTHON)) $<

$(filter $(R)/e2e/test_clients_%,$(E2E_RESULTS)): $(CLIENT_PROGRAMS)
$(filter $(R)/e2e/test_ctypes.py $(R)/e2e/test_library_%,$(E2E_RESULTS)): $(filter %.so,$(LIBRARIES)) \
    server/include/larder.h
$(R)/e2e/test_library_serving.py: tests/e2e/test_tls.py
$(R)/e2e/test_library_hook.py: tests/e2e/test_hook.py
$(filter $(R)/e2e/test_examples.py,$(E2E_RESULTS)): $(EXAMPLE_PROGRAMS)
$(filter $(R)/e2e/test_bench_tools.py,$(E2E_RESULTS)): $(STORE_PROGRAMS) $(CALLS_PROGRAM)
$(filter $(R)/e2e/test_load.py $(R)/e2e/test_bench_tools.py,$(E2E_RESULTS)): $(OUT)/larder-load

COUNT = LARDER=$(CURDIR)/$(OUT)/larder CALLS=$(CURDIR)/$(CALLS_PROGRAM) PYTHONDONTWRITEBYTECODE=1 $(PYTHON) bench/count \
    --flags '$(CFLAGS) $(LTO_FLAGS) $(VARIANT_FLAGS) $(LDFLAGS)'
$(R)/bench/count: bench/count bench/counts.txt bench/servers.py bench/workloads.py $(OUT)/larder $(CALLS_PROGRAM)
	@$(RUN_TEST) env $(COUNT) --check

# What clients that others wrote say to this server, and what they say to memcached.
.PHONY: clients
clients: $(OUT)/larder
	@LARDER=$(CURDIR)/$(OUT)/larder $(PYTHON) tests/support/client_matrix.py

TIDY_ENV = CC='$(CC)' CXX='$(CXX)' TIDY_CPPFLAGS='$(OUR_CPPFLAGS) $(TEST_CPPFLAGS)' OUT=$(OUT)
$(R)/tidy/exports: $(LIBRARIES)
$(TIDY_RESULTS): $(R)/%: tests/% FORCE
	@$(TIDY_ENV) $(RUN_TEST) $<

# One after the other also with -j: these fill the processors by themselves, or start servers.
previous :=
$(foreach result,$(STRESS_RESULTS) $(BROKEN_RESULTS) $(filter %/socket,$(WIRE_RESULTS)) $(COUNT_RESULTS) \
    $(E2E_RESULTS),\
    $(if $(previous),$(eval $(result): | $(previous)))$(eval previous := $(result)))

.PHONY: check results asan tsan cov tidy programs
# All that check runs, built and not run.
programs: all $(EXAMPLE_PROGRAMS) $(BENCH_PROGRAMS) $(STORE_PROGRAMS) $(CALLS_PROGRAM) $(OUT)/larder-load $(if $(WIRE_SOURCES),$(T)/wire/runner) $(patsubst $(R)/%,$(T)/%,\
    $(UNIT_RESULTS) $(EMBED_RESULTS) $(FUZZ_RESULTS) $(STRESS_RESULTS))

results: $(RESULTS)
check: have_check
	@$(MAKE) results || broken=yes; tests/support/sum_results.sh $${broken:+--broken} $(RESULTS)

asan tsan:
	@$(MAKE) VARIANT=$@ check

cov:
	@find build/cov -name '*.gcda' -delete 2>/dev/null; rm -rf build/cov/results
	@$(MAKE) VARIANT=cov check
	@tests/support/coverage.sh build/cov/obj

tidy: $(LIBRARIES) config.h
	@for check in $(TIDY_CHECKS); do \
	    echo "-- $$check"; $(TIDY_ENV) $$check || failed="$$failed $${check##*/}"; \
	done; \
	test -z "$$failed" || { echo "make tidy: failed:$$failed" >&2; exit 1; }; echo 'make tidy: all $(words $(TIDY_CHECKS)) checks passed'

# -- fuzzing --------------------------------------------------------------------------------------------

# New inputs stay in build/; what crashed goes to the corpus, where `make check` replays it from then on.
FUZZ_SECONDS ?= 30
FUZZ_CC ?= clang
FUZZ_TARGETS := $(patsubst tests/fuzz/fuzz_%.c,%,$(FUZZ_SOURCES))
.PHONY: fuzz fuzz_run
fuzz:
	@$(MAKE) VARIANT=fuzz CC=$(FUZZ_CC) fuzz_run

$(T)/fuzz/fuzz_%: $(B)/obj/tests/fuzz/fuzz_%.o $(B)/support.a $(call archives,server) $(B)/ldflags
	@mkdir -p $(@D)
	$(call say,LINK) $(CC) $(OUR_CFLAGS) -fsanitize=fuzzer $(OUR_LDFLAGS) -o $@ $(filter %.o %.a,$^) $(EVENT_LIBS) $(LIBS)

fuzz_run: $(FUZZ_TARGETS:%=$(T)/fuzz/fuzz_%)
	@for target in $(FUZZ_TARGETS); do \
	    mkdir -p $(B)/corpus/$$target tests/fuzz/corpus/$$target; \
	    echo "-- $$target"; \
	    $(T)/fuzz/fuzz_$$target -max_total_time=$(FUZZ_SECONDS) -timeout=10 -print_final_stats=1 -verbosity=0 \
	        -artifact_prefix=tests/fuzz/corpus/$$target/ $(B)/corpus/$$target tests/fuzz/corpus/$$target || exit 1; \
	done

# -- benchmarks -----------------------------------------------------------------------------------------

$(B)/bench/%: $(B)/obj/bench/%.o $(call archives,server) $(B)/ldflags
	@mkdir -p $(@D)
	$(call say,LINK) $(link) $(filter %.o %.a,$^) $(EVENT_LIBS) $(LIBS)

# The library as hosts have it: the archive, with nothing of ours besides.
$(B)/bench/embed/%: $(B)/obj/bench/embed/main.o $(B)/obj/bench/embed/store_%.o $(OUT)/liblarder.a $(B)/load.a $(B)/ldflags
	@mkdir -p $(@D)
	$(call say,LINK) $(link) $(filter %.o %.a,$^) $(if $(filter glib,$*),$(GLIB_LIBS)) $(LIBRARY_LIBS)
$(B)/bench/embed/calls: $(B)/obj/bench/embed/calls.o $(OUT)/liblarder.a $(B)/ldflags
	@mkdir -p $(@D)
	$(call say,LINK) $(link) $(filter %.o %.a,$^) $(LIBRARY_LIBS)
$(B)/obj/bench/embed/store_glib.o: OUR_CPPFLAGS += $(shell pkg-config --cflags glib-2.0 2>/dev/null)

.PHONY: bench bench-load bench-compare bench-count bench-memtier bench-stall bench-expire bench-library
bench-load: $(OUT)/larder-load
$(OUT)/larder-load: $(call objects,bench/load/main.c) $(call archives,load) $(B)/ldflags
	$(call say,LINK) $(link) $(filter %.o %.a,$^) $(LIBS)

bench: $(BENCH_PROGRAMS)
	@for program in $(filter $(B)/bench/micro/%,$^); do $$program || exit 1; done

bench-compare:
	@test -n '$(BASE)' || { echo 'usage: make bench-compare BASE=revision' >&2; exit 2; }
	@bench/compare '$(BASE)'

bench-count: $(OUT)/larder $(CALLS_PROGRAM)
	@$(COUNT) $(if $(filter-out 0,$(UPDATE)),--update)

bench-memtier: $(OUT)/larder
	@LARDER=$(CURDIR)/$(OUT)/larder PYTHONDONTWRITEBYTECODE=1 $(PYTHON) bench/memtier \
	    $(if $(filter-out 0,$(FULL)),--full) --json $(B)/bench/memtier.json --chart $(B)/bench/memtier.svg

bench-library: $(STORE_PROGRAMS)
	@STORES=$(CURDIR)/$(B)/bench/embed PYTHONDONTWRITEBYTECODE=1 $(PYTHON) bench/library \
	    $(if $(filter-out 0,$(FULL)),--full) --json $(B)/bench/library.json

bench-stall: $(OUT)/larder $(OUT)/larder-load
	@LARDER=$(CURDIR)/$(OUT)/larder PYTHONDONTWRITEBYTECODE=1 $(PYTHON) bench/stall \
	    $(if $(filter-out 0,$(FULL)),--full) --json $(B)/bench/stall.json

bench-expire: $(OUT)/larder
	@LARDER=$(CURDIR)/$(OUT)/larder PYTHONDONTWRITEBYTECODE=1 $(PYTHON) bench/expire --json $(B)/bench/expire.json

PEER_BENCHES := connections fairness tls workers
.PHONY: $(PEER_BENCHES:%=bench-%)
$(PEER_BENCHES:%=bench-%): bench-%: $(OUT)/larder $(OUT)/larder-load
	@LARDER=$(CURDIR)/$(OUT)/larder LARDER_LOAD=$(CURDIR)/$(OUT)/larder-load PYTHONDONTWRITEBYTECODE=1 \
	    $(PYTHON) bench/$* --json $(B)/bench/$*.json

# -- with a profile -------------------------------------------------------------------------------------

# Builds once to learn, trains, and builds again with what was learnt.  A compiler cache would give objects
# that write their profile where another tree was built.
.PHONY: pgo
pgo:
	@rm -rf $(PROFILE) build/pgo
	@CCACHE_DISABLE=1 $(MAKE) VARIANT=profile $(PROFILE)/larder
	@PYTHONDONTWRITEBYTECODE=1 $(PYTHON) bench/train $(PROFILE)/larder
	@mkdir -p build/pgo
	@$(if $(is_clang),llvm-profdata merge -o $(PROFILE)/larder.profdata $(PROFILE)/raw,\
	    cd $(PROFILE) && find obj -name '*.gcda' -exec cp --parents '{}' ../pgo ';')
	@CCACHE_DISABLE=1 $(MAKE) VARIANT=pgo all

# -- looking at the sources -----------------------------------------------------------------------------

.PHONY: format analyze
format:
	clang-format -i $(sort $(wildcard $(foreach dir,proto server server/* tests/* tests/unit/* bench/*,\
	    $(dir)/*.c $(dir)/*.h $(dir)/*.cc)))

# cppcheck sees one file at a time: it takes what a function of another file fills for uninitialised.
CPPCHECK_FLAGS = --enable=warning,performance,portability -D__linux__ -D__x86_64__ -D__GNUC__ \
    --suppress=missingIncludeSystem --suppress=incorrectStringBooleanError --suppress=uninitvar
CLANG_TIDY_CHECKS = -* clang-analyzer-* bugprone-* -bugprone-easily-swappable-parameters \
    -bugprone-reserved-identifier -bugprone-implicit-widening-of-multiplication-result \
    -bugprone-not-null-terminated-result -bugprone-sizeof-expression -clang-analyzer-valist.Uninitialized \
    -clang-analyzer-security.insecureAPI.DeprecatedOrUnsafeBufferHandling
ANALYZED = $(foreach layer,$(LAYERS),$(sources_$(layer))) $(wildcard server/main.c)
analyze: config.h
	cppcheck --quiet --std=c11 --error-exitcode=1 $(CPPCHECK_FLAGS) -I. -Iserver -Iserver/include $(ANALYZED)
	clang-tidy --quiet --warnings-as-errors='*' --checks='$(subst $(space),$(comma),$(CLANG_TIDY_CHECKS))' \
	    $(ANALYZED) -- $(OUR_CPPFLAGS) -std=gnu11 -pthread

endif

# -- always there ---------------------------------------------------------------------------------------

.PHONY: clean distclean help
clean:
	rm -rf build

distclean: clean
	rm -rf autom4te.cache config.h config.log config.mk config.status configure configure~ larder.pc larder-serve.pc

help:
	@sed -n 's/^# \{0,1\}@//p' Makefile

# @make                build/larder, build/liblarder.a and .so, build/liblarder-serve.a and .so
# @make install        those, larder.h, for pkg-config, manual pages, units, larder.conf, below DESTDIR and the prefix;
# @                    MEMCACHED_LINK=1: also under memcached's name
# @make deb            Debian packages, in build/deb; make check-deb tests them
# @make deps           installs what is missing to build and test
# @make run            starts the server on 127.0.0.1:11211; RUN_ARGS= for other options
# @make check          every test and check; runs again what changed or failed
# @make asan tsan      the same with AddressSanitizer and UBSan, with ThreadSanitizer
# @make cov            the same, then the lines that no test has run
# @make clients        a table: clients that others wrote, against this server and against memcached
# @make fuzz           libFuzzer on every target, FUZZ_SECONDS=30 each; needs clang
# @make bench          nanoseconds per operation
# @make bench-load     build/larder-load: a load generator that checks every value, and replays traces
# @make bench-compare  BASE=revision: this tree against another, interleaved
# @make bench-count    instructions per operation, beside bench/counts.txt; UPDATE=1 writes that
# @make bench-memtier  memtier_benchmark against memcached, 2 minutes; FULL=1: the whole matrix
# @make bench-library  the library beside GHashTable with a mutex and memcached on a unix socket; FULL=1: 10 million items
# @make bench-stall    longest waits while the index grows, pages move, items expire...; 3 minutes; FULL=1: 20 M items
# @make bench-expire   evictions of live items beside expired ones, against an oracle
# @make bench-connections bench-fairness bench-tls bench-workers
# @                    against memcached, too, a minute each: storms of connections, idle and busy ones; a client beside a
# @                    greedy one; handshakes and requests of TLS; one worker and two on two processors
# @make pgo            build/pgo/larder: with the profile of a training run; `make install VARIANT=pgo`
# @make tidy           layers, exported names, headers, manual pages, words; lists the longest files and functions
# @make format         clang-format over all sources
# @make analyze        cppcheck and clang-tidy
# @make clean          removes build/; distclean: the configuration as well
# @
# @DEVELOPER=1 makes warnings errors, and leaves out optimising when linking, as LTO=0 does; LTO=1 asks clang for it, too.
# @CC, CFLAGS and LDFLAGS as usual, also for ./configure.
