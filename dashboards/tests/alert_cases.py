# SPDX-License-Identifier: GPL-2.0-or-later
"""Per alert: it fires on `hit` and says this; not before its time; not on `calm`, the neighbour
just below the threshold; not when the series are absent; and it ends, not before what silences it.

generate.py makes rules_test.yml of these, for `promtool test rules`.
"""
import re

HOST = {"job": "conntide", "netns": "host"}
LARGEST = " Largest: tcp/8080 outbound in TIME_WAIT, 6k entries."
TALKER = " 192.0.2.7 opened 4.5k of them."


def series(metric, hit=None, calm=None, **labels):
    """Values of the metric on the two hosts, in promtool's notation."""
    made = []
    for instance, values in (("hit", hit), ("calm", calm)):
        if values is None:
            continue
        pairs = {"job": HOST["job"], "instance": instance, "netns": HOST["netns"], **labels}
        inner = ",".join(f'{name}="{value}"' for name, value in pairs.items() if value is not None)
        made.append({"series": f"{metric}{{{inner}}}", "values": values})
    return made


def cells(hit="6000x300"):
    """What the texts name: one large cell, a smaller one, the sum of the others."""
    cell = {"l4proto": "tcp", "direction": "outbound", "port": "8080"}
    return (series("conntide_entries", hit, None, **cell, state="TIME_WAIT")
            + series("conntide_entries", "100x300", None, **cell, state="ESTABLISHED")
            + series("conntide_entries", "7000x300", None, l4proto="tcp", direction="outbound",
                     port="other", state="ESTABLISHED"))


def talkers():
    return (series("conntide_talker_entries", "4500x300", None, address="192.0.2.7")
            + series("conntide_talker_entries", "20x300", None, address="192.0.2.8"))


def levels(hit, calm="OK", reason="fill"):
    """`hit`: {level: values}; calm: the level it is at all the time."""
    made = []
    for level in ("OK", "HIGH", "CRITICAL", "FULL", "UNKNOWN"):
        made += series("conntide_level", hit.get(level, "0x300"),
                       "1x300" if level == calm else "0x300", level=level)
    return made + series("conntide_level_reason", "1x300", None, reason=reason)


def case(alert, given, says, *, early, fires, over=None, labels=None, drop=(), instance="hit"):
    return {"alert": alert, "given": given, "says": says, "early": early, "fires": fires,
            "over": over, "drop": drop, "instance": instance,
            "labels": labels or {}}


ON_HIT = "The table of host on hit "

CASES = [
    case("ConntideTableFillsSoon",
         series("conntide_forecast_alarm", "0x9 1x10 0x100", "0x300")
         + series("conntide_forecast_time_to_full_seconds", "240x15 +Inf+0x100", None, bound="likely")
         + cells("3000+120x300"),
         ON_HIT + "is likely to be full within ten minutes, most likely in 4m 0s; new connections are "
         "lost when it is. Grows most: tcp/8080 outbound, 2 entries/s. Largest: tcp/8080 outbound in "
         "TIME_WAIT, 4.44k entries. Next: conntide advice.",
         early="10m30s", fires="12m30s", over="28m30s"),
    # Full already: no "most likely in 0s".
    case("ConntideTableFillsSoon",
         series("conntide_forecast_alarm", "1x10 0x100", "0x300")
         + series("conntide_forecast_time_to_full_seconds", "0x100", None, bound="likely"),
         ON_HIT + "is likely to be full within ten minutes; new connections are lost when it is. "
         "Next: conntide advice.",
         early="0m", fires="5m", over="20m"),
    # On and off within keep_firing_for is one alert.
    case("ConntideTableFillsSoon",
         series("conntide_forecast_alarm", "1x3 0x2 1x3 0x2 1x3 0x100"),
         ON_HIT + "is likely to be full within ten minutes; new connections are lost when it is. "
         "Next: conntide advice.",
         early="0m", fires="11m", over="30m"),
    case("ConntideTableFillsEventually",
         series("conntide_forecast_settles_at_entries", "12000x60 5000x200", "9900x300")
         + series("conntide_limit_entries", "10000x300", "10000x300", limit="max")
         + series("nf_conntrack_count", "6000x300", "9000x300") + cells(),
         ON_HIT + "would settle at 12k entries, more than its limit, if demand stays as it is."
         + LARGEST + " Next: conntide forecast, conntide advice.",
         early="29m", fires="40m", over="80m"),
    case("ConntideTableHigh",
         levels({"HIGH": "1x4 0x300", "CRITICAL": "0x4 1x60 0x200"}) + cells() + talkers(),
         ON_HIT + "is at level HIGH or worse. Reason: fill." + LARGEST + TALKER
         + " Next: conntide why, conntide advice.",
         early="8m30s", fires="18m30s", over="80m", drop=["level"]),
    case("ConntideTableCritical",
         levels({"CRITICAL": "1x2 0x300", "FULL": "0x2 1x60 0x200"}, "HIGH", "dropped") + cells()
         + series("conntide_drop_total", "0+60x300")
         + series("conntide_early_drop_total", "0x300")
         + series("conntide_chaintoolong_total", "0x300")
         + series("conntide_insert_failed_total", "0x300"),
         ON_HIT + "is at level CRITICAL or FULL; new connections are lost when it is full. "
         "Reason: dropped. Losses: 1/s." + LARGEST + " Next: conntide advice.",
         early="1m30s", fires="10m30s", over="80m", drop=["level"]),
    case("ConntideDrops",
         series("conntide_drop_total", "0+60x60 3600x200", "7x300") + cells(),
         "1 packets a second are dropped in host on hit." + LARGEST + " Next: conntide advice.",
         early="3m30s", fires="13m30s", over="80m"),
    case("ConntideEvictions",
         series("conntide_early_drop_total", "0+120x60 7200x200", "7x300") + cells() + talkers(),
         "2 entries a second are evicted in host on hit; packets are dropped next." + LARGEST
         + TALKER + " Next: conntide advice.",
         early="3m30s", fires="13m30s", over="80m"),
    case("ConntideChainsTooLong",
         series("conntide_chaintoolong_total", "0+60x60 3600x200", "7x300"),
         "1 packets a second are dropped in host on hit although the table is not full. Raise "
         "net.netfilter.nf_conntrack_buckets; conntide status shows the limit that follows from it.",
         early="3m30s", fires="13m30s", over="80m"),
    # As early as the level, which leaves it to this alert; one burst is none.
    case("ConntideChainsTooLong",
         series("conntide_chaintoolong_total", "0+60x60 3600x200", "0x9 600x300")
         + levels({"CRITICAL": "1x61 0x300"}, reason="chains"),
         "1 packets a second are dropped in host on hit although the table is not full. Raise "
         "net.netfilter.nf_conntrack_buckets; conntide status shows the limit that follows from it.",
         early="2m30s", fires="5m", over="80m"),
    case("ConntideInsertFailures",
         series("conntide_insert_failed_total", "0+120x60 7200x200", "0+0.5x300")
         + series("conntide_new_entries_total", "0+3000x300", "0+60x300", l4proto="udp",
                  direction="forwarded", port="53")
         + series("conntide_new_entries_total", "0+3000x300", "0+60x300", l4proto="tcp",
                  direction="forwarded", port="443"),
         "2% of new entries fail in host on hit. A NAT pool (conntide nat), long chains, or DNS "
         "races behind NAT: conntide why tells them apart.",
         early="8m30s", fires="20m30s", over="80m"),
    case("ConntideExpectationsFill",
         series("conntide_expectations", "3900x60 100x200", "3400x300")
         + series("conntide_expectations_limit", "4096x300", "4096x300"),
         "95.21% of the expectations of host on hit are in use; at the limit helpers (SIP, FTP, TFTP) "
         "drop packets. Raise net.netfilter.nf_conntrack_expect_max. Next: conntide status, "
         "conntide advice.",
         early="1m", fires="10m", over="80m"),
    # Changed after twenty minutes; on the neighbour it never was.
    case("ConntideSettingChanged",
         series("conntide_setting_changed_timestamp_seconds", "_x20 1200x200", None,
                setting="nf_conntrack_max"),
         "nf_conntrack_max was changed in host on hit 5m 0s ago. If nobody did it on purpose, two "
         "programs may be writing it (sysctl.d, kube-proxy). Next: conntide status, which has the old "
         "and the new value.",
         early="19m", fires="25m", over="31m", labels={"setting": "nf_conntrack_max"}),
    case("ConntideNatPoolFillsSoon",
         series("conntide_nat_pool_used_ratio", "0.9x60 0.2x200", "0.84x300", l4proto="tcp",
                remote_port="443")
         + series("conntide_nat_pool_ports", "58000x300", None, l4proto="tcp",
                  address="203.0.113.1", remote="198.51.100.9", remote_port="443"),
         "90% of the ports of one outside address of host on hit towards one destination (tcp/443) "
         "cannot be had; from 90 % on new connections fail, and a larger table does nothing. "
         "Fullest: 203.0.113.1 towards 198.51.100.9 port 443, 58k ports in use. Next: conntide nat.",
         early="0m", fires="10m", over="80m", labels={"l4proto": "tcp", "remote_port": "443"}),
    # By the forecast, long before it is full; without addresses.
    case("ConntideNatPoolFillsSoon",
         series("conntide_nat_pool_used_ratio", "0.4x300", "0.4x300", l4proto="udp",
                remote_port="53")
         + series("conntide_forecast_nat_time_to_full_seconds", "300x60 +Inf+0x200", "601x300",
                  bound="likely"),
         "40% of the ports of one outside address of host on hit towards one destination (udp/53) "
         "cannot be had; from 90 % on new connections fail, and a larger table does nothing. "
         "Next: conntide nat.",
         early="0m", fires="10m", over="80m", labels={"l4proto": "udp", "remote_port": "53"}),
    case("ConntideNatPoolExhausted",
         series("conntide_nat_pool_used_ratio", "0.97x60 0.2x200", "0.93x300", l4proto="tcp",
                remote_port="443"),
         "97% of the ports of one outside address of host on hit towards one destination (tcp/443) "
         "cannot be had. Part of the new connections fail, and a larger table does nothing. "
         "Next: conntide nat, conntide advice.",
         early="0m", fires="10m", over="80m", labels={"l4proto": "tcp", "remote_port": "443"}),
    case("ConntideOnePortHoldsHalf",
         cells() + series("conntide_entries", None, "4900x300", l4proto="tcp", direction="inbound",
                          port="80", state="TIME_WAIT")
         + series("conntide_mirror_entries", "10000x60 20000x200", "10000x300")
         + series("conntide_limit_entries", "15000x300", "15000x300", limit="max")
         + series("nf_conntrack_count", "10000x300", "10000x300"),
         "tcp/8080 outbound holds 61% of the table of host on hit." + LARGEST
         + " Next: conntide why.",
         early="9m", fires="20m", over="80m",
         labels={"l4proto": "tcp", "direction": "outbound", "port": "8080"}),
    case("ConntideOneHostHoldsHalf",
         series("conntide_largest_talker_ratio", "0.75x60 0.1x200", "0.49x300") + cells() + talkers()
         + series("conntide_limit_entries", "10000x300", "10000x300", limit="max")
         + series("nf_conntrack_count", "6000x300", "9000x300"),
         "One address opened 75% of the entries of host on hit." + TALKER + LARGEST
         + " Next: conntide talkers.",
         early="9m", fires="20m", over="80m"),
    case("ConntideIncidentActive",
         series("conntide_incident_active", "0x4 1x9 0x100", "0x300") + cells(),
         ON_HIT + "passed 80 % of its limit, or losses began, and it has not recovered." + LARGEST
         + " Next: conntide incidents.",
         early="5m30s", fires="12m", over="22m30s"),
    case("ConntideForecastUnreliable",
         series("conntide_forecast_compared_total", "0+1x500", "0+1x500", horizon="600")
         + series("conntide_forecast_held_total", "0+0.25x500", "0+0.75x500", horizon="600")
         + series("conntide_forecast_compared_total", None, "0+1x500", horizon="30")
         + series("conntide_forecast_held_total", None, "0+0.25x500", horizon="30"),
         "Of the forecasts over ten minutes for host on hit 25% held in six hours, where 80 % "
         "should. Next: conntide forecast --history.",
         early="100m30s", fires="410m30s", labels={"horizon": "600"}),
    case("ConntideNotExact",
         series("conntide_quality", "1x60 0x200", "0x300", quality="not_exact")
         + series("conntide_quality", "0x300", "1x300", quality="verified"),
         "For 15 minutes the numbers by port and state of host on hit may differ from the "
         "kernel's. Next: conntide status, which gives the reason.",
         early="13m30s", fires="25m30s", over="80m", drop=["quality"]),
    case("ConntideEventsLost",
         series("conntide_events_lost_total", "0+60x60 3600x200", "7x300"),
         "1 events a second are lost in host on hit; each loss costs a dump. Raise --event-buffer of "
         "conntide-agent. Next: conntide status.",
         early="3m30s", fires="13m30s", over="80m"),
    case("ConntideAgentDegraded",
         series("conntide_agent_state", "1x60 0x200", "0x300", state="degraded"),
         "The agent of host on hit cannot keep up with all events. Give it CPU. Next: conntide status.",
         early="3m30s", fires="13m30s", over="80m", labels={"state": "degraded"}),
    case("ConntideAgentDown",
         series("conntide_agent_state", "1x60 0x200", "0x300", state="silent")
         + series("conntide_agent_state", "0x300", "1x300", state="starting"),
         "The agent of host on hit is silent. Next: systemctl status conntide-agent.",
         early="1m30s", fires="10m30s", over="80m", labels={"state": "silent"}),
    case("ConntideExporterDown",
         series("up", "0x60 1x200", "1x300", netns=None),
         "Prometheus gets no answer from hit. Next: systemctl status conntide-exporter.",
         early="3m30s", fires="10m30s", over="80m", drop=["netns"]),
    case("ConntideWebConfigBroken",
         series("conntide_config_last_reload_successful", "0x60 1x200", "1x300", netns=None),
         "hit goes on with the configuration it had before. Look for the line with promtool check "
         "web-config.",
         early="3m30s", fires="10m30s", over="80m", drop=["netns"]),
]

# What makes an alert fire until that minute, and no longer.
UNTIL = {
    "ConntideTableCritical": lambda end: levels({"CRITICAL": f"1x{end} 0x300",
                                                 "OK": f"0x{end} 1x300"}),
    "ConntideTableHigh": lambda end: levels({"HIGH": f"1x{end} 0x300", "OK": f"0x{end} 1x300"}),
    "ConntideTableFillsSoon": lambda end: series("conntide_forecast_alarm", f"1x{end} 0x300"),
    "ConntideTableFillsEventually": lambda end: (
        series("conntide_forecast_settles_at_entries", f"12000x{end} 5000x300")
        + series("conntide_limit_entries", "10000x400", None, limit="max")
        + series("nf_conntrack_count", "6000x400")),
    "ConntideDrops": lambda end: series("conntide_drop_total", f"0+60x{end} {60 * end}x300"),
    "ConntideEvictions": lambda end: series("conntide_early_drop_total",
                                            f"0+60x{end} {60 * end}x300"),
    "ConntideNatPoolExhausted": lambda end: series(
        "conntide_nat_pool_used_ratio", f"0.97x{end} 0.2x300", None, l4proto="tcp",
        remote_port="443"),
    "ConntideNatPoolFillsSoon": lambda end: series(
        "conntide_nat_pool_used_ratio", f"0.9x{end} 0.2x300", None, l4proto="tcp",
        remote_port="443"),
    "ConntideChainsTooLong": lambda end: series("conntide_chaintoolong_total",
                                                f"0+60x{end} {60 * end}x300"),
    "ConntideInsertFailures": lambda end: (
        series("conntide_insert_failed_total", f"0+120x{end} {120 * end}x300")
        + series("conntide_new_entries_total", "0+3000x400", None, l4proto="udp",
                 direction="forwarded", port="53")),
    "ConntideExpectationsFill": lambda end: (
        series("conntide_expectations", f"3900x{end} 100x300")
        + series("conntide_expectations_limit", "4096x400")),
    "ConntideAgentDown": lambda end: series("conntide_agent_state", f"1x{end} 0x300", None,
                                            state="silent"),
    "ConntideAgentDegraded": lambda end: series("conntide_agent_state", f"1x{end} 0x300", None,
                                                state="degraded"),
    "ConntideNotExact": lambda end: series("conntide_quality", f"1x{end} 0x300", None,
                                           quality="not_exact"),
    "ConntideEventsLost": lambda end: series("conntide_events_lost_total",
                                             f"0+60x{end} {60 * end}x300"),
    "ConntideExporterDown": lambda end: series("up", f"0x{end} 1x300", netns=None),
    "ConntideWebConfigBroken": lambda end: series("conntide_config_last_reload_successful",
                                                  f"0x{end} 1x300", netns=None),
}

ABSENT = {
    "name": "ConntideAbsent: no target", "interval": "1m",
    "input_series": [{"series": 'up{job="node",instance="other"}', "values": "1x300"}],
    "says": "No target of this Prometheus is an exporter of conntide: a scrape configuration is "
            "missing, or service discovery finds nothing."}


def filled(text, labels):
    """An annotation whose only templates are labels."""
    return re.sub(r"{{ \$labels\.(\w+) }}", lambda match: labels.get(match[1], ""), text)


def expected(rule, labels, says):
    notes = rule["annotations"]
    return [{
        "exp_labels": {"severity": rule["labels"]["severity"], **labels},
        "exp_annotations": {
            "summary": notes["summary"], "description": says,
            "resolved": filled(notes["resolved"], labels),
            "runbook_url": notes["runbook_url"],
            "dashboard_url": filled(notes["dashboard_url"], labels)},
    }]


def fires(one, rule):
    labels = {**HOST, "instance": one["instance"], **one["labels"]}
    for name in one["drop"]:
        labels.pop(name, None)
    when = [(one["early"], []), (one["fires"], expected(rule, labels, one["says"]))]
    if one["over"]:
        when.append((one["over"], []))
    return {"name": one["alert"], "interval": "1m", "input_series": one["given"],
            "alert_rule_test": [{"eval_time": at, "alertname": one["alert"], "exp_alerts": alerts}
                                for at, alerts in when]}


def absent(one):
    return {"name": one["alert"] + ": series absent", "interval": "1m",
            "input_series": [{"series": "unrelated", "values": "1x500"}],
            "alert_rule_test": [{"eval_time": one["fires"], "alertname": one["alert"],
                                 "exp_alerts": []}]}


def firing(name):
    return f'(count(ALERTS{{alertname="{name}",alertstate="firing"}}) or vector(0))'


def goes_on(source, target):
    """The target's cause ends ten minutes before the source's: from then on they are one, up to
    the same minute. Who is silenced meanwhile would not be told of the end."""
    given, known = [], set()
    for one in UNTIL[source](60) + UNTIL[target](50):
        # Where both are told from one series, the source's cause is the target's too.
        if one["series"] not in known:
            known.add(one["series"])
            given.append(one)
    return {"name": f"{target} goes on as long as {source}", "interval": "1m",
            "input_series": given,
            "promql_expr_test": [
                {"expr": firing(target), "eval_time": "59m", "exp_samples": [{"value": 1}]},
                {"expr": f"max_over_time(abs({firing(target)} - {firing(source)})[45m:1m])",
                 "eval_time": "100m", "exp_samples": [{"value": 0}]},
                {"expr": firing(target), "eval_time": "100m", "exp_samples": [{"value": 0}]}]}


# A level whose cause has an alert of its own is not said twice: level, reason, what shows the cause,
# and which alerts are sent. The agent names the fill first.
ONCE = [
    ("HIGH", "insert-failed", "ConntideInsertFailures", {"ConntideInsertFailures"}),
    ("CRITICAL", "insert-failed", "ConntideInsertFailures", {"ConntideTableCritical"}),
    ("HIGH", "expectations", "ConntideExpectationsFill", {"ConntideExpectationsFill"}),
    ("CRITICAL", "expectations-refused", "ConntideExpectationsFill", {"ConntideTableCritical"}),
    ("HIGH", "nat-pool", "ConntideNatPoolFillsSoon", {"ConntideNatPoolFillsSoon"}),
    ("CRITICAL", "nat-pool", "ConntideNatPoolExhausted", {"ConntideNatPoolExhausted"}),
    ("CRITICAL", "chains", "ConntideChainsTooLong", {"ConntideChainsTooLong"}),
    # Near the limit as well: both are said, the one about buckets and what fills the table.
    ("CRITICAL", "fill", "ConntideChainsTooLong",
     {"ConntideTableCritical", "ConntideChainsTooLong"}),
    ("HIGH", "fill", "ConntideInsertFailures", {"ConntideTableHigh", "ConntideInsertFailures"}),
    ("CRITICAL", "fill", "ConntideNatPoolExhausted",
     {"ConntideTableCritical", "ConntideNatPoolExhausted"}),
]
ABOUT = ("ConntideTableHigh", "ConntideTableCritical", "ConntideInsertFailures",
         "ConntideExpectationsFill", "ConntideNatPoolFillsSoon", "ConntideNatPoolExhausted",
         "ConntideChainsTooLong")


def said_once(level, reason, shows, sent, inhibition):
    silencing = {name: [source for pair in inhibition for source in pair["sources"]
                        if name in pair["targets"]] for name in ABOUT}
    queries = []
    for name in ABOUT:
        loud = firing(name)
        for source in silencing[name]:
            loud = f"({loud} unless on () {firing(source)} > 0 or vector(0))"
        queries.append({"expr": loud, "eval_time": "40m",
                        "exp_samples": [{"value": int(name in sent)}]})
    return {"name": f"{level} for {reason} is said once, where {shows} is", "interval": "1m",
            "input_series": levels({level: "1x300"}, None, reason) + UNTIL[shows](200),
            "promql_expr_test": queries}


def promtool_tests(groups, inhibition):
    rules = {rule["alert"]: rule for group in groups for rule in group["rules"] if "alert" in rule}
    made = []
    for one in CASES:
        made += [fires(one, rules[one["alert"]]), absent(one)]
    gone = {key: ABSENT[key] for key in ("name", "interval", "input_series")}
    gone["alert_rule_test"] = [
        {"eval_time": "9m", "alertname": "ConntideAbsent", "exp_alerts": []},
        {"eval_time": "20m", "alertname": "ConntideAbsent",
         "exp_alerts": expected(rules["ConntideAbsent"], {}, ABSENT["says"])}]
    answers = {"name": "ConntideAbsent: one target answers", "interval": "1m",
             "input_series": series("up", "0x300", None, netns=None),
             "alert_rule_test": [{"eval_time": "20m", "alertname": "ConntideAbsent",
                                  "exp_alerts": []}]}
    made += [gone, answers]
    made += [goes_on(source, target) for pair in inhibition for source in pair["sources"]
             for target in pair["targets"] if rules[target]["labels"]["severity"] != "info"]
    made += [said_once(*one, inhibition) for one in ONCE]
    return {"rule_files": ["../rules.yml"], "evaluation_interval": "1m", "tests": made}
