# make torture: random memory calls against a model, for as long as one likes.
# make mutants: every bug of tests/mutants must be caught by the test that it names.

TIME ?= 60
torture: OPS = 200000
M ?= *

.PHONY: torture mutants
torture:
	$(Q)tools/setup.sh check
	$(Q)$(MAKE) --no-print-directory check-build
	$(Q)python3 tools/torture.py --kernel $(O)/test-kernel/kernel.elf --initrd $(O)/initrd-test.cpio \
	    --seed $(SEED) --time $(TIME) --operations $(OPS) \
	    $(if $(CHECK_SMP),--smp $(CHECK_SMP)) $(if $(CHECK_MEM),--mem $(CHECK_MEM))

mutants:
	$(Q)tools/setup.sh check
	$(Q)python3 tools/mutants.py --select '$(M)' --output $(O)/mutants

# make vma-model: random operations on VMAs against a model, on the host; `make check` does fewer.
VMA_OPS ?= 10000000
.PHONY: vma-model
vma-model: $(O)/host/test_vma_model
	$(Q)VMA_OPS=$(VMA_OPS) $(O)/host/test_vma_model
