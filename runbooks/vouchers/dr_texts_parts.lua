-- dr_texts_parts.lua - what the tabletop drafts and writes down

local names = system("vouchers").schema

local texts = {}

-- for customers; in an exercise only a draft
function texts.holding (run)
  return text.render([[
DRAFT for review, {event} exercise of {day}. Not for customers.

We are having trouble with our voucher service since (time) UTC. Vouchers may not be issued or
redeemed for the moment; vouchers that you hold stay valid. Our team is restoring the service from
its backup. The next update comes within 30 minutes, here.
]], { event = names.event, day = run.day })
end

function texts.status_page (run)
  return text.render([[
# Status page update (draft of the {event} exercise of {day})

- State: Investigating / Identified / Monitoring / Resolved
- Components: voucher issue, voucher redemption, campaigns, stations

**(time) UTC.** Vouchers cannot be issued or redeemed since (time) UTC. The cause is (cause). We restore
the data as of (time of the backup) into a standby; in the last exercise that took {runtime}.

**Next update:** within 30 minutes.
]], { event = names.event, day = run.day, runtime = run.took })
end

function texts.escalation (run)
  return text.render([[
Subject: [escalation] Voucher service: restore from backup under way

(draft of the {event} exercise of {day})

To: leadership, account owners
From: Stakeholder Communications ({communications})

What happened: (one sentence).
Since when: (time) UTC. Who is affected: (customers, stations, campaigns).
What is done: the backup of (time) is restored into a standby; the Incident Commander is {commander}.
What may be lost: whatever was written after the backup; at most (minutes).
Cutover: decided by the Incident Commander; {rollback} rolls back if it fails.
Next update: (time) UTC.
]], { event = names.event, day = run.day, communications = run.people.stakeholder_communications,
      commander = run.people.incident_commander, rollback = run.rollback_owner })
end

-- one line of a list: what, who, until when
local function action (it)
  return text.render("- {what} Owner: {owner}, due {due}.", {
    what = it.what:match "[.!?]$" and it.what or it.what .. ".", owner = it.owner, due = it.due })
end

local function list (items, each, otherwise)
  local lines = {}
  for i, it in ipairs(items) do lines[i] = each(it) end
  return #lines > 0 and table.concat(lines, "\n") or otherwise
end

-- the section of the findings file
function texts.section (run)
  return text.render("### Latest Findings ({day} Tabletop)\n\n{list}\n", { day = run.day,
    list = list(run.actions, action, "- Nothing was found.") })
end

function texts.parity (run)
  return (text.table(run.parity, { "table", "source", "backup", "restored", "agree" }):gsub("\n$", ""))
end

local function acknowledged (it)
  return text.render("- {title} ({name}): {said}", it)
end

local function smoke (it)
  return text.render("- {name}: {said}", { name = it.name, said = (it.ok and "" or "FAILED, ") .. it.said })
end

-- the tabletop report
function texts.report (run)
  return text.render([[
# {event}, {day}

Run {run}, by {who}. Next exercise: {next}, {hour} UTC.

## Notification drill

Paged at {paged}; everybody is to acknowledge within {within}.

{acks}

The holding statement was drafted and reviewed in {channel}: [holding statement](templates/{day}-holding-statement.md).

## Backup

- runtime: {runtime}
- destination: {destination}
- storage sync: {storage}
- dump: {dump}

## Row counts, source against restored

```
{parity}
```

Restored into staging in {restore}.

## Smoke tests on staging

{smoke}

## Cutover rehearsal

DNS and environment were reviewed and not changed. Rollback owner: {rollback}.

## Drafts

- [status page update](templates/{day}-status-page.md)
- [escalation e-mail](templates/{day}-escalation-email.md)

## Findings

{findings}
]], { event = names.event, day = run.day, run = run.id, who = run.operator, next = run.next_day, hour = names.hour,
      paged = run.paged_at, within = names.ack_within, acks = list(run.acks, acknowledged, ""), channel = names.channel,
      runtime = run.took, destination = run.destination, storage = run.storage, dump = run.dump,
      parity = texts.parity(run), restore = run.restore_took, smoke = list(run.smokes, smoke, ""),
      rollback = run.rollback_owner, findings = list(run.actions, action, "- Nothing was found.") })
end

return texts
