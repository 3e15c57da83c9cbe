// The queries of alert rules and dashboard, and what each asks for that an exposition does not show.

package main

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
)

// A query is a PromQL expression, where it stands, and the labels that its result is shown with.
type query struct {
	where, expr string
	shown       []string
}

// Labels that Prometheus adds to each scrape.
var targetLabels = set{"cluster": true, "namespace": true, "job": true, "pod": true, "instance": true}

// Series that Prometheus makes itself.
var ownSeries = set{"up": true}

var promql = parser.NewParser(parser.Options{})

func rulesQueries(path string) ([]query, error) {
	rules, errs := rulefmt.ParseFile(path, false, model.UTF8Validation, promql, slog.Default())
	if len(errs) > 0 {
		return nil, errs[0]
	}
	inTemplate := regexp.MustCompile(`\$labels\.(\w+)`)
	var queries []query
	for _, group := range rules.Groups {
		for _, rule := range group.Rules {
			var text strings.Builder
			for _, annotation := range rule.Annotations {
				text.WriteString(annotation)
			}
			queries = append(queries, query{rule.Alert + rule.Record, rule.Expr, captured(inTemplate, text.String())})
		}
	}
	return queries, nil
}

// What this program knows of a dashboard.
type dashboard struct {
	Panels     []panel `json:"panels"`
	Templating struct {
		List []struct {
			Name, Type string
			Query      json.RawMessage `json:"query"`
		} `json:"list"`
	} `json:"templating"`
	Annotations struct {
		List []target `json:"list"`
	} `json:"annotations"`
}

type panel struct {
	Title   string   `json:"title"`
	Targets []target `json:"targets"`
	Panels  []panel  `json:"panels"`
}

type target struct {
	Expr         string `json:"expr"`
	LegendFormat string `json:"legendFormat"`
}

func dashboardQueries(path string) ([]query, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var board dashboard
	if err := json.Unmarshal(text, &board); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	queries := panelQueries(board.Panels)
	for _, annotation := range board.Annotations.List {
		if annotation.Expr != "" {
			queries = append(queries, query{"annotation", annotation.Expr, nil})
		}
	}
	values := regexp.MustCompile(`^label_values\((.+),\s*(\w+)\)$`)
	for _, variable := range board.Templating.List {
		if variable.Type != "query" {
			continue
		}
		var of struct {
			Query string `json:"query"`
		}
		if err := json.Unmarshal(variable.Query, &of); err != nil {
			return nil, fmt.Errorf("%s: variable %s: %w", path, variable.Name, err)
		}
		found := values.FindStringSubmatch(of.Query)
		if found == nil {
			return nil, fmt.Errorf("%s: variable %s is not made of label_values(series, label)", path, variable.Name)
		}
		queries = append(queries, query{"variable " + variable.Name, found[1], found[2:]})
	}
	return queries, nil
}

func panelQueries(panels []panel) []query {
	inLegend := regexp.MustCompile(`{{\s*(\w+)\s*}}`)
	var queries []query
	for _, panel := range panels {
		for _, target := range panel.Targets {
			queries = append(queries, query{"panel " + panel.Title, target.Expr, captured(inLegend, target.LegendFormat)})
		}
		queries = append(queries, panelQueries(panel.Panels)...)
	}
	return queries
}

func captured(pattern *regexp.Regexp, text string) []string {
	var all []string
	for _, match := range pattern.FindAllStringSubmatch(text, -1) {
		all = append(all, match[1])
	}
	return all
}

// Grafana's variables that stand for a duration. Those within label values are as good as any value.
var durations = regexp.MustCompile(`\$(__rate_interval|__interval|__range)\b`)

// problems says what the query asks for that the exposition does not show.
func (q query) problems(shown *exposition) []string {
	expr, err := promql.ParseExpr(durations.ReplaceAllString(q.expr, "5m"))
	if err != nil {
		return []string{fmt.Sprintf("%s: %v", q.where, err)}
	}
	var problems []string
	say := func(format string, of ...any) {
		problems = append(problems, q.where+": "+fmt.Sprintf(format, of...))
	}
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		switch node := node.(type) {
		case *parser.VectorSelector:
			name := seriesName(node)
			known, found := shown.labels[name]
			if !found && !ownSeries[name] {
				say("%q is no metric of the exposition", name)
				return nil
			}
			for _, matcher := range node.LabelMatchers {
				label := matcher.Name
				switch {
				case label == model.MetricNameLabel || targetLabels[label] || known[label]:
				case found && known == nil:
					say("%q has no sample in the exposition, so nothing is known of its label %q", name, label)
				default:
					say("%q has no label %q", name, label)
				}
			}
		case *parser.AggregateExpr:
			if !node.Without {
				sayUnknown(say, node.Grouping, node.Expr, shown)
			}
		case *parser.BinaryExpr:
			if matching := node.VectorMatching; matching != nil && matching.On {
				sayUnknown(say, matching.MatchingLabels, node.LHS, shown)
				sayUnknown(say, matching.MatchingLabels, node.RHS, shown)
			}
			if matching := node.VectorMatching; matching != nil {
				sayUnknown(say, matching.Include, node, shown)
			}
		}
		return nil
	})
	sayUnknown(say, q.shown, expr, shown)
	return problems
}

// sayUnknown says which of the labels no series below the node can have.
func sayUnknown(say func(string, ...any), names []string, below parser.Node, shown *exposition) {
	have := set{}
	parser.Inspect(below, func(node parser.Node, _ []parser.Node) error {
		if selector, is := node.(*parser.VectorSelector); is {
			for label := range shown.labels[seriesName(selector)] {
				have[label] = true
			}
		}
		return nil
	})
	for _, name := range names {
		if !have[name] && !targetLabels[name] {
			say("nothing in %q has the label %q", below, name)
		}
	}
}

func seriesName(selector *parser.VectorSelector) string {
	for _, matcher := range selector.LabelMatchers {
		if matcher.Name == model.MetricNameLabel && matcher.Type == labels.MatchEqual {
			return matcher.Value
		}
	}
	return selector.Name
}
