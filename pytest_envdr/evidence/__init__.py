"""What is left of an exercise: one record, many renderings.

events      `events.jsonl`: what happened, appended as it happens; the truth
stories     the events of one drill
record      events -> `record.json`, by `record.schema.json`; its values are `rows`, a drill's is made in `drills`
outages     the probe's answers -> how long, how often and in which way a client was let down
fidelity    the API calls -> what stood behind their answers
verdicts    what a drill amounts to, judged from all that
html        `report.html`, the pytest-html report: `reports` are replayed by the plugin `replay`, in its own process
page        its head; `section` a drill in it, `folds` what is long there, `enclosures` what is attached
drawing     a drill's time-line as SVG, on a `scale`, with `labels`
markup      escaped by default; `wording` has the figures' form
"""
