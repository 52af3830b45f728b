#!/usr/bin/python3
"""twenty.py - the looks of twenty.sh in one process, with the libraries that one would take."""

import os

import psycopg2
import redis
import requests

SCHOOLS = ["greenwood_high", "riverside", "st-marys"]

pages = ["/health", "/health/ready", "/health/queues", "/health/golive/pilot"]
for school in SCHOOLS:
    pages += [f"/health/golive/tenant/{school}", f"/t/{school}/dashboard"]
with requests.Session() as http:
    for page in pages:
        print(http.get(os.environ["ERP_URL"] + page, timeout=10).status_code)

with psycopg2.connect(os.environ["ERP_PG"]) as pg, pg.cursor() as cursor:
    for sql in [f'SELECT count(*) FROM "{s}".user_sessions WHERE is_active' for s in SCHOOLS] + [
            "SELECT count(*) FROM greenwood_high.jobs WHERE status = 'failed'",
            "SELECT count(*) FROM public.schools"]:
        cursor.execute(sql)
        print(cursor.fetchone()[0])

with redis.Redis.from_url(os.environ["ERP_REDIS"]) as cache:
    for school in SCHOOLS:
        print(cache.get(f"tenant:blocked:{school}"))
    print(cache.llen("bull:notifications:wait"))
    print(cache.zcard("bull:notifications:failed"))
