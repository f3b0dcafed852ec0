# Cowbell. `make help` lists the goals; README.md says what they are for.
#
# Sources are listed, in the order a reader opens them, in each folder's sources.mk.

MAKEFLAGS += --no-builtin-rules
.SUFFIXES:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

O        ?= build
SMP      ?= 2
MEM      ?= 512M
ACCEL    ?= tcg
DEBUG    ?= 0
V        ?= 0
SANITIZE ?=
T        ?= *
STARVE   ?= 0
export STARVE

Q := $(if $(filter 1,$(V)),,@)
say = $(if $(filter 1,$(V)),,@printf '  %-8s %s\n' $(1) $(2))

# A cross compiler is taken if it is named, else the first one found that makes x86-64 ELF.
ifeq ($(origin CROSS_COMPILE),undefined)
CROSS_COMPILE := $(shell \
    for p in $$( [ "$$(uname -m)" = x86_64 ] && echo '""' ) x86_64-linux-gnu- x86_64-elf-; do \
        [ "$$p" = '""' ] && p=; \
        if command -v "$${p}gcc" >/dev/null 2>&1; then echo "$$p"; break; fi; done)
endif
CC      := $(CROSS_COMPILE)gcc
OBJCOPY := $(CROSS_COMPILE)objcopy
NM      := $(CROSS_COMPILE)nm
HOSTCC  := gcc
CLANG   := clang
MUSL_CC := musl-gcc

KERNEL_SRCS :=
include boot/sources.mk arch/x86_64/sources.mk
include kernel/sources.mk kernel/mm/sources.mk kernel/ipc/sources.mk kernel/proc/sources.mk
include kernel/syscall/sources.mk kernel/lib/sources.mk kernel/debug/sources.mk

TEST_KERNEL_SRCS :=
include tests/kernel/sources.mk
include user/sources.mk
include tests/user/sources.mk
include tests/host/Makefile.inc
include tests/bench/sources.mk

include tools/make/kernel.mk
include tools/make/user.mk
include tools/make/host.mk
include tools/make/run.mk
include tools/make/check.mk
include tools/make/bench.mk
include tools/make/scale.mk
include tools/make/fuzz.mk
include tools/make/torture.mk
include tools/make/kselftest.mk
include tools/make/lint.mk

.PHONY: help clean
help:
	@sed -n 's/^#: //p' Makefile

#: Cowbell: a teaching microkernel for x86_64 with a real virtual-memory subsystem.
#:
#:   make run                    build, boot through GRUB in QEMU, end in a shell
#:   make check [T='mm.fork*']   run every suite (host, kernel, user), or a selection
#:   make check-kernel|check-host|check-user|check-shell      one kind of them
#:   make oracle                 run the programs of tests/user on Linux too, and compare
#:   make oracle PROG=./a.out    any static program, here and there, side by side (ARGS='...')
#:   make kselftest [T=cow]      Linux's own mm selftests, here and on Linux, compared
#:   make fuzz-diff [SEED= OPS=] random memory calls, the same on Linux, compared
#:   make torture [SEED= TIME=60] random memory calls against a model of what memory must hold
#:   make mutants [M='race*']    every bug of tests/mutants is caught by the test that it names
#:   make bench [B='fork*']      guest instructions, Cowbell beside Linux; WALL=1: wall time
#:   make profile B=fork_call_0M where a row of it spends them: a table and a flame graph
#:   make scale                  64 GiB, 16 CPUs, thousands of processes, 60,000 VMAs; what it took
#:   make debug [T=suite.test]   QEMU stopped, gdb attached, with Cowbell's commands
#:   make iso                    the bootable image, in $(O)/cowbell.iso
#:   make lint                   formatting, lock annotations, layers, lengths, rules and tests
#:   make rules                  write docs/rules.md anew: which test cites which rule
#:   make compile_commands.json  for editors, in $(O)/compile_commands.json
#:   make setup                  name or install the Debian packages that are missing
#:   make clean                  remove $(O)
#:
#: Variables: SMP=2  MEM=512M  ACCEL=tcg|kvm  O=build  V=1 (show commands)  DEBUG=1 (checks on)
#:            SANITIZE=kasan,ubsan  CROSS_COMPILE=x86_64-elf-  APPEND='kernel options'
#:            STARVE=1 (virtual CPUs stop now and then, to find tests that depend on time)

clean:
	$(Q)rm -rf $(O)
