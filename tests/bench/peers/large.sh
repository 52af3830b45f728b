#!/bin/bash
# large.sh - failed logins by address, as people count them: large.sh LOG
grep login_failures "$1" | grep -oP '"ip":"\K[^"]*' | sort | uniq -c | sort -rn | head -10
