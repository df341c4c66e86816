/* The same host in strict C11. */
#include "embed/c99.c"
