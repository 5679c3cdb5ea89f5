#ifndef FLINC_VERSION_H
#define FLINC_VERSION_H

/* The version of the library that is loaded, as "0.1.0". Static text, never NULL. Any thread. */
const char *fl_version(void);

#endif
