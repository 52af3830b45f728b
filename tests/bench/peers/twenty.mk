# twenty.mk - the looks of twenty.sh as the targets of a Makefile

schools := greenwood_high riverside st-marys
pages   := /health /health/ready /health/queues /health/golive/pilot \
           $(schools:%=/health/golive/tenant/%) $(schools:%=/t/%/dashboard)
psql    := psql -XAtq "$$ERP_PG" -c
redis   := redis-cli -u "$$ERP_REDIS" --no-auth-warning

.PHONY: all failed-jobs schools waiting failed \
        $(pages) $(schools:%=sessions-%) $(schools:%=blocked-%)
all: $(pages) $(schools:%=sessions-%) failed-jobs schools $(schools:%=blocked-%) waiting failed

$(pages):
	@curl -sS -o /dev/null "$$ERP_URL$@"
$(schools:%=sessions-%): sessions-%:
	@$(psql) 'SELECT count(*) FROM "$*".user_sessions WHERE is_active'
failed-jobs:
	@$(psql) "SELECT count(*) FROM greenwood_high.jobs WHERE status = 'failed'"
schools:
	@$(psql) 'SELECT count(*) FROM public.schools'
$(schools:%=blocked-%): blocked-%:
	@$(redis) GET tenant:blocked:$*
waiting:
	@$(redis) LLEN bull:notifications:wait
failed:
	@$(redis) ZCARD bull:notifications:failed
