/*
** vouchers.c - the third application of the sandbox: vouchers, campaigns, stations
**
** It runs twice: as production, and as the staging that production's backup is
** restored into. Which of the two it is, its .env says.
*/

#include "vouchers/vouchers.h"

const char *const erp_name = "vouchers-server";

static const Route routes[] = {
  {"GET", {"health"}, vouchers_health},
  {"GET", {"api", "integrations", "status"}, vouchers_status},
  {"GET", {"v1", "projects", "*", "backups"}, vouchers_manifest},
  {"POST", {"api", "vouchers", "issue"}, vouchers_issue},
  {"POST", {"api", "vouchers", "redeem"}, vouchers_redeem},
  {"POST", {"api", "station", "redeem"}, vouchers_station_redeem},
  {"GET", {"api", "campaigns", "*", "status"}, vouchers_campaign_status},
  {"POST", {"api", "campaigns", "*", "start"}, vouchers_campaign_start},
  {"POST", {"api", "campaigns", "*", "stop"}, vouchers_campaign_stop},
  {"POST", {"api", "campaigns", "*", "send"}, vouchers_campaign_send},
  {NULL, {NULL}, NULL}
};

int main (int argc, char **argv) {
  static App app = {.routes = routes};
  return erp_main(argc, argv, &app, NULL);
}
