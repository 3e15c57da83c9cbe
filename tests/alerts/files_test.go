// The alert rules, their unit tests, their page and the dashboard agree with each other and with the code's reasons.

package main

import (
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v3"
)

func alerts(t *testing.T) []rulefmt.Rule {
	t.Helper()
	rules, errs := rulefmt.ParseFile(rulesFile, false, model.UTF8Validation, promql, slog.Default())
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	var all []rulefmt.Rule
	for _, group := range rules.Groups {
		all = append(all, group.Rules...)
	}
	if len(all) == 0 {
		t.Fatalf("%s has no rules", rulesFile)
	}
	return all
}

func file(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestEachAlertTellsHowBadItIsAndWhereToReadOn(t *testing.T) {
	headings := set{}
	for _, found := range regexp.MustCompile(`(?m)^### (\w+)$`).FindAllStringSubmatch(file(t, "../../docs/alerts.md"), -1) {
		headings[found[1]] = true
	}
	for _, alert := range alerts(t) {
		if severity := alert.Labels["severity"]; severity != "critical" && severity != "warning" {
			t.Errorf("%s has the severity %q", alert.Alert, severity)
		}
		for _, name := range []string{"summary", "description"} {
			if alert.Annotations[name] == "" {
				t.Errorf("%s has no %s", alert.Alert, name)
			}
		}
		if runbook := "docs/alerts.md#" + strings.ToLower(alert.Alert); alert.Annotations["runbook"] != runbook {
			t.Errorf("%s has the runbook %q instead of %s", alert.Alert, alert.Annotations["runbook"], runbook)
		}
		if !headings[alert.Alert] {
			t.Errorf("docs/alerts.md has no heading ### %s", alert.Alert)
		}
		delete(headings, alert.Alert)
	}
	if len(headings) > 0 {
		t.Errorf("docs/alerts.md has alerts that do not exist: %v", headings)
	}
}

func TestEachAlertIsSeenToFireAndToBeSilent(t *testing.T) {
	var suite struct {
		Tests []struct {
			Alerts []struct {
				Name     string `yaml:"alertname"`
				Expected []any  `yaml:"exp_alerts"`
			} `yaml:"alert_rule_test"`
		} `yaml:"tests"`
	}
	if err := yaml.Unmarshal([]byte(file(t, "alerts.test.yaml")), &suite); err != nil {
		t.Fatal(err)
	}
	fires, silent := set{}, set{}
	for _, test := range suite.Tests {
		for _, alert := range test.Alerts {
			if len(alert.Expected) > 0 {
				fires[alert.Name] = true
			} else {
				silent[alert.Name] = true
			}
		}
	}
	for _, alert := range alerts(t) {
		if !fires[alert.Alert] || !silent[alert.Alert] {
			t.Errorf("alerts.test.yaml does not have %s both with and without exp_alerts", alert.Alert)
		}
	}
}

// A reason that is misspelt here and in the unit tests alike would never fire.
func TestEachConditionAndReasonIsOneOfTheController(t *testing.T) {
	code := file(t, "../../src/api/conditions.rs")
	queries, err := rulesQueries(rulesFile)
	if err != nil {
		t.Fatal(err)
	}
	ofDashboard, err := dashboardQueries(dashboardFile)
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, query := range append(queries, ofDashboard...) {
		expr, err := promql.ParseExpr(durations.ReplaceAllString(query.expr, "5m"))
		if err != nil {
			t.Fatal(err)
		}
		for _, matchers := range parser.ExtractSelectors(expr) {
			for _, value := range conditionsAndReasons(matchers) {
				seen++
				if !strings.Contains(code, fmt.Sprintf("=> %q", value)) {
					t.Errorf("%s: %s is no condition or reason of src/api/conditions.rs", query.where, value)
				}
			}
		}
	}
	if seen == 0 {
		t.Error("no query names a condition or a reason")
	}
}

func conditionsAndReasons(matchers []*labels.Matcher) []string {
	var values []string
	for _, matcher := range matchers {
		if matcher.Name == "condition" || matcher.Name == "reason" {
			values = append(values, strings.Split(matcher.Value, "|")...)
		}
	}
	return values
}

// The metrics that have the label kind, by docs/metrics.md.
var ofOneKind = regexp.MustCompile("(?m)^\\| `(streamrole_\\w+)` \\|[^|]*\\|[^|]*`kind`")

func TestEachPanelKeepsToTheChosenInstallationAndKind(t *testing.T) {
	withKind := set{}
	for _, found := range ofOneKind.FindAllStringSubmatch(file(t, "../../docs/metrics.md"), -1) {
		withKind[found[1]], withKind[found[1]+"_total"] = true, true
	}
	if len(withKind) == 0 {
		t.Fatal("docs/metrics.md has no metric with the label kind")
	}
	queries, err := dashboardQueries(dashboardFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, query := range queries {
		if !strings.HasPrefix(query.where, "panel ") {
			continue
		}
		expr, err := promql.ParseExpr(durations.ReplaceAllString(query.expr, "5m"))
		if err != nil {
			t.Fatal(err)
		}
		for _, matchers := range parser.ExtractSelectors(expr) {
			said := fmt.Sprint(matchers)
			if !strings.Contains(said, `namespace=~"$namespace"`) || !strings.Contains(said, `job=~"$job"`) {
				t.Errorf("%s does not keep to $namespace and $job: %s", query.where, query.expr)
			}
			of := slices.IndexFunc(matchers, func(matcher *labels.Matcher) bool { return matcher.Name == model.MetricNameLabel })
			if withKind[matchers[of].Value] != strings.Contains(said, `kind=~"$kind"`) {
				t.Errorf("%s does not keep to $kind, or has none: %s", query.where, query.expr)
			}
		}
	}
}
