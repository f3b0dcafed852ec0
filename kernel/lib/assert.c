/*
 * What a broken rule prints. Owns no state. Read next: kernel/debug/panic.c.
 */
#include <lib/assert.h>
#include <lib/printk.h>

void assert_fail(const struct assert_site *site)
{
    panic("rule broken: %s (%s) at %s:%d", site->rule, site->condition, site->file, site->line);
}

void warn_site(const struct assert_site *site)
{
    printk("warning: rule broken: %s (%s) at %s:%d\n", site->rule, site->condition, site->file,
           site->line);
}
