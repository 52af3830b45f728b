/*
** drill.h - what a drill does to a run from inside its process
**
** Only `runbook drill` makes one of these, in a child of its own and for a sandbox:
** no option, variable or script reaches it. A point is a moment in the life of an
** effect; at one of them the process ends as by a power cut, or a fault begins.
*/

#ifndef rb_drill_h
#define rb_drill_h

struct rb_Task;

typedef enum rb_Point {
  RB_POINT_BEGIN,    /* it will be performed (a remedy: its preview has looked) */
  RB_POINT_INTENT,   /* its intent is about to be taped */
  RB_POINT_INTENDED, /* that is durable */
  RB_POINT_OVER,     /* the module has returned, or raised */
  RB_POINT_DONE,     /* the same, of a deed that did not fail */
  RB_POINT_OUTCOME   /* the outcome of a deed is durable */
} rb_Point;

typedef enum rb_Fault {
  RB_FAULT_NONE,
  RB_FAULT_REFUSED,  /* the server's connections break, and new ones are refused */
  RB_FAULT_SILENT,   /* the server hears and says nothing more; the run's time ends */
  RB_FAULT_HALF,     /* half of the server's next answer comes, then the connection ends */
  RB_FAULT_ERROR,    /* http: status 500 in place of the server's answer */
  RB_FAULT_FULL,     /* no file can grow while the module is at work */
  RB_FAULT_TAPE,     /* the same while the intent is taped */
  RB_FAULT_LATE,     /* the same from the deed on, so that its outcome is not taped */
  RB_FAULT_NOFILES   /* no descriptor is left */
} rb_Fault;

/* another URL for a setting of the target: "school_erp" "pg" "probe" */
typedef struct rb_Route {
  char system[64], kind[16], key[16], url[1000];
} rb_Route;

typedef struct rb_Drill {
  int crash;             /* the crash point at which the run dies; 0: none */
  int said;              /* a descriptor: which point that was, or RB_FAULTMET */
  rb_Fault fault;
  const char *path;      /* of the effect that meets the fault */
  const char *target;    /* its resource: "school_erp.pg" */
  int met;               /* the fault has begun */
  int control;           /* to whoever carries the fault out; see rb_FaultOrder */
  const rb_Route *routes; int nroutes;
} rb_Drill;

#define RB_FAULTMET "met"

/* sent over 'control', answered by one byte once it holds; NONE ends all faults */
typedef struct rb_FaultOrder {
  rb_Fault fault;
  char target[96];
} rb_FaultOrder;

void rb_drill_point (struct rb_Task *t, rb_Point point);
/* 0, or errno */
int rb_drill_order (int control, rb_Fault fault, const char *target);

#endif
