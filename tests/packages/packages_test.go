package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/lint"
	"helm.sh/helm/v3/pkg/lint/support"
)

func TestHelmFindsNothingWrongWithTheChart(t *testing.T) {
	for name, given := range renderings {
		for _, message := range lint.All(chartFolder, given, "streamrole-system", true).Messages {
			// An icon is the only thing that it misses.
			if message.Severity > support.InfoSev {
				t.Errorf("%s: %v", name, message)
			}
		}
	}
}

func TestValuesThatCannotWorkAreRefusedByName(t *testing.T) {
	for _, c := range []struct {
		name  string
		given values
		words []string
	}{
		{"a value that does not exist", values{"replicas": 3}, []string{"replicas"}},
		{"a nested value that does not exist", values{"controller": values{"watchNamespace": "a"}}, []string{"watchNamespace"}},
		{"no namespace's name", values{"controller": values{"watchNamespaces": []any{"A"}}}, []string{"watchNamespaces"}},
		{"a resync without a unit", values{"controller": values{"resync": "10"}}, []string{"resync"}},
		{"no time between two resyncs", values{"controller": values{"resync": "0s"}}, []string{"resync"}},
		{"too many workers", values{"controller": values{"concurrency": 1001}}, []string{"concurrency"}},
		{"a role that is no ARN", values{"aws": values{"roleArn": "streamrole"}}, []string{"roleArn"}},
		{"no region", values{"aws": values{"region": ""}}, []string{"region"}},
		{"an endpoint that is no URL", values{"tracing": values{"otlpEndpoint": "collector:4318"}}, []string{"otlpEndpoint"}},
		{"two replicas that both work", values{"leaderElection": values{"enabled": false}}, []string{"leaderElection.enabled", "replicaCount"}},
		{"nothing to scrape", values{"service": values{"enabled": false}, "serviceMonitor": values{"enabled": true}}, []string{"service.enabled"}},
		{"no service account", values{"serviceAccount": values{"create": false}}, []string{"serviceAccount.name"}},
		{"less time than stopping takes", values{"terminationGracePeriodSeconds": 20}, []string{"terminationGracePeriodSeconds"}},
	} {
		_, err := renderChart(c.given)
		if err == nil {
			t.Errorf("%s is not refused", c.name)
			continue
		}
		for _, word := range c.words {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("%s is refused, but not by %q: %v", c.name, word, err)
			}
		}
	}
}

func TestBothPackageFormsInstallTheImageOfThisVersion(t *testing.T) {
	manifest, err := os.ReadFile("../../Cargo.toml")
	if err != nil {
		t.Fatal(err)
	}
	version := regexp.MustCompile(`(?m)^version = "(.+)"$`).FindSubmatch(manifest)
	if version == nil {
		t.Fatal("Cargo.toml has no version")
	}
	helm, err := renderChart(values{})
	if err != nil {
		t.Fatal(err)
	}
	base, err := kustomize("base")
	if err != nil {
		t.Fatal(err)
	}
	image := "image: ghcr.io/streamrole/streamrole:" + string(version[1]) + "\n"
	for name, rendered := range map[string]string{"helm": helm, "kustomize": base} {
		if !strings.Contains(rendered, image) {
			t.Errorf("%s does not have %q", name, image)
		}
	}
}
