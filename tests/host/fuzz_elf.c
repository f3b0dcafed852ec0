/*
 * Fuzz target: the ELF and script parsers read inside what they are given, and a plan that passes
 * can be loaded without any sum leaving user space.
 *
 * The input is taken once as a file, and once as the program headers of a sound file header, so
 * that the fuzzer need not find the magic number first.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <proc/exec.h>
#include <uapi/linux/elf.h>

#define USER_END 0x7ffffffff000UL

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int condition)
{
    if (!condition) {
        abort();
    }
}

static void check_segments(const void *phdrs, const struct elf_plan *plan)
{
    uint32_t nr_found = 0;

    for (uint32_t i = 0; i < plan->phdr_count; i++) {
        struct elf_segment segment;

        if (!elf_get_segment(phdrs, plan, i, &segment)) {
            continue;
        }
        nr_found++;
        require(segment.file_size <= segment.mem_size);
        require(segment.vaddr < USER_END && segment.mem_size <= USER_END - segment.vaddr);
        require(segment.vaddr >= plan->low && segment.vaddr + segment.mem_size <= plan->high);
        require(segment.file_size == 0 || (segment.offset & 0xfff) == (segment.vaddr & 0xfff));
        require(segment.file_size == 0 || segment.offset + segment.file_size <= INT64_MAX);
    }
    require(nr_found == plan->nr_segments);
    require(plan->low <= plan->high && plan->high <= USER_END);
    require((plan->align & (plan->align - 1)) == 0 && plan->align >= 0x1000);
}

static void parse_phdrs(const void *phdrs, size_t size, struct elf_plan *plan)
{
    if (elf_parse_interp(phdrs, size, plan) == 0 && plan->has_interp) {
        require(plan->interp_size >= 2 && plan->interp_size <= 4096);
        require(plan->interp_offset + plan->interp_size <= INT64_MAX);
    }
    if (elf_parse_segments(phdrs, size, plan) == 0) {
        check_segments(phdrs, plan);
    }
}

static void parse_file(const uint8_t *data, size_t size)
{
    struct elf_plan plan;

    if (elf_parse_header(data, size, &plan) != 0) {
        return;
    }
    size_t table = plan.phdr_count * sizeof(struct elf64_phdr);

    if (plan.phdr_offset <= size && table <= size - plan.phdr_offset) {
        parse_phdrs(data + plan.phdr_offset, table, &plan);
    }
}

static void parse_as_phdrs(const uint8_t *data, size_t size)
{
    struct elf_plan plan;
    struct elf64_header header = {
        .e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, 1},
        .e_type = size & 1 ? ET_DYN : ET_EXEC,
        .e_machine = EM_X86_64,
        .e_phoff = 64,
        .e_phentsize = sizeof(struct elf64_phdr),
        .e_phnum = (uint16_t)(size / sizeof(struct elf64_phdr)),
    };

    if (elf_parse_header(&header, sizeof(header), &plan) == 0) {
        parse_phdrs(data, size, &plan);
    }
}

static void parse_as_script(const uint8_t *data, size_t size)
{
    char *head = calloc(1, EXEC_HEAD_SIZE);
    struct script_plan plan;

    size = size < EXEC_HEAD_SIZE - 2 ? size : EXEC_HEAD_SIZE - 2;
    memcpy(head, "#!", 2);
    memcpy(head + 2, data, size);
    if (script_parse(head, size + 2, &plan) == 0) {
        require(strlen(plan.interpreter) > 0);
        require(strpbrk(plan.interpreter, " \t\n") == NULL);
        require(plan.argument == NULL || strlen(plan.argument) > 0);
    }
    free(head);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    parse_file(data, size);
    parse_as_phdrs(data, size);
    parse_as_script(data, size);
    return 0;
}
