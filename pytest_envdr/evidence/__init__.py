"""What is left of an exercise: one record, many renderings.

events      `events.jsonl`: what happened, appended as it happens; the truth
record      events -> `record.json`, by `record.schema.json`: verdicts, actuals, findings, fidelity
outages     the probe's answers -> how long, how often and in which way a client was let down
drawing     a drill's time-line as SVG
html        `report.html`, the pytest-html report, made by replaying the events in a process of its own
"""
