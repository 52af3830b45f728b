#!/bin/bash
# fifteen.sh - nmap with fifteen.nse: the looks of twenty.sh but those at PostgreSQL
set -eu -o pipefail
here=$(dirname "$(readlink -f "$0")")

[[ $ERP_URL =~ ^http://([^:]+):([0-9]+)$ ]]
host=${BASH_REMATCH[1]} web=${BASH_REMATCH[2]}
[[ $ERP_REDIS =~ ^redis://([^:]+):([^@]+)@[^:]+:([0-9]+)/ ]]
port=${BASH_REMATCH[3]}
said=$(nmap --unprivileged -Pn -n -p "$web,$port" --script "$here/fifteen.nse" \
            --script-args "web=$web,user=${BASH_REMATCH[1]},password=${BASH_REMATCH[2]}" "$host")
[[ $said == *"10 pages"* && $said == *"5 keys"* ]] || { printf '%s\n' "$said" >&2; exit 1; }
