/*
** polaris.h - what the parts of the Polaris application share
*/

#ifndef polaris_h
#define polaris_h

#include "../erp/erp.h"

/* feature.c: on unless one of its three places says "off": the application's own
** settings (PUT /features/NAME), Redis (feature:NAME), its .env. When one of them
** cannot be asked, it is off. */
int polaris_feature (const App *app, const char *name);
Reply polaris_features (App *app, const Request *r);
Reply polaris_feature_get (App *app, const Request *r);
Reply polaris_feature_put (App *app, const Request *r);
Reply polaris_health (App *app, const Request *r);
Reply polaris_provider (App *app, const Request *r);

/* link.c */
Reply polaris_link_request (App *app, const Request *r);
Reply polaris_link_check (App *app, const Request *r);
Reply polaris_link_open (App *app, const Request *r);

/* invite.c */
Reply polaris_invite (App *app, const Request *r);

/* sheet.c: a sheet of CSV as a list of lists of strings; NULL: a quote never closes */
json_t *polaris_sheet (const char *text);

/* import.c: `file` names it in virtual_session_import */
Reply polaris_import (App *app, const char *file, const char *text);
Reply polaris_import_sheet (App *app, const Request *r);

/* schedule.c: takes what lies in IMPORT_INBOX while the schedule is on */
int polaris_schedule_start (App *app);

#endif
