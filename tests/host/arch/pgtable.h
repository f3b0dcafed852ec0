/* Entry encodings are pure functions of a number, so that host tests use the machine's own. */
#include "../../../arch/x86_64/include/arch/pgtable.h"
