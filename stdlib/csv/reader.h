/*
** reader.h - a CSV file or text, a row at a time (RFC 4180)
*/

#ifndef rb_csvreader_h
#define rb_csvreader_h

#include <stddef.h>

#define RB_CSV_ROWMAX ((size_t)1 << 20)   /* bytes of one row */
#define RB_CSV_FIELDMAX 16384             /* fields of one row */

typedef struct Field {
  const char *s;             /* as it stands in the file, quotes and all */
  size_t n;
  unsigned char quoted;      /* it begins with a quote */
  unsigned char marked;      /* it holds quotes besides the outer two */
} Field;

/* what is wrong with a row, one bit each */
enum {
  RB_CSV_ODD = 1,            /* it may hold NUL bytes, or not be ASCII: look */
  RB_CSV_UNCLOSED = 2,       /* the text ended inside quotes */
  RB_CSV_UNTIDY = 4,         /* text goes on behind a closing quote */
  RB_CSV_MANY = 8            /* more than RB_CSV_FIELDMAX fields: not all are there */
};

typedef struct Reader {
  int fd;                    /* -1: the text is in memory */
  const char *memory;
  long long at, size;        /* read so far; size: of the text in memory */
  char *buf;                 /* NULL: closed */
  size_t room, from, end;    /* buf[from .. end) is not given out yet */
  int ended;                 /* there is no more to read */
  char delimiter;
  Field *field;
  size_t nfields, sizefields;
  const char *row;           /* the row as it stands, without its line end */
  size_t rowlen;
  unsigned flags;
  long long line, next;      /* where this row begins, and the next one */
  long long quote;           /* the line of its last opening quote */
  long long crlf, lf;        /* how many lines end so */
} Reader;

typedef enum Got { RB_CSV_END, RB_CSV_ROW, RB_CSV_FAILED, RB_CSV_LONG,
                   RB_CSV_NOMEMORY } Got;

/* Opens a reader of a descriptor (which stays its owner's), or with fd -1 of a text;
** reads the first piece. RB_CSV_ROW when that went well. */
Got rb_csv_open (Reader *r, int fd, const char *s, size_t n);

/* The next row that is no empty line. RB_CSV_LONG: it is longer than RB_CSV_ROWMAX
** (r->line says where it begins); nothing after it can be read. RB_CSV_FAILED: errno. */
Got rb_csv_next (Reader *r);

void rb_csv_close (Reader *r);

/* What a field means; 'scratch' (f->n bytes) is written where it is not there as it is. */
const char *rb_csv_value (const Field *f, char *scratch, size_t *n);

#endif
