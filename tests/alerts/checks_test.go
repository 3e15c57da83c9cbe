// The checker itself: what is there is no problem, what is not is named, and a bad exposition is refused.

package main

import (
	"strings"
	"testing"
)

const shownText = `# HELP app_calls Calls.
# TYPE app_calls counter
app_calls_total{action="Get",status="200"} 1
# HELP app_idle Idle.
# TYPE app_idle counter
# HELP app_call_seconds Time.
# TYPE app_call_seconds histogram
# UNIT app_call_seconds seconds
app_call_seconds_sum 1
app_call_seconds_count 1
app_call_seconds_bucket{le="1.0"} 1
app_call_seconds_bucket{le="+Inf"} 1
# HELP app_build Build.
# TYPE app_build info
app_build_info{version="1"} 1
# EOF
`

func TestWhatTheExpositionShowsIsNoProblem(t *testing.T) {
	shown, err := parseExposition([]byte(shownText))
	if err != nil {
		t.Fatal(err)
	}
	problems, err := shown.lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range []query{
		{expr: `sum by (namespace, status) (rate(app_calls_total{action="Get", job=~"$job"}[$__rate_interval]))`, shown: []string{"status", "pod"}},
		{expr: `histogram_quantile(0.9, sum by (le) (rate(app_call_seconds_bucket[5m])))`},
		{expr: `app_build_info and on (pod) up == 0`, shown: []string{"version"}},
		{expr: `app_idle_total > 0`},
	} {
		problems = append(problems, q.problems(shown)...)
	}
	if len(problems) > 0 {
		t.Error(strings.Join(problems, "\n"))
	}
}

func TestWhatTheExpositionLacksIsNamed(t *testing.T) {
	shown, err := parseExposition([]byte(shownText))
	if err != nil {
		t.Fatal(err)
	}
	for _, of := range []struct {
		query   query
		problem string
	}{
		{query{expr: `rate(app_call_total[5m])`}, `"app_call_total" is no metric`},
		{query{expr: `app_calls`}, `"app_calls" is no metric`},
		{query{expr: `{__name__="app_errors"}`}, `"app_errors" is no metric`},
		{query{expr: `app_calls_total{code="200"}`}, `"app_calls_total" has no label "code"`},
		{query{expr: `app_idle_total{action="Get"}`}, `"app_idle_total" has no sample`},
		{query{expr: `sum by (code) (app_calls_total)`}, `has the label "code"`},
		{query{expr: `app_calls_total and on (version) app_build_info`}, `has the label "version"`},
		{query{expr: `app_calls_total * on (pod) group_left (release) app_build_info`}, `has the label "release"`},
		{query{expr: `app_build_info`, shown: []string{"action"}}, `has the label "action"`},
		{query{expr: `sum(app_build_info`}, `unclosed left parenthesis`},
	} {
		problems := strings.Join(of.query.problems(shown), "\n")
		if !strings.Contains(problems, of.problem) {
			t.Errorf("%s: expected to hear %q, got %q", of.query.expr, of.problem, problems)
		}
	}
}

func TestABadExpositionIsRefused(t *testing.T) {
	for _, of := range []struct{ old, new, problem string }{
		{"# EOF\n", "", "not OpenMetrics"},
		{`{version="1"}`, `{version=1}`, "not OpenMetrics"},
		{"app_calls_total{", "app_calls{", "sample of no declared metric"},
		{"app_call_seconds_count 1\n", "app_call_seconds_count 1\napp_call_seconds_count 1\n", "twice"},
	} {
		if _, err := parseExposition([]byte(strings.Replace(shownText, of.old, of.new, 1))); err == nil || !strings.Contains(err.Error(), of.problem) {
			t.Errorf("%q instead of %q: expected to hear %q, got %v", of.new, of.old, of.problem, err)
		}
	}
}

func TestANameAgainstTheConventionsIsReported(t *testing.T) {
	for old, of := range map[string]struct{ new, problem string }{
		"# HELP app_idle Idle.\n": {"", "app_idle_total: no help text"},
		"# EOF\n":                 {"# HELP app_wait_ms Wait.\n# TYPE app_wait_ms gauge\napp_wait_ms 1\n# EOF\n", "app_wait_ms: metric names should not contain abbreviated units"},
		"# HELP app_build Build.": {"# HELP app_done_total Done.\n# TYPE app_done_total gauge\napp_done_total 1\n# HELP app_build Build.", `non-counter metrics should not have "_total" suffix`},
	} {
		shown, err := parseExposition([]byte(strings.Replace(shownText, old, of.new, 1)))
		if err != nil {
			t.Fatal(err)
		}
		if problems, err := shown.lint(); err != nil || !strings.Contains(strings.Join(problems, "\n"), of.problem) {
			t.Errorf("%q instead of %q: expected to hear %q, got %q, %v", of.new, old, of.problem, problems, err)
		}
	}
}
