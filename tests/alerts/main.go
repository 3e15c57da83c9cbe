// Command alerts checks the alert rules and the dashboard against what /metrics shows: each metric, and each label,
// that an expression, a legend or an annotation names has to be in the exposition. It also checks the exposition itself:
// by Prometheus' parser for OpenMetrics, and by the linter of `promtool check metrics`. It parses PromQL with
// Prometheus' own parser, prints a line for each problem and then exits with 1.
//
// A label can only be seen on a sample: a metric with labels has to have counted something before the scrape.
package main

import (
	"fmt"
	"io"
	"os"
)

// From the folder of this module, which has to be the working directory.
const (
	rulesFile     = "../../deploy/helm/streamrole/files/alerts.yaml"
	dashboardFile = "../../deploy/helm/streamrole/files/dashboard.json"
)

func main() {
	if len(os.Args) != 2 {
		fail("usage: go run -C tests/alerts . <absolute path of an exposition, or - for standard input>")
	}
	text, err := read(os.Args[1])
	if err != nil {
		fail(err)
	}
	problems, err := check(text)
	if err != nil {
		fail(err)
	}
	for _, problem := range problems {
		fmt.Println(problem)
	}
	if len(problems) > 0 {
		os.Exit(1)
	}
}

func fail(why any) {
	fmt.Fprintln(os.Stderr, "alerts:", why)
	os.Exit(1)
}

func read(path string) ([]byte, error) {
	if path == "-" {
		return io.ReadAll(os.Stdin)
	}
	return os.ReadFile(path)
}

func check(text []byte) ([]string, error) {
	shown, err := parseExposition(text)
	if err != nil {
		return nil, err
	}
	problems, err := shown.lint()
	if err != nil {
		return nil, err
	}
	queries, err := rulesQueries(rulesFile)
	if err != nil {
		return nil, err
	}
	ofDashboard, err := dashboardQueries(dashboardFile)
	if err != nil {
		return nil, err
	}
	for _, query := range append(queries, ofDashboard...) {
		problems = append(problems, query.problems(shown)...)
	}
	return problems, nil
}
