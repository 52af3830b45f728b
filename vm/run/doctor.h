/*
** doctor.h - what each module finds about its resource
*/

#ifndef rb_doctor_h
#define rb_doctor_h

#include "vm/config/config.h"

/* Asks the doctor of every resource of the target; a resource that does not
** answer is a "bad" row. 0, or a problem of ours. */
int rb_doctor_resources (rb_Config *c, rb_Target *t,
    int (*row) (void *ud, const char *resource, const char *name,
                const char *status, const char *value, const char *mend),
    void *ud, rb_Problem *p);

/* Does the kernel layer hold on this machine? 'why' says what is missing. */
int rb_doctor_kernel (const char **why);

#endif
