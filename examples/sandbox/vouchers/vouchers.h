/*
** vouchers.h - what the parts of the voucher application share
*/

#ifndef vouchers_h
#define vouchers_h

#include "../erp/erp.h"

/* status.c: the .env is read again for each question, so that a variant of the
** sandbox can make trouble without a restart */
int vouchers_faulty (const App *app, const char *what);   /* is it in FAULTS? */
int vouchers_live (const App *app);                       /* are messages sent? */
Reply vouchers_database_failed (void);
Reply vouchers_health (App *app, const Request *r);
Reply vouchers_status (App *app, const Request *r);
Reply vouchers_manifest (App *app, const Request *r);

/* once.c */
Reply vouchers_once (App *app, const Request *r, Reply (*serve) (App *app, const Request *r));

/* voucher.c */
Reply vouchers_issue (App *app, const Request *r);
Reply vouchers_redeem (App *app, const Request *r);
Reply vouchers_station_redeem (App *app, const Request *r);

/* campaign.c */
Reply vouchers_campaign_status (App *app, const Request *r);
Reply vouchers_campaign_start (App *app, const Request *r);
Reply vouchers_campaign_stop (App *app, const Request *r);
Reply vouchers_campaign_send (App *app, const Request *r);

#endif
