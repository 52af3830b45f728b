/*
** data.c - files to read: data csv|log MB
**
** csv: nineteen columns as an export of virtual sessions has them, some of them quoted, one
** value in a hundred over two lines. log: JSON lines of a server, of which two in three are
** failed logins, from 5,000 addresses of which few make most. No chance in it: two files of
** one size are equal.
*/

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t state = 88172645463325252u;

static unsigned draw (unsigned below) {  /* xorshift */
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return (unsigned)(state >> 33) % below;
}

static int csvrow (char *out, size_t size, unsigned long i) {
  static const char *const titles[] = {"Careers in engineering", "\"Careers, up close\"",
                                       "\"A day in \"\"the lab\"\"\"", "Ask me about film"};
  const char *more = i % 100 == 7 ? "\"first line\nsecond line\"" : "Science";
  return snprintf(out, size, "PF-%lu,%s,2026-%02u-%02u,%s,%u,auth-%u,Teacher %u,Educator,North High,"
                  "Lakeview,Example Partners,KS,%u,%u,2,2,%s,Yes,Series %u\r\n", i, titles[draw(4)],
                  1 + draw(12), 1 + draw(28), draw(9) > 0 ? "Completed" : "Cancelled", 30 + draw(60),
                  draw(100000), draw(100000), draw(40), draw(30), more, draw(50));
}

static int logline (char *out, size_t size, unsigned long i) {
  unsigned who = draw(10) > 0 ? draw(50) : draw(5000);
  unsigned second = (unsigned)(i / 50 % 86400);
  int n = snprintf(out, size, "{\"at\":\"2026-11-25T%02u:%02u:%02u.%03uZ\",\"level\":\"warn\",", second / 3600,
                   second / 60 % 60, second % 60, draw(1000));
  if (i % 3 == 0)
    return n + snprintf(out + n, size - (size_t)n, "\"event\":\"REQUEST\",\"path\":\"/t/greenwood_high/dashboard\","
                        "\"status\":200,\"ms\":%u,\"ip\":\"198.51.%u.%u\"}\n", draw(900), who / 250, who % 250);
  return n + snprintf(out + n, size - (size_t)n, "\"event\":\"ADMIN_LOGIN_FAILED\",\"login_failures\":%u,"
                      "\"user\":\"teacher%u@riverside.example\",\"ip\":\"198.51.%u.%u\"}\n", 1 + draw(9),
                      draw(3000), who / 250, who % 250);
}

int main (int argc, char **argv) {
  char out[1024];
  int csv = argc == 3 && strcmp(argv[1], "csv") == 0;
  if (argc != 3 || (!csv && strcmp(argv[1], "log") != 0)) {
    fputs("data csv|log MB\n", stderr);
    return 2;
  }
  uint64_t left = strtoull(argv[2], NULL, 10) << 20;
  if (csv && puts("Session ID,Title,Date,Status,Duration,User Auth Id,Name,SignUp Role,School,District or Company,"
                  "Partner,State,Registered Student Count,Attended Student Count,Registered Educator Count,"
                  "Attended Educator Count,Career Cluster,Work Based Learning,Series or Event Title\r") < 0) return 1;
  for (unsigned long i = 0; left > sizeof out; i++) {
    int n = csv ? csvrow(out, sizeof out, i) : logline(out, sizeof out, i);
    if (fwrite(out, 1, (size_t)n, stdout) != (size_t)n) return 1;
    left -= (uint64_t)n;
  }
  return fflush(stdout) == 0 ? 0 : 1;
}
