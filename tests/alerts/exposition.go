// What a scrape shows: its series with their labels, and whether the text is as Prometheus wants it.

package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
)

// An exposition is what a scrape shows.
type exposition struct {
	// The label names of each series name; none for a family that has no samples.
	labels   map[string]set
	families []*family
}

type set map[string]bool

// A family is one metric as its program declares it, with the labels of its samples.
type family struct {
	name, help string
	kind       model.MetricType
	samples    []labels.Labels
}

// Suffixes that OpenMetrics gives to the samples of each type of metric.
var suffixes = map[model.MetricType][]string{
	model.MetricTypeCounter:        {"_total", "_created"},
	model.MetricTypeGauge:          {""},
	model.MetricTypeHistogram:      {"_bucket", "_sum", "_count", "_created"},
	model.MetricTypeGaugeHistogram: {"_bucket", "_gsum", "_gcount"},
	model.MetricTypeSummary:        {"", "_sum", "_count", "_created"},
	model.MetricTypeInfo:           {"_info"},
	model.MetricTypeStateset:       {""},
	model.MetricTypeUnknown:        {""},
}

var classicTypes = map[model.MetricType]dto.MetricType{
	model.MetricTypeCounter:   dto.MetricType_COUNTER,
	model.MetricTypeHistogram: dto.MetricType_HISTOGRAM,
	model.MetricTypeSummary:   dto.MetricType_SUMMARY,
	model.MetricTypeUnknown:   dto.MetricType_UNTYPED,
}

// parseExposition reads the text with Prometheus' parser for OpenMetrics. That takes samples of any name after any
// declaration, and a sample twice, so these are checked here.
func parseExposition(text []byte) (*exposition, error) {
	parsed := &exposition{labels: map[string]set{}}
	parser := textparse.NewOpenMetricsParser(text, labels.NewSymbolTable())
	seen := set{}
	for {
		entry, err := parser.Next()
		if errors.Is(err, io.EOF) {
			return parsed, nil
		}
		if err != nil {
			return nil, fmt.Errorf("the exposition is not OpenMetrics: %w", err)
		}
		switch entry {
		case textparse.EntryHelp:
			name, help := parser.Help()
			parsed.declare(string(name)).help = string(help)
		case textparse.EntryType:
			name, kind := parser.Type()
			declared := parsed.declare(string(name))
			declared.kind = kind
			for _, suffix := range suffixes[kind] {
				if suffix != "_created" {
					parsed.labels[declared.name+suffix] = nil
				}
			}
		case textparse.EntrySeries:
			var sample labels.Labels
			parser.Labels(&sample)
			if seen[sample.String()] {
				return nil, fmt.Errorf("%s is in the exposition twice", sample)
			}
			seen[sample.String()] = true
			if err := parsed.add(sample); err != nil {
				return nil, err
			}
		}
	}
}

func (e *exposition) declare(name string) *family {
	for _, known := range e.families {
		if known.name == name {
			return known
		}
	}
	declared := &family{name: name, kind: model.MetricTypeUnknown}
	e.families = append(e.families, declared)
	return declared
}

func (e *exposition) add(sample labels.Labels) error {
	name := sample.Get(model.MetricNameLabel)
	of := slices.IndexFunc(e.families, func(declared *family) bool {
		suffix, found := strings.CutPrefix(name, declared.name)
		return found && slices.Contains(suffixes[declared.kind], suffix)
	})
	if of < 0 {
		return fmt.Errorf("%s is the sample of no declared metric", sample)
	}
	e.families[of].samples = append(e.families[of].samples, sample)
	if e.labels[name] == nil {
		e.labels[name] = set{}
	}
	for label := range sample.Map() {
		e.labels[name][label] = true
	}
	return nil
}

// lint says which names break Prometheus' conventions, in the words of `promtool check metrics`.
func (e *exposition) lint() ([]string, error) {
	var families []*dto.MetricFamily
	for _, declared := range e.families {
		name, kind := declared.name, dto.MetricType_GAUGE
		if classic, found := classicTypes[declared.kind]; found {
			kind = classic
		}
		// The classic format, whose conventions these are, has the suffix in the name of the metric.
		switch declared.kind {
		case model.MetricTypeCounter:
			name += "_total"
		case model.MetricTypeInfo:
			name += "_info"
		}
		linted := &dto.MetricFamily{Name: &name, Type: &kind}
		if declared.help != "" {
			linted.Help = &declared.help
		}
		for _, sample := range declared.samples {
			metric := &dto.Metric{}
			sample.DropReserved(func(label string) bool {
				return label == model.MetricNameLabel || declared.kind == model.MetricTypeHistogram && label == "le"
			}).Range(func(label labels.Label) {
				metric.Label = append(metric.Label, &dto.LabelPair{Name: &label.Name, Value: &label.Value})
			})
			// The buckets of a histogram are one metric.
			if !slices.ContainsFunc(linted.Metric, func(other *dto.Metric) bool { return other.String() == metric.String() }) {
				linted.Metric = append(linted.Metric, metric)
			}
		}
		families = append(families, linted)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	var said []string
	for _, problem := range problems {
		said = append(said, fmt.Sprintf("%s: %s", problem.Metric, problem.Text))
	}
	return said, err
}
