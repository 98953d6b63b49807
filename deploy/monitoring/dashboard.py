#!/usr/bin/env python3
"""Prints the Grafana dashboard (deploy/generate keeps deploy/monitoring/dashboard.json): one row to a line of ROWS."""

import json

RATE = "[$__rate_interval]"
# Each panel: title, unit, [(expression, legend)]; stat panels say "stat" as their fourth.
ROWS = [
    ("Now", [
        ("Webhooks", "none", [('count(tidemark_build_info{program="webhook"})', "")], "stat"),
        ("Sweepers that lead", "none", [("sum(tidemark_leader)", "")], "stat"),
        ("Certificate expires in", "s", [("min(tidemark_certificate_not_after_seconds) - time()", "")], "stat"),
        ("Since the last whole sweep", "s", [("time() - max(tidemark_sweep_last_success_timestamp_seconds)", "")], "stat"),
        ("Workloads", "none", [("max(tidemark_sweep_workloads)", "")], "stat"),
        ("Slots held", "none", [('max(tidemark_sweep_slots{verdict="held"})', "")], "stat"),
    ]),
    ("Admission", [
        ("Admissions by outcome", "reqps", [(f"sum by (outcome) (rate(tidemark_admissions_total{RATE}))", "{{outcome}}")]),
        ("Time of an admission", "s", [
            (f"histogram_quantile({q}, sum by (le) (rate(tidemark_admission_duration_seconds_bucket{RATE})))", f"p{int(q * 100)}")
            for q in (0.5, 0.99)]),
        ("Waiting for registries", "none", [("sum(tidemark_admissions_in_flight)", "in flight"),
                                            (f"sum(rate(tidemark_admissions_overloaded_total{RATE}))", "overloaded per second")]),
    ]),
    ("Registries", [
        ("Requests by outcome", "reqps", [(f"sum by (registry, outcome) (rate(tidemark_registry_requests_total{RATE}))",
                                           "{{registry}} {{outcome}}")]),
        ("Time to a digest, p99", "s", [
            (f"histogram_quantile(0.99, sum by (le, cache) (rate(tidemark_resolve_seconds_bucket{RATE})))", "{{cache}}")]),
        ("Oldest slot without an answer", "s", [("max(tidemark_sweep_oldest_unresolved_seconds)", "")]),
    ]),
    ("Rolls", [
        ("Slots by verdict", "none", [('max by (verdict) (tidemark_sweep_slots{verdict!="up-to-date"})', "{{verdict}}")]),
        ("Rolls", "none", [("sum by (outcome) (increase(tidemark_rolls_total[$__rate_interval]))", "{{outcome}}")]),
        ("Rollouts under way", "none", [("max(tidemark_rollouts_under_way)", "under way"), ("max(tidemark_rollouts_max)", "bound")]),
        ("From moved to rolled, p90", "s", [
            (f"histogram_quantile(0.9, sum by (le) (rate(tidemark_roll_delay_seconds_bucket{RATE})))", "")]),
        ("From push to rolled, p90", "s", [
            (f"histogram_quantile(0.9, sum by (le) (rate(tidemark_push_to_roll_seconds_bucket{RATE})))", "")]),
        ("Time of a sweep", "s", [
            (f"histogram_quantile(0.9, sum by (le) (rate(tidemark_sweep_duration_seconds_bucket{RATE})))", "p90")]),
    ]),
    ("Around", [
        ("Requests to the API server", "reqps", [(f"sum by (verb, code) (rate(tidemark_kube_requests_total{RATE}))", "{{verb}} {{code}}")]),
        ("Pushes announced", "reqps", [(f"sum by (source, outcome) (rate(tidemark_push_posts_total{RATE}))", "{{source}} {{outcome}}")]),
        ("Notifications that wait", "none", [("sum by (sink) (tidemark_notifications_queued)", "{{sink}}")]),
    ]),
]


def panel(number, title, unit, targets, kind, place):
    return {"id": number, "title": title, "type": kind, "gridPos": place, "datasource": {"type": "prometheus", "uid": "${datasource}"},
            "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
            "targets": [{"refId": chr(ord("A") + n), "expr": expression, "legendFormat": legend or "__auto"}
                        for n, (expression, legend) in enumerate(targets)]}


def dashboard():
    panels, number, top = [], 0, 0
    for row, entries in ROWS:
        number += 1
        panels.append({"id": number, "title": row, "type": "row", "collapsed": False, "panels": [],
                       "gridPos": {"h": 1, "w": 24, "x": 0, "y": top}})
        top += 1
        stats = len(entries[0]) == 4
        width, height = (4, 4) if stats else (8, 8)
        for index, (title, unit, targets, *_) in enumerate(entries):
            number += 1
            place = {"h": height, "w": width, "x": index * width % 24, "y": top + index * width // 24 * height}
            panels.append(panel(number, title, unit, targets, "stat" if stats else "timeseries", place))
        top += (len(entries) * width + 23) // 24 * height
    return {"uid": "tidemark", "title": "Tidemark", "tags": ["tidemark"], "schemaVersion": 39, "editable": True, "refresh": "1m",
            "time": {"from": "now-6h", "to": "now"}, "panels": panels,
            "templating": {"list": [{"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"}]}}


print(json.dumps(dashboard(), indent=1))
