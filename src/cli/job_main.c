/* The main of programs that bring only their FL_JOB: cc job.c -lflinc-main -lflinc */
#include "flinc/env.h"

int main(int argc, char **argv)
{
    return fl_main(argc, argv);
}
